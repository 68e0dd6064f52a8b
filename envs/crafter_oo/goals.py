"""Crafter with a goal: each episode asks for one of the 22 achievements, and shows which.

Observation: that of the environment underneath and the goal, one-hot float32 [22] in the order of
    `ACHIEVEMENTS`: appended to a vector (`GOAL_SLICE`), the entry "goal" of a `Dict`, and beside a
    picture, which is then the entry "image".
Action: that of the environment underneath.
Reward: 1 in the step in which the goal is achieved; nothing else.
Termination: the goal is achieved, or the player dies. Truncation: that of the environment.

The goal is drawn evenly with each new world; `with_goal` sets another one. `jaxrl.make` builds this
with `task="goal"`.

Source: goal-conditioned policies as in Schaul et al. (2015), "Universal Value Function
Approximators"; achievements and death as in `tasks`.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.environment import Environment
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.environment import CrafterOO, Params
from jaxrl.envs.crafter_oo.observations import SYMBOLIC_SIZE
from jaxrl.envs.crafter_oo.state import WorldState
from jaxrl.envs.crafter_oo.tasks import EVERYTHING, GOAL, one_achievement
from jaxrl.registry import load
from jaxrl.spaces import Box, Dict, Space

NUM_GOALS = len(c.ACHIEVEMENTS)
GOAL_SLICE = slice(SYMBOLIC_SIZE, SYMBOLIC_SIZE + NUM_GOALS)  # of a symbolic observation, [1745]
_GOAL = 2  # a child of a reset's key that the world does not take, see `CrafterOO.reset_env`


class GoalState(struct.PyTreeNode):
    """A world and what is to be achieved in it.

    Attributes:
        world: the world.
        goal: int32 [], index into `ACHIEVEMENTS`.
    """

    world: WorldState
    goal: jax.Array

    @property
    def time(self) -> jax.Array:
        """int32 [], steps taken in the episode."""
        return self.world.time


def draw_goal(key: jax.Array) -> jax.Array:
    """One of the 22 achievements, each as likely as another: int32 []."""
    return jax.random.randint(key, (), 0, NUM_GOALS, jnp.int32)


def goal_of(state: GoalState) -> str:
    """The name of a concrete state's goal."""
    return c.ACHIEVEMENTS[int(state.goal)]


def with_goal(state: GoalState, name: str) -> GoalState:
    """`state` with another goal, one of `ACHIEVEMENTS`; `ValueError` for an unknown one."""
    if name not in c.ACHIEVEMENTS:
        raise ValueError(f"unknown goal {name!r}; known are {', '.join(c.ACHIEVEMENTS)}")
    # As many of them as there are states.
    result: GoalState = state.replace(goal=jnp.full_like(state.goal, c.achievement(name)))
    return result


def world_of(state: GoalState | WorldState) -> WorldState:
    """The world of a state, with a goal or without."""
    return state.world if isinstance(state, GoalState) else state


class GoalConditioned(Environment):
    """A Crafter environment in which each episode has one achievement as its goal."""

    def __init__(self, env: CrafterOO):
        """`env` makes the worlds and shows them; its own task is of no account."""
        super().__init__()
        self.unwrapped = env
        self.reset_chunk = env.reset_chunk
        self.check_params = env.check_params
        self.episode_metrics = env.episode_metrics
        self.episode_warnings = env.episode_warnings

    @property
    def name(self) -> str:
        """The id of the environment underneath."""
        return self.unwrapped.name

    @property
    def num_actions(self) -> int:
        """17."""
        return self.unwrapped.num_actions

    @property
    def default_params(self) -> Params:
        """Those of the environment underneath."""
        return self.unwrapped.default_params

    def reset_env(self, key: jax.Array, params: Params) -> tuple[Any, GoalState]:
        """A new world, the same as without goals, and a goal: first observation and state."""
        obs, world = self.unwrapped.reset_env(key, params)
        goal = draw_goal(jax.random.fold_in(key, _GOAL))
        return _with_goal_shown(obs, goal), GoalState(world, goal)

    def step_env(
        self, key: jax.Array, state: GoalState, action: jax.Array, params: Params
    ) -> tuple[Any, GoalState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """One step; `info` is that of the environment underneath."""
        obs, world, _, _, info = self.unwrapped.step_env(key, state.world, action, params)
        task = one_achievement(state.goal)
        terminated = task.terminated(world)
        info = {**info, "discount": jnp.where(terminated, jnp.float32(0), jnp.float32(1))}
        reward = task.reward(state.world, world, params.rules)
        return (
            _with_goal_shown(obs, state.goal),
            state.replace(world=world),
            reward,
            terminated,
            info,
        )

    def observe(self, key: jax.Array, state: GoalState, action: Any, params: Params) -> Any:
        """The observation of a state."""
        return _with_goal_shown(
            self.unwrapped.observe(key, state.world, action, params), state.goal
        )

    def is_truncated(self, state: GoalState, params: Params) -> jax.Array:
        """Whether the time limit is reached."""
        return self.unwrapped.is_truncated(state.world, params)

    def action_space(self, params: Params | None = None) -> Space:
        """`Discrete(17)`."""
        return self.unwrapped.action_space(params)

    def observation_space(self, params: Params | None = None) -> Space:
        """That of the environment underneath, with the goal."""
        space = self.unwrapped.observation_space(params)
        goal = Box(0.0, 1.0, (NUM_GOALS,), jnp.float32)
        if isinstance(space, Dict):
            return Dict({**space.spaces, "goal": goal})
        if len(space.shape) == 1:
            return Box(space.low, space.high, (space.shape[0] + NUM_GOALS,), space.dtype)
        return Dict({"image": space, "goal": goal})


def factory(env_id: str, target: str) -> Callable[..., Environment]:
    """A function that makes the class "module:attribute" `target`, with goals if asked for.

    It takes what the class takes; `task` may also be "goal". `env_id` is not read.
    """
    build = load(target)

    @functools.wraps(build, updated=())
    def make(*args: Any, **keywords: Any) -> Environment:
        given = inspect.signature(build).bind(*args, **keywords)
        if given.arguments.get("task") != GOAL:
            return build(*given.args, **given.kwargs)
        given.arguments["task"] = EVERYTHING
        return GoalConditioned(build(*given.args, **given.kwargs))

    return make


def _with_goal_shown(obs: Any, goal: jax.Array) -> Any:
    shown = (jnp.arange(NUM_GOALS, dtype=jnp.int32) == goal).astype(jnp.float32)
    if isinstance(obs, dict):
        return {**obs, "goal": shown}
    return jnp.concatenate([obs, shown]) if obs.ndim == 1 else {"image": obs, "goal": shown}
