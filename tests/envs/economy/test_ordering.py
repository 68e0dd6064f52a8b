"""Ranks and random orders, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.economy.ordering import ascending, random_order, ranks
from tests.unoptimised import jit


def test_of_equal_values_the_earlier_comes_first():
    values = jnp.float32([3, 1, 3, -2, 1])
    assert ranks(values).tolist() == [3, 1, 4, 0, 2]
    assert ascending(values).tolist() == [-2, 1, 1, 3, 3]
    assert ascending(values).dtype == jnp.float32


def test_values_are_those_of_numpy_in_order():
    values = np.random.default_rng(0).normal(size=37).astype(np.float32)
    np.testing.assert_array_equal(ascending(jnp.asarray(values)), np.sort(values))
    np.testing.assert_array_equal(jnp.argsort(ranks(jnp.asarray(values))), np.argsort(values))


def test_every_order_is_equally_likely():
    orders = jit(jax.vmap(lambda key: random_order(key, 3)))(
        jax.random.split(jax.random.key(0), 6000)
    )
    found, counts = np.unique(np.asarray(orders), axis=0, return_counts=True)
    assert len(found) == 6 and orders.dtype == jnp.int32
    # Five standard deviations of a binomial.
    np.testing.assert_allclose(counts, 1000, atol=5 * np.sqrt(6000 / 6 * 5 / 6))
