"""Collecting a rollout, with the value of what every transition led to."""

from collections.abc import Callable
from typing import Any, NamedTuple

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


class Actor(NamedTuple):
    """What acts in a rollout. In a game every value is a dictionary by role.

    Attributes:
        apply: (policy, observations [B, ...], carry) -> (distribution, values [B], carry).
        sample: (policy, distribution, key) -> raw actions [B, ...].
        log_prob: (distribution, raw actions) -> their log-probabilities [B].
        to_action: raw actions -> what the environment takes.
        initial: B -> the carry with which B episodes begin.
    """

    apply: Callable[[Any, Any, Any], tuple[Any, Any, Any]]
    sample: Callable[[Any, Any, jax.Array], Any]
    log_prob: Callable[[Any, Any], Any]
    to_action: Callable[[Any], Any]
    initial: Callable[[int], Any]


def actor_of(net: Net) -> Actor:
    """A network as a single agent."""
    return Actor(
        apply=lambda policy, obs, carry: net.apply(policy.params, observe(policy, obs), carry),
        sample=lambda policy, distribution, key: distribution.sample(key),
        log_prob=lambda distribution, action: distribution.log_prob(action),
        to_action=net.to_action,
        initial=net.initial,
    )


class Steps(NamedTuple):
    """What a rollout saw, leaves [T, N, ...]; in a game dictionaries by role.

    Attributes:
        obs: o_t, as the environment gave it.
        action: raw action.
        log_prob: its log-probability when drawn.
        value: v(o_t).
        final_value: value of the final observation where an episode ended.
        last_value: v(o_T), leaves [N, ...].
        reward: r_t, as the environment gave it.
        distribution: the policy it was drawn from.
        carry: what was remembered before o_0, leaves [N, ...].
        terminated: bool [T, N] also in a game, like `truncated`.
        truncated: see `VecEnv`.
    """

    obs: Any
    action: Any
    log_prob: Any
    value: Any
    final_value: Any
    last_value: Any
    reward: Any
    distribution: Any
    carry: Any
    terminated: jax.Array
    truncated: jax.Array


def make_collect(venv: VecEnv, actor: Actor, config: Config, shards: Shards = ALONE) -> Callable:
    """(key, state, hp) -> (state, steps, episode metrics), over `config.num_steps` steps."""

    def collect(key: jax.Array, state: State, hp: Any) -> tuple[State, Steps, Any]:
        policy = state.policy

        def value_of(obs, carry):
            return actor.apply(policy, obs, carry)[1]

        def env_step(loop, key):
            obs, env_state, carry = loop
            key_act, key_env = jax.random.split(key)
            distribution, value, carry = actor.apply(policy, obs, carry)
            action = actor.sample(policy, distribution, key_act)
            next_obs, env_state, reward, terminated, truncated, info = venv.step(
                key_env, env_state, actor.to_action(action), hp.env, value_of, carry
            )
            log_prob = actor.log_prob(distribution, action)
            cut = terminated | truncated
            episode_return, by_role = episodes.by_role(venv.env, info["episode_return"])
            own = episodes.measured(venv.env, info["env"]) | by_role
            ended = {
                "terminated": terminated,
                "truncated": truncated,
                "return": episode_return,
                "length": info["episode_length"],
                "own": jax.tree.map(lambda x: jnp.sum(jnp.where(cut, x, 0.0)), own),
            }
            transition = (obs, action, log_prob, value, info["on_end"], reward, distribution)
            carry = reset_where(cut, fresh, carry)
            return (next_obs, env_state, carry), (transition, ended)

        keys = jax.random.split(key, config.num_steps)
        fresh = actor.initial(config.shard_envs)
        loop = (state.obs, venv.share(state.env), state.carry)
        (obs, env_state, carry), (transition, ended) = jax.lax.scan(env_step, loop, keys)
        old_obs, action, log_prob, value, final_value, reward, distribution = transition
        terminated, truncated = ended["terminated"], ended["truncated"]
        steps = Steps(
            obs=old_obs,
            action=action,
            log_prob=log_prob,
            value=value,
            final_value=final_value,
            last_value=value_of(obs, carry),
            reward=reward,
            distribution=distribution,
            carry=state.carry,
            terminated=terminated,
            truncated=truncated,
        )
        state = state.replace(obs=obs, env=env_state, carry=carry)
        return state, steps, _episode_metrics(terminated | truncated, ended, shards)

    return collect


def to_trajectory(
    steps: Steps, reward_state: Any, gamma: jax.Array | float, shards: Shards = ALONE
) -> tuple[Any, Trajectory]:
    """(reward state, trajectory): rewards normalised if so configured, values of what followed.

    Args:
        steps: of one agent, or of one role, whose values have axes of members besides, [T, N, M].
        reward_state: `State.reward`.
        gamma: discount of the sums by which rewards are normalised.
        shards: over which to average.
    """
    terminated = _spread(steps.terminated, steps.value.shape)
    truncated = _spread(steps.truncated, steps.value.shape)
    cut = terminated | truncated
    reward_state, reward = _normalize_reward(reward_state, steps.reward, cut, gamma, shards)
    return reward_state, Trajectory(
        obs=steps.obs,
        action=steps.action,
        log_prob=steps.log_prob,
        value=steps.value,
        v_tp1=next_values(steps.value, steps.last_value, terminated, truncated, steps.final_value),
        reward=reward,
        ended=cut,
        distribution=steps.distribution,
        carry=steps.carry,
    )


def _spread(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """`x` [T, N] for every member, [T, N, ...]."""
    return jnp.broadcast_to(x.reshape((*x.shape, *(1,) * (len(shape) - x.ndim))), shape)


def make_rollout(venv: VecEnv, net: Net, config: Config, shards: Shards = ALONE) -> Callable:
    """(key, state, hp) -> (state, trajectory, episode metrics) of a single agent."""
    collect = make_collect(venv, actor_of(net), config, shards)

    def rollout(key: jax.Array, state: State, hp: Any) -> tuple[State, Trajectory, Any]:
        state, steps, metrics = collect(key, state, hp)
        reward, trajectory = to_trajectory(steps, state.reward, hp.gamma, shards)
        return state.replace(reward=reward), trajectory, metrics

    return rollout


def _normalize_reward(
    state: Any,
    reward: jax.Array,
    ended: jax.Array,
    gamma: jax.Array | float,
    shards: Shards = ALONE,
) -> tuple[Any, jax.Array]:
    """Divides rewards by the running deviation of discounted reward sums, if configured.

    Rewards and `ended` are [T, N], or [T, N, M] of M members that share the deviation.
    """
    if state == ():
        return state, reward
    moments, start = state
    sums, carry = discounted_sums(reward, ended, start, gamma)
    moments = update_moments(moments, sums.reshape(-1), shards)
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
