"""Do the `reference` rules of ARCLE do, step for step, what the package `arcle` 0.2.6 does?

    python experiments/arcle/conformance.py

Plays random actions in the package, on every task of ARC-AGI-1 and Mini-ARC that it carries, then
replays them here and compares the entire state, the reward and the end of the episode after every
step. Actions favour what uniform ones seldom reach: see tests/envs/arcle/random_actions.py.
"""

import argparse
import importlib.metadata
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from jaxrl.benchmark import write_record
from jaxrl.envs.arcle.operations import operation_set

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.envs.arcle.coverage import case_counts, operation_counts  # noqa: E402
from tests.envs.arcle.lockstep import SETS, compare, corpora, play  # noqa: E402
from tests.envs.arcle.random_actions import Generator  # noqa: E402

BATCH = 100  # episodes compared at once
CANVASES = (5, 10, 30)
TRIALS = (-1, 1, 3, 127)


def episodes_of(operations, tasks, length, side, rng):
    """Plays an episode on each task, in one of its pairs that fits the canvas."""
    for pairs in tasks:
        fitting = [p for p in pairs if max(*p.input.shape, *p.answer.shape) <= side]
        if fitting:
            pair = fitting[rng.integers(len(fitting))]
            actions = Generator(operation_set(operations), pair, side, rng).episode(length)
            trials, resets = int(rng.choice(TRIALS)), bool(rng.random() < 0.25)
            yield play(operations, pair, *actions, trials, resets)


def measure(name, operations, tasks, length, side, rng):
    """Plays and compares the episodes of a group."""
    steps, count, ended, longest = 0, 0, 0, 0
    mismatches, cases, numbers = [], Counter(), Counter()
    sources = set()
    playing = episodes_of(operations, tasks, length, side, rng)
    while batch := [episode for _, episode in zip(range(BATCH), playing, strict=False)]:
        filled = batch + batch[:1] * (BATCH - len(batch))
        found = [m for m in compare(operations, filled) if m[0] < len(batch)]
        mismatches += [(count + index, step, names) for index, step, names in found]
        count += len(batch)
        steps += sum(episode.length for episode in batch)
        longest = max(longest, *(episode.length for episode in batch))
        ended += sum(bool(episode.terminated.any()) for episode in batch)
        sources |= {episode.task.source for episode in batch}
        cases.update(case_counts(operation_set(operations), batch))
        numbers.update(operation_counts(operation_set(operations), batch))
        print(name, count, steps, mismatches[:5], flush=True)
    return {
        "canvas": side,
        "tasks": len(sources),
        "episodes": count,
        "steps": steps,
        "longest": longest,
        "ended": ended,
        "mismatching_episodes": len(mismatches),
        "mismatches": mismatches[:10],
        "steps_with": dict(numbers),
        "steps_in_which": dict(cases),
    }


def main():
    """Plays, compares and writes results/conformance.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="episodes a task, of 35 operations")
    parser.add_argument("--length", type=int, default=80, help="steps of an episode")
    parser.add_argument("--long", type=int, default=200, help="episodes of five times the length")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    by_source = {}
    for pair in (pair for pairs in corpora().values() for pair in pairs):
        by_source.setdefault(pair.source, []).append(pair)
    tasks = list(by_source.values())
    some = [tasks[i] for i in rng.choice(len(tasks), min(args.long, len(tasks)), replace=False)]
    results = {}

    def group(name, *rest):
        results[name] = measure(name, *rest, rng)

    group("o2arc", "o2arc", tasks * args.rounds, args.length, 30)
    group("o2arc, long", "o2arc", some, 5 * args.length, 30)
    for side in CANVASES[:-1]:
        group(f"o2arc, canvas {side}", "o2arc", tasks, args.length, side)
    for operations in list(SETS)[1:]:
        group(operations, operations, tasks, args.length, 30)
        group(f"{operations}, long", operations, some, 5 * args.length, 30)
    path = Path(__file__).parent / "results" / "conformance.json"
    command = "python experiments/arcle/conformance.py " + " ".join(sys.argv[1:])
    versions = {"arcle": importlib.metadata.version("arcle")}
    write_record(path, command.strip(), results, reference=versions)


if __name__ == "__main__":
    main()
