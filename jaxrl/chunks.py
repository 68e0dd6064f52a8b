"""Training as two compiled programs over all seeds: start, and advance by n updates.

Compiled code may round differently when a loop's length or a buffer's size changes. So that how a
run is cut into chunks cannot change its numbers, there is one program for every chunk: the number
of updates is an argument, and metrics go to a buffer of fixed size.
"""

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.algorithm import Algorithm
from jaxrl.parallel import map_seeds

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
    """

    init: Any
    advance: Any
    compile_s: float


class Lowered(NamedTuple):
    """Traced but not yet compiled programs, and the seconds it took to trace them."""

    init: Any
    advance: Any
    trace_s: float

    def compile(self) -> Programs:
        """Compiles both."""
        start = time.perf_counter()
        init, advance = self.init.compile(), self.advance.compile()
        return Programs(init, advance, self.trace_s + time.perf_counter() - start)


def seed_keys(seeds: range) -> jax.Array:
    """One typed key for each seed, [S]: a seed's run does not depend on the others."""
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def lower(algorithm: Algorithm, keys: jax.Array, hp: Any) -> Lowered:
    """Traces both programs, so that whatever does not fit together is found before compiling.

    Args:
        algorithm: what to train.
        keys: one for each seed, [S].
        hp: hyperparameters of all seeds, canonical.
    """

    def advance(states: Any, hp: Any, count: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        return map_seeds(lambda state: _advance(algorithm, state, hp, count))(states)

    start = time.perf_counter()
    states = abstract_states(algorithm, keys, hp)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    lowered_init = jax.jit(partial(_init, algorithm)).lower(keys, hp)
    lowered_advance = jax.jit(advance, donate_argnums=0).lower(states, hp, count)
    return Lowered(lowered_init, lowered_advance, time.perf_counter() - start)


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


def strong(tree: Any) -> Any:
    """Weakly typed leaves made strong: a restored state has none, and must fit the program."""

    def strong(leaf: jax.Array) -> jax.Array:
        weak = getattr(leaf, "weak_type", False)
        return jax.lax.convert_element_type(leaf, leaf.dtype) if weak else leaf

    return jax.tree.map(strong, tree)
