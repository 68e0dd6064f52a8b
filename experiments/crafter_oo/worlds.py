"""Are the worlds of Crafter-OO those of the package `crafter` 1.8.3?

    python experiments/crafter_oo/worlds.py

Records what the generation of a world draws in the reference and gives the same draws to
`worldgen.generate`, in float64 (every field of the start state must be equal) and in float32 (the
share of cells that are).
"""

import argparse
import sys
from pathlib import Path

import crafter
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.benchmark import write_record
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.draws import WorldDraws
from jaxrl.envs.crafter_oo.reference import snapshot
from jaxrl.envs.crafter_oo.tape import record_world
from jaxrl.envs.crafter_oo.transition import CAPACITY
from jaxrl.envs.crafter_oo.worldgen import generate

AREA = (64, 64)


def build(program, draws, dtype):
    """The start state in NumPy arrays, with draws and thresholds in a dtype."""
    given = [jnp.asarray(x, dtype if x.dtype == np.float64 else None) for x in draws]
    thresholds = jax.tree.map(lambda x: jnp.asarray(x, dtype), rule_sets.Terrain())
    rules = rule_sets.crafter().replace(terrain=thresholds)
    return jax.tree.map(np.asarray, program(WorldDraws(*given), rules))


def main():
    """Records, compares and writes results/worlds.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=100)
    count = parser.parse_args().worlds
    program = jax.jit(lambda draws, rules: generate(draws, AREA, CAPACITY, rules))
    same_state, same_objects, shares = 0, 0, []
    for seed in range(count):
        env = crafter.Env(area=AREA, seed=seed)
        draws = record_world(env)
        expected = snapshot(env, CAPACITY)
        with jax.enable_x64(True):
            exact = build(program, draws, jnp.float64)
        single = build(program, draws, jnp.float32)
        pairs = zip(jax.tree.leaves(exact), jax.tree.leaves(expected), strict=True)
        same_state += all((a == b).all() for a, b in pairs)
        shares.append(float((single.materials == expected.materials).mean()))
        pairs = zip(jax.tree.leaves(single.objects), jax.tree.leaves(expected.objects), strict=True)
        same_objects += all((a == b).all() for a, b in pairs)
    results = {
        "worlds": count,
        "float64": {"equal_start_states": same_state},
        "float32": {
            "equal_cells": float(np.mean(shares)),
            "worst_world": min(shares),
            "worlds_without_a_difference": int(sum(share == 1 for share in shares)),
            "worlds_with_equal_objects": same_objects,
        },
    }
    path = Path(__file__).parent / "results" / "worlds.json"
    command = "python experiments/crafter_oo/worlds.py " + " ".join(sys.argv[1:])
    write_record(path, command.strip(), results)


if __name__ == "__main__":
    main()
