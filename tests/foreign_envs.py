"""One environment as somebody else would write it, in each style that is about.

A walk to the right: action 1 moves, action 0 waits. Reward 1 a step, 10 where the goal is reached,
which ends the task; the time limit cuts it. The observation is (position, time), float32 [2].
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment, spaces

GOAL = 3


@struct.dataclass
class State:
    """Deliberately Python numbers at reset, weakly typed arrays afterwards."""

    position: Any
    time: Any


@struct.dataclass
class Params:
    """The limit, and a factor of the reward."""

    max_steps_in_episode: int = 5
    scale: float = 1.0


class _Walk:
    @property
    def default_params(self):
        return Params()

    def reset_env(self, key, params):
        state = State(position=0, time=0)
        return self.get_obs(state), state

    def get_obs(self, state):
        return jnp.array([state.position, state.time])  # int32, the space says float32

    def action_space(self, params):
        return spaces.Discrete(2)

    def observation_space(self, params):
        return spaces.Box(0.0, 100.0, (2,), jnp.float32)

    def _move(self, state, action, params):
        state = State(position=state.position + action, time=state.time + 1)
        arrived = state.position >= GOAL
        reward = jnp.where(arrived, 10, 1) * params.scale
        return jax.lax.stop_gradient(self.get_obs(state)), state, reward, arrived


class NewStyle(_Walk, environment.Environment):
    """gymnax 1.0: `terminated`, and the limit by the base class."""

    def step_env(self, key, state, action, params):
        obs, state, reward, arrived = self._move(state, action, params)
        return obs, state, reward, arrived, {"discount": jnp.where(arrived, 0.0, 1.0)}


class OldStyle(_Walk):
    """gymnax 0.0.x, of no base class: `done`, also at the limit."""

    def step_env(self, key, state, action, params):
        obs, state, reward, _ = self._move(state, action, params)
        done = self.is_terminal(state, params)
        return obs, state, reward, done, {"discount": jnp.where(done, 0.0, 1.0)}

    def is_terminal(self, state, params):
        limit = state.time >= params.max_steps_in_episode
        return jnp.logical_or(state.position >= GOAL, limit)

    def action_space(self):
        return spaces.Discrete(2)


class OldStyleOnNewBase(OldStyle, environment.Environment):
    """The same on gymnax 1.0's base class, from which it inherits `is_truncated`."""


class SixValues(_Walk):
    """`truncated` is a value of its own."""

    def step_env(self, key, state, action, params):
        obs, state, reward, arrived = self._move(state, action, params)
        truncated = jnp.logical_and(state.time >= params.max_steps_in_episode, ~arrived)
        return obs, state, reward, arrived, truncated, {}

    def render(self, state, params):
        return jnp.full((4, 4, 3), state.position, jnp.uint8)


class Hidden(_Walk):
    """A limit that stands in the code."""

    def step_env(self, key, state, action, params):
        obs, state, reward, arrived = self._move(state, action, params)
        return obs, state, reward, arrived | (state.time >= 4), {}


def with_params():
    """A function that makes an environment with parameters of its own."""
    return OldStyle(), Params(scale=2.0)


instance = OldStyle()
number = 3
