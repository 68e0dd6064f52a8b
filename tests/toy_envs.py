"""Environments made for tests."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import spaces
from gymnax.environments.environment import Environment

from jaxrl.spaces import MultiDiscrete


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


@struct.dataclass
class PaintState:
    """Grids of colours, int8 [H, W]; `time` counts steps."""

    grid: jax.Array
    answer: jax.Array
    time: jax.Array


@struct.dataclass
class PaintParams:
    """Episodes are truncated after this many steps."""

    max_steps_in_episode: int = 4


class Paint(Environment):
    """Makes a random grid equal to a random answer by painting boxes.

    Observation: {"grid", "answer": int8 [size, size]}. Action int32 [5]: a colour, two rows and two
    columns, of corners in any order. Reward: minus the share of cells that differ after the step.
    """

    def __init__(self, size: int = 3, num_colors: int = 3):
        self.size = size
        self.num_colors = num_colors

    @property
    def default_params(self) -> PaintParams:
        return PaintParams()

    def reset_env(self, key, params):
        shape = (2, self.size, self.size)
        grid, answer = jax.random.randint(key, shape, 0, self.num_colors).astype(jnp.int8)
        state = PaintState(grid, answer, jnp.int32(0))
        return self.observe(state), state

    def step_env(self, key, state, action, params):
        color, row_0, row_1, column_0, column_1 = action
        at = jnp.arange(self.size, dtype=jnp.int32)
        rows = (at >= jnp.minimum(row_0, row_1)) & (at <= jnp.maximum(row_0, row_1))
        columns = (at >= jnp.minimum(column_0, column_1)) & (at <= jnp.maximum(column_0, column_1))
        box = rows[:, None] & columns[None, :]
        grid = jnp.where(box, color.astype(jnp.int8), state.grid)
        state = state.replace(grid=grid, time=state.time + 1)
        reward = -jnp.mean((grid != state.answer).astype(jnp.float32))
        return self.observe(state), state, reward, jnp.bool_(False), {}

    def observe(self, state):
        return {"grid": state.grid, "answer": state.answer}

    def is_truncated(self, state, params):
        return state.time >= params.max_steps_in_episode

    def action_space(self, params):
        return MultiDiscrete((self.num_colors, *(self.size,) * 4))

    def observation_space(self, params):
        box = spaces.Box(0, self.num_colors - 1, (self.size, self.size), jnp.int8)
        return spaces.Dict({"grid": box, "answer": box})
