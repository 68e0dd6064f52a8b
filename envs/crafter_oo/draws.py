"""Where the randomness of a step and of a world comes from: a key, or a tape of recorded draws.

The rules ask for what they need by name, so that a test can answer with exactly what the reference
drew. Everything is a uniform number in [0, 1) but a direction. Draws that a creature's kind does
not use are drawn, or filled, and ignored.
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import struct


class ObjectDraws(NamedTuple):
    """What the objects draw in a step, one entry an object.

    Attributes:
        act: float32, whether a cow moves, a zombie chases, a skeleton shoots.
        axis: float32, whether a chase follows the longer axis (zombie, skeleton).
        retreat: float32, whether a skeleton's retreat follows the longer axis.
        chase: float32, whether a skeleton chases.
        wander: float32, whether a skeleton moves at random.
        direction: uint8, index into `DIRECTIONS`, of a random move.
    """

    act: jax.Array
    axis: jax.Array
    retreat: jax.Array
    chase: jax.Array
    wander: jax.Array
    direction: jax.Array


class BalanceDraws(NamedTuple):
    """What balancing draws, [C, 3]: for each chunk and for zombies, skeletons, cows.

    Attributes:
        event: float32, whether a creature comes or goes.
        pick: float32, which of n cells or creatures: the one of index floor(pick * n).
    """

    event: jax.Array
    pick: jax.Array


class WorldDraws(NamedTuple):
    """What the generation of a world draws.

    Attributes:
        permutation: uint8 [256], a permutation of 0..255, the seed of the noise.
        coal, iron, diamond, tree, cow, zombie, skeleton: float32 or float64 [W, H], for each cell;
            the thing is there where the number is above 1 - its probability.
    """

    permutation: jax.Array
    coal: jax.Array
    iron: jax.Array
    diamond: jax.Array
    tree: jax.Array
    cow: jax.Array
    zombie: jax.Array
    skeleton: jax.Array


class Draws(Protocol):
    """The randomness of one step."""

    def collect(self) -> jax.Array:
        """Whether collecting gives something, float32 []."""

    def objects(self, slots: jax.Array) -> ObjectDraws:
        """The draws of the objects in these slots, int [K]; slots beyond the last are padding."""

    def balance(self, num_chunks: int) -> BalanceDraws:
        """The draws of balancing, [num_chunks, 3]."""


class KeyDraws(struct.PyTreeNode):
    """Draws made from a key.

    Attributes:
        key: a typed key.
    """

    key: jax.Array

    def collect(self) -> jax.Array:
        """Whether collecting gives something, float32 []."""
        return jax.random.uniform(jax.random.fold_in(self.key, 0), (), jnp.float32)

    def objects(self, slots: jax.Array) -> ObjectDraws:
        """The draws of the objects in these slots, int [K]."""
        shape = (5, *slots.shape)
        bits = jax.random.bits(jax.random.fold_in(self.key, 1), shape, jnp.uint32)
        # A float32 takes the upper 24 bits; the lower two are independent of it.
        uniforms = (bits >> 8).astype(jnp.float32) * jnp.float32(2**-24)
        act, axis, retreat, chase, wander = uniforms
        direction = (bits[0] & 3).astype(jnp.uint8)
        return ObjectDraws(act, axis, retreat, chase, wander, direction)

    def balance(self, num_chunks: int) -> BalanceDraws:
        """The draws of balancing, [num_chunks, 3]."""
        key = jax.random.fold_in(self.key, 2)
        return BalanceDraws(*jax.random.uniform(key, (2, num_chunks, 3), jnp.float32))


class TapeDraws(struct.PyTreeNode):
    """Draws that were recorded.

    Attributes:
        collected: float32 [].
        by_slot: what each of the N slots draws, [N].
        balanced: [C, 3].
    """

    collected: jax.Array
    by_slot: ObjectDraws
    balanced: BalanceDraws

    def collect(self) -> jax.Array:
        """Whether collecting gives something, float32 []."""
        return self.collected

    def objects(self, slots: jax.Array) -> ObjectDraws:
        """The draws of the objects in these slots, int [K]."""
        return ObjectDraws(*(field.at[slots].get(mode="clip") for field in self.by_slot))

    def balance(self, num_chunks: int) -> BalanceDraws:
        """The draws of balancing, [num_chunks, 3]."""
        return self.balanced


def draw_world(key: jax.Array, area: tuple[int, int]) -> WorldDraws:
    """Draws a world of `area` cells from a key.

    Three numbers a cell are enough: things that share one never depend on it in the same cell
    (a tree grows on grassland, a skeleton stands in a tunnel, ...).
    """
    key_permutation, key_cells = jax.random.split(key)
    permutation = jax.random.permutation(key_permutation, jnp.arange(256, dtype=jnp.uint8))
    one, two, three = jax.random.uniform(key_cells, (3, *area), jnp.float32)
    return WorldDraws(
        permutation=permutation,
        coal=one,
        tree=one,
        skeleton=one,
        iron=two,
        cow=two,
        diamond=three,
        zombie=three,
    )
