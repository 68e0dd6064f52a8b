"""Actions: how numbers become an operation and the cells that it is applied to.

    encoding  action space                         an action is
    "box"     MultiDiscrete(O, N, N, N, N)         operation, two opposite corners (x, y) of a box
    "point"   MultiDiscrete(O, N, N)               operation, one cell (x, y)
    "flat"    Discrete(O * boxes)                  one number: operation * boxes + box
    "mask"    Dict(operation, selection [N, N])    as in the package `arcle`: any set of cells

x is the row and y the column. The corners of a box may come in any order: each pair of corners is
the box between them. A policy that chooses the operation first and the box given the operation
takes "box" with `NetworkConfig.multi_discrete = "conditional"`. "flat" is for small canvases.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.arcle import selection
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Space

MOST_FLAT = 200_000  # actions


class Encoding(NamedTuple):
    """An action encoding for one canvas and one set of operations.

    Attributes:
        space: the action space.
        decode: action -> (operation int32 [], the package's number; selection uint32 [N]).
    """

    space: Space
    decode: Callable[[Any], tuple[jax.Array, jax.Array]]

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Of a mask of actions: [A] for "flat", [K, n] for choices, [O] for "mask"."""
        if isinstance(self.space, MultiDiscrete):
            return (len(self.space.nvec), self.space.n)
        space = self.space.spaces["operation"] if isinstance(self.space, Dict) else self.space
        return (int(space.n),)


def make_encoding(name: str, canvas: int, operations: Sequence[int]) -> Encoding:
    """The encoding `name`.

    Args:
        name: one of `ENCODINGS`.
        canvas: rows and columns.
        operations: the numbers of the operations that can be chosen, in their order.

    Raises:
        ValueError: unknown name, or a canvas too large for "flat".
    """
    if not isinstance(name, str) or name not in ENCODINGS:
        raise ValueError(f"unknown action encoding {name!r}; one of {', '.join(ENCODINGS)}")
    return ENCODINGS[name](canvas, tuple(operations))


def boxes(canvas: int) -> np.ndarray:
    """All boxes of a canvas in the order of "flat", int32 [boxes, 4]: x0, y0, x1, y1."""
    sides = [(first, last) for first in range(canvas) for last in range(first, canvas)]
    return np.asarray(
        [(x0, y0, x1, y1) for x0, x1 in sides for y0, y1 in sides],
        np.int32,
    )


def _box(canvas: int, operations: tuple[int, ...]) -> Encoding:
    def decode(action: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _operation(action[0], operations), selection.from_box(action[1:], canvas)

    return Encoding(MultiDiscrete((len(operations), *(canvas,) * 4)), decode)


def _point(canvas: int, operations: tuple[int, ...]) -> Encoding:
    def decode(action: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _operation(action[0], operations), selection.from_point(action[1:], canvas)

    return Encoding(MultiDiscrete((len(operations), canvas, canvas)), decode)


def _flat(canvas: int, operations: tuple[int, ...]) -> Encoding:
    count = (canvas * (canvas + 1) // 2) ** 2
    total = len(operations) * count
    if total > MOST_FLAT:
        raise ValueError(
            f"the flat encoding of {len(operations)} operations on a canvas of {canvas} x {canvas}"
            f" has {total} actions, more than {MOST_FLAT}; use action='box'"
        )
    table = boxes(canvas)

    def decode(action: jax.Array) -> tuple[jax.Array, jax.Array]:
        box = jnp.asarray(table)[action % count]
        return _operation(action // count, operations), selection.from_box(box, canvas)

    return Encoding(Discrete(total), decode)


def _mask(canvas: int, operations: tuple[int, ...]) -> Encoding:
    space = Dict(
        {
            "operation": Discrete(len(operations)),
            "selection": Box(0, 1, (canvas, canvas), jnp.int8),
        }
    )

    def decode(action: Any) -> tuple[jax.Array, jax.Array]:
        mask = jnp.asarray(action["selection"])
        if mask.shape != (canvas, canvas):
            raise ValueError(
                f"a selection is a mask [{canvas}, {canvas}], got shape {list(mask.shape)}"
            )
        return _operation(action["operation"], operations), selection.from_mask(mask)

    return Encoding(space, decode)


def _operation(number: jax.Array, operations: tuple[int, ...]) -> jax.Array:
    """The package's number; -1, which only ends a selection, for one that there is not."""
    number = jnp.asarray(number, jnp.int32)
    there = (number >= 0) & (number < len(operations))
    found = jnp.asarray(operations, jnp.int32)[jnp.clip(number, 0, len(operations) - 1)]
    return jnp.where(there, found, jnp.int32(-1))


ENCODINGS: dict[str, Callable[..., Encoding]] = {
    "box": _box,
    "point": _point,
    "flat": _flat,
    "mask": _mask,
}
