"""Saez's formula stage by stage and over periods against the package; its buffer by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.economy import metrics, saez, tax
from tests.envs.economy.reference import under
from tests.unoptimised import jit

CUTOFFS = tax.us_federal_cutoffs()
WEIGHTS = {"inverse_income": metrics.inverse_income_weights, "uniform": metrics.uniform_weights}
CASES = [(weight, case) for weight in WEIGHTS for case in range(2)]


@pytest.mark.parametrize(("weight", "case"), CASES)
def test_every_stage_is_that_of_the_package(weight, case):
    known = under(f"saez/{weight}/{case}/")
    with jax.enable_x64(True):
        incomes, rates = jnp.asarray(known["samples"])
        cutoffs = jnp.asarray(CUTOFFS)
        people = saez.population(incomes, cutoffs, WEIGHTS[weight])
        by_bin = saez.fill_gaps(saez.optimal_rates(people, 0.4))
        brackets = saez.bracket_means(by_bin, cutoffs)
        # The package is given 0.9 as the decay; what it started with are its defaults.
        elasticity = saez.estimate_elasticity(
            incomes, rates, jnp.float64(0.5), jnp.float64(0.5), decay=0.9
        )
    np.testing.assert_allclose(people.weights, known["weights"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(people.tails, known["tails"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(by_bin, known["rates"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(brackets, known["brackets"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(elasticity, known["elasticity"], rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def step():
    """A period: new rates, then samples."""

    def period(state, new):
        state, rates = saez.next_rates(jnp.zeros_like(cutoffs(state)), state, cutoffs(state))
        return saez.observe(state, new[0], new[1]), (rates, state.elasticity, state.log_income)

    def cutoffs(state):
        return jnp.asarray(CUTOFFS, state.incomes.dtype)

    return jax.jit(lambda state, new: jax.lax.scan(period, state, new))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_ten_periods_are_those_of_the_package(step, precision):
    known = under("saez/run/")
    with jax.enable_x64(precision == "float64"):
        state = jax.tree.map(
            lambda x: x if x.dtype == jnp.int32 else x.astype(precision), saez.init(7)
        )
        incomes, rates = jnp.asarray(known["samples"], precision)
        state = saez.observe(state, incomes, rates)
        state, (rates, elasticity, log_income) = step(state, jnp.asarray(known["new"], precision))
        average = saez.at_reset(state)
    exact = precision == "float64"
    estimates = np.stack([elasticity, log_income], axis=1)
    np.testing.assert_allclose(estimates, known["estimates"], rtol=1e-9 if exact else 1e-5)
    np.testing.assert_allclose(rates, known["rates"], atol=1e-9 if exact else 1e-4)
    np.testing.assert_allclose(average, known["average"], atol=1e-10 if exact else 1e-5)
    assert rates.dtype == precision


def test_the_buffer_keeps_the_newest_and_rates_are_random_until_it_is_full():
    state = saez.init(7, buffer=12)
    cutoffs = jnp.asarray(CUTOFFS, jnp.float32)
    draws_a, draws_b = jax.random.uniform(jax.random.key(1), (2, 7))
    for start in (0, 5):
        again, rates = saez.next_rates(draws_a, state, cutoffs, 0.1, 0.6)
        assert not state.full and (rates >= 0.1).all() and (rates <= 0.6).all()
        other = saez.next_rates(draws_b, state, cutoffs, 0.1, 0.6)[1]
        assert (rates != other).all()
        np.testing.assert_array_equal(again.average_rates, np.zeros(7))
        assert again.elasticity == 0.5
        new = jnp.arange(start, start + 5, dtype=jnp.float32)
        state = saez.observe(state, new, new / 20)
    np.testing.assert_array_equal(state.incomes, [0, 0, *range(10)])
    assert state.count == 10
    state = saez.observe(state, jnp.float32([90, 91, 92]), jnp.float32([0.9, 0.9, 0.9]))
    np.testing.assert_array_equal(state.incomes, [*range(1, 10), 90, 91, 92])
    assert state.count == 12 and state.full
    rates = saez.next_rates(draws_a, state, cutoffs, 0.1, 0.6)[1]
    np.testing.assert_array_equal(rates, saez.next_rates(draws_b, state, cutoffs, 0.1, 0.6)[1])
    fixed = saez.next_rates(draws_a, state, cutoffs, fixed_elasticity=5.0)[1]
    assert (fixed <= saez.next_rates(draws_a, state, cutoffs)[1] + 1e-6).all()
    np.testing.assert_array_equal(saez.observe(state, state.incomes[::-1], state.rates).count, 12)


def test_the_elasticity_that_made_the_incomes_is_found():
    random = np.random.default_rng(3)
    rates = jnp.asarray(random.uniform(0, 0.9, 500), jnp.float32)
    incomes = 40 * (1 - rates) ** 0.7
    found = saez.estimate_elasticity(incomes, rates, jnp.float32(0), jnp.float32(0), decay=0.0)
    np.testing.assert_allclose(found, [0.7, np.log(40)], rtol=1e-4)


@pytest.mark.parametrize("kind", ["few", "one rate"])
def test_what_tells_nothing_of_the_elasticity_changes_nothing(kind):
    rates = jnp.linspace(0, 0.9, 500, dtype=jnp.float32)
    incomes = jnp.where(jnp.arange(500) < 9, 5.0, 0.0).astype(jnp.float32)
    if kind == "one rate":
        rates, incomes = jnp.full(500, 0.3, jnp.float32), jnp.arange(500, dtype=jnp.float32)
    found = saez.estimate_elasticity(incomes, rates, jnp.float32(0.4), jnp.float32(2))
    np.testing.assert_array_equal(found, np.float32([0.4, 2]))


def test_gaps_are_filled_by_hand():
    nan = np.nan
    filled = saez.fill_gaps(jnp.float32([nan, 0.4, nan, nan, 1.0, 0.5]))
    np.testing.assert_allclose(filled, [0.2, 0.4, 0.6, 0.8, 1.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(saez.fill_gaps(jnp.float32([0.3, 0.6])), [0.3, 0.6])


def test_the_open_bracket_has_the_rate_of_a_pareto_tail():
    """With weights that vanish above, the top rate is 1 / (1 + a e), a the Pareto parameter."""
    quantiles = (np.arange(200_000) + 0.5) / 200_000
    incomes = 300 * (1 - quantiles) ** (-1 / 2.5)
    with jax.enable_x64(True):
        people = saez.population(jnp.asarray(incomes), jnp.asarray([0.0, 400.0]))
        people = people._replace(weights=people.weights * 0)
        top = saez.optimal_rates(people, 0.5)[-1]
    np.testing.assert_allclose(top, 1 / (1 + 2.5 * 0.5), rtol=0.01)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: saez.init(1), "brackets must be at least 2"),
        (lambda: saez.init(7, buffer=5), "at least 10 samples, got 5"),
        (lambda: saez.check([0, 3, 2], 0, 1, None), "ascending"),
        (lambda: saez.check(CUTOFFS, 0.5, 0.1, None), "low <= high"),
        (lambda: saez.check(CUTOFFS, 0, 1, -0.5), "must not be negative, got -0.5"),
    ],
)
def test_what_means_nothing_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def _economies(count, buffer=10):
    """As many, without samples."""
    one = saez.init(3, buffer)
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), one)


_observe = jit(jax.vmap(saez.observe))
_pooled = jit(saez.pooled)


def test_economies_share_their_newest_samples():
    # Sample 100 * economy + its number in that economy; rates are a thousandth of it.
    def tax_day(states, *numbers):
        incomes = jnp.asarray([[100 * e + n for n in numbers] for e in (1, 2, 3)], jnp.float32)
        return _observe(states, incomes, incomes / 1000)

    states = _pooled(tax_day(_economies(3), 1, 2))
    everything = [101, 201, 301, 102, 202, 302]
    for economy in range(3):
        np.testing.assert_array_equal(states.incomes[economy, -6:], everything)
        np.testing.assert_allclose(states.rates[economy], states.incomes[economy] / 1000)
    assert states.count.tolist() == [6, 6, 6] and states.fresh.tolist() == [0, 0, 0]

    # Nothing new: what was shared is not shared again.
    again = _pooled(states)
    for x, y in zip(jax.tree.leaves(states), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(x, y)

    # One sample each: those before stay, once each, as far as there is room.
    states = _pooled(tax_day(again, 3))
    np.testing.assert_array_equal(states.incomes[1, -9:], [*everything, 103, 203, 303])
    assert states.count.tolist() == [9, 9, 9]
    # Two tax days between: the last ten of fifteen.
    states = _pooled(tax_day(tax_day(states, 4), 5))
    newest = [302, 103, 203, 303, 104, 204, 304, 105, 205, 305]
    np.testing.assert_array_equal(states.incomes, [newest] * 3)
    assert states.count.tolist() == [10, 10, 10]
    # More than fit: the newest of each.
    states = _pooled(tax_day(states, *range(10, 24)))
    newest = [320, 121, 221, 321, 122, 222, 322, 123, 223, 323]
    np.testing.assert_array_equal(states.incomes, [newest] * 3)


def test_estimates_are_not_shared():
    states = _economies(2).replace(elasticity=jnp.float32([0.1, 0.2]), log_income=jnp.ones(2))
    shared = _pooled(_observe(states, jnp.ones((2, 4)), jnp.zeros((2, 4))))
    np.testing.assert_array_equal(shared.elasticity, states.elasticity)
    np.testing.assert_array_equal(shared.average_rates, states.average_rates)


def test_more_economies_than_samples_that_are_kept():
    incomes = jnp.arange(12, dtype=jnp.float32)[:, None]
    shared = _pooled(_observe(_economies(12), incomes, incomes / 100))
    np.testing.assert_array_equal(shared.incomes[5], np.arange(2, 12))
    assert (shared.count == 10).all()
