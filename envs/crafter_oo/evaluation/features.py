"""Local features of a step, as contexts of what changes: from general to special.

Only what lies around the player or an object, as a learner without the rules might describe it.
"""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.evaluation.canonical import HostState

Contexts = tuple[Hashable, ...]
_NEED_OF = {"health": "recover", "food": "hunger", "drink": "thirst", "energy": "fatigue"}


class Seen(NamedTuple):
    """What the player's surroundings look like.

    Attributes:
        state: the world.
        deed: the action's name, or `asleep`.
        front: what is ahead: a kind of object, or a material.
        front_cell: (x, y) of the cell ahead; None outside the map.
        threat: the state of the nearest creature beside the player.
        means: what crafting depends on: the best pickaxe, and which stations are nearby.
        stock: (wood, stone, coal, iron, sapling), each up to 4.
    """

    state: HostState
    deed: str
    front: str
    front_cell: tuple[int, int] | None
    threat: Hashable
    means: Hashable
    stock: Hashable


class SeenObject(NamedTuple):
    """What an object's surroundings look like.

    Attributes:
        kind: its kind.
        struck: whether the player hits it, and with which sword.
        relation: how near the player is, and in which direction.
        ahead: what lies ahead of an arrow.
        counter: its counter.
        weak: whether its health is at most 1.
    """

    kind: str
    struck: Hashable
    relation: Hashable
    ahead: Hashable
    counter: int
    weak: bool


def observe(state: HostState, action: int) -> Seen:
    """The player's surroundings."""
    player, name = state.player, c.ACTIONS[action]
    moving = name.startswith("move_")
    direction = action - c.action("move_left") if moving else int(player.facing)
    cell = _beside(state, int(player.x), int(player.y), direction)
    items = player.items.tolist()
    best = max((i for i, kind in enumerate(_tools("pickaxe"), 1) if items[kind]), default=0)
    x, y = int(player.x), int(player.y)
    around = state.materials[max(x - 1, 0) : x + 2, max(y - 1, 0) : y + 2]
    stations = tuple(bool((around == c.material(s)).any()) for s in ("table", "furnace"))
    stock = tuple(min(items[c.item(i)], 4) for i in ("wood", "stone", "coal", "iron", "sapling"))
    return Seen(
        state=state,
        deed="asleep" if player.sleeping else name,
        front=_what(state, cell),
        front_cell=cell,
        threat=_threat(state),
        means=(best, *stations),
        stock=stock,
    )


def observe_object(seen: Seen, slot: int) -> SeenObject:
    """An object's surroundings."""
    state, objects, player = seen.state, seen.state.objects, seen.state.player
    kind, x, y = c.KINDS[objects.kind[slot]], int(objects.x[slot]), int(objects.y[slot])
    dx, dy = int(player.x) - x, int(player.y) - y
    distance = abs(dx) + abs(dy)
    near = sum(distance > limit for limit in (1, 3, 5, 8, 17))
    sword = max((i for i, k in enumerate(_tools("sword"), 1) if player.items[k]), default=0)
    hit = seen.deed == "do" and seen.front_cell == (x, y)
    ahead = _what(state, _beside(state, x, y, int(objects.facing[slot])))
    return SeenObject(
        kind=kind,
        struck=sword if hit else None,
        relation=(near, int(np.sign(dx)), int(np.sign(dy)), abs(dx) > abs(dy)),
        ahead=ahead if kind == "arrow" else None,
        counter=int(objects.counter[slot]),
        weak=bool(objects.health[slot] <= 1),
    )


def alone(*names: Hashable) -> Contexts:
    """One context; none at all for what is always drawn evenly."""
    return (names,) if names else ()


def of_move(seen: Seen) -> Contexts:
    """Contexts of where the player goes."""
    return ("move",), ("move", seen.deed), ("move", seen.deed, seen.front)


def of_facing(seen: Seen) -> Contexts:
    """Contexts of where the player looks."""
    facing = int(seen.state.player.facing)
    return ("facing",), ("facing", seen.deed), ("facing", seen.deed, facing)


def of_sleep(seen: Seen) -> Contexts:
    """Contexts of whether the player sleeps."""
    energy = int(seen.state.player.items[c.item("energy")])
    return ("sleep",), ("sleep", seen.deed), ("sleep", seen.deed, energy)


