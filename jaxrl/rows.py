"""Work on the few rows of a batch that need it, in chunks of a fixed size.

Environments that ended need this: they are reset, and the observation in which they ended is
valued. That is rare, so computing it for the whole batch and selecting afterwards wastes almost
all of the work; and its count depends on data, which XLA cannot express as a shape. A while loop
over fixed-size chunks costs nothing when no row is selected and otherwise costs in proportion to
the number of selected rows.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import chex
import jax
import jax.numpy as jnp

from jaxrl.dtypes import strong

Rows = TypeVar("Rows")
Result = TypeVar("Result")


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
        computed = computed + jnp.where(jnp.any(pending), chunk, 0).astype(jnp.int32)
        return pending.at[index].set(False, mode="drop"), rows, computed

    def loop(rows):
        carry = (mask, rows, jnp.int32(0))
        return jax.lax.while_loop(lambda carry: _anywhere(carry[0]), body, carry)[1:]

    # The conditional looks superfluous, but a loop copies its operands even if it is not entered.
    return jax.lax.cond(_anywhere(mask), loop, lambda rows: (rows, jnp.int32(0)), rows)


def apply_where(flag: jax.Array, fn: Callable[..., Rows], rows: Rows, *extras: Any) -> Rows:
    """`fn(rows, *extras)` where `flag`, else `rows`; under `vmap` computed for flagged rows only.

    `jax.lax.cond` becomes a select when it is vmapped, so that every row pays for the branch. This
    computes the flagged rows in chunks (`update_rows_where`) instead.

    Args:
        flag: bool [].
        fn: a pure function that closes over no tracer.
        rows: what may change.
        *extras: pytrees that `fn` reads besides.
    """

    @jax.custom_batching.custom_vmap
    def apply(flag: jax.Array, rows: Rows, extras: Any) -> Rows:
        return jax.lax.cond(flag, lambda: fn(rows, *extras), lambda: rows)

    @apply.def_vmap
    def _(axis_size: int, in_batched: Any, flag: jax.Array, rows: Rows, extras: Any) -> Any:
        flag_batched, rows_batched, extras_batched = in_batched

        def spread(x: jax.Array, batched: bool) -> jax.Array:
            return x if batched else jnp.broadcast_to(x, (axis_size, *x.shape))

        rows = jax.tree.map(spread, rows, rows_batched)
        axes = jax.tree.map(lambda batched: 0 if batched else None, extras_batched)

        def compute(index: jax.Array, rows: Rows) -> Rows:
            chosen = jax.tree.map(
                lambda x, batched: x[index] if batched else x, extras, extras_batched
            )
            result: Rows = jax.vmap(lambda rows, extras: fn(rows, *extras), (0, axes))(rows, chosen)
            return result

        # On a CPU half of what resets use, for rows are few and cost little; elsewhere a turn costs
        # about the same however many rows it has.
        if jax.default_backend() == "cpu":
            chunk = min(axis_size, max(4, default_chunk(axis_size) // 2))
        else:
            chunk = min(axis_size, max(256, axis_size // 8))
        rows, _ = update_rows_where(spread(flag, flag_batched), chunk, rows, compute)
        return rows, jax.tree.map(lambda _: True, rows)

    return apply(flag, rows, extras)


def few_at_once(size: int, fn: Callable[..., Result], *args: Any) -> Result:
    """`fn(*args)`; under `vmap` on a CPU computed for `size` rows at once, for the caches' sake.

    Args:
        size: static, at least 1.
        fn: a pure function that closes over no tracer.
        *args: pytrees of arrays.
    """

    @jax.custom_batching.custom_vmap
    def run(args: Any) -> Result:
        return fn(*args)

    @run.def_vmap
    def _(axis_size: int, in_batched: Any, args: Any) -> Any:
        leaves, treedef = jax.tree.flatten(args)
        batched = jax.tree.leaves(in_batched[0])
        rows = [leaf for leaf, is_row in zip(leaves, batched, strict=True) if is_row]

        def one(rows: list[jax.Array]) -> Result:
            mine = iter(rows)
            merged = [
                next(mine) if is_row else leaf for leaf, is_row in zip(leaves, batched, strict=True)
            ]
            return fn(*jax.tree.unflatten(treedef, merged))

        def in_turn(rows: list[jax.Array]) -> Any:
            return jax.lax.map(one, rows, batch_size=size)

        if axis_size <= size:
            result = jax.vmap(one)(rows)
        else:
            result = jax.lax.platform_dependent(rows, cpu=in_turn, default=jax.vmap(one))
        return result, jax.tree.map(lambda _: True, result)

    # Where jit is disabled, results that are constants come out as Python's numbers.
    result: Result = strong(run(args))
    return result


@jax.custom_batching.custom_vmap
def _anywhere(mask: jax.Array) -> jax.Array:
    """Whether any row is selected, in any of the batches that `vmap` makes of the program.

    One answer for all of them: a condition that differs between batches would make `vmap` turn
    the conditional and every turn of the loop into a select over all rows. A batch without
    selected rows takes part in the loop and changes nothing.
    """
    return jnp.any(mask)


@_anywhere.def_vmap
def _(axis_size: int, in_batched: list[bool], mask: jax.Array) -> tuple[jax.Array, bool]:
    del axis_size, in_batched
    return _anywhere(mask.reshape(-1)), False
