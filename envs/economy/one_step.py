"""The one-step economy: a planner sets marginal tax rates, then agents choose how much to work.

Two steps. In the first the planner may set rates; in the second each agent works l = 0..100 hours,
earns skill x l, and the income is taxed by brackets and the revenue shared equally. N agents, B
brackets, R rates to choose of; what is stacked has the agents as its first axis.

Observation: {"agents": {"observation": float32 [N, F], "action_mask": bool [N, 101]},
    "planner": {"observation": float32 [P], "action_mask": bool [B, R + 1]}};
    `agent_features(N, B)` and `planner_features(N, B)` name the columns.
Action: {"agents": int32 [N], hours; "planner": int32 [B], 0 to keep a bracket's rate, k to set it
    to the k-th of `rate_choices`}. Masks are advice, as in the package: who works in the first step
    earns twice, and rates set in the second step are ignored.
Reward: {"agents": float32 [N], "planner": float32 []}: the change of each agent's utility and of
    social welfare.
Termination: after two steps.

This is a game (`jaxrl.multi_agent`) with the roles "agents" and "planner";
`tax_planner.TaxPlanner` is the planner's problem against rational agents with one reward, as
algorithms for a single agent want it.

Source: Zheng et al. (2021), arXiv 2108.02755; the package `ai-economist` 1.7.1, scenario
`one-step-economy` with `SimpleLabor` and then `PeriodicBracketTax` with a period of 2.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.environment import EnvParams, EnvState
from jaxrl.envs.economy import metrics, tax
from jaxrl.envs.economy.checks import one_of, whole
from jaxrl.envs.economy.limits import FINITE, check_limits
from jaxrl.envs.economy.response import HOURS
from jaxrl.envs.economy.skills import pareto_skills
from jaxrl.multi_agent import Game
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Space

PERIOD = 2  # steps of a tax period, and of an episode
AGENT_UTILITIES = ("coin_minus_labor_cost", "isoelastic_coin_minus_labor")
WELFARES = ("inv_income_weighted_utility", "coin_eq_times_productivity")
GINIS = {"package": metrics.package_gini, "exact": metrics.gini}
_PRODUCTIVITY_SCALE = 1000  # coin an agent that is observed as 1


@struct.dataclass
class State(EnvState):
    """State of the one-step economy.

    Attributes:
        time: int32 [], steps taken.
        rates: float32 [B], the schedule in force.
        coin: float32 [N], what each owns.
        labor: float32 [N], hours of the last work.
        production: float32 [N], income before taxes.
        last_coin: float32 [N], coin at the beginning of the tax period.
        last_income: float32 [N], income of the last whole period; 0 before its end.
        last_rate: float32 [N], the marginal rate of that income.
    """

    time: jax.Array
    rates: jax.Array
    coin: jax.Array
    labor: jax.Array
    production: jax.Array
    last_coin: jax.Array
    last_income: jax.Array
    last_rate: jax.Array


@struct.dataclass
class Params(EnvParams):
    """Parameters of the one-step economy; the defaults are the package's.

    With these nobody has reason to work more than two hours. A labour exponent of 3.5 and a cost of
    0.0005, with a `max_multiplier` in the hundreds, make the choice of hours matter.

    Attributes:
        skills: float32 [N], coin an hour.
        initial_rates: float32 [B], the schedule that holds until the planner sets another: with a
            planner that keeps it, the baseline of fixed rates, such as `tax.us_federal_rates()`.
        rate_limit: the highest rate that the planner's mask allows, see `tax.annealed_limit`.
        labor_exponent: d of `metrics.coin_minus_labor_cost`, above 1.
        labor_cost: c of it, and the labour coefficient of the isoelastic utility.
        eta: of `metrics.isoelastic_utility`, in 0..1.
        equality_weight: of `metrics.equality_times_productivity`, in 0..1.
        max_steps_in_episode: the time limit; episodes end by themselves.
    """

    skills: Any = struct.field(default_factory=lambda: jnp.asarray(pareto_skills(4), jnp.float32))
    initial_rates: Any = struct.field(default_factory=lambda: jnp.zeros(7, jnp.float32))
    rate_limit: float = 1.0
    labor_exponent: float = 2.0
    labor_cost: float = 1.0
    eta: float = 0.23
    equality_weight: float = 1.0
    max_steps_in_episode: int = PERIOD


class OneStepEconomy(Game):
    """The game of N agents and a planner; what is static of it."""

    def __init__(
        self,
        agents: int = 4,
        cutoffs: Sequence[float] | None = None,
        rate_min: float = 0.0,
        rate_max: float = 1.0,
        rate_step: float = 0.05,
        agent_utility: str = "coin_minus_labor_cost",
        welfare: str = "inv_income_weighted_utility",
        gini: str = "package",
        max_multiplier: float = 3.0,
        pareto: float = 4.0,
        skill_seed: int = 0,
    ):
        """An economy of `agents`.

        Args:
            agents: N, at least 2.
            cutoffs: incomes at which brackets begin, in coin; by default the 7 of 2018.
            rate_min: the lowest rate, and that of an episode's beginning.
            rate_max: the highest rate.
            rate_step: what is between two rates.
            agent_utility: one of `AGENT_UTILITIES`.
            welfare: the planner's, one of `WELFARES`.
            gini: "package", or "exact" for any number of agents, see `metrics.package_gini`.
            max_multiplier: the highest skill, see `skills.pareto_skills`.
            pareto: of the distribution of skills.
            skill_seed: of the draws whose means skills are.

        Raises:
            ValueError: too few agents, brackets that are not ascending from 0, rates outside 0..1,
                an unknown utility, welfare or Gini index, no distribution of skills.
        """
        super().__init__()
        self.agents = whole("agents", agents, 2)
        self.cutoffs = tax.checked_cutoffs(tax.us_federal_cutoffs() if cutoffs is None else cutoffs)
        self.brackets = len(self.cutoffs)
        self.rate_choices = tax.rate_choices(rate_min, rate_max, rate_step)
        self.agent_utility = one_of("agent_utility", agent_utility, AGENT_UTILITIES)
        self.welfare = one_of("welfare", welfare, WELFARES)
        self._inequality = GINIS[one_of("gini", gini, tuple(GINIS))]
        self.max_multiplier = max_multiplier
        self._skills = pareto_skills(self.agents, max_multiplier, pareto, skill_seed)

    @property
    def name(self) -> str:
        """`OneStepEconomy-v1`."""
        return "OneStepEconomy-v1"

    @property
    def default_params(self) -> Params:
        """Skills of the constructor, the lowest rates, and the package's utilities."""
        return Params(
            skills=jnp.asarray(self._skills, jnp.float32),
            initial_rates=jnp.full(self.brackets, self.rate_choices[0], jnp.float32),
        )

    def check_params(self, params: Params) -> None:
        """Raises a `ValueError` that names the parameter for one beyond its limits.

        Leaves may have leading axes, of a batch; the values of tracers are let through.
        """
        for name, size in (("skills", self.agents), ("initial_rates", self.brackets)):
            shape = jnp.shape(getattr(params, name))
            if not shape or shape[-1] != size:
                raise ValueError(f"{name} must have {size} entries, got the shape {shape}")
        check_limits(
            params,
            "",
            above=("skills", "labor_exponent"),
            skills=(0, None),
            initial_rates=(0, 1),
            rate_limit=(0, 1),
            labor_exponent=(1, None),
            labor_cost=(0, None),
            eta=(0, 1),
            equality_weight=(0, 1),
        )

    def reset_env(self, key: jax.Array, params: Params) -> tuple[Any, State]:
        """Nobody owns anything; the schedule is `initial_rates`. Nothing is random."""
        nothing = jnp.zeros(self.agents, jnp.float32)
        rates = jnp.asarray(params.initial_rates, jnp.float32)
        state = State(jnp.int32(0), rates, *[nothing] * 6)
        return self.observe(key, state, None, params), state

    def step_env(
        self, key: jax.Array, state: State, action: dict[str, jax.Array], params: Params
    ) -> tuple[Any, State, dict[str, jax.Array], jax.Array, dict[str, jax.Array]]:
        """One step; `info` has what `episode_metrics` reports."""
        before_agents, before_planner = self.utilities(state, params)
        after = self.transition(state, action["agents"], action["planner"], params)
        utilities, welfare = self.utilities(after, params)
        reward = {"agents": utilities - before_agents, "planner": welfare - before_planner}
        info = self.measures(after, params)
        obs = self.observe(key, after, action, params)
        return obs, after, reward, after.time >= PERIOD, info

    def transition(
        self, state: State, hours: jax.Array, choices: jax.Array, params: Params
    ) -> State:
        """Work, and then taxes: rates are set in the first step and collected in the second.

        Args:
            state: the state before.
            hours: int [N], in 0..100; who does not work keeps `labor` as it was.
            choices: int [B], in 0..R.
            params: the parameters.
        """
        worked = hours.astype(jnp.float32)
        income = worked * params.skills
        coin = state.coin + income
        first_day = state.time % PERIOD == 0
        sets = first_day & (choices > 0)
        chosen = jnp.asarray(self.rate_choices, jnp.float32)[jnp.maximum(choices - 1, 0)]
        rates = jnp.where(sets, chosen, state.rates)
        cutoffs = jnp.asarray(self.cutoffs, jnp.float32)
        earned = coin - state.last_coin
        day = tax.collect(earned, coin, cutoffs, rates)
        shared = coin + day.net
        return State(
            time=state.time + jnp.int32(1),
            rates=rates,
            coin=jnp.where(first_day, coin, shared),
            labor=jnp.where(hours > 0, worked, state.labor),
            production=state.production + income,
            last_coin=jnp.where(first_day, state.last_coin, shared),
            last_income=jnp.where(first_day, state.last_income, earned),
            last_rate=jnp.where(first_day, state.last_rate, day.marginal_rate),
        )

    def utilities(self, state: State, params: Params) -> tuple[jax.Array, jax.Array]:
        """Each agent's utility, float32 [N], and social welfare, float32 []."""
        if self.agent_utility == "coin_minus_labor_cost":
            utility = metrics.coin_minus_labor_cost(
                state.coin, state.labor, params.labor_exponent, params.labor_cost
            )
        else:
            utility = metrics.isoelastic_utility(
                state.coin, state.labor, params.eta, params.labor_cost
            )
        if self.welfare == "inv_income_weighted_utility":
            # The package weighs by income before taxes, not by what is owned after them.
            return utility, metrics.inverse_income_weighted(state.production, utility)
        return utility, metrics.equality_times_productivity(
            state.coin, params.equality_weight, self._inequality
        )

    def observe(self, key: jax.Array, state: State, action: Any, params: Params) -> Any:
        """What agents and planner see of a state, and what they may do."""
        position = state.time % PERIOD + jnp.int32(1)  # the day of the tax period
        on_first_day, on_tax_day = position == 1, position == PERIOD
        clock = jnp.stack(
            [
                state.time.astype(jnp.float32) / PERIOD,
                on_tax_day.astype(jnp.float32),
                on_first_day.astype(jnp.float32),
                position.astype(jnp.float32) / PERIOD,
            ]
        )
        incomes = state.last_income / PERIOD
        common = jnp.concatenate([clock, jnp.sort(incomes), state.rates])
        cutoffs = jnp.asarray(self.cutoffs, jnp.float32)
        marginal = jax.vmap(tax.marginal_rate, in_axes=(0, None, None))(
            state.coin - state.last_coin, cutoffs, state.rates
        )
        own = jnp.stack([params.skills / jnp.float32(self.max_multiplier), marginal], axis=1)
        social = jnp.stack(
            [
                metrics.productivity(state.coin) / (self.agents * _PRODUCTIVITY_SCALE),
                metrics.equality(state.coin, self._inequality),
            ]
        )
        everybody = jnp.broadcast_to(common, (self.agents, common.shape[0]))
        by_agent = [incomes, state.last_rate, marginal]
        no_hours = jnp.arange(HOURS + 1, dtype=jnp.int32) == 0
        allowed = no_hours | (state.time > 0)
        return {
            "agents": {
                "observation": jnp.concatenate([everybody, own], axis=1),
                "action_mask": jnp.broadcast_to(allowed, (self.agents, HOURS + 1)),
            },
            "planner": {
                "observation": jnp.concatenate([common, social, *by_agent]),
                "action_mask": self._rates_allowed(on_first_day, params),
            },
        }

    def _rates_allowed(self, on_first_day: jax.Array, params: Params) -> jax.Array:
        """bool [B, R + 1]: to keep a rate always, those up to the limit on the first day."""
        open_rates = jnp.asarray(self.rate_choices, jnp.float32) <= params.rate_limit
        row = jnp.append(jnp.ones(1, jnp.bool_), open_rates & on_first_day)
        return jnp.broadcast_to(row, (self.brackets, row.shape[0]))

    def measures(self, state: State, params: Params) -> dict[str, jax.Array]:
        """Equality, productivity, their product an agent, welfare and mean hours, float32 []."""
        equality = metrics.equality(state.coin, self._inequality)
        productivity = metrics.productivity(state.coin)
        return {
            "equality": equality,
            "productivity": productivity,
            "equality_times_productivity": equality * productivity / self.agents,
            "social_welfare": self.utilities(state, params)[1],
            "hours": jnp.mean(state.labor),
        }

    def episode_metrics(self, info: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Equality, productivity, their product an agent, welfare and mean hours, at the end."""
        return dict(info)

    def is_truncated(self, state: State, params: Params) -> jax.Array:
        """Whether the time limit is reached."""
        return state.time >= params.max_steps_in_episode

    @property
    def roles(self) -> dict[str, tuple[int, ...]]:
        """N agents and one planner."""
        return {"agents": (self.agents,), "planner": ()}

    def role_action_space(self, role: str, params: Params | None = None) -> Space:
        """Hours of an agent; a choice for each bracket of the planner."""
        if role == "agents":
            return Discrete(HOURS + 1)
        return MultiDiscrete((len(self.rate_choices) + 1,) * self.brackets)

    def role_observation_space(self, role: str, params: Params | None = None) -> Dict:
        """See the module."""
        mask: tuple[int, ...] = (HOURS + 1,)
        features = agent_features(self.agents, self.brackets)
        if role == "planner":
            mask = (self.brackets, len(self.rate_choices) + 1)
            features = planner_features(self.agents, self.brackets)
        return Dict(
            {
                "observation": Box(-FINITE, FINITE, (len(features),), jnp.float32),
                "action_mask": Box(False, True, mask, jnp.bool_),
            }
        )


def agent_features(agents: int, brackets: int) -> tuple[str, ...]:
    """Names of what an agent observes, [F]; incomes are those of the last period, by step."""
    return (*_common_features(agents, brackets), "skill", "marginal_rate")


def planner_features(agents: int, brackets: int) -> tuple[str, ...]:
    """Names of what the planner observes, [P]; numbers in names are those of agents."""
    social = ("normalized_per_capita_productivity", "equality")
    by_agent = ("last_income", "last_marginal_rate", "curr_marginal_rate")
    return (
        *_common_features(agents, brackets),
        *social,
        *[f"{name}/{agent}" for name in by_agent for agent in range(agents)],
    )


def _common_features(agents: int, brackets: int) -> tuple[str, ...]:
    return (
        *("time", "is_tax_day", "is_first_day", "tax_phase"),
        *[f"last_incomes/{rank}" for rank in range(agents)],
        *[f"curr_rates/{bracket}" for bracket in range(brackets)],
    )
