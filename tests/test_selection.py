"""The first true entries of a mask, against `np.flatnonzero`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.selection import first_true, nth_true


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
