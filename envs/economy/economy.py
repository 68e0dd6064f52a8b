"""An economy: a world, agents who live in it, and an ordered tuple of components.

In a step the components act one after the other, then what was taken may grow back. Agents are
rewarded by the change of their isoelastic utility, planners by that of the welfare of those who
live under them. H x W tiles, N agents, P planners, C commodities.

Observation: {"agents": {"map": int8 [N, K + 1, S, S], "idx_map": int8 [N, 2, S, S] (see
    `jaxrl.envs.economy.observations`), "flat": float32 [N, F], "action_mask": bool [N, A]},
    "planner": {"flat": float32 [F'], "by_agent": float32 [N, F"], "action_mask": bool [B, R + 1],
    and, where wanted, "map" int8 [K, H, W] and "idx_map" int8 [2, H, W]}}. Columns are named by
    `agent_features`, `planner_features` and `by_agent_features`. What is the planner's has a
    leading axis if there are several, and is not there if no component has actions for planners.
Action: {"agents": int32 [N], 0 to do nothing and else one choice of all components in order,
    `agent_choices.names` naming them; "planner": int32 [B], one choice of each subspace}. With
    `simultaneous` agents choose one of each subspace too, int32 [N, S]. Masks are advice: what
    cannot be done is not done.
Reward: {"agents": float32 [N], "planner": float32 []}.
Termination: after `max_steps_in_episode` steps, which agents observe as the time.

Counters by which taxes and labour are annealed, and what Saez's formula has learned, go on from one
episode to the next by `next_episode`.

Source: Zheng et al. (2020), arXiv 2004.13332; the package `ai-economist` 1.7.1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.environment import EnvParams
from jaxrl.envs.economy import metrics, observations
from jaxrl.envs.economy.checks import checked_groups, entries, flag, one_of, placed, whole
from jaxrl.envs.economy.choices import choices_of
from jaxrl.envs.economy.components.component import Component, Setting, Turn
from jaxrl.envs.economy.features import column_names, gather_features
from jaxrl.envs.economy.limits import FINITE, check_limits
from jaxrl.envs.economy.state import COMMODITIES, NOBODY, State
from jaxrl.envs.economy.uniform import random_places
from jaxrl.envs.economy.world import World, grow_back, regrowth_draws
from jaxrl.multi_agent import Game
from jaxrl.spaces import Box, Dict, Space

WELFARES = (
    "coin_eq_times_productivity",
    "inv_income_weighted_coin_endowments",
    "inv_income_weighted_utility",
)
ANNEALINGS = ("episodes", "positive_steps")


@struct.dataclass
class Params(EnvParams):
    """Parameters of an economy; the defaults are the package's.

    Attributes:
        eta: of the agents' isoelastic utility, in 0..1.
        labor_cost: utility that a unit of labour costs.
        labor_annealing: constant of `metrics.annealing_weight`, in the unit that the economy
            anneals by; 0 for the full cost from the beginning.
        equality_weight: of the welfare "coin_eq_times_productivity", in 0..1.
        starting_coin: coin of each agent at the beginning of an episode.
        regrowth: float [C], weight of the probability that a source regains a unit in a step.
        max_units: int32 [C], units that a tile can hold, at most 100.
        rules: parameters of the components by their names.
        max_steps_in_episode: steps of an episode.
    """

    eta: float = 0.23
    labor_cost: float = 0.21
    labor_annealing: float = 0.0
    equality_weight: float = 1.0
    starting_coin: float = 0.0
    regrowth: Any = ()
    max_units: Any = ()
    rules: Any = struct.field(default_factory=dict)
    max_steps_in_episode: int = 1000


class Economy(Game):
    """The game of agents and planners; what is static of it.

    Args:
        components: in the order in which they act, of different names.
        world: the map.
        agents: N, 2 to 125.
        groups: for each agent the planner under whom it lives, from 0; all under one if None.
        reach: tiles that agents see in each direction.
        full_observability: agents see the whole map instead, and are not told where they are.
        planner_maps: whether planners see the map, and where agents are.
        simultaneous: whether agents choose for each subspace apart.
        welfare: the planners', one of `WELFARES`.
        annealing: what labour is annealed by, one of `ANNEALINGS`: completed episodes, or steps in
            which the agents' mean reward was positive.
        regrowth_reach: r of `world.grow_back` for each commodity, at most 3.
        dtype: of what is not whole; float64 is for conformance tests.

    Raises:
        ValueError: any of these out of its limits, or no component.
    """

    def __init__(
        self,
        components: Sequence[Component],
        world: World,
        agents: int = 4,
        groups: Sequence[int] | None = None,
        reach: int = 5,
        full_observability: bool = False,
        planner_maps: bool = False,
        simultaneous: bool = False,
        welfare: str = "coin_eq_times_productivity",
        annealing: str = "episodes",
        regrowth_reach: tuple[int, int] = (0, 0),
        dtype: Any = jnp.float32,
    ):
        super().__init__()
        self.agents = whole("agents", agents, 2, observations.MOST_AGENTS)
        self.world = world
        self.reach = whole("reach", reach, 0)
        distances = entries("regrowth_reach", regrowth_reach)
        self.regrowth_reach = tuple(whole("regrowth_reach", r, 0, 3) for r in distances)
        if len(self.regrowth_reach) != len(COMMODITIES):
            raise ValueError(f"regrowth_reach needs one number for each of {COMMODITIES}")
        self.welfare = one_of("welfare", welfare, WELFARES)
        self.annealing = one_of("annealing", annealing, ANNEALINGS)
        self.full_observability = flag("full_observability", full_observability)
        self.planner_maps = flag("planner_maps", planner_maps)
        self.simultaneous = flag("simultaneous", simultaneous)
        self.dtype = dtype
        groups = checked_groups(groups, self.agents)
        self.setting = Setting(self.agents, world.shape, groups, dtype, self.simultaneous)
        self.components = placed(components, self.setting)
        land = np.prod(world.shape) if world.layout is None else (~world.layout.water).sum()
        if land < self.agents:
            raise ValueError(f"{self.agents} agents do not find as many tiles without water")
        self.agent_choices = choices_of(
            self.components, lambda component: component.agent_actions(), self.simultaneous
        )
        self.planner_choices = choices_of(
            self.components, lambda component: component.planner_actions(), True
        )
        if not self.agent_choices.subspaces:
            raise ValueError("no component has actions for agents")

    @property
    def name(self) -> str:
        """`Economy`; scenarios have names of their own."""
        return "Economy"

    @property
    def planners(self) -> int:
        """P, 0 where no component has actions for planners."""
        return self.setting.planners if self.planner_choices.subspaces else 0

    @property
    def roles(self) -> dict[str, tuple[int, ...]]:
        """Agents, and planners if there are any."""
        roles: dict[str, tuple[int, ...]] = {"agents": (self.agents,)}
        if self.planners:
            roles["planner"] = () if self.planners == 1 else (self.planners,)
        return roles

    @property
    def default_params(self) -> Params:
        """The package's numbers."""
        return Params(
            regrowth=jnp.full(len(COMMODITIES), 0.01, self.dtype),
            max_units=jnp.ones(len(COMMODITIES), jnp.int32),
            rules={component.name: component.params() for component in self.components},
        )

    def check_params(self, params: Params) -> None:
        """Raises a `ValueError` that names a parameter beyond its limits."""
        check_limits(
            params,
            "",
            eta=(0, 1),
            labor_cost=(0, None),
            labor_annealing=(0, None),
            equality_weight=(0, 1),
            starting_coin=(0, None),
            regrowth=(0, 1),
            max_units=(1, 100),
            max_steps_in_episode=(1, None),
        )
        for name in ("regrowth", "max_units"):
            if jnp.shape(getattr(params, name))[-1:] != (len(COMMODITIES),):
                raise ValueError(f"{name} needs one number for each of {COMMODITIES}")
        for component in self.components:
            component.check_params(params.rules[component.name])

    # Episodes

    def reset_env(self, key: jax.Array, params: Params) -> tuple[Any, State]:
        """The first episode."""
        return self._begin(key, params, None)

    def next_episode(self, key: jax.Array, state: State, params: Params) -> tuple[Any, State]:
        """The episode after the one that ended in `state`."""
        return self._begin(key, params, state)

    def _begin(self, key: jax.Array, params: Params, before: State | None) -> tuple[Any, State]:
        key_world, key_place, key_start, *keys = jax.random.split(key, 4 + len(self.components))
        *keys, key_observe = keys
        sources, water = self.world.generate(key_world)
        nothing = jnp.zeros(self.agents, self.dtype)
        no_units = jnp.zeros((len(COMMODITIES), self.agents), jnp.int32)
        state = State(
            time=jnp.int32(0),
            resources=sources.astype(jnp.int8),
            sources=sources,
            water=water,
            house=jnp.full(self.world.shape, NOBODY, jnp.int8),
            location=random_places(key_place, ~water, self.agents),
            coin=nothing + jnp.asarray(params.starting_coin, self.dtype),
            coin_escrow=nothing,
            units=no_units,
            units_escrow=no_units,
            labor=nothing,
            utility=nothing,
            welfare=jnp.zeros(self.setting.planners, self.dtype),
            completions=jnp.int32(0) if before is None else before.completions + jnp.int32(1),
            positive_steps=jnp.int32(0) if before is None else before.positive_steps,
            own={},
        )
        for component, key_component in zip(self.components, keys, strict=True):
            own = params.rules[component.name]
            old = None if before is None else before.own.get(component.name)
            state = component.reset(key_component, state, own, old)
        state = self.start(key_start, state, params)
        utility, welfare = self.objectives(state, params)
        state = state.replace(utility=utility, welfare=welfare)
        return self.observe(key_observe, state, None, params), state

    def share(self, states: State) -> State:
        """What economies side by side, leaves [E, ...], learn from one another."""
        own = dict(states.own)
        for component in self.components:
            if component.name in own:
                own[component.name] = component.share(own[component.name])
        return states.replace(own=own)

    def start(self, key: jax.Array, state: State, params: Params) -> State:
        """What a scenario changes of the beginning of an episode; nothing here."""
        return state

    # Steps

    def step_env(
        self, key: jax.Array, state: State, action: Any, params: Params
    ) -> tuple[Any, State, dict[str, jax.Array], jax.Array, dict[str, Any]]:
        """One step; `info` has what happened by component, and what `episode_metrics` reports."""
        # The children before this one are those of `draw`.
        key_observe = jax.random.split(key, 2 + len(self.components))[-1]
        state, reward, events = self.transition(state, self.draw(key), action, params)
        terminated = state.time >= params.max_steps_in_episode
        info = {**events, **self.measures(state)}
        obs = self.observe(key_observe, state, action, params)
        return obs, state, reward, terminated, info

    def draw(self, key: jax.Array) -> dict[str, Any]:
        """The draws of a step: of each component by name, and "regrowth" [C, H, W] in 0..1."""
        key_world, *keys = jax.random.split(key, 1 + len(self.components))
        draws = {
            component.name: component.draw(key_component)
            for component, key_component in zip(self.components, keys, strict=True)
        }
        return {**draws, "regrowth": regrowth_draws(self.world, key_world, self.dtype)}

    def transition(
        self, state: State, draws: Mapping[str, Any], action: Any, params: Params
    ) -> tuple[State, dict[str, jax.Array], dict[str, Any]]:
        """The rules of a step.

        Args:
            state: the state before.
            draws: as of `draw`.
            action: as of the module.
            params: the parameters.

        Returns:
            The state after, rewards by role, and what happened by component.
        """
        state = state.replace(time=state.time + jnp.int32(1))
        agents = self.agent_choices.split(action["agents"].astype(jnp.int32), self.components)
        planners = self._planner_actions(action)
        events = {}
        for component in self.components:
            name = component.name
            turn = Turn(draws[name], agents[name], planners[name])
            state, event = component.step(state, turn, params.rules[name])
            if jax.tree.leaves(event):
                events[name] = event
        resources = grow_back(
            state.resources,
            state.sources,
            draws["regrowth"],
            jnp.asarray(params.regrowth, self.dtype),
            jnp.asarray(params.max_units, jnp.int32),
            self.regrowth_reach,
        )
        state = state.replace(resources=resources)
        utility, welfare = self.objectives(state, params)
        gained, better = utility - state.utility, welfare - state.welfare
        positive = jnp.mean(gained) > 0
        state = state.replace(
            utility=utility,
            welfare=welfare,
            positive_steps=state.positive_steps + positive.astype(jnp.int32),
        )
        reward = {"agents": gained.astype(jnp.float32)}
        if self.planners:
            reward["planner"] = self._one(better.astype(jnp.float32))
        return state, reward, events

    def _planner_actions(self, action: Any) -> dict[str, dict[str, jax.Array]]:
        if not self.planners:
            return {component.name: {} for component in self.components}
        chosen = action["planner"].astype(jnp.int32)
        chosen = chosen[None] if self.planners == 1 else chosen
        return self.planner_choices.split(chosen, self.components)

    def objectives(self, state: State, params: Params) -> tuple[jax.Array, jax.Array]:
        """Each agent's utility, float [N], and the welfare of those under each planner, [P]."""
        by_episodes = self.annealing == "episodes"
        progress = state.completions if by_episodes else state.positive_steps
        constant = jnp.asarray(params.labor_annealing, self.dtype)
        weight = metrics.annealing_weight(progress.astype(self.dtype), constant)
        coin = state.total_coin
        utility = metrics.isoelastic_utility(
            coin, state.labor, params.eta, weight * params.labor_cost
        )
        groups = np.asarray(self.setting.groups)
        welfare = []
        for planner in range(self.setting.planners):
            mine = np.flatnonzero(groups == planner)
            welfare.append(self._welfare(coin[mine], utility[mine], params))
        return utility, jnp.stack(welfare)

    def _welfare(self, coin: jax.Array, utility: jax.Array, params: Params) -> jax.Array:
        if self.welfare == "coin_eq_times_productivity":
            return metrics.equality_times_productivity(
                coin, params.equality_weight, metrics.package_gini
            )
        valued = coin if self.welfare == "inv_income_weighted_coin_endowments" else utility
        return metrics.inverse_income_weighted(coin, valued)

    def measures(self, state: State) -> dict[str, jax.Array]:
        """Of a state, float32 []: what is usually reported.

        Equality, productivity (all coin), their product an agent, mean utility and labour, houses,
        and, where there is a market, trades so far.
        """
        coin = state.total_coin.astype(jnp.float32)
        equality = metrics.equality(coin)
        productivity = metrics.productivity(coin)
        return {
            "equality": equality,
            "productivity": productivity,
            "equality_times_productivity": equality * productivity / self.agents,
            "utility": jnp.mean(state.utility.astype(jnp.float32)),
            "labor": jnp.mean(state.labor.astype(jnp.float32)),
            "houses": jnp.sum(state.house != NOBODY, dtype=jnp.int32).astype(jnp.float32),
            **self._traded(state),
        }

    def _traded(self, state: State) -> dict[str, jax.Array]:
        own = state.own.get("ContinuousDoubleAuction")
        return {} if own is None else {"trades": jnp.sum(own.trades).astype(jnp.float32)}

    def episode_metrics(self, info: dict[str, Any]) -> dict[str, jax.Array]:
        """Of the last state: equality, productivity (all coin) and so on, as of `measures`."""
        names = ("equality", "productivity", "equality_times_productivity", "utility", "labor")
        return {name: info[name] for name in (*names, "houses", "trades") if name in info}

    def is_truncated(self, state: State, params: Params) -> jax.Array:
        """Whether the episode is over; it then ended by itself."""
        return state.time >= params.max_steps_in_episode

    # Observations

    def observe(self, key: jax.Array, state: State, action: Any, params: Params) -> dict[str, Any]:
        """What agents and planners see, and what they may do."""
        tables = gather_features(self, state, params)
        agents = {
            "flat": tables.agents.values.astype(jnp.float32),
            "action_mask": self.agent_choices.mask(
                {c.name: c.agent_masks(state, params.rules[c.name]) for c in self.components},
                self.agents,
            ),
            **self._agent_maps(state),
        }
        if not self.planners:
            return {"agents": agents}
        planner = {
            "flat": tables.planner.values.astype(jnp.float32),
            "by_agent": jnp.broadcast_to(
                tables.by_agent.values.astype(jnp.float32),
                (self.setting.planners, *tables.by_agent.values.shape),
            ),
            "action_mask": self.planner_choices.mask(
                {c.name: c.planner_masks(state, params.rules[c.name]) for c in self.components},
                self.setting.planners,
            ),
        }
        if self.planner_maps:
            lies = observations.channels(state, self.world.has_water)
            whose = observations.owners(state)
            for name, maps in (("map", lies), ("idx_map", whose)):
                planner[name] = jnp.broadcast_to(maps, (self.setting.planners, *maps.shape))
        return {"agents": agents, "planner": jax.tree.map(self._one, planner)}

    def _agent_maps(self, state: State) -> dict[str, jax.Array]:
        if self.full_observability:
            lies, whose = observations.whole(state, self.world.has_water)
        else:
            lies, whose = observations.egocentric(state, self.world.has_water, self.reach)
        return {"map": lies, "idx_map": whose}

    @property
    def agent_features(self) -> tuple[str, ...]:
        """Names of the columns of an agent's "flat"."""
        return self._names("agents")

    @property
    def planner_features(self) -> tuple[str, ...]:
        """Names of the columns of a planner's "flat"."""
        return self._names("planner")

    @property
    def by_agent_features(self) -> tuple[str, ...]:
        """Names of the columns of a planner's "by_agent"."""
        return self._names("by_agent")

    def _names(self, table: str) -> tuple[str, ...]:
        def tables(key: jax.Array) -> dict[str, dict[str, jax.Array]]:
            params = self.default_params
            found = gather_features(self, self._blank(key, params), params)
            return {name: one.by_name for name, one in found._asdict().items()}

        return column_names(jax.eval_shape(tables, jax.random.key(0))[table])

    def _blank(self, key: jax.Array, params: Params) -> State:
        return self._begin(key, params, None)[1]

    def role_action_space(self, role: str, params: Any = None) -> Space:
        """What a member of a role does."""
        return (self.agent_choices if role == "agents" else self.planner_choices).space()

    def role_observation_space(self, role: str, params: Any = None) -> Dict:
        """What a member of a role observes."""
        shapes = jax.eval_shape(
            lambda key: self._begin(key, self.default_params, None)[0], jax.random.key(0)
        )[role]
        leading = len(self.roles[role])
        spaces = {}
        for name, leaf in shapes.items():
            shape = leaf.shape[leading:]
            if name == "action_mask":
                spaces[name] = Box(False, True, shape, jnp.bool_)
            elif leaf.dtype == jnp.int8:
                spaces[name] = Box(0, np.iinfo(np.int8).max, shape, jnp.int8)
            else:
                spaces[name] = Box(-FINITE, FINITE, shape, jnp.float32)
        return Dict(spaces)

    def _one(self, values: jax.Array) -> jax.Array:
        """[P, ...] as it is shown: without the axis if there is one planner."""
        return values[0] if self.setting.planners == 1 else values
