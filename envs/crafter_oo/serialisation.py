"""A world's state as JSON that people can read, and back, without loss.

The text is an object with these fields, all of them required and no others allowed:

    schema      "jaxrl.crafter_oo.world_state"
    version     1
    area        [W, H] in cells
    time        steps taken in the episode
    daylight    what `daylight(time)` gives; derived, checked on reading
    legend      character -> material, those of `LEGEND`
    materials   H strings of W characters of the legend: the map as one sees it, y downwards
    player      position [x, y], facing, action, sleeping, inventory and achievements by name,
                hunger, thirst, fatigue, recover, last_health
    capacity    number of object slots
    overflow    whether an object was lost for want of capacity
    next_id     the id of the next object to come
    objects     one record each, in the order of slots and ids: slot, id, kind, position, health,
                and for a zombie `cooldown`, for a skeleton `reload`, for an arrow `facing`, for a
                plant `grown` and `ripe` (derived from the rules, checked on reading)
    chunks      [column, row] of each square of 12 x 12 cells that has held an object, in the order
                in which they first did; those of the player and of all objects are among them

Writing checks what reading checks, so that whatever was written can be read. Both raise a
`ValueError` that names the field.
"""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.daylight import daylight
from jaxrl.envs.crafter_oo.record_fields import (
    boolean,
    choice,
    fields,
    integer,
    items_of,
    number,
    parse,
)
from jaxrl.envs.crafter_oo.rules import Rules, crafter
from jaxrl.envs.crafter_oo.state import (
    LARGEST_SIDE,
    Objects,
    Player,
    WorldState,
    chunk_grid,
    empty_objects,
)

SCHEMA = "jaxrl.crafter_oo.world_state"
VERSION = 1
LEGEND = {
    "~": "water",
    ".": "grass",
    "#": "stone",
    "_": "path",
    ":": "sand",
    "T": "tree",
    "!": "lava",
    "c": "coal",
    "i": "iron",
    "d": "diamond",
    "B": "table",
    "F": "furnace",
}
FACINGS = ("left", "right", "up", "down")  # names of `DIRECTIONS`
COUNTED = ("hunger", "thirst", "fatigue", "recover")  # the player's float32 counters

_BYTE, _SHORT, _INT = 2**7 - 1, 2**15 - 1, 2**31 - 1
_TOP = (
    *("schema", "version", "area", "time", "daylight", "legend", "materials", "player"),
    *("capacity", "overflow", "next_id", "objects", "chunks"),
)
_PLAYER = (
    *("position", "facing", "action", "sleeping", "inventory", "achievements"),
    *COUNTED,
    "last_health",
)
_OBJECT = ("slot", "id", "kind", "position", "health")
_OWN = {
    "cow": (),
    "zombie": ("cooldown",),
    "skeleton": ("reload",),
    "arrow": ("facing",),
    "plant": ("grown", "ripe"),
}


