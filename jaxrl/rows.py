"""Work on the few rows of a batch that need it, in chunks of a fixed size.

Two places need this: environments that ended are reset, and observations in which an
episode was truncated are valued. Both are rare, so computing them for the whole batch and
selecting afterwards wastes almost all of the work; both have data-dependent counts, which
XLA cannot express as a shape. A while loop over fixed-size chunks costs nothing when no row
is selected and otherwise costs in proportion to the number of selected rows.
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
    mask: jax.Array, chunk: int, rows: Rows, compute: Callable[[jax.Array], Rows]
) -> tuple[Rows, jax.Array]:
    """Replaces `rows[i]` by `compute(i)` wherever `mask[i]`, `chunk` rows at a time.

    Args:
        mask: bool [N], the rows to replace.
        chunk: static number of rows computed at once, 1 <= chunk <= N.
        rows: pytree of arrays [N, ...].
        compute: maps row indices int32 [chunk] to new rows, a pytree like `rows` with leading
            axis [chunk]. Unused places of the last chunk repeat index N - 1 in the call and
            their results are dropped.

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
        new = compute(jnp.minimum(index, num_rows - 1).astype(jnp.int32))
        rows = jax.tree.map(lambda old, x: old.at[index].set(x, mode="drop"), rows, new)
        pending = pending.at[index].set(False, mode="drop")
        return pending, rows, computed + chunk

    carry = (mask, rows, jnp.int32(0))
    _, rows, computed = jax.lax.while_loop(lambda carry: jnp.any(carry[0]), body, carry)
    return rows, computed
