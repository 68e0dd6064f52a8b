"""Permutations are permutations, all alike likely, and independent of one another."""

import itertools

import jax
import numpy as np
import pytest

from jaxrl.permutation import permutations


@pytest.mark.parametrize("size", [1, 2, 7, 512, 1000, 65536, 65537])
def test_every_row_holds_every_index_once(size):
    rows = np.asarray(permutations(jax.random.key(3), 2, size))
    assert rows.dtype == np.int32
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(size), (2, 1)))


def test_orders_of_four_are_equally_likely():
    draws = 24_000
    rows = np.asarray(permutations(jax.random.key(0), draws, 4))
    order = {p: i for i, p in enumerate(itertools.permutations(range(4)))}
    counts = np.bincount([order[tuple(row)] for row in rows.tolist()], minlength=24)
    # Chi-squared with 23 degrees of freedom: 49.7 is exceeded once in a thousand.
    assert np.sum((counts - draws / 24) ** 2 / (draws / 24)) < 49.7


def test_rows_and_keys_differ_and_the_same_key_repeats():
    first = np.asarray(permutations(jax.random.key(0), 2, 4096))
    again = np.asarray(permutations(jax.random.key(0), 2, 4096))
    other = np.asarray(permutations(jax.random.key(1), 1, 4096))
    np.testing.assert_array_equal(first, again)
    # Independent permutations agree in one place on average, and hardly ever in ten.
    assert np.sum(first[0] == first[1]) < 10
    assert np.sum(first[0] == other[0]) < 10


def test_neighbours_are_parted():
    size = 8192
    row = np.asarray(permutations(jax.random.key(5), 1, size))[0]
    # The distance of two random places is size / 3 on average, its deviation size / sqrt(18).
    distance = np.abs(np.diff(np.argsort(row))).mean()
    assert abs(distance - size / 3) < 4 * size / np.sqrt(18 * size) * 2


@pytest.mark.parametrize(("count", "size"), [(0, 4), (4, 0)])
def test_nothing_to_permute_is_an_error(count, size):
    with pytest.raises(ValueError, match="at least 1"):
        permutations(jax.random.key(0), count, size)
