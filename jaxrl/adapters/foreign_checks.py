"""What an environment of somebody else's is, found by tracing it; nothing is compiled."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.interpreters import partial_eval

from jaxrl.adapters.promotion import relaxed_promotion
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Space, Tuple

LIMIT = "max_steps_in_episode"
_NEEDED = ("reset_env", "step_env", "action_space", "observation_space")


class AdapterError(ValueError):
    """An object that is no environment, or does not do what one must; the message is one line."""


class Facts(NamedTuple):
    """What a trace of one reset and one step shows.

    Attributes:
        six: `step_env` returns six values, with `truncated` after `terminated`.
        limit_in_fourth: its fourth value depends on the params' `max_steps_in_episode`.
    """

    six: bool
    limit_in_fourth: bool


def facts_of(env: Any, params: Any, label: str) -> Facts:
    """Looks at an environment as it is.

    Raises:
        AdapterError: a method is missing, fails or returns what it must not; names it.
    """
    missing = [method for method in _NEEDED if not callable(getattr(env, method, None))]
    if missing:
        raise AdapterError(
            f"{label} is no gymnax-style environment: it has no {', '.join(missing)}"
        )
    if not (hasattr(params, "replace") and hasattr(params, "__dataclass_fields__")):
        raise AdapterError(
            f"{label} needs params that are a flax.struct dataclass (its default_params, or"
            f" given), got {type(params).__name__}"
        )
    key = jax.random.key(0)
    with relaxed_promotion():
        first = traced(label, "reset_env", env.reset_env, key, params)
        if not isinstance(first, tuple) or len(first) != 2:
            raise AdapterError(
                f"reset_env of {label} must return (obs, state), not {described(first)}"
            )
        action = jax.eval_shape(as_space(space_of(env, "action_space", params, label)).sample, key)
        stepped = traced(label, "step_env", env.step_env, key, first[1], action, params)
        _check_step(label, stepped, first[1])
        dependent = hasattr(params, LIMIT) and _limit_in_fourth(env, params, first[1], action)
    return Facts(six=len(stepped) == 6, limit_in_fourth=dependent)


def check_clock(label: str, state: Any, params: Any) -> None:
    """Raises AdapterError unless state and params say when the time limit is reached."""
    for thing, owner, needed in (("state", state, "time"), ("params", params, LIMIT)):
        if not hasattr(owner, needed):
            raise AdapterError(
                f"the {thing} of {label} has no {needed!r}, so its time limit is not known;"
                " give is_truncated=(state, params) -> bool"
            )


def check_contract(adapter: Any, params: Any, label: str) -> None:
    """Traces what was wrapped; AdapterError where observations or states do not fit."""
    key = jax.random.key(0)
    obs, state = traced(label, "reset_env", adapter.reset_env, key, params)
    action = jax.eval_shape(adapter.action_space(params).sample, key)
    sample = jax.eval_shape(adapter.observation_space(params).sample, key)
    stepped = traced(label, "step_env", adapter.step_env, key, state, action, params)
    for method, found in (("reset_env", obs), ("step_env", stepped[0])):
        if _shapes(found) != _shapes(sample):
            raise AdapterError(
                f"the observation of {method} of {label} has shapes {_shapes(found)[1]},"
                f" observation_space says {_shapes(sample)[1]}"
            )
    if _shapes(state) != _shapes(stepped[1]):
        raise AdapterError(f"the state of {label} changes its shapes in step_env")
    limit = traced(label, "is_truncated", adapter.is_truncated, state, params)
    if limit.shape != ():
        raise AdapterError(f"is_truncated of {label} has shape {list(limit.shape)}, not []")


def traced(label: str, method: str, function: Callable[..., Any], *args: Any) -> Any:
    """`jax.eval_shape`, whose errors name the method."""
    try:
        return jax.eval_shape(function, *args)
    except AdapterError:
        raise
    except Exception as error:
        raise AdapterError(f"{method} of {label} fails: {short(error)}") from error


def space_of(env: Any, method: str, params: Any, label: str) -> Any:
    """What `env.action_space(params)` gives; the params may be missing in its signature."""
    function = getattr(env, method)
    try:
        try:
            return function(params)
        except TypeError:
            return function()
    except Exception as error:
        raise AdapterError(f"{method} of {label} fails: {short(error)}") from error


def as_space(space: Any) -> Space:
    """The space as one of jaxrl's: by its class, else by what it has."""
    if isinstance(space, Space):
        return space
    children = getattr(space, "spaces", None)
    if isinstance(children, dict):
        return Dict({name: as_space(child) for name, child in children.items()})
    if isinstance(children, (tuple, list)):
        return Tuple([as_space(child) for child in children])
    if hasattr(space, "nvec"):
        return MultiDiscrete(space.nvec)
    if hasattr(space, "n"):
        return Discrete(int(space.n))
    if all(hasattr(space, needed) for needed in ("low", "high", "shape")):
        dtype = jnp.dtype(getattr(space, "dtype", jnp.float32))
        return Box(space.low, space.high, tuple(space.shape), dtype)
    raise AdapterError(f"{type(space).__name__} is not a space that jaxrl knows")


def described(value: Any) -> str:
    """A returned value in two words."""
    return f"{len(value)} values" if isinstance(value, tuple) else f"a {type(value).__name__}"


def short(error: BaseException) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _check_step(label: str, stepped: Any, state: Any) -> None:
    fits = isinstance(stepped, tuple) and len(stepped) in (5, 6) and isinstance(stepped[-1], dict)
    if not fits:
        raise AdapterError(
            f"step_env of {label} must return (obs, state, reward, terminated, info), or six values"
            f" with truncated after terminated; it returned {described(stepped)}"
        )
    if _shapes(stepped[1])[0] != _shapes(state)[0]:
        raise AdapterError(f"step_env of {label} returns another kind of state than reset_env")
    names = ("reward", "terminated", "truncated")[: len(stepped) - 3]
    for name, value in zip(names, stepped[2:-1], strict=True):
        if value.shape != ():
            raise AdapterError(
                f"the {name} of step_env of {label} has shape {list(value.shape)}, not []"
            )


def _limit_in_fourth(env: Any, params: Any, state: Any, action: Any) -> bool:
    """Whether a jaxpr of the fourth value alone still needs the limit."""

    def fourth(limit: Any, key: jax.Array, state: Any, action: Any, params: Any) -> Any:
        return env.step_env(key, state, action, params.replace(**{LIMIT: limit}))[3]

    arguments = (getattr(params, LIMIT), jax.random.key(0), state, action, params)
    program = jax.make_jaxpr(fourth)(*arguments).jaxpr
    _, used = partial_eval.dce_jaxpr(program, [True] * len(program.outvars))
    return bool(used[0])


def _shapes(tree: Any) -> tuple[Any, list[tuple[int, ...]]]:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [leaf.shape for leaf in leaves]
