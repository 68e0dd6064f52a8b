"""Where cells are on a square canvas: flips, rotations and shifts of padded grids.

A grid lies at the top left of its canvas of N x N cells, with `dim` rows and columns, and zeros
beyond. The eight symmetries of the square are products of a transposition and two reversals.
"""

import jax
import jax.numpy as jnp
import numpy as np

# Names of the transforms by index, 4 * transposed + 2 * rows reversed + columns reversed: what is
# done in this order.
TRANSFORMS = (
    "identity",
    "flip left-right",
    "flip up-down",
    "rotate by 180 degrees",
    "transpose",
    "rotate clockwise",
    "rotate counterclockwise",
    "transpose along the other diagonal",
)


def transform(index: jax.Array, grid: jax.Array, dim: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A flip or rotation of a grid within its own rows and columns.

    Args:
        index: int8 [], into `TRANSFORMS`.
        grid: [N, N], zero beyond `dim`.
        dim: int8 [2], rows and columns.

    Returns:
        The grid, at the top left of the canvas as before, and its rows and columns.
    """
    canvas = grid.shape[0]
    if grid.shape != (canvas, canvas):
        raise ValueError(f"a rotation needs a square canvas, not one of shape {grid.shape}")
    transposed, rows, columns = (index & 4) != 0, (index & 2) != 0, (index & 1) != 0
    grid = jnp.where(transposed, grid.T, grid)
    dim = jnp.where(transposed, dim[::-1], dim)
    # Reversing the whole canvas takes the grid to its end; rolled on by its length it is back.
    grid = jnp.where(rows, roll_rows(grid[::-1], dim[0]), grid)
    grid = jnp.where(columns, roll_columns(grid[:, ::-1], dim[1]), grid)
    return grid, dim


def inverse_transform(index: jax.Array) -> jax.Array:
    """The transform that undoes the one of this index, int8 []."""
    return _table(_INVERSES, index)


def compose_transforms(second: jax.Array, first: jax.Array) -> jax.Array:
    """The transform that does `first` and then `second`, all int8 []."""
    return _table(_PRODUCTS, second * jnp.int8(len(TRANSFORMS)) + first)


def inside(dim: jax.Array, height: int, width: int) -> jax.Array:
    """Which cells of a canvas lie in a grid of `dim` rows and columns: bool [height, width]."""
    rows, columns = jnp.arange(height, dtype=dim.dtype), jnp.arange(width, dtype=dim.dtype)
    return (rows[:, None] < dim[0]) & (columns[None, :] < dim[1])


def roll_rows(grid: jax.Array, by: jax.Array) -> jax.Array:
    """Rows of [N, M] moved down by `by`, an integer [], those at the end coming back at the top."""
    # Static rolls by powers of two: a roll by a traced number is a gather.
    by = jnp.remainder(by, grid.shape[0])
    for bit in range(grid.shape[0].bit_length()):
        grid = jnp.where((by >> bit) & 1 != 0, jnp.roll(grid, 1 << bit, axis=0), grid)
    return grid


def roll_columns(grid: jax.Array, by: jax.Array) -> jax.Array:
    """Columns of [N, M] moved right by `by`, those at the end coming back at the left."""
    return roll_rows(grid.T, by).T


def _table(values: tuple[int, ...], index: jax.Array) -> jax.Array:
    return jnp.asarray(np.asarray(values, np.int8))[index.astype(jnp.int32)]


def _product(second: int, first: int) -> int:
    """Index of `first` and then `second`: transposing after flips swaps which ones they are."""
    if second & 4:
        first = (first & 4) | (first & 1) << 1 | (first & 2) >> 1
    return second ^ first


_INDICES = range(len(TRANSFORMS))
_PRODUCTS = tuple(_product(second, first) for second in _INDICES for first in _INDICES)
_INVERSES = tuple(
    next(back for back in _INDICES if _product(back, index) == 0) for index in _INDICES
)
