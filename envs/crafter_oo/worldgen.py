"""The generation of a world: terrain from noise, then cows, zombies and skeletons.

Source: the rules of the package `crafter` 1.8.3; the thresholds are `rules.Terrain`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import noise
from jaxrl.envs.crafter_oo.draws import WorldDraws
from jaxrl.envs.crafter_oo.rules import Rules, Terrain
from jaxrl.envs.crafter_oo.state import (
    Objects,
    Player,
    WorldState,
    chunk_grid,
    chunk_of,
    empty_objects,
)
from jaxrl.rows import few_at_once
from jaxrl.selection import first_true
from jaxrl.staging import stage

# One world's intermediate results fit into a core's caches.
_AT_ONCE = 1

# name: (z, octaves of (size, weight), normalised, x scale, y scale), in cells.
_FIELDS: dict[str, tuple[float, tuple[tuple[int, float], ...], bool, tuple, tuple]] = {
    "start": (8, ((3, 1.0),), True, (1.0,), (1.0,)),
    "water": (3, ((15, 1.0), (5, 0.15)), False, (1.0,), (1.0,)),
    "mountain": (0, ((15, 1.0), (5, 0.3)), True, (1.0,), (1.0,)),
    "cave": (6, ((7, 1.0),), True, (1.0,), (1.0,)),
    "across": (7, ((3, 1.0),), True, (2.0,), (1.0, 5.0)),
    "along": (7, ((3, 1.0),), True, (1.0, 5.0), (2.0,)),
    "coal": (1, ((8, 1.0),), True, (1.0,), (1.0,)),
    "iron": (2, ((6, 1.0),), True, (1.0,), (1.0,)),
    "lava": (6, ((5, 1.0),), True, (1.0,), (1.0,)),
    "sand": (4, ((9, 1.0),), True, (1.0,), (1.0,)),
    "tree": (5, ((7, 1.0),), True, (1.0,), (1.0,)),
}


class _Fields(NamedTuple):
    """The noise fields, [W, H] each."""

    start: jax.Array
    water: jax.Array
    mountain: jax.Array
    cave: jax.Array
    across: jax.Array
    along: jax.Array
    coal: jax.Array
    iron: jax.Array
    lava: jax.Array
    sand: jax.Array
    tree: jax.Array


def generate(draws: WorldDraws, area: tuple[int, int], capacity: int, rules: Rules) -> WorldState:
    """A new world with the player in its middle; under `vmap` one after the other on a CPU.

    Args:
        draws: the randomness; the noise is computed in the dtype of its numbers.
        area: (W, H), static.
        capacity: number of object slots, static; `overflow` tells if more objects were to come.
        rules: the rules.
    """

    def one(draws: WorldDraws, rules: Rules) -> WorldState:
        return _generate(draws, area, capacity, rules)

    return few_at_once(_AT_ONCE, one, draws, rules)


def _generate(draws: WorldDraws, area: tuple[int, int], capacity: int, rules: Rules) -> WorldState:
    always = draws.permutation[0] != draws.permutation[1]
    materials, tunnels = stage(
        always, lambda *args: terrain(args[0], area, args[1]), draws, rules.terrain
    )
    kinds = _creatures(draws, materials, tunnels, rules)
    objects, count = _place(kinds, capacity, rules)
    player = _player(area, rules)
    return WorldState(
        time=jnp.int32(0),
        materials=materials,
        player=player,
        objects=objects,
        next_id=c.PLAYER_ID + 1 + count,
        chunk_order=_chunk_order(player, objects, area),
        overflow=count > capacity,
    )


def terrain(draws: WorldDraws, area: tuple[int, int], rule: Terrain) -> tuple[jax.Array, jax.Array]:
    """Materials uint8 [W, H], and where tunnels run, bool [W, H]."""
    dtype = draws.coal.dtype
    field = _fields(draws.permutation, area, dtype)
    start = 4 - jnp.asarray(_distance(area), dtype) + 2 * field.start
    start = 1 / (1 + jnp.exp(-start))
    water = field.water + 0.1 - 2 * start
    mountain = field.mountain - (4 * start + 0.3 * water)
    high = mountain > rule.mountain
    cave = (field.cave > rule.cave) & (mountain > rule.cave_mountain)
    tunnels = ~cave & ((field.across > rule.tunnel) | (field.along > rule.tunnel))
    start_area = start > rule.start

    def there(draw: jax.Array, probability: jax.Array) -> jax.Array:
        return draw > 1 - probability

    mountains = [
        (cave | tunnels, "path"),
        ((field.coal > rule.coal) & there(draws.coal, rule.coal_probability), "coal"),
        ((field.iron > rule.iron) & there(draws.iron, rule.iron_probability), "iron"),
        (
            (mountain > rule.diamond_mountain) & there(draws.diamond, rule.diamond_probability),
            "diamond",
        ),
        ((mountain > rule.lava_mountain) & (field.lava > rule.lava), "lava"),
        (jnp.ones_like(high), "stone"),
    ]
    shore = (water > rule.sand_water_low) & (water <= rule.sand_water_high)
    lowlands = [
        (shore & (field.sand > rule.sand), "sand"),
        (water > rule.water, "water"),
        ((field.tree > rule.tree) & there(draws.tree, rule.tree_probability), "tree"),
        (jnp.ones_like(high), "grass"),
    ]
    materials = jnp.where(high, _first(mountains), _first(lowlands))
    materials = jnp.where(start_area, jnp.uint8(c.material("grass")), materials)
    return materials, tunnels & high & ~start_area


def _first(cases: list[tuple[jax.Array, str]]) -> jax.Array:
    """The material of the first case that holds, uint8 [W, H]."""
    chosen = jnp.full(cases[0][0].shape, c.material(cases[-1][1]), jnp.uint8)
    for holds, name in reversed(cases[:-1]):
        chosen = jnp.where(holds, jnp.uint8(c.material(name)), chosen)
    return chosen


@functools.lru_cache(maxsize=16)
def _grids(area: tuple[int, int]) -> dict[str, list[noise.Grid]]:
    """The grids of each field's octaves."""
    return {
        name: [
            noise.make_grid(area, z, (*x_scale, float(size)), (*y_scale, float(size)))
            for size, _ in octaves
        ]
        for name, (z, octaves, _, x_scale, y_scale) in _FIELDS.items()
    }


