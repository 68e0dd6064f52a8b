"""Scenarios of our own: death, arrows, night, spawning, plants, lava, sleep, chance."""

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.evaluation.arena import (
    FRONT,
    cells,
    items,
    player,
    rectangle,
    thing,
)
from jaxrl.envs.crafter_oo.evaluation.scenario import Scenario, prepared

_BALANCE = 9  # the next step is one in which creatures come and go
_NIGHT = 209  # the same, where it is darkest

_DEATHS = (
    prepared(
        "death_by_zombie",
        "A bite takes the last health.",
        "noop",
        items(health=2),
        thing("zombie", FRONT),
    ),
    prepared("death_by_lava", "A step into lava kills.", "move_down", cells("lava", FRONT)),
    prepared(
        "death_by_hunger",
        "Without food the last health goes.",
        "noop",
        items(health=1, food=0),
        player(recover=-15),
    ),
    prepared(
        "lava_survived",
        "Lava in the step in which health recovers leaves health 1 (a quirk of the reference).",
        "move_down",
        cells("lava", FRONT),
        player(recover=25),
    ),
)
_ARROWS = (
    prepared(
        "arrow_flies",
        "An arrow flies past.",
        "2*noop",
        thing("arrow", (5, 6), facing=c.RIGHT),
    ),
    prepared(
        "arrow_hits_player",
        "An arrow costs 2 health.",
        "noop",
        thing("arrow", (6, 8), facing=c.RIGHT),
        thing("arrow", FRONT, facing=c.UP),
    ),
    prepared(
        "arrow_breaks_table",
        "An arrow turns a table into path and is gone.",
        "noop",
        cells("table", (10, 6)),
        thing("arrow", (9, 6), facing=c.RIGHT),
    ),
    prepared(
        "arrow_hits_cow",
        "An arrow wounds a cow.",
        "noop",
        thing("arrow", (10, 6), facing=c.RIGHT),
        thing("cow", (11, 6)),
        cells("water", (10, 5), (10, 7)),
    ),
    prepared(
        "skeleton_shoots",
        "A skeleton in a tunnel may shoot, come nearer or wait.",
        "2*noop",
        rectangle("path", (8, 4), (8, 9)),
        thing("skeleton", (8, 4)),
        ground="stone",
    ),
)
_CREATURES = (
    prepared(
        "zombie_approaches",
        "A zombie comes nearer, mostly along the longer axis.",
        "2*noop",
        thing("zombie", (4, 6)),
    ),
    prepared(
        "zombie_bites_sleeper",
        "A bite costs a sleeping player 7 health.",
        "noop",
        items(energy=3),
        player(sleeping=True),
        thing("zombie", FRONT),
    ),
    prepared(
        "far_away_nothing_acts",
        "A cow 18 cells away or farther does not move.",
        "2*noop",
        player(x=1, y=1),
        thing("cow", (14, 13)),
    ),
    prepared(
        "herd",
        "Cows in each other's way.",
        "noop",
        thing("cow", (4, 4)),
        thing("cow", (5, 4)),
        thing("cow", (5, 5)),
        thing("zombie", (4, 5)),
    ),
)
_PLANTS = (
    prepared(
        "plant_ripens",
        "A sapling becomes ripe.",
        "noop",
        thing("plant", (5, 5), counter=300),
    ),
    prepared(
        "plant_damaged",
        "A cow beside a sapling, between water, eats it.",
        "noop",
        thing("cow", (6, 5)),
        cells("water", (7, 5), (6, 4), (6, 6)),
        thing("plant", (5, 5)),
    ),
    prepared("collect_sapling", "Grass gives a sapling one time in ten.", "do"),
)
_TIMES = (
    prepared(
        "zombie_spawns_at_night",
        "In the dark, a zombie may come on grass.",
        "noop",
        time=_NIGHT,
    ),
    prepared(
        "zombie_leaves_by_day",
        "By day, one of two zombies may go.",
        "noop",
        rectangle("water", (0, 0), (11, 4)),
        thing("zombie", (1, 7)),
        thing("zombie", (3, 9)),
        time=_BALANCE,
    ),
    prepared(
        "skeleton_spawns",
        "In a tunnel far from the player, a skeleton may come.",
        "noop",
        rectangle("path", (12, 12), (15, 15)),
        player(x=3, y=3),
        thing("arrow", (13, 13), facing=c.RIGHT),
        ground="stone",
        time=_BALANCE,
    ),
    prepared(
        "cow_spawns",
        "On grass without cows, one may come.",
        "noop",
        time=_BALANCE,
    ),
    prepared("falls_asleep", "A tired player falls asleep.", "sleep", items(energy=5)),
    prepared(
        "needs_decline",
        "Food, drink and energy go down in one step.",
        "noop",
        player(hunger=25, thirst=20, fatigue=30),
    ),
)
_PLACES = (
    prepared(
        "place_stone_on_water",
        "A stone laid on water makes a way.",
        "place_stone",
        items(stone=1),
        cells("water", FRONT),
    ),
    prepared(
        "walk_into_obstacles",
        "Water, a tree, a table and a plant block the way.",
        "move_left move_right move_up move_down",
        cells("water", (7, 8)),
        cells("tree", (9, 8)),
        cells("table", (8, 7)),
        thing("plant", FRONT),
    ),
)

FURTHER: tuple[Scenario, ...] = (*_DEATHS, *_ARROWS, *_CREATURES, *_PLANTS, *_TIMES, *_PLACES)
