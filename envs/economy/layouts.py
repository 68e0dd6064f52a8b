"""Maps of an economy: where stone and wood grow, and where water is.

A layout is text, a row of tiles a line, of the symbols

    W wood grows here    S stone grows here    @ water    . or a space: nothing

with rows separated by line ends or by ";". What lies on a map at the beginning of an episode is one
unit on each source.

Everything here is NumPy, for the construction of environments.

Source: Zheng et al. (2020), arXiv 2004.13332, section 3.1 and appendix; symbols and starting places
are those of the package `ai-economist` 1.7.1, `layout_from_file/simple_wood_and_stone`. The map
`quadrants` is our own, by a rule, after the description in the paper.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxrl.envs.economy.state import COMMODITIES

SYMBOLS = {"Stone": "S", "Wood": "W"}
WATER = "@"
NOTHING = ". "  # written as the first
_KNOWN = frozenset({*SYMBOLS.values(), WATER, *NOTHING})
_SMALLEST = 15  # side of a map in quadrants whose clumps do not overlap
_GROUPS = 4  # of agents by skill, each in a corner of its own
_ABREAST = 4  # agents of a group in a row


class Layout(NamedTuple):
    """A map of H x W tiles.

    Attributes:
        sources: bool [C, H, W], tiles on which units of each of `COMMODITIES` grow.
        water: bool [H, W], tiles that nobody enters.
    """

    sources: np.ndarray
    water: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """H and W."""
        height, width = self.water.shape
        return height, width


def parse(text: str) -> Layout:
    """The layout that a text shows.

    Raises:
        ValueError: no tiles, rows of different lengths, or a symbol that is none; with its place,
            rows and columns counted from 0.
    """
    rows = text.replace("\r\n", "\n").replace(";", "\n").split("\n")
    while rows and not rows[-1]:  # a separator after the last row is no row
        rows.pop()
    if not rows or not rows[0]:
        raise ValueError("a layout needs at least one row of at least one tile")
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"rows of a layout must be equally long: row 0 has {len(rows[0])} tiles, "
                f"row {number} has {len(row)}"
            )
    for number, row in enumerate(rows):
        for column, symbol in enumerate(row):
            if symbol not in _KNOWN:
                raise ValueError(
                    f"a layout is of the symbols {''.join(sorted(_KNOWN))!r}, got {symbol!r} in "
                    f"row {number}, column {column}"
                )
    tiles = np.array([list(row) for row in rows])
    sources = np.stack([tiles == SYMBOLS[commodity] for commodity in COMMODITIES])
    return Layout(sources, tiles == WATER)


def is_row(text: str) -> bool:
    """Whether a text could be a row of a layout: symbols of layouts, and nothing else."""
    return bool(text) and set(text) <= _KNOWN


def load(path: str | Path) -> Layout:
    """The layout in a text file.

    Raises:
        ValueError: no such file, no text, or no layout (`parse`).
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"no layout can be read from {path}: {error}") from error
    return parse(text)


def to_text(layout: Layout) -> str:
    """A layout as text, rows separated by line ends; `parse` gives it back."""
    tiles = np.where(layout.water, WATER, NOTHING[0])
    for commodity, source in zip(COMMODITIES, layout.sources, strict=True):
        tiles = np.where(source, SYMBOLS[commodity], tiles)
    return "\n".join("".join(row) for row in tiles)


def check(layout: Layout) -> Layout:
    """A layout that was made elsewhere, with arrays of bool.

    Raises:
        ValueError: arrays of other shapes, without tiles or not of bool, or a tile that is two
            things.
    """
    sources, water = np.asarray(layout.sources), np.asarray(layout.water)
    shape = (len(COMMODITIES), *water.shape)
    if water.ndim != 2 or water.size == 0 or sources.shape != shape:
        raise ValueError(
            f"a layout needs water of shape [H, W] and sources of shape [{len(COMMODITIES)}, H, W],"
            f" got {water.shape} and {sources.shape}"
        )
    if water.dtype != np.bool_ or sources.dtype != np.bool_:
        raise ValueError(f"a layout is of bool, got {water.dtype} and {sources.dtype}")
    twice = np.argwhere(np.sum([*sources, water], axis=0) > 1)
    if twice.size:
        raise ValueError(f"a tile of a layout is one thing, but {tuple(twice[0].tolist())} is two")
    return Layout(sources, water)


