"""Small pictures from simple shapes, at any size.

A square is 7 x 7 units of length, x to the right and y downwards, whatever its size in pixels: the
smallest pictures have seven pixels, which edges at whole numbers meet exactly.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

SIDE = 7.0
# Points in which a shape is looked up, along each side of a pixel.
_FINE, _COARSE, _SMALL = 8, 4, 12


class Shape(NamedTuple):
    """A shape of one colour.

    Attributes:
        covers: whether points (x, y), two arrays, lie in it.
        colour: "#rrggbb".
        opacity: 0..1.
    """

    covers: Callable[[np.ndarray, np.ndarray], np.ndarray]
    colour: str
    opacity: float = 1.0


Sprite = tuple[Shape, ...]


def box(colour: str, left: float, top: float, right: float, bottom: float) -> Shape:
    """A rectangle."""
    return Shape(lambda x, y: (left <= x) & (x < right) & (top <= y) & (y < bottom), colour)


def full(colour: str) -> Shape:
    """The whole square."""
    return box(colour, 0, 0, SIDE, SIDE)


def disc(colour: str, x: float, y: float, across: float, down: float | None = None) -> Shape:
    """An ellipse around (x, y) with these radii; a circle if only one is given."""
    other = across if down is None else down
    return Shape(lambda u, v: ((u - x) / across) ** 2 + ((v - y) / other) ** 2 <= 1, colour)


def line(colour: str, width: float, *points: tuple[float, float]) -> Shape:
    """A line through points, with round ends."""

    def covers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
        for (ax, ay), (bx, by) in zip(points[:-1], points[1:], strict=True):
            along_x, along_y = bx - ax, by - ay
            part = ((x - ax) * along_x + (y - ay) * along_y) / (along_x**2 + along_y**2)
            part = np.clip(part, 0, 1)
            away = (x - ax - part * along_x) ** 2 + (y - ay - part * along_y) ** 2
            found |= away <= (width / 2) ** 2
        return found

    return Shape(covers, colour)


def polygon(colour: str, *corners: tuple[float, float]) -> Shape:
    """A polygon; a point is inside if a ray from it crosses the border an odd number of times."""

    def covers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
        for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
            if ay != by:
                found ^= ((ay <= y) != (by <= y)) & (x < ax + (y - ay) * (bx - ax) / (by - ay))
        return found

    return Shape(covers, colour)


def pixels(colour: str, left: float, top: float, *rows: str) -> Shape:
    """Unit squares where the strings have a "#", the first at (left, top)."""
    marks = np.asarray([[mark == "#" for mark in row] for row in rows])

    def covers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        column, row = np.floor(x - left).astype(int), np.floor(y - top).astype(int)
        height, width = marks.shape
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        return inside & marks[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]

    return Shape(covers, colour)


def mirrored(sprite: Iterable[Shape]) -> Sprite:
    """The same with left and right exchanged."""
    return tuple(_looked_up(shape, lambda x, y: (SIDE - x, y)) for shape in sprite)


def turned(sprite: Iterable[Shape]) -> Sprite:
    """The same turned by a quarter to the right: what pointed up points to the right."""
    return tuple(_looked_up(shape, lambda x, y: (y, SIDE - x)) for shape in sprite)


def _looked_up(shape: Shape, where: Callable[[Any, Any], tuple[Any, Any]]) -> Shape:
    """The shape whose point (x, y) is the point `where(x, y)` of another."""
    return shape._replace(covers=lambda x, y: shape.covers(*where(x, y)))


def paint(sprite: Iterable[Shape], unit: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The shapes, each over those before it, as uint8 [unit, unit, 4], red green blue alpha."""
    fine = _FINE if unit <= _SMALL else _COARSE
    at = (np.arange(unit * fine) + 0.5) * (SIDE / (unit * fine))
    x, y = at[None, :], at[:, None]
    # Colours are multiplied by their opacity, so that the mean over a pixel is right.
    colour, alpha = np.zeros((len(at), len(at), 3)), np.zeros((len(at), len(at), 1))
    for shape in sprite:
        over = shape.opacity * shape.covers(x, y)[..., None]
        red_green_blue = [int(shape.colour[i : i + 2], 16) for i in (1, 3, 5)]
        colour = (1 - over) * colour + over * np.asarray(red_green_blue, np.float64)
        alpha = (1 - over) * alpha + over
    colour, alpha = (
        part.reshape(unit, fine, unit, fine, -1).mean(axis=(1, 3)) for part in (colour, alpha)
    )
    plain = colour / np.maximum(alpha, 1e-9)
    return np.concatenate([plain, 255 * alpha], axis=-1).round().astype(np.uint8)
