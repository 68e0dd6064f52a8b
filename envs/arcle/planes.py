"""Grids and masks as bits, one word a row.

A mask of a square canvas of N <= 32 cells a side is uint32 [N]: bit y of word x is the cell in row
x and column y. A grid of colours 0 to 9 is uint32 [4, N], its bit planes: bit p of a cell's colour
is in plane p. Bits of columns >= N are 0. Whatever is written `words` here is uint32 [..., N]: a
mask, the planes of a grid, or several of either.

So what would be a loop over up to 1,024 cells is arithmetic on 32 words, and every rule costs
the same whatever is on the canvas. Only `flood` loops, until nothing changes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

PLANES = 4
WORD = 32  # bits
_FULL = 0xFFFFFFFF


class Box(NamedTuple):
    """The bounding box of a mask, corners inclusive: int32 [] each, -1 where nothing is set.

    Attributes:
        x0, y0: first row, first column.
        x1, y1: last row, last column.
        some: bool [], whether anything is set.
    """

    x0: jax.Array
    y0: jax.Array
    x1: jax.Array
    y1: jax.Array
    some: jax.Array


def pack_mask(mask: jax.Array) -> jax.Array:
    """The words uint32 [N] of a mask, any dtype [N, N]: a cell that is not 0 is selected."""
    columns = jnp.arange(mask.shape[-1], dtype=jnp.uint32)
    return jnp.sum(
        mask.astype(jnp.bool_).astype(jnp.uint32) << columns[None, :], axis=-1, dtype=jnp.uint32
    )


def unpack_mask(words: jax.Array) -> jax.Array:
    """The mask bool [..., N, N] of words uint32 [..., N]."""
    columns = jnp.arange(words.shape[-1], dtype=jnp.uint32)
    columns = columns.reshape((1,) * words.ndim + (-1,))
    return ((words[..., None] >> columns) & jnp.uint32(1)).astype(jnp.bool_)


def pack(grid: jax.Array) -> jax.Array:
    """The bit planes uint32 [4, N] of a grid of colours, an integer dtype [N, N]."""
    return jnp.stack([pack_mask((grid >> p) & 1) for p in range(PLANES)])


def unpack(planes: jax.Array) -> jax.Array:
    """The grid int8 [..., N, N] of bit planes uint32 [..., 4, N]."""
    bits = unpack_mask(planes).astype(jnp.int8)
    return sum((bits[..., p, :, :] << p for p in range(1, PLANES)), start=bits[..., 0, :, :])


def lowest(count: jax.Array) -> jax.Array:
    """The word whose `count` lowest bits are set; `count` is an integer from 0 to 32."""
    return jnp.uint32(_FULL) >> (WORD - count).astype(jnp.uint32)


def window(dim: jax.Array, side: int) -> jax.Array:
    """The mask uint32 [side] of the first dim[0] rows and dim[1] columns; `dim` is int32 [2]."""
    rows = jnp.arange(side, dtype=jnp.int32)
    return jnp.where(rows < dim[0], lowest(dim[1]), jnp.uint32(0))


def occupied(planes: jax.Array) -> jax.Array:
    """The mask uint32 [N] of the cells of planes [4, N] that are not black."""
    return planes[0] | planes[1] | planes[2] | planes[3]


def splat(colour: jax.Array) -> jax.Array:
    """The bit planes uint32 [4, 1] of one colour in every cell; `colour` is an integer []."""
    bits = (colour.astype(jnp.uint32) >> jnp.arange(PLANES, dtype=jnp.uint32)) & jnp.uint32(1)
    return (jnp.uint32(0) - bits)[:, None]


def paint(planes: jax.Array, mask: jax.Array, value: jax.Array) -> jax.Array:
    """Planes [4, N] with the cells of `mask` [N] as in the planes `value` [4, N] or [4, 1]."""
    mask = mask[None, :]
    return (planes & ~mask) | (value & mask)


def bounding_box(mask: jax.Array) -> Box:
    """The smallest box that holds every set cell of a mask uint32 [N]."""
    bits = jnp.uint32(1) << jnp.arange(mask.shape[-1], dtype=jnp.uint32)
    rows = jnp.sum(jnp.where(mask != 0, bits, jnp.uint32(0)), dtype=jnp.uint32)
    columns = lax.reduce(mask, jnp.uint32(0), lax.bitwise_or, (0,))
    return Box(_first(rows), _first(columns), _last(rows), _last(columns), rows != 0)


def shift(words: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """`words` moved down by `rows` and right by `columns`, int32 [], of any size and sign.

    What leaves the canvas is lost, what comes in is 0.
    """
    side = words.shape[-1]
    source = jnp.arange(side, dtype=jnp.int32) - jnp.clip(rows, -WORD, WORD)
    moved = _rows_at(words, source)
    columns = jnp.clip(columns, -WORD, WORD)
    left, right = jnp.maximum(-columns, 0), jnp.maximum(columns, 0)
    # XLA defines a shift by 32 or more as 0.
    moved = (moved >> left.astype(jnp.uint32)) << right.astype(jnp.uint32)
    return moved & lowest(jnp.int32(side))


def crop(words: jax.Array, box: Box, upside_down: jax.Array, mirrored: jax.Array) -> jax.Array:
    """`words` with the box moved to the upper left corner, turned over within the box if asked.

    Args:
        words: uint32 [..., N], 0 outside of the box.
        box: where something may be set.
        upside_down: bool [], whether the box's rows are turned over.
        mirrored: bool [], whether its columns are.
    """
    rows = jnp.arange(words.shape[-1], dtype=jnp.int32)
    rows = jnp.where(upside_down, box.x1 - rows, box.x0 + rows)
    amount = jnp.where(mirrored, WORD - 1 - box.y1, box.y0)
    moved = _rows_at(words, rows)
    moved = jnp.where(mirrored, reverse_bits(moved), moved)
    return moved >> jnp.maximum(amount, 0).astype(jnp.uint32)


def reverse_bits(words: jax.Array) -> jax.Array:
    """Every word with bit i at 31 - i."""
    for width, low in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        mask, by = jnp.uint32(low), jnp.uint32(width)
        words = ((words >> by) & mask) | ((words & mask) << by)
    return (words >> jnp.uint32(16)) | (words << jnp.uint32(16))


def transpose(words: jax.Array) -> jax.Array:
    """`words` with rows and columns exchanged: bit y of word x becomes bit x of word y."""
    side = words.shape[-1]
    rows = jnp.arange(side, dtype=jnp.uint32).reshape((1,) * (words.ndim - 1) + (side,))
    result = jnp.zeros_like(words)
    for column in range(side):
        bit = (words[..., column : column + 1] >> rows) & jnp.uint32(1)
        result = result | (bit << jnp.uint32(column))
    return result


def colour_at(planes: jax.Array, cell: jax.Array) -> jax.Array:
    """The bit planes uint32 [4, 1] of the colour of one cell of planes [4, N].

    `cell` is a mask uint32 [N] of exactly one cell; of several, the colours are united.
    """
    found = lax.reduce(planes & cell[None, :], jnp.uint32(0), lax.bitwise_or, (1,))
    return jnp.where(found != 0, jnp.uint32(_FULL), jnp.uint32(0))[:, None]


def cells_of(planes: jax.Array, value: jax.Array) -> jax.Array:
    """The mask uint32 [N] of the cells of planes [4, N] that are as in `value`, [4, N] or [4, 1].

    Within the canvas: bits of columns beyond it are 0.
    """
    return ~occupied(planes ^ value) & lowest(jnp.int32(planes.shape[-1]))


def fill_rows(seeds: jax.Array, passable: jax.Array) -> jax.Array:
    """The runs of `passable` that hold a seed, word by word.

    Args:
        seeds: uint32 [...], within `passable`.
        passable: uint32 [...].
    """
    # Towards higher bits: the carry of the addition runs from a seed to the end of its run, and
    # clears what it passes.
    filled = seeds | (passable & ~(passable + seeds))
    for by in (1, 2, 4, 8, 16):
        filled = filled | (passable & (filled >> jnp.uint32(by)))
        passable = passable & (passable >> jnp.uint32(by))
    return filled


def flood(seeds: jax.Array, passable: jax.Array) -> jax.Array:
    """The cells that a 4-connected path within `passable` joins to a seed, for any maze.

    Sweeps down and up the rows, filling each along its whole length, until nothing changes.

    Args:
        seeds: uint32 [N], within `passable`.
        passable: uint32 [N].
    """

    def row(above: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        filled, free = inputs
        filled = fill_rows(filled | (above & free), free)
        return filled, filled

    def sweep(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        before, _ = carry
        nothing = jnp.zeros_like(before[0])
        _, after = lax.scan(row, nothing, (before, passable))
        _, after = lax.scan(row, nothing, (after, passable), reverse=True)
        return after, jnp.any(after != before)

    return lax.while_loop(lambda carry: carry[1], sweep, (seeds, jnp.any(seeds != 0)))[0]


def _rows_at(words: jax.Array, rows: jax.Array) -> jax.Array:
    """Rows `rows`, int32 [N], of `words`; 0 where there is no such row."""
    inside = (rows >= 0) & (rows < words.shape[-1])
    inside = inside.reshape((1,) * (words.ndim - 1) + (-1,))
    rows = jnp.clip(rows, 0, words.shape[-1] - 1)
    found = words.at[..., rows].get(mode="promise_in_bounds")
    return jnp.where(inside, found, jnp.uint32(0))


def _last(word: jax.Array) -> jax.Array:
    return WORD - 1 - lax.clz(word).astype(jnp.int32)


def _first(word: jax.Array) -> jax.Array:
    return _last(word & (jnp.uint32(0) - word))
