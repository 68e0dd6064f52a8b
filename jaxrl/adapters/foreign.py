"""Anybody's gymnax-style environment as a jaxrl environment.

`from_gymnax(env)` takes what is about. The fourth value of `step_env(key, state, action, params)`
decides:

- gymnax 1.0: five values, (obs, state, reward, terminated, info); the limit is `is_truncated(state,
  params)`, which is `state.time >= params.max_steps_in_episode` in gymnax's base class;
- six values, with `truncated` after `terminated`: both are taken as they are;
- gymnax 0.0.x: five values, of which the fourth is `done`, which holds at the time limit too. It is
  split: `truncated` where `state.time >= params.max_steps_in_episode`, `terminated` where `done`
  and not truncated. A task that is over in the very step of the limit cannot be told from the
  limit by `done`: it counts as truncated, so its last value is bootstrapped, unless
  `is_terminated` is given.

Five values are of gymnax 0.0.x if there is no `is_truncated`, or if the fourth depends on
`params.max_steps_in_episode` (found by tracing, also where the class inherits `is_truncated`). A
limit that is a constant of the code needs `is_truncated=(state, params) -> bool`.

Its code runs under standard dtype promotion; its outputs get strong dtypes (see
`jaxrl.adapters.gymnax`). The command line takes the same by name: `jaxrl train ppo module:Class`.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.adapters.foreign_checks import (
    LIMIT,
    AdapterError,
    as_space,
    check_clock,
    check_contract,
    facts_of,
    short,
    space_of,
)
from jaxrl.adapters.gymnax import GymnaxAdapter
from jaxrl.adapters.promotion import relaxed_promotion
from jaxrl.environment import Environment, strong, strong_like
from jaxrl.registry import nearest
from jaxrl.spaces import Discrete, Space

__all__ = ["AdapterError", "ForeignAdapter", "from_gymnax"]

Predicate = Callable[[Any, Any], Any]


@struct.dataclass
class FlaggedState:
    """State of an environment of six values.

    Attributes:
        inner: its own state.
        truncated: bool [], what its last step said.
    """

    inner: Any
    truncated: jax.Array


class ForeignAdapter(GymnaxAdapter):
    """Somebody's environment under jaxrl's contract; see `from_gymnax`."""

    def __init__(
        self,
        env: Any,
        params: Any,
        name: str,
        is_truncated: Predicate | None,
        is_terminated: Predicate | None,
    ) -> None:
        self._default = params
        self._label = name
        facts = facts_of(env, params, name)
        self._task_over = is_terminated
        own_limit = getattr(env, "is_truncated", None)
        self._flagged = facts.six and is_truncated is None
        self._split = not facts.six and (own_limit is None or facts.limit_in_fourth)
        self._limit = is_truncated or (None if self._split else own_limit) or _by_clock
        if callable(getattr(env, "render", None)) and not _of_gymnax(env):
            self.render = lambda state, params: env.render(self._inner(state), params)
        super().__init__(env, name)
        if self._limit is _by_clock and not self._flagged:
            state = jax.eval_shape(self.reset_env, jax.random.key(0), params)[1]
            check_clock(name, state, params)
        check_contract(self, params, name)

    @property
    def default_params(self) -> Any:
        """The parameters it was wrapped with, every leaf a strongly typed array."""
        return self._default

    @property
    def num_actions(self) -> int:
        """Number of actions, or of components of a continuous action."""
        space = self.action_space(self._default)
        return int(space.n) if isinstance(space, Discrete) else int(space.shape[0])

    def reset_env(self, key: jax.Array, params: Any) -> tuple[Any, Any]:
        """Starts an episode: the first observation and the state."""
        obs, state = super().reset_env(key, params)
        return obs, FlaggedState(state, jnp.asarray(False)) if self._flagged else state

    def step_env(
        self, key: jax.Array, state: Any, action: Any, params: Any
    ) -> tuple[Any, Any, jax.Array, jax.Array, dict[str, Any]]:
        """One transition: (obs, state, reward f32 [], terminated bool [], info)."""
        before = self._inner(state)
        with relaxed_promotion():
            obs, after, reward, ended, *more, info = self._env.step_env(key, before, action, params)
            after = strong_like(after, before)
            terminated = jnp.asarray(ended, jnp.bool_)
            if self._split:
                terminated = terminated & ~jnp.asarray(self._limit(after, params), jnp.bool_)
            if self._task_over is not None:
                terminated = jnp.asarray(self._task_over(after, params), jnp.bool_)
            info = _info(info, terminated)
            new = FlaggedState(after, jnp.asarray(more[0], jnp.bool_)) if self._flagged else after
            return self._observation(obs), new, jnp.asarray(reward, jnp.float32), terminated, info

    def is_truncated(self, state: Any, params: Any) -> jax.Array:
        """Whether the time limit is reached, bool []."""
        if self._flagged:
            return state.truncated
        with relaxed_promotion():
            return jnp.asarray(self._limit(state, params), jnp.bool_)

    def is_terminated(self, state: Any, params: Any) -> jax.Array:
        """Whether the task is over in `state`, bool []; needs `is_terminated` of `from_gymnax`."""
        if self._task_over is None:
            return super().is_terminated(self._inner(state), params)
        with relaxed_promotion():
            return jnp.asarray(self._task_over(self._inner(state), params), jnp.bool_)

    def action_space(self, params: Any = None) -> Space:
        """The environment's action space."""
        return self._space("action_space", params)

    def observation_space(self, params: Any = None) -> Space:
        """The environment's observation space."""
        return self._space("observation_space", params)

    def _space(self, method: str, params: Any) -> Space:
        chosen = self._default if params is None else params
        with relaxed_promotion():
            return as_space(space_of(self._env, method, chosen, self._label))

    def _inner(self, state: Any) -> Any:
        return state.inner if self._flagged else state


