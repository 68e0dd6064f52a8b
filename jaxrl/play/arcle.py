"""ARCLE by keys and pointer: a box of cells is selected, then an operation is chosen."""

from functools import partial
from typing import Any

import numpy as np

from jaxrl.envs.arcle.operations import OBJECT_OPERATIONS
from jaxrl.play.board import Board, Pad
from jaxrl.play.controls import Controls, Entry, PlayError, Section
from jaxrl.rendering import arcle as look
from jaxrl.spaces import Dict, MultiDiscrete

_FILL = "f"  # makes digits fill instead of paint
_KEYS = {
    **{str(colour): f"Color{colour}" for colour in range(10)},
    "w": "MoveUp",
    "s": "MoveDown",
    "a": "MoveLeft",
    "d": "MoveRight",
    "r": "RotateCW",
    "e": "RotateCCW",
    "h": "FlipLR",
    "u": "FlipUD",
    "i": "CopyI",
    "c": "CopyO",
    "v": "Paste",
    "g": "CopyFromInput",
    "z": "ResetGrid",
    "t": "ResizeGrid",
    "y": "ResizeToAnswer",
    "enter": "Submit",
}
_FLOODS = {str(colour): f"FloodFill{colour}" for colour in range(10)}


def controls(env: Any, params: Any) -> Controls:
    """Arrows and space, or a drag, to select; digits to paint, letters for the other operations.

    Raises:
        PlayError: actions are neither boxes nor masks.
    """
    env = getattr(env, "unwrapped", env)
    space, side = env.encoding.space, env.canvas
    masks = isinstance(space, Dict)
    if not masks and not (isinstance(space, MultiDiscrete) and len(space.nvec) == 5):
        raise PlayError(f"{env.name} is played with action='box' or action='mask'")
    names = tuple(env.operation_set.names[number] for number in env.operations)
    numbers = {name: number for number, name in enumerate(names)}
    area = (
        look.GRID_LEFT / look.WIDTH,
        look.TOP / look.HEIGHT,
        (look.GRID_LEFT + look.PANEL) / look.WIDTH,
        (look.TOP + look.PANEL) / look.HEIGHT,
    )
    floods = _numbered(_FLOODS, numbers)
    board = Board(
        rows=side,
        columns=side,
        area=area,
        encode=partial(_as_mask, side=side) if masks else _as_box,
        can_be_empty=masks,
        switch=_FILL if floods else "",
        switched=floods,
        coarse=look.coarse,
        after=partial(_following, names=names, masks=masks),
    )
    return Controls(_numbered(_KEYS, numbers), names, partial(_status, env), board)


def _numbered(keys: dict[str, str], numbers: dict[str, int]) -> dict[str, int]:
    """The keys of the operations that there are."""
    return {key: numbers[name] for key, name in keys.items() if name in numbers}


def _as_box(action: tuple[int, ...]) -> np.ndarray:
    return np.asarray(action, np.int32)


def _as_mask(action: tuple[int, ...], side: int) -> dict[str, np.ndarray]:
    mask = np.zeros((side, side), np.int8)
    if len(action) > 1:
        (x0, x1), (y0, y1) = sorted(action[1::2]), sorted(action[2::2])
        mask[x0 : x1 + 1, y0 : y1 + 1] = 1
    return {"operation": np.asarray(action[0], np.int32), "selection": mask}


def _following(number: int, state: Any, pad: Pad, names: tuple[str, ...], masks: bool) -> Pad:
    """After an operation on an object the next one is on it, wherever it went.

    A mask of nothing goes on with the lifted object. A box cannot be of nothing: it is put around
    the object, which is lifted anew with what lies in the box.
    """
    if names[number] not in OBJECT_OPERATIONS:
        return pad
    if masks:
        return pad._replace(anchor=None, empty=True)
    rows, columns = np.nonzero(look.mask_of(state.game.selected))
    if not rows.size:
        return pad
    first = (int(rows.min()), int(columns.min()))
    last = (int(rows.max()), int(columns.max()))
    return pad._replace(cursor=last, anchor=None if first == last else first)


def _status(env: Any, state: Any) -> tuple[Section, ...]:
    """The task and the grids."""
    game = state.game
    demos = env.source.example(env.source.params).demos.input.shape[0]
    task = [Entry("pair", look.pair_name(int(state.pair), demos))]
    if env.source.ids:
        task.insert(0, Entry("id", env.source.ids[int(state.task)]))
    submitted = [Entry("submitted", str(int(game.submit_count)))]
    if int(game.trials_remain) >= 0:
        submitted.append(Entry("left", str(int(game.trials_remain))))
    sizes = {"grid": game.grid_dim, "clipboard": game.clip_dim}
    if bool(game.active):
        sizes["object"] = game.object_dim
    grids = [Entry(name, " x ".join(map(str, np.asarray(dim)))) for name, dim in sizes.items()]
    return Section("task", tuple(task)), Section("grids", tuple(grids + submitted))
