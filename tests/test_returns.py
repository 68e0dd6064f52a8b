"""Advantages against NumPy loops and hand-computed numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrl.returns import discounted_sums, generalized_advantage, next_values


def _numpy_gae(reward, value, last, terminated, truncated, final, gamma, lam):
    """The definition, an infinite-horizon sum cut by episodes, written as a plain double loop."""
    steps = len(reward)
    delta = np.zeros(steps)
    for t in range(steps):
        following = last if t == steps - 1 else value[t + 1]
        following = final[t] if truncated[t] else following
        following = 0.0 if terminated[t] else following
        delta[t] = reward[t] + gamma * following - value[t]
    advantage = np.zeros(steps)
    for t in range(steps):
        weight = 1.0
        for k in range(t, steps):
            advantage[t] += weight * delta[k]
            if terminated[k] or truncated[k]:
                break
            weight *= gamma * lam
    return advantage


@jax.jit
def _gae(reward, value, last, terminated, truncated, final, gamma, lam):
    v_tp1 = next_values(value, last, terminated, truncated, final)
    return generalized_advantage(reward, value, v_tp1, terminated | truncated, gamma, lam)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_gae_equals_the_definition(seed, gamma, lam):
    rng = np.random.default_rng(seed)
    reward, value, final = rng.normal(size=(3, 12)).astype(np.float32)
    last = np.float32(rng.normal())
    kind = rng.choice(3, size=12, p=[0.6, 0.2, 0.2])
    terminated, truncated = kind == 1, kind == 2
    ours = _gae(reward, value, last, terminated, truncated, final, gamma, lam)
    expected = _numpy_gae(reward, value, last, terminated, truncated, final, gamma, lam)
    np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-5)


def test_a_truncated_step_bootstraps_from_the_final_observation():
    """By hand: gamma 0.9, lambda 0: r + 0.9 * 10 - 1 = 9 truncated, 1 - 1 = 0 terminated."""
    one = jnp.ones((1,))
    flag, no_flag = jnp.asarray([True]), jnp.asarray([False])
    cut = next_values(one, jnp.float32(50.0), no_flag, flag, 10 * one)
    assert cut.tolist() == [10.0]
    np.testing.assert_allclose(generalized_advantage(one, one, cut, flag, 0.9, 0.0), [9.0])
    end = next_values(one, jnp.float32(50.0), flag, no_flag, 10 * one)
    np.testing.assert_allclose(generalized_advantage(one, one, end, flag, 0.9, 0.0), [0.0])
    run_on = next_values(one, jnp.float32(50.0), no_flag, no_flag, 10 * one)
    assert run_on.tolist() == [50.0]


def test_lambda_one_is_the_discounted_return_minus_the_baseline():
    """1 + 0.5 (2 + 0.5 (3 + 0.5 * 8)) = 3.75, minus v_0 = 4."""
    reward, value = jnp.asarray([1.0, 2.0, 3.0]), jnp.asarray([4.0, 5.0, 6.0])
    v_tp1 = jnp.asarray([5.0, 6.0, 8.0])
    advantage = generalized_advantage(reward, value, v_tp1, jnp.zeros(3, bool), 0.5, 1.0)
    np.testing.assert_allclose(advantage[0], 3.75 - 4.0)


def test_the_discount_is_per_step_not_a_power_of_time():
    """A constant reward of 1 with v = 1 / (1 - gamma) has no advantage at any step."""
    gamma = 0.9
    value = jnp.full(50, 1 / (1 - gamma))
    advantage = generalized_advantage(jnp.ones(50), value, value, jnp.zeros(50, bool), gamma, 0.95)
    np.testing.assert_allclose(advantage, np.zeros(50), atol=1e-5)


def test_shapes_must_agree():
    with pytest.raises(AssertionError):
        generalized_advantage(jnp.ones(3), jnp.ones(4), jnp.ones(4), jnp.zeros(4, bool), 0.9, 0.9)


def test_discounted_sums_restart_after_an_episode_and_carry_over():
    """Gamma 0.5, G_-1 = 8: 1 + 4 = 5 ends; then 2; 3 + 1 = 4."""
    reward = jnp.asarray([1.0, 2.0, 3.0])
    ended = jnp.asarray([True, False, False])
    sums, carry = jax.jit(discounted_sums)(reward, ended, jnp.float32(8.0), 0.5)
    assert sums.tolist() == [5.0, 2.0, 4.0] and carry == 4.0
