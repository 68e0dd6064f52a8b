"""The rules of ARCLE: one operation on one selection.

A step is the same arithmetic for every operation, and the operation decides what of it is kept: on
words of bits this costs a batch of environments less than 35 branches would, of which a batch
takes all.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import OBJECT_OPERATIONS, OperationSet
from jaxrl.envs.arcle.painting import flooded, painted, resized
from jaxrl.envs.arcle.planes import Box
from jaxrl.envs.arcle.rules import Rules
from jaxrl.envs.arcle.state import State
from jaxrl.envs.arcle.submit import submitted
from jaxrl.envs.arcle.transfer import (
    Transfer,
    behind,
    copied,
    handled,
    plan,
    put,
    take,
    turn,
)
from jaxrl.staging import stage


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
        operation: int32 [], from 0 to `len(operations.names) - 1`; any other does nothing but
            end a selection.
        mask: uint32 [N], the selection, see `selection`.
        rules: see `rules.preset`.
        operations: static, see `operations.operation_set`.

    Returns:
        The next state, the reward float32 [] and whether the episode has ended, bool []. The last
        is the state's `terminated`, but for the quirk `forgetful_reset`.
    """
    always = state.time >= 0
    plans = partial(_plans, operations=operations)
    box, transfer = stage(always, plans, state, operation, mask, rules)
    piece = jnp.zeros((planes.PLANES + 1, mask.shape[-1]), jnp.uint32)
    placed = piece
    if operations.clipboard:
        piece = stage(always, turn, stage(always, take, state, mask, transfer), transfer)
        placed = stage(always, put, state, piece, transfer)
    below = behind(state, mask, transfer)
    flood = flooded(state, operation, mask, box, operations)
    cells = jnp.where(operations.colours(operation), mask, flood)
    grid = painted(state, operation, cells, placed, below, transfer, rules)
    grid, grid_dim = resized(state, grid, operation, box, operations)
    after = state.replace(grid=grid, grid_dim=grid_dim, time=state.time + 1)
    submits = operations.among(operation, "Submit")
    if operations.clipboard:
        after = copied(after, piece, box, transfer)
    if operations.objects:
        keeps = submits | operations.among(operation, *OBJECT_OPERATIONS)
        after = handled(after, piece, placed, below, keeps, transfer)
    return submitted(after, submits, rules, operations)


def _plans(
    state: State, operation: jax.Array, mask: jax.Array, rules: Rules, operations: OperationSet
) -> tuple[Box, Transfer]:
    box = planes.bounding_box(mask)
    return box, plan(state, operation, box, rules, operations)
