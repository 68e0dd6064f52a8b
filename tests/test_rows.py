"""Chunked work on selected rows, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrl.rows import default_chunk, update_rows_where


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
