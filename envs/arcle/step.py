"""The rules of ARCLE: one operation on one selection.

A step is the same arithmetic for every operation, and the operation decides what of it is kept: on
words of bits that costs less than choosing a branch would for a batch of environments.
"""

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import OBJECT_OPERATIONS, OperationSet
from jaxrl.envs.arcle.painting import flooded, painted, resized
from jaxrl.envs.arcle.rules import Rules
from jaxrl.envs.arcle.state import State
from jaxrl.envs.arcle.submit import submitted
from jaxrl.envs.arcle.transfer import Piece, plan, put, size, take


def apply(
    state: State,
    operation: jax.Array,
    mask: jax.Array,
    rules: Rules,
    operations: OperationSet,
) -> tuple[State, jax.Array, jax.Array]:
    """The state after an operation.

    Args:
        state: of one episode, on a canvas of N x N cells.
        operation: int32 [], from 0 to `len(operations.names) - 1`; any other does nothing.
        mask: uint32 [N], the selection, see `selection`.
        rules: see `rules.preset`.
        operations: static, see `operations.operation_set`.

    Returns:
        The next state, the reward float32 [] and whether the episode has ended, bool []. The last
        is the state's `terminated`, but for the quirk `forgetful_reset`.
    """
    box = planes.bounding_box(mask)
    transfer = plan(state, operation, box, rules, operations)
    flood = flooded(state, operation, mask, box, operations)
    piece = Piece(state.object, state.object_sel)
    placed = piece
    if operations.clipboard:
        piece = take(state, mask, transfer)
        placed = put(state, piece, transfer)
    grid, visible = painted(state, operation, mask, flood, placed, transfer, rules, operations)
    grid, grid_dim = resized(state, grid, operation, box, operations)
    submits = operations.among(operation, "Submit")
    after = state.replace(grid=grid, grid_dim=grid_dim, time=state.time + 1)
    if operations.clipboard:
        after = after.replace(
            clip=jnp.where(transfer.copies, piece.colours, state.clip),
            clip_dim=jnp.where(transfer.copies, size(box), state.clip_dim),
        )
    if operations.objects:
        keeps = submits | operations.among(operation, *OBJECT_OPERATIONS)
        selected = jnp.where(transfer.transforms, visible, state.selected)
        cut = jnp.where(transfer.lifts, state.grid & ~mask[None, :], state.background)
        after = after.replace(
            selected=jnp.where(keeps, selected, jnp.uint32(0)),
            active=(state.active | transfer.lifts) & keeps,
            object=jnp.where(transfer.transforms, piece.colours, state.object),
            object_sel=jnp.where(transfer.transforms, piece.cells, state.object_sel),
            object_dim=transfer.pose.dim,
            object_pos=transfer.pose.position,
            background=cut,
            rotation_parity=transfer.pose.parity,
        )
    return submitted(after, submits, rules, operations)
