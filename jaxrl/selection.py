"""The first true entries of a mask, without a prefix sum over it.

XLA computes prefix sums, sorts and scatters of small arrays slowly on a CPU. Packed into words of
32 bits, with a population count for each, a mask of 192 entries is six numbers, and the k-th true
entry is found by halving the word that holds it: elementwise work that vectorises.
"""

from collections.abc import Callable
from typing import TypeVar

import chex
import jax
import jax.numpy as jnp

Carry = TypeVar("Carry")

_WORD = 32
# Up to here choosing among the words one by one is faster than a gather.
_FEW_WORDS = 8


def first_true(mask: jax.Array, size: int) -> jax.Array:
    """The indices of the first `size` true entries of `mask`, in order.

    Args:
        mask: bool [N].
        size: K, static.

    Returns:
        int32 [K], padded with N.
    """
    return _select(mask, jnp.arange(size, dtype=jnp.int32))


def nth_true(mask: jax.Array, number: jax.Array) -> jax.Array:
    """The index of true entry `number`, counted from 0, of `mask` bool [N]; N if there is none."""
    return _select(mask, jnp.reshape(number, (1,)).astype(jnp.int32))[0]


def for_each_true(mask: jax.Array, fn: Callable[[Carry, jax.Array], Carry], carry: Carry) -> Carry:
    """`carry = fn(carry, index)` for each true entry of `mask`, in order.

    A loop of as many turns as there are true entries (in the row that has most, under `vmap`), so
    for what is rare; what is carried is copied in every turn.

    Args:
        mask: bool [N].
        fn: (carry, int32 []) -> carry.
        carry: a pytree.
    """
    chex.assert_rank(mask, 1)
    numbers = jnp.arange(mask.size, dtype=jnp.int32)

    def body(state: tuple[Carry, jax.Array]) -> tuple[Carry, jax.Array]:
        carry, pending = state
        index = jnp.argmax(pending).astype(jnp.int32)
        return fn(carry, index), pending & (numbers != index)

    return jax.lax.while_loop(lambda state: jnp.any(state[1]), body, (carry, mask))[0]


def _select(mask: jax.Array, rank: jax.Array) -> jax.Array:
    chex.assert_rank([mask, rank], 1)
    num = mask.shape[0]
    padded = jnp.pad(mask, (0, -num % _WORD)).reshape(-1, _WORD)
    bits = jnp.arange(_WORD, dtype=jnp.uint32)[None, :]
    words = jnp.sum(padded.astype(jnp.uint32) << bits, axis=1, dtype=jnp.uint32)
    # Else XLA packs the mask anew for every entry that is looked for.
    words = jax.lax.optimization_barrier(words)
    counts = jax.lax.population_count(words).astype(jnp.int32)
    before = jnp.cumsum(counts, dtype=jnp.int32) - counts
    word, index, rest = _word_of(words, before, rank)
    for half in (16, 8, 4, 2, 1):
        low = word & jnp.uint32((1 << half) - 1)
        count = jax.lax.population_count(low).astype(jnp.int32)
        above = rest >= count
        rest = jnp.where(above, rest - count, rest)
        word = jnp.where(above, word >> half, low)
        index = jnp.where(above, index + half, index)
    total = before[-1] + counts[-1]
    return jnp.where(rank < total, index, num)


def _word_of(
    words: jax.Array, before: jax.Array, rank: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The word that holds the entry of each rank, the index of its first bit, the rank within."""
    if len(words) > _FEW_WORDS:
        which = jnp.sum(before[None, :] <= rank[:, None], axis=1, dtype=jnp.int32) - 1
        return words[which], which * _WORD, rank - before[which]
    word, index, rest = words[0] + jnp.zeros_like(rank, jnp.uint32), jnp.zeros_like(rank), rank
    for i in range(1, len(words)):
        there = before[i] <= rank
        word = jnp.where(there, words[i], word)
        index = jnp.where(there, _WORD * i, index)
        rest = jnp.where(there, rank - before[i], rest)
    return word, index, rest
