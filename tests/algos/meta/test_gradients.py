"""Meta-gradients against central finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxrl
from jaxrl import registry
from jaxrl.algorithm import canonical
from jaxrl.algos.meta import gradients
from jaxrl.algos.on_policy.learnt import random_drift, zero_drift
from jaxrl.algos.on_policy.loop import on_policy
from jaxrl.algos.on_policy.objectives import dpo
from jaxrl.algos.on_policy.types import Config
from jaxrl.networks import NetworkConfig, make_net

UPDATES, STEPS = 3, 4


def _float64(tree):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), tree)


def _bandit():
    rewards = jnp.asarray([1.0, -0.5, 0.3, 2.0], jnp.float64)
    return gradients.Bandit(rewards, jnp.asarray([0.5, 0.1, -0.3, -0.8], jnp.float64), 0.7)


def _problem(name, hidden=3, scale=2.0, seed=3):
    """(weights -> expected reward, weights), in float64 where that is enabled."""
    learnt = registry.algorithm(name).learnt
    inputs = {"lpo": 8, "ta-lpo": 16}.get(name)
    if inputs is None:
        phi = learnt.start(jax.random.key(0))
    else:
        phi = random_drift(jax.random.key(seed), inputs, hidden, scale).replace(input_bound=50.0)
    weights = _float64(learnt.weights(phi))

    def outcome(weights):
        replaced = learnt.replace(phi, weights)
        return gradients.bandit_outcome(learnt.drift, _bandit(), replaced, UPDATES, STEPS)

    return outcome, weights


@pytest.mark.parametrize("name", ["dpo", "lpo", "ta-lpo"])
def test_of_a_bandit_in_both_modes(name):
    """Truncation and rounding of the differences are both about 1e-10 in float64."""
    with jax.enable_x64(True):
        outcome, weights = _problem(name)
        flat, unravel = ravel_pytree(weights)
        rows = 1e-5 * jnp.eye(flat.size)
        direction = jnp.cos(jnp.arange(flat.size, dtype=jnp.float64))

        @jax.jit
        def compute(weights):
            near = jnp.concatenate([flat[None] + rows, flat[None] - rows])
            modes = (gradients.meta_gradient, gradients.forward_gradient)
            slopes = [ravel_pytree(mode(outcome, weights))[0] for mode in modes]
            along = gradients.directional(outcome, weights, unravel(direction))
            return jax.vmap(lambda x: outcome(unravel(x)))(near), slopes, along, outcome(weights)

        near, slopes, (value, along), expected_value = compute(weights)
        expected = np.subtract(*np.split(np.asarray(near), 2)) / 2e-5
        assert np.max(np.abs(expected)) > 1e-2
        for slope in slopes:
            np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(value, expected_value, rtol=1e-12)
        np.testing.assert_allclose(along, expected @ direction, rtol=1e-6)


def test_bandit_by_hand():
    """PPO's drift at two actions: the first step is exact policy gradient, the second is clipped.

    pi = (1/2, 1/2), rewards (1, 0): A = (1/2, -1/2). At r = 1 the slope by the logits is
    pi_i A_i = (1/4, -1/4). With lr 2 the logits are (1/2, -1/2), the ratios (1.46, 0.54): both
    clipped, so that there is no further step. Expected reward 1 / (1 + exp(-1)).
    """
    bandit = gradients.Bandit(jnp.asarray([1.0, 0.0]), jnp.zeros(2), 2.0)
    drift = registry.algorithm("lpo").learnt.drift
    for steps in (1, 5):
        value = gradients.bandit_outcome(drift, bandit, zero_drift(hidden=2), 1, steps)
        np.testing.assert_allclose(value, 1 / (1 + np.exp(-1)), rtol=1e-6)


def test_surrogate_by_hand():
    """Rewards (3, 2), so A = (1/2, -1/2); both ratios, 1.46 and 0.54, are clipped.

    1/2 * 1.2 * 1/2 - 1/2 * 0.8 * 1/2 = 0.1.
    """
    drift = registry.algorithm("lpo").learnt.drift
    logits, rewards = jnp.asarray([0.5, -0.5]), jnp.asarray([3.0, 2.0])
    value = gradients.surrogate(drift, zero_drift(hidden=2), jnp.zeros(2), logits, rewards, 0.0)
    np.testing.assert_allclose(value, 0.1, rtol=1e-6)


def test_one_step_an_update_does_not_depend_on_phi():
    learnt = registry.algorithm("dpo").learnt
    bandit = gradients.Bandit(jnp.asarray([1.0, 0.0, 0.5]), jnp.zeros(3), 1.0)

    def slope(weights, steps):
        def outcome(w):
            phi = learnt.replace(None, w)
            return gradients.bandit_outcome(learnt.drift, bandit, phi, 3, steps)

        return gradients.meta_gradient(outcome, weights)

    weights = learnt.weights(learnt.start(jax.random.key(0)))
    one, two = jax.jit(lambda w: (slope(w, 1), slope(w, 2)))(weights)
    np.testing.assert_array_equal(one, np.zeros(2))
    assert np.min(np.abs(two)) > 1e-6


@pytest.mark.parametrize(("name", "rate"), [("dpo", 1.0), ("lpo", 0.1)])
def test_ascent_improves_the_expected_reward(name, rate):
    with jax.enable_x64(True):
        outcome, weights = _problem(name)

        @jax.jit
        def ascend(weights):
            def step(weights, _):
                value, slope = outcome(weights), gradients.meta_gradient(outcome, weights)
                return jax.tree.map(lambda w, g: w + rate * g, weights, slope), value

            return jax.lax.scan(step, weights, None, length=20)[1]

        values = ascend(weights)
        assert values[0] + 0.02 < values[-1] < 2.0  # the best action pays 2


CONFIG = Config(
    num_envs=8, num_steps=8, num_epochs=2, num_minibatches=2, network=NetworkConfig(hidden=(8,))
)


def _training(env_id, action, **overrides):
    """((weights, seed) -> log-probability of an action at 5 observations after two updates, w)."""
    env, params = jaxrl.make(env_id, **overrides)
    space = env.observation_space(params)
    net = make_net(space, env.action_space(params), CONFIG.network)
    spec = registry.algorithm("dpo")
    hp = spec.hyperparameters(env=params, lr=0.03, max_grad_norm=1e3)
    obs = jax.random.normal(jax.random.key(7), (5, *space.shape))
    actions = jnp.broadcast_to(action, (5, *action.shape))

    def log_prob(state):
        return jnp.sum(net.apply(state.policy.params, obs, ())[0].log_prob(actions))

    trained = gradients.make_outcome(
        on_policy(env, net, dpo, CONFIG), 2, log_prob, lambda w: spec.learnt.replace(None, w)
    )
    hp = canonical(hp)
    weights = spec.learnt.weights(hp.objective)
    return lambda w, seed: trained(jax.random.key(seed), hp, w), weights


def test_through_the_real_loop_with_discrete_actions():
    """Episodes end and are reset meanwhile. The differences use the same random numbers."""
    outcome, weights = _training("CartPole-v1", jnp.int32(1), max_steps_in_episode=6)

    @jax.jit
    def both(weights, seed):
        def of_seed(w):
            return outcome(w, seed)

        return of_seed(weights), gradients.forward_gradient(of_seed, weights)

    for seed in range(3):
        slope = both(weights, seed)[1]
        step = 0.02  # of log alpha and log beta; no action that is drawn changes
        rows = step * np.eye(2, dtype=np.float32)
        high, low = ([both(weights + s * row, seed)[0] for row in rows] for s in (1, -1))
        expected = np.subtract(high, low) / (2 * step)
        assert np.abs(expected[1]) > 0.1
        np.testing.assert_allclose(slope, expected, rtol=2e-3, atol=2e-4)

    with pytest.raises(ValueError, match="use directional or forward_gradient"):
        gradients.meta_gradient(lambda w: outcome(w, 0), weights)


def test_through_the_real_loop_with_continuous_actions():
    """Actions move with the policy, and so do rewards and advantages of the second update."""
    outcome, weights = _training("Probe-Continuous-v1", jnp.zeros(2))

    @jax.jit
    def along(weights, direction):
        return gradients.directional(lambda w: outcome(w, 0), weights, direction)

    for direction in np.eye(2, dtype=np.float32):
        _, slope = along(weights, direction)
        high, low = (along(weights + s * 0.02 * direction, direction)[0] for s in (1, -1))
        expected = (high - low) / 0.04
        assert abs(expected) > 0.1
        np.testing.assert_allclose(slope, expected, rtol=1e-2)


def test_bad_arguments():
    weights = jnp.zeros(2)
    with pytest.raises(ValueError, match="form of the weights"):
        gradients.directional(jnp.sum, weights, jnp.zeros(3))
    with pytest.raises(ValueError, match="form of the weights"):
        gradients.directional(jnp.sum, weights, (weights,))
    with pytest.raises(ValueError, match="batch must be at least 1"):
        gradients.forward_gradient(jnp.sum, weights, batch=0)
    drift = registry.algorithm("dpo").learnt.drift
    bandit = gradients.Bandit(jnp.zeros(2), jnp.zeros(2))
    for updates, steps in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="updates, steps >= 1"):
            gradients.bandit_outcome(drift, bandit, None, updates, steps)
    with pytest.raises(TypeError):  # errors of another kind are left as they are
        gradients.meta_gradient(lambda w: w, jnp.int32(1))
