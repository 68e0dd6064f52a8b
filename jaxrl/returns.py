"""Advantages and return targets of a trajectory. Time is the leading axis."""

import chex
import jax
import jax.numpy as jnp


def next_values(
    value: jax.Array,
    last_value: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array,
    final_value: jax.Array,
) -> jax.Array:
    """Value of what each transition led to, [T, ...].

    Zero where the task terminated, the value of the final observation where a time limit cut
    the episode, and otherwise the next step's value (`last_value` after the last one).

    Args:
        value: v(o_t), float32 [T, ...].
        last_value: v(o_T), float32 [...].
        terminated: bool [T, ...].
        truncated: bool [T, ...].
        final_value: v(final observation) where `truncated`, anything elsewhere; [T, ...].
    """
    chex.assert_equal_shape([value, terminated, truncated, final_value])
    v_tp1 = jnp.concatenate([value[1:], last_value[None]])
    v_tp1 = jnp.where(truncated, final_value, v_tp1)
    return jnp.where(terminated, jnp.zeros_like(v_tp1), v_tp1)


def generalized_advantage(
    reward: jax.Array,
    value: jax.Array,
    v_tp1: jax.Array,
    ended: jax.Array,
    gamma: jax.Array | float,
    lam: jax.Array | float,
) -> jax.Array:
    """Generalised advantage estimates (Schulman et al. 2016, arXiv 1506.02438, eq. 16).

    A_t = delta_t + gamma lam A_{t+1}, delta_t = r_t + gamma v_{t+1} - v_t, cut at episode ends.

    Args:
        reward: float32 [T, ...].
        value: v(o_t), float32 [T, ...].
        v_tp1: value of what the transition led to, from `next_values`; float32 [T, ...].
        ended: terminated or truncated, bool [T, ...].
        gamma: discount per step.
        lam: weight of longer returns, 0 is one-step TD, 1 is Monte Carlo with a baseline.

    Returns:
        float32 [T, ...].
    """
    chex.assert_equal_shape([reward, value, v_tp1, ended])
    delta = reward + gamma * v_tp1 - value
    decay = jnp.where(ended, jnp.zeros_like(delta), gamma * lam)

    def backward(advantage, step):
        delta_t, decay_t = step
        advantage = delta_t + decay_t * advantage
        return advantage, advantage

    _, advantages = jax.lax.scan(
        backward, jnp.zeros_like(delta[0]), (delta, decay), reverse=True, unroll=8
    )
    return advantages


def discounted_sums(
    reward: jax.Array, ended: jax.Array, start: jax.Array, gamma: jax.Array | float
) -> tuple[jax.Array, jax.Array]:
    """Running discounted reward sums G_t = gamma G_{t-1} + r_t, begun anew after an episode.

    Args:
        reward: float32 [T, ...].
        ended: bool [T, ...], terminated or truncated.
        start: G before the first step, float32 [...].
        gamma: discount per step.

    Returns:
        The sums float32 [T, ...] and the one to carry into the next trajectory, float32 [...].
    """

    def forward(total, step):
        reward_t, ended_t = step
        total = gamma * total + reward_t
        return jnp.where(ended_t, jnp.zeros_like(total), total), total

    carry, sums = jax.lax.scan(forward, start, (reward, ended), unroll=8)
    return sums, carry
