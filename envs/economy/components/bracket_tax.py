"""PeriodicBracketTax: taxes on the income of a period by brackets, shared equally.

On the first day of a period rates are set; on its last, everybody's income since the last tax day
is taxed and the revenue shared out. Who sets rates is the `system`:

- "learned": the planners, by actions on the first day: one of the rates of a grid for each bracket.
- "us-federal", "fixed": nobody; they are `params.rates`, at most the limit so far.
- "saez": Saez's formula from the incomes so far (`jaxrl.envs.economy.saez`), over episodes.
- "none": a free market. Everybody observes what they would under taxes.

The highest rate may be opened bit by bit with the episodes completed: `annealing_warmup` and
`annealing_slope`. As in the package a limit that a new episode brings holds from its first step
on, while its first observation still has the old one.

Several planners each tax those who live under them, by rates of their own.

Source: Zheng et al. (2020), arXiv 2004.13332; `ai-economist` 1.7.1, `PeriodicBracketTax`.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.envs.economy import saez, tax
from jaxrl.envs.economy.components.component import Component, Features, Setting, Subspace, Turn
from jaxrl.envs.economy.limits import check_limits
from jaxrl.envs.economy.metrics import inverse_income_weights, uniform_weights
from jaxrl.envs.economy.ordering import ascending
from jaxrl.envs.economy.state import State

SYSTEMS = ("learned", "us-federal", "fixed", "saez", "none")
WEIGHTS = {"inverse_income": inverse_income_weights, "uniform": uniform_weights}


class TaxParams(struct.PyTreeNode):
    """Numbers of `PeriodicBracketTax`.

    Attributes:
        period: steps of a tax period.
        rates: float [B], what "us-federal" and "fixed" charge; zeros under other systems.
        annealing_warmup: completed episodes before taxes; a negative one opens some rates at once.
        annealing_slope: share of the highest rate that opens with an episode; infinite opens all.
    """

    period: int = 100
    rates: Any = ()
    annealing_warmup: float = -1.0
    annealing_slope: float = math.inf


class TaxState(struct.PyTreeNode):
    """What `PeriodicBracketTax` remembers.

    Attributes:
        position: int32 [], the day of the period, from 1.
        rates: float [P, B], as set.
        shown_rates: float [P, B], as observed: those of the last first day.
        limit: float [], the highest rate open so far.
        last_coin: float [N], coin on the last tax day, after taxes.
        last_income: float [N], income of the last whole period; 0 before its end.
        last_rate: float [N], its marginal rate.
        saez: what the formula has learned, leaves [P, ...]; () under other systems.
    """

    position: jax.Array
    rates: jax.Array
    shown_rates: jax.Array
    limit: jax.Array
    last_coin: jax.Array
    last_income: jax.Array
    last_rate: jax.Array
    saez: Any


class TaxDay(NamedTuple):
    """What happened on a day; zeros but on the last of a period.

    Attributes:
        income: float [N], of the period.
        paid: float [N], taxes.
        received: float [N], shares of the revenue.
        rates: float [P, B], the schedules in force.
    """

    income: jax.Array
    paid: jax.Array
    received: jax.Array
    rates: jax.Array


@dataclasses.dataclass(frozen=True)
class PeriodicBracketTax(Component):
    """Taxes by brackets.

    Attributes:
        system: one of `SYSTEMS`.
        cutoffs: incomes at which brackets begin, in coin; the 7 of 2018 if empty.
        fixed_rates: B rates, of the system "fixed".
        rate_min: the lowest rate of the planners' grid, and of Saez's.
        rate_max: the highest.
        rate_step: what is between two rates of the grid.
        weights: of Saez's formula, "inverse_income" or "uniform".
        elasticity: that Saez's formula uses instead of an estimate.
        buffer: samples of incomes that Saez's formula keeps; rates are random until it has them.
    """

    system: str = "learned"
    cutoffs: tuple[float, ...] = ()
    fixed_rates: tuple[float, ...] = ()
    rate_min: float = 0.0
    rate_max: float = 1.0
    rate_step: float = 0.05
    weights: str = "inverse_income"
    elasticity: float | None = None
    buffer: int = saez.BUFFER

    def placed(self, setting: Setting) -> Component:
        """Raises `ValueError` for an unknown system, brackets that are none, or rates beyond 0..1.

        Brackets must be ascending from 0, and "us-federal" has those of 2018.
        """
        name = "PeriodicBracketTax"
        if self.system not in SYSTEMS:
            raise ValueError(
                f"{name}.system must be one of {', '.join(SYSTEMS)}, got {self.system!r}"
            )
        if self.weights not in WEIGHTS:
            raise ValueError(
                f"{name}.weights must be one of {', '.join(WEIGHTS)}, got {self.weights!r}"
            )
        cutoffs = saez.check(self._cutoffs(), self.rate_min, self.rate_max, self.elasticity)
        if self.system == "us-federal" and len(cutoffs) != len(tax.US_FEDERAL_RATES):
            raise ValueError(f"{name}: the system us-federal has its own cutoffs, leave them out")
        if self.system == "fixed":
            tax.checked_rates(self.fixed_rates, len(cutoffs))
        elif self.fixed_rates:
            raise ValueError(f"{name}.fixed_rates are of the system fixed, not of {self.system}")
        if self.system == "learned" and len(self._grid()) < 2:
            raise ValueError(f"{name}: a planner needs at least 2 rates to choose of")
        saez.init(len(cutoffs), self.buffer)
        return super().placed(setting)

    @property
    def brackets(self) -> int:
        """B."""
        return len(self._cutoffs())

    def planner_actions(self) -> tuple[Subspace, ...]:
        """For each bracket a rate, under the system "learned"."""
        if self.system != "learned":
            return ()
        size, cutoffs = len(self._grid()), self._cutoffs()
        names = [f"{int(cutoff):03d}" for cutoff in cutoffs]
        if len(set(names)) < len(names):  # brackets that begin within one coin
            names = [str(cutoff) for cutoff in cutoffs]
        return tuple(Subspace(f"TaxIndexBracket_{name}", size) for name in names)

    def params(self) -> TaxParams:
        """Periods of 100 steps, no annealing, and the rates of the system."""
        rates = tax.free_market_rates(self.brackets)
        if self.system == "us-federal":
            rates = tax.us_federal_rates()
        elif self.system == "fixed":
            rates = tax.checked_rates(self.fixed_rates, self.brackets)
        return TaxParams(rates=jnp.asarray(rates, self.where.dtype))

    def check_params(self, params: TaxParams) -> None:
        """Raises a `ValueError` that names a parameter beyond its limits."""
        check_limits(
            params,
            "PeriodicBracketTax",
            period=(1, None),
            rates=(0, 1),
            annealing_warmup=(None, None),
            annealing_slope=(0, math.inf),
        )
        if jnp.shape(params.rates)[-1:] != (self.brackets,):
            raise ValueError(
                f"PeriodicBracketTax.rates must have {self.brackets} entries, got the shape"
                f" {jnp.shape(params.rates)}"
            )
        charged = self.system in ("us-federal", "fixed") or isinstance(
            params.rates, jax.core.Tracer
        )
        if not charged and np.any(params.rates):
            raise ValueError(
                "PeriodicBracketTax.rates are of the systems us-federal and fixed, not of"
                f" {self.system}"
            )

    def draw(self, key: jax.Array) -> dict[str, jax.Array]:
        """Of random rates, in 0..1, while Saez's formula has too few samples."""
        if self.system != "saez":
            return {}
        shape = (self.where.planners, self.brackets)
        return {"rates": jax.random.uniform(key, shape, self.where.dtype)}

    def reset(self, key: jax.Array, state: State, params: Any, before: Any = None) -> State:
        """The first day of a period, with the lowest rates or those that were learned."""
        dtype = self.where.dtype
        shape = (self.where.planners, self.brackets)
        learned: Any = ()
        limit = self._limit(jnp.int32(0), params) if before is None else before.limit
        rates = shown = jnp.full(shape, self._grid()[0], dtype)
        if self.system == "none":
            rates = shown = jnp.zeros(shape, dtype)
        elif self.system in ("us-federal", "fixed"):
            rates = shown = jnp.broadcast_to(jnp.asarray(params.rates, dtype), shape)
        elif self.system == "saez" and before is None:
            one = saez.init(self.brackets, self.buffer, dtype)
            learned = jax.tree.map(lambda x: jnp.broadcast_to(x, (shape[0], *x.shape)), one)
            rates = shown = jnp.zeros(shape, dtype)
        elif self.system == "saez":
            learned, shown = before.saez, before.rates
            rates = jax.vmap(saez.at_reset)(learned)
        nothing = jnp.zeros(self.where.agents, dtype)
        own = TaxState(
            position=jnp.int32(1),
            rates=rates,
            shown_rates=self._limited(shown, limit),
            limit=limit,
            last_coin=state.total_coin,
            last_income=nothing,
            last_rate=nothing,
            saez=learned,
        )
        return state.replace(own={**state.own, self.name: own})

    def share(self, own: TaxState) -> TaxState:
        """Samples of Saez's formula go to all economies (`saez.pooled`)."""
        if self.system != "saez":
            return own
        return own.replace(saez=jax.vmap(saez.pooled, in_axes=1, out_axes=1)(own.saez))

    def step(self, state: State, turn: Turn, params: Any) -> tuple[State, TaxDay]:
        """Rates are set on the first day and taxes collected on the last."""
        own = state.own[self.name]
        own = own.replace(limit=self._limit(state.completions, params))
        own = self._set_rates(own, turn)
        last_day = own.position >= jnp.asarray(params.period, jnp.int32)
        rates = self._limited(own.rates, own.limit)
        collected, day = self._collect(state, own, rates)

        def where(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda x, y: jnp.where(last_day, x, y), new, old)

        coin = where(state.coin + day.received - day.paid, state.coin)
        collected = collected.replace(last_coin=coin + state.coin_escrow)
        own = where(collected, own)
        own = own.replace(position=jnp.where(last_day, 0, own.position) + jnp.int32(1))
        day = where(day, jax.tree.map(jnp.zeros_like, day))._replace(rates=rates)
        return state.replace(coin=coin, own={**state.own, self.name: own}), day

    def observe(self, state: State, params: Any) -> Features:
        """The day, the schedule in force, and incomes of the last period by rank."""
        own, dtype, agents = state.own[self.name], state.coin.dtype, self.where.agents
        period = jnp.asarray(params.period, jnp.int32)
        incomes = own.last_income / period.astype(dtype)
        shared = {
            "is_tax_day": (own.position >= period).astype(dtype),
            "is_first_day": (own.position == 1).astype(dtype),
            "tax_phase": own.position.astype(dtype) / period.astype(dtype),
            "last_incomes": ascending(incomes),
        }
        rates = self._limited(own.rates, own.limit)
        marginal = jax.vmap(tax.marginal_rate, in_axes=(0, None, 0))(
            _income(state, own), self._edges(dtype), rates[self._groups()]
        )
        everyone = {
            name: jnp.broadcast_to(value, (agents, *value.shape)) for name, value in shared.items()
        }
        return Features(
            agents={
                **everyone,
                "curr_rates": own.shown_rates[self._groups()],
                "marginal_rate": marginal,
            },
            planner={**shared, "curr_rates": own.shown_rates},
            by_agent={
                "last_income": incomes,
                "last_marginal_rate": own.last_rate,
                "curr_marginal_rate": marginal,
            },
            per_planner=("curr_rates",),
        )

    def planner_masks(self, state: State, params: Any) -> dict[str, jax.Array]:
        """On the first day the rates that are open so far; on others, none."""
        choices = self._grid()
        grid = jnp.asarray(choices, self.where.dtype)
        first_day = state.own[self.name].position == 1
        limit = self._limit(state.completions, params, float(choices[-1]))
        allowed = (grid <= limit) & first_day
        mask = jnp.broadcast_to(allowed, (self.where.planners, *grid.shape))
        return {choice.name: mask for choice in self.planner_actions()}

    def _cutoffs(self) -> tuple[float, ...]:
        return self.cutoffs or tuple(tax.us_federal_cutoffs().tolist())

    def _edges(self, dtype: Any) -> jax.Array:
        return jnp.asarray(self._cutoffs(), dtype)

    def _grid(self) -> np.ndarray:
        return tax.rate_choices(self.rate_min, self.rate_max, self.rate_step)

    def _groups(self) -> np.ndarray:
        return np.asarray(self.where.groups, np.int32)

    def _limit(self, completions: jax.Array, params: Any, limit: float | None = None) -> jax.Array:
        """The highest rate that is open, float []."""
        dtype = self.where.dtype
        return tax.annealed_limit(
            completions.astype(dtype),
            jnp.asarray(params.annealing_warmup, dtype),
            jnp.asarray(params.annealing_slope, dtype),
            self.rate_max if limit is None else limit,
        )

    def _limited(self, rates: jax.Array, limit: jax.Array) -> jax.Array:
        """Rates as charged: planners are limited by their masks, all others here."""
        return rates if self.system == "learned" else jnp.minimum(rates, limit)

    def _set_rates(self, own: TaxState, turn: Turn) -> TaxState:
        """The first day."""
        first_day = own.position == 1
        rates, learned = own.rates, own.saez
        if self.system == "learned":
            choices = [turn.planners[choice.name] for choice in self.planner_actions()]
            chosen = jnp.stack(choices, axis=1)
            grid = jnp.asarray(self._grid(), self.where.dtype)
            rates = jnp.where(chosen > 0, grid[jnp.maximum(chosen - 1, 0)], rates)
        elif self.system == "saez":

            def by_formula(draws: jax.Array, state: saez.SaezState) -> Any:
                return saez.next_rates(
                    draws,
                    state,
                    self._edges(self.where.dtype),
                    self.rate_min,
                    own.limit,
                    WEIGHTS[self.weights],
                    self.elasticity,
                )

            learned, rates = jax.vmap(by_formula)(turn.draws["rates"], learned)
        learned = jax.tree.map(lambda x, y: jnp.where(first_day, x, y), learned, own.saez)
        rates = jnp.where(first_day, rates, own.rates)
        shown = jnp.where(first_day, self._limited(rates, own.limit), own.shown_rates)
        return own.replace(rates=rates, shown_rates=shown, saez=learned)

    def _collect(self, state: State, own: TaxState, rates: jax.Array) -> tuple[TaxState, TaxDay]:
        """A tax day, of which `last_coin` is still to be set."""
        income = _income(state, own)
        groups, edges = self._groups(), self._edges(state.coin.dtype)
        paid, marginal = tax.assess(income, state.coin, edges, rates[groups])
        under = groups[None, :] == np.arange(self.where.planners)[:, None]
        revenue = jnp.sum(jnp.where(under, paid[None, :], 0), axis=1)
        received = (revenue / under.sum(axis=1).astype(paid.dtype))[groups]
        learned = own.saez
        if self.system == "saez":
            learned = self._observe_incomes(learned, income, marginal)
        after = own.replace(last_income=income, last_rate=marginal, saez=learned)
        return after, TaxDay(income, paid, received, rates)

    def _observe_incomes(self, learned: Any, income: jax.Array, marginal: jax.Array) -> Any:
        """Each planner learns from those under it; their number may differ."""
        parts = []
        for planner in range(self.where.planners):
            mine = np.flatnonzero(self._groups() == planner)
            one = jax.tree.map(lambda x, planner=planner: x[planner], learned)
            parts.append(saez.observe(one, income[mine], marginal[mine]))
        return jax.tree.map(lambda *x: jnp.stack(x), *parts)


def _income(state: State, own: TaxState) -> jax.Array:
    """Coin gained since the last tax day, float [N].

    A loss has no bracket, and no income at all has the lowest. In float32 coin that came and went
    may leave its last digit behind, so what is less than rounding is no income.
    """
    income = state.total_coin - own.last_coin
    if income.dtype == jnp.float64:
        return income
    rounding = 8 * jnp.finfo(income.dtype).eps * own.last_coin
    return jnp.where(jnp.abs(income) <= rounding, 0, income)
