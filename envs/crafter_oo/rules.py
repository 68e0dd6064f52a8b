"""The numbers of the game, all of them leaves of a pytree.

So worlds with other rules can be swept, randomised and vmapped over.

Two presets: `crafter` is the package `crafter` 1.8.3 as it behaves, quirks included; `fixed` mends
the quirks of `QUIRKS` and nothing else.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike

from jaxrl.dtypes import strong
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.limits import check
from jaxrl.registry import replaced


def _materials(*names: str) -> np.ndarray:
    return np.asarray([name in names for name in c.MATERIALS])


def _where(*names: str) -> Any:
    """A field: bool [13], true for these materials."""
    return struct.field(default_factory=lambda: _materials(*names))


def _one(dtype: Any, value: float) -> Any:
    """A field: one number."""
    return struct.field(default_factory=lambda: dtype(value))


def _each(dtype: Any, *values: float) -> Any:
    """A field: one value a row."""
    return struct.field(default_factory=lambda: np.asarray(values, dtype))


# A field of `Quirks` -> what the reference does; `fixed` does what one would expect instead.
QUIRKS = {
    "dead_act": (
        "A zombie or skeleton that was killed still acts in the update in which it is removed: the"
        " zombie can bite, the skeleton can shoot. Fixed: it is removed and nothing else."
    ),
    "lava_regeneration": (
        "Stepping into lava in the very update in which health recovers leaves the player alive"
        " with health 1. Fixed: lava kills."
    ),
    "edge_crafting": (
        "Nothing can be made at x = 0 or y = 0, because nothing counts as nearby there. Fixed: the"
        " cells beyond the edge are left out."
    ),
    "one_reward_a_step": (
        "Several achievements unlocked in one step pay 1.0 together. Fixed: 1.0 each."
    ),
}


class Quirks(struct.PyTreeNode):
    """Which of `QUIRKS` are kept, bool [] each."""

    dead_act: jax.Array = _one(np.bool_, True)
    lava_regeneration: jax.Array = _one(np.bool_, True)
    edge_crafting: jax.Array = _one(np.bool_, True)
    one_reward_a_step: jax.Array = _one(np.bool_, True)


class Recipes(struct.PyTreeNode):
    """What can be collected, placed and made.

    Rows of `collect_*` are `MATERIALS`, of `place_*` `PLACEABLE`, of `make_*` `MAKEABLE`.

    Attributes:
        collect_possible: bool [13], whether the material can be collected at all.
        collect_require: int8 [13, 16], items the player must have.
        collect_receive: int8 [13, 16], items the player gets.
        collect_leaves: uint8 [13], the material that remains.
        collect_probability: float32 [13], that something is received.
        place_uses: int8 [4, 16], items it costs.
        place_where: bool [4, 13], materials on which it can be placed.
        make_uses: int8 [6, 16], items it costs.
        make_nearby: bool [6, 13], materials that must be within a step of the player.
        make_gives: int8 [6], how many come out.
    """

    collect_possible: jax.Array
    collect_require: jax.Array
    collect_receive: jax.Array
    collect_leaves: jax.Array
    collect_probability: jax.Array
    place_uses: jax.Array
    place_where: jax.Array
    make_uses: jax.Array
    make_nearby: jax.Array
    make_gives: jax.Array


class Life(struct.PyTreeNode):
    """What the player starts with, needs and does.

    Attributes:
        initial, maximum: int8 [16], items at the start, and the most of each.
        hunger, thirst: steps until a unit of food, of drink is lost once more than this.
        fatigue, rest: steps awake until energy is lost, and asleep until it is won.
        recover, decline: steps until health is won, or lost where a need is at 0.
        asleep_needs: what a step asleep counts for hunger, thirst and decline.
        asleep_recover: what a step asleep counts for recovery.
        sword_damage: int8 [4], with bare hands, a wooden, a stone, an iron sword.
        eat_plant, eat_cow: food won.
        sapling_health: int8 [].
    """

    initial: jax.Array = _each(np.int8, *[9 if name in c.STATS else 0 for name in c.ITEMS])
    maximum: jax.Array = _each(np.int8, *[9 for _ in c.ITEMS])
    hunger: jax.Array = _one(np.float32, 25.0)
    thirst: jax.Array = _one(np.float32, 20.0)
    fatigue: jax.Array = _one(np.float32, 30.0)
    rest: jax.Array = _one(np.float32, 10.0)
    recover: jax.Array = _one(np.float32, 25.0)
    decline: jax.Array = _one(np.float32, 15.0)
    asleep_needs: jax.Array = _one(np.float32, 0.5)
    asleep_recover: jax.Array = _one(np.float32, 2.0)
    sword_damage: jax.Array = _each(np.int8, 1, 2, 3, 5)
    eat_plant: jax.Array = _one(np.int8, 4)
    eat_cow: jax.Array = _one(np.int8, 6)
    sapling_health: jax.Array = _one(np.int8, 1)


class Creatures(struct.PyTreeNode):
    """How cows, zombies, skeletons, arrows and plants behave. Distances are |dx| + |dy|.

    `update_distance`: only objects nearer to the player than this act. Names: kind, then what.
    """

    update_distance: jax.Array = _one(np.int16, 18)
    walkable: jax.Array = _where("grass", "path", "sand")
    arrow_walkable: jax.Array = _where("grass", "path", "sand", "water", "lava")
    player_walkable: jax.Array = _where("grass", "path", "sand", "lava")
    cow_health: jax.Array = _one(np.int8, 3)
    cow_move_probability: jax.Array = _one(np.float32, 0.5)
    zombie_health: jax.Array = _one(np.int8, 5)
    zombie_chase_distance: jax.Array = _one(np.int16, 8)
    zombie_chase_probability: jax.Array = _one(np.float32, 0.9)
    zombie_long_axis_probability: jax.Array = _one(np.float32, 0.8)
    zombie_bite_distance: jax.Array = _one(np.int16, 1)
    zombie_damage: jax.Array = _one(np.int16, 2)
    zombie_damage_asleep: jax.Array = _one(np.int16, 7)
    zombie_cooldown: jax.Array = _one(np.int16, 5)
    skeleton_health: jax.Array = _one(np.int8, 3)
    skeleton_retreat_distance: jax.Array = _one(np.int16, 3)
    skeleton_long_axis_probability: jax.Array = _one(np.float32, 0.6)
    skeleton_shoot_distance: jax.Array = _one(np.int16, 5)
    skeleton_shoot_probability: jax.Array = _one(np.float32, 0.5)
    skeleton_chase_distance: jax.Array = _one(np.int16, 8)
    skeleton_chase_probability: jax.Array = _one(np.float32, 0.3)
    skeleton_move_probability: jax.Array = _one(np.float32, 0.2)
    skeleton_reload: jax.Array = _one(np.int16, 4)
    arrow_damage: jax.Array = _one(np.int16, 2)
    arrow_destroys: jax.Array = _where("table", "furnace")
    plant_ripe: jax.Array = _one(np.int16, 300)
    plant_damage: jax.Array = _one(np.int16, 1)


class Balance(struct.PyTreeNode):
    """How the number of creatures in a chunk is kept; the rows are zombie, skeleton, cow.

    A creature comes where there are fewer than int(low + low_light * light), 0 if the chunk has
    fewer than `space` cells of the material, and goes where there are more than
    int(high + high_light * light).

    Attributes:
        interval: int32 [], steps between two turns.
        material: uint8 [3], the material on which it appears.
        space: int16 [3].
        low, low_light, high, high_light: float32 [3].
        spawn_distance, despawn_distance: int16 [3], not nearer to the player than this.
        spawn_probability, despawn_probability: float32 [3].
    """

    interval: jax.Array = _one(np.int32, 10)
    material: jax.Array = struct.field(
        default_factory=lambda: np.asarray(
            [c.material(m) for m in ("grass", "path", "grass")], np.uint8
        )
    )
    space: jax.Array = _each(np.int16, 50, 6, 30)
    low: jax.Array = _each(np.float32, 3.5, 1.0, 1.0)
    low_light: jax.Array = _each(np.float32, -3.0, 0.0, 0.0)
    high: jax.Array = _each(np.float32, 3.5, 2.0, 1.5)
    high_light: jax.Array = _each(np.float32, -3.0, 0.0, 1.0)
    spawn_distance: jax.Array = _each(np.int16, 6, 7, 5)
    despawn_distance: jax.Array = _each(np.int16, 0, 7, 5)
    spawn_probability: jax.Array = _each(np.float32, 0.3, 0.1, 0.01)
    despawn_probability: jax.Array = _each(np.float32, 0.4, 0.1, 0.1)


class Terrain(struct.PyTreeNode):
    """Thresholds of the world's generation; probabilities are those of the thing named."""

    coal_probability: jax.Array = _one(np.float32, 0.15)
    iron_probability: jax.Array = _one(np.float32, 0.25)
    diamond_probability: jax.Array = _one(np.float32, 0.006)
    tree_probability: jax.Array = _one(np.float32, 0.2)
    cow_probability: jax.Array = _one(np.float32, 0.015)
    zombie_probability: jax.Array = _one(np.float32, 0.007)
    skeleton_probability: jax.Array = _one(np.float32, 0.05)
    start: jax.Array = _one(np.float32, 0.5)
    mountain: jax.Array = _one(np.float32, 0.15)
    cave: jax.Array = _one(np.float32, 0.15)
    cave_mountain: jax.Array = _one(np.float32, 0.3)
    tunnel: jax.Array = _one(np.float32, 0.4)
    coal: jax.Array = _one(np.float32, 0.0)
    iron: jax.Array = _one(np.float32, 0.4)
    diamond_mountain: jax.Array = _one(np.float32, 0.18)
    lava_mountain: jax.Array = _one(np.float32, 0.3)
    lava: jax.Array = _one(np.float32, 0.35)
    sand_water_low: jax.Array = _one(np.float32, 0.25)
    sand_water_high: jax.Array = _one(np.float32, 0.35)
    sand: jax.Array = _one(np.float32, -0.2)
    water: jax.Array = _one(np.float32, 0.3)
    tree: jax.Array = _one(np.float32, 0.0)
    cow_distance: jax.Array = _one(np.float32, 3.0)
    zombie_distance: jax.Array = _one(np.float32, 10.0)


