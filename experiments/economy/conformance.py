"""Does Gather-Trade-Build do, step for step, what the package `ai-economist` 1.7.1 does?

    python experiments/economy/conformance.py REFERENCE

REFERENCE is the folder of the unpacked wheel (see tests/envs/economy/record_reference.py). Random
actions are played in the package, in every configuration of
tests/envs/economy/gather_trade_build_cases.py, a few episodes after one another each, and replayed
here in float64 with the same draws; where an episode starts (places, skills, random maps) is taken
from the record as well. After every step the state, order books, what is observed, masks and
rewards are compared: whole numbers must be equal, others within 1e-9 of their value (what both
round to float32 as observations, within 1e-6). Not compared are water, the limit of rates, the
intercept of Saez's regression and the samples in Saez's buffer; their number, the elasticity and
mean rates are.

See tests/envs/economy/replay_gather_trade_build.py for what is done where a rule hinges on
rounding; `steps_rounded_alike` counts the steps at which it changed any agent's coin,
`signs_taken_over` those at which it decided whether a mean reward was positive.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import jax
import numpy as np

from jaxrl.benchmark import write_record

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.envs.economy.gather_trade_build_cases import CASES  # noqa: E402
from tests.envs.economy.record_gather_trade_build import feature_names, make, play  # noqa: E402
from tests.envs.economy.record_reference import load, samples  # noqa: E402
from tests.envs.economy.replay_gather_trade_build import (  # noqa: E402
    Replay,
    compared,
    differences,
)

ROUNDED = ("steps_rounded_alike", "signs_taken_over")
COUNTED = ("gathered", "built", "traded", "coin_taxed")


def measure(foundation, name, episodes, length, rng):
    """Plays and compares the episodes of a case."""
    np.random.seed(int(rng.integers(2**31)))
    reference = make(foundation, CASES[name], length)
    replay = Replay(name, length, dtype=jax.numpy.float64)
    known = samples(np.random.default_rng(5)) if CASES[name].get("samples") else None
    state, mismatches, happened = None, [], np.zeros(len(COUNTED))
    rounded = np.zeros(2, int)
    seconds = 0.0
    for episode in range(episodes):
        start = time.perf_counter()
        record = play(reference, rng)
        seconds += time.perf_counter() - start
        state, ours, times = replay(record, state, known if episode == 0 else None)
        found = differences(record, ours, rtol=1e-9, atol=1e-9)
        mismatches += [(episode, key, moment) for key, moment in found.items()]
        happened += record["tally"].sum(axis=0)
        rounded += times
    env = replay.env
    names = feature_names(reference)
    for role, columns in zip(
        names, (env.agent_features, env.planner_features, env.by_agent_features), strict=True
    ):
        mismatches += [] if list(columns) == names[role] else [("names", role, 0)]
    print(name, episodes, happened.tolist(), rounded, mismatches[:5], flush=True)
    return {
        "agents": env.agents,
        "map": list(env.world.shape),
        "episodes": episodes,
        "steps": episodes * length,
        **dict(zip(COUNTED, happened.tolist(), strict=True)),
        **dict(zip(ROUNDED, rounded.tolist(), strict=True)),
        "values_compared_at_a_step": sum(np.size(record[key][0]) for key in compared(record, ours)),
        "mismatches": mismatches[:20],
        "mismatching": len(mismatches),
        "reference_seconds": round(seconds, 1),
    }


def main():
    """Plays, compares and writes results/conformance.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", help="folder of the unpacked wheel")
    parser.add_argument("--episodes", type=int, default=50, help="in all")
    parser.add_argument("--length", type=int, default=300, help="steps of an episode")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    foundation = load(args.reference)
    # The package's metrics of an episode without a tax day.
    warnings.simplefilter("ignore", RuntimeWarning)
    shares = np.diff(np.linspace(0, args.episodes, len(CASES) + 1).astype(int))
    results = {}
    for number, (name, episodes) in enumerate(zip(CASES, shares, strict=True)):
        rng = np.random.default_rng((args.seed, number))
        results[name] = measure(foundation, name, int(episodes), args.length, rng)
    whole = ("episodes", "steps", *COUNTED, *ROUNDED, "mismatching")
    results["all"] = {key: sum(result[key] for result in results.values()) for key in whole}
    path = Path(__file__).parent / "results" / "conformance.json"
    rest = " ".join(sys.argv[2:])
    command = f"python experiments/economy/conformance.py REFERENCE {rest}"
    versions = {"ai-economist": "1.7.1", "numpy": np.__version__}
    write_record(path, command.strip(), results, reference=versions)


if __name__ == "__main__":
    main()
