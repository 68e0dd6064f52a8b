"""Chunked work on selected rows, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrl.rows import apply_where, default_chunk, few_at_once, update_rows_where


@jax.jit
def _square_selected(mask, rows):
    def compute(index, old):
        return {"x": jnp.square(index.astype(jnp.float32)), "y": index[:, None] - 100 * old["y"]}

    return update_rows_where(mask, 3, rows, compute)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=7, max_size=7))
def test_exactly_the_selected_rows_are_replaced(selected):
    mask = np.asarray(selected)
    rows = {"x": -np.ones(7, np.float32), "y": np.full((7, 1), -1, np.int32)}
    new, computed = _square_selected(mask, rows)
    index = np.arange(7)
    np.testing.assert_array_equal(new["x"], np.where(mask, index**2, -1))
    np.testing.assert_array_equal(new["y"][:, 0], np.where(mask, index + 100, -1))
    assert computed == 3 * int(np.ceil(mask.sum() / 3))


def test_vmapped_rows_equal_a_loop():
    masks = np.asarray([[1, 0, 1, 1, 1, 0, 0], [0] * 7, [1] * 7], bool)
    rows = {"x": -np.ones((3, 7), np.float32), "y": np.full((3, 7, 1), -1, np.int32)}
    batched, computed = jax.vmap(_square_selected)(masks, rows)
    assert computed.tolist() == [6, 0, 9]
    for i in range(3):
        single, _ = _square_selected(masks[i], jax.tree.map(lambda x, i=i: x[i], rows))
        jax.tree.map(lambda a, b, i=i: np.testing.assert_array_equal(a[i], b), batched, single)


@pytest.mark.parametrize("chunk", [0, 8])
def test_a_chunk_outside_the_batch_is_refused(chunk):
    with pytest.raises(ValueError, match="chunk must be in"):
        update_rows_where(jnp.zeros(7, bool), chunk, jnp.zeros(7), lambda i, x: x)


@pytest.mark.parametrize(("rows", "chunk"), [(1, 1), (3, 3), (16, 4), (64, 8), (8192, 256)])
def test_default_chunk(rows, chunk):
    assert default_chunk(rows) == chunk


def _renew(rows, extras):
    """New rows from the old ones, a key, a table and a number."""
    key, table, scale = extras
    noise = jax.random.normal(key, rows["x"].shape)
    return {"x": rows["x"] * scale + noise, "n": rows["n"] + jnp.sum(table, dtype=jnp.int32)}


def _where(flag, rows, extras):
    return apply_where(flag, _renew, rows, extras)


def _cond(flag, rows, extras):
    return jax.lax.cond(flag, lambda: _renew(rows, extras), lambda: rows)


def _case(*batch):
    count = int(np.prod(batch, dtype=int))
    flag = (jnp.arange(count) % 3 == 1).reshape(batch)
    rows = {
        "x": jnp.arange(count * 2, dtype=jnp.float32).reshape(*batch, 2),
        "n": jnp.arange(count, dtype=jnp.int32).reshape(batch),
    }
    keys = jax.random.split(jax.random.key(0), batch) if batch else jax.random.key(0)
    return flag, rows, (keys, jnp.arange(4, dtype=jnp.int32), jnp.full(batch, 0.5))


def _equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


EXTRAS = (0, None, 0)  # the table is the same for all


def test_apply_where_is_a_conditional():
    _, rows, extras = _case()
    for flag in (jnp.asarray(False), jnp.asarray(True)):
        _equal(jax.jit(_where)(flag, rows, extras), jax.jit(_cond)(flag, rows, extras))


@pytest.mark.parametrize("num", [1, 5, 40])
def test_apply_where_under_vmap_is_a_conditional(num):
    case = _case(num)
    axes = (0, 0, EXTRAS)
    _equal(jax.jit(jax.vmap(_where, axes))(*case), jax.jit(jax.vmap(_cond, axes))(*case))


@pytest.mark.parametrize("axes", [(None, 0, EXTRAS), (0, None, EXTRAS), (0, 0, None)])
def test_apply_where_with_arguments_that_have_no_batch(axes):
    flag, rows, extras = _case(6)
    one = jax.tree.map(lambda x: x[1], (flag, rows, (extras[0], extras[2])))
    flag = flag if axes[0] == 0 else one[0]
    rows = rows if axes[1] == 0 else one[1]
    extras = extras if axes[2] is not None else (one[2][0], extras[1], one[2][1])
    args = (flag, rows, extras)
    _equal(jax.jit(jax.vmap(_where, axes))(*args), jax.jit(jax.vmap(_cond, axes))(*args))


def test_apply_where_under_nested_vmap():
    case, inner = _case(3, 5), (0, 0, EXTRAS)
    nested = [jax.jit(jax.vmap(jax.vmap(fn, inner), inner)) for fn in (_where, _cond)]
    _equal(nested[0](*case), nested[1](*case))
    # The keys and the scale only along the inner axis.
    flag, rows, (keys, table, scale) = case
    outer = (0, 0, None)
    nested = [jax.jit(jax.vmap(jax.vmap(fn, inner), outer)) for fn in (_where, _cond)]
    args = (flag, rows, (keys[0], table, scale[0]))
    _equal(nested[0](*args), nested[1](*args))


def test_apply_where_computes_no_more_than_the_flagged_rows_in_chunks():
    seen = []

    def note(rows):
        jax.debug.callback(lambda x: seen.extend(np.atleast_1d(x).tolist()), rows)
        return rows + 1

    flag = jnp.arange(64) < 9
    rows = jnp.arange(64, dtype=jnp.int32)
    jax.block_until_ready(jax.jit(jax.vmap(lambda f, r: apply_where(f, note, r)))(flag, rows))
    jax.effects_barrier()
    # Chunks of 4 rows: three of them, filled up with the last row.
    assert sorted(seen) == [*range(9), *[63] * 3]


def _walk(key, start, steps):
    return {"end": start + jnp.sum(jax.random.normal(key, (4,))) * steps, "steps": steps}


@pytest.mark.parametrize("num", [1, 3, 4, 10])
def test_few_at_once_is_vmap(num):
    keys, start = jax.random.split(jax.random.key(1), num), jnp.arange(num, dtype=jnp.float32)
    axes = (0, 0, None)
    few = jax.jit(jax.vmap(lambda *args: few_at_once(4, _walk, *args), axes))
    _equal(few(keys, start, 2.0), jax.jit(jax.vmap(_walk, axes))(keys, start, 2.0))


def test_few_at_once_alone_and_under_nested_vmap():
    keys, start = jax.random.split(jax.random.key(1), (3, 5)), jnp.zeros((3, 5))

    def few(*args):
        return few_at_once(2, _walk, *args)

    alone = (keys[0, 0], start[0, 0], jnp.float32(2))
    _equal(jax.jit(few)(*alone), jax.jit(_walk)(*alone))
    nested, plain = (
        jax.jit(jax.vmap(jax.vmap(fn, (0, 0, None)), (0, None, None))) for fn in (few, _walk)
    )
    _equal(nested(keys, start[0], 2.0), plain(keys, start[0], 2.0))


def test_few_at_once_without_jit_gives_arrays():
    with jax.disable_jit():
        flag, number = few_at_once(2, lambda x: (jnp.asarray(False), x), jnp.int32(3))
    assert (flag.dtype, number.dtype) == (jnp.bool_, jnp.int32)
