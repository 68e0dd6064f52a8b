"""Crafter by keys: walking, doing, placing, making."""

from typing import Any

import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.goals import GoalState, goal_of, world_of
from jaxrl.play.controls import Controls, Entry, Section

_KEYS = {
    "left": "move_left",
    "right": "move_right",
    "up": "move_up",
    "down": "move_down",
    "a": "move_left",
    "d": "move_right",
    "w": "move_up",
    "s": "move_down",
    "space": "do",
    "enter": "do",
    "z": "sleep",
    "r": "place_stone",
    "t": "place_table",
    "f": "place_furnace",
    "p": "place_plant",
    "1": "make_wood_pickaxe",
    "2": "make_stone_pickaxe",
    "3": "make_iron_pickaxe",
    "4": "make_wood_sword",
    "5": "make_stone_sword",
    "6": "make_iron_sword",
    ".": "noop",
}


def controls(env: Any, params: Any) -> Controls:
    """Arrows or WASD, space to do; the inventory and the achievements are told."""
    keys = {key: c.action(name) for key, name in _KEYS.items()}
    return Controls(keys, c.ACTIONS, status)


def status(state: Any) -> tuple[Section, ...]:
    """What the player has and has achieved; `state` is a `WorldState` or a `GoalState`."""
    player = world_of(state).player
    items = np.asarray(player.items).tolist()
    owned = [
        Entry(_words(name), str(amount))
        for name, amount in zip(c.ITEMS, items, strict=True)
        if amount or name in c.STATS
    ]
    counts = np.asarray(player.unlocked).tolist()
    achieved = [
        Entry(_words(name), str(count) if count else "", count > 0)
        for name, count in zip(c.ACHIEVEMENTS, counts, strict=True)
    ]
    unlocked = sum(entry.done for entry in achieved)
    goals = []
    if isinstance(state, GoalState):
        name = goal_of(state)
        goals = [Section("goal", (Entry(_words(name), done=counts[c.achievement(name)] > 0),))]
    return (
        *goals,
        Section("inventory", tuple(owned)),
        Section(f"achievements {unlocked}/{len(achieved)}", tuple(achieved)),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")
