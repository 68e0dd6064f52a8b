"""Selections: a mask, a box or a point as the words that operations take.

All three are pure and unbatched. What is not on the canvas is not selected; a caller that has
concrete numbers should have refused it before (the spaces of the environments do).
"""

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle import planes


def from_mask(mask: jax.Array) -> jax.Array:
    """The words uint32 [N] of a mask, bool or an integer dtype [N, N]; what is not 0 is selected.

    Raises:
        ValueError: not a square of at most 32 cells a side.
    """
    if mask.ndim != 2 or mask.shape[0] != mask.shape[1] or mask.shape[0] > planes.WORD:
        raise ValueError(f"a selection is a mask [N, N], N <= 32, got shape {list(mask.shape)}")
    return planes.pack_mask(mask)


def from_box(box: jax.Array, side: int) -> jax.Array:
    """The words uint32 [side] of a box.

    Args:
        box: an integer dtype [4]: row and column of a corner, then of the opposite one, both
            inclusive. Any two opposite corners in any order say the same box.
        side: of the canvas.

    Raises:
        ValueError: not of shape [4].
    """
    if box.shape != (4,):
        raise ValueError(f"a box is (x0, y0, x1, y1), got shape {list(box.shape)}")
    corners = box.astype(jnp.int32).reshape(2, 2)
    first, last = corners.min(axis=0), corners.max(axis=0)
    rows = jnp.arange(side, dtype=jnp.int32)
    low = planes.lowest(jnp.clip(first[1], 0, side))
    high = planes.lowest(jnp.clip(last[1] + 1, 0, side))
    inside = (rows >= first[0]) & (rows <= last[0])
    return jnp.where(inside, high & ~low, jnp.uint32(0))


def from_point(point: jax.Array, side: int) -> jax.Array:
    """The words uint32 [side] of one cell.

    Args:
        point: an integer dtype [2], row and column.
        side: of the canvas.

    Raises:
        ValueError: not of shape [2].
    """
    if point.shape != (2,):
        raise ValueError(f"a point is (x, y), got shape {list(point.shape)}")
    return from_box(jnp.concatenate([point, point]), side)
