"""Probes of the value function: whatever is done, the return is the same.

Actions: `Discrete(2)`, without effect. Observations: float32 [1].
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.probes.base import Probe, ProbeParams
from jaxrl.spaces import Box, Discrete


class _ValueProbe(Probe):
    action_matters = False

    def optimal_actions(self) -> np.ndarray:
        """Action 0, as good as any: int32 [N]."""
        return np.zeros(self.num_cues, np.int32)

    def action_space(self, params: ProbeParams | None = None) -> Discrete:
        """Two actions without effect."""
        return Discrete(2)

    def observation_space(self, params: ProbeParams | None = None) -> Box:
        """float32 [1] in -1..1."""
        return Box(-1.0, 1.0, (1,), jnp.float32)


class Constant(_ValueProbe):
    """One step, reward 1. Value 1.

    Wrong if values are not learned from rewards, or if the state after a termination is valued.
    """

    def observations(self) -> np.ndarray:
        """Always 0: float32 [1, 1]."""
        return np.zeros((1, 1), np.float32)

    def _values(self, gamma: jax.Array | float) -> Any:
        return jnp.float32(1)

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        return jnp.float32(1)


class Observation(_ValueProbe):
    """One step; the observation is -1 or 1 at random, and so is the reward. Value: the observation.

    Wrong if observations and returns are paired with the wrong step.
    """

    def observations(self) -> np.ndarray:
        """-1 and 1: float32 [2, 1]."""
        return np.array([[-1.0], [1.0]], np.float32)

    def _values(self, gamma: jax.Array | float) -> Any:
        return jnp.asarray(self.observations()[:, 0])

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        return jnp.asarray(self.observations())[cue, 0]


class Discount(_ValueProbe):
    """Two steps, observations 0 then 1, rewards 0 then 1. Values gamma and 1.

    Wrong if rewards are discounted by the wrong power, or the next value is not used.
    """

    def observations(self) -> np.ndarray:
        """0 and 1: float32 [2, 1]."""
        return np.array([[0.0], [1.0]], np.float32)

    def _values(self, gamma: jax.Array | float) -> Any:
        return jnp.stack([jnp.asarray(gamma, jnp.float32), jnp.float32(1)])

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        return cue.astype(jnp.float32)

    def _first_cue(self, key: jax.Array) -> jax.Array:
        return jnp.int32(0)

    def _advance(self, cue: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.int32(1), cue == 1


class TimeLimit(_ValueProbe):
    """Reward 1 at every step for ever; only the time limit (10 steps) ends an episode.

    Value 1 / (1 - gamma), independent of the limit. Who treats the limit as a termination, or
    bootstraps from the observation after the reset of another environment's episode, learns about
    (1 - gamma^k) / (1 - gamma) with k the steps left, on average, instead.
    """

    def observations(self) -> np.ndarray:
        """Always 0: float32 [1, 1]."""
        return np.zeros((1, 1), np.float32)

    def _values(self, gamma: jax.Array | float) -> Any:
        return 1 / (1 - jnp.asarray(gamma, jnp.float32))

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        return jnp.float32(1)

    def _advance(self, cue: jax.Array) -> tuple[jax.Array, jax.Array]:
        return cue, jnp.asarray(False)
