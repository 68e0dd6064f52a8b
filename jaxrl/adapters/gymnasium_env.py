"""An environment of jaxrl as a `gymnasium.Env`, one at a time.

For speed use the vector adapter (`jaxrl.adapters.gymnasium_vector`); this one is for tools that
take a single environment, and for gymnasium's checker.
"""

from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium.envs.registration import EnvSpec

from jaxrl import registry
from jaxrl.adapters.gymnasium_spaces import to_gymnasium_space, to_jax, to_numpy
from jaxrl.adapters.picture import current_picture
from jaxrl.rendering.frames import find_renderer
from jaxrl.roles import require_single
from jaxrl.run_folder import as_name

_LARGEST_SEED = 2**31 - 1


class GymnasiumEnv(gymnasium.Env[Any, Any]):
    """A jaxrl environment with gymnasium's interface; `terminated` and `truncated` stay apart.

    `reset(seed=n)` starts from `jax.random.key(n)`: `key_reset, key_steps = split(key)`, and step
    t of the episode takes `fold_in(key_steps, t)`. Without a seed the number n is drawn from
    gymnasium's own generator. Actions and observations are NumPy's.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(self, env_id: str, render_mode: str | None = None, **overrides: Any) -> None:
        """Makes `jaxrl.make(env_id, **overrides)`.

        Raises:
            ValueError: see `jaxrl.make`; a game; a render mode other than "rgb_array"; the
                environment has no frames (Brax), but `render_mode` asks for them.
        """
        self._env, self._params = registry.make(env_id, **overrides)
        require_single(self._env, "Gymnasium", "use to_pettingzoo or to_jaxmarl")
        self._id = env_id
        self.render_mode = checked_render_mode(render_mode)
        if render_mode is not None:
            fps = find_renderer(self._env, env_id).fps
            self.metadata = {**self.metadata, "render_fps": fps}
        self._actions = self._env.action_space(self._params)
        self.action_space = to_gymnasium_space(self._actions)
        self.observation_space = to_gymnasium_space(self._env.observation_space(self._params))
        self.spec = EnvSpec(
            id=f"jaxrl/{as_name(env_id)}",
            entry_point=f"{__name__}:{type(self).__name__}",
            kwargs={"env_id": env_id, **overrides},
            disable_env_checker=True,
            order_enforce=False,
        )
        self._reset = jax.jit(self._env.reset_env)
        self._step = jax.jit(self._transition)
        self._state: Any = None
        self._obs: Any = None
        self._key_steps: Any = None
        self._time, self._return = 0, 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode; `options` are not used. Returns (observation, {})."""
        super().reset(seed=seed)
        number = int(self.np_random.integers(_LARGEST_SEED)) if seed is None else seed
        key_reset, self._key_steps = jax.random.split(jax.random.key(number))
        self._obs, self._state = self._reset(key_reset, self._params)
        self._time, self._return = 0, 0.0
        return to_numpy(self._obs), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One transition: (observation, reward, terminated, truncated, info).

        Raises:
            gymnasium.error.ResetNeeded: no episode has begun.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        self._obs, self._state, reward, terminated, truncated, info = self._step(
            self._key_steps, np.int32(self._time), self._state, to_jax(self._actions, action)
        )
        self._time += 1
        self._return += float(reward)
        ended = bool(terminated), bool(truncated)
        return to_numpy(self._obs), float(reward), *ended, to_numpy(info)

    def render(self) -> Any:
        """The frame of the current state, uint8 [H, W, 3], where `render_mode` is "rgb_array".

        Raises:
            gymnasium.error.ResetNeeded: no episode has begun.
        """
        return current_picture(self)

    def _transition(self, key_steps: jax.Array, time: jax.Array, state: Any, action: Any) -> Any:
        key = jax.random.fold_in(key_steps, time)
        obs, state, reward, terminated, info = self._env.step_env(key, state, action, self._params)
        truncated = self._env.is_truncated(state, self._params) & ~terminated
        return obs, state, reward, terminated, truncated, info


def checked_render_mode(render_mode: str | None) -> str | None:
    """`render_mode`; ValueError unless it is None or "rgb_array"."""
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode must be 'rgb_array' or None, got {render_mode!r}")
    return render_mode


def to_gymnasium(env_id: str, render_mode: str | None = None, **overrides: Any) -> GymnasiumEnv:
    """`jaxrl.make(env_id, **overrides)` as a `gymnasium.Env`.

    Raises:
        ValueError: see `GymnasiumEnv`.
    """
    return GymnasiumEnv(env_id, render_mode, **overrides)
