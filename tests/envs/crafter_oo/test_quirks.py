"""Each quirk of the reference: kept by the rules `crafter`, mended by `fixed`.

Every case is set up in the reference, stepped there and by `transition` with the same draws; the
numbers are written down by hand.
"""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from crafter import objects as things

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.reference import from_reference
from jaxrl.envs.crafter_oo.tape import Recorder
from jaxrl.envs.crafter_oo.transition import reward, transition
from tests.envs.crafter_oo.lockstep import new_world
from tests.unoptimised import jit

AREA, CAPACITY, NEAR = (24, 24), 8, 8
WOOD_PICKAXE, HEALTH = c.item("wood_pickaxe"), c.item("health")


@pytest.fixture(scope="module")
def meadow():
    """Grass all over and nobody but the player, in the middle, facing down."""
    env = new_world(1, AREA)
    for obj in env._world.objects[1:]:
        env._world.remove(obj)
    env._world._mat_map[:] = c.material("grass")
    return env


@pytest.fixture
def env(meadow):
    return copy.deepcopy(meadow)


@pytest.fixture(scope="module")
def step():
    """(env, action, seed) -> the states after it and the rewards, by `crafter` and by `fixed`.

    Checks that the former are those of the reference.
    """
    play = jit(
        lambda draws, state, action, rules: (
            (after := transition(draws, state, action, rules, NEAR)),
            reward(state, after, rules),
        )
    )

    def both(env, action, seed=0):
        before = from_reference(env, CAPACITY)
        if not hasattr(env, "recorder"):
            env._world.random.seed(seed)
            env.recorder = Recorder(env)
        tape, paid, done = env.recorder.step(c.action(action))
        draws = tape.draws(np.asarray(before.objects.id), before.chunk_order.size)
        draws = jax.tree.map(jnp.asarray, draws)
        kept, mended = (
            play(draws, before, jnp.int32(c.action(action)), rule_sets.preset(name))
            for name in ("crafter", "fixed")
        )
        truth = from_reference(env, CAPACITY)
        packed = jnp.argsort(kept[0].objects.kind == 0, stable=True)
        objects = jax.tree.map(lambda field: field[packed], kept[0].objects)
        ours = jax.tree_util.tree_leaves_with_path(kept[0].replace(objects=objects))
        for (path, leaf), want in zip(ours, jax.tree.leaves(truth), strict=True):
            np.testing.assert_array_equal(leaf, want, err_msg=str(path))
        assert float(kept[1]) == pytest.approx(paid, abs=1e-6)
        assert bool(kept[0].player.health <= 0) == done
        return kept, mended

    return both


def beside(env, kind, distance=1, **fields):
    """Puts a creature that many cells below the player."""
    creature = kind(env._world, env._player.pos + (0, distance), env._player)
    for name, value in fields.items():
        setattr(creature, name, value)
    env._world.add(creature)


def alive(state, kind):
    return int(jnp.sum(state.objects.kind == c.kind(kind)))


def test_dead_act_killed_zombie_bites(env, step):
    beside(env, things.Zombie, health=1)
    # A dead zombie does not move, whatever it draws.
    (kept, paid), (mended, paid_mended) = step(env, "do", seed=4)
    assert alive(kept, "zombie") == alive(mended, "zombie") == 0
    assert int(kept.player.achievements["defeat_zombie"]) == 1
    assert (int(kept.player.health), int(mended.player.health)) == (7, 9)
    assert float(paid) == pytest.approx(0.8) and float(paid_mended) == 1


def test_dead_act_killed_skeleton_shoots(env, step):
    beside(env, things.Skeleton, distance=4, health=0)
    # The first draw of seed 1 is 0.417, below 0.5: it shoots.
    (kept, _), (mended, _) = step(env, "noop", seed=1)
    assert alive(kept, "skeleton") == alive(mended, "skeleton") == 0
    assert (alive(kept, "arrow"), alive(mended, "arrow")) == (1, 0)
    assert int(kept.next_id) == int(mended.next_id) + 1


def test_lava_regeneration_lets_live(env, step):
    x, y = env._player.pos
    env._world[x, y + 1] = "lava"
    env._player._recover = 25
    (kept, _), (mended, _) = step(env, "move_down")
    assert (int(kept.player.health), int(mended.player.health)) == (1, 0)
    assert int(kept.player.y) == int(mended.player.y) == y + 1
    # It stands in lava, and nothing happens until it moves, or tries to.
    (kept, _), _ = step(env, "noop")
    assert int(kept.player.health) == 1
    env._world[x, y + 2] = "stone"
    (kept, _), _ = step(env, "move_down")
    assert int(kept.player.health) == 0 and int(kept.player.y) == y + 1


def test_lava_kills_otherwise(env, step):
    x, y = env._player.pos
    env._world[x, y + 1] = "lava"
    env._player._recover = 24
    (kept, paid), (mended, _) = step(env, "move_down")
    assert int(kept.player.health) == int(mended.player.health) == 0
    assert float(paid) == pytest.approx(-0.9)


@pytest.mark.parametrize(
    "place, table, works",
    [
        ((0, 5), (1, 5), False),
        ((5, 0), (5, 1), False),
        ((0, 0), (0, 1), False),
        ((23, 5), (22, 5), True),
        ((5, 23), (4, 22), True),
        ((1, 1), (0, 0), True),
    ],
)
def test_edge_crafting(env, step, place, table, works):
    env._world.move(env._player, place)
    env._world[table] = "table"
    env._player.inventory["wood"] = 1
    (kept, _), (mended, _) = step(env, "make_wood_pickaxe")
    assert int(kept.player.items[WOOD_PICKAXE]) == int(works)
    assert int(mended.player.items[WOOD_PICKAXE]) == 1


def test_edge_crafting_mended_does_not_reach_over_the_edge(env, step):
    # A table at the far edge is not nearby: no index wraps around.
    env._world.move(env._player, (0, 5))
    env._world[23, 5] = "table"
    env._player.inventory["wood"] = 1
    (kept, _), (mended, _) = step(env, "make_wood_pickaxe")
    assert int(kept.player.items[WOOD_PICKAXE]) == int(mended.player.items[WOOD_PICKAXE]) == 0


def test_one_reward_a_step_for_wake_up_and_another(env, step):
    env._player.sleeping = True
    env._player.inventory["wood"] = 2
    (kept, paid), (mended, paid_mended) = step(env, "place_table")
    for state in (kept, mended):
        assert int(state.player.achievements["wake_up"]) == 1
        assert int(state.player.achievements["place_table"]) == 1
    assert (float(paid), float(paid_mended)) == (1, 2)


def test_an_achievement_is_paid_once(env, step):
    env._player.inventory["wood"] = 4
    (_, paid), _ = step(env, "place_table")
    env._player.facing = (0, -1)
    (state, again), (_, again_mended) = step(env, "place_table")
    assert int(state.player.achievements["place_table"]) == 2
    assert (float(paid), float(again), float(again_mended)) == (1, 0, 0)


def test_every_quirk_has_a_test():
    tests = [name for name in globals() if name.startswith("test_")]
    untested = [q for q in rule_sets.QUIRKS if not any(t.startswith(f"test_{q}") for t in tests)]
    assert untested == []
