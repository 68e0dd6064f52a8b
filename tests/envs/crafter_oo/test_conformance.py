"""Our transition against the package `crafter` 1.8.3, step for step, on the same draws.

A sample of what `experiments/crafter_oo/conformance.py` runs in full.
"""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.daylight import daylight
from tests.envs.crafter_oo.coverage import coverage
from tests.envs.crafter_oo.lockstep import compare, new_world, play, random_policy
from tests.envs.crafter_oo.scripted import prepare, scripted_policy


@pytest.fixture(scope="module")
def episodes():
    """12 episodes of random actions, 3 scripted ones in worlds as they are, 3 in prepared ones."""
    worlds = [new_world(seed) for seed in (0, 1)]
    played = [play(copy.deepcopy(worlds[i % 2]), random_policy, i, 400) for i in range(12)]
    for i in (3, 4, 7):
        played.append(play(copy.deepcopy(worlds[i % 2]), scripted_policy, i, 400))
    for i in (3, 5, 7):
        env = copy.deepcopy(worlds[i % 2])
        prepare(env, np.random.RandomState(i))
        played.append(play(env, scripted_policy, i, 400))
    return played


def test_every_state_is_that_of_the_reference(episodes):
    assert compare(episodes) == []


def test_the_sample_meets_what_there_is_to_meet(episodes):
    assert sum(len(episode.actions) for episode in episodes) > 3000
    count = coverage(episodes)
    rare = {"lava survived", "no food", "no drink", "no energy", "health lost by need"}
    assert [name for name, times in count.items() if not times and name not in rare] == []


def test_a_wrong_draw_is_noticed(episodes):
    changed = [episode._replace(actions=episode.actions[:50]) for episode in episodes]
    tapes = list(changed[4].tapes)
    cows = changed[4].states[0].objects
    # A cow that moves in another direction, or at all, somewhere within the first steps.
    step, number = next(
        (t, number)
        for t, tape in enumerate(tapes)
        for number, drawn in tape.objects.items()
        if set(drawn) == {"act", "direction"}
        and cows.kind[cows.id == number].tolist() == [c.kind("cow")]
        and moved(changed[4], t, number)
    )
    still = {**tapes[step].objects, number: {"act": 0.75}}
    tapes[step] = tapes[step]._replace(objects=still)
    changed[4] = changed[4]._replace(tapes=tapes)
    assert compare(changed) == [(4, step + 1, "objects")]


def moved(episode, t, number):
    """Whether step t moved an object."""
    x, y = (
        [getattr(s.objects, name)[s.objects.id == number].tolist() for s in episode.states[t:][:2]]
        for name in ("x", "y")
    )
    return len(x[1]) == 1 and (x[0], y[0]) != (x[1], y[1])


def test_light_decides_the_same_at_every_step():
    # What depends on daylight: the numbers of zombies and cows, and whether it is dark.
    time = np.arange(10_001)
    exact = 1 - np.abs(np.cos(np.pi * ((time / 300) % 1 + 0.3))) ** 3
    ours = np.asarray(daylight(jnp.asarray(time, jnp.int32)))
    np.testing.assert_allclose(ours, exact, atol=1e-6)
    rule = jax.tree.map(np.asarray, rule_sets.crafter().balance)
    targets = ((rule.low, rule.low_light, exact), (rule.high, rule.high_light, exact))
    for base, slope, light in targets:
        mine = (base + slope * ours[:, None]).astype(np.int16)
        np.testing.assert_array_equal(mine, (base + slope * light[:, None]).astype(np.int16))
    np.testing.assert_array_equal(ours < 0.5, exact < 0.5)
    assert rule.low.tolist() == [3.5, 1, 1] and rule.high_light.tolist() == [-3, 0, 1]
