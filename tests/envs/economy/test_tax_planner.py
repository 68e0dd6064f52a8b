"""The planner's problem against brute force in NumPy, and the contract of an environment."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.environment import strong
from jaxrl.envs.economy.tax_planner import TaxPlanner
from jaxrl.spaces import contains
from tests.unoptimised import jit

KEY = jax.random.key(0)
SKILLS = np.array([2.0, 6.0, 25.0])
CUTOFFS = np.array([0.0, 100.0, 600.0])
COST, EXPONENT = 0.0005, 3.5


@pytest.fixture(scope="module")
def planner():
    env = TaxPlanner(3, cutoffs=CUTOFFS.tolist(), rate_step=0.25)
    fields = {"labor_exponent": EXPONENT, "labor_cost": COST}
    return env, strong(
        dataclasses.replace(env.default_params, skills=jnp.float32(SKILLS), **fields)
    )


def welfare(rates):
    """Welfare under a schedule if each of three agents takes the best of 101 levels, in NumPy."""
    hours = np.arange(101.0)
    income = SKILLS[:, None] * hours
    ends = np.append(CUTOFFS[1:], np.inf)
    due = (rates * np.clip(income[..., None] - CUTOFFS, 0, ends - CUTOFFS)).sum(axis=-1)
    cost = COST * hours**EXPONENT
    best = (income - due * 2 / 3 - cost).argmax(axis=1)
    rows = np.arange(3)
    z, paid = income[rows, best], due[rows, best]
    utility = z - paid + paid.sum() / 3 - cost[best]
    weights = 1 / np.maximum(z, 1)
    return (weights * utility).sum() / weights.sum()


def test_the_welfare_of_every_schedule_is_that_of_brute_force(planner):
    env, params = planner
    choices = np.array(list(itertools.product(range(1, 6), repeat=3)), np.int32)

    @jit
    @jax.vmap
    def rewards(action):
        state = env.reset_env(KEY, params)[1]
        return env.step_env(KEY, state, action, params)[2]

    ours = np.asarray(rewards(choices))
    expected = np.array([welfare((c - 1) / 4) for c in choices])
    np.testing.assert_allclose(ours, expected, rtol=1e-4)
    # Neither no taxes nor all of them are best, so there is something to learn.
    assert 0 < expected.argmax() < len(expected) - 1
    assert expected.max() > 1.05 * max(expected[0], expected[-1])


def test_an_episode_keeps_the_contract(planner):
    env, params = planner
    assert env.name == "OneStepEconomy-Planner-v1"
    env.check_params(params)
    obs, state = env.reset_env(KEY, params)
    action = env.action_space(params).sample(KEY)
    step = jit(env.step_env)
    result = step(KEY, state, action, params)
    for shown in (obs, result[0]):
        assert contains(env.observation_space(params), shown)
    assert (result[2].shape, result[2].dtype) == ((), jnp.float32)
    assert result[3] and result[1].time == 1 and env.is_truncated(result[1], params)
    keep = jnp.zeros(3, jnp.int32)
    kept = step(KEY, state, keep, params)
    np.testing.assert_array_equal(kept[1].rates, [0, 0, 0])
    np.testing.assert_allclose(kept[2], welfare(np.zeros(3)), rtol=1e-5)
    measured = env.episode_metrics(kept[4])
    np.testing.assert_allclose(measured["productivity"], kept[1].production.sum(), rtol=1e-5)
    np.testing.assert_allclose(measured["social_welfare"], kept[2], rtol=1e-6)
    assert set(measured) == {
        *("equality", "productivity", "equality_times_productivity", "social_welfare", "hours")
    }


def test_what_is_no_economy_is_refused():
    with pytest.raises(ValueError, match="ascending"):
        TaxPlanner(cutoffs=[0, 2, 1])
