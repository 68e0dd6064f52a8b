"""What an agent gets to see: a flat vector of numbers, or the local view as a pytree.

The vector holds everything that the picture shows, and can be read back without loss
(`decode_symbolic`). Its layout is `SYMBOLIC`: names and slices.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState
from jaxrl.envs.crafter_oo.view import ENTITIES, GRID, LocalView, local_view, standing
from jaxrl.spaces import Box, Dict, Discrete
from jaxrl.staging import stage

_NUM_ENTITIES = len(ENTITIES) - 1  # "none" is all zeros
CHANNELS = len(c.MATERIALS) + _NUM_ENTITIES  # of a cell of the map
_MAP = GRID[0] * GRID[1] * CHANNELS

# name -> slice of the symbolic observation, float32 [1723]
SYMBOLIC = {
    # [27, 9, 7], one plane each for `MATERIALS` (13), then for `ENTITIES[1:]` (14)
    "map": slice(0, _MAP),
    # number of each of `ITEMS`, divided by 9
    "inventory": slice(_MAP, _MAP + len(c.ITEMS)),
    # one-hot of `DIRECTIONS`: where the player looks
    "facing": slice(_MAP + len(c.ITEMS), _MAP + len(c.ITEMS) + 4),
    "sleeping": slice(_MAP + len(c.ITEMS) + 4, _MAP + len(c.ITEMS) + 5),
    "daylight": slice(_MAP + len(c.ITEMS) + 5, _MAP + len(c.ITEMS) + 6),
}
SYMBOLIC_SIZE = SYMBOLIC["daylight"].stop
_MOST = 9.0  # what a count of items is divided by


class Seen(NamedTuple):
    """What a symbolic observation says.

    Attributes:
        view: the cells around the player.
        items: int8 [16], number of each of `ITEMS`.
        facing: uint8 [], index into `DIRECTIONS`.
        sleeping: bool [].
        daylight: float32 [].
    """

    view: LocalView
    items: jax.Array
    facing: jax.Array
    sleeping: jax.Array
    daylight: jax.Array


def symbolic(state: WorldState, rules: Rules) -> jax.Array:
    """The symbolic observation of a state, float32 [1723], see `SYMBOLIC`."""
    always = state.time >= 0
    planes = stage(always, _planes, stage(always, local_view, state, rules))
    player = state.player
    facing = player.facing == jnp.arange(4, dtype=jnp.uint8)
    rest = [
        player.items.astype(jnp.float32) / _MOST,
        facing.astype(jnp.float32),
        player.sleeping.astype(jnp.float32)[None],
        state.daylight[None],
    ]
    return jnp.concatenate([planes.reshape(-1), *rest])


def _planes(view: LocalView) -> jax.Array:
    """One plane for each material and entity, 1 where it is: float32 [27, 63]."""
    channels = jnp.arange(CHANNELS, dtype=jnp.uint8)[:, None]
    # "none" gets a number that no channel has.
    entity = jnp.where(view.entities > 0, view.entities + jnp.uint8(len(c.MATERIALS) - 1), 255)
    here = view.materials.reshape(1, -1) == channels
    here |= entity.astype(jnp.uint8).reshape(1, -1) == channels
    return here.astype(jnp.float32)


def decode_symbolic(obs: jax.Array) -> Seen:
    """What a symbolic observation, float32 [1723], says; the inverse of `symbolic`."""
    here = obs[SYMBOLIC["map"]].reshape(CHANNELS, *GRID) > 0.5
    materials, entities = here[: len(c.MATERIALS)], here[len(c.MATERIALS) :]
    found = jnp.where(jnp.any(entities, axis=0), jnp.argmax(entities, axis=0) + 1, 0)
    return Seen(
        view=LocalView(
            jnp.argmax(materials, axis=0).astype(jnp.uint8),
            found.astype(jnp.uint8),
        ),
        items=jnp.round(obs[SYMBOLIC["inventory"]] * _MOST).astype(jnp.int8),
        facing=jnp.argmax(obs[SYMBOLIC["facing"]]).astype(jnp.uint8),
        sleeping=obs[SYMBOLIC["sleeping"]][0] > 0.5,
        daylight=obs[SYMBOLIC["daylight"]][0],
    )


def symbolic_space() -> Box:
    """float32 [1723]; the map and the flags are 0 or 1, more than 9 of an item is more than 1."""
    return Box(0.0, 127.0 / _MOST, (SYMBOLIC_SIZE,), jnp.float32)


def structured(state: WorldState, rules: Rules) -> dict[str, Any]:
    """The local view as a pytree, see `structured_space`."""
    view = stage(state.time >= 0, local_view, state, rules)
    player = state.player
    objects = state.objects
    fields = {"kind": objects.kind, "health": objects.health, "counter": objects.counter}
    here = standing(state)
    return {
        "materials": view.materials,
        "entities": view.entities,
        "objects": {
            name: jnp.sum(jnp.where(here, values, jnp.zeros_like(values)), axis=-1).astype(
                values.dtype
            )
            for name, values in fields.items()
        },
        "player": {
            "inventory": player.items,
            "achievements": player.unlocked > 0,
            "facing": player.facing.astype(jnp.int32),
            "sleeping": player.sleeping.astype(jnp.int32),
            "hunger": player.hunger,
            "thirst": player.thirst,
            "fatigue": player.fatigue,
            "recover": player.recover,
        },
        "daylight": state.daylight,
    }


def structured_space() -> Dict:
    """The space of `structured`: planes [9, 7] over the visible cells, and the player.

    `materials` and `entities` as in `LocalView`; of the object on a cell `objects` gives the kind
    (index into `KINDS`, 0 for none), the health and the counter (a zombie's cooldown, a skeleton's
    reload time, a plant's growth). `player` adds the inventory, what was achieved, and the counters
    that decide when needs and health change next.
    """
    number = Box(-1e6, 1e6, (), jnp.float32)
    return Dict(
        {
            "materials": Box(0, len(c.MATERIALS) - 1, GRID, jnp.uint8),
            "entities": Box(0, len(ENTITIES) - 1, GRID, jnp.uint8),
            "objects": Dict(
                {
                    "kind": Box(0, len(c.KINDS) - 1, GRID, jnp.uint8),
                    "health": Box(0, 127, GRID, jnp.int8),
                    "counter": Box(0, 32767, GRID, jnp.int16),
                }
            ),
            "player": Dict(
                {
                    "inventory": Box(0, 127, (len(c.ITEMS),), jnp.int8),
                    "achievements": Box(0, 1, (len(c.ACHIEVEMENTS),), jnp.bool_),
                    "facing": Discrete(4),
                    "sleeping": Discrete(2),
                    "hunger": number,
                    "thirst": number,
                    "fatigue": number,
                    "recover": number,
                }
            ),
            "daylight": Box(0.0, 1.0, (), jnp.float32),
        }
    )