def quadrants(size: int = 25) -> Layout:
    """Four quadrants divided by a cross of water with four gaps, through which agents pass.

    At the top left wood and stone grow, at the top right wood, at the bottom left stone, at the
    bottom right nothing. There are 20 sources of each in clumps of five; stone grows where wood
    does in the map mirrored on its diagonal. Corners are free.

    Args:
        size: H and W; odd, at least 15.

    Raises:
        ValueError: a size that is not.
    """
    if size < _SMALLEST or size % 2 == 0:
        raise ValueError(f"size must be odd and at least {_SMALLEST}, got {size}")
    arm = size // 2
    across = np.minimum(np.arange(size), np.arange(size)[::-1])  # distance from the nearer edge
    gap = arm // 3
    outer = (arm - gap + 2) // 2
    wet = (across < outer) | (across >= outer + gap)
    water = np.zeros((size, size), bool)
    water[arm, :] = wet
    water[:, arm] = wet

    wood = np.zeros((size, size), bool)
    # Centres of clumps in twelfths of an arm from the top and the left of their quadrant.
    for column, centres in ((0, ((2, 6), (5, 9))), (arm + 1, ((2, 5), (6, 8)))):
        for down, right in centres:
            r, c = down * arm // 12, column + right * arm // 12
            wood[[r, r - 1, r + 1, r, r], [c, c, c, c - 1, c + 1]] = True
    return Layout(np.stack([wood.T, wood]), water)


def starting_places(agents: int, shape: tuple[int, int], layout: Layout) -> np.ndarray:
    """Where agents begin who are placed by their skill, the least skilled first.

    A quarter of them begins in each corner: the least skilled at the top right, the next at the
    bottom left, the next at the top left, the most skilled at the bottom right. Within a group four
    stand abreast along the top or bottom edge, the next four in the row behind them.

    The package takes the bottom right corner of a map that is not square to be in row W - 1, where
    there may be no tile; here it is the corner.

    Args:
        agents: N.
        shape: H and W.
        layout: of this shape.

    Returns:
        int32 [N, 2], rows and columns.

    Raises:
        ValueError: no agents, a layout of another shape, or places that are beyond the map, in
            water, or taken twice.
    """
    if agents < 1:
        raise ValueError(f"agents must be at least 1, got {agents}")
    if layout.shape != tuple(shape):
        raise ValueError(f"the layout is {layout.shape[0]} x {layout.shape[1]}, not of {shape}")
    height, width = shape
    # In floating point, as in the package.
    group = np.floor(np.arange(agents) * (_GROUPS / agents)).astype(int)
    member = np.arange(agents) - np.searchsorted(group, group)
    down, right = member // _ABREAST, member % _ABREAST
    top, left = np.isin(group, (0, 2)), np.isin(group, (1, 2))
    row = np.where(top, down, height - 1 - down)
    column = np.where(left, right, width - 1 - right)
    places = np.stack([row, column], axis=1)

    reason = f"{agents} agents cannot begin in the corners of a map of {height} x {width} tiles"
    if ((places < 0) | (places >= shape)).any():
        raise ValueError(f"{reason}: there are not enough")
    if len(np.unique(places, axis=0)) < agents:
        raise ValueError(f"{reason}: two would begin on one tile")
    wet = layout.water[row, column]
    if wet.any():
        raise ValueError(f"{reason}: {tuple(places[wet][0].tolist())} is water")
    return places.astype(np.int32)
