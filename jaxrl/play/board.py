"""Boards: cells of the picture that are selected before an action is taken.

A `Pad` is what is selected; keys and pointers make another one of it, so that the whole of it is a
small state machine without the environment:

    arrows     move the cursor; if a corner is marked, the box stretches from there
    space      marks a corner at the cursor; the next time lets it go
    backspace  selects nothing, where the environment knows such a selection
    a drag     selects the box between its ends

An action is a tuple of a number and the box, (number, x0, y0, x1, y1), or (number,) where nothing
is selected. x is the row and y the column; corners are opposite ones in any order, the second is
the cursor.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxrl.rendering.draw import Frame
from jaxrl.rendering.frames import Moment

MOVES = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
MARK, NOTHING = "space", "backspace"

Cell = tuple[int, int]  # row, column
Point = tuple[float, float]  # shares of the picture's width and height, from the upper left


class Pad(NamedTuple):
    """What is selected.

    Attributes:
        cursor: the cell of the cursor.
        anchor: the marked corner; None where only the cursor's cell is selected.
        empty: whether nothing is selected.
        switched: whether keys mean what they do after the board's `switch`.
    """

    cursor: Cell = (0, 0)
    anchor: Cell | None = None
    empty: bool = False
    switched: bool = False

    @property
    def corners(self) -> tuple[int, ...]:
        """x0, y0, x1, y1 of the box, or nothing."""
        return () if self.empty else (*(self.anchor or self.cursor), *self.cursor)


def _same(number: int, state: Any, pad: Pad) -> Pad:
    return pad


class Board(NamedTuple):
    """Where the cells are, and how a selection is played.

    Attributes:
        rows, columns: how many.
        area: left, top, right and bottom of the cells as shares of the picture's sides.
        encode: an action, as of the module -> the environment's.
        can_be_empty: whether nothing may be selected.
        switch: a key that turns the other meaning of keys on and off; "" for none.
        switched: the keys that have another meaning, and the number of it.
        coarse: (moment, columns, corners) -> a picture of one pixel a cell for terminals.
        after: (number, state after it, pad) -> what is selected after an action.
    """

    rows: int
    columns: int
    area: tuple[float, float, float, float]
    encode: Callable[[tuple[int, ...]], Any]
    can_be_empty: bool = False
    switch: str = ""
    switched: Mapping[str, int] = {}
    coarse: Callable[[Moment, int, tuple[int, ...]], Frame] | None = None
    after: Callable[[int, Any, Pad], Pad] = _same

    @property
    def help(self) -> list[tuple[str, str]]:
        """(keys, what they do)."""
        lines = [(key, f"cursor {key}") for key in MOVES] + [(MARK, "mark a corner")]
        return lines + ([(NOTHING, "select nothing")] if self.can_be_empty else [])

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are not actions."""
        mine = (*MOVES, MARK, *((NOTHING,) if self.can_be_empty else ()))
        return (*mine, self.switch) if self.switch else mine

    def pressed(self, pad: Pad, key: str) -> Pad | None:
        """The pad after a key; None if the key is none of the board's."""
        if key not in self.keys:
            return None
        if key == self.switch:
            return pad._replace(switched=not pad.switched)
        if key == NOTHING:
            return pad._replace(anchor=None, empty=True)
        if key == MARK:
            return pad._replace(anchor=pad.cursor if pad.anchor is None else None, empty=False)
        down, right = MOVES[key]
        cursor = self._within(pad.cursor[0] + down, pad.cursor[1] + right)
        return pad._replace(cursor=cursor, empty=False)

    def dragged(self, pad: Pad, start: Point, end: Point) -> Pad:
        """The pad after a pointer went from one point of the picture to another.

        Where the start is not on the board nothing happens; an end beside it means the nearest
        cell.
        """
        left, top, right, bottom = self.area
        if not (left <= start[0] < right and top <= start[1] < bottom):
            return pad
        first, last = self._cell(start), self._cell(end)
        return pad._replace(cursor=last, anchor=None if first == last else first, empty=False)

    def box(self, pad: Pad) -> tuple[int, int, int, int]:
        """First row, first column, last row and last column of the box around the selection."""
        (x0, y0), (x1, y1) = pad.anchor or pad.cursor, pad.cursor
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)

    def caption(self, pad: Pad) -> str:
        """What is selected, in a line."""
        if pad.empty:
            return "nothing selected"
        x0, y0, x1, y1 = self.box(pad)
        return f"row {x0}, column {y0}: {x1 - x0 + 1} x {y1 - y0 + 1} selected"

    def check(self, corners: tuple[int, ...]) -> None:
        """Raises ValueError where numbers are not the corners of a box of cells."""
        if not corners and self.can_be_empty:
            return
        sides = (self.rows, self.columns) * 2
        if len(corners) != 4 or not all(
            0 <= corner < side for corner, side in zip(corners, sides, strict=True)
        ):
            raise ValueError(
                f"a box is x0, y0, x1, y1 within {self.rows} x {self.columns} cells,"
                f" got {list(corners)}"
            )

    def drawn(self, frame: Frame, pad: Pad) -> Frame:
        """`frame` with a line around the selection, white within black, and the cursor's cell."""
        if pad.empty:
            return frame
        x0, y0, x1, y1 = self.box(pad)
        frame = frame.copy()
        for cells, inset in (((*pad.cursor, *pad.cursor), 3), ((x0, y0, x1, y1), 0)):
            top, left = self._corner(frame, cells[0], cells[1])
            bottom, right = self._corner(frame, cells[2] + 1, cells[3] + 1)
            for step, shade in ((-1, 0), (0, 255), (1, 255), (2, 0)):
                _rectangle(frame, top, left, bottom, right, inset + step, shade)
        return frame

    def _cell(self, point: Point) -> Cell:
        left, top, right, bottom = self.area
        row = (point[1] - top) / (bottom - top) * self.rows
        column = (point[0] - left) / (right - left) * self.columns
        return self._within(int(np.floor(row)), int(np.floor(column)))

    def _corner(self, frame: Frame, row: int, column: int) -> tuple[int, int]:
        """The pixel of a cell's upper left corner: from the top, from the left."""
        left, top, right, bottom = self.area
        down = (top + (bottom - top) * row / self.rows) * frame.shape[0]
        across = (left + (right - left) * column / self.columns) * frame.shape[1]
        return round(down), round(across)

    def _within(self, row: int, column: int) -> Cell:
        return min(max(row, 0), self.rows - 1), min(max(column, 0), self.columns - 1)


def _rectangle(
    frame: Frame, top: int, left: int, bottom: int, right: int, inset: int, shade: int
) -> None:
    """A line of a pixel, `inset` pixels within a rectangle; nothing where there is no room."""
    top, left, bottom, right = top + inset, left + inset, bottom - inset - 1, right - inset - 1
    if bottom < top or right < left:
        return
    rows = np.clip((top, bottom), 0, frame.shape[0] - 1)
    columns = np.clip((left, right), 0, frame.shape[1] - 1)
    frame[rows, columns[0] : columns[1] + 1] = shade
    frame[rows[0] : rows[1] + 1, columns] = shade
