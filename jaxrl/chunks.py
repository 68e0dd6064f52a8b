"""Training as two compiled programs over all seeds and devices: start, and advance by n updates.

Compiled code may round differently when a loop's length or a buffer's size changes. So that how a
run is cut into chunks cannot change its numbers, there is one program for every chunk: the number
of updates is an argument, and metrics go to a buffer of fixed size.

On a mesh (`jaxrl.parallel`) the same programs run under `shard_map`: every device has some of the
seeds, or of their environments, and the loops inside never wait for another device but where env
shards reduce. Seeds that do not divide evenly are filled up with copies of the last, which nobody
ever sees.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxrl.algorithm import Algorithm
from jaxrl.dtypes import strong
from jaxrl.parallel import map_seeds
from jaxrl.placement import OneDevice, OnMesh

# Most updates of one call.
CAPACITY = 64
# Metric added to the algorithm's, unless it has it itself: whether `state.policy` and
# `state.optimizer` are all finite.
FINITE = "finite_parameters"


class Programs(NamedTuple):
    """Compiled programs for S seeds.

    Attributes:
        init: (keys [S], hp) -> states, every leaf with a leading axis S.
        advance: (states, hp, count int32 []) -> (states, metrics [S, CAPACITY]) of which the
            first `count` columns are meant, count <= CAPACITY. The given states are consumed.
        compile_s: seconds spent tracing and compiling.
        place: states, as restored from a checkpoint, put where `advance` wants them.
        collect: the opposite: states as every process can read them. All processes must call it.
        executables: what JAX compiled, for both.
    """

    init: Any
    advance: Any
    compile_s: float
    place: Callable[[Any], Any]
    collect: Callable[[Any], Any]
    executables: tuple[Any, Any]


class Lowered(NamedTuple):
    """Traced but not yet compiled programs, where they run, and the seconds of tracing."""

    init: Any
    advance: Any
    where: OneDevice | OnMesh
    trace_s: float

    def compile(self) -> Programs:
        """Compiles both."""
        start = time.perf_counter()
        init, advance = self.init.compile(), self.advance.compile()
        seconds = self.trace_s + time.perf_counter() - start
        where = self.where
        return Programs(
            where.callable_init(init),
            where.callable_advance(advance),
            seconds,
            where.place,
            where.collect,
            (init, advance),
        )


def seed_keys(seeds: range) -> jax.Array:
    """One typed key for each seed, [S]: a seed's run does not depend on the others."""
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def lower(algorithm: Algorithm, keys: jax.Array, hp: Any, mesh: Mesh | None = None) -> Lowered:
    """Traces both programs, so that whatever does not fit together is found before compiling.

    Args:
        algorithm: what to train.
        keys: one for each seed, [S].
        hp: hyperparameters of all seeds, canonical.
        mesh: the devices, see `jaxrl.parallel.make_mesh`; the default device if None.
    """
    where = OneDevice() if mesh is None else OnMesh(algorithm, keys.shape[0], mesh)
    local = where.local(algorithm)

    def advance(states: Any, hp: Any, count: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        return map_seeds(lambda state: _advance(local, state, hp, count))(states)

    start = time.perf_counter()
    jitted_init, jitted_advance = where.jit(partial(_init, local), advance)
    rows = where.pad(keys)
    states = jax.eval_shape(jitted_init, rows, hp)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    lowered_init = jitted_init.lower(rows, hp)
    lowered_advance = jitted_advance.lower(states, hp, count)
    return Lowered(lowered_init, lowered_advance, where, time.perf_counter() - start)


def abstract_states(algorithm: Algorithm, keys: jax.Array, hp: Any) -> Any:
    """Shapes and dtypes of the states of all seeds, without computing them."""
    return jax.eval_shape(partial(_init, algorithm), keys, hp)


def fetch(metrics: dict[str, jax.Array], count: int) -> dict[str, np.ndarray[Any, Any]]:
    """Metrics of one call of `advance` on the host, [count, S] each."""
    return {name: values[:, :count].T for name, values in jax.device_get(metrics).items()}


def _init(algorithm: Algorithm, keys: jax.Array, hp: Any) -> Any:
    return map_seeds(lambda key: strong(algorithm.init(key, hp)))(keys)


def _advance(algorithm: Algorithm, state: Any, hp: Any, count: jax.Array) -> tuple[Any, Any]:
    shapes = jax.eval_shape(algorithm.step, state, hp)[1]
    for name, shape in shapes.items():
        if shape.shape != ():
            raise ValueError(f"the metric {name} must be a scalar, it has shape {shape.shape}")
    buffer = {name: jnp.zeros(CAPACITY, shape.dtype) for name, shape in shapes.items()}
    buffer[FINITE] = jnp.zeros(CAPACITY, jnp.bool_)

    def body(index: jax.Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        state, buffer = carry
        state, metrics = algorithm.step(state, hp)
        learnt = (state.policy, getattr(state, "optimizer", ()))
        metrics = {FINITE: all_finite(learnt), **metrics}
        buffer = {name: column.at[index].set(metrics[name]) for name, column in buffer.items()}
        return strong(state), buffer

    return jax.lax.fori_loop(jnp.int32(0), count, body, (state, buffer))


def all_finite(tree: Any) -> jax.Array:
    """Whether every floating-point number of a pytree is finite, bool []."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves] or [jnp.bool_(True)]).all()
