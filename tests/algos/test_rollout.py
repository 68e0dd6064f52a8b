"""A rollout's bootstrap values: of the final observation, not of the one after a reset."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.algorithm import canonical
from jaxrl.algos.on_policy import ppo
from jaxrl.algos.on_policy.rollout import make_rollout
from jaxrl.algos.on_policy.types import Config
from jaxrl.networks import NetworkConfig, make_net
from jaxrl.vector import VecEnv
from tests.toy_envs import CostlyReset, CounterParams

NETWORK = NetworkConfig(hidden=(8,), activation="relu")
CONFIG = Config(num_envs=6, num_steps=20, num_minibatches=1, network=NETWORK)


@pytest.fixture(scope="module")
def rollout():
    """Episodes of 4 to 6 steps under a limit of 5: some terminate and some are truncated."""
    env, params = CostlyReset(cost=1), CounterParams(4, 6, 5)
    net = make_net(env.observation_space(params), env.action_space(params), CONFIG.network)
    algo = ppo.SPEC.make(env, params, CONFIG)
    hp = canonical(ppo.PPOHyperparameters(env=params))
    state = algo.init(jax.random.key(0), hp)
    run = make_rollout(VecEnv(env, CONFIG.num_envs, 2), net, CONFIG)
    after, trajectory, metrics = jax.jit(run)(jax.random.key(1), state, hp)

    def value(obs):
        flat = jnp.asarray(obs).reshape((-1, 2))
        return np.asarray(net.apply(state.policy.params, flat, ())[1]).reshape(obs.shape[:-1])

    return after, jax.tree.map(np.asarray, trajectory), metrics, value


def test_bootstrap_values_by_hand(rollout):
    """The observation is (time, start): the final one is (time + 1, start)."""
    after, trajectory, _, value = rollout
    obs = trajectory.obs
    final = obs + np.asarray([1, 0], np.float32)
    following = np.concatenate([obs[1:], np.asarray(after.obs)[None]])
    started = following[..., 0] == 0
    np.testing.assert_array_equal(started, trajectory.ended)
    truncated = trajectory.ended & (trajectory.v_tp1 != 0)
    terminated = trajectory.ended & ~truncated
    assert truncated.any() and terminated.any()
    assert (final[truncated][:, 0] == 5).all() and (final[terminated][:, 0] <= 5).all()
    np.testing.assert_allclose(trajectory.v_tp1[truncated], value(final[truncated]), rtol=1e-5)
    going_on = ~trajectory.ended
    np.testing.assert_allclose(trajectory.v_tp1[going_on], value(following)[going_on], rtol=1e-5)
    # The mistake would be visible: resets have other values.
    assert not np.allclose(trajectory.v_tp1[truncated], value(following)[truncated], rtol=1e-2)


class _Leveller(CostlyReset):
    """Before a rollout all take over the time of the first."""

    def share(self, states):
        return states.replace(time=jnp.broadcast_to(states.time[0], states.time.shape))


def test_environments_share_before_a_rollout():
    env, params = _Leveller(cost=1), CounterParams(9, 9, 9)
    config = dataclasses.replace(CONFIG, num_steps=1)
    algo = ppo.SPEC.make(env, params, config)
    hp = canonical(ppo.PPOHyperparameters(env=params))
    state = algo.init(jax.random.key(0), hp)
    world = state.env.env_state.replace(time=jnp.arange(3, 9, dtype=jnp.int32))
    state = state.replace(env=state.env.replace(env_state=world))
    after, _ = jax.jit(algo.step)(state, hp)
    np.testing.assert_array_equal(after.obs[:, 0], np.full(6, 4))


def test_values_and_log_probs_are_those_of_the_acting_policy(rollout):
    _, trajectory, _, value = rollout
    np.testing.assert_allclose(trajectory.value, value(trajectory.obs), rtol=1e-5)
    log_probs = jax.nn.log_softmax(jnp.asarray(trajectory.distribution.logits))
    chosen = np.take_along_axis(np.asarray(log_probs), trajectory.action[..., None], -1)[..., 0]
    np.testing.assert_allclose(trajectory.log_prob, chosen, rtol=1e-5, atol=1e-6)


def test_episode_metrics_count_what_ended(rollout):
    _, trajectory, metrics, _ = rollout
    assert metrics["episodes"] == trajectory.ended.sum()
    time = trajectory.obs[..., 0][trajectory.ended] + 1
    np.testing.assert_allclose(metrics["episode_length"], time.mean(), rtol=1e-6)
    # The reward is the time: 1 + 2 + ... + k = k (k + 1) / 2.
    np.testing.assert_allclose(metrics["episode_return"], (time * (time + 1) / 2).mean(), rtol=1e-6)
