"""Action heads: how network outputs become a distribution over an action space."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import spaces

from jaxrl.distributions import (
    Categorical,
    ClippedNormal,
    MultiCategorical,
    TanhNormal,
    mask_logits,
)
from jaxrl.spaces import MultiDiscrete

CONTINUOUS_HEADS = ("tanh-normal", "clipped-normal")


class ActionHead(NamedTuple):
    """A recipe for one action space.

    Attributes:
        num_outputs: numbers the policy network must give per observation.
        num_free: free parameters besides (log standard deviations), not depending on the
            observation; 0 for discrete actions.
        distribution: (outputs [B, num_outputs], free [num_free], mask or None) -> distribution.
        to_action: raw action [B, ...] -> what the environment takes.
    """

    num_outputs: int
    num_free: int
    distribution: Callable[[jax.Array, jax.Array, jax.Array | None], Any]
    to_action: Callable[[jax.Array], jax.Array]


def action_head(space: Any, continuous: str = "tanh-normal") -> ActionHead:
    """The head for `space`.

    Args:
        space: Discrete, MultiDiscrete or Box of rank 1 or 0.
        continuous: "tanh-normal" or "clipped-normal", for a Box.

    Raises:
        ValueError: an action space without a head, an unbounded Box for tanh-normal, or an
            unknown name.
    """
    if isinstance(space, spaces.Discrete):
        return _discrete(space.n)
    if isinstance(space, MultiDiscrete):
        return _multi_discrete(tuple(space.nvec))
    if isinstance(space, spaces.Box) and len(space.shape) <= 1:
        return _continuous(space, continuous)
    raise ValueError(f"no action head for the action space {space}")


def _discrete(n: int) -> ActionHead:
    def distribution(outputs, free, mask):
        del free
        return Categorical(mask_logits(outputs, mask))

    return ActionHead(n, 0, distribution, lambda raw: raw)


def _multi_discrete(nvec: tuple[int, ...]) -> ActionHead:
    widest = max(nvec)
    exists = np.arange(widest)[None, :] < np.asarray(nvec)[:, None]

    def distribution(outputs, free, mask):
        del free
        logits = outputs.reshape((*outputs.shape[:-1], len(nvec), widest))
        legal = jnp.broadcast_to(jnp.asarray(exists), logits.shape)
        return MultiCategorical(mask_logits(logits, legal if mask is None else legal & mask))

    return ActionHead(len(nvec) * widest, 0, distribution, lambda raw: raw)


def _continuous(space: spaces.Box, kind: str) -> ActionHead:
    low = np.broadcast_to(np.asarray(space.low, np.float32), space.shape)
    high = np.broadcast_to(np.asarray(space.high, np.float32), space.shape)
    bounded = np.all(np.isfinite(low) & np.isfinite(high) & (high - low < 1e30))
    if kind not in CONTINUOUS_HEADS:
        raise ValueError(f"unknown continuous head {kind!r}; one of {', '.join(CONTINUOUS_HEADS)}")
    if not bounded and kind == "tanh-normal":
        raise ValueError(f"a tanh-normal policy needs a bounded action space, got {space}")
    half = (high - low) / 2 if bounded else np.ones_like(low)
    middle = (high + low) / 2 if bounded else np.zeros_like(low)
    size = int(np.prod(space.shape))

    def to_action(raw):
        squashed = jnp.tanh(raw) if kind == "tanh-normal" else jnp.clip(raw, -1.0, 1.0)
        unit = squashed if bounded else raw
        batch = unit.shape[:-1]
        unit = unit.reshape((*batch, *space.shape))
        lead = (1,) * len(batch)
        action = middle.reshape(lead + middle.shape) + half.reshape(lead + half.shape) * unit
        # Rounding may step over a bound by one unit in the last place.
        return jnp.clip(action, low.reshape(lead + low.shape), high.reshape(lead + high.shape))

    def distribution(outputs, free, mask):
        if mask is not None:
            raise ValueError("action_mask has no meaning for continuous actions")
        log_std = jnp.broadcast_to(free.reshape((1,) * (outputs.ndim - 1) + (-1,)), outputs.shape)
        if kind == "tanh-normal":
            return TanhNormal(outputs, log_std, tuple(float(x) for x in half.reshape(-1)))
        return ClippedNormal(outputs, log_std)

    return ActionHead(size, size, distribution, to_action)
