"""Questions to a state that a symbolic learner asks: pure functions of one `WorldState`.

They can be jitted and vmapped like the transition, and see what it sees.

Source: the interface of OneLife (arXiv 2510.12088); distances as in the package `crafter` 1.8.3.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState, material_at, offsets, standing_on

NO_SLOT = -1  # nothing stands there


class Tile(NamedTuple):
    """A cell and what stands on it.

    Attributes:
        x, y: int16 [], the cell; it may lie outside the map.
        material: uint8 [], index into `MATERIALS`; 0 outside the map.
        kind: uint8 [], index into `KINDS` of the object there, 0 for none.
        slot: int16 [], its slot, `NO_SLOT` for none.
        player: bool [], the player stands there.
    """

    x: jax.Array
    y: jax.Array
    material: jax.Array
    kind: jax.Array
    slot: jax.Array
    player: jax.Array


def tile_at(state: WorldState, x: ArrayLike, y: ArrayLike) -> Tile:
    """The cell (x, y), integers [], also one outside the map.

    Raises:
        ValueError: coordinates that are no integers, or not of shape [].
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    for name, place in (("x", x), ("y", y)):
        if place.shape != () or not jnp.issubdtype(place.dtype, jnp.integer):
            raise ValueError(f"{name} must be an integer [], got {place.dtype} {place.shape}")
    # What no int16 holds is as far outside as any other cell there.
    low, high = jnp.iinfo(jnp.int16).min, jnp.iinfo(jnp.int16).max
    x, y = (jnp.clip(place.astype(jnp.int32), low, high).astype(jnp.int16) for place in (x, y))
    objects, player = state.objects, state.player
    here = standing_on(objects, x, y)
    slots = jnp.arange(objects.capacity, dtype=jnp.int16)
    return Tile(
        x=x,
        y=y,
        material=material_at(state.materials, x, y),
        kind=jnp.max(jnp.where(here, objects.kind, jnp.uint8(0))),
        slot=jnp.max(jnp.where(here, slots, jnp.int16(NO_SLOT))),
        player=(x == player.x) & (y == player.y),
    )


def target_tile(state: WorldState) -> Tile:
    """The cell that the player faces, on which `do`, and placing, would act."""
    dx, dy = offsets(state.player.facing)
    return tile_at(state, state.player.x + dx, state.player.y + dy)


def adjacent_tiles(state: WorldState) -> Tile:
    """The cells beside the player, fields [4], in the order of `DIRECTIONS`: left to down."""
    dx, dy = offsets(jnp.arange(len(c.DIRECTIONS), dtype=jnp.uint8))
    beside = jax.vmap(tile_at, (None, 0, 0))
    tiles: Tile = beside(state, state.player.x + dx, state.player.y + dy)
    return tiles


def is_adjacent(state: WorldState, material: str) -> jax.Array:
    """Whether a material, one of `MATERIALS`, is on a cell beside the player: bool [].

    "outside" asks whether the player stands at the edge. Crafting looks further: a table is near
    enough diagonally, too.

    Raises:
        ValueError: an unknown material.
    """
    if material not in c.MATERIALS:
        raise ValueError(f"unknown material {material!r}; known are {', '.join(c.MATERIALS)}")
    return jnp.any(adjacent_tiles(state).material == jnp.uint8(c.material(material)))


def objects_of_kind(state: WorldState, kind: str) -> jax.Array:
    """The slots that hold an object of a kind, one of `KINDS` but "none": bool [N].

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in c.KINDS[1:]:
        raise ValueError(f"unknown kind {kind!r}; known are {', '.join(c.KINDS[1:])}")
    return state.objects.kind == jnp.uint8(c.kind(kind))


def adjacent_objects(state: WorldState) -> jax.Array:
    """The slots whose object stands on a cell beside the player: bool [N]."""
    return (state.objects.kind != 0) & (distance_to_player(state) == 1)


def objects_in_update_range(state: WorldState, rules: Rules) -> jax.Array:
    """The slots whose object is near enough to the player to act: bool [N].

    A step asks this after the player's turn, of those that were there before it: an object acts if
    it is in range of where the player then is.
    """
    near = distance_to_player(state) < rules.creatures.update_distance
    return (state.objects.kind != 0) & near


def distance_to_player(state: WorldState) -> jax.Array:
    """|dx| + |dy| from each slot's object to the player: int16 [N]; no meaning in empty slots."""
    objects, player = state.objects, state.player
    return jnp.abs(player.x - objects.x) + jnp.abs(player.y - objects.y)
