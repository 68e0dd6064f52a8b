"""Episodes for pictures: every state, in order, up to the end and no further."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.rendering import collect
from tests.toy_commons import Commons, CommonsParams
from tests.toy_envs import CostlyReset, CounterParams

ENV = CostlyReset(cost=2)
KEY = jax.random.key(3)


def counting_act(policy, obs, carry, key):
    """The action is how often it was called before in the episode, plus the observed time."""
    action = carry + obs[:, 0].astype(jnp.int32)
    return action, carry + jnp.int32(1)


def play(max_steps=1000, **params):
    params = CounterParams(**params)
    params = jax.tree.map(jnp.int32, params)
    return collect(ENV, params, counting_act, None, KEY, max_steps, carry=jnp.zeros(1, jnp.int32))


@pytest.mark.parametrize("length", [5, 128, 150])
def test_whole_episode_to_its_termination(length):
    episode = play(min_length=length, max_length=length)
    assert (episode.length, episode.terminated, episode.truncated) == (length, True, False)
    times = np.arange(length + 1)
    np.testing.assert_array_equal(episode.states.time, times)
    np.testing.assert_array_equal(episode.observations[:, 0], times)
    np.testing.assert_array_equal(episode.rewards, times[1:])
    np.testing.assert_array_equal(episode.returns, times * (times + 1) / 2)
    np.testing.assert_array_equal(episode.actions, 2 * times[:-1])
    assert len(set(episode.states.start.tolist())) == 1
    assert episode.returns.dtype == np.float32 and isinstance(episode.observations, np.ndarray)


def test_time_limit_and_bound_are_told_apart():
    limited = play(min_length=6, max_length=6, max_steps_in_episode=4)
    assert (limited.length, limited.terminated, limited.truncated) == (4, False, True)
    both = play(min_length=6, max_length=6, max_steps_in_episode=6)
    assert (both.length, both.terminated, both.truncated) == (6, True, False)
    bounded = play(max_steps=3, min_length=6, max_length=6)
    assert (bounded.length, bounded.terminated, bounded.truncated) == (3, False, False)
    with pytest.raises(ValueError, match="max_steps must be at least 1, got 0"):
        play(max_steps=0)


def test_carry_may_begin_as_nothing_and_keys_are_withheld_where_greedy():
    seen = []

    def act(policy, obs, carry, key):
        seen.append(key is None)
        carry = obs[:, :1] if isinstance(carry, tuple) else carry + obs[:, :1]
        return carry[:, 0], carry

    params = jax.tree.map(jnp.int32, CounterParams(min_length=4, max_length=4))
    episode = collect(ENV, params, act, None, KEY, greedy=True)
    np.testing.assert_array_equal(episode.actions, [0, 1, 3, 6])
    assert all(seen)


def test_a_game_has_the_reward_of_its_first_role_and_what_it_reported():
    """12 in stock, of which the three workers take 4 a step, and pay 1 each."""
    env, params = Commons(), jax.tree.map(jnp.int32, CommonsParams(12, 12))

    def act(policy, obs, carry, key):
        return {"workers": jnp.asarray([[1, 3, 0]]), "boss": jnp.asarray([[1, 0]])}, carry

    episode = collect(env, params, act, None, KEY)
    assert (episode.length, episode.terminated) == (3, True)
    np.testing.assert_allclose(episode.rewards, [1 / 3] * 3, rtol=1e-6)
    np.testing.assert_array_equal(episode.infos["taken"], [4, 8, 12])
    np.testing.assert_array_equal(episode.states.stock, [12, 8, 4, 0])
    assert episode.actions["workers"].shape == (3, 3)
