"""Brackets and tax days against the package, hand calculation, and as properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrl.envs.economy import tax
from tests.envs.economy.reference import under

CUTOFFS = tax.us_federal_cutoffs()


@pytest.mark.parametrize("case", range(4))
def test_taxes_and_marginal_rates_are_those_of_the_package(case):
    known = under(f"taxes/{case}/")
    with jax.enable_x64(True):
        schedule = (jnp.asarray(CUTOFFS), jnp.asarray(known["rates"]))
        incomes = jnp.asarray(known["incomes"])
        due = jax.vmap(tax.taxes_due, (0, None, None))(incomes, *schedule)
        marginal = jax.vmap(tax.marginal_rate, (0, None, None))(incomes, *schedule)
        income, inventory, after, last_rate = jnp.asarray(known["day"])
        day = tax.collect(income, inventory, *schedule)
    np.testing.assert_allclose(due, known["due"], rtol=1e-12)
    np.testing.assert_array_equal(marginal, known["marginal"])
    np.testing.assert_allclose(inventory + day.net, after, rtol=1e-12)
    np.testing.assert_array_equal(day.marginal_rate, last_rate)


def test_us_federal_taxes_are_those_of_the_tables_of_2018():
    """Tax at each cutoff as the tables state it, in dollars."""
    stated = [0, 970, 4543, 14382.5, 32748.5, 46628.5, 153798.5]
    rates = jnp.asarray(tax.us_federal_rates(), jnp.float32)
    cutoffs = jnp.asarray(CUTOFFS, jnp.float32)
    due = jax.vmap(tax.taxes_due, (0, None, None))(cutoffs, cutoffs, rates)
    np.testing.assert_allclose(due * 1000, stated, rtol=1e-5)


def test_tax_by_hand():
    cutoffs, rates = jnp.float32([0, 10, 20]), jnp.float32([0.1, 0.5, 1.0])
    incomes = jnp.float32([-5, 0, 10, 15, 20, 100])
    due = jax.vmap(tax.taxes_due, (0, None, None))(incomes, cutoffs, rates)
    np.testing.assert_allclose(due, [0, 0, 1, 3.5, 6, 86])
    marginal = jax.vmap(tax.marginal_rate, (0, None, None))(incomes, cutoffs, rates)
    np.testing.assert_allclose(marginal, [0, 0.1, 0.5, 0.5, 1.0, 1.0])
    # Who has spent the income pays what is left: 2 of 3.5.
    day = tax.collect(jnp.float32([15, 15, 0]), jnp.float32([2, 50, 7]), cutoffs, rates)
    np.testing.assert_allclose(day.paid, [2, 3.5, 0])
    np.testing.assert_allclose(day.lump_sum, 5.5 / 3, rtol=1e-6)
    np.testing.assert_allclose(day.net, 5.5 / 3 - np.array([2, 3.5, 0]), rtol=1e-5)


_rates = st.lists(st.floats(0, 1, width=32), min_size=7, max_size=7)
_coins = st.lists(st.floats(0, 900, width=32), min_size=4, max_size=4)


@settings(max_examples=40, deadline=None)
@given(_rates, _coins, _coins)
def test_taxes_sum_to_zero_and_nobody_goes_into_debt(rates, income, at_hand):
    rates, income, at_hand = (jnp.asarray(x, jnp.float32) for x in (rates, income, at_hand))
    day = tax.collect(income, at_hand, jnp.asarray(CUTOFFS, jnp.float32), rates)
    np.testing.assert_allclose(jnp.sum(day.net), 0, atol=1e-3)
    assert (day.paid >= 0).all() and (day.paid <= at_hand).all()
    assert (at_hand + day.net >= 0).all()
    # An agent with more income has more of it left before redistribution.
    due = jax.vmap(tax.taxes_due, (0, None, None))(
        jnp.sort(income), jnp.asarray(CUTOFFS, jnp.float32), rates
    )
    assert (jnp.diff(jnp.sort(income) - due) >= -1e-3).all()


def test_wealth_is_shared_equally():
    inventory, escrow = jnp.float32([10, 0, 2]), jnp.float32([0, 6, 0])
    new = tax.equal_shares(inventory, escrow)
    np.testing.assert_allclose(new, [6, 0, 6])
    np.testing.assert_allclose(new + escrow, 6)


def test_schedules():
    np.testing.assert_allclose(CUTOFFS, [0, 9.7, 39.475, 84.2, 160.725, 204.1, 510.3])
    np.testing.assert_allclose(tax.linear_cutoffs(5, 100), [0, 25, 50, 75, 100])
    np.testing.assert_allclose(tax.log_cutoffs(5, 100), [0, 12.5, 25, 50, 100])
    np.testing.assert_array_equal(tax.us_federal_rates(), [0.1, 0.12, 0.22, 0.24, 0.32, 0.35, 0.37])
    np.testing.assert_array_equal(tax.us_federal_rates(0.3)[-3:], [0.3, 0.3, 0.3])
    np.testing.assert_array_equal(tax.free_market_rates(3), [0, 0, 0])
    np.testing.assert_array_equal(tax.fixed_rates([0.2, 0.9], 2, 0.5), [0.2, 0.5])
    np.testing.assert_allclose(tax.rate_choices(), np.arange(21) / 20)
    np.testing.assert_allclose(tax.rate_choices(0, 0.3, 0.1), [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(tax.rate_choices(0.1, 0.35, 0.1), [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(tax.checked_cutoffs([0, 5, 7]), [0, 5, 7])


def test_annealed_limit_by_hand():
    progress = jnp.float32([0, 100, 150, 200, 1000])
    limits = tax.annealed_limit(progress, 100, 0.01, 0.8)
    np.testing.assert_allclose(limits, [0, 0, 0.4, 0.8, 0.8], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tax.checked_cutoffs([0, 20, 10]), "ascending"),
        (lambda: tax.checked_cutoffs([0, 20, 20 + 1e-9]), "ascending"),
        (lambda: tax.checked_cutoffs([1, 2]), "begin at 0"),
        (lambda: tax.checked_cutoffs([0]), "at least 2"),
        (lambda: tax.checked_cutoffs([0, np.inf]), "finite"),
        (lambda: tax.checked_cutoffs("ab"), "sequence of numbers"),
        (lambda: tax.checked_cutoffs([[0, 1]]), "sequence of numbers"),
        (lambda: tax.checked_rates([0.1, 1.5], 2), r"in 0\.\.1, got 1.5"),
        (lambda: tax.checked_rates([-0.1, 0.5], 2), r"in 0\.\.1, got -0.1"),
        (lambda: tax.checked_rates([np.nan, 0.5], 2), r"in 0\.\.1, got nan"),
        (lambda: tax.checked_rates([0.1], 2), "each of 2 brackets is needed, got 1"),
        (lambda: tax.rate_choices(0.5, 0.2), "low <= high"),
        (lambda: tax.rate_choices(step=0), "step must be"),
        (lambda: tax.us_federal_cutoffs(0), "dollars_a_coin must be positive"),
        (lambda: tax.linear_cutoffs(1, 10), "at least 2"),
        (lambda: tax.log_cutoffs(3, -1), "top must be positive"),
    ],
)
def test_what_is_no_schedule_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