def from_gymnax(
    env: Any,
    params: Any = None,
    *,
    name: str | None = None,
    is_truncated: Predicate | None = None,
    is_terminated: Predicate | None = None,
) -> tuple[Environment, Any]:
    """A gymnax-style environment of somebody else's, ready for `jaxrl`'s training.

    Args:
        env: has `reset_env(key, params) -> (obs, state)`, `step_env(key, state, action, params)`,
            `action_space(params)` and `observation_space(params)`; states are pytrees, and so are
            params, a dataclass of `flax.struct`. It need not be a subclass of anything.
        params: its parameters, `env.default_params` if None.
        name: its id, by default the name of its class.
        is_truncated: (state, params) -> bool [], the time limit, in place of what it says itself.
        is_terminated: (state, params) -> bool [], whether the task itself is over in a state, in
            place of what it says itself.

    Returns:
        The environment (see `jaxrl.environment`) and its params.

    Raises:
        AdapterError: a method is missing, fails, or returns what it must not; names it.
    """
    params = getattr(env, "default_params", None) if params is None else params
    label = name or type(env).__name__
    try:
        with relaxed_promotion():
            params = strong(params)
    except TypeError as error:
        raise AdapterError(f"the params of {label} must be arrays: {short(error)}") from error
    return ForeignAdapter(env, params, label, is_truncated, is_terminated), params


def factory(env_id: str, target: str) -> Callable[..., Environment]:
    """The constructor of "module:attribute", wrapped; what the registry calls for such an id.

    The attribute is a class, a function that returns an environment or (environment, params), or
    an environment. Modules in the working folder are found too.

    Raises:
        AdapterError: there is no such module or attribute.
    """
    constructor = _attribute(target)
    if not callable(constructor):
        return lambda: from_gymnax(constructor, name=env_id)[0]

    def build(**kwargs: Any) -> Environment:
        try:
            inspect.signature(constructor).bind(**kwargs)
        except TypeError as error:
            raise AdapterError(f"{env_id} cannot be made without arguments: {error}") from None
        made = constructor(**kwargs)
        env, params = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
        return from_gymnax(env, params, name=env_id)[0]

    # The registry reads the names of its keywords here.
    build.__wrapped__ = constructor  # type: ignore[attr-defined]
    return build


def _attribute(target: str) -> Any:
    module_name, _, attribute = target.partition(":")
    try:
        if importlib.util.find_spec(module_name.partition(".")[0]) is None:
            sys.path.append(str(Path.cwd()))
            importlib.invalidate_caches()
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise AdapterError(f"there is no module {error.name!r} for {target}") from None
    except Exception as error:
        raise AdapterError(f"{module_name} cannot be imported: {short(error)}") from error
    if not hasattr(module, attribute):
        near = nearest(attribute, [name for name in vars(module) if not name.startswith("_")])
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AdapterError(f"module {module_name} has no {attribute!r}{hint}")
    return getattr(module, attribute)


def _by_clock(state: Any, params: Any) -> Any:
    return state.time >= getattr(params, LIMIT)


def _of_gymnax(env: Any) -> bool:
    return type(env).__module__.partition(".")[0] == "gymnax"


def _info(info: dict[str, Any], terminated: jax.Array) -> dict[str, Any]:
    """`info` with strong dtypes; its discount, if it has one, is 0 only after a termination."""
    info = strong(info)
    if "discount" in info:
        info["discount"] = jnp.where(terminated, jnp.float32(0), jnp.float32(1))
    return info
