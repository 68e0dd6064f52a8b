"""WealthRedistribution by hand; SimpleLabor against the game of one step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.environment import strong
from jaxrl.envs.economy.components import SimpleLabor, WealthRedistribution
from jaxrl.envs.economy.components.bracket_tax import PeriodicBracketTax
from jaxrl.envs.economy.economy import Economy
from jaxrl.envs.economy.layouts import parse
from jaxrl.envs.economy.one_step import OneStepEconomy
from jaxrl.envs.economy.world import fixed_world
from tests.envs.economy.small_worlds import part_of, state_of, step
from tests.unoptimised import jit

FIELD = "....;....;...."


def test_all_own_the_same_and_escrow_stays():
    component = part_of(WealthRedistribution(), 3)
    state = state_of(FIELD, [(0, 0), (1, 1), (1, 2)], coin=(1, 5, 9), escrow=(8, 1, 0))
    after, event = step(component, state)
    np.testing.assert_allclose(after.total_coin, [8, 8, 8])
    np.testing.assert_allclose(after.coin, [0, 7, 8])
    np.testing.assert_array_equal(after.coin_escrow, [8, 1, 0])
    assert event == ()


@pytest.fixture(scope="module")
def labour():
    env = Economy((SimpleLabor(), PeriodicBracketTax()), fixed_world(parse(FIELD)))
    params = env.default_params
    rules = {**params.rules}
    rules["PeriodicBracketTax"] = rules["PeriodicBracketTax"].replace(period=2)
    params = strong(params.replace(rules=rules, max_steps_in_episode=2))
    return env, params, jit(env.transition)


@pytest.mark.parametrize("seed", range(3))
def test_labour_and_taxes_are_those_of_the_game_of_one_step(labour, seed):
    env, params, transition = labour
    game = OneStepEconomy()
    game_params = strong(game.default_params)
    assert env.role_action_space("agents").n == game.role_action_space("agents").n == 101
    random = np.random.default_rng(seed)
    state = env.reset_env(jax.random.key(seed), params)[1]
    theirs = game.reset_env(jax.random.key(0), game_params)[1]
    plan = jit(lambda state, hours, rates: game.transition(state, hours, rates, game_params))
    for _ in range(2):
        hours = jnp.asarray(random.integers(0, 101, 4) * (random.random(4) < 0.8), jnp.int32)
        rates = jnp.asarray(random.integers(0, 22, 7), jnp.int32)
        action = {"agents": hours, "planner": rates}
        state, _, _ = transition(state, env.draw(jax.random.key(1)), action, params)
        theirs = plan(theirs, hours, rates)
        labor, taxes = state.own["SimpleLabor"], state.own["PeriodicBracketTax"]
        for ours, its in (
            (state.coin, theirs.coin),
            (state.labor, theirs.labor),
            (labor.skill, game_params.skills),
            (labor.production, theirs.production),
            (taxes.rates[0], theirs.rates),
            (taxes.last_coin, theirs.last_coin),
            (taxes.last_income, theirs.last_income),
            (taxes.last_rate, theirs.last_rate),
        ):
            np.testing.assert_allclose(ours, its, rtol=1e-6)
    assert taxes.position == 1 and float(state.coin.sum()) > 0


def test_nobody_is_to_work_in_the_first_step():
    component = part_of(SimpleLabor(), 2)
    state = state_of(FIELD, [(0, 0), (1, 1)])
    assert not component.agent_masks(state, ())[""].any()
    assert component.agent_masks(state.replace(time=jnp.int32(1)), ())[""].all()
    always = part_of(SimpleLabor(mask_first_step=False), 2)
    assert always.agent_masks(state, ())[""].all()
    assert always.agent_masks(state, ())[""].shape == (2, 100)


def test_skills_that_are_none_are_refused():
    with pytest.raises(ValueError, match="max_multiplier must be finite and at least 1, got 0.5"):
        part_of(SimpleLabor(max_multiplier=0.5), 4)
    with pytest.raises(ValueError, match="pareto must be finite and positive, got 0"):
        part_of(SimpleLabor(pareto=0.0), 4)