def to_json(state: WorldState, rules: Rules | None = None) -> str:
    """The JSON text of a state.

    Args:
        state: one world, not a batch of them, and concrete.
        rules: the world's rules, by which a plant is ripe; `rules.crafter()` if None.

    Raises:
        ValueError: a leaf of another shape or dtype, or a state that `from_json` would refuse.
    """
    state = jax.tree.map(np.asarray, state)
    _check_leaves(state)
    record = _record(state, _ripe_after(rules))
    _state(record, _ripe_after(rules))
    lines = [f"  {json.dumps(name)}: {_pretty(value)}" for name, value in record.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def from_json(text: str, rules: Rules | None = None) -> WorldState:
    """The state of a JSON text that `to_json` wrote, equal to the one written in every leaf.

    Args:
        text: the JSON.
        rules: the world's rules, by which a plant is ripe; `rules.crafter()` if None.

    Raises:
        ValueError: naming the field, for anything that is not such a text.
    """
    state: WorldState = jax.tree.map(jnp.asarray, _state(parse(text), _ripe_after(rules)))
    return state


def _ripe_after(rules: Rules | None) -> int:
    return int(np.asarray((crafter() if rules is None else rules).creatures.plant_ripe))


# ---- writing


def _check_leaves(state: WorldState) -> None:
    """Shapes and dtypes; everything else is checked on the record."""
    if state.materials.ndim != 2 or state.objects.id.ndim != 1:
        raise ValueError(
            f"materials has shape {list(state.materials.shape)} and objects.id"
            f" {list(state.objects.id.shape)}: expected one world, [W, H] and [N]"
        )
    area, capacity = state.materials.shape, state.objects.id.shape[0]
    template = _blank(area, capacity)
    leaves, expected = (jax.tree_util.tree_leaves_with_path(tree) for tree in (state, template))
    for (path, leaf), (_, want) in zip(leaves, expected, strict=True):
        if leaf.shape != want.shape or leaf.dtype != want.dtype:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise ValueError(
                f"{name} is {want.dtype} {list(want.shape)}, got {leaf.dtype} {list(leaf.shape)}"
            )
    empty = state.objects.kind == 0
    for name in ("id", "x", "y", "health", "counter", "facing"):
        wrong = empty & (getattr(state.objects, name) != 0)
        if wrong.any():
            raise ValueError(f"objects.{name} is not 0 in slot {wrong.argmax()}, which is empty")


def _record(state: WorldState, ripe_after: int) -> dict[str, Any]:
    """The record of a state in NumPy arrays, values unchecked."""
    letters = ["?"] * 256
    for letter, name in LEGEND.items():
        letters[c.material(name)] = letter
    order = state.chunk_order
    ranks = np.sort(order[order >= 0])
    if (ranks != np.arange(len(ranks))).any() or (order < -1).any():
        raise ValueError("chunk_order is -1, or 0, 1, ... once each; got other numbers")
    chunks = sorted(zip(*np.nonzero(order >= 0), strict=True), key=lambda cell: order[cell])
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "area": list(state.materials.shape),
        "time": int(state.time),
        "daylight": _short(daylight(jnp.int32(state.time))),
        "legend": LEGEND,
        "materials": ["".join(letters[cell] for cell in row) for row in state.materials.T],
        "player": _player_record(state.player),
        "capacity": state.objects.capacity,
        "overflow": bool(state.overflow),
        "next_id": int(state.next_id),
        "objects": [
            _object_record(state.objects, int(slot), ripe_after)
            for slot in np.nonzero(state.objects.kind)[0]
        ],
        "chunks": [[int(column), int(row)] for column, row in chunks],
    }


def _player_record(player: Player) -> dict[str, Any]:
    return {
        "position": [int(player.x), int(player.y)],
        "facing": _name(FACINGS, player.facing),
        "action": _name(c.ACTIONS, player.action),
        "sleeping": bool(player.sleeping),
        "inventory": dict(zip(c.ITEMS, player.items.tolist(), strict=True)),
        "achievements": dict(zip(c.ACHIEVEMENTS, player.unlocked.tolist(), strict=True)),
        **{name: _short(getattr(player, name)) for name in COUNTED},
        "last_health": int(player.last_health),
    }


def _object_record(objects: Objects, slot: int, ripe_after: int) -> dict[str, Any]:
    kind = _name(c.KINDS, objects.kind[slot])
    record = {
        "slot": slot,
        "id": int(objects.id[slot]),
        "kind": kind,
        "position": [int(objects.x[slot]), int(objects.y[slot])],
        "health": int(objects.health[slot]),
    }
    counter, facing = int(objects.counter[slot]), objects.facing[slot]
    if kind in c.COUNTERS:
        record[c.COUNTERS[kind]] = counter
    elif counter:
        raise ValueError(f"objects.counter is {counter} in slot {slot}, but a {kind} has none")
    if kind == "arrow":
        record["facing"] = _name(FACINGS, facing)
    elif facing:
        raise ValueError(f"objects.facing is {facing} in slot {slot}, but a {kind} has none")
    if kind == "plant":
        record["ripe"] = counter > ripe_after
    return record


def _name(names: tuple[str, ...], index: Any) -> str:
    """The name of a number; for a number without one something that reading refuses."""
    return names[index] if index < len(names) else f"unknown {int(index)}"


def _short(value: Any) -> float:
    """A float32 as the shortest decimal that reads back as it."""
    return float(str(np.float32(value)))


