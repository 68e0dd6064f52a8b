"""What the player sees: the cells around it, each with its material and what stands on it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState, material_at

VIEW = (9, 9)  # units of the picture; the lower two rows show the inventory
GRID = (9, 7)  # cells of the map that are seen, the player in the middle

# What can stand on a cell, as it looks.
ENTITIES = (
    "none",
    "player-left",
    "player-right",
    "player-up",
    "player-down",
    "player-sleep",
    "cow",
    "zombie",
    "skeleton",
    "arrow-left",
    "arrow-right",
    "arrow-up",
    "arrow-down",
    "plant",
    "plant-ripe",
)


class LocalView(NamedTuple):
    """The cells around the player.

    Attributes:
        materials: uint8 [9, 7], index into `MATERIALS`; 0 outside the map.
        entities: uint8 [9, 7], index into `ENTITIES`.
    """

    materials: jax.Array
    entities: jax.Array


def entity_of_objects(state: WorldState, rules: Rules) -> jax.Array:
    """How each object looks: uint8 [N], index into `ENTITIES`, 0 for an empty slot."""
    objects = state.objects
    first = jnp.asarray(
        [
            0,
            *(
                ENTITIES.index(name)
                for name in ("cow", "zombie", "skeleton", "arrow-left", "plant")
            ),
        ],
        jnp.uint8,
    )
    ripe = (objects.kind == c.kind("plant")) & (objects.counter > rules.creatures.plant_ripe)
    return first[objects.kind] + objects.facing + ripe.astype(jnp.uint8)


def entity_of_player(state: WorldState) -> jax.Array:
    """How the player looks: uint8 [], index into `ENTITIES`."""
    awake = jnp.uint8(ENTITIES.index("player-left")) + state.player.facing
    return jnp.where(state.player.sleeping, jnp.uint8(ENTITIES.index("player-sleep")), awake)


def cells(state: WorldState) -> tuple[jax.Array, jax.Array]:
    """x and y of the visible cells, int16 [9, 7] each; some may lie outside the map."""
    left = state.player.x - jnp.int16(GRID[0] // 2)
    top = state.player.y - jnp.int16(GRID[1] // 2)
    xs = left + jnp.arange(GRID[0], dtype=jnp.int16)
    ys = top + jnp.arange(GRID[1], dtype=jnp.int16)
    return jnp.broadcast_to(xs[:, None], GRID), jnp.broadcast_to(ys[None, :], GRID)


def standing(state: WorldState) -> jax.Array:
    """Whether each slot's object is on each visible cell: bool [9, 7, N].

    An empty slot counts as at (0, 0), but all its fields are 0, so it adds nothing to a sum.
    """
    objects = state.objects
    x, y = cells(state)
    return (objects.x[None, None] == x[..., None]) & (objects.y[None, None] == y[..., None])


def local_view(state: WorldState, rules: Rules) -> LocalView:
    """The cells around the player and what stands on them."""
    x, y = cells(state)
    here = standing(state)
    looks = entity_of_objects(state, rules)
    entities = jnp.max(jnp.where(here, looks, jnp.uint8(0)), axis=-1)
    centre = jnp.zeros(GRID, jnp.bool_).at[GRID[0] // 2, GRID[1] // 2].set(True)
    return LocalView(
        material_at(state.materials, x, y),
        jnp.where(centre, entity_of_player(state), entities),
    )


def semantic(state: WorldState) -> jax.Array:
    """What is on every cell of the map, uint8 [W, H].

    An index into `MATERIALS`, or where something stands 13 for the player and 13 + its index in
    `KINDS` for an object: the reference's `info["semantic"]`.
    """
    objects, player, first = state.objects, state.player, len(c.MATERIALS)
    # Empty slots are moved out of the map and dropped.
    x = jnp.where(objects.kind > 0, objects.x, jnp.int16(state.area[0]))
    shown = state.materials.at[x, objects.y].set(objects.kind + jnp.uint8(first), mode="drop")
    return shown.at[player.x, player.y].set(jnp.uint8(first))
