"""Distractors: what each kind changes, that they are valid, wrong and repeatable."""

import jax
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.evaluation import arena, mutators
from jaxrl.envs.crafter_oo.evaluation.canonical import fingerprint, same, ticked
from jaxrl.envs.crafter_oo.evaluation.fidelity import state_tree
from jaxrl.envs.crafter_oo.evaluation.scenarios import names, scenario

RULES = rule_sets.crafter()
NOOP, DO = c.action("noop"), c.action("do")


def changed(before, after, prefix=""):
    """Paths of what differs between two trees."""
    if isinstance(before, dict):
        return {
            path
            for name in before.keys() | after.keys()
            for path in changed(before.get(name), after.get(name), f"{prefix}/{name}")
        }
    return set() if before == after else {prefix}


def mutated(name, state, action, seed=0):
    """What a distractor changes, and the distractor."""
    wrong = mutators.mutate(name, jax.random.key(seed), state, action, RULES)
    if wrong is None:
        return None, None
    return changed(state_tree(ticked(state, action)), state_tree(wrong)), wrong


@pytest.fixture(scope="module")
def world():
    """A cow, an arrow between walls, and everything but diamonds in the inventory."""
    return arena.built(
        [
            arena.thing("cow", (3, 3)),
            arena.items(wood=1, stone=2, coal=1, iron=1, wood_pickaxe=1),
            arena.cells("stone", arena.FRONT),
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_each_kind_changes_its_thing_only(world, seed):
    paths, wrong = mutated("entity_health", world, NOOP, seed)
    assert paths == {"/objects/2/health"}
    assert 0 <= int(wrong.objects.health[0]) <= 9
    paths, wrong = mutated("entity_position", world, NOOP, seed)
    assert paths
    assert paths <= {"/objects/2/x", "/objects/2/y", "/chunk_order"}
    x, y = int(wrong.objects.x[0]), int(wrong.objects.y[0])
    assert wrong.materials[x, y] == c.material("grass")
    assert (x, y) not in {(3, 3), arena.CENTRE}
    paths, _ = mutated("player_health", world, NOOP, seed)
    assert paths == {"/player/inventory/health"}
    (path,), wrong = mutated("inventory", world, NOOP, seed)
    assert path.startswith("/player/inventory/")
    assert path != "/player/inventory/health"
    assert 0 <= int(wrong.player.items.min()) <= int(wrong.player.items.max()) <= 9


def collected(state):
    """All that is ever collected illegally in this state."""
    found = set()
    for seed in range(40):
        (path,), wrong = mutated("illegal_collecting", state, DO, seed)
        assert int(wrong.player.items.sum()) == int(state.player.items.sum()) + 1
        found.add(path.removeprefix("/player/inventory/"))
    return found


def test_collecting_what_is_not_ahead(world):
    # Stone is ahead and can be had; drink is at 9, so that drinking would change nothing.
    others = {"sapling", "wood", "coal", "iron", "diamond"}
    assert collected(world) == others
    # Without the pickaxe the stone cannot be had.
    assert collected(arena.items(wood_pickaxe=0)(world)) == {*others, "stone"}
    assert mutated("illegal_collecting", world, NOOP) == (None, None)


@pytest.mark.parametrize("seed", range(4))
def test_crafting_without_paying(world, seed):
    (path,), _ = mutated("illegal_crafting", world, c.action("make_stone_pickaxe"), seed)
    assert path.endswith(("pickaxe", "sword"))
    assert mutated("illegal_crafting", world, DO, seed) == (None, None)


def test_moving_elsewhere(world):
    def reached(action):
        found = set()
        for seed in range(40):
            _, wrong = mutated("illegal_moving", world, c.action(action), seed)
            step = (int(wrong.player.x) - 8, int(wrong.player.y) - 8)
            assert step == tuple(c.DIRECTIONS[wrong.player.facing])
            found.add(step)
        return found

    every = {tuple(step) for step in c.DIRECTIONS.tolist()}
    # Down is blocked by stone, so that going there is wrong, too; left is free.
    assert reached("move_down") == every
    assert reached("move_left") == every - {(-1, 0)}
    assert mutated("illegal_moving", world, DO) == (None, None)


def test_nobody_to_hurt_or_move():
    for name in ("entity_health", "entity_position"):
        assert mutated(name, arena.arena(), NOOP) == (None, None)


def test_ten_different_ones_in_every_scenario():
    key = jax.random.key(3)
    for name in names():
        state, actions = scenario(name).build(key)
        action = int(actions[0])
        wrong = mutators.distractors(key, state, action, RULES)
        assert len({fingerprint(w) for w in wrong}) == len(wrong) == mutators.DISTRACTORS
        for other in wrong:
            assert not same(other, state)
            assert not same(other, ticked(state, action))
            assert int(other.time) == int(state.time) + 1
            alive = other.objects.kind != 0
            taken = [*zip(other.objects.x[alive], other.objects.y[alive], strict=True)]
            taken.append((int(other.player.x), int(other.player.y)))
            assert len(set(taken)) == len(taken), name
            assert int(other.player.items.min()) >= 0
            assert int(other.player.items.max()) <= 9


def test_a_key_repeats_them(world):
    first, again, other = (
        [fingerprint(s) for s in mutators.distractors(jax.random.key(seed), world, DO, RULES)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_the_state_is_left_alone(world):
    before = jax.tree.map(np.array, world)
    mutators.distractors(jax.random.key(0), world, c.action("move_down"), RULES)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, before, world)))


def test_no_such_action(world):
    with pytest.raises(ValueError, match=r"0\.\.16, got 17"):
        mutators.distractors(jax.random.key(0), world, 17, RULES)
