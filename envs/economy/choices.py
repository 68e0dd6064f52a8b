"""How actions of agents and planners are laid out over the components' choices."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.economy.checks import whole
from jaxrl.envs.economy.components.component import Component, Subspace
from jaxrl.spaces import Discrete, MultiDiscrete


class Choices(NamedTuple):
    """The choices of a role, in the order of components.

    Attributes:
        subspaces: (component's name, choice).
        several: whether one of each subspace is chosen at once, or one thing of all of them.
    """

    subspaces: tuple[tuple[str, Subspace], ...]
    several: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What there is to do: actions where one thing is chosen, and else subspaces."""
        if self.several:
            return tuple(_name(component, choice) for component, choice in self.subspaces)
        things = []
        for component, choice in self.subspaces:
            name = _name(component, choice)
            things += [f"{name}/{i}" for i in range(choice.size)] if choice.size > 1 else [name]
        return ("nothing", *things)

    def space(self) -> Discrete | MultiDiscrete:
        """Actions of a member of the role."""
        sizes = [choice.size for _, choice in self.subspaces]
        if self.several:
            return MultiDiscrete([size + 1 for size in sizes])
        return Discrete(1 + sum(sizes))

    def split(
        self, action: jax.Array, components: Sequence[Component]
    ) -> dict[str, dict[str, jax.Array]]:
        """Actions by component and subspace, int32 [M] each, 0 where nothing is done.

        Args:
            action: int32 [M], or [M, K] where K subspaces are chosen of.
            components: all of them, also those without choices.
        """
        chosen: dict[str, dict[str, jax.Array]] = {component.name: {} for component in components}
        before = 0
        for index, (name, choice) in enumerate(self.subspaces):
            own = action[:, index] if self.several else action - jnp.int32(before)
            there = (own >= 1) & (own <= choice.size)
            chosen[name][choice.name] = jnp.where(there, own, 0)
            before += choice.size
        return chosen

    def mask(self, masks: Mapping[str, Mapping[str, jax.Array]], members: int) -> jax.Array:
        """What members may do, bool [M, A], or [M, K, 1 + the largest size]; nothing, always.

        Args:
            masks: bool [M, size] by component and subspace.
            members: M.
        """
        parts = [masks[name][choice.name] for name, choice in self.subspaces]
        idle = jnp.ones((members, 1), jnp.bool_)
        if not self.several:
            return jnp.concatenate([idle, *parts], axis=1)
        most = max(choice.size for _, choice in self.subspaces)
        padded = [
            jnp.pad(jnp.concatenate([idle, part], axis=1), ((0, 0), (0, most - part.shape[1])))
            for part in parts
        ]
        return jnp.stack(padded, axis=1)


def choices_of(
    components: Sequence[Component],
    of: Callable[[Component], tuple[Subspace, ...]],
    several: bool,
) -> Choices:
    """The choices that components give a role, `of` a component.

    Raises:
        ValueError: two choices of one component that have the same name, or one of nothing.
    """
    subspaces: list[tuple[str, Subspace]] = []
    for component in components:
        choices = of(component)
        names = [choice.name for choice in choices]
        if len(set(names)) < len(names):
            raise ValueError(f"choices of {component.name} must have different names, got {names}")
        for choice in choices:
            whole(f"the size of {_name(component.name, choice)}", choice.size, 1)
        subspaces += [(component.name, choice) for choice in choices]
    return Choices(tuple(subspaces), several)


def _name(component: str, choice: Subspace) -> str:
    return f"{component}.{choice.name}" if choice.name else component
