"""Orthogonal initial weights that can be vmapped over seeds and populations on a CPU."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp


def orthogonal(scale: float = 1.0) -> Callable[..., jax.Array]:
    """`jax.nn.initializers.orthogonal(scale)`, the same numbers, safe under vmap on a CPU.

    It factorises a normal matrix (QR). LAPACK's kernel in jaxlib 0.10.2 hands the matrices of a
    batch to the thread pool and blocks the thread of the pool that it runs on until they are done:
    when as many of them run at once as there are threads, on a machine of two cores two, nobody is
    left to do the work and the process sleeps for ever. On a CPU a batch is therefore factorised
    one matrix after another.
    """
    make = jax.nn.initializers.orthogonal(scale)

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        one = partial(make, shape=shape, dtype=dtype)
        in_turn = jax.custom_batching.sequential_vmap(one)
        result: jax.Array = jax.lax.platform_dependent(key, cpu=in_turn, default=one)
        return result

    return init
