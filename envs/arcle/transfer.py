"""What is taken up and put down: objects and the clipboard.

A step takes up at most one piece, the cells of a selection or the object that is lifted, and puts
at most one down, the object or the clip. So all operations share one crop, one turn and one shift.

A piece is uint32 [5, N]: the four bit planes of its colours, then the mask of the cells that belong
to it, some of which may be black.
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


def take(state: State, mask: jax.Array, transfer: Transfer) -> jax.Array:
    """The piece that is taken up, in the upper left corner, turned over if the operation does that.

    Args:
        state: before the step.
        mask: uint32 [N], the selection.
        transfer: what to do.

    Returns:
        uint32 [5, N].
    """
    selection = transfer.lifts | transfer.copies
    canvas = jnp.where(transfer.from_input, state.input, state.grid)
    colours = jnp.where(selection, canvas & mask[None, :], state.object)
    cells = jnp.where(selection, mask, state.object_sel)
    words = jnp.concatenate([colours, cells[None, :]])
    return planes.crop(words, transfer.source, transfer.upside_down, transfer.mirrored)


def turn(piece: jax.Array, transfer: Transfer) -> jax.Array:
    """The piece with rows and columns exchanged, if the operation does that; uint32 [5, N]."""
    return jnp.where(transfer.transposed, planes.transpose(piece), piece)


def put(state: State, piece: jax.Array, transfer: Transfer) -> jax.Array:
    """The piece, or the clip for a Paste, where it is put on the canvas; uint32 [5, N].

    All cells of the clip's rectangle belong to it.
    """
    side = state.selected.shape[-1]
    rectangle = planes.window(state.clip_dim, side)
    clip = jnp.concatenate([state.clip, rectangle[None, :]])
    words = jnp.where(transfer.pastes, clip, piece)
    return planes.shift(words, transfer.position[0], transfer.position[1])


def behind(state: State, mask: jax.Array, transfer: Transfer) -> jax.Array:
    """The grid without the object, planes uint32 [4, N]: what is seen where the object is not."""
    return jnp.where(transfer.lifts, state.grid & ~mask[None, :], state.background)


def copied(state: State, piece: jax.Array, box: Box, transfer: Transfer) -> State:
    """The state with the piece, uint32 [5, N], in the clip, if the operation is such a Copy.

    `box` is that of the selection.
    """
    result: State = state.replace(
        clip=jnp.where(transfer.copies, piece[: planes.PLANES], state.clip),
        clip_dim=jnp.where(transfer.copies, size(box), state.clip_dim),
    )
    return result


def handled(
    state: State,
    piece: jax.Array,
    placed: jax.Array,
    below: jax.Array,
    keeps: jax.Array,
    transfer: Transfer,
) -> State:
    """The state with the object and the selection as they are after the step.

    Args:
        state: after the step, but for these.
        piece: uint32 [5, N], the object in the upper left corner.
        placed: uint32 [5, N], the object on the canvas.
        below: uint32 [4, N], the grid without it.
        keeps: bool [], whether the operation leaves the selection and the object alone.
        transfer: what was done to the object.
    """
    within = planes.window(state.grid_dim, below.shape[-1])
    visible = placed[planes.PLANES] & within
    selected = jnp.where(transfer.transforms, visible, state.selected)
    result: State = state.replace(
        selected=jnp.where(keeps, selected, jnp.uint32(0)),
        active=(state.active | transfer.lifts) & keeps,
        object=jnp.where(transfer.transforms, piece[: planes.PLANES], state.object),
        object_sel=jnp.where(transfer.transforms, piece[planes.PLANES], state.object_sel),
        object_dim=transfer.pose.dim,
        object_pos=transfer.pose.position,
        background=below,
        rotation_parity=transfer.pose.parity,
    )
    return result


def _copies(
    state: State, operation: jax.Array, box: Box, rules: Rules, operations: OperationSet
) -> jax.Array:
    """Whether the operation is a Copy of something that lies within the grid it is copied from."""
    from_input = operations.among(operation, "CopyI")
    dim = jnp.where(from_input, state.input_dim, state.grid_dim)
    beyond = rules.quirks.copy_bounds.astype(jnp.int32)
    inside = (box.x1 < dim[0] + beyond) & (box.y1 < dim[1] + beyond)
    return operations.among(operation, "CopyI", "CopyO") & box.some & inside
