"""How fast ARCLE is here and in the package `arcle`, side by side in one run.

    python experiments/arcle/speed.py [--rounds 3] [--peer PYTHON]

Every measurement is a process of its own, without a compile cache; the sides take turns. The
package steps one environment on one core, which is all it does; ours is `jaxrl bench env` on all
cores: random operations of all 35 on random boxes of a 30 x 30 canvas, tasks of ARC-AGI-1, the
whole state kept, exact resets. `full` observes all of the state as int8 arrays, as the package
does; `grid` only the grid. The machine should do nothing else.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BATCH = ["--batch", "2048", "--steps", "200", "--repeats", "3"]
OURS = {
    "full": ["ARCLE-O2ARC-v2", *BATCH],
    "grid": ["ARCLE-O2ARC-v2", *BATCH, "--env-overrides", "observe=grid"],
    "full, reference rules": ["ARCLE-O2ARC-v2", *BATCH, "--env-overrides", "preset=reference"],
    "5 x 5, colours and Submit": [
        *("ARCLE-Raw-v0", "--batch", "16384", "--steps", "200", "--repeats", "3"),
        *("--env-overrides", "dataset=random", "canvas=5", "action=point", "observe=grid"),
    ],
}
# ours / the package's steps: (asked, aimed at)
TARGETS = {"full": (5, 20), "grid": (5, 20)}


def peer(steps: int = 40_000) -> dict[str, Any]:
    """Steps a second of one environment of the package; runs in its own process."""
    import os
    import time
    import warnings

    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    warnings.simplefilter("ignore")
    import numpy as np
    from arcle.envs import O2ARCv2Env
    from arcle.loaders import ARCLoader

    env = O2ARCv2Env(data_loader=ARCLoader(), max_grid_size=(30, 30), colors=10)
    random = np.random.default_rng(0)
    count = 2_000
    selections = np.zeros((count, 30, 30), np.int8)
    for selection in selections:
        x, y = np.sort(random.integers(0, 30, (2, 2)), axis=1)
        selection[x[0] : x[1] + 1, y[0] : y[1] + 1] = 1
    actions = [
        {"operation": int(number), "selection": selection}
        for number, selection in zip(random.integers(0, 35, count), selections, strict=True)
    ]
    rates = []
    with np.errstate(over="ignore"):
        for _ in range(3):
            env.reset()
            started = time.perf_counter()
            for step in range(steps):
                ended = env.step(actions[step % count])[2]
                if ended or step % 200 == 199:
                    env.reset()
            rates.append(steps / (time.perf_counter() - started))
    return {"median": statistics.median(rates), "all": rates}


def main() -> None:
    """Measures in turns and writes results/speed.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of all measurements")
    parser.add_argument("--peer", default=sys.executable, help="a Python that has arcle 0.2.6")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "speed.json")
    parser.add_argument("--peer-only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer_only:
        print(json.dumps(peer()))
        return
    from jaxrl import peers
    from jaxrl.benchmark import write_record

    ours = [sys.executable, "-m", "jaxrl", "bench", "env"]
    commands = {"arcle": [args.peer, __file__, "--peer-only"]}
    commands |= {name: [*ours, *words, "--no-cache"] for name, words in OURS.items()}
    found = peers.in_turns(commands, args.rounds)
    medians = peers.medians(found)
    ratios = {
        f"{name} / arcle": {"ratio": medians[name] / medians["arcle"], "asked": asked, "aim": aim}
        for name, (asked, aim) in TARGETS.items()
    }
    command = f"python experiments/arcle/speed.py --rounds {args.rounds}"
    results = {"ratios": ratios, "medians": medians}
    write_record(args.out, command, results, rounds=args.rounds, measurements=found)


if __name__ == "__main__":
    main()
