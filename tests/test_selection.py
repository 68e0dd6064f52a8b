"""The first true entries of a mask, against `np.flatnonzero`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.selection import first_true, for_each_true, nth_true


def masks_of(num):
    rng = np.random.default_rng(num)
    edges = [np.arange(num) == place for place in {0, num - 1, min(31, num - 1), min(32, num - 1)}]
    sparse, dense = rng.random((2, 6, num)) < np.asarray([0.1, 0.9])[:, None, None]
    return np.stack([np.zeros(num, bool), np.ones(num, bool), *edges, *sparse, *dense])


def padded(mask, size):
    found = np.flatnonzero(mask)[:size]
    return [*found, *[len(mask)] * (size - len(found))]


# Words have 32 entries; up to 8 words are looked through one by one, beyond that by a gather.
@pytest.mark.parametrize("num", [1, 31, 32, 33, 64, 192, 255, 256, 257, 300])
def test_first_true_is_flatnonzero(num):
    masks = masks_of(num)
    size = min(num, 40)
    found = jax.jit(jax.vmap(lambda mask: first_true(mask, size)))(masks)
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, [padded(mask, size) for mask in masks])


@pytest.mark.parametrize("num", [5, 32, 65, 300])
def test_nth_true_is_flatnonzero(num):
    masks, numbers = masks_of(num), np.arange(num, dtype=np.int32)
    found = jax.jit(jax.vmap(jax.vmap(nth_true, (None, 0)), (0, None)))(masks, numbers)
    np.testing.assert_array_equal(found, [padded(mask, num) for mask in masks])


def test_more_may_be_asked_for_than_there_are():
    np.testing.assert_array_equal(first_true(jnp.asarray([False, True]), 4), [1, 2, 2, 2])


def test_a_mask_has_one_axis():
    with pytest.raises(AssertionError):
        first_true(jnp.zeros((2, 3), bool), 1)


def test_each_true_entry_has_its_turn_in_order():
    rng = np.random.default_rng(4)
    masks = rng.random((6, 17)) < np.asarray([[0.0], [0.1], [0.3], [0.5], [0.9], [1.0]])

    def digits(mask):
        def append(carry, index):
            seen, count = carry
            return seen.at[count].set(index), count + jnp.int32(1)

        start = (jnp.full(17, -1, jnp.int32), jnp.int32(0))
        return for_each_true(mask, append, start)

    seen, count = jax.jit(jax.vmap(digits))(jnp.asarray(masks))
    for mask, order, total in zip(masks, np.asarray(seen), np.asarray(count), strict=True):
        assert total == mask.sum()
        np.testing.assert_array_equal(order[:total], np.flatnonzero(mask))
        assert (order[total:] == -1).all()
