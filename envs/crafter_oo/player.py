"""The player's part of a step: acting, needs, health.

Source: the rules of the package `crafter` 1.8.3, in its order.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.rules import Creatures, Life, Rules
from jaxrl.envs.crafter_oo.state import (
    Objects,
    Player,
    Population,
    WorldState,
    chunk_of,
    material_at,
    new_object,
    offsets,
    open_chunks,
    standing_on,
)
from jaxrl.staging import stage

_FIRST_MOVE, _DO, _SLEEP = c.action("move_left"), c.action("do"), c.action("sleep")
_FIRST_PLACE, _FIRST_MAKE = c.action("place_stone"), c.action("make_wood_pickaxe")
_WATER, _LAVA = c.material("water"), c.material("lava")
_HEALTH, _FOOD, _DRINK, _ENERGY = (c.item(name) for name in c.STATS)
_SWORDS = jnp.asarray([c.item(f"{name}_sword") for name in ("wood", "stone", "iron")])
# What placing a thing leaves on the map; a plant is an object and leaves the material.
_PLACED = jnp.asarray(
    [c.material("stone"), c.material("table"), c.material("furnace"), 0], jnp.uint8
)
# The first achievements are those of collecting an item.
_COLLECTED = jnp.asarray(
    [c.item(name[len("collect_") :]) for name in c.ACHIEVEMENTS if name.startswith("collect_")]
)


class _Target(NamedTuple):
    """The cell the player looks at, its material, and the object there: bool [N] and []."""

    x: jax.Array
    y: jax.Array
    material: jax.Array
    hit: jax.Array
    taken: jax.Array


def update_player(
    state: WorldState, action: jax.Array, collect: jax.Array, rules: Rules
) -> WorldState:
    """The player acts, gets hungry, thirsty and tired, and its health changes.

    Args:
        state: the world, `time` already advanced.
        action: int [], index into `ACTIONS`.
        collect: float32 [], uniform; whether collecting gives something.
        rules: the rules.
    """
    turn = stage(state.time >= 0, _turn, state, action, collect, rules)
    player, target = turn.player, turn.target
    state = state.replace(
        player=player,
        objects=state.objects.replace(health=turn.health, counter=turn.counter),
        materials=_write(state.materials, target, turn.material),
    )
    sapling = new_object(c.kind("plant"), target.x, target.y, rules.life.sapling_health)
    state = Population.of(state).add(turn.plants, sapling).put(state)
    entered = jnp.stack(
        [
            chunk_of(player.x, player.y, state.area),
            jnp.where(turn.plants, chunk_of(target.x, target.y, state.area), jnp.int16(-1)),
        ]
    )
    return state.replace(chunk_order=open_chunks(state.chunk_order, entered))


class _Turn(NamedTuple):
    """What the player's turn changes.

    Attributes:
        player: the player afterwards.
        target: the cell it looked at.
        material: uint8 [], what is in that cell then, 0 where nothing changes.
        plants: bool [], a sapling is placed there.
        health: int8 [N], of the objects.
        counter: int16 [N], of the objects.
    """

    player: Player
    target: _Target
    material: jax.Array
    plants: jax.Array
    health: jax.Array
    counter: jax.Array


def _turn(state: WorldState, action: jax.Array, collect: jax.Array, rules: Rules) -> _Turn:
    player, action = _sleep_or_wake(state.player, action.astype(jnp.uint8), rules.life)
    moving = (action >= _FIRST_MOVE) & (action < _FIRST_MOVE + 4)
    player = player.replace(
        facing=jnp.where(moving, action - jnp.uint8(_FIRST_MOVE), player.facing)
    )
    target = _look(state, player)
    standing = material_at(state.materials, player.x, player.y)
    player, in_lava = _move(player, target, standing, moving, rules.creatures)
    player, objects = _do_object(player, state.objects, target, action == _DO, rules)
    player, left = _do_material(player, target, action == _DO, collect, rules)
    player, placed, plants = _place(player, target, action, rules)
    player = _make(player, state.materials, action, rules)
    player = _live(player, in_lava, rules)
    material = jnp.where(placed > 0, placed, left)
    return _Turn(player, target, material, plants, objects.health, objects.counter)


def _sleep_or_wake(player: Player, action: jax.Array, life: Life) -> tuple[Player, jax.Array]:
    """Who sleeps and is tired goes on sleeping; who slept enough wakes up and acts."""
    tired = player.items[_ENERGY] < life.maximum[_ENERGY]
    wakes = player.sleeping & ~tired
    chosen = jnp.where(player.sleeping & tired, jnp.uint8(_SLEEP), action)
    player = player.replace(
        action=action,
        sleeping=(chosen == _SLEEP) & tired,
        unlocked=_achieve(player.unlocked, "wake_up", wakes),
    )
    return player, chosen


def _look(state: WorldState, player: Player) -> _Target:
    dx, dy = offsets(player.facing)
    x, y = player.x + dx, player.y + dy
    hit = standing_on(state.objects, x, y)
    return _Target(x, y, material_at(state.materials, x, y), hit, jnp.any(hit))


def _move(
    player: Player, target: _Target, standing: jax.Array, moving: jax.Array, creatures: Creatures
) -> tuple[Player, jax.Array]:
    """The player after a move, and whether it moved, or tried to, and stands in lava."""
    moved = moving & creatures.player_walkable[target.material] & ~target.taken
    x, y = jnp.where(moved, target.x, player.x), jnp.where(moved, target.y, player.y)
    in_lava = moving & (jnp.where(moved, target.material, standing) == _LAVA)
    burnt = jnp.where(in_lava, -player.health, jnp.int8(0))
    return player.replace(x=x, y=y, items=_add(player.items, _HEALTH, burnt)), in_lava


def _do_object(
    player: Player, objects: Objects, target: _Target, does: jax.Array, rules: Rules
) -> tuple[Player, Objects]:
    """Hits a creature or eats a ripe plant."""
    life = rules.life
    owned = jnp.concatenate([jnp.ones(1, jnp.bool_), player.items[_SWORDS] > 0])
    damage = jnp.max(jnp.where(owned, life.sword_damage, jnp.int8(0)))
    hit = target.hit & does
    plants, cows = objects.kind == c.kind("plant"), objects.kind == c.kind("cow")
    zombies, skeletons = objects.kind == c.kind("zombie"), objects.kind == c.kind("skeleton")
    ripe = hit & plants & (objects.counter > rules.creatures.plant_ripe)
    struck = hit & (cows | zombies | skeletons)
    health = jnp.where(struck, jnp.maximum(objects.health - damage, jnp.int8(0)), objects.health)
    killed = struck & (health <= 0)
    eats_plant, eats_cow = jnp.any(ripe), jnp.any(killed & cows)

    unlocked = _achieve(player.unlocked, "eat_plant", eats_plant)
    unlocked = _achieve(unlocked, "eat_cow", eats_cow)
    unlocked = _achieve(unlocked, "defeat_zombie", jnp.any(killed & zombies))
    unlocked = _achieve(unlocked, "defeat_skeleton", jnp.any(killed & skeletons))
    food = jnp.where(eats_plant, life.eat_plant, jnp.int8(0))
    food = food + jnp.where(eats_cow, life.eat_cow, jnp.int8(0))
    player = player.replace(
        unlocked=unlocked,
        items=_add(player.items, _FOOD, food),
        hunger=jnp.where(eats_cow, jnp.float32(0), player.hunger),
    )
    counter = jnp.where(ripe, jnp.int16(0), objects.counter)
    return player, objects.replace(health=health, counter=counter)


def _do_material(
    player: Player, target: _Target, does: jax.Array, draw: jax.Array, rules: Rules
) -> tuple[Player, jax.Array]:
    """Collects a material; also returns what remains in its place, 0 where nothing changes."""
    recipes, material = rules.recipes, target.material
    does = does & ~target.taken
    possible = does & recipes.collect_possible[material]
    possible &= jnp.all(player.items >= recipes.collect_require[material])
    received = possible & (draw <= recipes.collect_probability[material])
    amounts = jnp.where(received, recipes.collect_receive[material], jnp.int8(0))
    got = jnp.pad(amounts[_COLLECTED] > 0, (0, len(c.ACHIEVEMENTS) - _COLLECTED.size))
    player = player.replace(
        items=player.items + amounts,
        unlocked=player.unlocked + got.astype(jnp.int32),
        thirst=jnp.where(does & (material == _WATER), jnp.float32(0), player.thirst),
    )
    return player, jnp.where(possible, recipes.collect_leaves[material], jnp.uint8(0))


def _place(
    player: Player, target: _Target, action: jax.Array, rules: Rules
) -> tuple[Player, jax.Array, jax.Array]:
    """Places a thing; also returns the material placed, 0 for none, and whether it is a plant."""
    recipes = rules.recipes
    which = jnp.clip(action.astype(jnp.int32) - _FIRST_PLACE, 0, len(c.PLACEABLE) - 1)
    uses = recipes.place_uses[which]
    places = (action >= _FIRST_PLACE) & (action < _FIRST_PLACE + len(c.PLACEABLE)) & ~target.taken
    places &= recipes.place_where[which, target.material] & jnp.all(player.items >= uses)
    done = jnp.asarray([c.achievement(f"place_{name}") for name in c.PLACEABLE], jnp.int32)
    player = player.replace(
        items=player.items - jnp.where(places, uses, jnp.int8(0)),
        unlocked=_count(player.unlocked, done[which], places),
    )
    is_plant = which == c.PLACEABLE.index("plant")
    placed = jnp.where(places, _PLACED[which], jnp.uint8(0))
    return player, placed, places & is_plant


def _make(player: Player, materials: jax.Array, action: jax.Array, rules: Rules) -> Player:
    """Makes a tool if what it needs is at hand and what it is made with nearby."""
    recipes = rules.recipes
    which = jnp.clip(action.astype(jnp.int32) - _FIRST_MAKE, 0, len(c.MAKEABLE) - 1)
    uses = recipes.make_uses[which]
    nearby = _nearby(player, materials, rules.quirks.edge_crafting)
    makes = (action >= _FIRST_MAKE) & (action < _FIRST_MAKE + len(c.MAKEABLE))
    makes &= jnp.all(nearby | ~recipes.make_nearby[which])
    makes &= jnp.all(player.items >= uses)
    tools = jnp.asarray([c.item(name) for name in c.MAKEABLE], jnp.int32)
    done = jnp.asarray([c.achievement(f"make_{name}") for name in c.MAKEABLE], jnp.int32)
    made = jnp.arange(len(c.ITEMS), dtype=jnp.int32) == tools[which]
    change = jnp.where(made, recipes.make_gives[which], jnp.int8(0)) - uses
    return player.replace(
        items=player.items + jnp.where(makes, change, jnp.int8(0)),
        unlocked=_count(player.unlocked, done[which], makes),
    )


def _nearby(player: Player, materials: jax.Array, edge_quirk: jax.Array) -> jax.Array:
    """Which materials are within one cell of the player, diagonals included: bool [13]."""
    around = jnp.arange(-1, 2, dtype=jnp.int16)
    shape = (3, 3)
    x = jnp.broadcast_to((player.x + around)[:, None], shape)
    y = jnp.broadcast_to((player.y + around)[None, :], shape)
    found = material_at(materials, x, y).reshape(-1)
    names = jnp.arange(len(c.MATERIALS), dtype=jnp.uint8)
    present = jnp.any(found[:, None] == names[None, :], axis=0)
    at_edge = (player.x == 0) | (player.y == 0)
    return present & (names > 0) & ~(at_edge & edge_quirk)


def _live(player: Player, in_lava: jax.Array, rules: Rules) -> Player:
    """Needs, health, the limits of the inventory, and waking up when hurt."""
    life, asleep = rules.life, player.sleeping
    items = player.items
    needs = jnp.where(asleep, life.asleep_needs, jnp.float32(1))
    hunger, hungry = _over(player.hunger + needs, life.hunger)
    thirst, thirsty = _over(player.thirst + needs, life.thirst)
    fatigue = jnp.where(
        asleep, jnp.minimum(player.fatigue - 1.0, jnp.float32(0)), player.fatigue + 1.0
    )
    fatigue, rested = _under(fatigue, -life.rest)
    fatigue, tired = _over(fatigue, life.fatigue)
    items = _add(_add(items, _FOOD, -hungry), _DRINK, -thirsty)
    items = _add(items, _ENERGY, rested - tired)

    well = (items[_FOOD] > 0) & (items[_DRINK] > 0) & ((items[_ENERGY] > 0) | asleep)
    better = jnp.where(asleep, life.asleep_recover, jnp.float32(1))
    recover = player.recover + jnp.where(well, better, -needs)
    recover, healed = _over(recover, life.recover)
    recover, hurt = _under(recover, -life.decline)
    health = jnp.maximum(items[_HEALTH] + healed - hurt, jnp.int8(0))
    health = jnp.where(in_lava & ~rules.quirks.lava_regeneration, jnp.int8(0), health)
    items = _add(items, _HEALTH, health - items[_HEALTH])
    items = jnp.clip(items, jnp.int8(0), life.maximum)
    return player.replace(
        items=items,
        hunger=hunger,
        thirst=thirst,
        fatigue=fatigue,
        recover=recover,
        sleeping=asleep & (items[_HEALTH] >= player.last_health),
        last_health=items[_HEALTH],
    )


def _over(counter: jax.Array, limit: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A counter set to 0 if above its limit, and whether it was: int8 0 or 1."""
    over = counter > limit
    return jnp.where(over, jnp.float32(0), counter), over.astype(jnp.int8)


