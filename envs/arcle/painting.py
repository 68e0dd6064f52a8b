"""What changes the grid cell by cell, or as a whole."""

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import OperationSet
from jaxrl.envs.arcle.planes import Box
from jaxrl.envs.arcle.rules import Rules
from jaxrl.envs.arcle.state import State
from jaxrl.envs.arcle.transfer import Piece, Transfer, size


def flooded(
    state: State, operation: jax.Array, mask: jax.Array, box: Box, operations: OperationSet
) -> jax.Array:
    """The mask uint32 [N] that a FloodFill paints: empty unless one cell of the grid is selected.

    Args:
        state: before the step.
        operation: int32 [].
        mask: uint32 [N], the selection.
        box: of the selection.
        operations: which operations there are.
    """
    if not operations.floods:
        return jnp.zeros_like(mask)
    one = (box.x0 == box.x1) & (box.y0 == box.y1)
    within = planes.window(state.grid_dim, mask.shape[-1])
    seed = jnp.where(operations.fills(operation) & one, mask & within, jnp.uint32(0))
    alike = planes.cells_of(state.grid, planes.colour_at(state.grid, seed))
    return planes.flood(seed, alike & within)


def painted(
    state: State,
    operation: jax.Array,
    mask: jax.Array,
    flood: jax.Array,
    placed: Piece,
    transfer: Transfer,
    rules: Rules,
    operations: OperationSet,
) -> tuple[jax.Array, jax.Array]:
    """The grid after the step, and the part of the object's cells that lies in it.

    Args:
        state: before the step.
        operation: int32 [].
        mask: uint32 [N], the selection.
        flood: uint32 [N], what a FloodFill paints.
        placed: the object or the clip on the canvas.
        transfer: whether there is an object or a clip to paint.
        rules: for `colours_off_grid`.
        operations: which operations there are.

    Returns:
        Planes uint32 [4, N] and a mask uint32 [N].
    """
    side = mask.shape[-1]
    within = planes.window(state.grid_dim, side)
    visible = within & placed.cells
    cells = jnp.where(operations.colours(operation), mask, flood)
    cells = jnp.where(transfer.pastes, placed.cells, cells)
    cells = jnp.where(rules.quirks.colours_off_grid, cells, cells & within)
    # The black cells of an object are transparent, those of the clip are not.
    cells = jnp.where(transfer.transforms, planes.occupied(placed.colours) & visible, cells)
    colour = planes.splat(operation % 10)
    carried = transfer.transforms | transfer.pastes
    value = jnp.where(carried, placed.colours, colour)
    behind = jnp.where(transfer.lifts, state.grid & ~mask[None, :], state.background)
    below = jnp.where(transfer.transforms, behind, state.grid)
    return planes.paint(below, cells, value), visible


def resized(
    state: State, grid: jax.Array, operation: jax.Array, box: Box, operations: OperationSet
) -> tuple[jax.Array, jax.Array]:
    """The grid and its dim after the operations that make a new one.

    Args:
        state: before the step.
        grid: uint32 [4, N], what the other operations made of it.
        operation: int32 [].
        box: of the selection.
        operations: which operations there are.
    """

    def chosen(*names: str) -> jax.Array:
        return operations.among(operation, *names)

    resizes = chosen("ResizeGrid") & box.some
    from_input, to_answer = chosen("CopyFromInput"), chosen("ResizeToAnswer")
    dim = jnp.where(resizes, size(box), state.grid_dim)
    dim = jnp.where(from_input, state.input_dim, dim)
    grid = jnp.where(chosen("ResetGrid") | resizes, jnp.uint32(0), grid)
    grid = jnp.where(from_input, state.input, grid)
    if "ResizeToAnswer" in operations.names:
        dim = jnp.where(to_answer, state.answer_dim, dim)
        left = grid & planes.window(state.answer_dim, grid.shape[-1])[None, :]
        grid = jnp.where(to_answer, left, grid)
    return grid, dim
