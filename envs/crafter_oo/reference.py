"""The state of a live `crafter.Env`, of the package `crafter` 1.8.3, as a `WorldState`.

Needs the extra `reference`; the package is imported only when a function here is called.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.state import LARGEST_SIDE, Objects, Player, WorldState, chunk_grid
from jaxrl.envs.crafter_oo.transition import CAPACITY
from jaxrl.envs.crafter_oo.view import VIEW

_DIRECTION = {(int(x), int(y)): index for index, (x, y) in enumerate(c.DIRECTIONS)}
_OBJECT_DTYPES = {
    "id": np.int32,
    "kind": np.uint8,
    "x": np.int16,
    "y": np.int16,
    "health": np.int8,
    "counter": np.int16,
    "facing": np.uint8,
}


def from_reference(env: Any, capacity: int = CAPACITY) -> WorldState:
    """The state of a live `crafter.Env` of any area and any size of its pictures.

    Its time limit and whether it pays are no part of a state, and are not read.

    Objects fill the first slots, in the order of their ids, which are their places in the world's
    list. A killed creature that the world still holds is there with health 0.

    Args:
        env: a `crafter.Env` that was reset.
        capacity: the number of object slots.

    Raises:
        ImportError: the package `crafter` is not installed.
        ValueError: not a `crafter.Env`, not reset yet, with another view or a larger area than a
            state can have, or more objects than slots.
    """
    check_reference(env)
    state: WorldState = jax.tree.map(jnp.asarray, snapshot(env, capacity))
    return state


def check_reference(env: Any, reset: bool = True) -> None:
    """Raises what `from_reference` raises for anything but a `crafter.Env`.

    Args:
        env: anything.
        reset: whether it must have been reset.
    """
    try:
        import crafter
    except ImportError as error:
        raise ImportError(
            "reading a crafter.Env needs the package crafter: pip install 'jaxrl[reference]'"
        ) from error
    if not isinstance(env, crafter.Env):
        raise ValueError(f"expected a crafter.Env, got {type(env).__module__}.{type(env).__name__}")
    # In the reference the view also decides which objects act.
    if tuple(int(side) for side in env._view) != VIEW:
        raise ValueError(f"view is {_by(env._view)} in the crafter.Env, but {_by(VIEW)} in a state")
    if max(env._world.area) > LARGEST_SIDE:
        raise ValueError(
            f"area is {_by(env._world.area)} in the crafter.Env, but a side of a state has at most"
            f" {LARGEST_SIDE} cells"
        )
    if reset and env._player is None:
        raise ValueError("the crafter.Env has no world yet: call its reset() first")


def _by(sides: Any) -> str:
    return " x ".join(str(int(side)) for side in sides)


def snapshot(env: Any, capacity: int) -> WorldState:
    """What `from_reference` returns, in NumPy arrays and without its checks of `env`."""
    world = env._world
    area = (int(world.area[0]), int(world.area[1]))
    order = np.full(chunk_grid(area), -1, np.int16)
    for rank, (xmin, _, ymin, _) in enumerate(world._chunks):
        order[xmin // c.CHUNK, ymin // c.CHUNK] = rank
    fields: dict[str, Any] = {
        "time": np.int32(env._step),
        "materials": np.array(world._mat_map, np.uint8),
        "player": _player(env._player),
        "objects": _objects(world, capacity),
        "next_id": np.int32(len(world._objects)),
        "chunk_order": order,
        "overflow": np.bool_(False),
    }
    return WorldState(**fields)


def _player(player: Any) -> Player:
    fields: dict[str, Any] = {
        "x": np.int16(player.pos[0]),
        "y": np.int16(player.pos[1]),
        "facing": np.uint8(_direction(player.facing)),
        "action": np.uint8(c.action(player.action)),
        "sleeping": np.bool_(player.sleeping),
        "items": np.asarray([player.inventory[name] for name in c.ITEMS], np.int8),
        "unlocked": np.asarray([player.achievements[name] for name in c.ACHIEVEMENTS], np.int32),
        "hunger": np.float32(player._hunger),
        "thirst": np.float32(player._thirst),
        "fatigue": np.float32(player._fatigue),
        "recover": np.float32(player._recover),
        "last_health": np.int8(player._last_health),
    }
    return Player(**fields)


def _objects(world: Any, capacity: int) -> Objects:
    """The objects in the order of ids, without the player."""
    found = [(number, obj) for number, obj in enumerate(world._objects) if obj]
    rows = [_row(number, obj) for number, obj in found if number != c.PLAYER_ID]
    if len(rows) > capacity:
        raise ValueError(f"capacity is {capacity}, but the world has {len(rows)} objects")
    columns = np.zeros((len(_OBJECT_DTYPES), capacity), np.int32)
    if rows:
        columns[:, : len(rows)] = np.asarray(rows, np.int32).T
    fields: dict[str, Any] = {
        name: column.astype(dtype)
        for (name, dtype), column in zip(_OBJECT_DTYPES.items(), columns, strict=True)
    }
    return Objects(**fields)


def _row(number: int, obj: Any) -> tuple[int, ...]:
    """An object's fields in the order of `_OBJECT_DTYPES`."""
    name = type(obj).__name__.lower()
    if name not in c.KINDS:
        raise ValueError(f"object {number} of the world is of the unknown kind {name!r}")
    counter = getattr(obj, c.COUNTERS[name]) if name in c.COUNTERS else 0
    facing = _direction(obj.facing) if name == "arrow" else 0
    return number, c.kind(name), obj.pos[0], obj.pos[1], obj.health, counter, facing


def _direction(vector: Any) -> int:
    return _DIRECTION[int(vector[0]), int(vector[1])]
