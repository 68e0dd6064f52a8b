"""Does Crafter-OO do, step for step, what the package `crafter` 1.8.3 does?

    python experiments/crafter_oo/conformance.py

Plays the reference and records each draw, then gives the same draws to `transition` and compares
the entire state after every step, and the reward. Random actions in worlds as they are and of
another size; the scripted player of the tests in worlds as they are and in prepared ones.
"""

import argparse
import copy
import importlib.metadata
import sys
from pathlib import Path

import numpy as np

from jaxrl.benchmark import write_record

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.envs.crafter_oo.coverage import coverage  # noqa: E402
from tests.envs.crafter_oo.lockstep import compare, new_world, play, random_policy  # noqa: E402
from tests.envs.crafter_oo.scripted import prepare, scripted_policy  # noqa: E402

BATCH = 25  # episodes compared at once
EPISODES_A_WORLD = 4
OTHER_AREA = (33, 47)


def episodes_of(group, number, max_steps):
    """Plays episode `number` of a group."""
    area = OTHER_AREA if group == "random, 33 x 47" else (64, 64)
    world = new_world(number // EPISODES_A_WORLD, area)
    for offset in range(EPISODES_A_WORLD):
        env, seed = copy.deepcopy(world), number + offset
        if group == "scripted, prepared":
            prepare(env, np.random.RandomState(seed))
        policy = scripted_policy if group.startswith("scripted") else random_policy
        yield play(env, policy, seed, max_steps)


def measure(group, count, max_steps):
    """Plays and compares the episodes of a group."""
    lengths, mismatches, seen = [], [], {}
    numbers, waiting = iter(range(0, count, EPISODES_A_WORLD)), []
    while len(lengths) < count:
        while len(waiting) < BATCH and (number := next(numbers, None)) is not None:
            waiting += list(episodes_of(group, number, max_steps))
        batch, waiting = waiting[: min(BATCH, count - len(lengths))], waiting[BATCH:]
        filled = batch + batch[:1] * (BATCH - len(batch))
        found = [m for m in compare(filled) if m[0] < len(batch)]
        mismatches += [(len(lengths) + index, step, names) for index, step, names in found]
        lengths += [len(episode.actions) for episode in batch]
        for name, times in coverage(batch).items():
            seen[name] = seen.get(name, 0) + times
        print(group, len(lengths), sum(lengths), mismatches, flush=True)
    return {
        "episodes": count,
        "steps": sum(lengths),
        "longest": max(lengths),
        "mismatching_episodes": len(mismatches),
        "mismatches": mismatches[:10],
        "episodes_in_which": seen,
    }


def main():
    """Plays, compares and writes results/conformance.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=200, help="episodes of random actions")
    parser.add_argument("--other", type=int, default=25, help="the same in worlds of another size")
    parser.add_argument("--natural", type=int, default=50, help="scripted, worlds as they are")
    parser.add_argument("--prepared", type=int, default=50, help="scripted, prepared worlds")
    parser.add_argument("--max-steps", type=int, default=2000, help="of an episode")
    args = parser.parse_args()
    groups = {
        "random": args.random,
        "random, 33 x 47": args.other,
        "scripted": args.natural,
        "scripted, prepared": args.prepared,
    }
    results = {name: measure(name, count, args.max_steps) for name, count in groups.items()}
    path = Path(__file__).parent / "results" / "conformance.json"
    command = "python experiments/crafter_oo/conformance.py " + " ".join(sys.argv[1:])
    versions = {"crafter": importlib.metadata.version("crafter")}
    write_record(path, command.strip(), results, reference=versions)


if __name__ == "__main__":
    main()
