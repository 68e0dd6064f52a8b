"""A game as a `pettingzoo.ParallelEnv`, one at a time, on the host with NumPy's arrays.

An observation with a mask of legal actions is `{"observation": ..., "action_mask": ...}`, as in
PettingZoo's own games. What is not the mask is under "observation": the array itself where it is a
single one, else a dictionary. The mask has the form that `action_space(agent).sample(mask)` takes:
int8 [n] for `Discrete(n)`, and for `MultiDiscrete` a tuple with an int8 [n_k] for each choice.
Observations without a mask are as they are.

For speed use `jaxrl.vector.VecEnv` or `jaxrl.adapters.to_jaxmarl`.
"""

from typing import Any

import gymnasium
import jax
import numpy as np
from pettingzoo import ParallelEnv

from jaxrl import registry
from jaxrl.adapters.agents import MASK, Agents, has_mask, unmasked, unmasked_space
from jaxrl.adapters.gymnasium_env import checked_render_mode
from jaxrl.adapters.gymnasium_spaces import to_gymnasium_space, to_jax, to_numpy
from jaxrl.adapters.picture import current_picture
from jaxrl.multi_agent import Game
from jaxrl.rendering.frames import find_renderer
from jaxrl.roles import leading_role
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Space, Tuple

_LARGEST_SEED = 2**31 - 1


