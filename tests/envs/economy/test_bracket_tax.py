"""Tax periods: when rates are set, who is taxed, and what is seen; by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.environment import strong
from jaxrl.envs.economy.components.bracket_tax import PeriodicBracketTax
from tests.envs.economy.small_worlds import floats, part_of, state_of, step

FIELD = "....;....;...."
PLACES = [(0, 0), (1, 1), (1, 2), (2, 3)]


class Taxes:
    """A tax system day by day; brackets begin at 0 and 10 coin."""

    def __init__(self, agents=3, groups=None, coin=None, numbers=None, **options):
        options = {"cutoffs": (0.0, 10.0), **options}
        self.component = part_of(PeriodicBracketTax(**options), agents, groups)
        self.params = strong(self.component.params().replace(**{"period": 2, **(numbers or {})}))
        self.start = state_of(FIELD, PLACES[:agents], coin=coin)
        self.draws = {}
        self.reset()

    def reset(self, before=None, completions=0):
        state = self.start.replace(completions=jnp.int32(completions))
        self.state = self.component.reset(None, state, self.params, before)

    def __call__(self, coin=None, escrow=None, choices=None):
        """A day on which agents come to own `coin`; choices [P, B] of planners."""
        state = self.state
        state = state if coin is None else state.replace(coin=floats(*coin))
        state = state if escrow is None else state.replace(coin_escrow=floats(*escrow))
        planners = {}
        if self.component.system == "learned":
            planners = self._by_bracket(choices)
        self.state, day = step(
            self.component, state, planners=planners, draws=self.draws, params=self.params
        )
        return day

    def _by_bracket(self, choices):
        planners = self.component.where.planners
        table = np.zeros((planners, 2), int) if choices is None else np.asarray(choices)
        return dict(zip(("TaxIndexBracket_000", "TaxIndexBracket_010"), table.T, strict=True))

    @property
    def own(self):
        return self.state.own["PeriodicBracketTax"]

    def seen(self):
        return self.component.observe(self.state, self.params)

    def mask(self):
        return np.stack(
            list(self.component.planner_masks(self.state, self.params).values()), axis=1
        )


def test_income_of_the_period_is_taxed_on_its_last_day_and_shared():
    taxes = Taxes(system="fixed", fixed_rates=(0.1, 0.5), coin=(5, 5, 5))
    day = taxes(coin=(6, 6, 6))
    assert not day.income.any() and not day.paid.any() and not day.received.any()
    assert taxes.own.position == 2 and not taxes.own.last_income.any()
    day = taxes(coin=(9, 15, 35))
    np.testing.assert_allclose(day.income, [4, 10, 30])
    np.testing.assert_allclose(day.paid, [0.4, 1, 11], rtol=1e-6)  # 10 at 0.1 and 20 at 0.5
    np.testing.assert_allclose(day.received, [12.4 / 3] * 3, rtol=1e-6)
    expected = np.array([9, 15, 35]) - [0.4, 1, 11] + 12.4 / 3
    np.testing.assert_allclose(taxes.state.coin, expected, rtol=1e-6)
    np.testing.assert_allclose(taxes.own.last_coin, expected, rtol=1e-6)
    np.testing.assert_allclose(taxes.own.last_rate, [0.1, 0.5, 0.5])
    assert taxes.own.position == 1
    # A loss is not taxed, has no bracket, and shares in the revenue; 1 coin counts from then on.
    taxes()
    day = taxes(coin=expected + [-3, 1, 0])
    np.testing.assert_allclose(day.paid, [0, 0.1, 0], atol=1e-5)
    np.testing.assert_allclose(taxes.own.last_income, [-3, 1, 0], atol=1e-4)
    np.testing.assert_allclose(taxes.own.last_rate, [0, 0.1, 0.1])


def test_nobody_pays_more_than_is_at_hand_and_escrow_is_income():
    taxes = Taxes(system="fixed", fixed_rates=(0.1, 0.5))
    taxes()
    day = taxes(coin=(1, 20, 0), escrow=(29, 0, 0))
    np.testing.assert_allclose(day.income, [30, 20, 0])
    np.testing.assert_allclose(day.paid, [1, 6, 0], rtol=1e-6)  # 11 were due of the first
    np.testing.assert_allclose(taxes.state.coin, [7 / 3, 14 + 7 / 3, 7 / 3], rtol=1e-6)
    np.testing.assert_array_equal(taxes.state.coin_escrow, [29, 0, 0])
    np.testing.assert_allclose(taxes.own.last_coin, [29 + 7 / 3, 14 + 7 / 3, 7 / 3], rtol=1e-6)


def test_planners_set_rates_on_the_first_day_only():
    taxes = Taxes(numbers={"period": 3}, rate_step=0.25)
    np.testing.assert_array_equal(taxes.own.rates, [[0, 0]])
    assert taxes.mask()[0].all() and taxes.mask().shape == (1, 2, 5)
    assert taxes(choices=[(2, 5)]).rates.tolist() == [[0.25, 1]]
    assert not taxes.mask().any()
    for choices in ([(5, 1)], [(1, 1)]):  # the other two days
        assert taxes(choices=choices).rates.tolist() == [[0.25, 1]]
    assert taxes.mask().all()
    assert taxes(choices=[(0, 3)]).rates.tolist() == [[0.25, 0.5]]  # 0 keeps
    assert taxes.own.shown_rates.tolist() == [[0.25, 0.5]]
    taxes.reset(taxes.own)
    np.testing.assert_array_equal(taxes.own.rates, [[0, 0]])


def test_a_period_of_a_day_sets_and_collects_every_day():
    taxes = Taxes(numbers={"period": 1}, rate_step=0.25)
    day = taxes(coin=(8, 0, 0), choices=[(3, 1)])
    np.testing.assert_allclose(day.paid, [4, 0, 0])
    day = taxes(choices=[(5, 1)])  # nobody gained anything
    assert not day.paid.any() and taxes.own.position == 1
    seen = taxes.seen().planner
    assert seen["is_tax_day"] == 1 and seen["is_first_day"] == 1 and seen["tax_phase"] == 1


def test_planners_tax_and_pay_out_among_their_own():
    taxes = Taxes(agents=4, groups=(0, 1, 1, 0), rate_step=0.25)
    taxes(choices=[(2, 1), (3, 5)])
    np.testing.assert_array_equal(taxes.own.rates, [[0.25, 0], [0.5, 1]])
    day = taxes(coin=(4, 4, 14, 0))
    np.testing.assert_allclose(day.paid, [1, 2, 9, 0])
    np.testing.assert_allclose(day.received, [0.5, 5.5, 5.5, 0.5])
    np.testing.assert_allclose(taxes.state.coin, [3.5, 7.5, 10.5, 0.5])
    np.testing.assert_allclose(taxes.own.last_rate, [0.25, 0.5, 1, 0.25])
    taxes(coin=np.array([3.5, 7.5, 10.5, 0.5]) + (1, 1, 12, 12))
    seen = taxes.seen()
    assert seen.per_planner == ("curr_rates",)
    np.testing.assert_allclose(seen.planner["curr_rates"], [[0.25, 0], [0.5, 1]])
    theirs = [[0.25, 0], [0.5, 1], [0.5, 1], [0.25, 0]]
    np.testing.assert_allclose(seen.agents["curr_rates"], theirs)
    np.testing.assert_allclose(seen.agents["marginal_rate"], [0.25, 0.5, 1, 0])
    np.testing.assert_allclose(seen.by_agent["curr_marginal_rate"], [0.25, 0.5, 1, 0])
    np.testing.assert_allclose(seen.by_agent["last_income"], np.array([4, 4, 14, 0]) / 2)


def test_what_is_seen_of_a_period():
    taxes = Taxes(numbers={"period": 4}, system="fixed", fixed_rates=(0.1, 0.5))
    for day in range(1, 5):
        seen = taxes.seen()
        for table in (seen.agents, seen.planner):
            for name, value in (("tax_phase", day / 4), ("is_first_day", day == 1)):
                np.testing.assert_array_equal(table[name], np.full_like(table[name], value))
            np.testing.assert_array_equal(np.unique(table["is_tax_day"]), [day == 4])
        assert not seen.planner["last_incomes"].any()
        taxes(coin=(20, 4, 8))
    seen = taxes.seen()
    np.testing.assert_allclose(seen.planner["last_incomes"], [1, 2, 5])  # a day, in order
    np.testing.assert_allclose(seen.agents["last_incomes"], [[1, 2, 5]] * 3)
    np.testing.assert_allclose(seen.by_agent["last_income"], [5, 1, 2])
    np.testing.assert_allclose(seen.by_agent["last_marginal_rate"], [0.5, 0.1, 0.1])


@pytest.mark.parametrize("system", ["fixed", "learned", "saez"])
def test_rates_open_with_the_episodes_and_one_step_late(system):
    options = {"fixed_rates": (0.1, 0.75)} if system == "fixed" else {"rate_step": 0.25}
    if system == "saez":
        options = {"buffer": 10}
    numbers = {"annealing_warmup": -1.0, "annealing_slope": 0.25}
    taxes = Taxes(system=system, numbers=numbers, **options)
    if system == "saez":
        taxes.draws = {"rates": jnp.asarray([[0.4, 1.0]], jnp.float32)}
    before = None
    for episode, limit in enumerate((0.25, 0.5, 0.75, 1.0, 1.0)):
        taxes.reset(before, completions=episode)
        assert taxes.own.limit == max(limit - 0.25, 0.25) or episode == 4
        if system == "learned":
            open_rates = [rate <= limit for rate in (0, 0.25, 0.5, 0.75, 1)]
            assert taxes.mask()[0].tolist() == [open_rates] * 2
            # Masks advise: what is chosen all the same is set.
            assert taxes(choices=[(1, 5)]).rates.tolist() == [[0, 1]]
        else:
            rates = [[0.1, min(limit, 0.75)]] if system == "fixed" else [[0.4 * limit, limit]]
            np.testing.assert_allclose(taxes().rates, rates, rtol=1e-6)
        assert taxes.own.limit == limit
        before = taxes.own


def test_an_infinite_slope_opens_everything_after_the_warmup():
    numbers = {"annealing_warmup": 1.0, "annealing_slope": np.inf}
    taxes, before = Taxes(system="fixed", fixed_rates=(0.1, 0.5), numbers=numbers), None
    for episode, rates in enumerate(([0, 0], [0, 0], [0.1, 0.5])):
        taxes.reset(before, episode)
        np.testing.assert_allclose(taxes().rates, [rates])
        before = taxes.own


def test_saez_draws_rates_until_its_buffer_is_full():
    taxes = Taxes(system="saez", buffer=10, rate_min=0.2, rate_max=0.8)
    taxes.draws = {"rates": jnp.asarray([[0.0, 0.5]], jnp.float32)}
    assert not taxes.own.rates.any()
    for period, count in enumerate((3, 6, 9, 10)):
        np.testing.assert_allclose(taxes().rates, [[0.2, 0.5]], rtol=1e-6)
        income = np.array([1, 5, 20]) + period
        taxes(coin=np.asarray(taxes.state.coin) + income)
        assert taxes.own.saez.count.tolist() == [count]
        np.testing.assert_allclose(taxes.own.saez.incomes[0, -3:], income, rtol=1e-5)
        np.testing.assert_allclose(taxes.own.saez.rates[0, -3:], taxes.own.last_rate)
        assert not taxes.own.saez.average_rates.any()
    # Now its samples decide, not the draws.
    drawn = taxes.state
    first = np.asarray(taxes().rates)
    taxes.state, taxes.draws = drawn, {"rates": jnp.asarray([[0.9, 0.1]], jnp.float32)}
    np.testing.assert_array_equal(taxes().rates, first)
    assert (first >= 0.2 - 1e-6).all() and (first <= 0.8 + 1e-6).all()
    np.testing.assert_allclose(taxes.own.saez.average_rates, 0.01 * first, rtol=1e-4)
    # A new episode begins with the mean of what was set so far, and has the samples.
    own = taxes.own
    taxes.reset(own)
    np.testing.assert_array_equal(taxes.own.rates, own.saez.average_rates)
    np.testing.assert_array_equal(taxes.own.saez.incomes, own.saez.incomes)
    np.testing.assert_array_equal(taxes.own.shown_rates, first)


def test_each_of_several_planners_learns_from_its_own():
    taxes = Taxes(agents=4, groups=(1, 0, 1, 0), system="saez", buffer=12)
    taxes.draws = {"rates": jnp.asarray([[0.5, 0.5], [0.25, 1.0]], jnp.float32)}
    taxes()
    taxes(coin=(2, 3, 20, 30))
    np.testing.assert_allclose(taxes.own.saez.incomes[:, -2:], [[3, 30], [2, 20]])
    np.testing.assert_allclose(taxes.own.saez.rates[:, -2:], [[0.5, 0.5], [0.25, 1.0]])
    assert taxes.own.saez.count.tolist() == [2, 2]


def test_economies_side_by_side_share_the_samples_of_each_planner():
    owns = []
    for coin in ((2, 3, 20, 30), (4, 5, 40, 50)):
        taxes = Taxes(agents=4, groups=(1, 0, 1, 0), system="saez", buffer=12)
        taxes.draws = {"rates": jnp.zeros((2, 2))}
        taxes()
        taxes(coin=coin)
        owns.append(taxes.own)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *owns)
    shared = taxes.component.share(both)
    for economy in shared.saez.incomes:
        np.testing.assert_allclose(economy[:, -4:], [[3, 5, 30, 50], [2, 4, 20, 40]])
    assert shared.saez.count.tolist() == [[4, 4], [4, 4]]
    np.testing.assert_array_equal(shared.last_coin, both.last_coin)
    others = Taxes(system="us-federal", cutoffs=())
    assert others.component.share(others.own) is others.own


def test_a_free_market_has_tax_days_without_taxes():
    taxes = Taxes(system="none")
    assert taxes.component.planner_actions() == ()
    taxes()
    day = taxes(coin=(4, 10, 30))
    assert not day.paid.any() and not day.received.any()
    np.testing.assert_array_equal(taxes.state.coin, [4, 10, 30])
    np.testing.assert_array_equal(taxes.own.last_income, [4, 10, 30])


def test_the_federal_schedule():
    component = part_of(PeriodicBracketTax(system="us-federal"), 2)
    np.testing.assert_allclose(
        component.params().rates, [0.1, 0.12, 0.22, 0.24, 0.32, 0.35, 0.37], rtol=1e-6
    )
    state = component.reset(None, state_of(FIELD, PLACES[:2]), component.params())
    params = component.params().replace(period=1)
    state = state.replace(coin=floats(0, 50))
    _, day = step(component, state, params=params)
    due = 9.7 * 0.1 + (39.475 - 9.7) * 0.12 + (50 - 39.475) * 0.22
    np.testing.assert_allclose(day.paid, [0, due], rtol=1e-5)


def test_coin_that_came_and_went_rounded_is_no_income():
    """(7.9 + 3) - 3 is not 7.9 in float32."""
    start = np.float32(7.9)
    back = np.float32(np.float32(start + np.float32(3)) - np.float32(3))
    assert back != start
    taxes = Taxes(system="fixed", fixed_rates=(0.1, 0.5), coin=(7.9,) * 3)
    taxes()
    day = taxes(coin=(back, back, 7.9 + 1e-3))
    np.testing.assert_allclose(day.income, [0, 0, 1e-3], atol=2e-6)
    assert not day.income[:2].any()
    np.testing.assert_allclose(taxes.own.last_rate, [0.1] * 3)


def test_brackets_that_begin_within_a_coin_are_told_apart():
    component = part_of(PeriodicBracketTax(cutoffs=(0.0, 0.5, 1.0, 1.5)), 2)
    names = [choice.name for choice in component.planner_actions()]
    assert names == [f"TaxIndexBracket_{cutoff}" for cutoff in (0.0, 0.5, 1.0, 1.5)]
    usual = part_of(PeriodicBracketTax(), 2).planner_actions()
    numbers = ("000", "009", "039", "084", "160", "204", "510")
    assert [choice.name for choice in usual] == [f"TaxIndexBracket_{n}" for n in numbers]
    assert {choice.size for choice in usual} == {21}


def test_draws_are_of_saez_only():
    key = jax.random.key(0)
    rates = part_of(PeriodicBracketTax(system="saez"), 4, (0, 0, 1, 1)).draw(key)["rates"]
    assert rates.shape == (2, 7) and (rates >= 0).all() and (rates < 1).all()
    assert part_of(PeriodicBracketTax(), 4).draw(key) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"system": "flat"}, "system must be one of learned, us-federal, fixed, saez, none, got"),
        ({"weights": "rich"}, "weights must be one of inverse_income, uniform, got 'rich'"),
        ({"cutoffs": (0.0, 20.0, 10.0)}, "cutoffs must be ascending"),
        ({"cutoffs": (0.0, 10.0, 10.0)}, "cutoffs must be ascending"),
        ({"cutoffs": (5.0, 10.0)}, "cutoffs must begin at 0"),
        ({"cutoffs": (0.0,)}, "at least 2 brackets are needed, got 1"),
        ({"rate_max": 1.5}, "0 <= low <= high <= 1, got low 0.0 and high 1.5"),
        ({"rate_min": -0.1}, "0 <= low <= high <= 1, got low -0.1"),
        ({"rate_min": 0.6, "rate_max": 0.5}, "0 <= low <= high <= 1"),
        ({"rate_step": 0.0}, "step must be above 0 and below 1"),
        ({"rate_min": 0.5, "rate_max": 0.5}, "a planner needs at least 2 rates to choose of"),
        ({"system": "us-federal", "cutoffs": (0.0, 9.0)}, "us-federal has its own cutoffs"),
        ({"system": "fixed"}, "one for each of 7 brackets is needed, got 0"),
        ({"system": "fixed", "fixed_rates": (0.5,) * 6}, "each of 7 brackets is needed, got 6"),
        ({"system": "fixed", "fixed_rates": (0.5,) * 6 + (1.2,)}, "rates must be in 0..1, got 1.2"),
        ({"system": "fixed", "fixed_rates": (-0.5,) * 7}, "rates must be in 0..1, got -0.5"),
        ({"fixed_rates": (0.5,) * 7}, "fixed_rates are of the system fixed, not of learned"),
        ({"system": "saez", "buffer": 9}, "buffer must hold at least 10 samples, got 9"),
        ({"system": "saez", "elasticity": -1.0}, "fixed_elasticity must not be negative"),
    ],
)
def test_what_is_no_tax_system_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        part_of(PeriodicBracketTax(**options), 4)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"period": 0}, r"PeriodicBracketTax\.period must be at least 1, got 0"),
        (
            {"rates": floats(0.5, 1.5)},
            r"PeriodicBracketTax\.rates must be at least 0 and at most 1",
        ),
        ({"rates": floats(0.5)}, r"rates must have 2 entries, got the shape \(1,\)"),
        ({"annealing_slope": -1.0}, r"annealing_slope must be at least 0, got -1"),
        ({"annealing_slope": np.nan}, r"annealing_slope must be at least 0, got nan"),
        ({"annealing_warmup": -np.inf}, r"annealing_warmup must be finite, got -inf"),
    ],
)
def test_numbers_beyond_their_limits_are_refused(numbers, message):
    component = part_of(PeriodicBracketTax(cutoffs=(0.0, 10.0)), 4)
    with pytest.raises(ValueError, match=message):
        component.check_params(component.params().replace(**numbers))
    component.check_params(component.params())
