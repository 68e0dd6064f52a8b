"""The one-step economy against recorded episodes of the package, by hand, and as a game."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrl.environment import strong
from jaxrl.envs.economy import one_step, tax
from jaxrl.envs.economy.one_step import OneStepEconomy
from jaxrl.envs.economy.response import best_response
from jaxrl.spaces import contains, dtypes
from tests.envs.economy.record_reference import SCENARIOS
from tests.envs.economy.reference import under
from tests.unoptimised import jit

KEY = jax.random.key(0)
WELFARE = {"planner_reward_type": "welfare", "agent_reward_type": "agent_utility"}


def make(name):
    """Our economy of a recorded scenario, with the skills that were drawn there."""
    agents, scenario, labor, taxes = SCENARIOS[name]
    keywords = {WELFARE[key]: value for key, value in scenario.items() if key in WELFARE}
    if "payment_max_skill_multiplier" in labor:
        keywords["max_multiplier"] = labor["payment_max_skill_multiplier"]
    env = OneStepEconomy(agents, **keywords, **taxes)
    fields = {
        "skills": under(f"episodes/{name}/")["skill"],
        "labor_exponent": scenario.get("labor_exponent", 2.0),
        "labor_cost": scenario.get("labor_cost", 1.0),
        "equality_weight": 1 - scenario.get("mixing_weight_gini_vs_coin", 0),
    }
    return env, strong(dataclasses.replace(env.default_params, **_float32(fields)))


def _float32(fields):
    return {name: jnp.asarray(value, jnp.float32) for name, value in fields.items()}


def play(env, params):
    """A function (labor [2, N], rates [2, B]) -> the three moments of an episode."""

    @jit
    def episode(labor, rates):
        obs, state = env.reset_env(KEY, params)
        nothing = {"agents": jnp.zeros(env.agents, jnp.float32), "planner": jnp.float32(0)}
        moments = [(obs, state, nothing, jnp.asarray(False))]
        for time in range(2):
            action = {"agents": labor[time], "planner": rates[time]}
            obs, state, reward, terminated, _ = env.step_env(KEY, state, action, params)
            moments.append((obs, state, reward, terminated))
        return jax.tree.map(lambda *x: jnp.stack(x), *moments)

    return episode


@pytest.mark.parametrize("name", SCENARIOS)
def test_episodes_are_those_of_the_package(name):
    env, params = make(name)
    known = under(f"episodes/{name}/")
    labor, rates = (jnp.asarray(known[key][:, :2], jnp.int32) for key in ("do_labor", "do_rates"))
    obs, state, reward, terminated = jax.vmap(play(env, params))(labor, rates)

    np.testing.assert_array_equal(terminated, [[False, False, True]] * len(labor))
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(state.coin, known["coin"], **close)
    np.testing.assert_allclose(state.production, known["production"], **close)
    np.testing.assert_allclose(reward["agents"], known["reward"][..., :-1], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(reward["planner"], known["reward"][..., -1], rtol=1e-4, atol=1e-3)

    names = one_step.agent_features(env.agents, env.brackets)
    shown = _columns(names, obs["agents"]["observation"])
    for name in ("time", "last_incomes", "curr_rates"):
        expected = known[f"agents/{name}"]
        np.testing.assert_allclose(shown[name], expected, **close, err_msg=name)
    for name in ("is_tax_day", "is_first_day", "tax_phase", "skill", "marginal_rate"):
        expected = known[f"agents/{name}"]
        np.testing.assert_allclose(shown[name][..., 0], expected, **close, err_msg=name)
    np.testing.assert_array_equal(obs["agents"]["action_mask"], known["agents/action_mask"])

    names = one_step.planner_features(env.agents, env.brackets)
    shown = _columns(names, obs["planner"]["observation"])
    for name in ("time", "last_incomes", "curr_rates"):
        np.testing.assert_allclose(shown[name], known[f"planner/{name}"], **close, err_msg=name)
    for name in ("is_tax_day", "is_first_day", "tax_phase", "equality"):
        expected = known[f"planner/{name}"]
        np.testing.assert_allclose(shown[name][..., 0], expected, **close, err_msg=name)
    per_capita = known["planner/normalized_per_capita_productivity"]
    np.testing.assert_allclose(
        shown["normalized_per_capita_productivity"][..., 0], per_capita, rtol=1e-4
    )
    for name in ("last_income", "last_marginal_rate", "curr_marginal_rate"):
        expected = known[f"planner/by_agent/{name}"]
        np.testing.assert_allclose(shown[name], expected, **close, err_msg=name)
    mask = np.asarray(obs["planner"]["action_mask"]).reshape(*terminated.shape, -1)
    np.testing.assert_array_equal(mask, known["planner/action_mask"])


def _columns(names, values):
    """Columns by the part of their names before a slash."""
    stems = [name.split("/")[0] for name in names]
    values = np.asarray(values)
    assert values.shape[-1] == len(names)
    return {stem: values[..., [s == stem for s in stems]] for stem in dict.fromkeys(stems)}


@functools.cache
def small():
    """Two agents of skills 1 and 3, two brackets, and rates 0, 1/2 and 1; how to play it."""
    env = OneStepEconomy(2, cutoffs=[0, 10], rate_step=0.5)
    return play(env, dataclasses.replace(env.default_params, skills=jnp.float32([1, 3])))


def test_an_episode_by_hand():
    """10 and 30 coin at rates 0 and 1/2: 10 of taxes, 5 to each; u = C - l^2."""
    labor = jnp.array([[0, 0], [10, 10]], jnp.int32)
    rates = jnp.array([[0, 2], [3, 3]], jnp.int32)
    obs, state, reward, _ = small()(labor, rates)
    np.testing.assert_array_equal(state.rates[1:], [[0, 0.5]] * 2)
    np.testing.assert_allclose(state.coin[2], [15, 25])
    np.testing.assert_allclose(reward["agents"][1:], [[0, 0], [-85, -75]])
    # Weights 1/10 and 1/30 of incomes before taxes: 3/4 and 1/4.
    np.testing.assert_allclose(reward["planner"][1:], [0, -82.5])
    assert obs["planner"]["action_mask"].shape == (3, 2, 4)
    np.testing.assert_array_equal(obs["planner"]["action_mask"][:, 0, 1:].any(axis=1), [1, 0, 1])


_labor = st.lists(st.integers(0, 100), min_size=2, max_size=2)
_choices = st.lists(st.integers(0, 3), min_size=2, max_size=2)


@settings(max_examples=30, deadline=None)
@given(_labor, _labor, _choices, _choices)
def test_coin_is_what_was_earned_and_taxes_sum_to_zero(first, second, rates, ignored):
    labor = jnp.array([first, second], jnp.int32)
    _, state, reward, _ = small()(labor, jnp.array([rates, ignored], jnp.int32))
    earned = (np.array([first, second]) * [1.0, 3.0]).sum(axis=0)
    np.testing.assert_allclose(state.production[2], earned)
    np.testing.assert_allclose(state.coin[2].sum(), earned.sum(), rtol=1e-5)
    assert (state.coin >= 0).all()
    np.testing.assert_array_equal(state.rates[1], state.rates[2])
    utility = state.coin[2] - np.where(second, second, first) ** 2.0
    np.testing.assert_allclose(reward["agents"].sum(axis=0), utility, rtol=1e-5, atol=1e-2)


def test_no_other_hours_pay_more_than_the_best_response():
    """Played through the whole environment: redistribution of the own tax is accounted for."""
    env = OneStepEconomy(3, max_multiplier=900.0)
    params = dataclasses.replace(env.default_params, labor_exponent=3.5, labor_cost=0.0005)
    rates = jnp.arange(7, dtype=jnp.int32) * 3 + 1
    cutoffs = jnp.asarray(env.cutoffs, jnp.float32)
    schedule = jnp.asarray(env.rate_choices, jnp.float32)[rates - 1]
    respond = jax.vmap(best_response, (0, None, None, None, None, None))
    best = respond(params.skills, cutoffs, schedule, 3, 3.5, 0.0005)
    assert len(np.unique(best)) > 1

    @jit
    @jax.vmap
    def payoffs(labor):
        state = env.reset_env(KEY, params)[1]
        state = env.transition(state, labor * 0, rates, params)
        return env.utilities(env.transition(state, labor, rates, params), params)[0]

    for agent in range(3):
        labor = jnp.broadcast_to(best, (101, 3)).at[:, agent].set(jnp.arange(101, dtype=jnp.int32))
        paid = np.asarray(payoffs(labor))[:, agent]
        assert paid[best[agent]] >= paid.max() * (1 - 1e-6)


@pytest.mark.parametrize("agents", [2, 5])
def test_observations_and_actions_are_in_their_spaces(agents):
    env = OneStepEconomy(agents)
    params = strong(env.default_params)
    env.check_params(params)
    obs, state = env.reset_env(KEY, params)
    assert contains(env.observation_space(params), obs)
    action = env.action_space(params).sample(KEY)
    assert contains(env.action_space(params), action)
    result = jax.jit(env.step_env)(KEY, state, action, params)
    assert contains(env.observation_space(params), result[0])
    assert jax.tree.map(lambda x: x.dtype, obs) == dtypes(env.observation_space(params))
    for before, after in zip(jax.tree.leaves(state), jax.tree.leaves(result[1]), strict=True):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
        assert not after.weak_type
    measured = env.episode_metrics(result[4])
    assert all((x.shape, x.dtype) == ((), jnp.float32) for x in measured.values())


def test_a_limit_of_rates_closes_the_higher_ones_and_initial_rates_are_a_baseline():
    env = OneStepEconomy()
    params = strong(
        dataclasses.replace(
            env.default_params,
            rate_limit=0.3,
            initial_rates=jnp.asarray(tax.us_federal_rates(), jnp.float32),
        )
    )
    obs, state = env.reset_env(KEY, params)
    np.testing.assert_array_equal(obs["planner"]["action_mask"].sum(axis=1), [8] * 7)
    keep = jnp.zeros(7, jnp.int32)
    state = env.transition(state, jnp.zeros(4, jnp.int32), keep, params)
    np.testing.assert_allclose(state.rates, tax.US_FEDERAL_RATES)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"agents": 1}, "at least 2, got 1"),
        ({"agents": 2.5}, "whole number"),
        ({"agents": True}, "whole number"),
        ({"cutoffs": [0, 9, 5]}, "ascending"),
        ({"rate_max": 1.5}, "0 <= low <= high <= 1"),
        ({"rate_step": 0.0}, "step must be"),
        ({"agent_utility": "happiness"}, "agent_utility must be one of coin_minus_labor_cost"),
        ({"welfare": "gdp"}, "welfare must be one of"),
        ({"gini": "other"}, "gini must be one of package, exact"),
        ({"max_multiplier": 0.1}, "max_multiplier"),
    ],
)
def test_what_is_no_economy_is_refused(keywords, message):
    with pytest.raises(ValueError, match=message):
        OneStepEconomy(**keywords)


def test_agents_may_be_a_number_of_numpy():
    env = OneStepEconomy(np.int64(3))
    assert type(env.agents) is int and env.default_params.skills.shape == (3,)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"skills": [1.0, 2.0]}, r"skills must have 4 entries, got the shape \(2,\)"),
        ({"skills": [1.0, 2.0, 0.0, 3.0]}, "skills must be above 0, got 0.0"),
        ({"initial_rates": [0.5] * 6 + [1.2]}, "initial_rates must be at least 0 and at most 1"),
        ({"rate_limit": -0.1}, "rate_limit must be at least 0"),
        ({"labor_exponent": 1.0}, "labor_exponent must be above 1, got 1.0"),
        ({"labor_cost": np.nan}, "labor_cost must be at least 0, got nan"),
        ({"eta": 2.0}, "eta must be at least 0 and at most 1"),
        ({"equality_weight": 1.5}, "equality_weight must be"),
    ],
)
def test_what_is_beyond_a_limit_is_refused(fields, message):
    env = OneStepEconomy()
    params = dataclasses.replace(env.default_params, **_float32(fields))
    with pytest.raises(ValueError, match=message):
        env.check_params(params)
