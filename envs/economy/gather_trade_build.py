"""Gather-Trade-Build: agents gather wood and stone, trade them, and build houses, under taxes.

Four agents of different skill live on a map in quadrants, one of which has both commodities, one
each of them, and one neither; a cross of water with gaps divides them. A house costs one wood and
one stone and pays its builder 11.33 to 22.25 coin, by skill, and 10 labour. What lies on a tile is
gathered by who steps there; units and coin change hands on a market; at the end of each period of
100 steps income is taxed by the planner's brackets and shared out. See `jaxrl.envs.economy.economy`
for observations, actions (50 of an agent, 7 x 22 of the planner) and rewards, all as in the paper.

Source: Zheng et al. (2020), "The AI Economist", arXiv 2004.13332; `ai-economist` 1.7.1. The map is
our own, after the paper's description; `layout` takes any other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.economy import layouts
from jaxrl.envs.economy.checks import one_of, whole
from jaxrl.envs.economy.components import COMPONENTS
from jaxrl.envs.economy.components.auction import ContinuousDoubleAuction
from jaxrl.envs.economy.components.bracket_tax import PeriodicBracketTax
from jaxrl.envs.economy.components.build import Build
from jaxrl.envs.economy.components.component import Component
from jaxrl.envs.economy.components.gather import Gather
from jaxrl.envs.economy.economy import Economy, Params
from jaxrl.envs.economy.ordering import random_order
from jaxrl.envs.economy.state import State
from jaxrl.envs.economy.uniform import UniformMaps
from jaxrl.envs.economy.world import World, fixed_world, random_world

STARTS = ("corners", "random")
LAYOUTS = ("quadrants", "uniform")
_RANKED_DRAWS = 100_000  # populations whose ranked skills are averaged
_RANKED_SEED = 1
_PARETO = 4.0


class GatherTradeBuild(Economy):
    """The scenario of the paper, with its options."""

    default_tax = "learned"

    def __init__(
        self,
        agents: int = 4,
        layout: Any = "quadrants",
        size: int = 25,
        start: str | None = None,
        tax: str | None = None,
        fixed_rates: Sequence[float] = (),
        cutoffs: Sequence[float] = (),
        rate_step: float = 0.05,
        saez_buffer: int = 500,
        planners: int = 1,
        max_multiplier: float = 3.0,
        components: Sequence[str | Component] | None = None,
        reach: int = 5,
        full_observability: bool = False,
        planner_maps: bool = False,
        simultaneous: bool = False,
        welfare: str = "coin_eq_times_productivity",
        annealing: str = "positive_steps",
        regrowth_reach: tuple[int, int] = (0, 0),
        dtype: Any = jnp.float32,
    ):
        """A scenario.

        Args:
            agents: N.
            layout: "quadrants"; "uniform", a random map in each episode; `UniformMaps` with other
                options; a `Layout`; its text; the path of a file with it, which ends in ".txt"; or
                a `World`.
            size: H and W of the first two.
            start: "corners", where agents begin in corners by skill and are paid by rank, or
                "random"; by default corners, and random on uniform maps.
            tax: one of `bracket_tax.SYSTEMS`; "learned", the default, has planners, others have
                none.
            fixed_rates: of the system "fixed".
            cutoffs: incomes at which brackets begin; the 7 of 2018 if empty.
            rate_step: between two rates that planners choose of.
            saez_buffer: samples of incomes that Saez's formula keeps.
            planners: P; agent i lives under planner i mod P.
            max_multiplier: the highest skill of a builder. Where agents start in corners their pay
                follows from it, and `params.rules["Build"].max_multiplier` changes nothing.
            components: the components, or names of `COMPONENTS` for those with their defaults, in
                the order in which they act; the four of the paper if None, for which alone `tax`,
                `fixed_rates`, `cutoffs`, `rate_step` and `saez_buffer` are.
            reach: tiles that agents see in each direction.
            full_observability: as of `Economy`, and so all that follow.
            planner_maps: whether planners see the map.
            simultaneous: whether agents choose for each component apart.
            welfare: the planners'.
            annealing: what labour is annealed by.
            regrowth_reach: how far around a source counts for what grows back on it.
            dtype: of what is not whole.

        Raises:
            ValueError: unknown components, layouts or starts; more agents than starting places;
                and as of `Economy` and the components.
        """
        whole("planners", planners, 1)
        if start is not None:
            one_of("start", start, STARTS)
        world = _world(layout, size)
        self.start_from = start or ("corners" if world.layout is not None else "random")
        if components is None:
            taxes = PeriodicBracketTax(
                system=self.default_tax if tax is None else tax,
                cutoffs=tuple(cutoffs),
                fixed_rates=tuple(fixed_rates),
                rate_step=rate_step,
                buffer=saez_buffer,
            )
            market = ContinuousDoubleAuction()
            components = (Build(skills="pareto"), market, Gather(skills="pareto"), taxes)
        elif tax is not None or len(fixed_rates) or len(cutoffs):
            raise ValueError("tax, fixed_rates and cutoffs are not for components that are given")
        if not 1 <= max_multiplier < np.inf:
            raise ValueError(f"max_multiplier must be finite and at least 1, got {max_multiplier}")
        self.max_multiplier = max_multiplier
        super().__init__(
            components=[_component(component) for component in components],
            world=world,
            agents=agents,
            groups=None
            if planners == 1
            else [i % planners for i in range(whole("agents", agents, 2))],
            reach=reach,
            full_observability=full_observability,
            planner_maps=planner_maps,
            simultaneous=simultaneous,
            welfare=welfare,
            annealing=annealing,
            regrowth_reach=regrowth_reach,
            dtype=dtype,
        )
        self.corners = None
        if self.start_from == "corners":
            self.corners = self._corners()

    @property
    def name(self) -> str:
        """`GatherTradeBuild-v1`."""
        return "GatherTradeBuild-v1"

    @property
    def default_params(self) -> Params:
        """The package's numbers, and the highest skill of the constructor."""
        params = super().default_params
        build = self._builder()
        if build is None:
            return params
        own = params.rules[build.name].replace(max_multiplier=float(self.max_multiplier))
        return params.replace(rules={**params.rules, build.name: own})

    def _builder(self) -> Build | None:
        return next((c for c in self.components if isinstance(c, Build)), None)

    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Places int32 [N, 2] and payments float64 [N] by rank of skill."""
        if self.world.layout is None:
            raise ValueError("agents start from corners on a fixed layout only, not on random maps")
        build = self._builder()
        if build is None or build.skills != "pareto":
            raise ValueError(
                "agents start from corners by skill: that needs Build(skills='pareto')"
            )
        places = layouts.starting_places(self.agents, self.world.shape, self.world.layout)
        return places, ranked_payments(self.agents, self.max_multiplier, build.payment)

    def start(self, key: jax.Array, state: State, params: Params) -> State:
        """Ranks at random, where agents start by rank; drawn skills are then shown, not paid."""
        if self.corners is None:
            return state
        return self.ranked(state, random_order(key, self.agents))

    def ranked(self, state: State, order: jax.Array) -> State:
        """Agents by rank, int32 [N], the least skilled first, in its corner and with its pay."""
        build = self._builder()
        assert self.corners is not None and build is not None
        places, payments = self.corners
        rank = jnp.arange(self.agents, dtype=jnp.int32)
        has = order[None, :] == rank[:, None]  # [agent, rank]
        mine = jnp.sum(jnp.where(has, rank[None, :], 0), axis=1, dtype=jnp.int32)
        own = state.own[build.name].replace(payment=jnp.asarray(payments, self.dtype)[mine])
        return state.replace(location=jnp.asarray(places)[mine], own={**state.own, build.name: own})


class OpenGatherTradeBuild(GatherTradeBuild):
    """Gather-Trade-Build without taxes and planner: the free market, the default of `tax`."""

    default_tax = "none"

    @property
    def name(self) -> str:
        """`GatherTradeBuild-Open-v1`."""
        return "GatherTradeBuild-Open-v1"


def ranked_payments(agents: int, max_multiplier: float, payment: float) -> np.ndarray:
    """Pay for a house by rank of skill, the least skilled first, float64 [N].

    The mean of ranked draws min(m, (m - 1) x + 1) over 100,000 populations of N, x from a Pareto
    (Lomax) distribution with parameter 4, times the payment for a skill of 1. Four agents get
    11.33, 13.27, 16.47, 22.25 coin with m = 3 and 10 coin. The draws are those of the package.
    """
    draws = np.random.RandomState(_RANKED_SEED).pareto(_PARETO, (_RANKED_DRAWS, agents))
    skills = np.minimum(max_multiplier, (max_multiplier - 1) * draws + 1)
    return np.sort(skills, axis=1).mean(axis=0) * payment


def _world(layout: Any, size: int) -> World:
    if isinstance(layout, World):
        return layout
    if isinstance(layout, layouts.Layout):
        return fixed_world(layout)
    if isinstance(layout, UniformMaps):
        return random_world(layout)
    if not isinstance(layout, str):
        raise ValueError(f"layout must be a name, a text or a `Layout`, got {layout!r}")
    if layout in LAYOUTS:
        whole("size", size, 2)
    if layout == "quadrants":
        return fixed_world(layouts.quadrants(size))
    if layout == "uniform":
        return random_world(UniformMaps((size, size)))
    if layout.endswith(".txt"):
        return fixed_world(layouts.load(Path(layout)))
    if "\n" in layout or ";" in layout or layouts.is_row(layout):
        return fixed_world(layouts.parse(layout))
    raise ValueError(
        f"unknown layout {layout!r}; one of {', '.join(LAYOUTS)}, the path of a .txt file, or rows"
        " of symbols"
    )


def _component(component: str | Component) -> Component:
    if isinstance(component, Component):
        return component
    if component not in COMPONENTS:
        raise ValueError(f"unknown component {component!r}; one of {', '.join(COMPONENTS)}")
    made: Component = COMPONENTS[component]()
    return made
