"""MinAtar: the 10 x 10 board of the observation, one colour for each channel, and a legend.

Where channels overlap the last of a game's list is seen. SpaceInvaders marks every alien twice,
by channel 1 and by the direction it moves in; the directions are shown.

Source of the channels: Young and Tian 2019, arXiv 1903.03176; gymnax 1.0.1.
"""

import functools
from typing import Any

import numpy as np

from jaxrl.rendering.draw import (
    BLUE,
    BROWN,
    CYAN,
    GREEN,
    LIGHT,
    MUTED,
    NIGHT,
    NIGHT_CELL,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    Canvas,
    Frame,
    rgb,
)
from jaxrl.rendering.frames import Moment

CELL, MARGIN, LEGEND = 32, 10, 140
_GAP, _TRAIL = 1, "#5b6672"

# Game -> (channel, name, colour), from the lowest to the one that is drawn over all others.
PALETTES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "Asterix-MinAtar": (
        (2, "trail", _TRAIL),
        (3, "gold", YELLOW),
        (1, "enemy", RED),
        (0, "player", CYAN),
    ),
    "Breakout-MinAtar": (
        (3, "brick", ORANGE),
        (2, "trail", _TRAIL),
        (0, "paddle", CYAN),
        (1, "ball", LIGHT),
    ),
    "Freeway-MinAtar": (
        (2, "speed 5", "#6f3b38"),
        (3, "speed 4", "#67493a"),
        (4, "speed 3", "#5e5a3c"),
        (5, "speed 2", "#465c47"),
        (6, "speed 1", "#3b5668"),
        (1, "car", RED),
        (0, "chicken", YELLOW),
    ),
    "Seaquest-MinAtar": (
        (3, "trail", _TRAIL),
        (7, "oxygen", BLUE),
        (8, "divers aboard", GREEN),
        (9, "diver", BROWN),
        (5, "fish", ORANGE),
        (6, "enemy", RED),
        (4, "enemy bullet", PURPLE),
        (2, "bullet", LIGHT),
        (1, "stern", "#2e7480"),
        (0, "submarine", CYAN),
    ),
    "SpaceInvaders-MinAtar": (
        (2, "alien, to left", ORANGE),
        (3, "alien, to right", GREEN),
        (5, "enemy bullet", RED),
        (4, "bullet", LIGHT),
        (0, "cannon", CYAN),
    ),
}


def board(moment: Moment) -> Frame:
    """The observation, [10, 10, C], as a board: uint8 [340, 470, 3]."""
    palette = PALETTES[moment.name]
    cells = np.asarray(moment.observation)
    picture = _empty(palette).copy()
    for channel, _, colour in palette:
        for row, column in np.argwhere(cells[:, :, channel] > 0).tolist():
            top, left = MARGIN + row * CELL + _GAP, MARGIN + column * CELL + _GAP
            side = CELL - 2 * _GAP
            picture[top : top + side, left : left + side] = _tile(colour)
    return picture


@functools.cache
def _empty(palette: tuple[tuple[int, str, str], ...]) -> Frame:
    """The board without anything on it, and the legend."""
    side = 10 * CELL + 2 * MARGIN
    canvas = Canvas(side + LEGEND, side, NIGHT)
    for row in range(10):
        for column in range(10):
            left, top = MARGIN + column * CELL, MARGIN + row * CELL
            edges = (left + _GAP, top + _GAP, left + CELL - _GAP, top + CELL - _GAP)
            canvas.box(*edges, NIGHT_CELL, 4)
    for line, (_, name, colour) in enumerate(reversed(palette)):
        x, y = side + 4, MARGIN + 12 + 25 * line
        canvas.box(x, y - 7, x + 14, y + 7, colour, 3)
        canvas.text((x + 23, y), name, 13, MUTED)
    return canvas.pixels()


@functools.cache
def _tile(colour: str) -> Frame:
    """A cell with rounded corners, uint8 [CELL - 2, CELL - 2, 3]."""
    side = CELL - 2 * _GAP
    canvas = Canvas(side, side, NIGHT)
    canvas.box(0, 0, side, side, colour, 4)
    tile = canvas.pixels()
    assert tuple(tile[side // 2, side // 2]) == rgb(colour)
    return tile


RENDERERS: dict[str, Any] = {name: board for name in PALETTES}
