"""One arithmetic for all operations, or a branch for each? Time and compile time of both.

    python experiments/arcle/dispatch.py

Random operations on random boxes of a 30 x 30 canvas, the whole state kept, one device:

    masked        `step.apply`, vmapped: everything is computed, the operation decides what is kept
    switch        `lax.switch` over the 35 operations, each a constant, vmapped: all are computed
    switch, map   the same one environment after the other (`lax.map`), where only one is computed

Writes results/dispatch.json: microseconds a step of one environment, seconds to compile, and
the size of the compiled program.
"""

import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import jaxrl
from jaxrl.benchmark import write_record
from jaxrl.envs.arcle.operations import O2ARC
from jaxrl.envs.arcle.step import apply

BATCH, STEPS, REPEATS = 1024, 20, 5
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measures the three and writes them down."""
    env, params = jaxrl.make("ARCLE-O2ARC-v2", observe="grid")
    keys = jax.random.split(jax.random.key(0), BATCH)
    _, state = jax.jit(jax.vmap(env.reset_env, (0, None)))(keys, params)
    rules = params.rules

    def masked(game: Any, operation: jax.Array, selection: jax.Array) -> Any:
        return apply(game, operation, selection, rules, O2ARC)[0]

    def switched(game: Any, operation: jax.Array, selection: jax.Array) -> Any:
        branches = [
            functools.partial(_constant, number, rules) for number in range(len(O2ARC.names))
        ]
        return jax.lax.switch(operation, branches, game, selection)

    ways = {
        "masked": jax.vmap(masked),
        "switch": jax.vmap(switched),
        "switch, map": lambda *args: jax.lax.map(lambda row: switched(*row), args),
    }
    results = {name: measure(way, env, params, state.game) for name, way in ways.items()}
    settings = {"batch": BATCH, "steps": STEPS, "repeats": REPEATS}
    command = "python experiments/arcle/dispatch.py"
    write_record(RESULTS / "dispatch.json", command, results, **settings)


def _constant(number: int, rules: Any, game: Any, selection: jax.Array) -> Any:
    return apply(game, jnp.int32(number), selection, rules, O2ARC)[0]


def measure(way: Callable[..., Any], env: Any, params: Any, games: Any) -> dict[str, Any]:
    """A scan over steps of a batch."""
    space = env.action_space(params)

    def run(games: Any, key: jax.Array) -> Any:
        def body(games: Any, key: jax.Array) -> Any:
            actions = jax.vmap(space.sample)(jax.random.split(key, BATCH))
            return way(games, *jax.vmap(env.encoding.decode)(actions)), None

        return jax.lax.scan(body, games, jax.random.split(key, STEPS))[0]

    started = time.perf_counter()
    program = jax.jit(run).lower(games, jax.random.key(0)).compile()
    compile_s = time.perf_counter() - started
    jax.block_until_ready(program(games, jax.random.key(0)))
    took = []
    for repeat in range(REPEATS):
        started = time.perf_counter()
        jax.block_until_ready(program(games, jax.random.key(repeat)))
        took.append(1e6 * (time.perf_counter() - started) / BATCH / STEPS)
    result = {
        "us_per_step": statistics.median(took),
        "all": took,
        "compile_s": compile_s,
        "hlo_lines": program.as_text().count("\n"),
    }
    print(result, flush=True)
    return result


if __name__ == "__main__":
    main()
