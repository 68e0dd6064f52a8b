"""Where an object lies, how large it is, and what operations do to that."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle.operations import OperationSet
from jaxrl.envs.arcle.rules import Rules


class Pose(NamedTuple):
    """The place of an object.

    Attributes:
        position: int32 [2], row and column of its upper left corner; may be off the canvas.
        dim: int32 [2], rows and columns.
        parity: int32 [], 0 or 1, see `rotated`.
    """

    position: jax.Array
    dim: jax.Array
    parity: jax.Array


def moved(pose: Pose, operation: jax.Array, rules: Rules, operations: OperationSet) -> Pose:
    """The pose after one of the Moves: one cell further; for other operations the same pose."""

    def toward(forward: str, back: str) -> jax.Array:
        forth = operations.among(operation, forward).astype(jnp.int32)
        return forth - operations.among(operation, back).astype(jnp.int32)

    step = jnp.stack([toward("MoveDown", "MoveUp"), toward("MoveRight", "MoveLeft")])
    return pose._replace(position=stored(pose.position + step, rules))


def rotated(pose: Pose, counterclockwise: jax.Array, rules: Rules) -> Pose:
    """The pose after a quarter turn about the object's centre.

    With sides of different parity the centre comes to lie half a cell off. Which way that is
    rounded alternates with `parity`, which every such turn flips.

    Args:
        pose: before.
        counterclockwise: bool [], clockwise otherwise.
        rules: for `position_wrap`, which also concerns the sums on the way.
    """
    first, dim = pose.position, pose.dim
    last = stored(first + dim - 1, rules)
    centre = stored(first + last, rules)  # twice, as all of the following: in half cells
    cx, cy = centre[0], centre[1]
    even = dim[0] % 2 == dim[1] % 2
    same = jnp.stack([cx - cy + 2 * first[1], cy - cx + 2 * first[0]])
    parity = jnp.where(even, pose.parity, 1 - pose.parity)
    sign = jnp.where(counterclockwise, jnp.int32(1), jnp.int32(-1))
    rows = sign * (cy - 2 * jnp.stack([first[1], last[1]]))
    columns = -sign * (cx - 2 * jnp.stack([first[0], last[0]]))
    corner = jnp.stack([cx + rows.min(), cy + columns.min()]) + 2 * (1 - parity)
    position = jnp.where(even, same, corner) >> 1
    return Pose(stored(position, rules), jnp.flip(dim), parity)


def stored(position: jax.Array, rules: Rules) -> jax.Array:
    """Positions as the rules keep them, int32 to int32: wrapped to int8 by the reference."""
    wrapped = ((position + 128) & 255) - 128
    return jnp.where(rules.quirks.position_wrap, wrapped, position)
