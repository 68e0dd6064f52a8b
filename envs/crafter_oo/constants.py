"""Names of Crafter's things, in the order in which the reference numbers them.

Source: Hafner (2021), "Benchmarking the Spectrum of Agent Capabilities", arXiv 2109.06780; order
and numbers as in the package `crafter` 1.8.3.
"""

import numpy as np

ACTIONS = (
    "noop",
    "move_left",
    "move_right",
    "move_up",
    "move_down",
    "do",
    "sleep",
    "place_stone",
    "place_table",
    "place_furnace",
    "place_plant",
    "make_wood_pickaxe",
    "make_stone_pickaxe",
    "make_iron_pickaxe",
    "make_wood_sword",
    "make_stone_sword",
    "make_iron_sword",
)
PLACEABLE = tuple(name[len("place_") :] for name in ACTIONS if name.startswith("place_"))
MAKEABLE = tuple(name[len("make_") :] for name in ACTIONS if name.startswith("make_"))

# A cell of the map holds an index into this; 0 is what lies outside the map.
MATERIALS = (
    "outside",
    "water",
    "grass",
    "stone",
    "path",
    "sand",
    "tree",
    "lava",
    "coal",
    "iron",
    "diamond",
    "table",
    "furnace",
)

# An object slot holds an index into this; 0 is an empty slot. The player is no slot.
KINDS = ("none", "cow", "zombie", "skeleton", "arrow", "plant")

# What a kind calls `Objects.counter`.
COUNTERS = {"zombie": "cooldown", "skeleton": "reload", "plant": "grown"}
# The creatures whose numbers are kept in balance, in the order in which they are taken.
BALANCED = ("zombie", "skeleton", "cow")

STATS = ("health", "food", "drink", "energy")
ITEMS = (
    *STATS,
    "sapling",
    "wood",
    "stone",
    "coal",
    "iron",
    "diamond",
    "wood_pickaxe",
    "stone_pickaxe",
    "iron_pickaxe",
    "wood_sword",
    "stone_sword",
    "iron_sword",
)

ACHIEVEMENTS = (
    "collect_coal",
    "collect_diamond",
    "collect_drink",
    "collect_iron",
    "collect_sapling",
    "collect_stone",
    "collect_wood",
    "defeat_skeleton",
    "defeat_zombie",
    "eat_cow",
    "eat_plant",
    "make_iron_pickaxe",
    "make_iron_sword",
    "make_stone_pickaxe",
    "make_stone_sword",
    "make_wood_pickaxe",
    "make_wood_sword",
    "place_furnace",
    "place_plant",
    "place_stone",
    "place_table",
    "wake_up",
)

# (x, y); x grows to the right and y downwards. The order is also that of a random direction.
DIRECTIONS = np.asarray([(-1, 0), (1, 0), (0, -1), (0, 1)], np.int32)
LEFT, RIGHT, UP, DOWN = range(4)

CHUNK = 12  # cells along each side of the squares in which creatures are balanced
PLAYER_ID = 1  # the first object of a world


def material(name: str) -> int:
    """The number of a material; `ValueError` for an unknown name."""
    return MATERIALS.index(name)


def kind(name: str) -> int:
    """The number of a kind of object; `ValueError` for an unknown name."""
    return KINDS.index(name)


def item(name: str) -> int:
    """The index of an item in an inventory; `ValueError` for an unknown name."""
    return ITEMS.index(name)


def action(name: str) -> int:
    """The number of an action; `ValueError` for an unknown name."""
    return ACTIONS.index(name)


def achievement(name: str) -> int:
    """The index of an achievement; `ValueError` for an unknown name."""
    return ACHIEVEMENTS.index(name)
