"""Collecting a rollout, with the value of what every transition led to."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl import episodes
from jaxrl.algos.on_policy.types import Config, Policy, State, Trajectory
from jaxrl.networks import Net, reset_where
from jaxrl.normalization import standard_deviation, standardize_observation, update_moments
from jaxrl.returns import discounted_sums, next_values
from jaxrl.shards import ALONE, Shards
from jaxrl.vector import VecEnv


def observe(policy: Policy, obs: Any) -> Any:
    """Observations [B, ...] as the network takes them."""
    if policy.observation == ():
        return obs
    return standardize_observation(policy.observation, obs)


def merge_time(tree: Any) -> Any:
    """[T, N, ...] -> [T * N, ...]."""
    return jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), tree)


def make_rollout(venv: VecEnv, net: Net, config: Config, shards: Shards = ALONE) -> Callable:
    """(key, state, hp) -> (state, trajectory, episode metrics), over `config.num_steps` steps."""

    def rollout(key: jax.Array, state: State, hp: Any) -> tuple[State, Trajectory, Any]:
        policy = state.policy

        def value_of(obs, carry):
            return net.apply(policy.params, observe(policy, obs), carry)[1]

        def env_step(loop, key):
            obs, env_state, carry = loop
            key_act, key_env = jax.random.split(key)
            distribution, value, carry = net.apply(policy.params, observe(policy, obs), carry)
            action = distribution.sample(key_act)
            next_obs, env_state, reward, terminated, truncated, info = venv.step(
                key_env, env_state, net.to_action(action), hp.env, value_of, carry
            )
            log_prob = distribution.log_prob(action)
            cut = terminated | truncated
            own = episodes.measured(venv.env, info["env"])
            ended = {
                "terminated": terminated,
                "truncated": truncated,
                "return": info["episode_return"],
                "length": info["episode_length"],
                "own": jax.tree.map(lambda x: jnp.sum(jnp.where(cut, x, 0.0)), own),
            }
            transition = (obs, action, log_prob, value, info["on_end"], reward, distribution)
            carry = reset_where(cut, fresh, carry)
            return (next_obs, env_state, carry), (transition, ended)

        keys = jax.random.split(key, config.num_steps)
        fresh = net.initial(config.shard_envs)
        loop = (state.obs, state.env, state.carry)
        (obs, env_state, carry), (transition, ended) = jax.lax.scan(env_step, loop, keys)
        old_obs, action, log_prob, value, final_value, reward, distribution = transition
        terminated, truncated = ended["terminated"], ended["truncated"]
        cut = terminated | truncated
        reward_state, reward = _normalize_reward(state.reward, reward, cut, hp.gamma, shards)
        trajectory = Trajectory(
            obs=old_obs,
            action=action,
            log_prob=log_prob,
            value=value,
            v_tp1=next_values(value, value_of(obs, carry), terminated, truncated, final_value),
            reward=reward,
            ended=cut,
            distribution=distribution,
            carry=state.carry,
        )
        state = state.replace(obs=obs, env=env_state, carry=carry, reward=reward_state)
        return state, trajectory, _episode_metrics(cut, ended, shards)

    return rollout


def _normalize_reward(
    state: Any,
    reward: jax.Array,
    ended: jax.Array,
    gamma: jax.Array | float,
    shards: Shards = ALONE,
) -> tuple[Any, jax.Array]:
    """Divides rewards [T, N] by the running deviation of discounted reward sums, if configured."""
    if state == ():
        return state, reward
    moments, start = state
    sums, carry = discounted_sums(reward, ended, start, gamma)
    moments = update_moments(moments, merge_time(sums), shards)
    return (moments, carry), reward / standard_deviation(moments)


def _episode_metrics(
    cut: jax.Array, ended: dict[str, Any], shards: Shards = ALONE
) -> dict[str, jax.Array]:
    """Means over the episodes that ended, NaN where none did.

    Args:
        cut: where an episode ended, bool [T, N].
        ended: `return` and `length` [T, N] of the episodes; `own`, the environment's own metrics
            summed over those that ended in a step, float32 [T] each.
        shards: over which to average.
    """
    count = shards.total(jnp.sum(cut, dtype=jnp.int32))

    def mean(total):
        total = shards.total(jnp.sum(total))
        return jnp.where(count > 0, total / count.astype(jnp.float32), jnp.nan)

    def where_cut(x):
        return jnp.where(cut, x.astype(jnp.float32), 0.0)

    own = {episodes.PREFIX + name: mean(total) for name, total in ended["own"].items()}
    return {
        "episode_return": mean(where_cut(ended["return"])),
        "episode_length": mean(where_cut(ended["length"])),
        "episodes": count,
        **own,
    }