def _pretty(value: Any) -> str:
    """A line a row of the map, an object and a field of the player."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
    if isinstance(value, dict):
        lines = [f"    {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items()]
        return "{\n" + ",\n".join(lines) + "\n  }"
    return json.dumps(value)


# ---- reading


def _state(record: Any, ripe_after: int) -> WorldState:
    """The state of a record, in NumPy arrays; `ValueError` naming the field."""
    if isinstance(record, dict) and record.get("schema") != SCHEMA:
        raise ValueError(f"schema is {record.get('schema')!r}, expected {SCHEMA!r}")
    if isinstance(record, dict) and record.get("version") != VERSION:
        raise ValueError(f"version is {record.get('version')!r}, this code reads {VERSION}")
    top = fields(record, "the state", _TOP)
    width, height = (
        integer(side, f"area[{axis}]", 1, LARGEST_SIDE)
        for axis, side in enumerate(items_of(top["area"], "area", 2))
    )
    state: Any = _blank((width, height), integer(top["capacity"], "capacity", 1, _SHORT))
    state = state.replace(
        time=np.int32(integer(top["time"], "time", 0, _INT - 1)),
        materials=_materials(top, width, height),
        player=_player(top["player"], (width, height)),
        next_id=np.int32(integer(top["next_id"], "next_id", c.PLAYER_ID + 1, _INT)),
        chunk_order=_chunks(top["chunks"], (width, height)),
        overflow=np.bool_(boolean(top["overflow"], "overflow")),
    )
    _derived(top["daylight"], "daylight", _short(daylight(jnp.int32(state.time))))
    _fill_objects(state, items_of(top["objects"], "objects"), ripe_after)
    _check_chunks(state)
    result: WorldState = state
    return result


def _blank(area: tuple[int, ...], capacity: int) -> WorldState:
    """A state of the right shapes and dtypes in NumPy arrays."""
    player: dict[str, Any] = {
        **dict.fromkeys(("x", "y"), np.int16(0)),
        **dict.fromkeys(("facing", "action"), np.uint8(0)),
        "sleeping": np.bool_(False),
        "items": np.zeros(len(c.ITEMS), np.int8),
        "unlocked": np.zeros(len(c.ACHIEVEMENTS), np.int32),
        **dict.fromkeys(COUNTED, np.float32(0)),
        "last_health": np.int8(0),
    }
    entries: dict[str, Any] = {
        **dict.fromkeys(("time", "next_id"), np.int32(0)),
        "materials": np.zeros(area, np.uint8),
        "player": Player(**player),
        "objects": jax.tree.map(np.array, empty_objects(capacity)),
        "chunk_order": np.zeros(chunk_grid((area[0], area[1])), np.int16),
        "overflow": np.bool_(False),
    }
    return WorldState(**entries)


def _materials(top: dict[str, Any], width: int, height: int) -> np.ndarray:
    if top["legend"] != LEGEND:
        raise ValueError(f"legend must be {json.dumps(LEGEND)}, got {json.dumps(top['legend'])}")
    rows = items_of(top["materials"], "materials", height)
    numbers = {letter: c.material(name) for letter, name in LEGEND.items()}
    materials = np.zeros((width, height), np.uint8)
    for y, row in enumerate(rows):
        if not isinstance(row, str) or len(row) != width:
            raise ValueError(f"materials[{y}] must be a string of {width} characters, got {row!r}")
        for x, letter in enumerate(row):
            if letter not in numbers:
                raise ValueError(f"materials[{y}] has {letter!r} at x = {x}: not in the legend")
            materials[x, y] = numbers[letter]
    return materials


def _position(value: Any, name: str, area: tuple[int, int]) -> tuple[int, int]:
    x, y = (
        integer(place, f"{name}[{axis}]", 0, side - 1)
        for axis, (place, side) in enumerate(zip(items_of(value, name, 2), area, strict=True))
    )
    return x, y


def _player(value: Any, area: tuple[int, int]) -> Player:
    record = fields(value, "player", _PLAYER)
    x, y = _position(record["position"], "player.position", area)
    inventory = fields(record["inventory"], "player.inventory", c.ITEMS)
    unlocked = fields(record["achievements"], "player.achievements", c.ACHIEVEMENTS)
    entries: dict[str, Any] = {
        "x": np.int16(x),
        "y": np.int16(y),
        "facing": np.uint8(choice(record["facing"], "player.facing", FACINGS)),
        "action": np.uint8(choice(record["action"], "player.action", c.ACTIONS)),
        "sleeping": np.bool_(boolean(record["sleeping"], "player.sleeping")),
        "items": np.asarray(
            [integer(inventory[k], f"player.inventory.{k}", 0, _BYTE) for k in c.ITEMS], np.int8
        ),
        "unlocked": np.asarray(
            [integer(unlocked[k], f"player.achievements.{k}", 0, _INT) for k in c.ACHIEVEMENTS],
            np.int32,
        ),
        **{name: number(record[name], f"player.{name}") for name in COUNTED},
        "last_health": np.int8(integer(record["last_health"], "player.last_health", 0, _BYTE)),
    }
    return Player(**entries)


def _chunks(value: Any, area: tuple[int, int]) -> np.ndarray:
    grid = chunk_grid(area)
    order = np.full(grid, -1, np.int16)
    for rank, cell in enumerate(items_of(value, "chunks")):
        chunk = _position(cell, f"chunks[{rank}]", grid)
        if order[chunk] >= 0:
            raise ValueError(f"chunks[{rank}] is {list(chunk)}, which was there already")
        order[chunk] = rank
    return order


def _fill_objects(state: WorldState, records: list[Any], ripe_after: int) -> None:
    """Writes the objects into a state's arrays."""
    capacity = state.objects.capacity
    if len(records) > capacity:
        raise ValueError(f"capacity is {capacity}, but there are {len(records)} objects")
    held = {(int(state.player.x), int(state.player.y)): "player"}
    last_slot, last_id = -1, c.PLAYER_ID
    for index, value in enumerate(records):
        name = f"objects[{index}]"
        row = _object_row(value, name, state.area, ripe_after)
        slot = integer(value["slot"], f"{name}.slot", 0, capacity - 1)
        if slot <= last_slot:
            raise ValueError(
                f"{name}.slot is {slot}, but slots ascend and the last was {last_slot}"
            )
        if row["id"] <= last_id:
            raise ValueError(f"{name}.id is {row['id']}, but ids ascend and the last was {last_id}")
        if row["id"] >= state.next_id:
            raise ValueError(f"next_id is {state.next_id}, but {name}.id is {row['id']}")
        cell = (row["x"], row["y"])
        if cell in held:
            raise ValueError(f"{name}.position is {list(cell)}, where {held[cell]} is")
        held[cell], last_slot, last_id = name, slot, row["id"]
        for field, entry in row.items():
            getattr(state.objects, field)[slot] = entry


