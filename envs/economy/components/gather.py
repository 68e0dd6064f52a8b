"""Gather: agents move by a tile, and take what lies where they are.

In a step agents act one after the other in random order: none enters a tile on which another one
stands at that moment, water, another's house, or what is beyond the map. A unit that lies on an
agent's tile is taken, whether it moved or not; with a skill for it there may be a second one.

Source: Zheng et al. (2020), arXiv 2004.13332; `ai-economist` 1.7.1, `Gather`.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.envs.economy.components.component import Component, Features, Setting, Subspace, Turn
from jaxrl.envs.economy.components.drawn_skills import check_distribution, lognormal, lomax
from jaxrl.envs.economy.limits import check_limits
from jaxrl.envs.economy.ordering import random_order
from jaxrl.envs.economy.state import COMMODITIES, State, tile_of
from jaxrl.envs.economy.tiles import accessible, at, put

DIRECTIONS = ((0, -1), (0, 1), (-1, 0), (1, 0))  # left, right, up, down; rows grow downwards
_UNROLLED = 8  # turns computed in one iteration of the loop


class GatherParams(struct.PyTreeNode):
    """Numbers of `Gather`.

    Attributes:
        move_labor: of a move.
        collect_labor: of taking what lies on a tile.
    """

    move_labor: float = 1.0
    collect_labor: float = 1.0


class GatherState(struct.PyTreeNode):
    """What `Gather` remembers.

    Attributes:
        bonus_probability: float [N], of a second unit.
    """

    bonus_probability: jax.Array


@dataclasses.dataclass(frozen=True)
class Gather(Component):
    """Moving and gathering.

    Attributes:
        skills: distribution of skills, "none", "pareto" or "lognormal".
    """

    skills: str = "none"

    def placed(self, setting: Setting) -> Component:
        """Raises `ValueError` for unknown skills."""
        check_distribution("Gather.skills", self.skills)
        return super().placed(setting)

    def agent_actions(self) -> tuple[Subspace, ...]:
        """To go left, right, up or down."""
        return (Subspace("", len(DIRECTIONS)),)

    def params(self) -> GatherParams:
        """The package's numbers."""
        return GatherParams()

    def check_params(self, params: GatherParams) -> None:
        """Raises a `ValueError` that names a parameter beyond its limits."""
        check_limits(params, "Gather", move_labor=(0, None), collect_labor=(0, None))

    def reset(self, key: jax.Array, state: State, params: Any, before: Any = None) -> State:
        """Draws skills: the probability of a second unit is half a draw, at most 1."""
        size, dtype = (self.where.agents,), self.where.dtype
        if self.skills == "none":
            probability = jnp.zeros(size, dtype)
        elif self.skills == "pareto":
            probability = jnp.minimum(2, lomax(key, 3.0, size, dtype)) / 2
        else:
            probability = jnp.minimum(2, lognormal(key, -2.022, 0.938, size, dtype)) / 2
        return state.replace(own={**state.own, self.name: GatherState(probability)})

    def draw(self, key: jax.Array) -> dict[str, jax.Array]:
        """The order of turns, and draws for second units (not used where there is no skill)."""
        key_order, key_bonus = jax.random.split(key)
        agents = self.where.agents
        if self.skills == "none":
            bonus = jnp.ones((len(COMMODITIES), agents), self.where.dtype)
        else:
            bonus = jax.random.uniform(key_bonus, (len(COMMODITIES), agents), self.where.dtype)
        return {"order": random_order(key_order, agents), "bonus": bonus}

    def step(self, state: State, turn: Turn, params: Any) -> tuple[State, dict[str, jax.Array]]:
        """Moves in turn, and what lies on the tiles that agents are on then."""
        location = self._move(state, turn.draws["order"], turn.agents[""])
        moved = jnp.any(location != state.location, axis=-1)
        lying = at(state.resources, location)
        found = lying > 0
        bonus = turn.draws["bonus"] < state.own[self.name].bonus_probability[None, :]
        taken = found.astype(jnp.int32)
        gathered = taken + (found & bonus).astype(jnp.int32)
        dtype = state.coin.dtype
        work = (
            moved.astype(dtype) * params.move_labor
            + jnp.sum(taken, axis=0, dtype=jnp.int32).astype(dtype) * params.collect_labor
        )
        after = state.replace(
            location=location,
            units=state.units + gathered,
            resources=put(state.resources, location, lying - found.astype(jnp.int8)),
            labor=state.labor + work,
        )
        return after, {"moved": moved, "gathered": gathered}

    def observe(self, state: State, params: Any) -> Features:
        """Each agent sees its skill."""
        own = state.own[self.name]
        return Features(agents={"bonus_gather_prob": own.bonus_probability})

    def agent_masks(self, state: State, params: Any) -> dict[str, jax.Array]:
        """Neighbouring tiles that could be entered now."""
        agents, choices = self.where.agents, len(DIRECTIONS)
        steps = jnp.asarray(DIRECTIONS, jnp.int32)
        wanted = (state.location[:, None] + steps[None]).reshape((-1, 2))
        who = jnp.repeat(jnp.arange(agents, dtype=jnp.int32), choices)
        free = accessible(wanted, who, state.water, state.house)
        there = jnp.all(wanted[:, None] == state.location[None], axis=-1)
        return {"": (free & ~jnp.any(there, axis=1)).reshape((agents, choices))}

    def _move(self, state: State, order: jax.Array, action: jax.Array) -> jax.Array:
        """Where agents are after their turns, int32 [N, 2]."""
        agents = self.where.agents
        who = jnp.arange(agents, dtype=jnp.int32)
        steps = jnp.asarray(((0, 0), *DIRECTIONS), jnp.int32)
        wanted = state.location + steps[action]
        open_to = (action > 0) & accessible(wanted, who, state.water, state.house)
        width = state.water.shape[1]
        goal = tile_of(wanted, width)

        def turn(tiles: jax.Array, agent: jax.Array) -> tuple[jax.Array, None]:
            mine = who == agent
            target = jnp.sum(jnp.where(mine, goal, 0), dtype=jnp.int32)
            free = ~jnp.any(tiles == target)
            return jnp.where(mine & open_to & free, target, tiles), None

        tiles = tile_of(state.location, width)
        tiles, _ = jax.lax.scan(turn, tiles, order, unroll=min(agents, _UNROLLED))
        return jnp.where((tiles == goal)[:, None] & open_to[:, None], wanted, state.location)
