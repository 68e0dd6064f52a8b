"""A game with JaxMARL's interface: dictionaries by agent, auto-reset, pure functions.

    env = to_jaxmarl("OneStepEconomy-v1", agents=8)
    obs, state = env.reset(key)
    obs, state, rewards, dones, infos = env.step(key, state, actions)

`dones` is JaxMARL's: for each agent and for "__all__" whether the episode ended, for whatever
reason. Which it was is in `infos`: "terminated" or "truncated", never both; and of an environment
with `episode_metrics` these by their names. Every entry of `infos` has the shape [num_agents],
because JaxMARL's training scripts reshape all of them alike.

Masks of legal actions are not observed but asked for, by `get_avail_actions(state)`. What is left
of an observation is the array itself where it is a single one, else a dictionary; with `flat` it is
a vector.

Source of the interface: Rutherford et al. (2023), arXiv 2311.10090; `MultiAgentEnv` of the package
`jaxmarl` 0.2.0, which is not needed.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl import registry
from jaxrl.adapters.agents import MASK, Agents, has_mask, unmasked, unmasked_space
from jaxrl.multi_agent import Game
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Space, Tuple, dtypes

ALL = "__all__"


@struct.dataclass
class State:
    """State of an episode, with what JaxMARL's own states have.

    Attributes:
        env_state: the game's.
        obs: the game's observation of it, by role: masks and `get_obs` are read from it.
        done: bool [], whether the episode ended.
        step: int32 [], steps of the episode.
    """

    env_state: Any
    obs: Any
    done: jax.Array
    step: jax.Array


class JaxMARLEnv:
    """A game as JaxMARL's `MultiAgentEnv`; parameters are those given at construction.

    Attributes:
        agents: names in the order of roles: "agents_0", "agents_1", ..., "planner".
        num_agents: how many there are.
        observation_spaces: by name.
        action_spaces: by name.
        agent_classes: names by role.
    """

    def __init__(self, env: Game, params: Any, flat: bool = False) -> None:
        """Wraps a game.

        Args:
            env: the game.
            params: its parameters.
            flat: observations become float32 vectors, all their numbers in the order of
                `jax.tree.leaves`, without masks; JaxMARL's networks want that.

        Raises:
            ValueError: not a game, or names that two would share.
        """
        self._env, self._params = env, params
        self._agents = Agents(env)
        self._look: Callable[[Any], Any] = _vector if flat else unmasked
        self.agents = list(self._agents.names)
        self.num_agents = len(self.agents)
        roles = self._agents.roles
        seen = {role: env.role_observation_space(role, params) for role in env.roles}
        spaces = {
            role: _flat_space(space) if flat else unmasked_space(space)
            for role, space in seen.items()
        }
        self._dtypes = {role: dtypes(env.role_action_space(role, params)) for role in env.roles}
        self._masked = [role for role, space in seen.items() if has_mask(space)]
        self.observation_spaces = {name: spaces[role] for name, role in roles.items()}
        self.action_spaces = {
            name: env.role_action_space(role, params) for name, role in roles.items()
        }
        self.agent_classes = {
            role: [name for name in self.agents if roles[name] == role] for role in env.roles
        }

    @property
    def name(self) -> str:
        """The game's name."""
        return self._env.name

    @partial(jax.jit, static_argnums=0)
    def reset(self, key: jax.Array) -> tuple[dict[str, Any], State]:
        """Starts an episode: observations by agent, and the state."""
        obs, env_state = self._env.reset_env(key, self._params)
        state = self._begun(obs, env_state)
        return self.get_obs(state), state

    @partial(jax.jit, static_argnums=0)
    def step(
        self,
        key: jax.Array,
        state: State,
        actions: dict[str, jax.Array],
        reset_state: State | None = None,
    ) -> tuple[dict[str, Any], State, dict[str, Any], dict[str, Any], dict[str, Any]]:
        """One transition; where it ends the episode, observations and state are of the next one.

        Under `vmap` a first state is computed in every step and for every environment, as JaxMARL
        does; `jaxrl.vector.VecEnv` computes one only where an episode ended.

        Args:
            key: of the step and of the reset.
            state: of the episode.
            actions: by agent.
            reset_state: what the next episode begins with, instead of a new one.

        Returns:
            As of `step_env`; rewards, dones and infos are those of the step.

        Raises:
            ValueError: actions of unknown agents, or missing ones.
        """
        key_step, key_reset = jax.random.split(key)
        _, after, rewards, dones, infos = self.step_env(key_step, state, actions)

        def again() -> State:
            if reset_state is not None:
                return reset_state
            follows = getattr(self._env, "next_episode", None)
            if follows is None:
                return self._begun(*self._env.reset_env(key_reset, self._params))
            return self._begun(*follows(key_reset, after.env_state, self._params))

        state = jax.lax.cond(dones[ALL], again, lambda: after)
        return self.get_obs(state), state, rewards, dones, infos

    @partial(jax.jit, static_argnums=0)
    def step_env(
        self, key: jax.Array, state: State, actions: dict[str, jax.Array]
    ) -> tuple[dict[str, Any], State, dict[str, Any], dict[str, Any], dict[str, Any]]:
        """One transition without a reset.

        Returns:
            Observations, the state, rewards float32 [], dones bool [], each by agent, and infos.

        Raises:
            ValueError: actions of unknown agents, or missing ones.
        """
        by_role = self._agents.together(actions, jnp.stack)
        action = {
            role: jax.tree.map(lambda dtype, leaf: jnp.asarray(leaf, dtype), dtype, by_role[role])
            for role, dtype in self._dtypes.items()
        }
        obs, env_state, reward, terminated, info = self._env.step_env(
            key, state.env_state, action, self._params
        )
        truncated = self._env.is_truncated(env_state, self._params) & ~terminated
        done = terminated | truncated
        after = State(env_state, obs, done, state.step + jnp.int32(1))
        dones = dict.fromkeys(self.agents, done) | {ALL: done}
        measure = getattr(self._env, "episode_metrics", None)
        measured = {} if measure is None else measure(info)
        infos = {"terminated": terminated, "truncated": truncated} | measured
        infos = {name: self._each(value) for name, value in infos.items()}
        return self.get_obs(after), after, self._agents.apart(reward), dones, infos

    def get_obs(self, state: State) -> dict[str, Any]:
        """Observations of a state by agent, without masks."""
        return {name: self._look(own) for name, own in self._agents.apart(state.obs).items()}

    def get_avail_actions(self, state: State) -> dict[str, Any]:
        """Masks of legal actions by agent, bool, as of `jaxrl.environment`.

        Who has none may do anything: all that is a choice is legal; of what is none, such as a
        `Box`, there is no entry.
        """
        masks = {}
        for name, own in self._agents.apart(state.obs).items():
            if self._agents.roles[name] in self._masked:
                masks[name] = own[MASK]
            elif isinstance(self.action_spaces[name], (Discrete, MultiDiscrete)):
                masks[name] = _all_legal(self.action_spaces[name])
        return masks

    def observation_space(self, agent: str) -> Space:
        """What an agent observes; a ValueError names all agents where there is no such one."""
        self._agents.role(agent)
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space:
        """What an agent does; a ValueError names all agents where there is no such one."""
        self._agents.role(agent)
        return self.action_spaces[agent]

    def _begun(self, obs: Any, env_state: Any) -> State:
        return State(env_state, obs, jnp.bool_(False), jnp.int32(0))

    def _each(self, value: jax.Array) -> jax.Array:
        return jnp.broadcast_to(value, (self.num_agents,))


