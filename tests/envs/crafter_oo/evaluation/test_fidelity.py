"""Edit distances, by hand and by patches that are written out and applied."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.evaluation import arena
from jaxrl.envs.crafter_oo.evaluation.fidelity import edit_distance, fidelity, leaves, state_tree

# 16 x 16 cells, time, 8 numbers of the body, facing, action, 16 items, 22 achievements, next_id,
# 4 chunks, overflow.
LEAVES = 256 + 1 + 8 + 2 + 16 + 22 + 1 + 4 + 1


@pytest.mark.parametrize(
    ("first", "second", "operations"),
    [
        ({"a": 1}, {"a": 1}, 0),
        ({"a": 1}, {"a": 2}, 1),  # replace
        ({"a": 1}, {"a": 1, "b": {"c": 1, "d": 2}}, 1),  # add a whole member
        ({"a": 1, "b": [1, 2]}, {"b": [1, 3, 4]}, 3),  # remove, replace, add
        ([1, 2, 3], [1], 2),
        ({"a": [1]}, {"a": {"0": 1}}, 1),  # of another type: replaced as a whole
        (True, 1, 1),
        (1, 1.0, 0),
        ("ab", "ac", 1),
    ],
)
def test_operations_by_hand(first, second, operations):
    assert edit_distance(first, second) == operations
    assert edit_distance(second, first) == operations


def patch(old, new, path=()):
    """The operations of RFC 6902 that lead from one tree to another, written out."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() - new.keys():
            yield "remove", (*path, name), None
        for name in new.keys() - old.keys():
            yield "add", (*path, name), new[name]
        for name in old.keys() & new.keys():
            yield from patch(old[name], new[name], (*path, name))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(min(len(old), len(new))):
            yield from patch(old[index], new[index], (*path, index))
        for index in reversed(range(len(new), len(old))):
            yield "remove", (*path, index), None
        for index in range(len(old), len(new)):
            yield "add", (*path, index), new[index]
    elif type(old) is not type(new) or old != new:
        yield "replace", path, new


def applied(tree, operations):
    tree = {"": copy.deepcopy(tree)}
    for name, path, value in operations:
        *parents, last = ("", *path)
        place = tree
        for step in parents:
            place = place[step]
        if name == "remove":
            del place[last]
        elif name == "add" and isinstance(place, list):
            place.insert(last, value)
        else:
            place[last] = value
    return tree[""]


TREES = st.recursive(
    st.booleans() | st.integers(0, 2) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner),
    max_leaves=8,
)


@given(TREES, TREES)
def test_as_many_as_a_patch_that_leads_from_one_to_the_other(first, second):
    operations = list(patch(first, second))
    assert applied(first, operations) == second
    assert edit_distance(first, second) == len(operations)
    assert edit_distance(first, first) == 0


def test_leaves_of_an_arena():
    assert leaves(state_tree(arena.arena())) == LEAVES
    # A cow has kind, x, y and health; a zombie its cooldown as well.
    both = arena.built([arena.thing("cow", (1, 1)), arena.thing("zombie", (2, 2))])
    assert leaves(state_tree(both)) == LEAVES + 4 + 5


def test_distances_of_states():
    true = arena.built([arena.thing("cow", (3, 3)), arena.thing("zombie", (5, 5))])
    assert fidelity(true, true) == (0, 0.0)
    with_wood = arena.items(wood=2)(true)
    assert fidelity(with_wood, true) == (1, 1 / (LEAVES + 9))
    # Another cell in both coordinates, another material.
    moved = true.replace(objects=true.objects.replace(x=true.objects.x + (true.objects.id == 2)))
    moved = arena.cells("stone", (0, 0))(moved)
    assert fidelity(moved, true)[0] == 2
    # Without the cow: one member less; the zombie is not displaced by that.
    alone = np.where(true.objects.id == 2, 0, 1)
    fields = {name: field * alone.astype(field.dtype) for name, field in vars(true.objects).items()}
    gone = true.replace(objects=true.objects.replace(**fields))
    assert fidelity(gone, true)[0] == 1


def test_names_in_the_tree():
    tree = state_tree(arena.built([arena.thing("arrow", (4, 4), facing=c.UP)], ground="sand"))
    assert tree["materials"][0][0] == "sand"
    assert tree["player"]["inventory"]["health"] == 9
    assert tree["player"]["action"] == "noop"
    assert tree["objects"] == {"2": {"kind": "arrow", "x": 4, "y": 4, "health": 0, "facing": 2}}
