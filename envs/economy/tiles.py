"""Looking up and changing tiles of a map at the places of agents."""

import jax
import jax.numpy as jnp


def at(maps: jax.Array, location: jax.Array) -> jax.Array:
    """What maps [..., H, W] hold at locations int32 [N, 2], [..., N].

    A location off the map reads the nearest tile of it.
    """
    height, width = maps.shape[-2:]
    row = jnp.clip(location[:, 0], 0, height - 1)
    column = jnp.clip(location[:, 1], 0, width - 1)
    return maps.reshape((*maps.shape[:-2], -1))[..., row * jnp.int32(width) + column]


def put(maps: jax.Array, location: jax.Array, values: jax.Array) -> jax.Array:
    """Maps [..., H, W] with `values` [..., N] at locations int32 [N, 2], of which none is twice.

    Scatters are slow on XLA, but these are of few values: comparing every tile with every agent
    takes ten times as long.
    """
    width = jnp.int32(maps.shape[-1])
    tile = location[:, 0] * width + location[:, 1]
    flat = maps.reshape((*maps.shape[:-2], -1))
    return flat.at[..., tile].set(values, unique_indices=True).reshape(maps.shape)


def inside(location: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Whether locations int32 [..., 2] are on the map, bool [...]."""
    row, column = location[..., 0], location[..., 1]
    return (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])


def accessible(
    location: jax.Array, who: jax.Array, water: jax.Array, house: jax.Array
) -> jax.Array:
    """Where agents may be, whoever else is there: on land, and in no house of another.

    Args:
        location: int32 [M, 2].
        who: int [M], the agents.
        water: bool [H, W].
        house: int8 [H, W], owners.
    """
    owner = at(house, location)
    mine = (owner < 0) | (owner == who.astype(owner.dtype))
    return inside(location, water.shape) & ~at(water, location) & mine
