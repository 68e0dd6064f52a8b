"""Do random actions achieve in Crafter-OO what the published random agent achieves in Crafter?

    python experiments/crafter_oo/random_policy.py

Plays whole episodes with draws from keys and prints, for every published number, ours with Wilson's
interval of 3 standard errors (99.7%), and whether the published number lies inside. The published
number has a sampling error of its own, which is not counted.
"""

import argparse
import sys
from pathlib import Path

import jax
import numpy as np

from jaxrl.benchmark import write_record
from jaxrl.envs.crafter_oo import constants as c

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.envs.crafter_oo.random_play import Play, compare, play_randomly  # noqa: E402

BATCH = 512
STANDARD_ERRORS = 3.0


def main():
    """Plays and writes results/random_policy.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=4096, help=f"a multiple of {BATCH}")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    keys = jax.random.split(jax.random.key(args.seed), args.episodes // BATCH)
    plays = [play_randomly(key, BATCH) for key in keys]
    play = Play(*(np.concatenate(field) for field in zip(*plays, strict=True)))
    rates = 100 * play.unlocked.mean(0)
    results = {
        "episodes": len(play.length),
        "steps": int(play.length.sum()),
        "longest": int(play.length.max()),
        "overflows": int(play.overflow.sum()),
        "against_published": compare(play, STANDARD_ERRORS),
        "success_percent": dict(zip(c.ACHIEVEMENTS, rates.round(3).tolist(), strict=True)),
        "score": round(float(np.exp(np.log1p(rates).mean()) - 1), 3),
    }
    path = Path(__file__).parent / "results" / "random_policy.json"
    command = "python experiments/crafter_oo/random_policy.py " + " ".join(sys.argv[1:])
    write_record(path, command.strip(), results, seed=args.seed)


if __name__ == "__main__":
    main()
