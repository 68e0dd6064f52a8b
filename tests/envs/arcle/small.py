"""Small episodes that a test can write out as grids."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import O2ARC, OperationSet
from jaxrl.envs.arcle.rules import Rules, fixed
from jaxrl.envs.arcle.state import State, initial_state, view
from jaxrl.envs.arcle.step import apply
from tests.unoptimised import jit

SIDE = 6  # of every canvas here


def grid(text: str) -> np.ndarray:
    """The grid of rows of digits that spaces separate, dots for 0: "12. .3." is 2 x 3."""
    return np.asarray([[int(c.replace(".", "0")) for c in row] for row in text.split()], np.int8)


def canvas(text: str) -> np.ndarray:
    """The same in the upper left corner of a canvas of SIDE x SIDE zeros."""
    cells = grid(text)
    padded = np.zeros((SIDE, SIDE), np.int8)
    padded[: cells.shape[0], : cells.shape[1]] = cells
    return padded


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """The mask of a box, corners inclusive."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[x0 : x1 + 1, y0 : y1 + 1] = True
    return mask


NOTHING = np.zeros((SIDE, SIDE), bool)


_start = jax.jit(initial_state)  # also within the programs of other tests


def start(text: str, answer: str = "9", rules: Rules | None = None) -> State:
    """The first state of the task of two grids."""
    dims = [np.asarray(grid(t).shape, np.int32) for t in (text, answer)]
    return _start(canvas(text), dims[0], canvas(answer), dims[1], rules or fixed())


_step = jit(apply, static_argnames="operations")
_pack = jit(planes.pack_mask)
_view = jit(view, static_argnames="operations")


def act(
    state: State,
    name: str,
    mask: np.ndarray = NOTHING,
    rules: Rules | None = None,
    operations: OperationSet = O2ARC,
) -> tuple[State, float, bool]:
    """The state after an operation, the reward and whether the episode has ended."""
    number = jnp.int32(operations.number(name))
    state, reward, ended = _step(
        state, number, _pack(mask), rules or fixed(), operations=operations
    )
    return state, float(reward), bool(ended)


def after(
    state: State,
    *actions: tuple[str, np.ndarray] | str,
    rules: Rules | None = None,
    operations: OperationSet = O2ARC,
) -> dict[str, np.ndarray]:
    """The state, as the package's dictionary without its nesting, after some actions."""
    for action in actions:
        name, mask = (action, NOTHING) if isinstance(action, str) else action
        state, _, _ = act(state, name, mask, rules, operations)
    return seen(state, operations)


def seen(state: State, operations: OperationSet = O2ARC) -> dict[str, np.ndarray]:
    """A state as the package's dictionary without its nesting."""
    result = dict(_view(state, operations=operations))
    result |= result.pop("object_states", {})
    return {name: np.asarray(leaf) for name, leaf in result.items()}
