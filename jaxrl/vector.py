"""A batch of environments that resets exactly what ended.

`gymnax.Environment.step` computes a fresh initial state for every environment at every step
and throws nearly all of them away. `VecEnv` computes one only where an episode ended, each
from its own key, so that no two environments ever share a start and a costly world generator
is paid for once an episode.

Where an environment has `next_episode(key, state, params)` that is asked, with the state in which
an episode ended, in place of `reset_env` (`jaxrl.multi_agent`). Environments may be games.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.roles import is_game
from jaxrl.rows import default_chunk, update_rows_where


class VecState(struct.PyTreeNode):
    """State of a batch of N environments.

    Attributes:
        env_state: the environments' own state, leaves [N, ...].
        episode_return: float32 [N], undiscounted return of the running episodes; of a game by
            role, float32 [N, *role shape].
        episode_length: int32 [N], steps taken in the running episodes.
    """

    env_state: Any
    episode_return: Any
    episode_length: jax.Array


class VecEnv:
    """Batches `step_env`, applies time limits and resets only the environments that ended.

    Args:
        env: an environment as of `jaxrl.make`.
        num_envs: N, the number of environments.
        reset_chunk: how many initial states are computed at once; if None what the environment's
            own `reset_chunk(N)` says, where it has one, or `default_chunk(N)`.

    Raises:
        ValueError: `num_envs` is not positive or `reset_chunk` is outside [1, N].
    """

    def __init__(self, env: Any, num_envs: int, reset_chunk: int | None = None):
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        if reset_chunk is not None and not 1 <= reset_chunk <= num_envs:
            raise ValueError(f"reset_chunk must be in [1, {num_envs}], got {reset_chunk}")
        self.env = env
        self.num_envs = num_envs
        own = getattr(env, "reset_chunk", default_chunk)
        self.reset_chunk = own(num_envs) if reset_chunk is None else reset_chunk
        self.next_episode = getattr(env, "next_episode", None)

    def share(self, state: VecState) -> VecState:
        """What the environments learn from one another, where they have `share(states)`."""
        if not hasattr(self.env, "share"):
            return state
        return state.replace(env_state=self.env.share(state.env_state))

    def reset(self, key: jax.Array, params: Any, before: Any = None) -> tuple[Any, VecState]:
        """Starts N episodes: observations [N, ...] and the state.

        Args:
            key: every environment begins with a key of its own.
            params: parameters shared by the N environments.
            before: the environments' own states, leaves [N, ...], in which episodes ended that
                these follow; it matters where the environment has `next_episode`.
        """
        keys = jax.random.split(key, self.num_envs)
        if before is None or self.next_episode is None:
            obs, env_state = jax.vmap(self.env.reset_env, in_axes=(0, None))(keys, params)
        else:
            follow = jax.vmap(self.next_episode, in_axes=(0, 0, None))
            obs, env_state = follow(keys, before, params)
        return obs, VecState(
            env_state=env_state,
            episode_return=self._no_return(),
            episode_length=jnp.zeros(self.num_envs, jnp.int32),
        )

    def _no_return(self) -> Any:
        """Returns of N episodes that have not begun: zeros, shaped like the reward."""
        if not is_game(self.env):
            return jnp.zeros(self.num_envs, jnp.float32)
        return {
            role: jnp.zeros((self.num_envs, *shape), jnp.float32)
            for role, shape in self.env.roles.items()
        }

    def step(
        self,
        key: jax.Array,
        state: VecState,
        action: Any,
        params: Any,
        on_end: Callable[[Any, Any], Any] = lambda final_obs, extra: (),
        extra: Any = (),
    ) -> tuple[Any, VecState, Any, jax.Array, jax.Array, dict[str, Any]]:
        """One transition in each environment, as gymnax 1.0's six values.

        Args:
            key: one key; every environment steps, and is reset, with a key of its own.
            state: the batch.
            action: [N, ...].
            params: parameters shared by the N environments.
            on_end: applied to the final observations [C, ...] of chunks of environments that
                ended and to their rows of `extra`, and to no others: what is needed of them (a
                value to bootstrap from) costs in proportion to ended episodes too.
            extra: what `on_end` needs besides, leaves [N, ...].

        Returns:
            obs [N, ...]: what to act on next; the first of a new episode where one ended.
            state: the batch after resets.
            reward: float32 [N]; of a game by role, float32 [N, *role shape].
            terminated: bool [N], the task ended; nothing follows, so its value is 0.
            truncated: bool [N], a time limit cut the episode; never where `terminated`.
            info: `final_observation` [N, ...], what the transition led to before any reset;
                `episode_return`, like the reward, and `episode_length` int32 [N] with this step
                counted; `resets_computed` int32 [], initial states computed in this step;
                `on_end` [N, ...], what `on_end` gave, zero where nothing ended; `env`, the
                environment's own info.
        """
        keys_step = jax.random.split(_step_and_reset_keys(key)[0], self.num_envs)
        final_obs, env_state, reward, terminated, env_info = jax.vmap(
            self.env.step_env, in_axes=(0, 0, 0, None)
        )(keys_step, state.env_state, action, params)
        limit_reached = jax.vmap(self.env.is_truncated, in_axes=(0, None))(env_state, params)
        truncated = limit_reached & ~terminated
        ended = terminated | truncated
        episode_return = jax.tree.map(jnp.add, state.episode_return, reward)
        episode_length = state.episode_length + 1

        (obs, env_state, at_end), computed = self._reset_where(
            ended, key, final_obs, env_state, params, on_end, extra
        )
        info = {
            "final_observation": final_obs,
            "episode_return": episode_return,
            "episode_length": episode_length,
            "resets_computed": computed,
            "on_end": at_end,
            "env": env_info,
        }
        state = VecState(
            env_state=env_state,
            episode_return=jax.tree.map(partial(_zero_where, ended), episode_return),
            episode_length=jnp.where(ended, jnp.int32(0), episode_length),
        )
        return obs, state, reward, terminated, truncated, info

    def _reset_where(
        self,
        ended: jax.Array,
        key: jax.Array,
        final_obs: Any,
        env_state: Any,
        params: Any,
        on_end: Callable[[Any, Any], Any],
        extra: Any,
    ) -> tuple[tuple[Any, Any, Any], jax.Array]:
        def compute(index: jax.Array, rows: Any) -> tuple[Any, Any, Any]:
            # Inside the loop, so that a step in which nobody ends derives no keys.
            key_reset = _step_and_reset_keys(key)[1]
            keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key_reset, index)
            if self.next_episode is None:
                obs, env_state = jax.vmap(self.env.reset_env, in_axes=(0, None))(keys, params)
            else:
                begin = jax.vmap(self.next_episode, in_axes=(0, 0, None))
                obs, env_state = begin(keys, rows[1], params)
            return obs, env_state, on_end(rows[0], jax.tree.map(lambda x: x[index], extra))

        shapes = jax.eval_shape(on_end, final_obs, extra)
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return update_rows_where(ended, self.reset_chunk, (final_obs, env_state, nothing), compute)


def _zero_where(ended: jax.Array, x: jax.Array) -> jax.Array:
    """`x` [N, ...] with the rows where `ended`, bool [N], at zero."""
    return jnp.where(ended.reshape((-1, *(1,) * (x.ndim - 1))), jnp.float32(0), x)


def _step_and_reset_keys(key: jax.Array) -> jax.Array:
    return jax.random.split(key)
