"""Spaces and values between jaxrl and gymnasium.

A `Box` keeps its bounds (the largest float32 stands for none, as in gymnax), `Discrete(n)` and
`MultiDiscrete` become gymnasium's of dtype int32, `Dict` and `Tuple` keep their structure.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import jax.numpy as jnp
import numpy as np

from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Space, Tuple


def to_gymnasium_space(space: Space) -> gymnasium.Space[Any]:
    """The gymnasium space of the same elements; TypeError for a kind that jaxrl does not know."""
    if isinstance(space, Dict):
        return gymnasium.spaces.Dict(
            {name: to_gymnasium_space(child) for name, child in space.spaces.items()}
        )
    if isinstance(space, Tuple):
        return gymnasium.spaces.Tuple([to_gymnasium_space(child) for child in space.spaces])
    if isinstance(space, MultiDiscrete):
        return gymnasium.spaces.MultiDiscrete(np.asarray(space.nvec), dtype=np.int32)
    if isinstance(space, Discrete):
        return gymnasium.spaces.Discrete(int(space.n), dtype=np.int32)
    if isinstance(space, Box):
        dtype, shape = np.dtype(space.dtype), tuple(space.shape)
        low, high = (
            np.broadcast_to(np.asarray(bound).astype(dtype), shape)
            for bound in (space.low, space.high)
        )
        return gymnasium.spaces.Box(low, high, shape, dtype.type)
    raise TypeError(f"{type(space).__name__} is not a space that jaxrl knows")


def to_jax(space: Space, value: Any) -> Any:
    """A value (unbatched, or of a batch) as arrays of the dtypes of `space`, on the device."""
    if isinstance(space, Dict):
        return {name: to_jax(child, value[name]) for name, child in space.spaces.items()}
    if isinstance(space, Tuple):
        return tuple(to_jax(child, part) for child, part in zip(space.spaces, value, strict=True))
    return jnp.asarray(np.asarray(value).astype(np.dtype(space.dtype)))


def to_numpy(value: Any) -> Any:
    """A pytree of dictionaries and tuples with NumPy leaves; a scalar is a NumPy scalar.

    Arrays are copies, which the caller may change.
    """
    if isinstance(value, Mapping):
        return {name: to_numpy(child) for name, child in value.items()}
    if isinstance(value, tuple):
        return tuple(to_numpy(child) for child in value)
    array = np.array(value)
    return array if array.ndim else array[()]
