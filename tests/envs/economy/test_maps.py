"""Maps of an economy: what grows back, where agents begin, and what is seen; by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.economy.components import Gather, PeriodicBracketTax
from jaxrl.envs.economy.layouts import parse
from jaxrl.envs.economy.uniform import UniformMaps
from jaxrl.envs.economy.world import grow_back, random_world, regrowth_draws
from tests.envs.economy.small_worlds import WORLD, economy
from tests.unoptimised import jit


def test_units_grow_back_on_sources_up_to_what_a_tile_holds():
    sources = jnp.asarray(parse("SW.;S.W").sources)
    resources = jnp.int8([[[2, 0, 0], [0, 0, 0]], [[0, 1, 0], [0, 0, 0]]])
    weight, most = jnp.float32([0.25, 0.5]), jnp.int32([3, 1])

    def grown(draw, reach=(0, 0)):
        draws = jnp.full((2, 2, 3), draw, jnp.float32)
        return grow_back(resources, sources, draws, weight, most, reach).tolist()

    # Stone with probability 0.25 a unit, empty sources counting as one; wood has no room at one.
    assert grown(0.24) == [[[3, 0, 0], [1, 0, 0]], [[0, 1, 0], [0, 0, 1]]]
    assert grown(0.26) == [[[3, 0, 0], [0, 0, 0]], [[0, 1, 0], [0, 0, 1]]]
    assert grown(0.5) == resources.tolist()
    # Over 3 x 3 tiles: stone (2 + 1) / 9, wood (1 + 1) / 9.
    assert grown(0.083, (1, 1)) == [[[3, 0, 0], [1, 0, 0]], [[0, 1, 0], [0, 0, 1]]]
    assert grown(0.084, (1, 1)) == [[[2, 0, 0], [0, 0, 0]], [[0, 1, 0], [0, 0, 1]]]
    assert grown(0.084, (0, 1)) == [[[3, 0, 0], [1, 0, 0]], [[0, 1, 0], [0, 0, 1]]]
    assert grown(0.12, (1, 1)) == resources.tolist()


def test_draws_of_regrowth_are_uniform_on_sources_and_one_elsewhere():
    key = jax.random.key(3)
    draws = np.asarray(regrowth_draws(WORLD, key, jnp.float32))
    assert draws.shape == (2, 3, 4) and (draws[~WORLD.layout.sources] == 1).all()
    assert (draws[WORLD.layout.sources] < 1).all()
    maps = random_world(UniformMaps((5, 6)))
    draws = regrowth_draws(maps, key, jnp.float32)
    assert draws.shape == (2, 5, 6) and (draws < 1).all() and len(np.unique(draws)) == 60


def test_agents_begin_on_land_apart():
    env, params = economy(Gather(), agents=11)  # as many as there is land
    places = jit(jax.vmap(lambda key: env.reset_env(key, params)[1].location))(
        jax.random.split(jax.random.key(0), 20)
    )
    tiles = np.asarray(places[..., 0] * 4 + places[..., 1])
    assert (np.sort(tiles) == [0, *range(2, 12)]).all()
    assert len({tuple(row) for row in tiles.tolist()}) > 15


def test_maps_by_hand():
    env, params = economy(Gather(), PeriodicBracketTax(), planner_maps=True)
    _, state = env.reset_env(jax.random.key(0), params)
    house = state.house.at[1, 0].set(0).at[1, 2].set(1)
    resources = state.resources.at[1, 0, 2].set(0)
    state = state.replace(location=jnp.int32([[0, 0], [2, 1]]), house=house, resources=resources)
    obs = env.observe(jax.random.key(0), state, None, params)
    # Stone, Wood, House, Water, sources of stone and of wood; for agents also what is the map.
    lies = np.zeros((6, 3, 4), int)
    lies[0, 2, 0] = lies[2, 1, 0] = lies[2, 1, 2] = lies[3, 0, 1] = lies[4, 2, 0] = 1
    lies[5, 0, 2] = 1
    np.testing.assert_array_equal(obs["planner"]["map"], lies)
    whose = np.zeros((2, 3, 4), int)
    whose[0, 1, 0], whose[0, 1, 2], whose[1, 0, 0], whose[1, 2, 1] = 2, 3, 2, 3
    np.testing.assert_array_equal(obs["planner"]["idx_map"], whose)

    assert obs["agents"]["map"].shape == (2, 7, 3, 3)
    padded = np.pad(np.concatenate([lies, np.ones((1, 3, 4), int)]), ((0, 0), (1, 1), (1, 1)))
    np.testing.assert_array_equal(obs["agents"]["map"][0], padded[:, 0:3, 0:3])
    np.testing.assert_array_equal(obs["agents"]["map"][1], padded[:, 2:5, 1:4])
    # Oneself is 1.
    np.testing.assert_array_equal(
        obs["agents"]["idx_map"],
        [
            [[[0, 0, 0], [0, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]]],
            [[[2, 0, 1], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]]],
        ],
    )
    names = [name for name in env.by_agent_features if name.startswith("world-loc")]
    assert names == ["world-loc-col", "world-loc-row"]
    column = env.agent_features.index("world-loc-row")
    np.testing.assert_allclose(obs["agents"]["flat"][:, column], [0, 2 / 3], rtol=1e-6)
    column = env.agent_features.index("world-loc-col")
    np.testing.assert_allclose(obs["agents"]["flat"][:, column], [0, 1 / 4])


def test_agents_that_see_everything():
    env, params = economy(Gather(), PeriodicBracketTax(), full_observability=True)
    obs, state = env.reset_env(jax.random.key(0), params)
    assert obs["agents"]["map"].shape == (2, 6, 3, 4)
    for agent in range(2):
        row, column = state.location[agent]
        assert obs["agents"]["idx_map"][agent, 1, row, column] == 1
        assert (obs["agents"]["idx_map"][agent, 1] == 3 - agent).sum() == 1
    assert not [name for name in env.agent_features if name.startswith("world-loc")]
    assert "map" not in obs["planner"]
