"""The state of an episode, and its grids as arrays of cells.

x is the row and y the column, as in ARC's own files and in the package `arcle`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import OperationSet
from jaxrl.envs.arcle.rules import Rules


class State(struct.PyTreeNode):
    """An episode on a canvas of N x N cells.

    Grids are uint32 [4, N] and masks uint32 [N], see `planes`; dims are rows and columns, int32
    [2]. Cells of `input` and `answer` outside of their dims are 0.

    Attributes:
        input, input_dim: the grid of the task.
        answer, answer_dim: the grid that solves it.
        grid, grid_dim: the grid that is worked on.
        selected: mask of what the last operation on an object left selected.
        clip, clip_dim: what was copied, in the upper left corner; dim 0 x 0 before the first copy.
        active: bool [], whether an object is lifted.
        object: the lifted cells, in the upper left corner of the canvas.
        object_sel: mask of the cells that belong to it, black ones included.
        object_dim: int32 [2].
        object_pos: int32 [2], row and column of its upper left corner, also off the canvas.
        background: the grid without the object.
        rotation_parity: int32 [], 0 or 1: which way the half cell goes when an object whose sides
            are of different parity is rotated.
        trials_remain: int32 [], submits left, negative for any number.
        terminated: bool [].
        submit_count: int32 [], submits that counted.
        time: int32 [], steps.
    """

    input: jax.Array
    input_dim: jax.Array
    answer: jax.Array
    answer_dim: jax.Array
    grid: jax.Array
    grid_dim: jax.Array
    selected: jax.Array
    clip: jax.Array
    clip_dim: jax.Array
    active: jax.Array
    object: jax.Array
    object_sel: jax.Array
    object_dim: jax.Array
    object_pos: jax.Array
    background: jax.Array
    rotation_parity: jax.Array
    trials_remain: jax.Array
    terminated: jax.Array
    submit_count: jax.Array
    time: jax.Array


def initial_state(
    input: jax.Array,
    input_dim: jax.Array,
    answer: jax.Array,
    answer_dim: jax.Array,
    rules: Rules,
) -> State:
    """The start of an episode: the grid is the input.

    Args:
        input: int8 [N, N], 0 outside of `input_dim`.
        input_dim: an integer dtype [2].
        answer: int8 [N, N], 0 outside of `answer_dim`.
        answer_dim: an integer dtype [2].
        rules: for the number of trials.
    """
    grid = planes.pack(input)
    side = grid.shape[-1]
    no_cells, no_colours = jnp.zeros(side, jnp.uint32), jnp.zeros((4, side), jnp.uint32)
    no_dim, no = jnp.zeros(2, jnp.int32), jnp.zeros((), jnp.bool_)
    zero = jnp.zeros((), jnp.int32)
    return State(
        input=grid,
        input_dim=input_dim.astype(jnp.int32),
        answer=planes.pack(answer),
        answer_dim=answer_dim.astype(jnp.int32),
        grid=grid,
        grid_dim=input_dim.astype(jnp.int32),
        selected=no_cells,
        clip=no_colours,
        clip_dim=no_dim,
        active=no,
        object=no_colours,
        object_sel=no_cells,
        object_dim=no_dim,
        object_pos=no_dim,
        background=no_colours,
        rotation_parity=zero,
        trials_remain=jnp.asarray(rules.max_trials, jnp.int32),
        terminated=no,
        submit_count=zero,
        time=zero,
    )


def restarted(state: State, rules: Rules) -> State:
    """`state` with everything but `submit_count` and `time` as at the start of the episode."""
    fresh = jax.tree.map(jnp.zeros_like, state)
    result: State = fresh.replace(
        input=state.input,
        input_dim=state.input_dim,
        answer=state.answer,
        answer_dim=state.answer_dim,
        grid=state.input,
        grid_dim=state.input_dim,
        trials_remain=jnp.asarray(rules.max_trials, jnp.int32),
        submit_count=state.submit_count,
        time=state.time,
    )
    return result


def view(state: State, operations: OperationSet) -> dict[str, Any]:
    """The dictionary of int8 arrays that the package `arcle` calls its state.

    Args:
        state: unbatched, or with leading axes.
        operations: decides the keys: only `o2arc` has an object, only it and `arc` a clip.

    Returns:
        Grids int8 [..., N, N], dims and positions int8 [..., 2], the rest int8 [..., 1]. Positions
        beyond int8, which only the `fixed` rules have, are cut to its range.
    """

    def number(value: jax.Array) -> jax.Array:
        return jnp.clip(value.astype(jnp.int32), -128, 127).astype(jnp.int8)

    def mask(words: jax.Array) -> jax.Array:
        return planes.unpack_mask(words).astype(jnp.int8)

    result: dict[str, Any] = {
        "trials_remain": number(state.trials_remain)[..., None],
        "terminated": number(state.terminated)[..., None],
        "input": planes.unpack(state.input),
        "input_dim": number(state.input_dim),
        "grid": planes.unpack(state.grid),
        "grid_dim": number(state.grid_dim),
    }
    if operations.clipboard:
        result |= {"clip": planes.unpack(state.clip), "clip_dim": number(state.clip_dim)}
    if operations.objects:
        result["selected"] = mask(state.selected)
        result["object_states"] = {
            "active": number(state.active)[..., None],
            "object": planes.unpack(state.object),
            "object_sel": mask(state.object_sel),
            "object_dim": number(state.object_dim),
            "object_pos": number(state.object_pos),
            "background": planes.unpack(state.background),
            "rotation_parity": number(state.rotation_parity)[..., None],
        }
    return result
