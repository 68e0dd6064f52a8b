"""Games: what environments for several agents add to the contract of `jaxrl.environment`.

Whoever acts does so in a *role*. The members of a role share spaces and are stacked: observations,
actions and rewards are dictionaries by role whose leaves begin with the role's shape, `(N,)` for N
members and `()` for one that stands alone. With four agents and one planner

    obs = {"agents": leaves [4, ...], "planner": leaves [...]}
    reward = {"agents": float32 [4], "planner": float32 []}

- `env.roles` is a dict of these shapes by name, in the order in which roles are listed everywhere.
- `role_observation_space(role, params)` and `role_action_space(role, params)` are those of one
  member; `observation_space` and `action_space` those of everybody, stacked, by role.
- An episode ends for all at once: `terminated` and `is_truncated` are bool [].
- Where one return is wanted of a game (`episode_return` of a run, a learning curve) it is the mean
  over the members of the first role.
- `env.next_episode(key, state, params) -> (obs, state)`, where an environment has it, is
  `reset_env` that takes over from the state in which an episode ended what persists over episodes:
  counters by which something is annealed, what a tax system has learned. `jaxrl.vector.VecEnv` asks
  it in place of `reset_env`, whether the environment is a game or not.
"""

from abc import abstractmethod
from typing import Any

import numpy as np

from jaxrl.environment import Environment
from jaxrl.roles import Shape, members
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Repeated, Space


class Game(Environment):
    """An environment for several agents; spaces of everybody follow from those of a member."""

    @property
    @abstractmethod
    def roles(self) -> dict[str, Shape]:
        """Shape of each role: `(N,)` for N members, `()` for one that stands alone."""

    @abstractmethod
    def role_observation_space(self, role: str, params: Any = None) -> Space:
        """What one member of a role observes."""

    @abstractmethod
    def role_action_space(self, role: str, params: Any = None) -> Space:
        """What one member of a role does."""

    def observation_space(self, params: Any = None) -> Dict:
        """What everybody observes, by role."""
        return Dict(
            {
                role: stacked(self.role_observation_space(role, params), shape)
                for role, shape in self.roles.items()
            }
        )

    def action_space(self, params: Any = None) -> Dict:
        """What everybody does, by role."""
        return Dict(
            {
                role: stacked(self.role_action_space(role, params), shape)
                for role, shape in self.roles.items()
            }
        )


def stacked(space: Space, shape: Shape) -> Space:
    """The space of a role of this shape, whose members each have `space`.

    Raises:
        ValueError: a space of which none can be stacked.
    """
    if not shape:
        return space
    if isinstance(space, Dict):
        return Dict({name: stacked(child, shape) for name, child in space.spaces.items()})
    if isinstance(space, Box):
        low, high = (
            np.broadcast_to(np.asarray(bound), (*shape, *space.shape))
            for bound in (space.low, space.high)
        )
        return Box(low, high, (*shape, *space.shape), space.dtype)
    if isinstance(space, Discrete) and len(shape) == 1:
        return MultiDiscrete((space.n,) * members(shape))
    if isinstance(space, (Discrete, MultiDiscrete)):
        return Repeated(space, shape)
    raise ValueError(f"a space of {type(space).__name__} cannot be stacked")
