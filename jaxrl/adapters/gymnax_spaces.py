"""Observation spaces of gymnax 1.0.1 that their own environment leaves, with the true bounds.

Every entry of the table is derived from the environment's source; the reason stands in its
docstring. Bounds are exact functions of the parameters. Where an observation is the result of a
division, `_ROUNDING` is added: XLA may multiply by a reciprocal instead, which is off by one ulp.
Where nothing bounds a component the bound is the largest finite float32, as in gymnax.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxrl.environment import Environment
from jaxrl.spaces import Box, Space

_ROUNDING = 2.0**-23  # one ulp of 1.0 in float32
_UNBOUNDED = float(jnp.finfo(jnp.float32).max)


def corrected_space(env: Environment, params: Any) -> Space:
    """Returns the observation space of `env`: from the table, else what `env` declares."""
    correct = _CORRECTED.get(type(env).__name__)
    return env.observation_space(params) if correct is None else correct(env, params)


def _catch(env: Any, params: Any) -> Box:
    """Declared int32; the board is float32, in bsuite too."""
    return Box(0.0, 1.0, (env.rows, env.columns), jnp.float32)


def _memory_chain(env: Any, params: Any) -> Box:
    """Declared 0..2 * num_bits; the context is shown as -1 or 1.

    Components: time left in 0..1, index of the queried bit, the bits of the context.
    """
    low = _vector(-_ROUNDING, 0.0, jnp.full(env.num_bits, -1.0))
    high = _vector(1.0, env.num_bits - 1, jnp.ones(env.num_bits))
    return Box(low, high, (env.num_bits + 2,), jnp.float32)


def _umbrella_chain(env: Any, params: Any) -> Box:
    """Declared 0..1; the time left, 1 - time / length, comes out as -1.5e-8 after the last step."""
    size = 3 + env.n_distractor
    return Box(jnp.zeros(size).at[2].set(-_ROUNDING), jnp.ones(size), (size,), jnp.float32)


def _meta_maze(env: Any, params: Any) -> Box:
    """Declared 0..1 for the last reward; it is `reward`, `punishment`, their sum, or 0.

    Components: walls in sight, last action (one-hot), last reward, time.
    """
    binary = env.rf_size**2 + env.num_actions
    time_low, time_high = _time_range(params, 100)
    low = _vector(
        jnp.zeros(binary),
        jnp.minimum(params.reward, 0.0) + jnp.minimum(params.punishment, 0.0),
        time_low,
    )
    high = _vector(
        jnp.ones(binary),
        jnp.maximum(params.reward, 0.0) + jnp.maximum(params.punishment, 0.0),
        time_high,
    )
    return Box(low, high, (binary + 2,), jnp.float32)


def _gaussian_bandit(env: Any, params: Any) -> Box:
    """Declared 0..2 for the last reward, which is normal, and 0.. for time in -1..1."""
    time_low, time_high = _time_range(params, 100)
    low = _vector(-_UNBOUNDED, 0.0, 0.0, time_low)
    high = _vector(_UNBOUNDED, 1.0, 1.0, time_high)
    return Box(low, high, (4,), jnp.float32)


def _bernoulli_bandit(env: Any, params: Any) -> Box:
    """Declared up to `max_lim` for the time, which passes it once `max_steps_in_episode` > `t_max`.

    Its declaration also mixes int and float parameters in a way `jax.lax.select` refuses.
    Components: last reward in {0, 1}, last action (one-hot), time.
    """
    time_low, time_high = _time_range(params, params.t_max, params.min_lim, params.max_lim)
    return Box(
        _vector(0.0, 0.0, 0.0, time_low), _vector(1.0, 1.0, 1.0, time_high), (4,), jnp.float32
    )


def _mnist_bandit(env: Any, params: Any) -> Box:
    """Declared 0..1; the loader reads unsigned pixels as int8 (as bsuite's does), /255 follows."""
    return Box(-128 / 255 - _ROUNDING, 127 / 255 + _ROUNDING, env.image_shape, jnp.float32)


def _time_range(params: Any, t_max: Any, minimum: Any = -1.0, maximum: Any = 1.0) -> tuple:
    """Range of `time`, or of (maximum - minimum) * time / t_max + minimum if normalised."""
    limit = jnp.asarray(params.max_steps_in_episode, jnp.float32)
    span = (maximum - minimum) * limit / t_max
    last, margin = span + minimum, _ROUNDING * (jnp.abs(span) + jnp.abs(minimum))
    low = jnp.where(params.normalize_time, jnp.minimum(minimum, last - margin), 0.0)
    high = jnp.where(params.normalize_time, jnp.maximum(minimum, last + margin), limit)
    return low, high


def _vector(*parts: Any) -> Any:
    return jnp.concatenate([jnp.atleast_1d(jnp.asarray(part, jnp.float32)) for part in parts])


_CORRECTED: dict[str, Callable[[Any, Any], Box]] = {
    "BernoulliBandit": _bernoulli_bandit,
    "Catch": _catch,
    "GaussianBandit": _gaussian_bandit,
    "MNISTBandit": _mnist_bandit,
    "MemoryChain": _memory_chain,
    "MetaMaze": _meta_maze,
    "UmbrellaChain": _umbrella_chain,
}