class Rules(struct.PyTreeNode):
    """All rules of a world."""

    quirks: Quirks
    recipes: Recipes
    life: Life
    creatures: Creatures
    balance: Balance
    terrain: Terrain


# material: (required, received, left, probability)
_COLLECT: dict[str, tuple[dict[str, int], dict[str, int], str, float]] = {
    "tree": ({}, {"wood": 1}, "grass", 1.0),
    "stone": ({"wood_pickaxe": 1}, {"stone": 1}, "path", 1.0),
    "coal": ({"wood_pickaxe": 1}, {"coal": 1}, "path", 1.0),
    "iron": ({"stone_pickaxe": 1}, {"iron": 1}, "path", 1.0),
    "diamond": ({"iron_pickaxe": 1}, {"diamond": 1}, "path", 1.0),
    "water": ({}, {"drink": 1}, "water", 1.0),
    "grass": ({}, {"sapling": 1}, "grass", 0.1),
}
_PLACE: dict[str, tuple[dict[str, int], tuple[str, ...]]] = {
    "stone": ({"stone": 1}, ("grass", "sand", "path", "water", "lava")),
    "table": ({"wood": 2}, ("grass", "sand", "path")),
    "furnace": ({"stone": 4}, ("grass", "sand", "path")),
    "plant": ({"sapling": 1}, ("grass",)),
}
_MAKE: dict[str, tuple[dict[str, int], tuple[str, ...]]] = {
    "wood_pickaxe": ({"wood": 1}, ("table",)),
    "stone_pickaxe": ({"wood": 1, "stone": 1}, ("table",)),
    "iron_pickaxe": ({"wood": 1, "coal": 1, "iron": 1}, ("table", "furnace")),
    "wood_sword": ({"wood": 1}, ("table",)),
    "stone_sword": ({"wood": 1, "stone": 1}, ("table",)),
    "iron_sword": ({"wood": 1, "coal": 1, "iron": 1}, ("table", "furnace")),
}


