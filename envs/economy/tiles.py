"""Looking up and marking tiles of a map at the places of agents."""

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


def here(location: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The tile of each agent, bool [N, H, W], of locations int32 [N, 2]."""
    rows = jnp.arange(shape[0], dtype=jnp.int32)[None, :] == location[:, :1]
    columns = jnp.arange(shape[1], dtype=jnp.int32)[None, :] == location[:, 1:]
    return rows[:, :, None] & columns[:, None, :]


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
