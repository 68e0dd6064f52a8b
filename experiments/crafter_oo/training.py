"""What PPO reaches on Crafter-OO: return, score and success rates, from symbols and from pixels.

    python experiments/crafter_oo/training.py symbolic [--seeds 2] [--total-steps 1e6] [--runs DIR]

Trains by the command line as a user would, then the last checkpoint plays fresh episodes with
sampled actions. Writes results/training_<study>.json with the score and the success table of

- `training`: all episodes of the training, those of the first random policies included; this is
  what the published scores of agents count;
- `final_policy`: fresh episodes of the last policy;

a picture of the learning curve and one of the success rates. With --runs the run folder is kept,
and a run that is there is gone on with.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from jaxrl.envs.crafter_oo.constants import ACHIEVEMENTS
from jaxrl.envs.crafter_oo.score import PUBLISHED
from jaxrl.run_folder import write_json
from jaxrl.summary import over_seeds

EPISODES = 128
RESULTS = Path(__file__).parent / "results"


class Study(NamedTuple):
    """An environment and what is changed of its preset."""

    env: str
    options: tuple[str, ...] = ()


STUDIES = {
    "symbolic": Study("CrafterOO-Symbolic-v1"),
    "recurrent": Study(
        "CrafterOO-Symbolic-v1",
        ("--config.network.recurrent", "gru", "--config.network.recurrent-size", "256"),
    ),
    "pixels": Study("CrafterOO-Pixels-v1"),
}


def study(name: str, seeds: int, total_steps: str, runs: Path) -> dict[str, Any]:
    """Trains, evaluates; returns the record and leaves the pictures."""
    chosen = STUDIES[name]
    options = ["--seeds", str(seeds), "--total-steps", total_steps, *chosen.options]
    command = ["train", "ppo", chosen.env, *options]
    program, out = [sys.executable, "-m", "jaxrl"], runs / name
    go_on = (
        ["resume", str(out)] if (out / "config.json").exists() else [*command, "--out", str(out)]
    )
    subprocess.run([*program, *go_on], check=True)
    play = ["evaluate", str(out), "--episodes", str(EPISODES), "--checkpoint", "last"]
    subprocess.run([*program, *play], check=True)
    summary, evaluation, config = (
        json.loads((out / f"{file}.json").read_text())
        for file in ("summary", "evaluation", "config")
    )
    shutil.copy(out / "curve.png", RESULTS / f"training_{name}.png")
    training = {k: v for k, v in summary["training_episodes"].items() if k != "are"}
    entries = evaluation["checkpoints"]["last"]["seeds"]
    record = {
        "command": " ".join(["jaxrl", *command]),
        "env": chosen.env,
        "config": config,
        **{key: summary[key] for key in ("commit", "device", "versions", "env_steps_per_seed")},
        **{key: summary[key] for key in ("compile_s", "run_s", "env_steps_per_s")},
        "training": {
            "are": summary["training_episodes"]["are"],
            "episodes_by_seed": {seed: own["episodes"] for seed, own in training.items()},
            "return_of_last_tenth": summary["final_return_over_seeds"],
            **_table([own["metrics"] for own in training.values()]),
            **_numbers("score", [own["summary"]["score"] for own in training.values()]),
            **_numbers("mean_return", [own["mean_return"] for own in training.values()]),
        },
        "final_policy": {
            "are": f"{EPISODES} fresh episodes of each seed, sampled actions, last checkpoint",
            **_table([entry["metrics"] for entry in entries]),
            **_numbers("score", [entry["summary"]["score"] for entry in entries]),
            **_numbers("mean_return", [entry["mean_return"] for entry in entries]),
            **_numbers("mean_length", [entry["mean_length"] for entry in entries]),
        },
        "published": {who: known._asdict() for who, known in PUBLISHED.items()},
    }
    draw(record, RESULTS / f"training_{name}_success.png", f"PPO, {name}")
    return record


def _table(rates: list[dict[str, float]]) -> dict[str, Any]:
    """Success rates in percent, mean over seeds."""
    means = {name: sum(rate[name] for rate in rates) / len(rates) for name in ACHIEVEMENTS}
    return {"success_percent": {name: round(mean, 2) for name, mean in means.items()}}


def _numbers(name: str, values: list[float]) -> dict[str, Any]:
    return {f"{name}_by_seed": values, f"{name}_over_seeds": over_seeds(values)}


def draw(record: dict[str, Any], path: Path, label: str) -> None:
    """Success rates of the final policy beside those of people and of random actions."""
    human, random = PUBLISHED["human"].success, PUBLISHED["random"].success
    ours = record["final_policy"]["success_percent"]
    order = sorted(ACHIEVEMENTS, key=lambda name: ours[name])
    figure = Figure(figsize=(7, 6), dpi=110, layout="constrained")
    axes = figure.subplots()
    rows = range(len(order))
    axes.barh(rows, [ours[name] for name in order], color="#1f6f8b", label=f"{label}, last policy")
    axes.plot(
        [human[name] for name in order], rows, "D", color="#333333", label="human (published)"
    )
    axes.plot(
        [random[name] for name in order], rows, "x", color="#b3261e", label="random (published)"
    )
    axes.set_yticks(rows, [name.replace("_", " ") for name in order])
    axes.set(xlabel="episodes in which it was unlocked, %", xlim=(0, 101))
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    """Runs the study asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--total-steps", default="1e6")
    parser.add_argument("--runs", type=Path, help="folder for the run folder; else a temporary one")
    args = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        runs = args.runs or Path(temporary)
        record = study(args.study, args.seeds, args.total_steps, runs)
    write_json(RESULTS / f"training_{args.study}.json", record)
    for part in ("training", "final_policy"):
        print(part, record[part]["score_over_seeds"], record[part]["mean_return_over_seeds"])


if __name__ == "__main__":
    main()