def _items(amounts: dict[str, int]) -> np.ndarray:
    return np.asarray([amounts.get(name, 0) for name in c.ITEMS], np.int8)


def _recipes() -> Recipes:
    nothing: tuple[dict[str, int], dict[str, int], str, float] = ({}, {}, "outside", 0.0)
    rows = [_COLLECT.get(name, nothing) for name in c.MATERIALS]
    place = [_PLACE[name] for name in c.PLACEABLE]
    make = [_MAKE[name] for name in c.MAKEABLE]
    tables: dict[str, Any] = dict(
        collect_possible=np.asarray([name in _COLLECT for name in c.MATERIALS]),
        collect_require=np.stack([_items(row[0]) for row in rows]),
        collect_receive=np.stack([_items(row[1]) for row in rows]),
        collect_leaves=np.asarray([c.material(row[2]) for row in rows], np.uint8),
        collect_probability=np.asarray([row[3] for row in rows], np.float32),
        place_uses=np.stack([_items(uses) for uses, _ in place]),
        place_where=np.stack([_materials(*where) for _, where in place]),
        make_uses=np.stack([_items(uses) for uses, _ in make]),
        make_nearby=np.stack([_materials(*nearby) for _, nearby in make]),
        make_gives=np.ones(len(make), np.int8),
    )
    return Recipes(**tables)


def crafter() -> Rules:
    """The rules of the package `crafter` 1.8.3, quirks included."""
    rules = Rules(
        quirks=Quirks(),
        recipes=_recipes(),
        life=Life(),
        creatures=Creatures(),
        balance=Balance(),
        terrain=Terrain(),
    )
    result: Rules = strong(rules)
    return result


def fixed() -> Rules:
    """The rules of `crafter` with every quirk of `QUIRKS` mended."""
    return crafter().replace(quirks=strong(jax.tree.map(jnp.logical_not, Quirks())))


PRESETS: dict[str, Callable[[], Rules]] = {"crafter": crafter, "fixed": fixed}


def preset(name: str) -> Rules:
    """The rules of that name; `ValueError`, naming the presets, for an unknown one."""
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"unknown rules {name!r}; known are {', '.join(PRESETS)}")
    return PRESETS[name]()


def named(rules: Rules, path: str, value: ArrayLike) -> Rules:
    """`rules` with the leaf of a dotted name replaced, e.g. `creatures.zombie_damage`.

    `value` may be a tracer, so that worlds are mapped over; what it is cannot be checked then.

    Raises:
        ValueError: no such rule (the message names the nearest ones), or a value of another shape,
            one that does not fit the rule's dtype, or one beyond its limits (see `limits`).
    """
    new: Rules = replaced(rules, path, value)
    _, _, name = path.rpartition(".")
    group = path.removesuffix(f".{name}")
    old, leaf = getattr(getattr(rules, group), name), getattr(getattr(new, group), name)
    if leaf.shape != old.shape:
        raise ValueError(f"{path} is {old.dtype} {list(old.shape)}, got {value!r}")
    check(new)
    return new
