"""Drifts evolved on a CPU: how they were made, what they reach on fresh seeds, and elsewhere.

    python experiments/meta_training/run.py train      # hours on two cores; each run resumes
    python experiments/meta_training/run.py held-in    # fitness on fresh seeds, against PPO and DPO
    python experiments/meta_training/run.py matrix     # other environments, longer horizons

`train` runs the commands in COMMANDS into runs/NAME. The drifts that ship with the package are the
phi.npz of these runs.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from jaxrl import parallel

parallel.use_cpu_cores()

import jax  # noqa: E402
import numpy as np  # noqa: E402

HERE = Path(__file__).parent
RESULTS = HERE / "results"
COMMANDS = {
    "lpo-cartpole": (
        "meta-train lpo --envs CartPole-v1 --total-steps 30000 --population 32 --generations 150"
        " --sigma 0.03 --lr-decay 0.985 --sigma-decay 0.998 --baseline-seeds 64"
    ),
}
# What a run folder leaves that is worth keeping here.
KEPT = ("metrics.jsonl", "references.json", "summary.json", "curve.png")
SEEDS, FRESH_KEY = 64, 10_000
MATRIX = (
    "meta-evaluate {phis} --envs CartPole-v1 Acrobot-v1 Catch-bsuite SpaceInvaders-MinAtar"
    " Pendulum-v1 --horizons 1 4 --seeds 16 --total-steps 50000 --episodes 64"
)


def train() -> None:
    """Runs, or goes on with, every meta-training."""
    for name, words in COMMANDS.items():
        folder = Path("runs") / name
        if (folder / "config.json").exists():
            command = ["resume", str(folder)]
        else:
            command = [*shlex.split(words), "--out", str(folder)]
        subprocess.run([sys.executable, "-m", "jaxrl", *command], check=True)
        for file in KEPT:
            (RESULTS / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / file, RESULTS / name / file)


def held_in() -> None:
    """Fitness of PPO, DPO and each shipped drift on its own tasks, with 64 seeds nobody saw."""
    from jaxrl.algos.on_policy import drift_files, pretrained
    from jaxrl.benchmark import write_record

    results = {}
    for name in pretrained.names():
        note = drift_files.provenance(pretrained.path(name))
        for task in note["tasks"]:
            results[f"{name} on {task['env']}"] = _compare(name, note, task)
    write_record(RESULTS / "held_in.json", "python experiments/meta_training/run.py held-in",
                 results, seeds=SEEDS, key=FRESH_KEY)  # fmt: skip


def _compare(name: str, note: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    from jaxrl import registry
    from jaxrl.algos.on_policy import pretrained
    from jaxrl.statistics import bootstrap_interval

    algorithm = note["algorithm"]
    phi = registry.algorithm(algorithm).learnt.load(pretrained.path(name))
    record = {"fitness": note["fitness"], "total_steps": task["total_steps"]}
    for label, objective in (("ppo", None), ("dpo", None), (algorithm, phi)):
        scores = _scores(label, objective, note["fitness"], task)
        low, high = bootstrap_interval(scores, np.mean)
        record[label] = {"mean": float(scores.mean()), "interval_95": [low, high],
                         "seeds": [round(float(x), 3) for x in scores]}  # fmt: skip
    ours, theirs = record[algorithm]["interval_95"], record["ppo"]["interval_95"]
    record["against_ppo"] = (
        "above" if ours[0] > theirs[1] else "below" if ours[1] < theirs[0] else "overlapping"
    )
    return record


def _scores(label: str, phi: Any, kind: str, task: dict[str, Any]) -> np.ndarray:
    from jaxrl import registry
    from jaxrl.algos.meta.tasks import make_fitness, make_task
    from jaxrl.config import RunConfig, encode

    spec, preset = registry.preset(label, task["env"])
    objective = preset.hp.objective if phi is None else phi
    record = {
        "algorithm": label, "env": task["env"], "env_overrides": task["env_overrides"],
        "total_steps": task["total_steps"], "config": task["config"],
        "hp": {**task["hp"], "objective": encode(preset.hp.objective)}, "seeds": 1, "seed": 0, "log_every": 1,
        "checkpoint_every": 1, "keep_last": 1, "on_nonfinite": "stop", "schema": 1,
    }  # fmt: skip
    fitness = make_fitness(make_task(RunConfig.from_json(record), learns=False).setup, kind, 16)
    objective = jax.tree.map(jax.numpy.float32, objective)
    mesh = parallel.make_mesh(SEEDS)
    program = jax.jit(parallel.map_seeds(lambda key: fitness(key, objective), mesh=mesh))
    keys = jax.random.split(jax.random.key(FRESH_KEY), SEEDS)
    return np.asarray(program(keys), np.float64)


def matrix() -> None:
    """The meta-generalisation matrix of every shipped drift."""
    from jaxrl.algos.on_policy import pretrained

    phis = " ".join(f"pretrained/{name}" for name in pretrained.names())
    words = shlex.split(MATRIX.format(phis=phis))
    out = ["--out", str(RESULTS / "matrix")]
    subprocess.run([sys.executable, "-m", "jaxrl", *words, *out], check=True)


def main() -> None:
    """Does what the argument says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"train": train, "held-in": held_in, "matrix": matrix}
    parser.add_argument("part", choices=parts)
    parts[parser.parse_args().part]()


if __name__ == "__main__":
    main()
