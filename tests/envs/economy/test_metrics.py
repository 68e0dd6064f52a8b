"""Metrics and utilities against the package, against hand calculation and as properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrl.envs.economy import metrics
from tests.envs.economy.reference import under

SIZES = (2, 4, 29, 30, 60)


@pytest.mark.parametrize("size", SIZES)
def test_metrics_are_those_of_the_package(size):
    known = under(f"metrics/{size}/")
    with jax.enable_x64(True):
        coin, labor = jnp.asarray(known["coin"]), jnp.asarray(known["labor"])
        utility = metrics.isoelastic_utility(coin, labor, 0.23, 0.21)
        scalars = [
            metrics.package_gini(coin),
            metrics.equality(coin, metrics.package_gini),
            metrics.productivity(coin),
            metrics.equality_times_productivity(coin, 0.6, metrics.package_gini),
            metrics.inverse_income_weighted(coin, coin),
            metrics.inverse_income_weighted(coin, utility),
        ]
        power = metrics.coin_minus_labor_cost(coin, labor, 3.5, 0.0005)
    np.testing.assert_allclose(scalars, known["scalars"], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(utility, known["isoelastic"], rtol=1e-10)
    np.testing.assert_allclose(power, known["power"], rtol=1e-10)


@pytest.mark.parametrize("size", SIZES)
def test_float32_is_kept_and_close(size):
    known = under(f"metrics/{size}/")
    coin, labor = (jnp.asarray(known[name], jnp.float32) for name in ("coin", "labor"))
    utility = metrics.isoelastic_utility(coin, labor)
    assert utility.dtype == jnp.float32
    np.testing.assert_allclose(utility, known["isoelastic"], rtol=1e-4, atol=1e-4)
    inequality = metrics.package_gini(coin)
    assert (inequality.dtype, inequality.shape) == (jnp.float32, ())
    np.testing.assert_allclose(inequality, known["scalars"][0], rtol=1e-5)
    for value in (metrics.gini(coin), metrics.equality_times_productivity(coin)):
        assert (value.dtype, value.shape) == (jnp.float32, ())


def test_gini_by_hand():
    # |1-3| twice over 2 * 2 * 4 is 1/4, times 2/1: a half.
    np.testing.assert_allclose(metrics.gini(jnp.float32([1, 3])), 0.5)
    for size in (4, 40):
        owner = jnp.zeros(size, jnp.float32).at[1].set(7.0)
        np.testing.assert_allclose(metrics.gini(owner), 1, rtol=1e-5)
        np.testing.assert_allclose(metrics.gini(jnp.full(size, 3.0, jnp.float32)), 0, atol=1e-6)
        np.testing.assert_allclose(metrics.gini(jnp.zeros(size, jnp.float32)), 0)
    # The shortcut for many calls it unequal if nobody owns anything; 39 / 41 is its largest.
    np.testing.assert_allclose(metrics.package_gini(jnp.zeros(40, jnp.float32)), 1)
    np.testing.assert_allclose(metrics.package_gini(owner), 39 / 41, rtol=1e-5)


@pytest.mark.parametrize("inequality", [metrics.gini, metrics.package_gini])
def test_one_agent_has_no_inequality(inequality):
    with pytest.raises(ValueError, match="at least 2 agents, got 1"):
        inequality(jnp.ones(1, jnp.float32))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0.125, 1000, width=32), min_size=40, max_size=40),
    st.floats(0.5, 100, width=32),
)
def test_gini_is_in_order_and_scale_the_same_and_transfers_to_the_poor_lower_it(coin, scale):
    coin = np.sort(np.array(coin))
    for size in (8, 40):
        some = coin[-size:]
        inequality = float(metrics.gini(jnp.asarray(some, jnp.float32)))
        expected = np.abs(some[:, None] - some).sum() / (2 * (size - 1) * some.sum())
        assert -1e-5 <= inequality <= 1 + 1e-5
        np.testing.assert_allclose(inequality, expected, atol=1e-4)
        for same in (some[::-1] * scale, np.roll(some, 3)):
            again = metrics.gini(jnp.asarray(same, jnp.float32))
            np.testing.assert_allclose(again, inequality, atol=1e-4)
        given_away = some.copy()
        gift = 0.5 * (some[-1] - some[0])
        given_away[[0, -1]] += [gift, -gift]
        assert metrics.gini(jnp.asarray(given_away, jnp.float32)) <= inequality + 1e-4


def test_welfare_by_hand():
    coin = jnp.float32([1, 3])
    np.testing.assert_allclose(metrics.productivity(coin), 4)
    np.testing.assert_allclose(metrics.equality_times_productivity(coin), 1.0)
    np.testing.assert_allclose(metrics.equality_times_productivity(coin, 0.0), 2.0)
    np.testing.assert_allclose(metrics.equality_times_productivity(coin, 0.5), 1.5)
    # Weights 1 and 1/4, of 5/4: (8 * 4 + 2 * 1) / 5.
    income, utility = jnp.float32([0.5, 4]), jnp.float32([8, 2])
    np.testing.assert_allclose(metrics.inverse_income_weighted(income, utility), 6.8, rtol=1e-6)
    np.testing.assert_array_equal(metrics.uniform_weights(income), [1, 1])


@pytest.mark.parametrize("eta", [0.0, 0.23, 0.999, 1.0])
def test_isoelastic_utility_is_the_formula_at_every_eta(eta):
    coin = np.array([0.0, 0.5, 1.0, 9.0, 400.0])
    labor = np.array([3.0, 0.0, 1.0, 2.0, 4.0])
    if eta == 1:
        expected = np.log(np.maximum(coin, 1)) - 0.21 * labor
    else:
        expected = (coin ** (1 - eta) - 1) / (1 - eta) - 0.21 * labor
    utility = metrics.isoelastic_utility(jnp.float32(coin), jnp.float32(labor), eta)
    # At 0.999 float32 knows 1 - eta to four digits.
    np.testing.assert_allclose(utility, expected, rtol=1e-4)


def test_isoelastic_utility_has_one_limit_and_finite_gradients():
    coin, labor = jnp.float32([1.5, 20.0]), jnp.zeros(2, jnp.float32)
    near = metrics.isoelastic_utility(coin, labor, 1 - 2.0**-20)
    np.testing.assert_allclose(near, metrics.isoelastic_utility(coin, labor, 1.0), rtol=1e-5)
    for eta in (0.23, 1.0):
        slope = jax.vmap(jax.grad(metrics.isoelastic_utility), (0, None, None))(
            jnp.float32([0.0, 2.0, 9.0]), jnp.float32(0), jnp.float32(eta)
        )
        assert np.isfinite(slope).all()
        np.testing.assert_allclose(slope[1:], np.array([2.0, 9.0]) ** -eta, rtol=1e-4)


def test_annealing_weight_by_hand():
    progress = jnp.float32([0, 100, 1e6])
    weights = metrics.annealing_weight(progress, 100.0)
    np.testing.assert_allclose(weights, [0, 1 - np.exp(-1), 1], rtol=1e-6)
    np.testing.assert_array_equal(metrics.annealing_weight(progress, 0.0), [1, 1, 1])
