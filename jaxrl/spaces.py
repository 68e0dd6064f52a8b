"""Spaces of actions and observations: gymnax's, two more, and checks over whole pytrees.

`Discrete`, `Box`, `Dict` and `Tuple` are gymnax 1.0's. gymnax's own `Dict.contains` reads
attributes (`getattr(x, key)`) and so fails on dictionaries, and none of its `contains` looks at
shape or dtype: use `contains(space, x)` of this module.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments.spaces import Box, Dict, Discrete, Space, Tuple

__all__ = [
    "Box",
    "Dict",
    "Discrete",
    "MultiDiscrete",
    "Repeated",
    "Space",
    "Tuple",
    "contains",
    "describe",
    "dtypes",
]


class MultiDiscrete(Space):
    """K discrete choices made at once; an action is int32 [K] with `0 <= action[k] < nvec[k]`.

    Attributes: `nvec`, a tuple of K positive ints; `n`, the largest of them (the width of an action
    mask, which is bool [K, n]); `shape` (K,); `dtype` int32.
    """

    def __init__(self, nvec: Sequence[int]):
        """Raises `ValueError` unless `nvec` holds at least one int and all are positive."""
        sizes = np.asarray(nvec)
        if sizes.ndim != 1 or sizes.size == 0 or sizes.dtype.kind not in "iu" or (sizes <= 0).any():
            raise ValueError(f"nvec must be a non-empty sequence of positive ints, got {nvec!r}")
        self.nvec = tuple(int(size) for size in sizes)
        self.n = max(self.nvec)
        self.shape = (len(self.nvec),)
        self.dtype = jnp.dtype(jnp.int32)

    def __repr__(self) -> str:
        """Returns the constructor call."""
        return f"MultiDiscrete({self.nvec})"

    def sample(self, key: jax.Array) -> jax.Array:
        """Returns a uniform action, int32 [K]."""
        return jax.random.randint(key, self.shape, 0, jnp.asarray(self.nvec, jnp.int32), jnp.int32)

    def contains(self, x: jax.Array) -> jax.Array:
        """Returns whether every component of `x`, int [K], is in range, bool []."""
        x = jnp.asarray(x)
        return jnp.all((x >= 0) & (x < jnp.asarray(self.nvec, x.dtype)))


class Repeated(Space):
    """Several elements of one space with axes of their own, [*counts, *space.shape].

    Attributes: `space`; `counts`, the leading axes; `shape`; `dtype`.
    """

    def __init__(self, space: Space, counts: Sequence[int]):
        """Raises `ValueError` unless there is at least one axis and none is empty."""
        if not counts or min(counts) < 1:
            raise ValueError(f"counts must be positive, and at least one, got {tuple(counts)}")
        self.space = space
        self.counts = tuple(int(count) for count in counts)
        self.shape = (*self.counts, *space.shape)
        self.dtype = space.dtype

    def __repr__(self) -> str:
        """Returns the constructor call."""
        return f"Repeated({self.space}, {self.counts})"

    def sample(self, key: jax.Array) -> jax.Array:
        """Returns independent elements, each as `space.sample` draws it."""
        samples = jax.vmap(self.space.sample)(jax.random.split(key, prod(self.counts)))
        return samples.reshape(self.shape)

    def contains(self, x: jax.Array) -> jax.Array:
        """Returns whether every element of `x`, [*counts, *space.shape], is of `space`, bool []."""
        rows = jnp.asarray(x).reshape((-1, *self.space.shape))
        return jnp.all(jax.vmap(lambda row: contains(self.space, row))(rows))


def contains(space: Space, x: Any) -> jax.Array:
    """Returns whether `x` has the structure, shapes, dtypes and values of `space`, bool [].

    `x` is an unbatched pytree (`jax.vmap` for batches). A `Dict` wants a mapping with exactly its
    keys, a `Tuple` a tuple or list of its length. NaN is in no space. Raises `TypeError` for a kind
    of space it does not know.
    """
    if isinstance(space, Dict):
        if not isinstance(x, Mapping) or set(x) != set(space.spaces):
            return jnp.asarray(False)
        return _all(contains(child, x[key]) for key, child in space.spaces.items())
    if isinstance(space, Tuple):
        if not isinstance(x, (tuple, list)) or len(x) != len(space.spaces):
            return jnp.asarray(False)
        return _all(contains(child, part) for child, part in zip(space.spaces, x, strict=True))
    if isinstance(x, (Mapping, tuple, list)):
        return jnp.asarray(False)
    x = jnp.asarray(x)
    if x.shape != tuple(space.shape) or x.dtype != jnp.dtype(space.dtype):
        return jnp.asarray(False)
    if isinstance(space, Box):
        low, high = (
            jnp.broadcast_to(jnp.asarray(bound, x.dtype), x.shape)
            for bound in (space.low, space.high)
        )
        return jnp.all((x >= low) & (x <= high))
    if isinstance(space, Discrete):
        return (x >= 0) & (x < space.n)
    if isinstance(space, (MultiDiscrete, Repeated)):
        return space.contains(x)
    raise TypeError(f"{type(space).__name__} is not a space that jaxrl knows")


def dtypes(space: Space) -> Any:
    """Returns the pytree of dtypes that an element of `space` has."""
    if isinstance(space, Dict):
        return {key: dtypes(child) for key, child in space.spaces.items()}
    if isinstance(space, Tuple):
        return tuple(dtypes(child) for child in space.spaces)
    return jnp.dtype(space.dtype)


def describe(space: Space) -> str:
    """Returns `space` in one short line, e.g. `Box((4,), float32, -1..1)`.

    Bounds that differ by component are shown as smallest..largest.
    """
    if isinstance(space, Dict):
        return (
            "Dict("
            + ", ".join(f"{key}: {describe(child)}" for key, child in space.spaces.items())
            + ")"
        )
    if isinstance(space, Tuple):
        return "Tuple(" + ", ".join(describe(child) for child in space.spaces) + ")"
    if isinstance(space, Discrete):
        return f"Discrete({space.n})"
    if isinstance(space, Box):
        shape = tuple(space.shape)
        return f"Box({shape}, {np.dtype(space.dtype).name}, {_bounds(space)})"
    if isinstance(space, Repeated):
        return f"{' x '.join(map(str, space.counts))} x {describe(space.space)}"
    return repr(space)


def _all(checks: Any) -> jax.Array:
    return jnp.all(jnp.stack([jnp.asarray(True), *checks]))


def _bounds(space: Box) -> str:
    limit = float(np.finfo(np.float32).max)
    low, high = np.asarray(space.low, np.float64), np.asarray(space.high, np.float64)
    unbounded = (low <= -limit) & (high >= limit)
    if unbounded.all():
        return "unbounded"
    if unbounded.any():
        return "partly unbounded"
    return f"{low.min():g}..{high.max():g}"
