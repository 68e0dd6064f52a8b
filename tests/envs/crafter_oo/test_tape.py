"""The recorder of the reference's draws: it changes nothing, and says who drew what."""

import copy
import functools

import crafter
import jax
import numpy as np
import pytest
from crafter import objects as things
from opensimplex import internals

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.reference import snapshot
from jaxrl.envs.crafter_oo.tape import (
    Recorder,
    StepTape,
    no_rendering,
    permutation_of,
    record_world,
)


@pytest.fixture(scope="module")
def world():
    env = crafter.Env(seed=8)
    return env, record_world(env)


def test_recording_changes_nothing(world):
    plain = crafter.Env(seed=8)
    plain.reset()
    recorded = copy.deepcopy(world[0])
    assert_equal(plain, recorded)
    recorder = Recorder(recorded)
    for action in (1, 5, 3, 5, 2, 5, 4, 5, 6):  # until the first balancing, by day
        plain.step(action)
        recorder.step(action)
        assert_equal(plain, recorded)


def assert_equal(one, two):
    leaves = zip(*(jax.tree.leaves(snapshot(env, 128)) for env in (one, two)), strict=True)
    assert all((a == b).all() for a, b in leaves)


@pytest.mark.parametrize("seed", [0, 1, 77, 2**31 - 2])
def test_permutation_is_that_of_the_noise(seed):
    np.testing.assert_array_equal(permutation_of(seed), internals._init(seed)[0])


def test_the_recorded_uniforms_explain_the_world(world):
    env, draws = world
    materials = np.asarray(c.MATERIALS)[env._world._mat_map]
    drawn = {name: getattr(draws, name) for name in draws._fields if name != "permutation"}
    limits = dict(coal=0.85, iron=0.75, diamond=0.994, tree=0.8)
    for name, limit in limits.items():
        # A cell has it exactly if its draw was above the limit; undrawn cells hold 0.5.
        np.testing.assert_array_equal(materials == name, drawn[name] > limit, err_msg=name)
    for name, limit in dict(cow=0.985, zombie=0.993, skeleton=0.95).items():
        kind = getattr(things, name.title())
        there = {tuple(obj.pos) for obj in env._world.objects if type(obj) is kind}
        assert there == set(zip(*np.nonzero(drawn[name] > limit), strict=True)) and there
    assert (np.concatenate([d.ravel() for d in drawn.values()]) != 0.5).mean() > 0.1


@functools.cache
def _empty():
    env = crafter.Env(area=(24, 24), seed=1)
    no_rendering(env)
    env.reset()
    for obj in env._world.objects[1:]:
        env._world.remove(obj)
    for key, objs in env._world.chunks.items():
        if not objs:
            del env._world._chunks[key]
    return env


def arena(material="path"):
    """A flat world with nobody but the player, in the middle."""
    env = copy.deepcopy(_empty())
    env._world._mat_map[:] = c.material(material)
    return env


def names(distance, kind=things.Skeleton, steps=300, **fields):
    """Which sets of draws a creature makes at a distance from the player that nothing blocks."""
    seen = set()
    for seed in range(steps):
        env = arena()
        env._world.random = np.random.RandomState(seed)
        creature = kind(env._world, env._player.pos + (distance, 0), env._player)
        for name, value in fields.items():
            setattr(creature, name, value)
        env._world.add(creature)
        tape, _, _ = Recorder(env).step(c.action("noop"))
        (drawn,) = tape.objects.values()
        seen.add(tuple(drawn))
    return seen


def test_a_skeletons_draws_are_named_by_what_they_decide():
    far = {("wander",), ("wander", "direction")}
    assert names(9, steps=100) == far
    assert names(8, steps=100) == {("chase", "axis")} | {("chase", *rest) for rest in far}
    near = {("act",), ("act", "chase", "axis")} | {("act", "chase", *rest) for rest in far}
    assert names(5, steps=100, reload=2) == near
    # A retreat that succeeds ends the turn; along the shorter axis it is a step nowhere, and fails.
    assert names(3, steps=100) == {("retreat",)} | {("retreat", *rest) for rest in near}


def test_a_zombies_draws_are_named_by_what_they_decide():
    assert names(8, things.Zombie, 60) == {("act", "axis"), ("act", "direction")}
    assert names(9, things.Zombie, 20) == {("direction",)}


def test_balancing_is_recorded_by_chunk_and_class():
    env = arena("grass")
    env._step = 149  # the next is the 150th, at night: zombies come to every chunk
    tape, _, _ = Recorder(env).step(c.action("noop"))
    # The player's chunk is the only one that exists: (1, 1) of 2 x 2; no path, and cows are few.
    assert set(tape.balance) == {(3, 0), (3, 2)}
    draws = tape.draws(np.zeros(4, np.int32), 4)
    assert draws.balanced.event.shape == (4, 3)
    assert draws.balanced.event[3, 0] == np.float32(tape.balance[3, 0]["event"])
    assert draws.balanced.event[3, 1] == 0.5 and draws.balanced.event[0, 0] == 0.5


def test_a_pick_gives_the_index_again():
    env = arena("grass")
    for place in range(4, 10):
        env._world.add(things.Cow(env._world, (place, 3)))
    for seed in range(50):
        copied = copy.deepcopy(env)
        copied._world.random = np.random.RandomState(seed)
        copied._step = 9
        before = {i: o for i, o in enumerate(copied._world._objects) if o}
        tape, _, _ = Recorder(copied).step(c.action("noop"))
        gone = set(before) - {i for i, o in enumerate(copied._world._objects) if o}
        if gone:
            cows = [i for i in before if i != c.PLAYER_ID]
            pick = tape.balance[0, 2]["pick"]
            assert gone == {cows[int(np.float32(pick) * np.float32(len(cows)))]}
            return
    pytest.fail("no cow was taken away in 50 tries")


def test_draws_by_slot_follow_the_ids():
    tape = StepTape(0.25, {7: {"act": 0.75, "direction": 3}}, {})
    draws = tape.draws(np.asarray([5, 0, 7]), 1)
    assert draws.collected == 0.25
    np.testing.assert_array_equal(draws.by_slot.act, [0.5, 0.5, 0.75])
    np.testing.assert_array_equal(draws.by_slot.direction, [0, 0, 3])
    assert draws.by_slot.direction.dtype == np.uint8
    with pytest.raises(ValueError, match=r"objects \[7\] drew but are in no slot"):
        tape.draws(np.asarray([5, 0, 8]), 1)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="expected a crafter.Env"):
        Recorder(None)
    with pytest.raises(ValueError, match="expected a crafter.Env"):
        record_world(3)
    env = arena()
    Recorder(env)
    with pytest.raises(ValueError, match="another Recorder"):
        Recorder(env)
    with pytest.raises(ValueError, match="has no world yet"):
        Recorder(crafter.Env(area=(9, 9)))