def of_item(seen: Seen, name: str) -> Contexts:
    """Contexts of how many of an item there are."""
    general = (name,), (name, seen.deed), (name, seen.deed, seen.front if _deals(seen) else None)
    if name in _NEED_OF:
        need = float(getattr(seen.state.player, _NEED_OF[name]))
        threat = seen.threat if name == "health" else None
        return (*general, (*general[-1], need, threat))
    return (*general, (*general[-1], seen.means), (*general[-1], seen.means, seen.stock))


def of_achievement(seen: Seen, name: str) -> Contexts:
    """Contexts of whether an achievement is reached."""
    front = seen.front if _deals(seen) else None
    deed = (name, "+", seen.deed, front)
    return (name, "+"), (name, "+", seen.deed), deed, (*deed, seen.means, seen.stock)


def of_need(seen: Seen, name: str) -> Contexts:
    """Contexts of how hunger, thirst, fatigue and recovery change."""
    player = seen.state.player
    asleep, value = bool(player.sleeping), float(getattr(player, name))
    front = seen.front if seen.deed == "do" else None
    starving = min(player.items[1:4].tolist()) == 0
    return (name,), (name, asleep), (name, asleep, starving, front), (name, asleep, value, front)


def of_front(seen: Seen) -> Contexts:
    """Contexts of the material ahead."""
    cell = seen.front_cell
    material = int(seen.state.materials[cell]) if cell is not None else 0
    deed = ("front", material, seen.deed, seen.front)
    return (
        ("front", material),
        ("front", material, seen.deed),
        deed,
        (*deed, seen.means, seen.stock),
    )


def of_object_move(seen: SeenObject) -> Contexts:
    """Contexts of where an object goes, or whether it vanishes."""
    name = (seen.kind, "move")
    state = (*name, seen.struck, seen.weak, seen.ahead)
    return name, (*name, seen.ahead), state, (*state, seen.relation)


def of_object_health(seen: SeenObject) -> Contexts:
    """Contexts of an object's health."""
    name = (seen.kind, "health")
    return name, (*name, seen.struck is not None), (*name, seen.struck)


def of_object_counter(seen: SeenObject) -> Contexts:
    """Contexts of an object's counter."""
    name = (seen.kind, "counter")
    near = seen.relation[0] if isinstance(seen.relation, tuple) else 0
    return name, (*name, near), (*name, near, min(seen.counter, 6))


def of_new(seen: Seen) -> Contexts:
    """Contexts of what appears."""
    shooters = bool((seen.state.objects.kind == c.kind("skeleton")).any())
    turn = (int(seen.state.time) + 1) % 10 == 0
    name = ("new", shooters, turn)
    return ("new",), name, (*name, seen.deed), (*name, seen.deed, seen.front, seen.stock)


def _deals(seen: Seen) -> bool:
    """Whether the deed has to do with what is ahead."""
    return seen.deed == "do" or seen.deed.startswith("place_")


def _tools(what: str) -> list[int]:
    return [c.item(f"{material}_{what}") for material in ("wood", "stone", "iron")]


def _beside(state: HostState, x: int, y: int, direction: int) -> tuple[int, int] | None:
    dx, dy = c.DIRECTIONS[direction].tolist()
    width, height = state.area
    inside = 0 <= x + dx < width and 0 <= y + dy < height
    return (x + dx, y + dy) if inside else None


def _what(state: HostState, cell: tuple[int, int] | None) -> str:
    """What is on a cell: a kind of object, or a material."""
    if cell is None:
        return c.MATERIALS[0]
    objects = state.objects
    there = np.flatnonzero((objects.kind != 0) & (objects.x == cell[0]) & (objects.y == cell[1]))
    if len(there):
        return c.KINDS[objects.kind[there[0]]]
    if (int(state.player.x), int(state.player.y)) == cell:
        return "player"
    return c.MATERIALS[state.materials[cell]]


def _threat(state: HostState) -> Hashable:
    """Kinds and counters of the zombies and arrows that could hurt the player now."""
    objects, player = state.objects, state.player
    distance = abs(objects.x - player.x) + abs(objects.y - player.y)
    zombies = (objects.kind == c.kind("zombie")) & (distance <= 2)
    arrows = (objects.kind == c.kind("arrow")) & (distance <= 1)
    ready = bool((zombies & (objects.counter == 0)).any())
    return ready, bool(zombies.any()), bool(arrows.any()), bool(player.sleeping)
