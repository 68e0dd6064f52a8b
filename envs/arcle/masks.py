"""Which actions would change nothing.

An action changes nothing if it leaves the whole state as it was: grid, clipboard, selection and
object. A submission counts as a change where it uses up a trial.

- `changes` is the definition, for one action.
- "flat" actions have an exact mask: every action is tried, so canvases should be small.
- `selection_mask` is exact for an operation on single cells.
- The other encodings have a mask of operations, in which an operation is missing only if it changes
  nothing whatever is selected; the selections are not masked.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.arcle import planes, selection
from jaxrl.envs.arcle.encodings import Encoding
from jaxrl.envs.arcle.operations import OperationSet
from jaxrl.envs.arcle.rules import Rules
from jaxrl.envs.arcle.state import State
from jaxrl.envs.arcle.step import apply
from jaxrl.spaces import Discrete

Mask = Callable[[State, Rules], jax.Array]


def make_mask(encoding: Encoding, operations: tuple[int, ...], known: OperationSet) -> Mask:
    """(state, rules) -> the mask of an encoding's actions, bool `encoding.mask_shape`.

    Args:
        encoding: the encoding.
        operations: the numbers of the operations that can be chosen.
        known: all operations of the environment.
    """
    space = encoding.space
    if isinstance(space, Discrete):
        actions = np.arange(space.n, dtype=np.int32)

        def flat(state: State, rules: Rules) -> jax.Array:
            def tried(action: jax.Array) -> jax.Array:
                return changes(state, *encoding.decode(action), rules, known)

            return jax.vmap(tried)(jnp.asarray(actions))

        return flat

    def by_operation(state: State, rules: Rules) -> jax.Array:
        may = operation_mask(state, rules, known)[np.asarray(operations)]
        mask = jnp.ones(encoding.mask_shape, jnp.bool_)
        return may if mask.ndim == 1 else mask.at[0, : len(operations)].set(may)

    return by_operation


def changes(
    state: State, operation: jax.Array, mask: jax.Array, rules: Rules, known: OperationSet
) -> jax.Array:
    """Whether an operation on a selection, uint32 [N], changes a state, bool []."""
    after, _, _ = apply(state, operation, mask, rules, known)
    after = after.replace(time=state.time)
    differs = jax.tree.map(lambda x, y: jnp.any(x != y), state, after)
    return jnp.any(jnp.stack(jax.tree.leaves(differs)))


def selection_mask(
    state: State, operation: jax.Array, rules: Rules, known: OperationSet
) -> jax.Array:
    """The cells on which, each selected alone, an operation changes something: bool [N, N].

    Exact: every cell is tried, so canvases should be small.

    Args:
        state: of one episode.
        operation: int32 [], the package's number.
        rules: the rules.
        known: the operations.
    """
    side = state.grid.shape[-1]
    cells = jnp.asarray(np.indices((side, side)).reshape(2, -1).T, jnp.int32)

    def tried(cell: jax.Array) -> jax.Array:
        return changes(state, operation, selection.from_point(cell, side), rules, known)

    return jax.vmap(tried)(cells).reshape(side, side)


def operation_mask(state: State, rules: Rules, known: OperationSet) -> jax.Array:
    """Which operations may change something, bool [O], over all operations of the set.

    False only where no selection with a cell in it would change anything.

    Args:
        state: of one episode.
        rules: the rules.
        known: the operations.
    """
    side = state.grid.shape[-1]
    canvas = planes.lowest(jnp.int32(side))
    everywhere = jnp.full(side, canvas, jnp.uint32)
    within = planes.window(state.grid_dim, side)
    paintable = jnp.where(rules.quirks.colours_off_grid, everywhere, within)
    # Operations that are none on objects put down what is lifted.
    lifted = state.active | jnp.any(state.selected != 0)
    different = [
        paintable & ~planes.cells_of(state.grid, planes.splat(jnp.int32(colour)))
        for colour in range(10)
    ]
    some = [jnp.any(cells != 0) for cells in different]
    some_within = [jnp.any((cells & within) != 0) for cells in different]
    may = {
        **{f"Color{colour}": some[colour] | lifted for colour in range(10)},
        **{f"FloodFill{colour}": some_within[colour] | lifted for colour in range(10)},
        "Paste": jnp.any(state.clip_dim > 0) | lifted,
        "CopyFromInput": lifted
        | jnp.any(state.grid != state.input)
        | jnp.any(state.grid_dim != state.input_dim),
        "ResetGrid": lifted | jnp.any(state.grid != 0),
        "ResizeToAnswer": jnp.any(state.grid_dim != state.answer_dim)
        | jnp.any((planes.occupied(state.grid) & ~planes.window(state.answer_dim, side)) != 0),
    }
    always = jnp.asarray(True)
    return jnp.stack([may.get(name, always) for name in known.names])
