"""Probe of memory: the right answer was shown long ago."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.probes.base import Probe, ProbeParams
from jaxrl.spaces import Box, Discrete


class Memory(Probe):
    """A bit is shown in the first of `length` steps and asked for in the last. `Discrete(2)`.

    Observation float32 [2]: (-1 or 1, 0) in the first step, (0, 0) between, (0, 1) in the last.
    There the action of the bit's sign pays 1, the other -1; all other steps pay 0 whatever is done.
    Each episode draws a bit of its own.

    Optimal, with memory: the bit. Value gamma^k with k steps to go, return 1. Without memory the
    last observation says nothing: every answer pays 0 on average, so every policy has the value 0,
    at every observation but those of the first step too. Who does not forget at the end of an
    episode, or forgets within one, is right half of the time.

    The rows of the table are what there is to remember: bit 0 at every time, then bit 1.
    """

    fully_observed = False

    def __init__(self, length: int = 8):
        """An episode has `length` steps, at least 2."""
        if length < 2:
            raise ValueError(f"a memory probe needs at least 2 steps, got length = {length}")
        super().__init__()
        self.length = length

    def observations(self) -> np.ndarray:
        """By bit and time: float32 [2 * length, 2]; only the first of each bit differ."""
        table = np.zeros((2, self.length, 2), np.float32)
        table[:, 0, 0] = -1, 1
        table[:, -1, 1] = 1
        return table.reshape((-1, 2))

    def optimal_actions(self) -> np.ndarray:
        """The bit at every time: int32 [2 * length]; it matters at the last one only."""
        return np.repeat(np.arange(2, dtype=np.int32), self.length)

    @property
    def default_params(self) -> ProbeParams:
        """A time limit that cuts no episode, rewards unscaled."""
        return ProbeParams(max_steps_in_episode=self.length)

    def _values(self, gamma: jax.Array | float) -> Any:
        to_go = jnp.arange(self.length, dtype=jnp.int32)[::-1].astype(jnp.float32)
        return jnp.tile(jnp.asarray(gamma, jnp.float32) ** to_go, 2)

    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        right = jnp.where(action == cue // self.length, jnp.float32(1), jnp.float32(-1))
        return jnp.where(self._last(cue), right, jnp.float32(0))

    def _first_cue(self, key: jax.Array) -> jax.Array:
        return jax.random.randint(key, (), 0, 2, jnp.int32) * self.length

    def _advance(self, cue: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.where(self._last(cue), cue, cue + 1), self._last(cue)

    def _last(self, cue: jax.Array) -> jax.Array:
        return cue % self.length == self.length - 1

    def action_space(self, params: ProbeParams | None = None) -> Discrete:
        """The two answers."""
        return Discrete(2)

    def observation_space(self, params: ProbeParams | None = None) -> Box:
        """float32 [2] in -1..1."""
        return Box(-1.0, 1.0, (2,), jnp.float32)
