"""What changes the grid cell by cell, or as a whole."""

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import OperationSet
from jaxrl.envs.arcle.planes import Box
from jaxrl.envs.arcle.rules import Rules
from jaxrl.envs.arcle.state import State
from jaxrl.envs.arcle.transfer import Transfer, size


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
    cells: jax.Array,
    piece: jax.Array,
    below: jax.Array,
    transfer: Transfer,
    rules: Rules,
) -> jax.Array:
    """The grid, planes uint32 [4, N], with the colour, the object or the clip of the step on it.

    Args:
        state: before the step.
        operation: int32 [], whose last digit is the colour.
        cells: uint32 [N], what Color or FloodFill paints, empty for other operations.
        piece: uint32 [5, N], the object or the clip where it is put on the canvas.
        below: uint32 [4, N], the grid without the object.
        transfer: whether there is an object or a clip to put down.
        rules: for `colours_off_grid`.
    """
    within = planes.window(state.grid_dim, cells.shape[-1])
    colours, belonging = piece[: planes.PLANES], piece[planes.PLANES]
    cells = jnp.where(transfer.pastes, belonging, cells)
    cells = jnp.where(rules.quirks.colours_off_grid, cells, cells & within)
    # The black cells of an object are transparent, those of the clip are not.
    cells = jnp.where(transfer.transforms, planes.occupied(colours) & within, cells)
    value = jnp.where(transfer.transforms | transfer.pastes, colours, planes.splat(operation % 10))
    return planes.paint(jnp.where(transfer.transforms, below, state.grid), cells, value)


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
