"""First light: PPO's presets on four environments, against the random policy.

    python experiments/first_light/run.py [--only CartPole-v1 ...]

Each environment is trained by the command line as a user would, evaluated on 128 fresh episodes a
seed from its last checkpoint with sampled actions, and set beside the random policy on as many.
Writes one JSON file and the learning curve of each into results/.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jaxrl
from jaxrl.evaluation import evaluate, random_act
from jaxrl.summary import over_seeds

import jax  # isort: skip

STUDIES = {
    "CartPole-v1": ["--seeds", "8", "--total-steps", "500000"],
    "Breakout-MinAtar": ["--seeds", "4"],
    "Pendulum-v1": ["--seeds", "8"],
    "brax/inverted_pendulum": ["--seeds", "4", "--total-steps", "500000"],
}
EPISODES = 128
RESULTS = Path(__file__).parent / "results"


def random_returns(env_id: str, seeds: int) -> list[float]:
    """Mean return of the random policy over EPISODES episodes, for each seed."""
    env, params = jaxrl.make(env_id)
    act = random_act(env, params)
    means = []
    for seed in range(seeds):
        key = jax.random.key(1000 + seed)
        played = evaluate(env, params, act, (), key, EPISODES)
        means.append(float(played.returns.mean()))
    return means


def study(env_id: str, options: list[str]) -> dict:
    """Trains, evaluates and compares; returns the record."""
    name = env_id.replace("/", "-")
    command = ["train", "ppo", env_id, *options]
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / name)
        jaxrl_command = [sys.executable, "-m", "jaxrl"]
        subprocess.run([*jaxrl_command, *command, "--out", out, "--no-cache"], check=True)
        evaluation = ["evaluate", out, "--episodes", str(EPISODES), "--checkpoint", "last"]
        subprocess.run([*jaxrl_command, *evaluation], check=True)
        summary = json.loads((Path(out) / "summary.json").read_text())
        evaluated = json.loads((Path(out) / "evaluation.json").read_text())
        evaluated = evaluated["checkpoints"]["last"]
        config = json.loads((Path(out) / "config.json").read_text())
        shutil.copy(Path(out) / "curve.png", RESULTS / f"{name}.png")
    baseline = random_returns(env_id, len(summary["seeds"]))
    return {
        "command": " ".join(["jaxrl", *command]),
        "env": env_id,
        "config": config,
        "commit": summary["commit"],
        "device": summary["device"],
        "versions": summary["versions"],
        "env_steps_per_seed": summary["env_steps_per_seed"],
        "compile_s": summary["compile_s"],
        "run_s": summary["run_s"],
        "env_steps_per_s": summary["env_steps_per_s"],
        "training_return_by_seed": summary["final_return"],
        "evaluation": {
            "episodes_per_seed": EPISODES,
            "checkpoint": "last",
            "actions": "sampled",
            "mean_return_by_seed": [seed["mean_return"] for seed in evaluated["seeds"]],
            "over_seeds": evaluated["over_seeds"],
        },
        "random_policy": {"mean_return_by_seed": baseline, "over_seeds": over_seeds(baseline)},
    }


def main() -> None:
    """Runs the studies asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    RESULTS.mkdir(exist_ok=True)
    for env_id in parser.parse_args().only:
        record = study(env_id, STUDIES[env_id])
        path = RESULTS / f"{env_id.replace('/', '-')}.json"
        path.write_text(json.dumps(record, indent=2) + "\n")
        print(json.dumps({k: record[k] for k in ("evaluation", "random_policy")}, indent=2))


if __name__ == "__main__":
    main()
