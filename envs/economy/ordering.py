"""Orders of a few things, by ranks: comparing all pairs is faster on XLA than sorting."""

import jax
import jax.numpy as jnp


def ranks(values: jax.Array) -> jax.Array:
    """How many come before each of [N]: those that are smaller, or equal and earlier; int32 [N]."""
    index = jnp.arange(values.shape[0], dtype=jnp.int32)
    smaller = values[None, :] < values[:, None]
    earlier = (values[None, :] == values[:, None]) & (index[None, :] < index[:, None])
    return jnp.sum(smaller | earlier, axis=1, dtype=jnp.int32)


def ascending(values: jax.Array) -> jax.Array:
    """The values [N] in ascending order."""
    return jnp.sum(jnp.where(_at_rank(values), values[None, :], 0), axis=1, dtype=values.dtype)


def random_order(key: jax.Array, size: int) -> jax.Array:
    """A random permutation, int32 [size]."""
    at_rank = _at_rank(jax.random.bits(key, (size,)))
    index = jnp.arange(size, dtype=jnp.int32)
    return jnp.sum(jnp.where(at_rank, index[None, :], 0), axis=1, dtype=jnp.int32)


def _at_rank(values: jax.Array) -> jax.Array:
    """Which of [N] has which rank, bool [rank, N]."""
    index = jnp.arange(values.shape[0], dtype=jnp.int32)
    return ranks(values)[None, :] == index[:, None]
