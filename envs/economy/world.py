"""The map that an economy is on: where things grow, and how they grow back."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.economy.layouts import Layout, check
from jaxrl.envs.economy.state import COMMODITIES
from jaxrl.envs.economy.uniform import UniformMaps


class World(NamedTuple):
    """Where agents live.

    Attributes:
        shape: H and W.
        has_water: whether there can be water; if not, it is not observed.
        generate: key -> (sources bool [C, H, W], water bool [H, W]) of an episode.
        layout: the map, where it is always the same.
    """

    shape: tuple[int, int]
    has_water: bool
    generate: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
    layout: Layout | None = None


def fixed_world(layout: Layout) -> World:
    """The same map in every episode.

    Raises:
        ValueError: a layout that is none.
    """
    layout = check(layout)
    sources, water = np.asarray(layout.sources), np.asarray(layout.water)

    def generate(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.asarray(sources), jnp.asarray(water)

    return World(layout.shape, True, generate, layout)


def random_world(maps: UniformMaps) -> World:
    """A random map in each episode, without water."""

    def generate(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return maps(key), jnp.zeros(maps.shape, jnp.bool_)

    return World(maps.shape, False, generate)


def regrowth_draws(world: World, key: jax.Array, dtype: Any) -> jax.Array:
    """Draws of a step for `grow_back`, uniform in 0..1 on sources, float [C, H, W].

    Where sources are always the same only they are drawn for, which is a small part of the map;
    all other tiles have 1, with which nothing grows.
    """
    if world.layout is None:
        return jax.random.uniform(key, (len(COMMODITIES), *world.shape), dtype)
    sources = world.layout.sources
    count = int(sources.sum())
    draws = jax.random.uniform(key, (count,), dtype)
    where = np.flatnonzero(sources.reshape(-1))
    return jnp.ones(sources.size, dtype).at[where].set(draws).reshape(sources.shape)


def grow_back(
    resources: jax.Array,
    sources: jax.Array,
    draws: jax.Array,
    weight: jax.Array,
    most: jax.Array,
    reach: tuple[int, ...],
) -> jax.Array:
    """Sources regain a unit with a probability that grows with what is around them.

    A source's probability is its weight times the mean, over the (2 r + 1)^2 tiles around it, of
    the units there, sources counting as at least one.

    Args:
        resources: int8 [C, H, W].
        sources: bool [C, H, W].
        draws: float [C, H, W], uniform in 0..1.
        weight: float [C].
        most: int [C], units that a tile can hold.
        reach: r of each commodity.

    Returns:
        int8 [C, H, W].
    """
    units = jnp.maximum(resources, sources.astype(jnp.int8)).astype(draws.dtype)
    if len(set(reach)) == 1:
        mean = jax.vmap(_mean_around, in_axes=(0, None))(units, reach[0])
    else:
        mean = jnp.stack([_mean_around(units[i], r) for i, r in enumerate(reach)])
    grows = sources & (draws < weight[:, None, None] * mean)
    grown = resources + grows.astype(jnp.int8)
    return jnp.minimum(grown, most.astype(jnp.int8)[:, None, None])


def _mean_around(values: jax.Array, reach: int) -> jax.Array:
    """The mean over the square around each tile of [H, W], zeros beyond the map."""
    if reach == 0:
        return values
    size = 2 * reach + 1
    padding = ((reach, reach), (reach, reach))
    ones = (size, size)
    total = jax.lax.reduce_window(
        values, jnp.zeros((), values.dtype), jax.lax.add, ones, (1, 1), padding
    )
    return total / (size * size)
