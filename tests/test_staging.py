"""Stages give what their function gives, and compute it once."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.staging import stage


def _normal(x, table):
    """Two results, one an integer, from a row and a table."""
    return {"y": jnp.exp(x)[:, None] * table, "n": jnp.argmax(x).astype(jnp.int32)}


def _staged(time, x, table):
    return stage(time >= 0, _normal, x, table)


def _data(*batch):
    key = jax.random.key(0)
    x = jax.random.normal(key, (*batch, 3))
    return jnp.arange(np.prod(batch, dtype=int)).reshape(batch), x, jnp.ones((3, 2))


def assert_same(actual, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), actual, expected)


def test_a_stage_is_its_function():
    time, x, table = _data()
    assert_same(jax.jit(_staged)(time, x, table), _normal(x, table))
    assert_same(_staged(time, x, table), _normal(x, table))


def test_under_vmap_with_arguments_that_have_no_batch():
    time, x, table = _data(5)
    expected = jax.vmap(_normal, (0, None))(x, table)
    assert_same(jax.jit(jax.vmap(_staged, (0, 0, None)))(time, x, table), expected)
    one = jax.jit(jax.vmap(_staged, (0, None, None)))(time, x[0], table)
    assert_same(one, jax.tree.map(lambda leaf: jnp.stack([leaf] * 5), _normal(x[0], table)))
    assert_same(jax.jit(jax.vmap(_staged, (None, 0, None)))(time[0], x, table), expected)


def test_under_nested_vmap_and_in_a_scan():
    time, x, table = _data(4, 3)
    tables = jnp.stack([table * i for i in range(3)])
    nested = jax.vmap(jax.vmap(_staged, (0, 0, 0)), (0, 0, None))
    plain = jax.vmap(jax.vmap(_normal), (0, None))(x, tables)
    assert_same(jax.jit(nested)(time, x, tables), plain)

    def body(carry, row):
        return carry + 1, jax.vmap(_staged, (0, 0, 0))(*row, tables)

    assert_same(jax.jit(lambda: jax.lax.scan(body, 0, (time, x))[1])(), plain)


def test_results_are_computed_once_not_for_each_use():
    # Every pair of results is compared: fused, the logarithm would be taken for each pair.
    def pairs(stage_of):
        def run(time, x):
            found = stage_of(time >= 0, lambda x: jnp.log(x) * jnp.sin(x), x)
            return jnp.sum(found[:, None] < found[None, :], dtype=jnp.int32)

        return jax.jit(run).lower(jnp.int32(0), jnp.ones(64)).compile().as_text()

    def fused(text):
        """Whether one computation has the function and the comparison of its results."""
        parts = re.split(r"\n\n", text)
        return any(" sine(" in part and "compare(" in part for part in parts)

    assert fused(pairs(lambda always, fn, x: fn(x))), "the check itself sees nothing"
    assert not fused(pairs(stage))
