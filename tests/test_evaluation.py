"""Evaluation plays exactly one whole episode an environment."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl.algorithm import canonical
from jaxrl.evaluation import evaluate, random_act
from jaxrl.spaces import Discrete, MultiDiscrete, contains
from tests.toy_envs import CostlyReset, CounterParams
from tests.toy_games import Tally, TallyParams, TallyState

ENV = CostlyReset(cost=1)
PARAMS = canonical(CounterParams(3, 6, 1000))
ACT = random_act(ENV, PARAMS)


def _play(params=PARAMS, episodes=50, **options):
    played = evaluate(ENV, params, ACT, (), jax.random.key(0), episodes, **options)
    return jax.tree.map(np.asarray, played)


def test_episodes_are_whole_and_counted_once():
    """A toy episode of k steps pays 1 + 2 + ... + k; lengths 3 to 6 are equally likely."""
    played = _play()
    k = played.lengths
    np.testing.assert_array_equal(played.returns, k * (k + 1) / 2)
    assert played.terminated.all() and not played.truncated.any()
    assert set(k) == {3, 4, 5, 6}
    # Were the first 50 episodes to finish taken instead, short ones would be over-represented.
    assert abs(k.mean() - 4.5) < 0.5


def test_time_limits_are_reported_apart():
    played = _play(canonical(CounterParams(3, 6, 4)))
    np.testing.assert_array_equal(played.truncated, ~played.terminated)
    assert (played.lengths[played.truncated] == 4).all() and played.truncated.any()
    assert (played.lengths[played.terminated] <= 4).all() and played.terminated.any()


def test_unfinished_episodes_are_visible():
    played = _play(max_steps=4)
    unfinished = ~played.terminated & ~played.truncated
    assert unfinished.any() and (played.lengths[unfinished] == 4).all()
    assert (played.returns[unfinished] == 10).all()


def test_bad_counts_are_refused():
    with pytest.raises(ValueError, match="num_episodes"):
        _play(episodes=0)
    with pytest.raises(ValueError, match="no greedy action"):
        _play(greedy=True)


class Masked(NamedTuple):
    """As much of an environment as `random_act` asks for."""

    space: Any

    def action_space(self, params: Any) -> Any:
        return self.space


def _drawn(space: Any, mask: Any, draws: int = 600) -> np.ndarray:
    """Actions of `random_act` under one mask, [draws, ...], checked to be in the space."""
    obs = {"action_mask": jnp.broadcast_to(jnp.asarray(mask, bool), (draws, *np.shape(mask)))}
    action, _ = random_act(Masked(space), None)((), obs, (), jax.random.key(0))
    assert jax.vmap(lambda x: contains(space, x))(action).all()
    return np.asarray(action)


def _shares(values: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(values, minlength=size) / len(values)


def test_random_actions_are_uniform_over_legal_ones():
    drawn = _drawn(Discrete(4), [False, True, False, True])
    np.testing.assert_allclose(_shares(drawn, 4), [0, 0.5, 0, 0.5], atol=0.07)
    two = _drawn(MultiDiscrete((2, 3)), [[False, True, True], [True, False, True]])
    np.testing.assert_allclose(_shares(two[:, 0], 2), [0, 1])  # its third value is padding
    np.testing.assert_allclose(_shares(two[:, 1], 3), [0.5, 0, 0.5], atol=0.07)


def test_where_nothing_is_legal_random_actions_are_uniform():
    np.testing.assert_allclose(_shares(_drawn(Discrete(2), [False] * 2), 2), 0.5, atol=0.07)
    two = _drawn(MultiDiscrete((2, 3)), [[False, False, True], [False, True, False]])
    np.testing.assert_allclose(_shares(two[:, 0], 2), 0.5, atol=0.07)
    assert (two[:, 1] == 1).all()
    none = _drawn(MultiDiscrete((2, 3, 2)), np.zeros((2, 2, 3)))
    np.testing.assert_allclose(_shares(none[:, 2], 2), 0.5, atol=0.07)


def test_random_first_choices_are_legal_where_all_others_have_a_legal_value():
    mask = np.zeros((3, 2, 3), bool)
    mask[0, 0] = True  # the second has no value
    mask[0, 1, 2] = True  # but this, which is padding
    mask[1, 0, 2] = mask[1, 1, :2] = True
    mask[2, 0, :2] = mask[2, 1, 0] = True
    drawn = _drawn(MultiDiscrete((3, 3, 2)), mask)
    np.testing.assert_allclose(_shares(drawn[:, 0], 3), [0, 0.5, 0.5], atol=0.07)
    joint = {tuple(action) for action in drawn.tolist()}
    assert joint == {(1, 2, 0), (1, 2, 1), (2, 0, 0), (2, 1, 0)}


@pytest.mark.parametrize("env_id", ["Probe-Mask-v1", "Probe-MultiDiscreteMask-v1"])
def test_random_actions_heed_the_mask_of_their_own_observation(env_id):
    """Probes pay -10 for an illegal action."""
    env, params = jaxrl.make(env_id)
    played = evaluate(env, params, random_act(env, params), (), jax.random.key(0), 256)
    assert played.returns.min() >= 0 and 0.2 < played.returns.mean() < 0.8


def test_random_members_of_a_game_heed_masks_of_their_own():
    env, params = jaxrl.make("OneStepEconomy-v1")
    act = jax.jit(random_act(env, params))
    keys = jax.random.split(jax.random.key(0), 300)
    obs, _ = jax.vmap(env.reset_env, (0, None))(keys, params)
    hours = np.arange(101) % 3 == 1
    mask = jnp.asarray(hours[None] | np.eye(env.agents, 101, dtype=bool))
    closed = jnp.zeros_like(obs["planner"]["action_mask"]).at[..., 2].set(True)
    obs["agents"] |= {"action_mask": jnp.broadcast_to(mask, (300, *mask.shape))}
    obs["planner"] |= {"action_mask": closed}
    action, _ = act((), obs, (), jax.random.key(1))
    chosen = np.asarray(action["agents"])
    assert chosen.shape == (300, env.agents) and (np.asarray(action["planner"]) == 2).all()
    assert np.asarray(mask)[np.arange(env.agents), chosen].all()
    assert len(set(chosen[:, 0])) > 30 and len(set(map(tuple, chosen.tolist()))) == 300


def test_episodes_follow_those_before_them():
    """Episode k of an environment lasts 2 + k steps, at most 9; without any before, k is 0."""
    env, params = Tally(), jax.tree.map(jnp.int32, TallyParams(2, 9))
    act, ended = random_act(env, params), jnp.asarray([0, 3, 40], jnp.int32)
    before = TallyState(jnp.zeros_like(ended), ended, jnp.zeros_like(ended))
    played = evaluate(env, params, act, (), jax.random.key(0), 5, before=before)
    np.testing.assert_array_equal(played.lengths, [3, 6, 9, 3, 6])
    np.testing.assert_array_equal(played.truncated, [False, False, True, False, False])
    played = evaluate(env, params, act, (), jax.random.key(0), 2)
    np.testing.assert_array_equal(played.lengths, [2, 2])
