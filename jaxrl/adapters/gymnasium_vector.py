"""A batch of jaxrl environments as a `gymnasium.vector.VectorEnv`.

It steps `jaxrl.vector.VecEnv`, compiled, and by default resets in the same step
(`AutoresetMode.SAME_STEP`): where an episode ends, the observation returned is the first of the
next one, and `infos` has

- `final_obs`, object [N], the observation that the transition led to, None elsewhere, and the mask
  `_final_obs`, bool [N];
- `final_info`, the environment's own info of those environments, each entry with its mask, and
  `_final_info`; the own info of the others is in `infos` itself, with masks too.

gymnasium's own vector wrappers (of observations, `RecordEpisodeStatistics`) are made for the other
mode, `AutoresetMode.NEXT_STEP`: the observation returned is then the final one, and the next step
ignores the action there, gives reward 0 and the first observation.

Stable-Baselines3's interface is another: its `step_wait` returns (obs, rewards, dones, infos) with
a dict for each environment. An adapter takes three lines: dones = terminations | truncations, and
infos[i] = {"terminal_observation": infos["final_obs"][i], "TimeLimit.truncated": truncations[i]}
where dones[i].

Source: gymnasium 1.3, `gymnasium.vector`; https://farama.org/Vector-Autoreset-Mode.
"""

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from jaxrl import registry
from jaxrl.adapters.gymnasium_env import checked_render_mode
from jaxrl.adapters.gymnasium_spaces import to_gymnasium_space, to_jax, to_numpy
from jaxrl.rendering.episode import moment_only
from jaxrl.rendering.frames import Frames, find_renderer
from jaxrl.roles import require_single
from jaxrl.vector import VecEnv, VecState

_LARGEST_SEED = 2**31 - 1


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """N environments with gymnasium's interface; arrays are NumPy's, and the caller's own.

    `reset(seed=n)` starts from `jax.random.key(n)`: `key_reset, key_steps = split(key)`, reset as
    `VecEnv.reset(key_reset, params)`, and step t as `VecEnv.step(fold_in(key_steps, t), ...)`.
    Without a seed the number n is drawn from gymnasium's own generator.
    """

    metadata: dict[str, Any] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 30,
    }

    def __init__(
        self,
        env: Any,
        params: Any,
        num_envs: int,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        name: str | None = None,
    ) -> None:
        """Batches `env` (as of `jaxrl.make`, with its `params`) `num_envs` times.

        Its renderer is that of `name`, its id; by default the environment's own name.

        Raises:
            ValueError: `num_envs` is not positive; a render mode other than "rgb_array"; the
                environment has no frames (Brax), but `render_mode` asks for them; a mode of
                resetting other than SAME_STEP and NEXT_STEP.
        """
        super().__init__()
        self._venv = VecEnv(env, num_envs)
        self._params = params
        self._name = name
        self.num_envs = num_envs
        self.render_mode = checked_render_mode(render_mode)
        mode = AutoresetMode(autoreset_mode)
        if mode == AutoresetMode.DISABLED:
            raise ValueError("ended environments are always reset: SAME_STEP or NEXT_STEP")
        self._waits = mode == AutoresetMode.NEXT_STEP
        self.metadata = {**self.metadata, "autoreset_mode": mode}
        if render_mode is not None:
            self.metadata["render_fps"] = find_renderer(env, name).fps
        self._actions = env.action_space(params)
        self.single_action_space = to_gymnasium_space(self._actions)
        self.single_observation_space = to_gymnasium_space(env.observation_space(params))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._reset = jax.jit(self._venv.reset)
        self._step = jax.jit(self._waiting if self._waits else self._transition)
        self._reset_some = jax.jit(self._renewed)
        self._state: VecState | None = None
        self._obs: Any = None
        self._key_steps: Any = None
        self._pending = np.zeros(num_envs, np.bool_)
        self._time = 0

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts N episodes: (observations [N, ...], {}).

        Args:
            seed: one number for all; see the class.
            options: `reset_mask`, bool [N] with one True at least: only those begin anew. Others
                are not used.

        Raises:
            ValueError: `seed` is a list, or the mask is none.
        """
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise ValueError(f"seed must be one int (or None) for all environments, got {seed!r}")
        super().reset(seed=None if seed is None else int(seed))
        number = int(self.np_random.integers(_LARGEST_SEED)) if seed is None else int(seed)
        key_reset, key_steps = jax.random.split(jax.random.key(number))
        mask = (options or {}).get("reset_mask")
        if mask is not None:
            self._obs, self._state = self._reset_some(
                key_reset, self._masked(mask), self._obs, self._begun()
            )
            self._pending = self._pending & ~np.asarray(mask)
            if seed is None:
                return to_numpy(self._obs), {}
        else:
            self._pending = np.zeros(self.num_envs, np.bool_)
            self._obs, self._state = self._reset(key_reset, self._params)
        self._key_steps, self._time = key_steps, 0
        return to_numpy(self._obs), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One transition in each environment.

        Returns:
            (observations [N, ...], rewards float32 [N], terminations bool [N], truncations bool
            [N], infos); see the module.

        Raises:
            gymnasium.error.ResetNeeded: no episode has begun.
            ValueError: not N actions.
        """
        action = to_jax(self._actions, actions)
        for leaf in jax.tree.leaves(action):
            if leaf.shape[:1] != (self.num_envs,):
                raise ValueError(f"need {self.num_envs} actions, got shape {list(leaf.shape)}")
        now = (self._key_steps, np.int32(self._time), self._begun(), action)
        before = (self._obs, self._pending) if self._waits else ()
        self._obs, self._state, *rest = self._step(*now, *before)
        self._time += 1
        reward, terminated, truncated, final_obs, info = to_numpy(tuple(rest))
        ended = terminated | truncated
        if self._waits:
            infos = {} if self._pending.all() else _with_masks(info, ~self._pending)
            self._pending = ended
            return final_obs, reward, terminated, truncated, infos
        infos = {} if ended.all() else _with_masks(info, ~ended)
        if ended.any():
            infos["final_obs"] = _objects(final_obs, ended)
            infos["_final_obs"] = ended.copy()
            infos["final_info"] = _with_masks(info, ended)
            infos["_final_info"] = ended.copy()
        return to_numpy(self._obs), reward, terminated, truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """The N frames of the current states, uint8 [H, W, 3] each, or None without a mode.

        Raises:
            gymnasium.error.ResetNeeded: no episode has begun.
        """
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs render_mode='rgb_array' at construction")
            return None
        state = self._begun()
        lengths, returns = np.asarray(state.episode_length), np.asarray(state.episode_return)
        frames = []
        for i in range(self.num_envs):
            env_state, obs = jax.tree.map(lambda x, i=i: x[i], (state.env_state, self._obs))
            moment = moment_only(env_state, obs, int(lengths[i]), float(returns[i]))
            frames.append(Frames(self._venv.env, self._params, moment, self._name)[0])
        return tuple(frames)

    def close_extras(self, **kwargs: Any) -> None:
        """Lets go of the states."""
        self._state = self._obs = None

    def _begun(self) -> VecState:
        if self._state is None:
            raise gymnasium.error.ResetNeeded("call reset first")
        return self._state

    def _masked(self, mask: Any) -> jax.Array:
        chosen = np.asarray(mask)
        if chosen.shape != (self.num_envs,) or chosen.dtype != np.bool_ or not chosen.any():
            raise ValueError(f"reset_mask must be bool [{self.num_envs}] with one True at least")
        return jnp.asarray(chosen)

    def _transition(
        self, key_steps: jax.Array, time: jax.Array, state: VecState, action: Any
    ) -> Any:
        key = jax.random.fold_in(key_steps, time)
        obs, state, reward, terminated, truncated, info = self._venv.step(
            key, state, action, self._params
        )
        return obs, state, reward, terminated, truncated, info["final_observation"], info["env"]

    def _waiting(
        self,
        key_steps: jax.Array,
        time: jax.Array,
        state: VecState,
        action: Any,
        obs: Any,
        pending: jax.Array,
    ) -> Any:
        """A step in which the environments that ended in the last one stand still.

        They were reset there already; what is shown of it comes one step later.
        """
        new_obs, new_state, reward, terminated, truncated, final_obs, info = self._transition(
            key_steps, time, state, action
        )
        return (
            *_select(pending, (obs, state), (new_obs, new_state)),
            jnp.where(pending, jnp.float32(0), reward),
            terminated & ~pending,
            truncated & ~pending,
            _select(pending, obs, final_obs),
            info,
        )

    def _renewed(self, key: jax.Array, mask: jax.Array, obs: Any, state: VecState) -> Any:
        return _select(mask, self._venv.reset(key, self._params), (obs, state))


