"""What PPO's presets reach, last and best checkpoint, beside the random policy and a target.

    python experiments/returns/run.py [--only CartPole-v1 ...]

Each environment is trained by the command line as a user would, then both checkpoints play 128
fresh episodes a seed with sampled actions. Writes one JSON file and the learning curve of each
environment into results/, and the table of all of them.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import jaxrl
from jaxrl.evaluation import evaluate, random_act
from jaxrl.run_folder import write_json
from jaxrl.summary import over_seeds

import jax  # isort: skip


class Study(NamedTuple):
    """A run and the return that it should reach (interquartile mean; None: no target)."""

    seeds: int
    total_steps: str
    target: float | None


STUDIES = {
    "CartPole-v1": Study(8, "5e5", 490),
    "Acrobot-v1": Study(8, "5e5", -85),
    "MountainCarContinuous-v0": Study(8, "1e6", 90),
    "Pendulum-v1": Study(8, "5e5", -200),
    "Breakout-MinAtar": Study(2, "1e7", 40),
    "Asterix-MinAtar": Study(2, "1e7", 14),
    "SpaceInvaders-MinAtar": Study(2, "1e7", 120),
    "Freeway-MinAtar": Study(2, "1e7", 58),
    "brax/inverted_pendulum": Study(4, "5e5", 1000),
    "brax/reacher": Study(2, "2e6", None),
}
EPISODES = 128
RESULTS = Path(__file__).parent / "results"


def random_returns(env_id: str, seeds: int) -> list[float]:
    """Mean return of the random policy over EPISODES episodes, for each seed."""
    env, params = jaxrl.make(env_id)
    act = random_act(env, params)
    keys = [jax.random.key(1000 + seed) for seed in range(seeds)]
    played = [evaluate(env, params, act, (), key, EPISODES) for key in keys]
    return [float(episodes.returns.mean()) for episodes in played]


def study(env_id: str) -> dict[str, Any]:
    """Trains, evaluates and compares; returns the record."""
    name = env_id.replace("/", "-")
    settings = STUDIES[env_id]
    options = ["--seeds", str(settings.seeds), "--total-steps", settings.total_steps]
    command = ["train", "ppo", env_id, *options]
    program = [sys.executable, "-m", "jaxrl"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / name
        train = [*program, *command, "--out", str(out), "--no-cache", "--no-progress"]
        subprocess.run(train, check=True)
        evaluation = ["evaluate", str(out), "--episodes", str(EPISODES)]
        subprocess.run([*program, *evaluation], check=True)
        summary, evaluated, config = (
            json.loads((out / f"{file}.json").read_text())
            for file in ("summary", "evaluation", "config")
        )
        shutil.copy(out / "curve.png", RESULTS / f"{name}.png")
    reports = evaluated["checkpoints"]
    kept = ("commit", "device", "versions", "env_steps_per_seed", "compile_s", "run_s")
    baseline = random_returns(env_id, settings.seeds)
    return {
        "command": " ".join(["jaxrl", *command]),
        "env": env_id,
        "target": settings.target,
        "reached": settings.target is None
        or reports["last"]["over_seeds"]["iqm"] >= settings.target,
        "config": config,
        **{key: summary[key] for key in (*kept, "env_steps_per_s")},
        "training_return_by_seed": summary["final_return"],
        "evaluation": {
            "episodes_per_seed": EPISODES,
            "actions": evaluated["actions"],
            **{name: _checkpoint(report) for name, report in reports.items()},
        },
        "random_policy": {"mean_return_by_seed": baseline, "over_seeds": over_seeds(baseline)},
    }


def table() -> str:
    """All results as a Markdown table."""
    lines = [
        "| environment | steps, seeds | target | last checkpoint: IQM (95%) | by seed | best | "
        "random | compile + run (s) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for env_id, settings in STUDIES.items():
        path = RESULTS / f"{env_id.replace('/', '-')}.json"
        if not path.exists():
            continue
        record = json.loads(path.read_text())
        last, best = (record["evaluation"][name] for name in ("last", "best"))
        low, high = last["over_seeds"]["iqm_95"]
        by_seed = ", ".join(f"{value:.4g}" for value in last["mean_return_by_seed"])
        lines.append(
            f"| {env_id} | {settings.total_steps}, {settings.seeds} | {settings.target or '-'} "
            f"| {last['over_seeds']['iqm']:.4g} ({low:.4g} to {high:.4g}) | {by_seed} "
            f"| {best['over_seeds']['iqm']:.4g} "
            f"| {record['random_policy']['over_seeds']['mean']:.3g} "
            f"| {record['compile_s']:.0f} + {record['run_s']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs the studies asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    RESULTS.mkdir(exist_ok=True)
    for env_id in parser.parse_args().only:
        record = study(env_id)
        write_json(RESULTS / f"{env_id.replace('/', '-')}.json", record)
        print(env_id, json.dumps(record["evaluation"]["last"]), flush=True)
        (RESULTS / "table.md").write_text(table())


def _checkpoint(report: dict[str, Any]) -> dict[str, Any]:
    return {
        "update": report["update"],
        "mean_return_by_seed": [seed["mean_return"] for seed in report["seeds"]],
        "over_seeds": report["over_seeds"],
    }


if __name__ == "__main__":
    main()
