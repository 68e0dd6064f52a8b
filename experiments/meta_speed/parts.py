"""Where a generation's time goes: rollouts, epochs, the drift network, with groups of 1 and of 4.

    python experiments/meta_speed/parts.py

The same program with one epoch instead of four tells what an epoch costs, and with PPO's objective
in place of the network what the network does. Milliseconds of one device for each member's update,
medians; the programs run in turn in one process.
"""

import argparse
import dataclasses
import statistics
from functools import partial
from pathlib import Path
from typing import Any

from one import POPULATION, task_run

from jaxrl.benchmark import compiled, seconds_in_turn, write_record

import jax  # isort: skip

UPDATES = 40


def program(run: Any, group: int, objective: str) -> Any:
    """(keys [1, 1], phis) -> fitness of a population on one device."""
    from jaxrl.algos.meta.population import score
    from jaxrl.algos.meta.tasks import baseline, make_fitness, make_task

    if objective == "lpo":
        fitness = make_fitness(make_task(run).setup, "auc", 1)
    else:
        theirs = make_fitness(make_task(baseline(run), learns=False).setup, "auc", 1)

        def fitness(key: jax.Array, phi: Any) -> jax.Array:
            objective = make_task(baseline(run), learns=False).setup.hp.objective
            # Depends on phi, so that nothing is shared between members.
            return theirs(key, objective.replace(clip=phi.clip))

    return lambda keys, phis: score([fitness], phis, keys, group, None)


def main() -> None:
    """Measures and writes results/parts.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    base = task_run("small", UPDATES * 512)
    one_epoch = dataclasses.replace(base, config=dataclasses.replace(base.config, num_epochs=1))
    start = base.hp.objective
    phis = jax.tree.map(lambda x: jax.numpy.stack([jax.numpy.asarray(x)] * POPULATION), start)
    args = (jax.random.split(jax.random.key(0), (1, 1)), phis)
    programs = {}
    for group in (1, 4):
        for name, run, objective in (
            ("whole", base, "lpo"), ("one epoch", one_epoch, "lpo"), ("ppo", base, "ppo")
        ):  # fmt: skip
            programs[f"{name}, {group}"], _ = compiled(program(run, group, objective), *args)
    times = seconds_in_turn(programs, [args] * (repeats + 1))
    per = POPULATION * UPDATES / 1000
    ms = {name: statistics.median(values) / per for name, values in times.items()}
    results = {f"group of {group}": _split(partial(_of, ms, group)) for group in (1, 4)}
    path = Path(__file__).parent / "results" / "parts.json"
    write_record(path, "python experiments/meta_speed/parts.py", results, repeats=repeats)


def _of(ms: dict[str, float], group: int, name: str) -> float:
    return ms[f"{name}, {group}"]


def _split(of: Any) -> dict[str, float]:
    """Milliseconds of each part; an epoch is a third of what three more of them cost."""
    epoch = (of("whole") - of("one epoch")) / 3
    parts = {
        "update": of("whole"),
        "four epochs": 4 * epoch,
        "rollout and the rest": of("whole") - 4 * epoch,
        "drift network, within the epochs": of("whole") - of("ppo"),
    }
    return {name: round(value, 3) for name, value in parts.items()}


if __name__ == "__main__":
    main()
