"""What is taken up and put down: objects and the clipboard.

A step takes up at most one piece, the cells of a selection or the object that is lifted, and puts
at most one down, the object or the clip. So all operations share one crop and one shift.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import OBJECT_OPERATIONS, OperationSet
from jaxrl.envs.arcle.planes import Box
from jaxrl.envs.arcle.pose import Pose, moved, rotated
from jaxrl.envs.arcle.rules import Rules
from jaxrl.envs.arcle.state import State


class Transfer(NamedTuple):
    """What a step takes up and puts down, bool [] where nothing else is said.

    Attributes:
        lifts: the selection becomes the object.
        transforms: the object is moved, rotated or flipped.
        pose: of the object after the step.
        upside_down, mirrored, transposed: what is done to the object, in this order.
        copies: the selection goes into the clip.
        from_input: it is copied from the input, not from the grid.
        pastes: the clip is put down.
        source: the box of the piece that is taken up.
        position: int32 [2], where a piece is put down.
    """

    lifts: jax.Array
    transforms: jax.Array
    pose: Pose
    upside_down: jax.Array
    mirrored: jax.Array
    transposed: jax.Array
    copies: jax.Array
    from_input: jax.Array
    pastes: jax.Array
    source: Box
    position: jax.Array


class Piece(NamedTuple):
    """Coloured cells: planes uint32 [4, N], and the mask uint32 [N] of those that belong to it."""

    colours: jax.Array
    cells: jax.Array


def plan(
    state: State, operation: jax.Array, box: Box, rules: Rules, operations: OperationSet
) -> Transfer:
    """What `operation`, int32 [], does with a selection whose bounding box is `box`."""

    def chosen(*names: str) -> jax.Array:
        return operations.among(operation, *names)

    transforms = chosen(*OBJECT_OPERATIONS) & (box.some | state.active)
    lifts = transforms & box.some
    corner = jnp.stack([box.x0, box.y0])
    before = Pose(
        position=jnp.where(lifts, corner, state.object_pos),
        dim=jnp.where(lifts, size(box), state.object_dim),
        parity=jnp.where(lifts, 0, state.rotation_parity),
    )
    rotates = transforms & chosen("RotateCCW", "RotateCW")
    turned = rotated(before, chosen("RotateCCW"), rules)
    shifted = moved(before, operation, rules, operations)
    pose = jax.tree.map(lambda new, old: jnp.where(rotates, new, old), turned, before)
    moves = transforms & ~rotates
    pose = pose._replace(position=jnp.where(moves, shifted.position, pose.position))
    copies = _copies(state, operation, box, rules, operations)
    pastes = chosen("Paste") & box.some
    takes_selection = lifts | copies
    last = state.object_dim - 1
    zero = jnp.zeros((), jnp.int32)
    whole = Box(zero, zero, last[0], last[1], state.active)
    return Transfer(
        lifts=lifts,
        transforms=transforms,
        pose=pose,
        upside_down=chosen("RotateCW", "FlipUD"),
        mirrored=chosen("RotateCCW", "FlipLR"),
        transposed=rotates,
        copies=copies,
        from_input=chosen("CopyI"),
        pastes=pastes,
        source=jax.tree.map(lambda a, b: jnp.where(takes_selection, a, b), box, whole),
        position=jnp.where(pastes, corner, pose.position),
    )


def size(box: Box) -> jax.Array:
    """Rows and columns of a box, int32 [2]."""
    return jnp.stack([box.x1 - box.x0, box.y1 - box.y0]) + 1


def take(state: State, mask: jax.Array, transfer: Transfer) -> Piece:
    """The piece in the upper left corner, an object turned as it is to be.

    Args:
        state: before the step.
        mask: uint32 [N], the selection.
        transfer: what to do.
    """
    selection = transfer.lifts | transfer.copies
    canvas = jnp.where(transfer.from_input, state.input, state.grid)
    colours = jnp.where(selection, canvas & mask[None, :], state.object)
    cells = jnp.where(selection, mask, state.object_sel)
    words = jnp.concatenate([colours, cells[None, :]])
    words = planes.crop(words, transfer.source, transfer.upside_down, transfer.mirrored)
    words = jnp.where(transfer.transposed, planes.transpose(words), words)
    return Piece(words[: planes.PLANES], words[planes.PLANES])


def put(state: State, piece: Piece, transfer: Transfer) -> Piece:
    """The object, which is `piece`, or else the clip, where it lies on the canvas.

    All cells of the clip's rectangle belong to it.
    """
    side = state.selected.shape[-1]
    colours = jnp.where(transfer.pastes, state.clip, piece.colours)
    cells = jnp.where(transfer.pastes, planes.window(state.clip_dim, side), piece.cells)
    words = jnp.concatenate([colours, cells[None, :]])
    words = planes.shift(words, transfer.position[0], transfer.position[1])
    return Piece(words[: planes.PLANES], words[planes.PLANES])


def _copies(
    state: State, operation: jax.Array, box: Box, rules: Rules, operations: OperationSet
) -> jax.Array:
    """Whether the operation is a Copy of something that lies within the grid it is copied from."""
    from_input = operations.among(operation, "CopyI")
    dim = jnp.where(from_input, state.input_dim, state.grid_dim)
    beyond = rules.quirks.copy_bounds.astype(jnp.int32)
    inside = (box.x1 < dim[0] + beyond) & (box.y1 < dim[1] + beyond)
    return operations.among(operation, "CopyI", "CopyO") & box.some & inside
