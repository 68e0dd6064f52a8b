"""The 38 scenarios of the OneLife paper's code: 23 published names, 15 of them also failing.

A failing variant differs from its success in one thing that the rule needs. They exist where the
action can be refused: the 6 crafts, the 4 collections that need a tool, the 4 placements and eating
an unripe plant (15). Drinking, collecting wood, fighting, moving, eating a cow and waking up ask
for nothing. The code is not part of this project: the arenas are ours, after the paper.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.evaluation import arena
from jaxrl.envs.crafter_oo.evaluation.arena import FRONT, cells, items, player, thing
from jaxrl.envs.crafter_oo.evaluation.scenario import Scenario, prepared
from jaxrl.envs.crafter_oo.state import WorldState

_BESIDE, _OTHER_SIDE = (9, 8), (7, 8)
_TABLE, _FURNACE = cells("table", _BESIDE), cells("furnace", _OTHER_SIDE)
_RANDOM_STEPS = 5


def _pair(
    name: str,
    about: str,
    actions: str,
    needs: tuple[arena.Edit, ...],
    failing: str,
    why: str,
    lacking: tuple[arena.Edit, ...],
) -> tuple[Scenario, Scenario]:
    """A success and its failing variant `<name>_<failing>`."""
    refused = f"{name}_{failing}"
    return (
        prepared(name, about, actions, *needs, published=name),
        prepared(refused, why, actions, *lacking, published=name),
    )


def _crafts() -> tuple[Scenario, ...]:
    return (
        *_pair(
            "craft_wooden_pickaxe",
            "One wood beside a table becomes a pickaxe.",
            "make_wood_pickaxe",
            (_TABLE, items(wood=1)),
            "no_wood",
            "A table, but no wood: nothing is made.",
            (_TABLE,),
        ),
        *_pair(
            "craft_stone_pickaxe",
            "Wood and stone beside a table become a pickaxe.",
            "make_stone_pickaxe",
            (_TABLE, items(wood=1, stone=1)),
            "no_stone",
            "Wood, but no stone: nothing is made.",
            (_TABLE, items(wood=1)),
        ),
        *_pair(
            "craft_iron_pickaxe",
            "Wood, coal and iron beside a table and a furnace become a pickaxe.",
            "make_iron_pickaxe",
            (_TABLE, _FURNACE, items(wood=1, coal=1, iron=1)),
            "no_furnace",
            "The material, but no furnace: nothing is made.",
            (_TABLE, items(wood=1, coal=1, iron=1)),
        ),
        *_pair(
            "craft_wooden_sword",
            "One wood beside a table becomes a sword.",
            "make_wood_sword",
            (_TABLE, items(wood=1)),
            "no_table",
            "Wood, but no table: nothing is made.",
            (items(wood=1),),
        ),
        *_pair(
            "craft_stone_sword",
            "Wood and stone beside a table become a sword.",
            "make_stone_sword",
            (_TABLE, items(wood=1, stone=1)),
            "no_wood",
            "Stone, but no wood: nothing is made.",
            (_TABLE, items(stone=1)),
        ),
        *_pair(
            "craft_iron_sword",
            "Wood, coal and iron beside a table and a furnace become a sword.",
            "make_iron_sword",
            (_TABLE, _FURNACE, items(wood=1, coal=1, iron=1)),
            "no_coal",
            "Wood and iron, but no coal: nothing is made.",
            (_TABLE, _FURNACE, items(wood=1, iron=1)),
        ),
    )


def _collects() -> tuple[Scenario, ...]:
    scenarios: list[Scenario] = []
    for name, tool, failing, lacking in (
        ("coal", "wood_pickaxe", "no_pickaxe", ()),
        ("diamond", "iron_pickaxe", "stone_pickaxe", (items(stone_pickaxe=1),)),
        ("iron", "stone_pickaxe", "wood_pickaxe", (items(wood_pickaxe=1),)),
        ("stone", "wood_pickaxe", "no_pickaxe", ()),
    ):
        ahead = cells(name, FRONT)
        scenarios += _pair(
            f"collect_{name}",
            f"{name} in front and the {tool.replace('_', ' ')} for it.",
            "do",
            (ahead, items(**{tool: 1})),
            failing,
            f"{name} in front, but not the tool for it: nothing is collected.",
            (ahead, *lacking),
        )
    return (
        *scenarios,
        prepared(
            "collect_drink",
            "Water in front, and thirst.",
            "do",
            cells("water", FRONT),
            items(drink=4),
            player(thirst=10),
            published="collect_drink",
        ),
        prepared(
            "collect_wood",
            "A tree in front, which becomes grass.",
            "do",
            cells("tree", FRONT),
            published="collect_wood",
        ),
    )


def _places() -> tuple[Scenario, ...]:
    return (
        *_pair(
            "place_furnace",
            "Four stones become a furnace.",
            "place_furnace",
            (_TABLE, items(stone=4)),
            "three_stones",
            "Three stones are not enough.",
            (_TABLE, items(stone=3)),
        ),
        *_pair(
            "place_plant",
            "A sapling is planted on grass.",
            "place_plant",
            (items(sapling=1),),
            "on_sand",
            "A sapling does not grow on sand.",
            (cells("sand", FRONT), items(sapling=1)),
        ),
        *_pair(
            "place_stone",
            "A stone is laid on grass.",
            "place_stone",
            (items(stone=1),),
            "no_stone",
            "There is no stone to lay.",
            (),
        ),
        *_pair(
            "place_table",
            "Two wood become a table.",
            "place_table",
            (items(wood=2),),
            "one_wood",
            "One wood is not enough.",
            (items(wood=1),),
        ),
    )


_HUNGRY = items(food=3)


def _lives() -> tuple[Scenario, ...]:
    return (
        *_pair(
            "eat_plant",
            "A ripe plant in front feeds.",
            "do",
            (_HUNGRY, thing("plant", FRONT, counter=400)),
            "unripe",
            "An unripe plant in front does not.",
            (_HUNGRY, thing("plant", FRONT, counter=100)),
        ),
        prepared(
            "eat_cow",
            "The last blow to a cow in front feeds.",
            "do",
            _HUNGRY,
            thing("cow", FRONT, health=1),
            published="eat_cow",
        ),
        prepared(
            "zombie_defeat",
            "An iron sword kills a zombie in front.",
            "do",
            items(iron_sword=1),
            thing("zombie", FRONT, counter=5),
            published="zombie_defeat",
        ),
        prepared(
            "defeat_skeleton",
            "A stone sword kills a skeleton in front, in a tunnel.",
            "do",
            arena.rectangle("path", (8, 7), (8, 12)),
            items(stone_sword=1),
            thing("skeleton", FRONT, counter=4),
            published="defeat_skeleton",
        ),
        prepared(
            "cow_movement",
            "A cow wanders; a second one has water on three sides.",
            "3*noop",
            thing("cow", (5, 5)),
            thing("cow", (11, 5)),
            cells("water", (10, 5), (12, 5), (11, 4)),
            published="cow_movement",
        ),
        Scenario(
            "random_movement",
            "random_movement",
            "The player walks at random between trees and stones.",
            _random_movement,
        ),
        prepared(
            "wake_up",
            "The last unit of energy comes, and the player wakes up a step later.",
            "2*noop",
            items(energy=8),
            player(sleeping=True, fatigue=-10),
            published="wake_up",
        ),
    )


def _random_movement(key: jax.Array) -> tuple[WorldState, np.ndarray]:
    obstacles = (cells("tree", (7, 8), (9, 7)), cells("stone", (8, 10), (10, 8)))
    moves = jnp.asarray([c.action(f"move_{name}") for name in ("left", "right", "up", "down")])
    drawn = jax.random.choice(key, moves, (_RANDOM_STEPS,))
    return arena.built(obstacles), np.asarray(drawn, np.int32)


PUBLISHED: tuple[Scenario, ...] = (*_crafts(), *_collects(), *_places(), *_lives())
