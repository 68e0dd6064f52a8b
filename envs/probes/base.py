"""What all probe environments share: a finite table of observations and what is optimal in each.

A probe has N cues. A state is a cue and the time; the observation is the cue's row of a table.
By default a cue is drawn uniformly at reset and the episode terminates after one step.
"""

import abc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.environment import Environment, EnvParams, EnvState
from jaxrl.spaces import Discrete, Space


@struct.dataclass
class ProbeState(EnvState):
    """State of a probe.

    Attributes:
        time: int32 [], steps taken in the episode.
        cue: int32 [], the row of `observations()` that is shown.
    """

    time: jax.Array
    cue: jax.Array


@struct.dataclass
class ProbeParams(EnvParams):
    """Parameters of a probe.

    Attributes:
        max_steps_in_episode: the time limit.
        reward_scale: multiplies every reward, and so every value.
    """

    max_steps_in_episode: int = 10
    reward_scale: float = 1.0


class Probe(Environment, abc.ABC):
    """An environment with known optima; a subclass states its table and its reward.

    `action_matters` is False where every policy is optimal, so that only values can be checked.
    `fully_observed` is False where several rows of the table look the same, so that the optimum
    needs memory: `optimal_action` does not apply there, and the state's `cue` tells rows apart.
    """

    action_matters = True
    fully_observed = True

    @abc.abstractmethod
    def observations(self) -> Any:
        """Every observation in which an action is taken: a pytree of NumPy arrays [N, ...]."""

    @abc.abstractmethod
    def optimal_actions(self) -> np.ndarray:
        """The best action at each of `observations()`, [N, ...]."""

    def optimal_values(self, params: ProbeParams, gamma: jax.Array | float) -> jax.Array:
        """The optimal policy's discounted return from each of `observations()`, float32 [N]."""
        return jnp.broadcast_to(self._values(gamma), (self.num_cues,)) * params.reward_scale

    def optimal_action(self, obs: Any) -> jax.Array:
        """The best action at the unbatched observation `obs`."""
        rows = [
            jnp.all(jnp.reshape(table == leaf[None], (self.num_cues, -1)), axis=-1)
            for table, leaf in zip(
                jax.tree.leaves(self.observations()), jax.tree.leaves(obs), strict=True
            )
        ]
        cue = jnp.argmax(jnp.all(jnp.stack(rows), axis=0))
        return jnp.asarray(self.optimal_actions())[cue]

    @abc.abstractmethod
    def _values(self, gamma: jax.Array | float) -> Any:
        """Optimal values for `reward_scale` 1, [N] or []."""

    @abc.abstractmethod
    def _reward(self, cue: jax.Array, action: jax.Array) -> jax.Array:
        """Reward of `action` at `cue` for `reward_scale` 1, float32 []."""

    def _first_cue(self, key: jax.Array) -> jax.Array:
        return jax.random.randint(key, (), 0, self.num_cues, jnp.int32)

    def _advance(self, cue: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The next cue, int32 [], and whether the episode terminates, bool []."""
        return cue, jnp.asarray(True)

    def _info(self, cue: jax.Array, action: jax.Array) -> dict[str, jax.Array]:
        return {}

    @property
    def num_cues(self) -> int:
        """N, the number of rows of `observations()`."""
        return jax.tree.leaves(self.observations())[0].shape[0]

    @property
    def name(self) -> str:
        """The id under which the probe is registered."""
        return f"Probe-{type(self).__name__}-v1"

    @property
    def default_params(self) -> ProbeParams:
        """A time limit of 10 steps, rewards unscaled."""
        return ProbeParams()

    def reset_env(self, key: jax.Array, params: ProbeParams) -> tuple[Any, ProbeState]:
        """Starts an episode: the first observation and the state."""
        state = ProbeState(time=jnp.int32(0), cue=self._first_cue(key))
        return self.observe(key, state, None, params), state

    def step_env(
        self, key: jax.Array, state: ProbeState, action: jax.Array, params: ProbeParams
    ) -> tuple[Any, ProbeState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """One transition; a terminated episode keeps showing its last cue."""
        reward = self._reward(state.cue, action) * params.reward_scale
        info = self._info(state.cue, action)
        cue, terminated = self._advance(state.cue)
        state = ProbeState(time=state.time + jnp.int32(1), cue=cue)
        return self.observe(key, state, action, params), state, reward, terminated, info

    def observe(self, key: jax.Array, state: ProbeState, action: Any, params: ProbeParams) -> Any:
        """The row of `observations()` that belongs to the state's cue."""
        return jax.tree.map(lambda table: jnp.asarray(table)[state.cue], self.observations())

    @property
    def num_actions(self) -> int:
        """Number of actions, or of components of a continuous action."""
        space = self.action_space()
        return space.n if isinstance(space, Discrete) else space.shape[0]

    @abc.abstractmethod
    def action_space(self, params: ProbeParams | None = None) -> Space:
        """Space of the actions."""
