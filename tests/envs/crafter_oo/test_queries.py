"""Queries: by hand on small worlds, and objects in update range by who acts in a step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import queries
from jaxrl.envs.crafter_oo import rules as rule_sets
from tests.envs.crafter_oo.small_worlds import X, Y, found, play, world
from tests.unoptimised import jit

RULES = rule_sets.crafter()
THINGS = [
    ("cow", X - 1, Y),
    ("zombie", X, Y + 1),
    ("arrow", X + 1, Y + 1, {"facing": c.UP}),
    ("plant", 0, 0),
    ("cow", 23, 23),
]
MATERIALS = {(X + 1, Y): "water", (X, Y + 1): "sand", (0, 0): "tree", (X + 1, Y + 1): "table"}


@pytest.fixture(scope="module")
def ask():
    """All queries of a state in one program."""

    def answers(state, x, y):
        return {
            "tile": queries.tile_at(state, x, y),
            "target": queries.target_tile(state),
            "adjacent": queries.adjacent_tiles(state),
            "adjacent_objects": queries.adjacent_objects(state),
            "water": queries.is_adjacent(state, "water"),
            "table": queries.is_adjacent(state, "table"),
            "outside": queries.is_adjacent(state, "outside"),
            "cows": queries.objects_of_kind(state, "cow"),
            "plants": queries.objects_of_kind(state, "plant"),
            "in_range": queries.objects_in_update_range(state, RULES),
        }

    # Mapped over the cell: one state, many questions.
    program = jit(jax.vmap(answers, (None, 0, 0)))

    def run(state, cells=((X, Y),)):
        x, y = jnp.asarray(cells, jnp.int32).T
        return jax.device_get(program(state, x, y))

    return run


def slots(mask):
    return np.flatnonzero(mask).tolist()


def tiles(tile):
    return [tuple(row) for row in np.stack([np.asarray(field) for field in tile], -1).tolist()]


def number(name):
    return c.material(name)


def test_tiles(ask):
    cells = [(X, Y), (0, 0), (X - 1, Y), (X + 1, Y + 1), (-1, 5), (5, 24), (40_000, 0), (3, 4)]
    assert tiles(ask(world(THINGS, MATERIALS), cells)["tile"]) == [
        (X, Y, number("grass"), 0, queries.NO_SLOT, True),
        (0, 0, number("tree"), c.kind("plant"), 3, False),
        (X - 1, Y, number("grass"), c.kind("cow"), 0, False),
        (X + 1, Y + 1, number("table"), c.kind("arrow"), 2, False),
        (-1, 5, 0, 0, queries.NO_SLOT, False),
        (5, 24, 0, 0, queries.NO_SLOT, False),
        (2**15 - 1, 0, 0, 0, queries.NO_SLOT, False),
        (3, 4, number("grass"), 0, queries.NO_SLOT, False),
    ]
    empty = ask(world(), [(0, 0)])["tile"]  # where the fields of empty slots point
    assert tiles(empty) == [(0, 0, number("grass"), 0, queries.NO_SLOT, False)]


def test_what_is_beside_the_player(ask):
    answers = ask(world(THINGS, MATERIALS))
    grass, nobody = number("grass"), queries.NO_SLOT
    left = (X - 1, Y, grass, c.kind("cow"), 0, False)
    right = (X + 1, Y, number("water"), 0, nobody, False)
    up = (X, Y - 1, grass, 0, nobody, False)
    down = (X, Y + 1, number("sand"), c.kind("zombie"), 1, False)
    assert tiles(jax.tree.map(lambda x: x[0], answers["adjacent"])) == [left, right, up, down]
    assert tiles(answers["target"]) == [down]
    assert slots(answers["adjacent_objects"][0]) == [0, 1]
    # The table is beside it only diagonally.
    assert [bool(answers[name][0]) for name in ("water", "table", "outside")] == [
        True,
        False,
        False,
    ]
    for facing, expected in ((c.LEFT, left), (c.RIGHT, right), (c.UP, up)):
        assert tiles(ask(world(THINGS, MATERIALS, facing=facing))["target"]) == [expected]


def test_at_the_edge_of_the_map(ask):
    corner = ask(world(at=(0, 23), facing=c.LEFT))
    assert tiles(corner["target"]) == [(-1, 23, 0, 0, queries.NO_SLOT, False)]
    assert corner["adjacent"].material[0].tolist() == [0, number("grass"), number("grass"), 0]
    assert corner["outside"][0]
    assert not corner["adjacent_objects"][0].any()  # at (0, 0) are the empty slots only


def test_objects_of_a_kind(ask):
    answers = ask(world(THINGS))
    assert (slots(answers["cows"][0]), slots(answers["plants"][0])) == ([0, 4], [3])


def test_who_is_in_update_range_is_who_acts(ask):
    # |dx| + |dy| is 17, 17, 18 and 22: cows that would all go left if they acted.
    cells = [(0, 7), (20, 3), (0, 6), (1, 1)]
    state = world([("cow", *cell) for cell in cells])
    assert slots(ask(state)["in_range"][0]) == [0, 1]
    after = play(state, act=0.0, direction=c.LEFT)
    # The first one is at the edge of the map and cannot.
    assert found(after, "cow") == [(0, 7), (19, 3), (0, 6), (1, 1)]
    nearer = play(state, act=0.0, direction=c.DOWN)
    assert found(nearer, "cow") == [(0, 8), (20, 4), (0, 6), (1, 1)]
    narrow = rule_sets.named(RULES, "creatures.update_distance", 17)
    assert not queries.objects_in_update_range(state, narrow).any()


def test_bad_questions_are_refused():
    state = world()
    for question, message in [
        (lambda: queries.objects_of_kind(state, "dragon"), "unknown kind 'dragon'; known are cow"),
        (lambda: queries.objects_of_kind(state, "none"), "unknown kind 'none'"),
        (lambda: queries.is_adjacent(state, "gold"), "unknown material 'gold'; known are outside"),
        (lambda: queries.tile_at(state, 1.0, 2), "x must be an integer"),
        (lambda: queries.tile_at(state, 1, jnp.arange(2)), "y must be an integer"),
    ]:
        with pytest.raises(ValueError, match=message):
            question()