def to_jaxmarl(env_id: str, *, flat: bool = False, **overrides: Any) -> JaxMARLEnv:
    """The game `jaxrl.make(env_id, **overrides)` with JaxMARL's interface.

    Raises:
        ValueError: see `jaxrl.make` and `JaxMARLEnv`.
    """
    env, params = registry.make(env_id, **overrides)
    return JaxMARLEnv(env, params, flat)


def _all_legal(space: Space) -> jax.Array:
    """The mask of a space of choices all of which are legal."""
    if isinstance(space, MultiDiscrete):
        return jnp.asarray(np.arange(space.n) < np.asarray(space.nvec)[:, None])
    return jnp.ones(space.n, jnp.bool_)


def _vector(obs: Any) -> jax.Array:
    leaves = jax.tree.leaves(unmasked(obs))
    return jnp.concatenate([leaf.astype(jnp.float32).ravel() for leaf in leaves])


def _flat_space(space: Space) -> Box:
    size = _numbers(unmasked_space(space))
    limit = float(np.finfo(np.float32).max)
    return Box(-limit, limit, (size,), jnp.float32)


def _numbers(space: Space) -> int:
    """How many numbers an element of a space has."""
    if isinstance(space, Dict):
        return sum(map(_numbers, space.spaces.values()))
    if isinstance(space, Tuple):
        return sum(map(_numbers, space.spaces))
    return math.prod(space.shape)
