"""SimpleLabor: agents choose how many hours to work, and earn skill x hours.

Source: Zheng et al. (2021), arXiv 2108.02755; `ai-economist` 1.7.1, `SimpleLabor`, with two
differences: `pareto` is heeded, and labour of the last choice is what is done (both as in
`jaxrl.envs.economy.one_step`).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.envs.economy.components.component import Component, Features, Setting, Subspace, Turn
from jaxrl.envs.economy.response import HOURS
from jaxrl.envs.economy.skills import pareto_skills
from jaxrl.envs.economy.state import State


class LaborState(struct.PyTreeNode):
    """What `SimpleLabor` remembers.

    Attributes:
        skill: float [N], coin an hour.
        production: float [N], income before taxes in this episode.
    """

    skill: jax.Array
    production: jax.Array


@dataclasses.dataclass(frozen=True)
class SimpleLabor(Component):
    """Work by the hour, 0 to 100 of them a step.

    Attributes:
        max_multiplier: the highest skill; at least 1.
        pareto: of the distribution of skills.
        mask_first_step: whether nobody should work in an episode's first step, in which a planner
            sets taxes.
        seed: of the draws whose means skills are.
    """

    max_multiplier: float = 3.0
    pareto: float = 4.0
    mask_first_step: bool = True
    seed: int = 0

    def placed(self, setting: Setting) -> Component:
        """Raises `ValueError` where there is no such distribution of skills."""
        self._skills(setting.agents)
        return super().placed(setting)

    def agent_actions(self) -> tuple[Subspace, ...]:
        """Hours."""
        return (Subspace("", HOURS),)

    def reset(self, key: jax.Array, state: State, params: Any, before: Any = None) -> State:
        """Skills by rank, and no income yet."""
        skill = jnp.asarray(self._skills(self.where.agents), self.where.dtype)
        own = LaborState(skill=skill, production=jnp.zeros_like(skill))
        return state.replace(own={**state.own, self.name: own})

    def step(self, state: State, turn: Turn, params: Any) -> tuple[State, dict[str, jax.Array]]:
        """Work; labour is that of the last step in which an agent worked."""
        hours, own = turn.agents[""], state.own[self.name]
        worked = hours.astype(state.coin.dtype)
        income = worked * own.skill
        after = state.replace(
            coin=state.coin + income,
            labor=jnp.where(hours > 0, worked, state.labor),
            own={**state.own, self.name: own.replace(production=own.production + income)},
        )
        return after, {"income": income}

    def observe(self, state: State, params: Any) -> Features:
        """Each agent sees its skill, relative to the highest."""
        return Features(agents={"skill": state.own[self.name].skill / self.max_multiplier})

    def agent_masks(self, state: State, params: Any) -> dict[str, jax.Array]:
        """All hours, but in the first step if so chosen."""
        allowed = (state.time > 0) | (not self.mask_first_step)
        return {"": jnp.broadcast_to(allowed, (self.where.agents, HOURS))}

    def _skills(self, agents: int) -> np.ndarray:
        return pareto_skills(agents, self.max_multiplier, self.pareto, self.seed)
