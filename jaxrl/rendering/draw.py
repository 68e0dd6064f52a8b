"""An antialiased canvas and the colours that all pictures share.

Shapes are drawn `_SCALE` times as large and averaged down. Coordinates are pixels of the result,
floats, x to the right and y down from the upper left corner.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SCALE = 3

PAPER = "#f6f5f1"
INK = "#22303c"
MUTED = "#a9b2b8"
GROUND = "#dfe3e2"
BLUE = "#2f6fb3"
ORANGE = "#e07a3f"
GREEN = "#4c9f70"
RED = "#c8483f"
YELLOW = "#e8b93c"
PURPLE = "#8463b5"
CYAN = "#48a9b8"
BROWN = "#9c6b4a"
NIGHT = "#161d27"
NIGHT_CELL = "#202a37"
LIGHT = "#eceff1"
SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, CYAN, BROWN, YELLOW)

BAR_HEIGHT = 26

Point = tuple[float, float]
Frame = np.ndarray[Any, np.dtype[np.uint8]]


class Canvas:
    """A picture of `width` x `height` pixels."""

    def __init__(self, width: int, height: int, background: str = PAPER) -> None:
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * _SCALE, height * _SCALE), background)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: Sequence[Point], colour: str, width: float = 2.0) -> None:
        """A line through `points` with round ends and joints."""
        path = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._draw.line(path, fill=colour, width=max(1, round(width * _SCALE)), joint="curve")
        if width > 2:
            for end in (points[0], points[-1]):
                self.disc(end, width / 2, colour)

    def disc(self, centre: Point, radius: float, colour: str) -> None:
        """A filled circle."""
        (x, y), r = centre, radius
        self._draw.ellipse([v * _SCALE for v in (x - r, y - r, x + r, y + r)], fill=colour)

    def polygon(self, points: Sequence[Point], colour: str) -> None:
        """A filled polygon."""
        self._draw.polygon([(x * _SCALE, y * _SCALE) for x, y in points], fill=colour)

    def box(
        self, left: float, top: float, right: float, bottom: float, colour: str, radius: float = 0.0
    ) -> None:
        """A filled rectangle, with rounded corners if `radius` is positive."""
        corners = [round(left * _SCALE), round(top * _SCALE)]
        corners += [round(right * _SCALE) - 1, round(bottom * _SCALE) - 1]
        if corners[2] >= corners[0] and corners[3] >= corners[1]:
            self._draw.rounded_rectangle(corners, radius * _SCALE, fill=colour)

    def image(self, left: float, top: float, right: float, bottom: float, frame: Frame) -> None:
        """`frame` stretched over a rectangle; its pixels stay as they are."""
        x, y = round(left * _SCALE), round(top * _SCALE)
        size = (max(1, round(right * _SCALE) - x), max(1, round(bottom * _SCALE) - y))
        self._image.paste(Image.fromarray(frame).resize(size, Image.Resampling.NEAREST), (x, y))

    def text(
        self, at: Point, text: str, size: float = 13.0, colour: str = INK, anchor: str = "lm"
    ) -> None:
        """One line of text; `anchor` is Pillow's, by default left and middle."""
        where = (at[0] * _SCALE, at[1] * _SCALE)
        self._draw.text(where, text, fill=colour, font=_font(size * _SCALE), anchor=anchor)

    def pixels(self) -> Frame:
        """The picture, uint8 [height, width, 3]."""
        return np.asarray(self._image.reduce(_SCALE))


def with_bar(frame: Frame, left: str, middle: str, right: str) -> Frame:
    """`frame` with a line of text under it: uint8 [H + BAR_HEIGHT, W, 3]."""
    width = frame.shape[1]
    bar = Canvas(width, BAR_HEIGHT, INK)
    for x, text, anchor in ((10, left, "lm"), (width / 2, middle, "mm"), (width - 10, right, "rm")):
        bar.text((x, BAR_HEIGHT / 2), text, size=13, colour=LIGHT, anchor=anchor)
    return np.concatenate([frame, bar.pixels()])


def rgb(colour: str) -> tuple[int, int, int]:
    """The three components of "#rrggbb", 0..255."""
    return (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))


def enlarged(frame: Frame, most: int) -> Frame:
    """`frame` with every pixel repeated as often as keeps both sides within `most`."""
    factor = max(1, most // max(frame.shape[:2]))
    return frame if factor == 1 else frame.repeat(factor, axis=0).repeat(factor, axis=1)


def widened(frame: Frame, least: int) -> Frame:
    """`frame` with dark margins at its sides where it is narrower than `least`."""
    missing = max(0, least - frame.shape[1])
    if not missing:
        return frame
    wide = np.full((frame.shape[0], least, 3), rgb(NIGHT), np.uint8)
    wide[:, missing // 2 : missing // 2 + frame.shape[1]] = frame
    return wide


@functools.cache
def _font(size: float) -> Any:
    return ImageFont.load_default(size)
