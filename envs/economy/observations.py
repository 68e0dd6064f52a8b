"""What is seen of an economy's map: channels of what lies on tiles, and maps of whose they are.

Channels, in order: units of each commodity, houses, water (where the world can have it), sources of
each commodity. Maps of indices: whose house, and who stands there; 0 is nobody, 1 oneself, i + 2
agent i. Agents see a window around themselves, where a last channel says what is inside the map.

Source: `ai-economist` 1.7.1, scenarios `simple_wood_and_stone`.
"""

import jax
import jax.numpy as jnp

from jaxrl.envs.economy.state import COMMODITIES, NOBODY, State
from jaxrl.envs.economy.tiles import put

_SELF = 1
_FIRST_AGENT = 2  # index of agent 0
MOST_AGENTS = 125  # that indices in int8 can tell apart


def channel_names(water: bool) -> tuple[str, ...]:
    """Names of a map's channels."""
    sources = [f"{name}SourceBlock" for name in COMMODITIES]
    return (*COMMODITIES, "House", *(["Water"] if water else []), *sources)


def channels(state: State, water: bool) -> jax.Array:
    """What lies on tiles, int8 [K, H, W]."""
    return jnp.concatenate(
        [
            state.resources,
            (state.house != NOBODY).astype(jnp.int8)[None],
            *([state.water.astype(jnp.int8)[None]] if water else []),
            state.sources.astype(jnp.int8),
        ]
    )


def owners(state: State) -> jax.Array:
    """Whose house, and who stands there, int8 [2, H, W], without regard to who looks."""
    house = jnp.where(state.house == NOBODY, 0, state.house + jnp.int8(_FIRST_AGENT))
    agents = state.location.shape[0]
    index = jnp.arange(agents, dtype=jnp.int8) + jnp.int8(_FIRST_AGENT)
    who = put(jnp.zeros_like(state.house), state.location, index)
    return jnp.stack([house, who])


def own_view(index_maps: jax.Array) -> jax.Array:
    """Maps of indices [N, 2, ...] as each of N agents sees them, with itself as 1."""
    agents = index_maps.shape[0]
    mine = jnp.arange(agents, dtype=jnp.int8) + jnp.int8(_FIRST_AGENT)
    mine = mine.reshape((agents,) + (1,) * (index_maps.ndim - 1))
    return jnp.where(index_maps == mine, jnp.int8(_SELF), index_maps)


def windows(maps: jax.Array, location: jax.Array, reach: int) -> jax.Array:
    """What lies around agents, zeros beyond the map.

    Args:
        maps: [K, H, W].
        location: int32 [N, 2].
        reach: w, tiles that are seen in each direction.

    Returns:
        [N, K, 2 w + 1, 2 w + 1].
    """
    size = 2 * reach + 1
    padded = jnp.pad(maps, ((0, 0), (reach, reach), (reach, reach)))

    def around(place: jax.Array) -> jax.Array:
        start = (jnp.int32(0), place[0], place[1])
        return jax.lax.dynamic_slice(padded, start, (maps.shape[0], size, size))

    return jax.vmap(around)(location)


def egocentric(state: State, water: bool, reach: int) -> tuple[jax.Array, jax.Array]:
    """What each agent sees: int8 [N, K + 1, S, S] and int8 [N, 2, S, S], S = 2 reach + 1."""
    on_map = jnp.ones((1, *state.water.shape), jnp.int8)
    maps = jnp.concatenate([channels(state, water), on_map, owners(state)])
    seen = windows(maps, state.location, reach)
    return seen[:, :-2], own_view(seen[:, -2:])


def whole(state: State, water: bool) -> tuple[jax.Array, jax.Array]:
    """The whole map for each agent: int8 [N, K, H, W] and int8 [N, 2, H, W]."""
    agents = state.location.shape[0]
    maps, index_maps = channels(state, water), owners(state)
    index_maps = jnp.broadcast_to(index_maps, (agents, *index_maps.shape))
    return jnp.broadcast_to(maps, (agents, *maps.shape)), own_view(index_maps)