def _fields(permutation: jax.Array, area: tuple[int, int], dtype: jnp.dtype) -> _Fields:
    by_name = _grids(area)
    grids = [grid for name in _Fields._fields for grid in by_name[name]]
    # Whatever the seed, which XLA does not know to be a permutation.
    always = permutation[0] != permutation[1]
    hashes = stage(always, lambda seed: noise.hashes(grids, seed), permutation)
    numbers = iter(stage(always, lambda hashes: noise.spread(grids, hashes), hashes))

    def field(name: str) -> jax.Array:
        _, octaves, normalised, _, _ = _FIELDS[name]
        value = jnp.zeros(area, dtype)
        for grid, (_, weight) in zip(by_name[name], octaves, strict=True):
            value = value + weight * noise.evaluate(grid, next(numbers), dtype)
        return value / sum(weight for _, weight in octaves) if normalised else value

    return _Fields(*(field(name) for name in _Fields._fields))


@functools.lru_cache(maxsize=16)
def _distance(area: tuple[int, int]) -> np.ndarray:
    """Euclidean distance of each cell from the player's start, float64 [W, H]."""
    x, y = np.indices(area)
    return np.asarray(np.sqrt((x - area[0] // 2) ** 2 + (y - area[1] // 2) ** 2))


def _creatures(
    draws: WorldDraws, materials: jax.Array, tunnels: jax.Array, rules: Rules
) -> jax.Array:
    """The kind of creature on each cell, uint8 [W, H], 0 for none."""
    rule, area = rules.terrain, materials.shape
    distance = jnp.asarray(_distance((area[0], area[1])), jnp.float32)
    walkable = rules.creatures.walkable[materials]
    grass, path = materials == c.material("grass"), materials == c.material("path")
    cow = grass & (distance > rule.cow_distance) & (draws.cow > 1 - rule.cow_probability)
    zombie = (distance > rule.zombie_distance) & (draws.zombie > 1 - rule.zombie_probability)
    skeleton = path & tunnels & (draws.skeleton > 1 - rule.skeleton_probability)
    kinds = jnp.where(skeleton, jnp.uint8(c.kind("skeleton")), jnp.uint8(0))
    kinds = jnp.where(zombie, jnp.uint8(c.kind("zombie")), kinds)
    kinds = jnp.where(cow, jnp.uint8(c.kind("cow")), kinds)
    return jnp.where(walkable, kinds, jnp.uint8(0))


def _place(kinds: jax.Array, capacity: int, rules: Rules) -> tuple[Objects, jax.Array]:
    """The objects in the order of their cells, and how many there are, int32 []."""
    width, height = kinds.shape
    flat = jnp.reshape(kinds, -1)
    count = jnp.sum(flat > 0, dtype=jnp.int32)
    cell = first_true(flat > 0, capacity)
    kind = flat.at[cell].get(mode="fill", fill_value=0)
    there = kind > 0
    rule = rules.creatures
    health = jnp.stack(
        [jnp.int8(0), rule.cow_health, rule.zombie_health, rule.skeleton_health]
    ).astype(jnp.int8)
    number = jnp.arange(capacity, dtype=jnp.int32) + c.PLAYER_ID + 1
    objects = empty_objects(capacity).replace(
        id=jnp.where(there, number, 0),
        kind=kind,
        x=jnp.where(there, cell // height, 0).astype(jnp.int16),
        y=jnp.where(there, cell % height, 0).astype(jnp.int16),
        health=health[kind],
    )
    return objects, count


def _chunk_order(player: Player, objects: Objects, area: tuple[int, int]) -> jax.Array:
    """In which order the chunks got their first object, the player's first: int16 [CX, CY]."""
    grid = chunk_grid(area)
    chunks = jnp.arange(grid[0] * grid[1], dtype=jnp.int16)
    slots = jnp.arange(objects.capacity, dtype=jnp.int16)
    chunk = jnp.where(objects.kind != 0, chunk_of(objects.x, objects.y, area), jnp.int16(-1))
    nobody = jnp.int16(objects.capacity)
    first = jnp.min(jnp.where(chunk[None, :] == chunks[:, None], slots[None, :], nobody), axis=1)
    first = jnp.where(chunks == chunk_of(player.x, player.y, area), jnp.int16(-1), first)
    order = jnp.sum(first[None, :] < first[:, None], axis=1, dtype=jnp.int16)
    return jnp.where(first == nobody, jnp.int16(-1), order).reshape(grid)


def _player(area: tuple[int, int], rules: Rules) -> Player:
    items = rules.life.initial
    return Player(
        x=jnp.int16(area[0] // 2),
        y=jnp.int16(area[1] // 2),
        facing=jnp.uint8(c.DOWN),
        action=jnp.uint8(c.action("noop")),
        sleeping=jnp.asarray(False),
        items=items,
        unlocked=jnp.zeros(len(c.ACHIEVEMENTS), jnp.int32),
        hunger=jnp.float32(0),
        thirst=jnp.float32(0),
        fatigue=jnp.float32(0),
        recover=jnp.float32(0),
        last_health=items[0],
    )