class PettingZooEnv(ParallelEnv):
    """A game with PettingZoo's parallel interface; all agents play until the episode ends.

    `reset(seed=n)` starts from `jax.random.key(n)`: `key_reset, key_steps = split(key)`, and step t
    of the episode takes `fold_in(key_steps, t)`. Without a seed n is drawn from a generator that
    the last seed started, or a random one. `infos` has for each agent the game's own `info`.

    Attributes:
        possible_agents: names in the order of roles: "agents_0", "agents_1", ..., "planner".
        agents: the same while an episode runs, none after it.
        observation_spaces: gymnasium's, by name.
        action_spaces: gymnasium's, by name.
    """

    def __init__(
        self, env: Game, params: Any, render_mode: str | None = None, env_id: str | None = None
    ) -> None:
        """Wraps a game.

        Args:
            env: the game.
            params: its parameters.
            render_mode: "rgb_array" or None.
            env_id: by which its renderer is found, by default its name.

        Raises:
            ValueError: not a game, names that two would share, or a render mode that is neither.
        """
        self._env, self._params = env, params
        self._agents = Agents(env)
        self._id = env.name if env_id is None else env_id
        self.render_mode = checked_render_mode(render_mode)
        fps = 30 if render_mode is None else find_renderer(env, self._id).fps
        self.metadata = {"render_modes": ["rgb_array"], "name": self._id, "render_fps": fps}
        self.possible_agents = list(self._agents.names)
        self.agents: list[str] = []
        roles = self._agents.roles
        self._seen = {role: env.role_observation_space(role, params) for role in env.roles}
        self._does = {role: env.role_action_space(role, params) for role in env.roles}
        self.observation_spaces = {
            name: to_gymnasium_space(_shown_space(self._seen[role], self._does[role]))
            for name, role in roles.items()
        }
        self.action_spaces = {
            name: to_gymnasium_space(self._does[role]) for name, role in roles.items()
        }
        self._reset = jax.jit(env.reset_env)
        follow = getattr(env, "next_episode", None)
        self._next = None if follow is None else jax.jit(follow)
        self._step = jax.jit(self._transition)
        self._random = np.random.default_rng()
        self._state: Any = None
        self._obs: Any = None
        self._key_steps: Any = None
        self._time, self._return = 0, 0.0

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        """What an agent observes; a ValueError names all agents where there is no such one."""
        self._agents.role(agent)
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        """What an agent does; a ValueError names all agents where there is no such one."""
        self._agents.role(agent)
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Starts an episode; `options` are not used. Returns observations, and empty infos.

        What persists over episodes (`next_episode`) goes on from an episode that was played to its
        end; with a seed, or in the middle of one, everything begins anew.
        """
        if seed is not None:
            self._random = np.random.default_rng(seed)
        number = int(self._random.integers(_LARGEST_SEED)) if seed is None else seed
        key_reset, self._key_steps = jax.random.split(jax.random.key(number))
        if self._next is None or self._state is None or seed is not None or self.agents:
            self._obs, self._state = self._reset(key_reset, self._params)
        else:
            self._obs, self._state = self._next(key_reset, self._state, self._params)
        self._time, self._return = 0, 0.0
        self.agents = list(self.possible_agents)
        return self._shown(jax.device_get(self._obs)), {name: {} for name in self.agents}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, Any],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """One transition: observations, rewards, terminations, truncations and infos by agent.

        Args:
            actions: of every agent, legal or not: what an illegal one does is the game's affair.

        Raises:
            gymnasium.error.ResetNeeded: no episode has begun, or it has ended.
            ValueError: actions of unknown agents, missing ones, or one that is not of its space.
        """
        if not self.agents:
            over = "the episode is over" if self._state is not None else "no episode has begun"
            raise gymnasium.error.ResetNeeded(f"{over}: call reset before step")
        self._agents.check(actions)
        checked = {
            name: _checked(name, self._does[role], actions[name])
            for name, role in self._agents.roles.items()
        }
        stacked = self._agents.together(checked, np.stack)
        action = {role: to_jax(space, stacked[role]) for role, space in self._does.items()}
        self._obs, self._state, *rest = self._step(
            self._key_steps, np.int32(self._time), self._state, action
        )
        obs, reward, terminated, truncated, info = jax.device_get((self._obs, *rest))
        names = self.agents
        rewards = {name: float(own) for name, own in self._agents.apart(reward).items()}
        self._time += 1
        self._return += float(np.mean(reward[leading_role(self._env)]))
        if terminated or truncated:
            self.agents = []
        infos = {name: dict(jax.tree.map(to_numpy, info)) for name in names}
        return (
            self._shown(obs),
            rewards,
            dict.fromkeys(names, bool(terminated)),
            dict.fromkeys(names, bool(truncated)),
            infos,
        )

    def render(self) -> Any:
        """The frame of the current state, uint8 [H, W, 3], where `render_mode` is "rgb_array".

        The return in the line under it is the mean over the first role.

        Raises:
            gymnasium.error.ResetNeeded: no episode has begun.
        """
        return current_picture(self)

    def close(self) -> None:
        """Forgets the episode; `reset` starts another."""
        self.agents, self._state, self._obs = [], None, None

    def _transition(self, key_steps: jax.Array, time: jax.Array, state: Any, action: Any) -> Any:
        key = jax.random.fold_in(key_steps, time)
        obs, state, reward, terminated, info = self._env.step_env(key, state, action, self._params)
        truncated = self._env.is_truncated(state, self._params) & ~terminated
        return obs, state, reward, terminated, truncated, info

    def _shown(self, obs: Any) -> dict[str, Any]:
        """Observations by agent, copies that the caller may change."""
        return {
            name: _shown(own, self._seen[role], self._does[role])
            for (name, own), role in zip(
                self._agents.apart(obs).items(), self._agents.roles.values(), strict=True
            )
        }


def to_pettingzoo(env_id: str, render_mode: str | None = None, **overrides: Any) -> PettingZooEnv:
    """The game `jaxrl.make(env_id, **overrides)` as a `pettingzoo.ParallelEnv`.

    Raises:
        ValueError: see `jaxrl.make` and `PettingZooEnv`.
    """
    env, params = registry.make(env_id, **overrides)
    return PettingZooEnv(env, params, render_mode, env_id)


def _shown_space(seen: Space, does: Space) -> Space:
    """The space of what `_shown` gives."""
    if not has_mask(seen):
        return seen
    shape = tuple(seen.spaces[MASK].shape)
    mask: Space = Box(0, 1, shape, np.int8)
    if _by_choice(shape, does):
        mask = Tuple([Box(0, 1, (size,), np.int8) for size in does.nvec])
    return Dict({"observation": unmasked_space(seen), MASK: mask})


def _shown(obs: Any, seen: Space, does: Space) -> Any:
    """One agent's observation in the form that users of PettingZoo expect."""
    if not has_mask(seen):
        return to_numpy(obs)
    mask: Any = np.asarray(obs[MASK]).astype(np.int8)
    if _by_choice(mask.shape, does):
        mask = tuple(row[:size].copy() for row, size in zip(mask, does.nvec, strict=True))
    return {"observation": to_numpy(unmasked(obs)), MASK: mask}


def _by_choice(shape: tuple[int, ...], does: Space) -> bool:
    """Whether a mask of this shape has a row for each choice of a `MultiDiscrete`."""
    return isinstance(does, MultiDiscrete) and shape == (len(does.nvec), does.n)


def _checked(agent: str, space: Space, action: Any) -> Any:
    """The action of an agent as an array.

    Raises:
        ValueError: another shape than the space's, or a number that is no choice.
    """
    if isinstance(space, (Dict, Tuple)):
        return action
    array = np.asarray(action)
    if array.shape != tuple(space.shape):
        raise ValueError(
            f"the action of {agent} must have the shape {tuple(space.shape)}, got {array.shape}"
        )
    if isinstance(space, (Discrete, MultiDiscrete)):
        choices = np.asarray(space.n if isinstance(space, Discrete) else space.nvec)
        if array.dtype.kind not in "iu" or (array < 0).any() or (array >= choices).any():
            raise ValueError(
                f"the action of {agent} must be whole numbers from 0 and below"
                f" {choices.tolist()}, got {array.tolist()}"
            )
    return array
