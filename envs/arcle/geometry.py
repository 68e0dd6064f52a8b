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
    places = jnp.arange(canvas, dtype=jnp.int32)
    # Beyond the grid the places wrap around to other ones beyond it, where there is nothing.
    backwards = (dim.astype(jnp.int32)[:, None] - 1 - places[None]) % canvas
    grid = grid[jnp.where(rows, backwards[0], places)]
    grid = grid[:, jnp.where(columns, backwards[1], places)]
    return grid, dim


def inverse_transform(index: jax.Array) -> jax.Array:
    """The transform that undoes the one of this index, int8 []."""
    return _table(_INVERSES, index)


def compose_transforms(second: jax.Array, first: jax.Array) -> jax.Array:
    """The transform that does `first` and then `second`, all int8 []."""
    return _table(_PRODUCTS, second * jnp.int8(len(TRANSFORMS)) + first)


def roll(grid: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """A grid [N, M] moved down and right by int32 [] cells, what leaves it coming back opposite."""
    height, width = grid.shape
    grid = grid[(jnp.arange(height, dtype=jnp.int32) - rows) % height]
    return grid[:, (jnp.arange(width, dtype=jnp.int32) - columns) % width]


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
