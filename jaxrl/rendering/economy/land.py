"""The map of an economy: one tile after the other from a set that is drawn once.

Trees are wood and boulders stone; a stump or a few pebbles are a source on which nothing lies at
the moment. Houses have the colour of their owner. Agents are numbered, each with a colour and a
shape of its own: of 8 colours and 5 shapes, so 40 are told apart.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from jaxrl.envs.economy.state import COMMODITIES, NOBODY
from jaxrl.rendering.draw import INK, SERIES, Canvas, Frame, Point, rgb

SOIL, FURROW = "#ece7d8", "#e2dcca"
WATER, WAVE = "#9cc4dd", "#b9d7e9"
TREE, TREE_SHADE, TRUNK = "#5b8f5a", "#497a4b", "#8a6a4c"
STUMP = "#d9c29c"
STONE, STONE_SHADE = "#8f979c", "#767f85"
PEBBLE = "#a9aca9"
_LIGHT, _SHADOW = "#ffffff", "#4d5962"
_COLOURED_SHAPES = 5
_FEWEST_PIXELS = 4


class Tiles(NamedTuple):
    """What maps are made of, squares of a side of `side` pixels.

    Attributes:
        ground: uint8 [K, side, side, 3]: soil, water, each commodity's source, each commodity.
        houses: uint8 [N, side, side, 3], by owner.
        agents: uint8 [N, side, side, 3].
        shapes: float [N, side, side, 1], how much of a pixel an agent covers, 0..1.
    """

    ground: np.ndarray
    houses: np.ndarray
    agents: np.ndarray
    shapes: np.ndarray


def map_picture(state: Any, tile: int = 20) -> Frame:
    """A map with all that is on it.

    Args:
        state: of an economy, unbatched, on the host or a device.
        tile: side of a tile in pixels, at least 4.

    Returns:
        uint8 [H * tile, W * tile, 3].

    Raises:
        ValueError: too small tiles.
    """
    if tile < _FEWEST_PIXELS:
        raise ValueError(f"tile must be at least {_FEWEST_PIXELS} pixels, got {tile}")
    location = np.asarray(state.location)
    tiles = make_tiles(tile, len(location))
    kinds = np.where(np.asarray(state.water), 1, 0)
    for i in range(len(COMMODITIES)):
        kinds = np.where(np.asarray(state.sources[i]), 2 + i, kinds)
    for i in range(len(COMMODITIES)):
        kinds = np.where(np.asarray(state.resources[i]) > 0, 2 + len(COMMODITIES) + i, kinds)
    cells = tiles.ground[kinds]
    house = np.asarray(state.house)
    owned = house != NOBODY
    cells[owned] = tiles.houses[house[owned]]
    for agent, (row, column) in enumerate(location.tolist()):
        cover = tiles.shapes[agent]
        under = cells[row, column]
        cells[row, column] = np.rint(under + cover * (tiles.agents[agent] - under.astype(float)))
    rows, columns = kinds.shape
    return cells.swapaxes(1, 2).reshape(rows * tile, columns * tile, 3)


def colour_of(agent: int) -> str:
    """The colour of an agent, "#rrggbb"."""
    return SERIES[agent % len(SERIES)]


def marker(canvas: Canvas, centre: Point, radius: float, agent: int, colour: str) -> None:
    """The shape of an agent: a disc, a square, a diamond, a triangle or a hexagon."""
    corners, turn, size = _SHAPES[agent % _COLOURED_SHAPES]
    if not corners:
        canvas.disc(centre, radius * size, colour)
        return
    angles = [turn + 2 * math.pi * k / corners for k in range(corners)]
    reach = radius * size
    drop = 0.18 * radius if corners == 3 else 0.0
    points = [
        (centre[0] + reach * math.sin(a), centre[1] + drop - reach * math.cos(a)) for a in angles
    ]
    canvas.polygon(points, colour)


# Corners, angle of the first from upright, and the size at which all seem equally large.
_SHAPES = (
    (0, 0.0, 1.0),
    (4, math.pi / 4, 1.22),
    (4, 0.0, 1.22),
    (3, 0.0, 1.34),
    (6, math.pi / 6, 1.08),
)


@functools.cache
def make_tiles(side: int, agents: int) -> Tiles:
    """Draws the tiles of a size for so many agents."""
    ground = [_soil(side).pixels(), _water(side), _pebbles(side), _stump(side)]
    ground += [_boulder(side), _tree(side)]
    people, shapes = zip(*[_agent(side, agent) for agent in range(agents)], strict=True)
    return Tiles(
        np.stack(ground),
        np.stack([_house(side, colour_of(agent)) for agent in range(agents)]),
        np.stack(people),
        np.stack(shapes),
    )


def _soil(side: int) -> Canvas:
    canvas = Canvas(side, side, SOIL)
    canvas.box(0, side - 0.7, side, side, FURROW)
    canvas.box(side - 0.7, 0, side, side, FURROW)
    return canvas


def _water(side: int) -> Frame:
    canvas = Canvas(side, side, WATER)
    for x, y in ((0.1, 0.28), (0.5, 0.74)):
        points = [(side * (x + 0.1 * k), side * (y + 0.05 * (k % 2))) for k in range(5)]
        canvas.line(points, WAVE, max(0.6, side / 18))
    return canvas.pixels()


def _tree(side: int) -> Frame:
    canvas, s = _soil(side), side
    canvas.box(0.44 * s, 0.6 * s, 0.56 * s, 0.93 * s, TRUNK)
    for x, y, r in ((0.33, 0.52, 0.21), (0.67, 0.52, 0.21), (0.5, 0.34, 0.25)):
        canvas.disc((x * s, (y + 0.04) * s), r * s, TREE_SHADE)
    for x, y, r in ((0.33, 0.49, 0.2), (0.67, 0.49, 0.2), (0.5, 0.31, 0.23), (0.5, 0.5, 0.2)):
        canvas.disc((x * s, y * s), r * s, TREE)
    return canvas.pixels()


def _stump(side: int) -> Frame:
    canvas, s = _soil(side), side
    canvas.box(0.3 * s, 0.58 * s, 0.7 * s, 0.82 * s, TRUNK, 0.05 * s)
    canvas.disc((0.5 * s, 0.58 * s), 0.2 * s, TRUNK)
    canvas.disc((0.5 * s, 0.56 * s), 0.16 * s, STUMP)
    return canvas.pixels()


def _boulder(side: int) -> Frame:
    canvas, s = _soil(side), side
    outline = ((0.1, 0.8), (0.16, 0.46), (0.42, 0.2), (0.7, 0.26), (0.9, 0.56), (0.88, 0.8))
    canvas.polygon([(x * s, y * s) for x, y in outline], STONE_SHADE)
    lit = ((0.14, 0.72), (0.2, 0.46), (0.43, 0.24), (0.66, 0.29), (0.74, 0.52), (0.66, 0.72))
    canvas.polygon([(x * s, y * s) for x, y in lit], STONE)
    return canvas.pixels()


def _pebbles(side: int) -> Frame:
    canvas, s = _soil(side), side
    for x, y, r in ((0.32, 0.64, 0.11), (0.58, 0.7, 0.14), (0.54, 0.42, 0.09)):
        canvas.disc((x * s, y * s), r * s, PEBBLE)
    return canvas.pixels()


def _house(side: int, colour: str) -> Frame:
    canvas, s = _soil(side), side
    canvas.box(0.16 * s, 0.42 * s, 0.84 * s, 0.92 * s, colour)
    canvas.polygon([(0.04 * s, 0.48 * s), (0.5 * s, 0.08 * s), (0.96 * s, 0.48 * s)], _SHADOW)
    canvas.box(0.42 * s, 0.66 * s, 0.58 * s, 0.92 * s, _LIGHT)
    return canvas.pixels()


def _agent(side: int, agent: int) -> tuple[Frame, np.ndarray]:
    """An agent's tile and how much of each pixel it covers."""
    centre = (side / 2, side / 2)
    cover = Canvas(side, side, "#000000")
    marker(cover, centre, 0.48 * side, agent, _LIGHT)
    canvas = Canvas(side, side, _LIGHT)
    marker(canvas, centre, 0.4 * side, agent, colour_of(agent))
    if side >= 12:
        middle = (side / 2, side * (0.56 if agent % _COLOURED_SHAPES == 3 else 0.5))
        canvas.text(middle, str(agent), 0.56 * side, number_colour(agent), "mm")
    return canvas.pixels(), cover.pixels()[:, :, :1] / 255


def number_colour(agent: int) -> str:
    """The colour in which a number can be read on that of an agent."""
    red, green, blue = rgb(colour_of(agent))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 160 else _LIGHT
