"""Probes of the policy: one step, and the reward depends on the action."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.probes.base import Probe, ProbeParams
from jaxrl.spaces import Box, Discrete, MultiDiscrete

_SIGNS = np.array([[-1.0], [1.0]], np.float32)


class Action(Probe):
    """Observation float32 [1], always 0. `Discrete(2)`: action 1 pays 1, action 0 pays -1.

    Optimal: action 1. Value 1. Wrong if the policy gradient has the wrong sign.
    """

    def observations(self) -> np.ndarray:
        """Always 0: float32 [1, 1]."""
        return np.zeros((1, 1), np.float32)

    def optimal_actions(self) -> np.ndarray:
        """Action 1: int32 [1]."""
        return np.ones(1, np.int32)

    def _values(self, gamma: jax.Array | float) -> Any:
        return jnp.float32(1)

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        return jnp.where(action == 1, jnp.float32(1), jnp.float32(-1))

    def action_space(self, params: ProbeParams | None = None) -> Discrete:
        """Two actions."""
        return Discrete(2)

    def observation_space(self, params: ProbeParams | None = None) -> Box:
        """float32 [1] in -1..1."""
        return Box(-1.0, 1.0, (1,), jnp.float32)


class ObservationAction(Action):
    """Observation float32 [1], -1 or 1 at random. The action of its sign pays 1, the other -1.

    Optimal: action 0 at -1 and action 1 at 1. Value 1. Wrong if actions, advantages and
    observations of different steps or environments are mixed.
    """

    def observations(self) -> np.ndarray:
        """-1 and 1: float32 [2, 1]."""
        return _SIGNS

    def optimal_actions(self) -> np.ndarray:
        """0 and 1: int32 [2]."""
        return np.arange(2, dtype=np.int32)

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        return jnp.where(action == cue, jnp.float32(1), jnp.float32(-1))


class Continuous(Probe):
    """Observation float32 [1], -1 or 1 at random. Action float32 [2] in [1, 5] x [-6, -2].

    Actions are clipped to the Box. Reward 1 - mean(((action - target) / 2)^2), where the target is
    (2, -3) at observation -1 and (4, -5) at 1, inside the Box. Optimal: the target. Value 1.
    Wrong if a policy acts in -1..1 instead of the bounds, or mixes up the components.
    """

    _low = np.array([1.0, -6.0], np.float32)
    _high = np.array([5.0, -2.0], np.float32)

    def observations(self) -> np.ndarray:
        """-1 and 1: float32 [2, 1]."""
        return _SIGNS

    def optimal_actions(self) -> np.ndarray:
        """The targets: float32 [2, 2]."""
        return np.array([[2.0, -3.0], [4.0, -5.0]], np.float32)

    def _values(self, gamma: jax.Array | float) -> Any:
        return jnp.float32(1)

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        target = jnp.asarray(self.optimal_actions())[cue]
        error = (jnp.clip(action, self._low, self._high) - target) / 2
        return 1 - jnp.mean(jnp.square(error))

    def action_space(self, params: ProbeParams | None = None) -> Box:
        """float32 [2], the bounds differ by component."""
        return Box(self._low, self._high, (2,), jnp.float32)

    def observation_space(self, params: ProbeParams | None = None) -> Box:
        """float32 [1] in -1..1."""
        return Box(-1.0, 1.0, (1,), jnp.float32)


class MultiDiscreteChoice(Probe):
    """Action int32 [2], `MultiDiscrete((2, 3))`; the observation names a target for each choice.

    Observation float32 [5]: the two targets one-hot, 6 pairs at random. Each component that hits
    its target pays 1/2. Optimal: the targets. Value 1.
    """

    _nvec = (2, 3)

    def observations(self) -> np.ndarray:
        """All pairs of targets, one-hot: float32 [6, 5]."""
        one_hot = [
            np.eye(size, dtype=np.float32)[self.optimal_actions()[:, k]]
            for k, size in enumerate(self._nvec)
        ]
        return np.concatenate(one_hot, axis=1)

    def optimal_actions(self) -> np.ndarray:
        """All pairs of targets: int32 [6, 2]."""
        return np.stack(np.divmod(np.arange(6, dtype=np.int32), np.int32(3)), axis=1)

    def _values(self, gamma: jax.Array | float) -> Any:
        return jnp.float32(1)

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        hits = action == jnp.asarray(self.optimal_actions())[cue]
        return jnp.mean(hits.astype(jnp.float32))

    @property
    def name(self) -> str:
        """The id under which the probe is registered."""
        return "Probe-MultiDiscrete-v1"

    def action_space(self, params: ProbeParams | None = None) -> MultiDiscrete:
        """Two choices, of 2 and of 3."""
        return MultiDiscrete(self._nvec)

    def observation_space(self, params: ProbeParams | None = None) -> Box:
        """float32 [5] in 0..1."""
        return Box(0.0, 1.0, (5,), jnp.float32)
