"""Grids of cells that are smaller than the array they are in: rows and columns from the corner."""

import jax
import jax.numpy as jnp


def inside(dim: jax.Array, height: int, width: int) -> jax.Array:
    """Which cells of a canvas lie in grids of `dim` rows and columns, bool [..., height, width].

    Args:
        dim: numbers [..., 2], of a dtype that holds `height` and `width`.
        height: rows of the canvas.
        width: columns of the canvas.
    """
    lead = (1,) * (dim.ndim - 1)
    rows = jnp.arange(height, dtype=dim.dtype).reshape((*lead, height, 1))
    columns = jnp.arange(width, dtype=dim.dtype).reshape((*lead, 1, width))
    return (rows < dim[..., 0, None, None]) & (columns < dim[..., 1, None, None])
