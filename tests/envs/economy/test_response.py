"""Best responses in closed form against brute force over the 101 levels, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.economy import tax
from jaxrl.envs.economy.response import best_response, response_values
from jaxrl.envs.economy.skills import pareto_skills

CUTOFFS = tax.us_federal_cutoffs()
LEVELS = np.arange(101.0)


def utilities(skill, rates, agents, exponent, coefficient):
    """What each of the 101 levels is worth, in NumPy and float64."""
    income = skill * LEVELS
    ends = np.append(CUTOFFS[1:], np.inf)
    due = (rates * np.clip(income[:, None] - CUTOFFS, 0, ends - CUTOFFS)).sum(axis=1)
    return income - (1 - 1 / agents) * due - coefficient * LEVELS**exponent


@pytest.fixture(scope="module")
def draws():
    """Skills over four magnitudes, schedules of any shape; some take all, some are flat."""
    random = np.random.default_rng(0)
    skills = np.exp(random.uniform(np.log(0.2), np.log(900), 4000))
    rates = random.integers(0, 21, (4000, 7)) / 20
    rates[:50] = 1
    rates[50:200] = random.uniform(0, 1, (150, 1))
    return skills, rates


@pytest.mark.parametrize(
    ("agents", "exponent", "coefficient"),
    [(4, 3.5, 0.0005), (100, 3.5, 0.0005), (4, 2.0, 1.0), (2, 1.3, 4.0), (1, 2.0, 0.5)],
)
def test_best_responses_are_those_of_brute_force(draws, agents, exponent, coefficient):
    skills, rates = draws
    with jax.enable_x64(True):
        hours = jax.jit(jax.vmap(best_response, (0, None, 0, None, None, None)))(
            jnp.asarray(skills), jnp.asarray(CUTOFFS), jnp.asarray(rates), agents, exponent,
            coefficient,
        )  # fmt: skip
    values = np.stack(
        [utilities(s, r, agents, exponent, coefficient) for s, r in zip(skills, rates, strict=True)]
    )
    brute = values.argmax(axis=1)
    best = values.max(axis=1)
    reached = values[np.arange(len(hours)), hours]
    np.testing.assert_allclose(reached, best, rtol=1e-12, atol=1e-12)
    assert (np.asarray(hours) == brute).mean() > 0.999, "equal but for ties"
    assert hours.dtype == jnp.int32
    assert len(np.unique(brute)) > 10


def test_in_float32_nothing_is_lost_that_matters(draws):
    skills, rates = (jnp.asarray(x, jnp.float32) for x in draws)
    cutoffs = jnp.asarray(CUTOFFS, jnp.float32)
    respond = jax.jit(jax.vmap(best_response, (0, None, 0, None, None, None)))
    hours = np.asarray(respond(skills, cutoffs, rates, 4, 3.5, 0.0005))
    for s, r, h in zip(*draws, hours, strict=True):
        values = utilities(s, r, 4, 3.5, 0.0005)
        assert values[h] >= values.max() - 1e-6 * abs(values).max()


def test_a_flat_tax_by_hand():
    """s (1 - 3/4 r) = 2 c l: 40 * 0.7 / (2 * 0.25) = 56 hours, and 80 without taxes."""
    cutoffs = jnp.float32([0, 10])
    for rate, expected in ((0.4, 56), (0.0, 80)):
        rates = jnp.full(2, rate, jnp.float32)
        assert best_response(jnp.float32(40), cutoffs, rates, 4, 2.0, 0.25) == expected
    # Where nothing is lost and nothing costs, all hours are alike; where nothing costs, all pay.
    everything = jnp.ones(2, jnp.float32)
    assert best_response(jnp.float32(40), cutoffs, everything, 10**9, 2.0, 0.0) == 0
    assert best_response(jnp.float32(40), cutoffs, everything, 4, 2.0, 0.0) == 100


def test_agents_bunch_at_a_kink():
    """Free up to 30 coin and 0.8 above: skills whose free optimum is beyond stop at the kink."""
    cutoffs, rates = jnp.float32([0, 30]), jnp.float32([0.0, 0.8])
    skills = jnp.float32([1.0, 1.5, 2.0, 3.0])
    hours = jax.vmap(best_response, (0, None, None, None, None, None))(
        skills, cutoffs, rates, 1000, 2.0, 0.03
    )
    # Free: s / 0.06 = 16.7, 25 x 1.5 = 37.5 > 30: 20 hours; 2: 15 hours; 3: 10 hours.
    np.testing.assert_array_equal(hours, [17, 20, 15, 10])
    values = response_values(jnp.float32([10, 11]), jnp.float32(3), cutoffs, rates, 1000, 2.0, 0.03)
    np.testing.assert_allclose(values, [27, 33 - 0.999 * 0.8 * 3 - 3.63], rtol=1e-6)


def test_skills_are_ranked_means_of_clipped_draws():
    skills = pareto_skills(4)
    assert (np.diff(skills) > 0).all() and skills[0] > 1 and skills[-1] < 3
    # The mean of min(3, 2 x + 1): 1 + 2 * integral of (1 + x)^-4 over 0..1 = 1 + 2 / 3 * 7 / 8.
    np.testing.assert_allclose(pareto_skills(50).mean(), 1 + 7 / 12, atol=0.01)
    # With a = 2 the tail is heavier: 1 + 2 * (1 - 1 / 2).
    np.testing.assert_allclose(pareto_skills(50, pareto=2.0).mean(), 2, atol=0.02)
    np.testing.assert_array_equal(pareto_skills(3, 1.0), [1, 1, 1])
    for arguments in ((0, 3, 4), (4, 0.5, 4), (4, 3, 0), (4, np.nan, 4)):
        with pytest.raises(ValueError, match="must be"):
            pareto_skills(*arguments)
