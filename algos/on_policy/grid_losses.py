"""Three auxiliary losses for agents that edit grids (Lee et al. 2024, arXiv 2407.20806).

- the previous reward, from the state;
- the reward, from state and action;
- the next grid, from state and action.

Rewards are those that the learner sees, normalised where it normalises them. What lies beyond the
rollout or in another episode is no target.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.algos.on_policy.auxiliary import Auxiliary
from jaxrl.algos.on_policy.types import Trajectory
from jaxrl.grids import inside


def previous_reward(name: str = "previous_reward") -> Auxiliary:
    """0.5 (prediction - r_{t-1})^2; the prediction is float32 [B].

    The first step of a rollout or of an episode has no target.
    """

    def target(trajectory: Trajectory) -> tuple[jax.Array, jax.Array]:
        reward, ended = trajectory.reward, trajectory.ended
        before = jnp.concatenate([jnp.zeros_like(reward[:1]), reward[:-1]])
        return before, jnp.concatenate([jnp.zeros_like(ended[:1]), ~ended[:-1]])

    return Auxiliary(name, target, squared_error)


def reward(name: str = "reward") -> Auxiliary:
    """0.5 (prediction - r_t)^2; the prediction is float32 [B]."""

    def target(trajectory: Trajectory) -> tuple[jax.Array, jax.Array]:
        return trajectory.reward, jnp.ones_like(trajectory.ended)

    return Auxiliary(name, target, squared_error)


def next_grid(
    grid: str = "grid", size: str = "", smoothing: float = 0.1, name: str = "next_grid"
) -> Auxiliary:
    """Cross-entropy of the colours of g_{t+1}, with label smoothing, mean over its cells.

    The prediction is logits float32 [B, H, W, C]. The last step of a rollout or of an episode has
    no target.

    Args:
        grid: key of the observation, a grid of integers [H, W].
        size: key of its rows and columns, integers [2], where it does not fill the canvas; the
            cells outside do not count.
        smoothing: share of the target that is spread over all C colours, in [0, 1).
        name: of the term.

    Raises:
        ValueError: `smoothing` is outside its range.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")

    def target(trajectory: Trajectory) -> tuple[Any, jax.Array]:
        ended = trajectory.ended
        # The last row is any finite one.
        following = jax.tree.map(
            lambda x: jnp.concatenate([x[1:], x[-1:]]),
            (trajectory.obs[grid], _inside(trajectory.obs, grid, size)),
        )
        return following, jnp.concatenate([~ended[:-1], jnp.zeros_like(ended[:1])])

    def loss(logits: jax.Array, following: tuple[jax.Array, jax.Array]) -> jax.Array:
        colors, counts = following
        entropy = smoothed_cross_entropy(logits, colors, smoothing)
        cells = jnp.sum(counts, axis=(-2, -1), dtype=jnp.float32)
        return jnp.sum(jnp.where(counts, entropy, 0.0), axis=(-2, -1)) / jnp.maximum(cells, 1.0)

    return Auxiliary(name, target, loss)


def squared_error(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """0.5 (prediction - target)^2, elementwise."""
    return 0.5 * jnp.square(prediction - target)


def smoothed_cross_entropy(logits: jax.Array, label: jax.Array, smoothing: float) -> jax.Array:
    """-sum_c q_c log softmax(logits)_c with q = (1 - s) onehot(label) + s / C, float32 [...].

    Args:
        logits: float32 [..., C].
        label: integers [...].
        smoothing: s (Szegedy et al. 2016, sec. 7).
    """
    log_probs = jax.nn.log_softmax(logits)
    chosen = jax.nn.one_hot(label, logits.shape[-1], dtype=jnp.bool_)
    picked = jnp.sum(jnp.where(chosen, log_probs, 0.0), axis=-1)
    return -(1.0 - smoothing) * picked - smoothing * jnp.mean(log_probs, axis=-1)


def _inside(obs: Any, grid: str, size: str) -> jax.Array:
    """Cells that belong to the grid, bool [..., H, W]."""
    height, width = obs[grid].shape[-2:]
    if not size:
        return jnp.ones(obs[grid].shape, jnp.bool_)
    return inside(obs[size], height, width)
