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

from jaxrl.envs.economy import layouts, saez
from jaxrl.envs.economy.checks import entries, number, numbers_of, one_of, whole
from jaxrl.envs.economy.components import COMPONENTS
from jaxrl.envs.economy.components.auction import ContinuousDoubleAuction
from jaxrl.envs.economy.components.bracket_tax import SYSTEMS, PeriodicBracketTax
from jaxrl.envs.economy.components.build import Build
from jaxrl.envs.economy.components.component import Component
from jaxrl.envs.economy.components.gather import Gather
from jaxrl.envs.economy.economy import Economy, Params
from jaxrl.envs.economy.observations import MOST_AGENTS
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
    """The scenario of the paper, with its options.

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
        rate_step: between two rates that planners choose of; 0.05 if None.
        saez_buffer: samples of incomes that Saez's formula keeps; 500 if None.
        planners: P, 1 to N / 2; agent i lives under planner i mod P.
        max_multiplier: the highest skill of a builder. Where agents start in corners their pay
            follows from it, and `params.rules["Build"].max_multiplier` must be the same.
        components: the components, or names of `COMPONENTS` for those with their defaults, in
            the order in which they act, or a single one; the four of the paper if None, for which
            alone `tax`, `fixed_rates`, `cutoffs`, `rate_step` and `saez_buffer` are.
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
            options that would have no effect; and as of `Economy` and the components.
    """

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
        rate_step: float | None = None,
        saez_buffer: int | None = None,
        planners: int = 1,
        max_multiplier: float = 3.0,
        components: str | Component | Sequence[str | Component] | None = None,
        reach: int = 5,
        full_observability: bool = False,
        planner_maps: bool = False,
        simultaneous: bool = False,
        welfare: str = "coin_eq_times_productivity",
        annealing: str = "positive_steps",
        regrowth_reach: tuple[int, int] = (0, 0),
        dtype: Any = jnp.float32,
    ):
        agents, planners = whole("agents", agents, 2, MOST_AGENTS), whole("planners", planners, 1)
        if planners > agents // 2:
            raise ValueError(
                f"planners must have at least 2 of {agents} agents each, so at most {agents // 2}"
                f" planners, got {planners}"
            )
        if start is not None:
            one_of("start", start, STARTS)
        world = _world(layout, size)
        self.start_from = start or ("corners" if world.layout is not None else "random")
        parts = _components(
            components,
            self.default_tax,
            tax=tax,
            fixed_rates=numbers_of("fixed_rates", fixed_rates) or None,
            cutoffs=numbers_of("cutoffs", cutoffs) or None,
            rate_step=rate_step,
            saez_buffer=saez_buffer,
        )
        self.max_multiplier = _highest_skill(max_multiplier)
        super().__init__(
            components=parts,
            world=world,
            agents=agents,
            groups=[agent % planners for agent in range(agents)],
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
        own = params.rules[build.name].replace(max_multiplier=self.max_multiplier)
        return params.replace(rules={**params.rules, build.name: own})

    def check_params(self, params: Params) -> None:
        """Raises a `ValueError` that names a parameter beyond its limits, or without effect."""
        super().check_params(params)
        build = self._builder()
        if self.corners is None or build is None:
            return
        highest = params.rules[build.name].max_multiplier
        if isinstance(highest, jax.core.Tracer):
            return
        wrong = np.asarray(highest, np.float32) != np.float32(self.max_multiplier)
        if wrong.any():
            raise ValueError(
                f"{build.name}.max_multiplier has no effect where agents start in corners: the"
                f" constructor's max_multiplier decides, {self.max_multiplier}"
            )

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


def _highest_skill(max_multiplier: Any) -> float:
    highest = number("max_multiplier", max_multiplier)
    if not 1 <= highest < np.inf:
        raise ValueError(f"max_multiplier must be finite and at least 1, got {highest}")
    return highest


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


def _components(components: Any, default_tax: str, **options: Any) -> tuple[Component, ...]:
    """Components as they are given, or the four of the paper; None is an option left out."""
    given = {name: value for name, value in options.items() if value is not None}
    if components is None:
        taxes = _taxes(given.pop("tax", default_tax), given)
        return Build(skills="pareto"), ContinuousDoubleAuction(), Gather(skills="pareto"), taxes
    if given:
        raise ValueError(f"not for components that are given: {', '.join(given)}")
    if isinstance(components, str | Component):
        components = (components,)
    return tuple(_component(component) for component in entries("components", components))


def _taxes(system: str, options: dict[str, Any]) -> PeriodicBracketTax:
    """Taxes of a system, with the options that are given."""
    for name, owner in (("rate_step", "learned"), ("saez_buffer", "saez")):
        if name in options and system in SYSTEMS and system != owner:
            raise ValueError(f"{name} is of the system {owner}, not of {system}")
    if "rate_step" in options:
        number("rate_step", options["rate_step"])
    if "saez_buffer" in options:
        options["buffer"] = whole("saez_buffer", options.pop("saez_buffer"), saez.FEWEST)
    return PeriodicBracketTax(system, **options)


def _component(component: Any) -> Component:
    if isinstance(component, Component):
        return component
    if not isinstance(component, str) or component not in COMPONENTS:
        raise ValueError(f"unknown component {component!r}; one of {', '.join(COMPONENTS)}")
    made: Component = COMPONENTS[component]()
    return made
