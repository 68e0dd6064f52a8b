"""The state read from a live `crafter.Env`, against what the environment holds."""

import crafter
import jax
import numpy as np
import pytest
from crafter import objects as things

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.reference import from_reference


@pytest.fixture(scope="module")
def env():
    env = crafter.Env(area=(30, 26), seed=1)
    env.reset()
    world, player = env._world, env._player
    for obj in world.objects:
        if obj is not player:
            world.remove(obj)
    world[3, 4] = "diamond"
    zombie = things.Zombie(world, (20, 1), player)
    zombie.cooldown, zombie.health = 4, 2
    skeleton = things.Skeleton(world, (20, 2), player)
    skeleton.reload = 3
    plant = things.Plant(world, (20, 3))
    plant.grown = 301
    arrow = things.Arrow(world, (20, 4), np.array((0, -1)))
    cow = things.Cow(world, (29, 25))
    for obj in (zombie, skeleton, plant, arrow, cow):
        world.add(obj)
    player.facing, player.action, player.sleeping = (1, 0), "place_table", True
    player._hunger, player._thirst, player._fatigue, player._recover = 2.5, 3, -4, -0.5
    player._last_health, player.inventory["wood"] = 7, 5
    player.achievements["wake_up"] = 2
    env._step = 12
    return env


def test_everything_is_where_the_reference_has_it(env):
    state, first = from_reference(env, 9), len(env._world._objects) - 5
    assert state.area == (30, 26) and int(state.time) == 12
    assert int(state.next_id) == first + 5 and not bool(state.overflow)
    assert c.MATERIALS[int(state.materials[3, 4])] == "diamond"
    np.testing.assert_array_equal(state.objects.id[:6], [*range(first, first + 5), 0])
    names = [c.KINDS[k] for k in np.asarray(state.objects.kind[:6])]
    assert names == ["zombie", "skeleton", "plant", "arrow", "cow", "none"]
    np.testing.assert_array_equal(state.objects.x[:6], [20, 20, 20, 20, 29, 0])
    np.testing.assert_array_equal(state.objects.y[:6], [1, 2, 3, 4, 25, 0])
    np.testing.assert_array_equal(state.objects.health[:6], [2, 3, 1, 0, 3, 0])
    np.testing.assert_array_equal(state.objects.counter[:6], [4, 3, 301, 0, 0, 0])
    np.testing.assert_array_equal(state.objects.facing[:6], [0, 0, 0, c.UP, 0, 0])
    player = state.player
    assert (int(player.x), int(player.y)) == (15, 13) and int(player.facing) == c.RIGHT
    assert c.ACTIONS[int(player.action)] == "place_table" and bool(player.sleeping)
    counters = (player.hunger, player.thirst, player.fatigue, player.recover)
    assert [float(x) for x in counters] == [2.5, 3.0, -4.0, -0.5]
    assert int(player.inventory["wood"]) == 5 and int(player.last_health) == 7
    assert int(player.achievements["wake_up"]) == 2 and int(player.health) == 9


def test_chunks_are_in_the_order_in_which_they_came(env):
    order = np.asarray(from_reference(env).chunk_order)
    assert order.shape == (3, 3)
    keys = list(env._world._chunks)
    assert order[keys[0][0] // 12, keys[0][2] // 12] == 0 and keys[0] == (12, 24, 12, 24)
    assert [order[x // 12, y // 12] for x, _, y, _ in keys] == list(range(len(keys)))
    assert (order >= 0).sum() == len(keys)


def test_wrong_arguments_are_named(env):
    with pytest.raises(ValueError, match="capacity is 4, but the world has 5 objects"):
        from_reference(env, 4)
    with pytest.raises(ValueError, match="expected a crafter.Env, got builtins.int"):
        from_reference(3)
    with pytest.raises(ValueError, match="has no world yet: call its reset"):
        from_reference(crafter.Env(area=(9, 9), seed=1))


@pytest.mark.parametrize("view", [(9, 7), (7, 9), (11, 11), 5])
def test_another_view_is_refused(view):
    env = crafter.Env(area=(9, 9), view=view, seed=1)
    shape = view if isinstance(view, tuple) else (view, view)
    with pytest.raises(ValueError, match=f"view is {shape[0]} x {shape[1]} in the crafter.Env"):
        from_reference(env)


def test_a_larger_area_than_a_state_has_is_refused():
    env = crafter.Env(area=(10, 769), seed=1)
    with pytest.raises(ValueError, match="area is 10 x 769 in the crafter.Env, but a side"):
        from_reference(env)


def test_the_size_of_pictures_is_no_part_of_a_state():
    states = []
    for size, length in (((64, 64), 10_000), ((40, 90), 50)):
        env = crafter.Env(area=(9, 9), size=size, length=length, seed=3)
        env.reset()
        states.append(from_reference(env))
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_an_object_of_another_kind_is_refused():
    env = crafter.Env(area=(9, 9), seed=1)
    env.reset()
    env._world.add(things.Fence(env._world, (0, 0)))
    with pytest.raises(ValueError, match="of the unknown kind 'fence'"):
        from_reference(env)
