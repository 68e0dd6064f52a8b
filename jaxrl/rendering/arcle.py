"""ARC grids: the task's input, the grid that is worked on and the answer side by side.

The selection is outlined, the clipboard is shown below. An answer that the protocol hides from the
agent is not drawn.
"""

import functools
from typing import Any

import numpy as np

from jaxrl.envs.arcle import planes
from jaxrl.rendering.draw import LIGHT, MUTED, NIGHT, NIGHT_CELL, Canvas, Frame
from jaxrl.rendering.frames import Moment

# Colours 0 to 9 in the order in which ARC's own pages show them.
PALETTE = (
    *("#0b0f14", "#2f6fb3", "#d9483b", "#3f9d55", "#e8c53c"),
    *("#9aa3a8", "#c94fa8", "#e08336", "#79c3dc", "#8a2f3c"),
)
PANEL, SMALL, MARGIN, TITLE = 240, 96, 14, 22
WIDTH = 3 * PANEL + 4 * MARGIN
HEIGHT = PANEL + SMALL + 2 * TITLE + 3 * MARGIN
_HIDDEN = "hidden"


def picture(moment: Moment) -> Frame:
    """A state: uint8 [422, 776, 3]."""
    env = getattr(moment.env, "unwrapped", moment.env)
    game = moment.state.game
    canvas = Canvas(WIDTH, HEIGHT, NIGHT)
    top = MARGIN + TITLE
    answer = None if env.protocol.hidden else (_cells(game.answer), _dim(game.answer_dim))
    panels = {
        "input": (_cells(game.input), _dim(game.input_dim)),
        "grid": (_cells(game.grid), _dim(game.grid_dim)),
        "answer": answer,
    }
    for column, (name, grid) in enumerate(panels.items()):
        left = MARGIN + column * (PANEL + MARGIN)
        title = name if grid is not None else f"{name} ({_HIDDEN})"
        canvas.text((left, MARGIN + TITLE / 2), title, 14, LIGHT)
        _panel(canvas, left, top, PANEL, grid, env.canvas)
    left = 2 * MARGIN + PANEL
    selected = np.asarray(planes.unpack_mask(game.selected))
    _outline(canvas, left, top, PANEL / env.canvas, selected)
    small_top = top + PANEL + MARGIN + TITLE
    small = {
        "clipboard": (_cells(game.clip), _dim(game.clip_dim)),
        "object": (_cells(game.object), _dim(game.object_dim) * bool(game.active)),
    }
    for column, (name, grid) in enumerate(small.items()):
        left = MARGIN + column * (SMALL + MARGIN)
        canvas.text((left, small_top - TITLE / 2), name, 13, MUTED)
        _panel(canvas, left, small_top, SMALL, grid, env.canvas)
    for line, text in enumerate(_facts(env, moment.state)):
        at = (MARGIN + 2 * (SMALL + MARGIN), small_top + 12 + 22 * line)
        canvas.text(at, text, 13, MUTED)
    return canvas.pixels()


def _facts(env: Any, state: Any) -> list[str]:
    rows, columns = _dim(state.game.grid_dim)
    trials = int(state.game.trials_remain)
    lines = [
        f"grid {rows} x {columns}",
        f"submitted {int(state.game.submit_count)} times"
        + ("" if trials < 0 else f", {trials} left"),
    ]
    if env.source.ids:
        lines.insert(0, f"task {env.source.ids[int(state.task)]}, pair {int(state.pair)}")
    return lines


def _panel(canvas: Canvas, left: float, top: float, side: float, grid: Any, cells: int) -> None:
    """A canvas of `cells` x `cells`; what is outside of the grid stays dark."""
    canvas.box(left, top, left + side, top + side, NIGHT_CELL, 3)
    if grid is None:
        return
    colours, dim = grid
    width = side / cells
    gap = 0.5 if width >= 12 else 0.0
    for x in range(int(dim[0])):
        for y in range(int(dim[1])):
            corner = (left + y * width + gap, top + x * width + gap)
            end = (left + (y + 1) * width - gap, top + (x + 1) * width - gap)
            canvas.box(*corner, *end, PALETTE[int(colours[x, y])])


def _outline(canvas: Canvas, left: float, top: float, width: float, mask: Any) -> None:
    """Lines around the cells of a mask."""
    padded = np.pad(mask, 1)
    for x, y in np.argwhere(mask).tolist():
        corners = [
            (left + (y + dy) * width, top + (x + dx) * width)
            for dx, dy in ((0, 0), (0, 1), (1, 1), (1, 0))
        ]
        beside = (padded[x, y + 1], padded[x + 1, y + 2], padded[x + 2, y + 1], padded[x + 1, y])
        for side, covered in enumerate(beside):
            if not covered:
                canvas.line([corners[side], corners[(side + 1) % 4]], LIGHT, 2)


def _cells(grid: Any) -> np.ndarray:
    return np.asarray(_unpack()(grid))


def _dim(dim: Any) -> np.ndarray:
    return np.asarray(dim).astype(int)


@functools.cache
def _unpack() -> Any:
    return planes.unpack
