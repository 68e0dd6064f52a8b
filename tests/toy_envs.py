"""Environments made for tests."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import spaces
from gymnax.environments.environment import Environment


@struct.dataclass
class CounterState:
    """`start` identifies the initial state, `time` counts steps, `length` ends the episode."""

    start: jax.Array
    length: jax.Array
    time: jax.Array


@struct.dataclass
class CounterParams:
    """Episodes end by themselves after `min_length` to `max_length` steps."""

    min_length: int = 3
    max_length: int = 6
    max_steps_in_episode: int = 1000


class CostlyReset(Environment):
    """Counts every initial state that is computed, on the host, and makes it costly.

    Observation float32 [2]: (time, low bits of the start's identity). Reward: the time after
    the step. The count is taken by a callback and so cannot be argued away.
    """

    def __init__(self, cost: int = 8, on_reset: Any = None):
        self.cost = cost
        self.on_reset = on_reset

    @property
    def default_params(self) -> CounterParams:
        return CounterParams()

    def reset_env(self, key, params):
        if self.on_reset is not None:
            jax.debug.callback(self.on_reset, jax.random.key_data(key))
        key_start, key_length, key_work = jax.random.split(key, 3)
        work = jax.random.normal(key_work, (self.cost, self.cost))
        work = jax.lax.fori_loop(0, self.cost, lambda _, x: jnp.tanh(x @ x), work)
        start = jax.random.bits(key_start, (), jnp.uint32)
        start = start + (jnp.sum(work) > jnp.inf).astype(jnp.uint32)
        length = jax.random.randint(key_length, (), params.min_length, params.max_length + 1)
        state = CounterState(start, length, jnp.int32(0))
        return self.observe(key, state, None, params), state

    def step_env(self, key, state, action, params):
        state = state.replace(time=state.time + 1)
        obs = self.observe(key, state, action, params)
        return obs, state, state.time.astype(jnp.float32), state.time >= state.length, {}

    def observe(self, key, state, action, params):
        low = (state.start % jnp.uint32(1 << 16)).astype(jnp.float32)
        return jnp.stack([state.time.astype(jnp.float32), low])

    def is_truncated(self, state, params):
        return state.time >= params.max_steps_in_episode

    def action_space(self, params):
        return spaces.Discrete(2)

    def observation_space(self, params):
        return spaces.Box(0.0, 1e6, (2,), jnp.float32)
