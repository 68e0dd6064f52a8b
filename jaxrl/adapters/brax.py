"""Brax's environments as jaxrl environments, e.g. `brax/ant`.

Observation: float32 [n], positions and velocities, unbounded. Action: float32 [m] in -1..1, clipped
to it; Brax scales it to the actuators. Reward: Brax's. `terminated`: Brax's `done`, the robot is
unhealthy or the pole fell. Time limit: `max_steps_in_episode`, 1000 as is customary.

Brax's own wrappers for time limits and auto-reset are not used, because they report a time limit
as `done`; nor is `info["time_out"]`, which inverted_pendulum sets to `done`. Dynamics and returns
depend on the `backend` (an attribute of the environment), so pin it in every result.

Source: Freeman et al. 2021, arXiv 2106.13281; https://github.com/google/brax.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.adapters.brax_boundary import boundary, load_class, mujoco_warnings
from jaxrl.environment import Environment, EnvParams, EnvState, strong, strong_like
from jaxrl.spaces import Box

BACKENDS = ("generalized", "positional", "spring", "mjx")
_ONLY_BACKENDS = {"Swimmer": ("generalized",)}
_UNBOUNDED = float(jnp.finfo(jnp.float32).max)


@struct.dataclass
class BraxState(EnvState):
    """State of a Brax environment.

    Attributes:
        time: int32 [], steps taken in the episode.
        brax: Brax's own state (`brax.envs.base.State`) after the last step.
    """

    time: jax.Array
    brax: Any


@struct.dataclass
class BraxParams(EnvParams):
    """Parameters of a Brax environment; the physics are fixed at construction."""

    max_steps_in_episode: int = 1000


class BraxAdapter(Environment):
    """A Brax environment; `unwrapped` is the Brax environment, `backend` its physics engine."""

    def __init__(self, env: Any, name: str):
        """Wraps `env`, a bare `brax.envs.base.Env`, which was made under the id `name`."""
        self._env = env
        self._name = name

    @property
    def unwrapped(self) -> Any:
        """The Brax environment itself."""
        return self._env

    @property
    def backend(self) -> str:
        """The physics engine, one of `BACKENDS`."""
        return self._env.backend

    @property
    def name(self) -> str:
        """The id under which the environment is registered."""
        return self._name

    @property
    def num_actions(self) -> int:
        """Number of components of an action."""
        return self._env.action_size

    @property
    def default_params(self) -> BraxParams:
        """A time limit of 1000 steps."""
        return BraxParams()

    def reset_env(self, key: jax.Array, params: BraxParams) -> tuple[jax.Array, BraxState]:
        """Starts an episode: the first observation, float32 [n], and the state."""
        with boundary():
            brax_state = strong(self._env.reset(key))
        return brax_state.obs, BraxState(time=jnp.int32(0), brax=brax_state)

    def step_env(
        self, key: jax.Array, state: BraxState, action: jax.Array, params: BraxParams
    ) -> tuple[jax.Array, BraxState, jax.Array, jax.Array, dict[str, Any]]:
        """One control step; `info` is Brax's metrics, e.g. the terms of the reward."""
        # Brax writes into these two dictionaries of the state it is given.
        previous = state.brax.replace(metrics=dict(state.brax.metrics), info=dict(state.brax.info))
        with boundary():
            new = self._env.step(previous, jnp.clip(action, -1.0, 1.0))
            new = strong_like(new, state.brax)
        next_state = BraxState(time=state.time + jnp.int32(1), brax=new)
        return new.obs, next_state, new.reward, new.done > 0, dict(new.metrics)

    def is_truncated(self, state: BraxState, params: BraxParams) -> jax.Array:
        """Whether the time limit cut an episode that had not terminated, bool []."""
        return (state.time >= params.max_steps_in_episode) & ~self.is_terminated(state, params)

    def is_terminated(self, state: BraxState, params: BraxParams) -> jax.Array:
        """Whether the task is over in `state`, bool []."""
        return state.brax.done > 0

    def action_space(self, params: BraxParams | None = None) -> Box:
        """Box of shape [m], -1..1."""
        return Box(-1.0, 1.0, (self.num_actions,), jnp.float32)

    def observation_space(self, params: BraxParams | None = None) -> Box:
        """Box of shape [n], all finite numbers."""
        return Box(-_UNBOUNDED, _UNBOUNDED, self._obs_shape, jnp.float32)

    @functools.cached_property
    def _obs_shape(self) -> tuple[int, ...]:
        # Brax's own observation_size runs a reset, which compiles for seconds.
        with boundary():
            return jax.eval_shape(self._env.reset, jax.random.key(0)).obs.shape


def factory(env_id: str, target: str) -> Callable[..., BraxAdapter]:
    """Returns the constructor of the Brax class `target` ("module:Class"), wrapped.

    It takes the class's own keywords, `n_frames`, `debug` and `backend`; the environment's own
    default backend is used if none is given. Imports Brax.
    """
    constructor = load_class(target)

    def build(**kwargs: Any) -> BraxAdapter:
        _check_backend(env_id, constructor, kwargs.get("backend"))
        with boundary(), mujoco_warnings():
            return BraxAdapter(constructor(**kwargs), env_id)

    build.__signature__ = _signature(constructor)  # type: ignore[attr-defined]
    return build


def _signature(constructor: type) -> inspect.Signature:
    """Keywords of the class and of the bases it hands `**kwargs` to, but for the system."""
    parameters = {
        name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for base in reversed(constructor.__mro__[:-1])
        for name, parameter in inspect.signature(base.__init__).parameters.items()  # type: ignore[misc]
        if name not in ("self", "sys", "args", "kwargs")
    }
    return inspect.Signature(list(parameters.values()))


def _check_backend(env_id: str, constructor: type, backend: str | None) -> None:
    valid = _ONLY_BACKENDS.get(constructor.__name__, BACKENDS)
    if backend is not None and backend not in valid:
        raise ValueError(f"{env_id} has no backend {backend!r}; valid: {', '.join(valid)}")
