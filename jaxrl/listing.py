"""Environments as lines of text: id, observation space, action space."""

import fnmatch
import math
import warnings
from collections.abc import Iterator
from typing import Any

from jaxrl import registry


def describe_environments(pattern: str = "") -> Iterator[str]:
    """A line for each environment whose id matches; all where `pattern` is empty.

    A pattern with `*` or `?` must match the whole id, another one a part of it; case is ignored.
    An environment that cannot be made here (its data are missing) is listed with the reason.

    Raises:
        UnknownIdError: nothing matches; names the nearest ids.
    """
    ids = registry.environments()
    wanted = pattern.casefold() if set("*?[") & set(pattern) else f"*{pattern.casefold()}*"
    chosen = [env_id for env_id in ids if fnmatch.fnmatchcase(env_id.casefold(), wanted)]
    if not chosen:
        near = registry.nearest(pattern.strip("*?"), ids)
        hint = f"did you mean {' or '.join(near)}?" if near else "see jaxrl envs"
        raise registry.UnknownIdError(f"no environment matches {pattern!r}; {hint}")
    width = max(map(len, chosen))
    for env_id in chosen:
        yield f"{env_id:{width}}  {_describe(env_id)}"


def describe_space(space: Any) -> str:
    """A space in a few words: Discrete(4), float32[84, 84] in [0, 1], {name: space, ...}."""
    import numpy as np
    from gymnax.environments import spaces

    from jaxrl.spaces import MultiDiscrete, Repeated

    if isinstance(space, spaces.Dict):
        inner = ", ".join(f"{name}: {describe_space(s)}" for name, s in space.spaces.items())
        return f"{{{inner}}}"
    if isinstance(space, spaces.Tuple):
        return f"({', '.join(describe_space(s) for s in space.spaces)})"
    if isinstance(space, Repeated):
        return f"{' x '.join(map(str, space.counts))} x {describe_space(space.space)}"
    if isinstance(space, MultiDiscrete):
        return f"MultiDiscrete({list(map(int, np.asarray(space.nvec)))})"
    if isinstance(space, spaces.Discrete):
        return f"Discrete({space.n})"
    shape = ", ".join(map(str, space.shape))
    dtype = np.dtype(space.dtype)
    bounds = f" in [{_bound(np.min(space.low))}, {_bound(np.max(space.high))}]"
    return f"{dtype.name}[{shape}]{'' if dtype == np.bool_ else bounds}"


def _bound(value: Any) -> str:
    """A bound; the largest float32 stands for none."""
    import numpy as np

    number = float(value)
    largest = float(np.finfo(np.float32).max)
    return f"{number:.4g}" if abs(number) < largest else f"{math.copysign(math.inf, number)}"


def _describe(env_id: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            env, params = registry.make(env_id)
        observation, action = env.observation_space(params), env.action_space(params)
    except (OSError, ImportError, ValueError) as error:
        return f"cannot be made here: {' '.join(str(error).split())}"
    return f"observation {describe_space(observation)}  action {describe_space(action)}"
