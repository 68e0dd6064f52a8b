"""Drifts evolved on a CPU: how they were made, what they reach on fresh seeds, and elsewhere.

    python experiments/meta_training/run.py train      # hours on two cores; each run resumes
    python experiments/meta_training/run.py held-in    # fitness on fresh seeds, against PPO and DPO
    python experiments/meta_training/run.py matrix     # other environments, longer horizons

`train` runs the commands in COMMANDS into runs/NAME. The drifts that ship with the package are the
phi.npz of these runs.
"""

import argparse
import os
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
    "ta-lpo-cartpole": (
        "meta-train ta-lpo --envs CartPole-v1 --total-steps 30000 --population 32 --generations 150"
        " --sigma 0.03 --lr-decay 0.985 --sigma-decay 0.998 --baseline-seeds 64"
    ),
    # Begun with 100 generations and stopped; how many there are changes none of them.
    "lpo-spaceinvaders": (
        "meta-train lpo --envs SpaceInvaders-MinAtar --total-steps 50000 --population 16"
        " --generations 40 --sigma 0.03 --lr 0.015 --lr-decay 0.98 --set config.num-envs=16"
        " --baseline-seeds 32 --checkpoint-every 5"
    ),
}
# What a run folder leaves that is worth keeping here.
KEPT = ("metrics.jsonl", "references.json", "summary.json", "curve.png", "drift.png")
SEEDS, FRESH_KEY = 64, 10_000
# Whole episodes of a final policy where a drift does not say what its fitness was, and of the
# random policy.
EPISODES, RANDOM_EPISODES = 16, 256
MATRICES = {
    "matrix": (
        "meta-evaluate {phis} --envs CartPole-v1 SpaceInvaders-MinAtar Acrobot-v1 Breakout-MinAtar"
        " Catch-bsuite --total-steps 30000 50000 50000 50000 30000 --horizons 1 --seeds 16"
        " --episodes 32"
    ),
    "horizons": (
        "meta-evaluate {phis} --envs CartPole-v1 Acrobot-v1 Catch-bsuite"
        " --total-steps 30000 50000 30000 --horizons 4 --seeds 16 --episodes 32"
    ),
}


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
    from jaxrl.algos.meta import contenders
    from jaxrl.algos.on_policy import pretrained
    from jaxrl.benchmark import write_record

    results = {}
    for name in pretrained.names():
        (drift,) = contenders.load([f"pretrained/{name}"])
        for env in drift.trained_on:
            results[f"{name} on {env}"] = _compare(drift, env)
    path = RESULTS / "held_in.json"
    command = "python experiments/meta_training/run.py held-in"
    write_record(path, command, results, seeds=SEEDS, key=FRESH_KEY)


def _compare(drift: Any, env: str) -> dict[str, Any]:
    """Fitness of all, as the drift was trained, and whether its interval lies above PPO's.

    A seed that diverged counts with the random policy's return, as in the matrix.
    """
    from jaxrl.algos.meta.contenders import references, settings_of, with_objective
    from jaxrl.algos.meta.tasks import make_task, random_return

    kind = drift.provenance["fitness"]
    episodes = drift.provenance.get("episodes", EPISODES)
    run = settings_of(drift, env)
    task = make_task(run, learns=False)
    random = float(random_return(task, jax.random.key(FRESH_KEY), RANDOM_EPISODES))
    record: dict[str, Any] = {
        "fitness": kind,
        "episodes": episodes,
        "total_steps": run.total_steps,
        "random": random,
        "diverged_seeds": "count with the random policy's return",
    }
    for contender in (*references(), drift):
        scores = _scores(with_objective(run, contender), kind, episodes)
        record[contender.name] = summary(scores, random)
    ours, theirs = (record[name]["interval_95"] for name in (drift.name, "ppo"))
    record["against_ppo"] = (
        "above" if ours[0] > theirs[1] else "below" if ours[1] < theirs[0] else "overlapping"
    )
    return record


def summary(scores: np.ndarray, random: float) -> dict[str, Any]:
    """Mean fitness [N] and its interval; NaN is a seed that diverged and counts as `random`."""
    from jaxrl.statistics import bootstrap_interval

    bad = ~np.isfinite(scores)
    counted = np.where(bad, random, scores)
    return {
        "mean": float(counted.mean()),
        "interval_95": list(bootstrap_interval(counted, np.mean)),
        "diverged": int(bad.sum()),
        "seeds": [
            None if lost else round(float(score), 3)
            for lost, score in zip(bad, scores, strict=True)
        ],
    }


def _scores(run: Any, kind: str, episodes: int) -> np.ndarray:
    """Fitness of fresh trainings, [SEEDS]; NaN where one diverged."""
    from jaxrl.algos.meta.tasks import make_fitness, make_task

    setup = make_task(run, learns=False).setup
    fitness = make_fitness(setup, kind, episodes)
    mesh = parallel.make_mesh(SEEDS)
    program = parallel.map_seeds(lambda key: fitness(key, setup.hp.objective), mesh=mesh)
    return np.asarray(jax.jit(program)(jax.random.split(jax.random.key(FRESH_KEY), SEEDS)))


def matrix() -> None:
    """The meta-generalisation matrix of every shipped drift, and longer horizons."""
    from jaxrl.algos.on_policy import pretrained

    phis = " ".join(f"pretrained/{name}" for name in pretrained.names())
    for name, words in MATRICES.items():
        command = [*shlex.split(words.format(phis=phis)), "--out", os.path.relpath(RESULTS / name)]
        subprocess.run([sys.executable, "-m", "jaxrl", *command], check=True)


def main() -> None:
    """Does what the argument says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"train": train, "held-in": held_in, "matrix": matrix}
    parser.add_argument("part", choices=parts)
    parts[parser.parse_args().part]()


if __name__ == "__main__":
    main()
