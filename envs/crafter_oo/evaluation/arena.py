"""Small prepared worlds: an empty arena and edits that put into it what a scenario needs.

An edit is a function from a state to a new one, so that a scenario is a list of edits. All states
are NumPy arrays of the same shapes: one compiled transition serves every scenario.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.evaluation.canonical import HostState
from jaxrl.envs.crafter_oo.state import Objects, Player, WorldState, chunk_grid

AREA = (16, 16)
CAPACITY = 16
CENTRE = (8, 8)  # the player's cell
FRONT = (8, 9)  # what the player faces in a new arena
HEALTH = {"cow": 3, "zombie": 5, "skeleton": 3, "arrow": 0, "plant": 1}

# These hold NumPy arrays here, and are declared to hold JAX arrays.
_World: Any = WorldState
_Player: Any = Player
_Objects: Any = Objects

Edit = Callable[[HostState], HostState]


def arena(ground: str = "grass", time: int = 0) -> HostState:
    """16 x 16 cells of one material with the player at (8, 8), facing down, all needs at 9.

    Args:
        ground: the material.
        time: steps taken so far.
    """
    items = np.zeros(len(c.ITEMS), np.int8)
    items[: len(c.STATS)] = 9
    zero = np.float32(0)
    player = _Player(
        x=np.int16(CENTRE[0]),
        y=np.int16(CENTRE[1]),
        facing=np.uint8(c.DOWN),
        action=np.uint8(c.action("noop")),
        sleeping=np.bool_(False),
        items=items,
        unlocked=np.zeros(len(c.ACHIEVEMENTS), np.int32),
        hunger=zero,
        thirst=zero,
        fatigue=zero,
        recover=zero,
        last_health=np.int8(9),
    )
    state = _World(
        time=np.int32(time),
        materials=np.full(AREA, c.material(ground), np.uint8),
        player=player,
        objects=_Objects(
            id=np.zeros(CAPACITY, np.int32),
            kind=np.zeros(CAPACITY, np.uint8),
            x=np.zeros(CAPACITY, np.int16),
            y=np.zeros(CAPACITY, np.int16),
            health=np.zeros(CAPACITY, np.int8),
            counter=np.zeros(CAPACITY, np.int16),
            facing=np.zeros(CAPACITY, np.uint8),
        ),
        next_id=np.int32(c.PLAYER_ID + 1),
        chunk_order=np.full(chunk_grid(AREA), -1, np.int16),
        overflow=np.bool_(False),
    )
    return visit_chunks(state)


def built(edits: Iterable[Edit], ground: str = "grass", time: int = 0) -> HostState:
    """An arena after these edits, in order."""
    state = arena(ground, time)
    for edit in edits:
        state = edit(state)
    return state


def cells(material: str, *where: tuple[int, int]) -> Edit:
    """Lays a material on cells; `ValueError` for one outside the map."""

    def edit(state: HostState) -> HostState:
        materials = np.array(state.materials)
        for cell in where:
            _check_inside(state, cell)
            materials[cell] = c.material(material)
        return state.replace(materials=materials)

    return edit


def rectangle(material: str, low: tuple[int, int], high: tuple[int, int]) -> Edit:
    """Lays a material on the cells from `low` to `high`, both included."""
    columns, rows = range(low[0], high[0] + 1), range(low[1], high[1] + 1)
    return cells(material, *((x, y) for x in columns for y in rows))


def items(**amounts: int) -> Edit:
    """Sets items of the inventory, health and the other needs included; 0..9 each."""

    def edit(state: HostState) -> HostState:
        inventory = np.array(state.player.items)
        for name, amount in amounts.items():
            if not 0 <= amount <= 9:
                raise ValueError(f"{name} must be in 0..9, got {amount}")
            inventory[c.item(name)] = amount
        player = state.player.replace(items=inventory, last_health=inventory[0])
        return state.replace(player=player)

    return edit


def player(**fields: Any) -> Edit:
    """Sets fields of the player's record (see `Player`), with their dtypes."""

    def edit(state: HostState) -> HostState:
        new = {
            name: getattr(state.player, name).dtype.type(value) for name, value in fields.items()
        }
        return visit_chunks(state.replace(player=state.player.replace(**new)))

    return edit


def thing(
    kind: str,
    where: tuple[int, int],
    health: int | None = None,
    counter: int = 0,
    facing: int = 0,
) -> Edit:
    """Puts an object on a free cell.

    Args:
        kind: one of `KINDS`.
        where: (x, y).
        health: by default that of a new one.
        counter: a zombie's cooldown, a skeleton's reload time, how long a plant has grown.
        facing: an arrow's direction.

    Raises:
        ValueError: the cell is outside the map or taken, or no slot is free.
    """

    def edit(state: HostState) -> HostState:
        _check_inside(state, where)
        objects = state.objects
        taken = (objects.kind != 0) & (objects.x == where[0]) & (objects.y == where[1])
        if taken.any() or where == (state.player.x, state.player.y):
            raise ValueError(f"cell {where} is taken")
        free = np.flatnonzero(objects.kind == 0)
        if not len(free):
            raise ValueError(f"all {objects.capacity} slots are taken")
        values = _Objects(
            id=int(state.next_id),
            kind=c.kind(kind),
            x=where[0],
            y=where[1],
            health=HEALTH[kind] if health is None else health,
            counter=counter,
            facing=facing,
        )
        new = {name: _put(getattr(objects, name), free[0], v) for name, v in vars(values).items()}
        added = state.replace(objects=_Objects(**new), next_id=state.next_id + np.int32(1))
        return visit_chunks(added)

    return edit


def visit_chunks(state: HostState) -> HostState:
    """Gives a place in the order to chunks that hold an object and had none."""
    order = np.array(state.chunk_order)
    there = state.objects.kind != 0
    xs = [int(state.player.x), *state.objects.x[there].tolist()]
    ys = [int(state.player.y), *state.objects.y[there].tolist()]
    for x, y in zip(xs, ys, strict=True):
        chunk = x // c.CHUNK, y // c.CHUNK
        if order[chunk] < 0:
            order[chunk] = order.max() + 1
    return state.replace(chunk_order=order)


def _put(array: np.ndarray, index: int, value: Any) -> np.ndarray:
    new = np.array(array)
    new[index] = value
    return new


def _check_inside(state: HostState, cell: tuple[int, int]) -> None:
    width, height = state.area
    if not (0 <= cell[0] < width and 0 <= cell[1] < height):
        raise ValueError(f"cell {cell} is outside the map of {width} x {height} cells")
