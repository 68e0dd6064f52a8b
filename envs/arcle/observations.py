"""What an agent of ARCLE is shown: a `Dict` of int8 arrays on a canvas of N x N cells.

The names of the state are those of the package `arcle`, its object layer in the same dictionary:

    grids [N, N], colours   input, grid, clip, object, background
    masks [N, N], 0 or 1    selected, object_sel
    rows and columns [2]    input_dim, grid_dim, clip_dim, object_dim
    row and column [2]      object_pos
    numbers [1]             active, rotation_parity, trials_remain, terminated

Besides, on request:

    answer [N, N], answer_dim [2]            unless the protocol hides them
    demo_input, demo_output [D, N, N]        the task's demonstrations, 0 beyond their number
    demo_input_dim, demo_output_dim [D, 2]
    demo_count [1]
    test [1]                                 whether the pair is a test
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle.operations import O2ARC, OperationSet
from jaxrl.envs.arcle.planes import unpack
from jaxrl.envs.arcle.protocols import is_test
from jaxrl.envs.arcle.state import State, view
from jaxrl.envs.arcle.tasks import NUM_COLORS, Tasks
from jaxrl.registry import nearest
from jaxrl.spaces import Box
from jaxrl.staging import stage

_CLIPBOARD = ("clip", "clip_dim")
_OBJECT = (
    *("selected", "active", "object", "object_sel", "object_dim", "object_pos"),
    *("background", "rotation_parity"),
)
_GRID = ("input", "input_dim", "grid", "grid_dim", "trials_remain", "terminated")
_ANSWER = ("answer", "answer_dim")


class _Kind(NamedTuple):
    """Bounds and shape of a field; the shape is a function of (N, D)."""

    low: int
    high: int
    shape: Callable[[int, int], tuple[int, ...]]


_COLOURS = _Kind(0, NUM_COLORS - 1, lambda side, demos: (side, side))
_MASK = _Kind(0, 1, lambda side, demos: (side, side))
_DIM = _Kind(0, 32, lambda side, demos: (2,))
_FLAG = _Kind(0, 1, lambda side, demos: (1,))
_ANY = _Kind(-128, 127, lambda side, demos: (1,))
_KINDS: dict[str, _Kind] = {
    **dict.fromkeys(("input", "grid", "clip", "object", "background", "answer"), _COLOURS),
    **dict.fromkeys(("selected", "object_sel"), _MASK),
    **dict.fromkeys(("input_dim", "grid_dim", "clip_dim", "object_dim", "answer_dim"), _DIM),
    **dict.fromkeys(("active", "rotation_parity", "terminated", "test"), _FLAG),
    "object_pos": _ANY._replace(shape=_DIM.shape),
    "trials_remain": _ANY,
    "demo_input": _COLOURS._replace(shape=lambda side, demos: (demos, side, side)),
    "demo_output": _COLOURS._replace(shape=lambda side, demos: (demos, side, side)),
    "demo_input_dim": _DIM._replace(shape=lambda side, demos: (demos, 2)),
    "demo_output_dim": _DIM._replace(shape=lambda side, demos: (demos, 2)),
    "demo_count": _Kind(0, 127, lambda side, demos: (1,)),
}
NAMES = tuple(_KINDS)


def chosen(
    names: tuple[str, ...] | None, operations: OperationSet, hidden: bool
) -> tuple[str, ...]:
    """The names of what is observed, by default the state that the operations have.

    Raises:
        ValueError: an unknown name, none at all, or an answer that is hidden.
    """
    known = _GRID + (_CLIPBOARD if operations.clipboard else ())
    known += _OBJECT if operations.objects else ()
    if names is None:
        return known
    possible = [name for name in NAMES if name in known or name not in _CLIPBOARD + _OBJECT]
    if not names:
        raise ValueError(f"observe: needs one of {', '.join(possible)}")
    for name in names:
        if name not in possible:
            near = nearest(str(name), possible) or tuple(possible)
            raise ValueError(f"observe: no {name!r}; nearest: {', '.join(near)}")
        if hidden and name in _ANSWER:
            raise ValueError(f"observe: {name!r} is hidden but for protocol='adaptation'")
    return tuple(dict.fromkeys(names))


def spaces(names: tuple[str, ...], side: int, demos: int) -> dict[str, Any]:
    """The space of each observed field; `side` is N, `demos` is D."""
    kinds = {name: _KINDS[name] for name in names}
    return {
        name: Box(kind.low, kind.high, kind.shape(side, demos), jnp.int8)
        for name, kind in kinds.items()
    }


def observe(
    state: State, task: Tasks, pair: jax.Array, names: tuple[str, ...]
) -> dict[str, jax.Array]:
    """The observed fields of a state and its task."""
    # Each cell of a grid would otherwise compute its word of the step anew.
    fields = stage(state.time >= 0, lambda state: view(state, O2ARC), state)
    fields |= fields.pop("object_states")
    demos = task.demos
    fields |= {
        "answer": unpack(state.answer),
        "answer_dim": state.answer_dim.astype(jnp.int8),
        "demo_input": demos.input,
        "demo_input_dim": demos.input_dim,
        "demo_output": demos.output,
        "demo_output_dim": demos.output_dim,
        "demo_count": demos.count[None],
        "test": is_test(pair, task).astype(jnp.int8)[None],
    }
    return {name: fields[name] for name in names}
