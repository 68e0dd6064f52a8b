"""ARC grids: the task's input, the grid that is worked on and the answer side by side.

Below them are the clipboard, the lifted object, and the task's demonstrations. The selection is
outlined. An answer that the protocol hides from the agent is not drawn, neither as the answer nor
as that of the demonstration that is worked on.

`picture` gives pixels, `ansi` and `ansi_grid` coloured text for a terminal.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl.envs.arcle.protocols import room
from jaxrl.envs.arcle.tasks import NUM_COLORS, Tasks
from jaxrl.rendering.draw import LIGHT, MUTED, NIGHT, NIGHT_CELL, Canvas, Frame, rgb
from jaxrl.rendering.frames import Moment

# Colours 0 to 9: black, blue, red, green, yellow, grey, pink, orange, light blue, dark red, near to
# those of ARC's own pages.
PALETTE = (
    *("#000000", "#1b74d8", "#f04438", "#35c24a", "#f8d81c"),
    *("#979b9f", "#e22cb6", "#f68a26", "#76d8fb", "#86142e"),
)
MARGIN, TITLE = 14, 22
PANEL = 300  # the sides of input, grid and answer
SMALL = 80  # of the others
WIDTH = 3 * PANEL + 4 * MARGIN
TOP = MARGIN + TITLE  # of the large panels
SMALL_TOP = TOP + PANEL + TOP
DEMOS_TOP = SMALL_TOP + SMALL + TOP
HEIGHT = DEMOS_TOP + 2 * SMALL + 2 * MARGIN
MOST_DEMOS = 10
GRID_LEFT = 2 * MARGIN + PANEL  # of the grid that is worked on

_RGB = np.asarray([rgb(colour) for colour in PALETTE], np.uint8)
_LUMA = (0.299, 0.587, 0.114)


class Cells(NamedTuple):
    """A grid: int8 [N, N] and its rows and columns."""

    colours: np.ndarray
    dim: tuple[int, int]

    @property
    def inside(self) -> np.ndarray:
        """The grid without what is around it."""
        return self.colours[: self.dim[0], : self.dim[1]]


def picture(moment: Moment) -> Frame:
    """A state: uint8 [HEIGHT, WIDTH, 3]."""
    env = getattr(moment.env, "unwrapped", moment.env)
    game, hidden = moment.state.game, env.protocol.hidden
    canvas = Canvas(WIDTH, HEIGHT, NIGHT)
    for column, (name, cells) in enumerate(panels(game, hidden).items()):
        left = MARGIN + column * (PANEL + MARGIN)
        title = f"{name} (hidden)" if cells is None else f"{name}{_size(cells)}"
        canvas.text((left, TOP - TITLE / 2), title, 14, LIGHT)
        _panel(canvas, left, TOP, PANEL, cells, env.canvas)
    _outline(canvas, GRID_LEFT, TOP, PANEL / env.canvas, mask_of(game.selected))
    clip = cells_of(game.clip, game.clip_dim)
    lifted = cells_of(game.object, game.object_dim if bool(game.active) else (0, 0))
    for column, (name, cells) in enumerate({"clipboard": clip, "object": lifted}.items()):
        left = MARGIN + column * (SMALL + MARGIN)
        canvas.text((left, SMALL_TOP - TITLE / 2), name, 13, MUTED)
        _panel(canvas, left, SMALL_TOP, SMALL, cells, max(cells.dim))
    for line, text in enumerate(_facts(env, moment.state)):
        at = (MARGIN + 2 * (SMALL + MARGIN), SMALL_TOP + 10 + 22 * line)
        canvas.text(at, text, 13, MUTED)
    _legend(canvas)
    _demonstrations(canvas, env, moment.state, moment.params)
    return canvas.pixels()


def panels(game: Any, hidden: bool) -> dict[str, Cells | None]:
    """Input, grid and answer of an `envs.arcle.state.State`; None for an answer that is hidden."""
    return {
        "input": cells_of(game.input, game.input_dim),
        "grid": cells_of(game.grid, game.grid_dim),
        "answer": None if hidden else cells_of(game.answer, game.answer_dim),
    }


def cells_of(words: Any, dim: Any) -> Cells:
    """A grid of bit planes uint32 [4, N], see `envs.arcle.planes`, and its rows and columns."""
    planes = np.asarray(words)
    columns = np.arange(planes.shape[-1], dtype=np.uint32)
    bits = (planes[..., None] >> columns & 1).astype(np.int8)
    colours = np.asarray(sum(bit << p for p, bit in enumerate(bits)), np.int8)
    return Cells(colours, _dim(dim))


def ansi(env: Any, state: Any) -> str:
    """A state as lines of text with 24-bit colours: input, grid and answer side by side.

    A cell is its colour's digit on its colour, after a `>` where it is selected. An answer that
    the protocol hides is left out.

    Args:
        env: an environment of ARCLE.
        state: its state, unbatched.
    """
    blocks = []
    hidden = getattr(env, "unwrapped", env).protocol.hidden
    for name, cells in panels(state.game, hidden).items():
        if cells is not None:
            marked = mask_of(state.game.selected) if name == "grid" else None
            lines, used = ansi_grid(cells.inside, marked).split("\n"), 2 * cells.dim[1]
            width = max(used, len(name))
            lines = [name.ljust(width), *(line + " " * (width - used) for line in lines)]
            blocks.append((width, lines))
    rows = max(len(lines) for _, lines in blocks)
    return "\n".join(
        "  ".join(lines[row] if row < len(lines) else " " * width for width, lines in blocks)
        for row in range(rows)
    )


def ansi_grid(cells: Any, selected: Any = None) -> str:
    """A grid as lines of text with 24-bit colours, two characters a cell.

    Args:
        cells: integers 0 to 9, [rows, columns].
        selected: bool, at least as many rows and columns: cells marked with a `>`.

    Raises:
        ValueError: it is no such grid.
    """
    grid = np.asarray(cells)
    if grid.ndim != 2 or grid.dtype.kind not in "iu":
        raise ValueError(f"a grid is integers [rows, columns], got {grid.dtype}{list(grid.shape)}")
    if grid.size and not (grid.min() >= 0 and grid.max() < NUM_COLORS):
        raise ValueError(f"colours are 0 to {NUM_COLORS - 1}, got {grid.min()} to {grid.max()}")
    marks = np.zeros(grid.shape, bool) if selected is None else np.asarray(selected)
    lines = []
    for row, marked in zip(grid.tolist(), marks.tolist(), strict=False):
        line, last = "", None
        for colour, mark in zip(row, marked, strict=False):
            line += ("" if colour == last else _ANSI[colour]) + f"{'>' if mark else ' '}{colour}"
            last = colour
        lines.append(line + "\x1b[0m")
    return "\n".join(lines)


def coarse(moment: Moment, columns: int, corners: tuple[int, ...] = ()) -> Frame:
    """A picture of one pixel a cell for terminals: input, grid and answer side by side.

    Args:
        moment: the state.
        columns: what is wider leaves out the answer, then the input.
        corners: row and column of two opposite corners of a box, whose cells are shown lighter or
            darker; the second corner more so.

    Returns:
        uint8 [rows, W, 3] with W <= `columns`, unless the grid alone is wider.
    """
    env = getattr(moment.env, "unwrapped", moment.env)
    game = moment.state.game
    shown = []
    for name, cells in panels(game, env.protocol.hidden).items():
        if cells is None:
            continue
        tall, wide = cells.dim
        if name == "grid" and corners:
            tall, wide = max(tall, 1 + max(corners[::2])), max(wide, 1 + max(corners[1::2]))
        pixels = np.full((tall, wide, 3), rgb(NIGHT_CELL), np.uint8)
        pixels[: cells.dim[0], : cells.dim[1]] = _RGB[cells.inside]
        if name == "grid" and corners:
            _shade(pixels, corners)
        shown.append((name, pixels))
    for least in ("answer", "input"):
        if sum(pixels.shape[1] + 2 for _, pixels in shown) - 2 > columns:
            shown = [(name, pixels) for name, pixels in shown if name != least]
    height = max(pixels.shape[0] for _, pixels in shown)
    parts = []
    for _, pixels in shown:
        part = np.full((height, pixels.shape[1] + 2, 3), rgb(NIGHT), np.uint8)
        part[: pixels.shape[0], :-2] = pixels
        parts.append(part)
    return np.concatenate(parts, axis=1)[:, :-2]


def _shade(pixels: Frame, corners: tuple[int, ...]) -> None:
    """Marks the cells of a box in a picture of one pixel a cell."""
    (top, bottom), (left, right) = sorted(corners[::2]), sorted(corners[1::2])
    strength = np.full((bottom - top + 1, right - left + 1, 1), 0.35)
    strength[corners[2] - top, corners[3] - left] = 0.65
    box = pixels[top : bottom + 1, left : right + 1]
    towards = np.where(box @ _LUMA > 110, 0, 255)[..., None]
    box[:] = np.rint(box + strength * (towards - box)).astype(np.uint8)


def _ansi_of(colour: np.ndarray) -> str:
    """The sequence for a digit that can be read on a colour."""
    ink = 0 if colour @ _LUMA > 110 else 255
    red, green, blue = colour.tolist()
    return f"\x1b[38;2;{ink};{ink};{ink};48;2;{red};{green};{blue}m"


_ANSI = tuple(map(_ansi_of, _RGB))


def _facts(env: Any, state: Any) -> list[str]:
    trials, submits = int(state.game.trials_remain), int(state.game.submit_count)
    lines = [f"submitted {submits} times" + ("" if trials < 0 else f", {trials} left")]
    if env.source.ids:
        lines.insert(0, f"task {env.source.ids[int(state.task)]}")
    return lines


def _demonstrations(canvas: Canvas, env: Any, state: Any, params: Any) -> None:
    """Inputs and under them outputs, as many as there is room for; the one at work underlined."""
    task = _task(env, state, params)
    count = int(task.demos.count)
    pair, demos = int(state.pair), task.demos
    more = f", the first {MOST_DEMOS} of them" if count > MOST_DEMOS else ""
    title = f"{count} demonstrations{more}; at work: {pair_name(pair, room(task)[0])}"
    canvas.text((MARGIN, DEMOS_TOP - TITLE / 2), title, 13, MUTED)
    for number in range(min(count, MOST_DEMOS)):
        left = MARGIN + number * (SMALL + MARGIN)
        given = Cells(np.asarray(demos.input[number]), _dim(demos.input_dim[number]))
        made = Cells(np.asarray(demos.output[number]), _dim(demos.output_dim[number]))
        unknown = env.protocol.hidden and pair == number
        most = max(*given.dim, *(given.dim if unknown else made.dim))
        below = DEMOS_TOP + SMALL + MARGIN / 2
        _panel(canvas, left, DEMOS_TOP, SMALL, given, most)
        _panel(canvas, left, below, SMALL, None if unknown else made, most)
        if pair == number:
            canvas.box(left, below + SMALL + 3, left + SMALL, below + SMALL + 6, LIGHT)


def pair_name(pair: int, demos: int) -> str:
    """What the pair of that number is called; `demos` is the room for demonstrations."""
    return f"demonstration {pair + 1}" if pair < demos else f"test {pair - demos + 1}"


def _task(env: Any, state: Any, params: Any) -> Tasks:
    """The task of a state, on the host."""
    if env.source.generates:
        generated: Tasks = jax.tree.map(np.asarray, state.generated)
        return generated
    task: Tasks = jax.tree.map(lambda leaf: np.asarray(leaf)[int(state.task)], params.tasks)
    return task


def _legend(canvas: Canvas) -> None:
    """The colours and their numbers."""
    side, top = 24, SMALL_TOP + 4
    for colour, shade in enumerate(PALETTE):
        left = WIDTH - MARGIN - (NUM_COLORS - colour) * (side + 4) + 4
        canvas.box(left, top, left + side, top + side, LIGHT)
        canvas.box(left + 1, top + 1, left + side - 1, top + side - 1, shade)
        canvas.text((left + side / 2, top + side + 11), str(colour), 13, MUTED, "mm")


def _panel(
    canvas: Canvas, left: float, top: float, side: float, cells: Cells | None, across: int
) -> None:
    """A square of `across` x `across` cells; what is outside of the grid stays dark."""
    canvas.box(left, top, left + side, top + side, NIGHT_CELL, 3)
    if cells is None or not cells.inside.size:
        return
    rows, columns = cells.dim
    width = side / across
    right, bottom = left + columns * width, top + rows * width
    canvas.image(left, top, right, bottom, _RGB[cells.inside])
    if width < 6:
        return
    for column in range(columns + 1):
        at = left + column * width
        canvas.box(at - 0.5, top, at + 0.5, bottom, NIGHT_CELL)
    for row in range(rows + 1):
        at = top + row * width
        canvas.box(left, at - 0.5, right, at + 0.5, NIGHT_CELL)


def _outline(canvas: Canvas, left: float, top: float, width: float, mask: np.ndarray) -> None:
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


def mask_of(words: Any) -> np.ndarray:
    """Bool [N, N] of words uint32 [N]."""
    mask = np.asarray(words)
    return (mask[:, None] >> np.arange(mask.size, dtype=np.uint32) & 1).astype(bool)


def _dim(dim: Any) -> tuple[int, int]:
    rows, columns = np.asarray(dim).tolist()
    return int(rows), int(columns)


def _size(cells: Cells) -> str:
    return f" {cells.dim[0]} x {cells.dim[1]}"
