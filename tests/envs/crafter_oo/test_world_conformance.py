"""Our worlds against those of the package `crafter` 1.8.3, from the same draws."""

import crafter
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.draws import WorldDraws
from jaxrl.envs.crafter_oo.reference import snapshot
from jaxrl.envs.crafter_oo.tape import record_world
from jaxrl.envs.crafter_oo.worldgen import generate
from tests.unoptimised import jit

AREA, CAPACITY = (48, 56), 96


@pytest.fixture(scope="module")
def worlds():
    """(draws, state at the start) of two worlds, neither square nor whole in chunks."""
    recorded = []
    for seed in (0, 3):
        env = crafter.Env(area=AREA, seed=seed)
        draws = record_world(env)
        recorded.append((draws, snapshot(env, CAPACITY)))
    return recorded


@jit
def _generate(draws, rules):
    return generate(draws, AREA, CAPACITY, rules)


def build(draws, dtype):
    """The start state, with draws and thresholds in a dtype."""
    draws = WorldDraws(*(jnp.asarray(x, dtype if x.dtype == np.float64 else None) for x in draws))
    thresholds = jax.tree.map(lambda x: jnp.asarray(x, dtype), rule_sets.Terrain())
    rules = rule_sets.crafter().replace(terrain=thresholds)
    return jax.tree.map(np.asarray, _generate(draws, rules))


def test_start_states_in_float64_are_those_of_the_reference(worlds):
    for draws, expected in worlds:
        # The distances from the start are float32 whatever the draws are.
        with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
            state = build(draws, jnp.float64)
        for (path, leaf), want in zip(
            jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(expected), strict=True
        ):
            assert leaf.dtype == want.dtype, path
            np.testing.assert_array_equal(leaf, want, err_msg=str(path))


def test_materials_in_float32_are_those_of_the_reference_but_for_a_few(worlds):
    for draws, expected in worlds:
        state = build(draws, jnp.float32)
        assert (state.materials == expected.materials).mean() >= 0.999
