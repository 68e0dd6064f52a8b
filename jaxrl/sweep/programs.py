"""One compiled program for the points and seeds of a group: train, then play whole episodes."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxrl.algorithm import train
from jaxrl.chunks import all_finite
from jaxrl.driver import Setup
from jaxrl.evaluation import Episodes, evaluate, evaluation_key
from jaxrl.memory import program_bytes
from jaxrl.nonfinite import not_finite
from jaxrl.parallel import make_mesh, map_seeds
from jaxrl.summary import FINAL_PART
from jaxrl.sweep import memory

# Most points of a learning curve.
CURVE = 256
# Evaluation episodes are those of `jaxrl evaluate --seed 0`.
_EVALUATION_SEED = 0

Metrics = dict[str, jax.Array]


class Row(NamedTuple):
    """What is kept of one seed of one point.

    Attributes:
        curve: mean training return over the episodes that ended in each part of the updates,
            float32 [C], NaN where none ended; see `curve_updates`.
        final: the same over the last tenth of the updates, float32 [].
        nonfinite_update: the first update, from 1 on, with a metric that is not finite, or the
            last one if only the final parameters are not; 0 for a sound run; int32 [].
        episodes: of the final policy, or None.
    """

    curve: jax.Array
    final: jax.Array
    nonfinite_update: jax.Array
    episodes: Episodes | None


class Program(NamedTuple):
    """A compiled program.

    Attributes:
        call: (keys [rows], hps with leaves [rows, ...]) -> `Row` with leaves [rows, ...].
        rows: how many it computes at once.
        compile_s: seconds of tracing and compiling, of those programs too that were only measured.
        bytes: memory of a call.
    """

    call: Callable[[jax.Array, Any], Row]
    rows: int
    compile_s: float
    bytes: int


def curve_updates(num_updates: int) -> np.ndarray[Any, Any]:
    """The last update, from 1 on, of each part of the learning curve, int [C], C <= 256."""
    parts = min(num_updates, CURVE)
    return np.searchsorted(_parts(num_updates), np.arange(parts), side="right")


def row_function(setup: Setup, episodes: int, greedy: bool) -> Callable[[jax.Array, Any], Row]:
    """Training of one seed, and its evaluation, as a pure function (key, hp) -> `Row`.

    The seed is trained as `jaxrl train` does and evaluated as `jaxrl evaluate` does, up to
    rounding: compiled another way, floating point operations may be ordered otherwise.
    """
    run = train(setup.algorithm, setup.num_updates)

    def row(key: jax.Array, hp: Any) -> Row:
        state, metrics = run(key, hp)
        played = None
        if episodes:
            key_play = evaluation_key(key, _EVALUATION_SEED)
            algorithm = setup.algorithm
            played = evaluate(
                setup.env,
                hp.env,
                algorithm.act,
                state.policy,
                key_play,
                episodes,
                greedy,
                initial_carry=algorithm.initial_carry,
            )
        parts = _parts(setup.num_updates)
        updates = np.arange(1, setup.num_updates + 1)
        last = (updates <= setup.num_updates * (1 - FINAL_PART)).astype(np.int32)
        learnt = (state.policy, getattr(state, "optimizer", ()))
        return Row(
            curve=_episode_mean(metrics, parts, int(parts[-1]) + 1),
            final=_episode_mean(metrics, last, 2)[0],
            nonfinite_update=_nonfinite_update(metrics, learnt),
            episodes=played,
        )

    return row


def compile_program(
    row: Callable[[jax.Array, Any], Row],
    keys: jax.Array,
    hps: Any,
    *,
    unit: int,
    wanted: int,
    limit: int,
    devices: int | None = None,
) -> Program:
    """Compiles `row` over as many rows as are wanted and fit.

    They are divided among the devices. Where those share one memory (CPU) and it cannot hold a row
    of each, one device does it all.

    Args:
        row: see `row_function`.
        keys: of all rows, [total].
        hps: of all rows, leaves [total, ...].
        unit: rows of one point.
        wanted: most rows of one call, at most total.
        limit: bytes of memory.
        devices: to use; all of them if None.

    Raises:
        SweepMemoryError: not even one row fits.
    """
    start = time.perf_counter()
    mesh = make_mesh(wanted, devices=devices)
    fit = partial(_fit, row, keys, hps, unit, wanted, limit)
    try:
        call, rows, size = fit(mesh)
    except memory.SweepMemoryError:
        if _sharing(mesh) == 1:
            raise
        call, rows, size = fit(None)
    return Program(call, rows, time.perf_counter() - start, size)


def _fit(
    row: Callable[[jax.Array, Any], Row],
    keys: jax.Array,
    hps: Any,
    unit: int,
    wanted: int,
    limit: int,
    mesh: Mesh | None,
) -> tuple[Any, int, int]:
    """(compiled program, its rows, its bytes); see `compile_program`."""
    mapped = jax.jit(map_seeds(row, mesh=mesh))
    compiled: dict[int, Any] = {}

    def measure(rows: int) -> int:
        if rows not in compiled:
            args = jax.tree.map(lambda x: x[np.arange(rows) % len(keys)], (keys, hps))
            compiled[rows] = mapped.lower(*args).compile()
        return _sharing(mesh) * (program_bytes(compiled[rows]) or 0)

    devices = 1 if mesh is None else mesh.size
    rows = memory.choose_rows(wanted, unit, limit, measure, devices)
    size = measure(rows)
    return compiled[rows], rows, size


def _sharing(mesh: Mesh | None) -> int:
    """How many devices of the mesh share one memory: those of a CPU do."""
    return mesh.size if mesh is not None and jax.default_backend() == "cpu" else 1


def _parts(num_updates: int) -> np.ndarray[Any, Any]:
    """The part of the learning curve of each update, int32 [num_updates]."""
    parts = min(num_updates, CURVE)
    return (np.arange(num_updates, dtype=np.int64) * parts // num_updates).astype(np.int32)


def _episode_mean(metrics: Metrics, parts: np.ndarray[Any, Any], count: int) -> jax.Array:
    """Mean return over the episodes of each part, float32 [count]; NaN where none ended."""
    values = metrics.get("episode_return")
    if values is None:
        return jnp.full(count, jnp.nan, jnp.float32)
    weights = metrics.get("episodes", jnp.isfinite(values)).astype(jnp.float32)
    sums = jnp.where(weights > 0, values, 0.0) * weights
    total = jax.ops.segment_sum(weights, parts, count)
    mean = jax.ops.segment_sum(sums, parts, count) / jnp.maximum(total, 1.0)
    return jnp.where(total > 0, mean, jnp.nan)


def _nonfinite_update(metrics: Metrics, learnt: Any) -> jax.Array:
    """Where `jaxrl train` would have stopped; see `Row`."""
    bad = jnp.stack([not_finite(name, metrics, jnp) for name in metrics]).any(axis=0)
    at_end = jnp.where(all_finite(learnt), 0, len(bad)).astype(jnp.int32)
    first = jnp.argmax(bad).astype(jnp.int32) + 1
    return jnp.where(bad.any(), first, at_end)