def _under(counter: jax.Array, limit: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A counter set to 0 if below its limit, and whether it was: int8 0 or 1."""
    under = counter < limit
    return jnp.where(under, jnp.float32(0), counter), under.astype(jnp.int8)


def _add(items: jax.Array, index: int, amount: jax.Array) -> jax.Array:
    """`items` with `amount`, int8 [], added to one of them; a select, since scatters are slow."""
    here = jnp.arange(len(c.ITEMS), dtype=jnp.int8) == index
    return items + jnp.where(here, amount, jnp.int8(0))


def _achieve(unlocked: jax.Array, name: str, achieved: jax.Array) -> jax.Array:
    return _count(unlocked, jnp.int32(c.achievement(name)), achieved)


def _count(unlocked: jax.Array, index: jax.Array, achieved: jax.Array) -> jax.Array:
    here = jnp.arange(len(c.ACHIEVEMENTS), dtype=jnp.int32) == index
    return unlocked + (here & achieved).astype(jnp.int32)


def _write(materials: jax.Array, target: _Target, material: jax.Array) -> jax.Array:
    """`materials` with that of the target cell replaced, where `material` is not 0."""
    x = jnp.where(material > 0, target.x.astype(jnp.int32), materials.shape[0])
    return materials.at[x, target.y.astype(jnp.int32)].set(material, mode="drop")
