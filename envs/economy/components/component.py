"""What a component of an economy is.

A component adds actions, rules, observations and masks. It is a frozen dataclass of what is static;
numbers that may be swept are its `params`, a pytree, and what it must remember is its own part of
the state, `state.own[component.name]`. In a step the components act one after the other, each on
the state that the one before it left.

All methods are pure and unbatched. The randomness of a step is drawn apart from its rules, by
`draw`, so that `step` can replay draws of a tape.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.economy.state import State


class Setting(NamedTuple):
    """What components must know of the economy that they are part of.

    Attributes:
        agents: N.
        shape: H and W of the map.
        groups: for each agent the planner under whom it lives, N numbers from 0.
        dtype: of all numbers that are not whole, float32 but in conformance tests.
        simultaneous: whether agents choose one of each subspace in a step, or one thing of all.
    """

    agents: int
    shape: tuple[int, int]
    groups: tuple[int, ...]
    dtype: Any
    simultaneous: bool = False

    @property
    def planners(self) -> int:
        """P, how many groups there are."""
        return max(self.groups) + 1


class Subspace(NamedTuple):
    """A choice that a component adds: nothing, or one of `size` things.

    Attributes:
        name: of the choice, such as "Buy_Wood"; "" where a component has just one.
        size: without doing nothing.
    """

    name: str
    size: int


class Turn(NamedTuple):
    """What a component's step is made of besides the state.

    Attributes:
        draws: as of `Component.draw`.
        agents: int32 [N] for each of `Component.agent_actions`, by name: 0 is to do nothing.
        planners: int32 [P] for each of `Component.planner_actions`.
    """

    draws: Any
    agents: Mapping[str, jax.Array]
    planners: Mapping[str, jax.Array]


class Features(NamedTuple):
    """What a component shows; each entry is a named feature, without the component's name.

    Attributes:
        agents: to each agent, float [N] or [N, K].
        planner: to the planners, float [] or [K], the same to each, or [P, K] if in `per_planner`.
        by_agent: to the planners about each agent, float [N] or [N, K].
        per_planner: names in `planner` with a leading axis of planners.
    """

    agents: Mapping[str, jax.Array] = {}
    planner: Mapping[str, jax.Array] = {}
    by_agent: Mapping[str, jax.Array] = {}
    per_planner: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Component:
    """A component that does nothing; others override what they need.

    Attributes:
        setting: the economy that it is part of; given by the scenario (`placed`).
    """

    setting: Setting | None = dataclasses.field(default=None, kw_only=True)

    @property
    def name(self) -> str:
        """By which state, parameters, actions and features are called; that of the class."""
        return type(self).__name__

    def placed(self, setting: Setting) -> "Component":
        """This component as part of an economy.

        Raises:
            ValueError: a component that cannot be part of it.
        """
        return dataclasses.replace(self, setting=setting)

    @property
    def where(self) -> Setting:
        """The economy that it is part of."""
        if self.setting is None:
            raise ValueError(f"{self.name} is not part of an economy yet: use `placed`")
        return self.setting

    def agent_actions(self) -> tuple[Subspace, ...]:
        """Choices of each agent."""
        return ()

    def planner_actions(self) -> tuple[Subspace, ...]:
        """Choices of each planner."""
        return ()

    def params(self) -> Any:
        """Default parameters, a `flax.struct` dataclass or ()."""
        return ()

    def check_params(self, params: Any) -> None:
        """Raises a `ValueError` that names a parameter beyond its limits."""

    def reset(self, key: jax.Array, state: State, params: Any, before: Any = None) -> State:
        """The state at the beginning of an episode, with `state.own[self.name]` if it has one.

        Args:
            key: of its draws.
            state: agents with nothing but what the scenario gives them, placed on the map.
            params: its own.
            before: its own state at the end of the episode before, where there was one: what is
                learned or annealed goes on from it.
        """
        return state

    def share(self, own: Any) -> Any:
        """Its own states in E economies side by side, leaves [E, ...], after they have shared."""
        return own

    def draw(self, key: jax.Array) -> Any:
        """The draws of a step, a pytree, independent of the state."""
        return ()

    def step(self, state: State, turn: Turn, params: Any) -> tuple[State, Any]:
        """The rules.

        Args:
            state: the state before.
            turn: draws and actions.
            params: its own.

        Returns:
            The state after, and what happened, a pytree that goes into `info`; () if nothing does.
        """
        return state, ()

    def observe(self, state: State, params: Any) -> Features:
        """What it shows of a state."""
        return Features()

    def agent_masks(self, state: State, params: Any) -> dict[str, jax.Array]:
        """What agents may choose, bool [N, size], for each of `agent_actions`; by default all."""
        return _everything(self.agent_actions(), self.where.agents)

    def planner_masks(self, state: State, params: Any) -> dict[str, jax.Array]:
        """What planners may choose, bool [P, size], for each of `planner_actions`."""
        return _everything(self.planner_actions(), self.where.planners)


def _everything(choices: tuple[Subspace, ...], members: int) -> dict[str, jax.Array]:
    return {choice.name: jnp.ones((members, choice.size), jnp.bool_) for choice in choices}