def _check_chunks(state: WorldState) -> None:
    """Whoever stands in a square has opened it: the player, and every object."""
    objects, player = state.objects, state.player
    places = {"player": (int(player.x), int(player.y))}
    for index, slot in enumerate(np.flatnonzero(objects.kind)):
        places[f"objects[{index}]"] = int(objects.x[slot]), int(objects.y[slot])
    for name, (x, y) in places.items():
        chunk = x // c.CHUNK, y // c.CHUNK
        if state.chunk_order[chunk] < 0:
            raise ValueError(f"chunks lacks {list(chunk)}, in which {name} stands")


def _object_row(value: Any, name: str, area: tuple[int, int], ripe_after: int) -> dict[str, int]:
    """The fields of `Objects` of one record."""
    if not isinstance(value, dict) or "kind" not in value:
        raise ValueError(f"{name} must be a record with a kind, got {value!r}")
    kind_number = choice(value["kind"], f"{name}.kind", c.KINDS[1:]) + 1
    kind = c.KINDS[kind_number]
    record = fields(value, name, _OBJECT + _OWN[kind])
    x, y = _position(record["position"], f"{name}.position", area)
    row = {
        "id": integer(record["id"], f"{name}.id", c.PLAYER_ID + 1, _INT),
        "kind": kind_number,
        "x": x,
        "y": y,
        "health": integer(record["health"], f"{name}.health", 0, _BYTE),
    }
    if kind in c.COUNTERS:
        counter = c.COUNTERS[kind]
        row["counter"] = integer(record[counter], f"{name}.{counter}", 0, _SHORT)
    if kind == "arrow":
        row["facing"] = choice(record["facing"], f"{name}.facing", FACINGS)
    if kind == "plant":
        boolean(record["ripe"], f"{name}.ripe")
        _derived(record["ripe"], f"{name}.ripe", row["counter"] > ripe_after)
    return row


def _derived(value: Any, name: str, expected: float) -> None:
    """A field that follows from others must say what follows."""
    if isinstance(expected, bool):
        same = value == expected
    else:
        same = abs(number(value, name) - np.float32(expected)) < 1e-5
    if not same:
        raise ValueError(f"{name} is {value}, but the rest of the state makes it {expected}")
