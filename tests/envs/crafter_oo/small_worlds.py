"""Small worlds built by hand, and what they draw."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.draws import BalanceDraws, ObjectDraws, TapeDraws
from jaxrl.envs.crafter_oo.state import Objects, Player, WorldState, chunk_grid
from jaxrl.envs.crafter_oo.transition import reward, transition
from tests.unoptimised import jit

AREA, CAPACITY, NEAR = (24, 24), 12, 8
CHUNKS = 4
X, Y = 12, 12  # where the player stands, by default
HEALTHY = {"health": 9, "food": 9, "drink": 9, "energy": 9}
_DTYPES = {
    "id": np.int32,
    "kind": np.uint8,
    "x": np.int16,
    "y": np.int16,
    "health": np.int8,
    "counter": np.int16,
    "facing": np.uint8,
}
_FULL = {"cow": 3, "zombie": 5, "skeleton": 3, "arrow": 0, "plant": 1}


def world(
    things: Sequence[tuple] = (),
    materials: Mapping[tuple[int, int], str] | None = None,
    items: Mapping[str, int] | None = None,
    ground: str = "grass",
    time: int = 0,
    area: tuple[int, int] = AREA,
    capacity: int = CAPACITY,
    at: tuple[int, int] = (X, Y),
    facing: int = c.DOWN,
    **player: Any,
) -> WorldState:
    """A world of one material, but for what is said.

    Args:
        things: (kind, x, y) or (kind, x, y, fields of its slot); ids from 2 in this order.
        materials: (x, y) -> name.
        items: what the player has beside full needs.
        ground: everywhere else.
        time: steps taken.
        area: (W, H).
        capacity: slots.
        at: where the player is.
        facing: index into `DIRECTIONS`.
        **player: other fields of `Player`.
    """
    cells = np.full(area, c.material(ground), np.uint8)
    for cell, name in (materials or {}).items():
        cells[cell] = c.material(name)
    owned = HEALTHY | dict(items or {})
    order = np.full(chunk_grid(area), -1, np.int16)
    for x, y in [at, *((thing[1], thing[2]) for thing in things)]:
        chunk = x // c.CHUNK, y // c.CHUNK
        order[chunk] = order.max() + 1 if order[chunk] < 0 else order[chunk]
    zero = np.float32(0)
    fields = {
        "x": np.int16(at[0]),
        "y": np.int16(at[1]),
        "facing": np.uint8(facing),
        "action": np.uint8(0),
        "sleeping": np.bool_(False),
        "items": np.asarray([owned.get(name, 0) for name in c.ITEMS], np.int8),
        "unlocked": np.zeros(len(c.ACHIEVEMENTS), np.int32),
        "hunger": zero,
        "thirst": zero,
        "fatigue": zero,
        "recover": zero,
        "last_health": np.int8(owned["health"]),
    }
    fields |= {name: fields[name].dtype.type(value) for name, value in player.items()}
    state = WorldState(
        time=np.int32(time),
        materials=cells,
        player=Player(**fields),
        objects=_objects(things, capacity),
        next_id=np.int32(len(things) + 2),
        chunk_order=order,
        overflow=np.bool_(False),
    )
    return jax.tree.map(jnp.asarray, state)


def _objects(things: Sequence[tuple], capacity: int) -> Objects:
    """The slots of things, see `world`."""
    objects = {name: np.zeros(capacity, dtype) for name, dtype in _DTYPES.items()}
    for slot, (kind, x, y, *fields) in enumerate(things):
        row = {"id": slot + 2, "kind": c.kind(kind), "x": x, "y": y, "health": _FULL[kind]}
        for name, value in (row | (fields[0] if fields else {})).items():
            objects[name][slot] = value
    return Objects(**objects)


def draws(
    collect: float = 0.0,
    balance: Mapping[tuple[int, int], tuple[float, float]] | None = None,
    capacity: int = CAPACITY,
    chunks: int = CHUNKS,
    **objects: Any,
) -> TapeDraws:
    """What a step draws; by default cows stand, zombies chase, skeletons idle, nothing spawns.

    Args:
        collect: the player's draw.
        balance: (chunk, creature) -> (event, pick).
        capacity: slots.
        chunks: of the map.
        **objects: fields of `ObjectDraws`, one number for all slots or a list for the first ones.
    """
    quiet = {"act": 0.6, "axis": 0.0, "retreat": 0.0, "chase": 0.9, "wander": 0.9, "direction": 0}
    by_slot = {}
    for name, value in (quiet | objects).items():
        row = np.full(capacity, quiet[name], np.float32)
        row[: np.size(value) if np.ndim(value) else capacity] = value
        by_slot[name] = row.astype(np.uint8) if name == "direction" else row
    drawn = np.full((2, chunks, 3), 1.0, np.float32)
    for cell, pair in (balance or {}).items():
        drawn[(slice(None), *cell)] = pair
    tape = TapeDraws(np.float32(collect), ObjectDraws(**by_slot), BalanceDraws(*drawn))
    return jax.tree.map(jnp.asarray, tape)


@functools.cache
def _program() -> Any:
    def run(draws: Any, state: Any, action: Any, rules: Any) -> Any:
        after = transition(draws, state, action, rules, NEAR)
        return after, reward(state, after, rules)

    return jit(run)


def play(
    state: WorldState, action: str | int = "noop", preset: str = "crafter", **drawn: Any
) -> WorldState:
    """The state after an action, of a world of the default area and capacity."""
    return paid_play(state, action, preset, **drawn)[0]


def paid_play(
    state: WorldState, action: str | int = "noop", preset: str = "crafter", **drawn: Any
) -> tuple[WorldState, float]:
    """The state after an action, a name or a number, and the reward."""
    rules = rule_sets.preset(preset)
    after, paid = _program()(
        draws(**drawn),
        state,
        jnp.int32(action if isinstance(action, int) else c.action(action)),
        rules,
    )
    return jax.device_get(after), float(paid)


def found(state: WorldState, kind: str) -> list[tuple[int, int]]:
    """The cells of all objects of a kind, in the order of ids."""
    objects = jax.device_get(state.objects)
    slots = np.nonzero(objects.kind == c.kind(kind))[0]
    return [(int(objects.x[slot]), int(objects.y[slot])) for slot in slots]


def item(state: WorldState, name: str) -> int:
    """How many of an item the player has."""
    return int(state.player.inventory[name])


def done(state: WorldState) -> dict[str, int]:
    """What was achieved, and how often."""
    counts = np.asarray(state.player.unlocked)
    return {name: int(n) for name, n in zip(c.ACHIEVEMENTS, counts, strict=True) if n}


def name_at(state: WorldState, x: int, y: int) -> str:
    """The material of a cell."""
    return c.MATERIALS[int(state.materials[x, y])]
