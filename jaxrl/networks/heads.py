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
    ConditionalCategorical,
    MultiCategorical,
    TanhNormal,
    mask_logits,
)
from jaxrl.spaces import MultiDiscrete

CONTINUOUS_HEADS = ("tanh-normal", "clipped-normal")
MULTI_DISCRETE_HEADS = ("independent", "conditional")


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


def action_head(
    space: Any, continuous: str = "tanh-normal", multi_discrete: str = "independent"
) -> ActionHead:
    """The head for `space`.

    Args:
        space: Discrete, MultiDiscrete or Box of rank 1 or 0.
        continuous: "tanh-normal" or "clipped-normal", for a Box.
        multi_discrete: "independent" choices or "conditional" on the first of them, for a
            MultiDiscrete, see `independent_head` and `conditional_head`.

    Raises:
        ValueError: an action space without a head, an unbounded Box for tanh-normal, or an
            unknown name.
    """
    if isinstance(space, spaces.Discrete):
        return _discrete(space.n)
    if isinstance(space, MultiDiscrete):
        check_multi_discrete(multi_discrete)
        conditional = multi_discrete == "conditional"
        return conditional_head(space.nvec) if conditional else independent_head(space.nvec)
    if isinstance(space, spaces.Box) and len(space.shape) <= 1:
        return _continuous(space, continuous)
    raise ValueError(f"no action head for the action space {space}")


def _discrete(n: int) -> ActionHead:
    def distribution(outputs, free, mask):
        del free
        return Categorical(mask_logits(outputs, mask))

    return ActionHead(n, 0, distribution, lambda raw: raw)


def check_multi_discrete(kind: str) -> None:
    """Raises ValueError unless `kind` is one of `MULTI_DISCRETE_HEADS`."""
    if kind not in MULTI_DISCRETE_HEADS:
        known = ", ".join(MULTI_DISCRETE_HEADS)
        raise ValueError(f"unknown multi-discrete head {kind!r}; one of {known}")


def independent_head(nvec: tuple[int, ...]) -> ActionHead:
    """All choices at once: outputs are logits [K, n], n = max(nvec).

    A mask is bool [..., K, n]: the legal values of every choice.
    """
    widest = max(nvec)
    exists = _exists(nvec, widest)

    def distribution(outputs, free, mask):
        del free
        logits = outputs.reshape((*outputs.shape[:-1], len(nvec), widest))
        legal = jnp.broadcast_to(jnp.asarray(exists), logits.shape)
        if mask is not None:
            _check_mask(mask, logits.shape)
            legal = legal & mask
        return MultiCategorical(mask_logits(logits, legal))

    return ActionHead(len(nvec) * widest, 0, distribution, lambda raw: raw)


def conditional_head(nvec: tuple[int, ...]) -> ActionHead:
    """The first choice, and the others given it.

    With O = nvec[0], K = len(nvec) - 1 and n = max(nvec[1:]), outputs are O logits of the first
    choice and then those of the others for each of its values, [O, K, n] flattened.

    A mask is one of two, told apart by their rank:

    - bool [..., 1 + K, max(nvec)], as of the independent head: legal values of every choice;
    - bool [..., O, K, n]: legal values of the others given the first, which itself is legal where
      every other choice has a legal value.

    Raises:
        ValueError: there is only one choice, or a mask of neither shape.
    """
    if len(nvec) < 2:
        raise ValueError(f"a conditional head needs two choices or more, got nvec {tuple(nvec)}")
    num_first, shape = nvec[0], (nvec[0], len(nvec) - 1, max(nvec[1:]))
    exists = np.broadcast_to(_exists(nvec[1:], shape[-1]), shape)

    def distribution(outputs, free, mask):
        del free
        batch = outputs.shape[:-1]
        first, rest = outputs[..., :num_first], outputs[..., num_first:].reshape((*batch, *shape))
        legal_first, legal = None, jnp.broadcast_to(jnp.asarray(exists), rest.shape)
        if mask is not None and mask.ndim == rest.ndim:
            _check_mask(mask, rest.shape)
            legal = legal & mask
            legal_first = jnp.all(jnp.any(legal, axis=-1), axis=-1)
        elif mask is not None:
            _check_mask(mask, (*batch, len(nvec), max(nvec)))
            legal_first = mask[..., 0, :num_first]
            legal = legal & mask[..., None, 1:, : shape[-1]]
        return ConditionalCategorical(mask_logits(first, legal_first), mask_logits(rest, legal))

    return ActionHead(num_first + int(np.prod(shape)), 0, distribution, lambda raw: raw)


def _exists(nvec: tuple[int, ...], widest: int) -> np.ndarray:
    """Where a choice has a value and not padding, bool [K, widest]."""
    return np.arange(widest)[None, :] < np.asarray(nvec)[:, None]


def _check_mask(mask: jax.Array, shape: tuple[int, ...]) -> None:
    if mask.shape != shape:
        raise ValueError(f"action_mask must have the shape {shape}, got {mask.shape}")


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
