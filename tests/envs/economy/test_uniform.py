"""Random maps against maps that the package drew, options, and random places."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.economy.uniform import UniformMaps, random_places
from tests.envs.economy.record_gather_trade_build import MAP_OPTIONS, MAPS
from tests.envs.economy.replay_gather_trade_build import maps_of

KEY = jax.random.key(3)
DRAWN = 500
# Of a mean's standard errors: some of dozens of means are off by three.
ERRORS = 4

with np.load(Path(__file__).with_name("recorded_gather_trade_build.npz")) as archive:
    RECORDED = {name: archive[f"maps/{name}"] for name in MAP_OPTIONS}


@functools.cache
def ours(name):
    shape, options = MAP_OPTIONS[name]
    maps = maps_of({"world_size": shape, **options})
    return np.asarray(jax.jit(jax.vmap(maps))(jax.random.split(KEY, DRAWN)))


def theirs(name):
    return np.unpackbits(RECORDED[name], axis=-1, count=MAP_OPTIONS[name][0][1])


def statistics(sources):
    """Of each of M maps [M, C, H, W]: tiles, pairs of neighbours a tile, and tiles by row."""
    sources = sources.astype(float)
    tiles = sources.sum(axis=(-2, -1))
    beside = (sources[..., 1:] * sources[..., :-1]).sum(axis=(-2, -1))
    below = (sources[..., 1:, :] * sources[..., :-1, :]).sum(axis=(-2, -1))
    rows = sources.sum(axis=-1).reshape(len(sources), -1)
    return np.concatenate([tiles, tiles**2, (beside + below) / np.maximum(tiles, 1), rows], axis=1)


@pytest.mark.parametrize("name", MAP_OPTIONS)
def test_distribution_is_that_of_the_package(name):
    mine, known = statistics(ours(name)), statistics(theirs(name))
    assert len(known) == MAPS
    error = np.sqrt(mine.var(axis=0) / len(mine) + known.var(axis=0) / len(known))
    # Rows in which either has next to nothing have no normal distribution to go by.
    gap = np.abs(mine.mean(axis=0) - known.mean(axis=0))
    np.testing.assert_array_less(gap, ERRORS * np.maximum(error, 0.01))


@pytest.mark.parametrize("name", MAP_OPTIONS)
def test_no_tile_has_both_and_shares_are_near_their_aim(name):
    sources = ours(name)
    assert not sources.all(axis=1).any()
    if name != "checkered":
        maps = maps_of({"world_size": MAP_OPTIONS[name][0], **MAP_OPTIONS[name][1]})
        quotient = sources.mean(axis=(-2, -1)) / maps.coverages
        # 100 attempts, of which about two of three are good: none is ever used up.
        assert quotient.min() >= 1 / 1.4 and quotient.max() <= 1.4


def test_checkered_maps_use_every_second_tile():
    row, column = np.indices(MAP_OPTIONS["checkered"][0])
    assert not ours("checkered")[:, :, (row + column) % 2 == 0].any()


def test_first_tiles_of_stone_are_scaled_by_the_share_of_wood():
    """The package's fault: by hand, rows 0, 1, 2 of steepness 2 are 0, 1, 4 over a mean of 5/3."""
    maps = UniformMaps((3, 2), stone_coverage=0.1, wood_coverage=0.3, gradient_steepness=2)
    stone, wood = maps.probabilities
    np.testing.assert_allclose(wood[:, 0], 0.3 * np.array([0, 0.6, 2.4]))
    np.testing.assert_allclose(stone[:, 0], 0.3 * np.array([2.4, 0.6, 0]))
    assert maps.coverages == (0.1, 0.3)
    assert UniformMaps((10, 20), stone_coverage=20).coverages == (0.1, 0.025)
    assert UniformMaps((10, 20), stone_coverage=20, checkered=True).coverages == (0.2, 0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (1, 5)}, r"shape must be at least \(2, 1\), got \(1, 5\)"),
        ({"stone_coverage": 0.0}, "stone_coverage must be positive"),
        ({"wood_coverage": float("nan")}, "wood_coverage must be positive"),
        ({"wood_coverage": 0.3, "stone_coverage": 0.2}, "less than half of the map"),
        ({"wood_coverage": 113}, "less than half of the map"),
        ({"wood_clumpiness": 1.5}, "wood_clumpiness must be in 0..1, got 1.5"),
        ({"stone_clumpiness": -0.1}, "stone_clumpiness"),
        ({"gradient_steepness": 0.5}, "gradient_steepness must be finite and at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        UniformMaps(**{"shape": (15, 15), **options})


def test_random_places_are_distinct_free_and_equally_likely():
    free = jnp.asarray(np.array([[1, 1, 0], [1, 0, 1]], bool))
    draws = 2000
    keys = jax.random.split(KEY, draws)
    places = np.asarray(jax.jit(jax.vmap(lambda key: random_places(key, free, 3)))(keys))
    tile = places[..., 0] * 3 + places[..., 1]
    assert places.dtype == np.int32 and places.shape == (draws, 3, 2)
    assert (np.sort(tile, axis=1)[:, 1:] > np.sort(tile, axis=1)[:, :-1]).all()
    # Each agent on each of 4 free tiles with p = 1/4: a standard error of 0.0097.
    for agent in range(3):
        share = np.bincount(tile[:, agent], minlength=6) / draws
        np.testing.assert_allclose(share, [0.25, 0.25, 0, 0.25, 0, 0.25], atol=0.04)
    # All 4 tiles for all 3 agents can be told apart: 24 orders, each 2000/24 = 83 +- 9 times.
    counts = np.unique(tile, axis=0, return_counts=True)[1]
    assert len(counts) == 24 and counts.min() > 45 and counts.max() < 125


def test_random_places_that_there_are_none():
    with pytest.raises(ValueError, match=r"agents must be in 1..6 on \(2, 3\) tiles, got 7"):
        random_places(KEY, jnp.ones((2, 3), jnp.bool_), 7)
