"""Build: one unit of each commodity becomes a house, for which its builder is paid.

A house needs a tile without anything on it, not even a source. The pay is skill x `payment`, where
the skill is 1, or drawn at the beginning of an episode: min(m, (m - 1) x + 1) with x of a Pareto
(Lomax) distribution with parameter 4, or log-normal.

Source: Zheng et al. (2020), arXiv 2004.13332; `ai-economist` 1.7.1, `Build`.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.envs.economy.components.component import Component, Features, Setting, Subspace, Turn
from jaxrl.envs.economy.components.drawn_skills import check_distribution, lognormal, lomax
from jaxrl.envs.economy.limits import check_limits
from jaxrl.envs.economy.state import NOBODY, State
from jaxrl.envs.economy.tiles import at, put


class BuildParams(struct.PyTreeNode):
    """Numbers of `Build`.

    Attributes:
        labor: of building a house.
        max_multiplier: m, the highest skill; at least 1.
    """

    labor: float = 10.0
    max_multiplier: float = 1.0


class BuildState(struct.PyTreeNode):
    """What `Build` remembers.

    Attributes:
        payment: float [N], coin for a house.
        skill: float [N], the draw that it comes from; 1 without draws.
    """

    payment: jax.Array
    skill: jax.Array


@dataclasses.dataclass(frozen=True)
class Build(Component):
    """Building of houses.

    Attributes:
        payment: coin for a house at a skill of 1; positive.
        skills: distribution of skills, one of `drawn_skills.SKILLS`.
    """

    payment: float = 10.0
    skills: str = "none"

    def placed(self, setting: Setting) -> Component:
        """Raises `ValueError` for a payment that is not positive, or unknown skills."""
        if not 0 < self.payment < float("inf"):
            raise ValueError(f"Build.payment must be positive, got {self.payment}")
        check_distribution("Build.skills", self.skills)
        return super().placed(setting)

    def agent_actions(self) -> tuple[Subspace, ...]:
        """To build."""
        return (Subspace("", 1),)

    def params(self) -> BuildParams:
        """The package's numbers."""
        return BuildParams()

    def check_params(self, params: BuildParams) -> None:
        """Raises a `ValueError` that names a parameter beyond its limits."""
        check_limits(params, "Build", labor=(0, None), max_multiplier=(1, None))

    def reset(self, key: jax.Array, state: State, params: Any, before: Any = None) -> State:
        """Draws skills."""
        size, dtype = (self.where.agents,), self.where.dtype
        if self.skills == "none":
            skill = rate = jnp.ones(size, dtype)
        else:
            if self.skills == "pareto":
                skill = lomax(key, 4.0, size, dtype)
            else:
                skill = lognormal(key, -1.0, 0.5, size, dtype)
            highest = jnp.asarray(params.max_multiplier, dtype)
            rate = jnp.minimum(highest, (highest - 1) * skill + 1)
        own = BuildState(payment=rate * self.payment, skill=skill)
        return state.replace(own={**state.own, self.name: own})

    def step(self, state: State, turn: Turn, params: Any) -> tuple[State, dict[str, jax.Array]]:
        """Houses of those who want one and can; nobody is in another's way."""
        builds = (turn.agents[""] > 0) & self._can_build(state)
        spent = builds.astype(jnp.int32)[None, :]
        dtype = state.coin.dtype
        owner = jnp.arange(self.where.agents, dtype=jnp.int8)
        house = jnp.where(builds, owner, at(state.house, state.location))
        income = jnp.where(builds, state.own[self.name].payment, 0)
        after = state.replace(
            units=state.units - spent,
            house=put(state.house, state.location, house),
            coin=state.coin + income,
            labor=state.labor + builds.astype(dtype) * params.labor,
        )
        return after, {"builds": builds, "income": income}

    def observe(self, state: State, params: Any) -> Features:
        """Each agent sees its skill and what it is paid, relative to `payment`."""
        own = state.own[self.name]
        return Features(
            agents={"build_payment": own.payment / self.payment, "build_skill": own.skill}
        )

    def agent_masks(self, state: State, params: Any) -> dict[str, jax.Array]:
        """Who can build where it stands."""
        return {"": self._can_build(state)[:, None]}

    def _can_build(self, state: State) -> jax.Array:
        """bool [N]: a unit of each at hand, and an empty tile."""
        tile_has = at(state.resources > 0, state.location) | at(state.sources, state.location)
        taken = at((state.house != NOBODY) | state.water, state.location)
        return jnp.all(state.units > 0, axis=0) & ~jnp.any(tile_has, axis=0) & ~taken
