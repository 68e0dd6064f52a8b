"""Probes of structured observations: masks of legal actions and nested pytrees. One step each."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.probes.base import Probe, ProbeParams
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Space

ILLEGAL_REWARD = -10.0


class Mask(Probe):
    """`Discrete(4)` with a mask; the highest legal action pays 1, other legal ones 0.

    Observation: {"observation": float32 [1], always 0; "action_mask": bool [4]}, the mask one of
    the 11 with at least two legal actions, at random. An illegal action pays -10 and sets
    `info["illegal"]`, bool []. Optimal: the highest legal action. Value 1. A policy that does not
    apply the mask of its own observation acts illegally, and cannot reach the value.
    """

    def observations(self) -> dict[str, np.ndarray]:
        """All 11 masks: float32 [11, 1] and bool [11, 4]."""
        masks = np.array([bits for bits in itertools.product((False, True), repeat=4)])
        return _masked(masks[masks.sum(axis=1) >= 2])

    def optimal_actions(self) -> np.ndarray:
        """The highest legal actions: int32 [11]."""
        return _highest(self.observations()["action_mask"])

    def _values(self, gamma: jax.Array | float) -> Any:
        return jnp.float32(1)

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        best = (action == jnp.asarray(self.optimal_actions())[cue]).astype(jnp.float32)
        return jnp.where(self._illegal(cue, action), jnp.float32(ILLEGAL_REWARD), best)

    def _info(self, cue: jax.Array, action: jax.Array) -> dict[str, jax.Array]:
        return {"illegal": self._illegal(cue, action)}

    def _illegal(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        return ~jnp.asarray(self.observations()["action_mask"])[cue, action]

    def action_space(self, params: ProbeParams | None = None) -> Space:
        """Four actions."""
        return Discrete(4)

    def observation_space(self, params: ProbeParams | None = None) -> Dict:
        """A number and the mask."""
        return _masked_space((4,))


class MultiDiscreteMask(Mask):
    """`MultiDiscrete((2, 3))` with a mask bool [2, 3]; places beyond a choice's size are False.

    Observation: {"observation": float32 [1], always 0; "action_mask": bool [2, 3]}, one of the 21
    masks with a legal value for each choice, at random. Each component that is its highest legal
    value pays 1/2; any illegal component makes it -10 and sets `info["illegal"]`. Value 1.
    """

    def observations(self) -> dict[str, np.ndarray]:
        """All 21 masks: float32 [21, 1] and bool [21, 2, 3]."""
        rows = np.array([bits for bits in itertools.product((False, True), repeat=3) if any(bits)])
        first = rows[~rows[:, 2]]
        pairs = [np.stack(pair) for pair in itertools.product(first, rows)]
        return _masked(np.stack(pairs))

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        hits = action == jnp.asarray(self.optimal_actions())[cue]
        legal_reward = jnp.mean(hits.astype(jnp.float32))
        return jnp.where(self._illegal(cue, action), jnp.float32(ILLEGAL_REWARD), legal_reward)

    def _illegal(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        mask = jnp.asarray(self.observations()["action_mask"])[cue]
        return ~jnp.all(mask[jnp.arange(2), action])

    def action_space(self, params: ProbeParams | None = None) -> MultiDiscrete:
        """Two choices, of 2 and of 3."""
        return MultiDiscrete((2, 3))

    def observation_space(self, params: ProbeParams | None = None) -> Dict:
        """A number and the mask."""
        return _masked_space((2, 3))


class Pytree(Probe):
    """Two bits in different leaves; `Discrete(4)`, action 2 a + b pays 1, others 0.

    Observation: {"grid": uint8 [2, 2], all 0 or all 1 (a); "pose": {"x": float32 [1], -1 or 1
    (b)}}. Optimal: 2 a + b, which needs both leaves. Value 1.
    """

    def observations(self) -> dict[str, Any]:
        """All four pairs of bits: uint8 [4, 2, 2] and float32 [4, 1]."""
        high, low = np.divmod(self.optimal_actions(), 2)
        grid = np.broadcast_to(high[:, None, None], (4, 2, 2)).astype(np.uint8)
        return {"grid": grid, "pose": {"x": (2 * low[:, None] - 1).astype(np.float32)}}

    def optimal_actions(self) -> np.ndarray:
        """0, 1, 2, 3: int32 [4]."""
        return np.arange(4, dtype=np.int32)

    def _values(self, gamma: jax.Array | float) -> Any:
        return jnp.float32(1)

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        return (action == cue).astype(jnp.float32)

    def action_space(self, params: ProbeParams | None = None) -> Discrete:
        """Four actions."""
        return Discrete(4)

    def observation_space(self, params: ProbeParams | None = None) -> Dict:
        """A grid of bytes and a nested number."""
        pose = Dict({"x": Box(-1.0, 1.0, (1,), jnp.float32)})
        return Dict({"grid": Box(0, 1, (2, 2), jnp.uint8), "pose": pose})


def _masked(masks: np.ndarray) -> dict[str, np.ndarray]:
    return {"observation": np.zeros((len(masks), 1), np.float32), "action_mask": masks}


def _highest(masks: np.ndarray) -> np.ndarray:
    """Index of the last True along the last axis, int32."""
    size = masks.shape[-1]
    return (size - 1 - np.argmax(masks[..., ::-1], axis=-1)).astype(np.int32)


def _masked_space(mask_shape: tuple[int, ...]) -> Dict:
    return Dict(
        {
            "observation": Box(-1.0, 1.0, (1,), jnp.float32),
            "action_mask": Box(False, True, mask_shape, jnp.bool_),
        }
    )