def to_gymnasium_vector(
    env_id: str,
    num_envs: int,
    render_mode: str | None = None,
    autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
    **overrides: Any,
) -> GymnasiumVectorEnv:
    """`jaxrl.make(env_id, **overrides)`, `num_envs` times, as a `gymnasium.vector.VectorEnv`.

    Raises:
        ValueError: see `jaxrl.make` and `GymnasiumVectorEnv`.
    """
    env, params = registry.make(env_id, **overrides)
    require_single(env, "Gymnasium", "use to_pettingzoo or to_jaxmarl")
    return GymnasiumVectorEnv(env, params, num_envs, render_mode, autoreset_mode, env_id)


def _select(mask: jax.Array, here: Any, elsewhere: Any) -> Any:
    """Rows of `here` where `mask`, bool [N], and of `elsewhere` in other places."""
    choose = jax.vmap(jax.lax.select)
    return jax.tree.map(lambda x, y: choose(mask, x, y), here, elsewhere)


def _with_masks(info: dict[str, Any], mask: np.ndarray[Any, Any]) -> dict[str, Any]:
    """gymnasium's form of infos: each entry [N, ...], zero where not `mask`, and `_name`."""
    masked: dict[str, Any] = {}
    for name, value in info.items():
        if isinstance(value, dict):
            masked[name] = _with_masks(value, mask)
        else:
            wide = mask.reshape(mask.shape + (1,) * (value.ndim - 1))
            masked[name] = np.where(wide, value, np.zeros((), value.dtype))
        masked[f"_{name}"] = mask.copy()
    return masked


def _objects(batch: Any, mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """object [N]: row i of a batch where `mask`, None elsewhere."""
    rows = np.full(len(mask), None, dtype=object)
    for i in np.flatnonzero(mask).tolist():
        rows[i] = to_numpy(jax.tree.map(lambda x, i=i: x[i], batch))
    return rows
