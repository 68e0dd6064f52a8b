"""Distractors: wrong next states, made from the previous state and drawn from a key.

A mutator takes the previous state with its clock advanced (`time` and the player's last action, so
that the clock betrays nothing) and makes one thing wrong that no rule explains. It answers None
where it does not apply, and otherwise a valid state that differs from the one it was given.

Source: OneLife (arXiv 2510.12088): entity health, entity position, player health and inventory for
every action, and an illegal collection, craft or move where the action is one.
"""

from collections.abc import Callable

import jax
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.evaluation.arena import visit_chunks
from jaxrl.envs.crafter_oo.evaluation.canonical import (
    HostState,
    canonical,
    check_action,
    fingerprint,
    ticked,
)
from jaxrl.envs.crafter_oo.rules import Rules

DISTRACTORS = 10
_TRIES = 50  # draws for one distractor before it may equal an earlier one

Mutator = Callable[[np.random.Generator, HostState, Rules], HostState | None]


def generator(key: jax.Array) -> np.random.Generator:
    """NumPy's generator seeded by a typed key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key), np.uint32))


def entity_health(random: np.random.Generator, state: HostState, rules: Rules) -> HostState | None:
    """One object has another health in 0..9."""
    del rules
    slot = _any_object(random, state)
    if slot is None:
        return None
    health = np.array(state.objects.health)
    health[slot] = _other(random, int(health[slot]), 10)
    return state.replace(objects=state.objects.replace(health=health))


def entity_position(
    random: np.random.Generator, state: HostState, rules: Rules
) -> HostState | None:
    """One object is on another free cell on which its kind can stand."""
    slot = _any_object(random, state)
    if slot is None:
        return None
    creatures, kind = rules.creatures, c.KINDS[state.objects.kind[slot]]
    walkable = creatures.arrow_walkable if kind == "arrow" else creatures.walkable
    free = np.argwhere(np.asarray(walkable)[state.materials] & ~occupied(state))
    if not len(free):
        return None
    x, y = np.array(state.objects.x), np.array(state.objects.y)
    x[slot], y[slot] = random.choice(free)
    return visit_chunks(state.replace(objects=state.objects.replace(x=x, y=y)))


def player_health(random: np.random.Generator, state: HostState, rules: Rules) -> HostState:
    """The player has another health in 0..9."""
    del rules
    return _with_item(state, 0, _other(random, int(state.player.items[0]), 10))


def inventory(random: np.random.Generator, state: HostState, rules: Rules) -> HostState:
    """The player has another number, in 0..9, of one item that is not health."""
    del rules
    index = int(random.integers(1, len(c.ITEMS)))
    return _with_item(state, index, _other(random, int(state.player.items[index]), 10))


def illegal_collecting(
    random: np.random.Generator, state: HostState, rules: Rules
) -> HostState | None:
    """Something comes into the inventory that the cell in front does not give, or not yet."""
    if c.ACTIONS[state.player.action] != "do":
        return None
    dx, dy = c.DIRECTIONS[state.player.facing]
    ahead = _material(state, int(state.player.x) + dx, int(state.player.y) + dy)
    recipes, items = rules.recipes, state.player.items
    received, needed = np.asarray(recipes.collect_receive), np.asarray(recipes.collect_require)
    full = np.asarray(rules.life.maximum)
    wrong = [
        material
        for material in np.flatnonzero(recipes.collect_possible)
        if (material != ahead or (items < needed[material]).any())
        and (np.minimum(items + received[material], full) != items).any()
    ]
    if not wrong:
        return None
    gained = items + received[random.choice(wrong)]
    return _with_items(state, np.minimum(gained, full))


def illegal_crafting(
    random: np.random.Generator, state: HostState, rules: Rules
) -> HostState | None:
    """A tool is made that was not asked for, or without paying for it."""
    if not c.ACTIONS[state.player.action].startswith("make_"):
        return None
    asked = c.MAKEABLE.index(c.ACTIONS[state.player.action][len("make_") :])
    tools = np.asarray([c.item(name) for name in c.MAKEABLE])
    full = np.asarray(rules.life.maximum)[tools] <= state.player.items[tools]
    free = not np.asarray(rules.recipes.make_uses)[asked].any()
    # The tool asked for comes for nothing: wrong unless it costs nothing.
    wrong = [i for i in range(len(tools)) if not full[i] and not (i == asked and free)]
    if not wrong:
        return None
    tool = tools[random.choice(wrong)]
    return _with_item(state, int(tool), int(state.player.items[tool]) + 1)


def illegal_moving(random: np.random.Generator, state: HostState, rules: Rules) -> HostState | None:
    """The player moves to a cell beside it other than the one it was told to go to."""
    name = c.ACTIONS[state.player.action]
    if not name.startswith("move_"):
        return None
    taken, told = occupied(state), state.player.action - c.action("move_left")
    wrong = []
    for direction, (dx, dy) in enumerate(c.DIRECTIONS):
        cell = int(state.player.x) + int(dx), int(state.player.y) + int(dy)
        material = _material(state, *cell)
        enterable = bool(np.asarray(rules.creatures.player_walkable)[material])
        free = material != 0 and not taken[cell]
        # Into an obstacle in the way told, or any other way.
        if free and not (direction == told and enterable):
            wrong.append((direction, cell))
    if not wrong:
        return None
    direction, (x, y) = wrong[random.integers(len(wrong))]
    player = state.player.replace(x=np.int16(x), y=np.int16(y), facing=np.uint8(direction))
    return visit_chunks(state.replace(player=player))


MUTATORS: dict[str, Mutator] = {
    "entity_health": entity_health,
    "entity_position": entity_position,
    "player_health": player_health,
    "inventory": inventory,
    "illegal_collecting": illegal_collecting,
    "illegal_crafting": illegal_crafting,
    "illegal_moving": illegal_moving,
}


def mutate(
    name: str, key: jax.Array, state: HostState, action: int, rules: Rules
) -> HostState | None:
    """One distractor of a kind (see `MUTATORS`), or None where the kind does not apply.

    Args:
        name: one of `MUTATORS`.
        key: a typed key.
        state: the previous state.
        action: index into `ACTIONS`.
        rules: the world's rules.
    """
    later = ticked(canonical(state), check_action(action))
    return MUTATORS[name](generator(key), later, rules)


def distractors(
    key: jax.Array, state: HostState, action: int, rules: Rules, count: int = DISTRACTORS
) -> list[HostState]:
    """`count` distractors of a step, of all kinds that apply in turn, different from each other.

    Arguments as in `mutate`.
    """
    random = generator(key)
    later = ticked(canonical(state), check_action(action))
    kinds = [m for m in MUTATORS.values() if m(random, later, rules) is not None]
    order = random.permutation(len(kinds))
    found: dict[bytes, HostState] = {}
    for turn in range(count * _TRIES):
        if len(found) == count:
            break
        mutated = kinds[order[turn % len(kinds)]](random, later, rules)
        if mutated is not None:
            found.setdefault(fingerprint(mutated), mutated)
    return list(found.values())


def occupied(state: HostState) -> np.ndarray:
    """Where an object or the player stands, bool [W, H]."""
    taken = np.zeros(state.area, np.bool_)
    there = state.objects.kind != 0
    taken[state.objects.x[there], state.objects.y[there]] = True
    taken[int(state.player.x), int(state.player.y)] = True
    return taken


def _any_object(random: np.random.Generator, state: HostState) -> int | None:
    slots = np.flatnonzero(state.objects.kind)
    return int(random.choice(slots)) if len(slots) else None


def _other(random: np.random.Generator, value: int, count: int) -> int:
    """A number in 0..count - 1 other than `value`, which may lie outside."""
    return int(random.choice([n for n in range(count) if n != value]))


def _material(state: HostState, x: int, y: int) -> int:
    width, height = state.area
    return int(state.materials[x, y]) if 0 <= x < width and 0 <= y < height else 0


def _with_item(state: HostState, index: int, amount: int) -> HostState:
    items = np.array(state.player.items)
    items[index] = amount
    return _with_items(state, items)


def _with_items(state: HostState, items: np.ndarray) -> HostState:
    return state.replace(player=state.player.replace(items=items.astype(np.int8)))
