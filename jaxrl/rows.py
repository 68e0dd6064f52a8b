"""Work on the few rows of a batch that need it, in chunks of a fixed size.

Environments that ended need this: they are reset, and the observation in which they ended is
valued. That is rare, so computing it for the whole batch and selecting afterwards wastes almost
all of the work; and its count depends on data, which XLA cannot express as a shape. A while loop
over fixed-size chunks costs nothing when no row is selected and otherwise costs in proportion to
the number of selected rows.
"""

from collections.abc import Callable
from typing import TypeVar

import chex
import jax
import jax.numpy as jnp

Rows = TypeVar("Rows")


def default_chunk(num_rows: int) -> int:
    """Chunk size for a batch of `num_rows`: an eighth of it, at least 4 and at most 256 rows.

    Small enough that one selected row costs a fraction of the batch, large enough that a
    batch which ends all at once needs at most about eight iterations per 256 rows.
    """
    return min(num_rows, max(4, min(256, num_rows // 8)))


def update_rows_where(
    mask: jax.Array, chunk: int, rows: Rows, compute: Callable[[jax.Array, Rows], Rows]
) -> tuple[Rows, jax.Array]:
    """Replaces `rows[i]` by `compute(i, rows[i])` wherever `mask[i]`, `chunk` rows at a time.

    Args:
        mask: bool [N], the rows to replace.
        chunk: static number of rows computed at once, 1 <= chunk <= N.
        rows: pytree of arrays [N, ...].
        compute: maps row indices int32 [chunk] and those rows, leaves [chunk, ...], to new
            ones. Unused places of the last chunk repeat row N - 1 in the call and their results
            are dropped.

    Returns:
        The updated rows, and the number of rows computed: int32 [], the selected rows rounded
        up to a multiple of `chunk`, zero where none was selected.
    """
    chex.assert_rank(mask, 1)
    num_rows = mask.shape[0]
    if not 1 <= chunk <= num_rows:
        raise ValueError(f"chunk must be in [1, {num_rows}], got {chunk}")

    def body(carry):
        pending, rows, computed = carry
        (index,) = jnp.nonzero(pending, size=chunk, fill_value=num_rows)
        row = jnp.minimum(index, num_rows - 1).astype(jnp.int32)
        new = compute(row, jax.tree.map(lambda x: x[row], rows))
        rows = jax.tree.map(lambda old, x: old.at[index].set(x, mode="drop"), rows, new)
        pending = pending.at[index].set(False, mode="drop")
        return pending, rows, computed + chunk

    carry = (mask, rows, jnp.int32(0))
    _, rows, computed = jax.lax.while_loop(lambda carry: jnp.any(carry[0]), body, carry)
    return rows, computed
