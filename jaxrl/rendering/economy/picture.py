"""Frames of Gather-Trade-Build: the map, and beside it what has happened so far."""

from typing import Any

import numpy as np

from jaxrl.rendering.draw import PAPER, Canvas, Frame
from jaxrl.rendering.economy import panels
from jaxrl.rendering.economy.history import MARKET, history, houses
from jaxrl.rendering.economy.land import make_tiles, map_picture
from jaxrl.rendering.frames import Moment

LAND = 500  # sides of the square that holds the map
MARGIN, GAP, LEGEND = 14, 10, 26
PANEL = 250  # width of a panel
WIDTH = LAND + 2 * PANEL + GAP + 3 * MARGIN
HEIGHT = LAND + LEGEND + 2 * MARGIN
_LARGEST_TILE, _SMALLEST_TILE, _LEGEND_TILE = 40, 4, 20
_LEGEND = ((5, "wood"), (3, "wood, taken"), (4, "stone"), (2, "stone, taken"), (1, "water"))
_PRICES = 10  # on the axis, where the market has no highest price


def picture(moment: Moment) -> Frame:
    """A state of an `Economy` and its history: uint8 [HEIGHT, WIDTH, 3].

    Trades are those that the episode has a record of (`Episode.infos`).
    """
    state, env = moment.state, getattr(moment.env, "unwrapped", moment.env)
    so_far = history(env, moment.episode)
    frame = _charts(env, so_far, state, moment.index)
    rows, columns = state.water.shape
    tile = min(_LARGEST_TILE, max(_SMALLEST_TILE, LAND // max(rows, columns)))
    land = map_picture(state, tile)
    too_large = -(-max(land.shape) // LAND)
    land = land[::too_large, ::too_large]
    top = MARGIN + (LAND - land.shape[0]) // 2
    left = MARGIN + (LAND - land.shape[1]) // 2
    frame[top : top + land.shape[0], left : left + land.shape[1]] = land
    _add_legend(frame, len(state.location))
    return frame


def _charts(env: Any, so_far: Any, state: Any, index: int) -> Frame:
    """Everything beside and under the map."""
    canvas = Canvas(WIDTH, HEIGHT, PAPER)
    step, coin = so_far.first_step + index, so_far.coin[index]
    cards = _cards()
    panels.coins(canvas, cards[0], so_far.coin, index, so_far.first_step)
    steps = panels.steps_range(so_far.coin, so_far.first_step)
    prices = next((c.max_bid for c in env.components if c.name == MARKET), _PRICES)
    panels.market(canvas, cards[1], so_far.deals, step, steps, float(prices))
    panels.schedule(canvas, cards[2], so_far.cutoffs, so_far.rates[index], so_far.income[index])
    panels.inequality(canvas, cards[3], coin, 1 - so_far.equality[index])
    panels.welfare(canvas, cards[4], so_far.equality, so_far.productivity, index, so_far.first_step)
    stone, wood = so_far.units[index]
    columns = {
        "coin": [f"{value:.1f}" for value in coin],
        "stone": [str(value) for value in stone],
        "wood": [str(value) for value in wood],
        "houses": [str(value) for value in houses(state, len(coin))],
        "labour": [f"{value:.0f}" for value in so_far.labor[index]],
    }
    panels.table(canvas, cards[5], list(columns), list(columns.values()))
    for (_, text), x in zip(_LEGEND, _legend_places(), strict=True):
        canvas.text((x + _LEGEND_TILE + 7, MARGIN + LAND + 18), text, 12, "#6b7780")
    return np.array(canvas.pixels())


def _cards() -> list[panels.Box]:
    """Six cards in three rows of two."""
    across, down = MARGIN + LAND + MARGIN, (HEIGHT - 2 * MARGIN - 2 * GAP) / 3
    lefts = (across, across + PANEL + GAP)
    tops = [MARGIN + row * (down + GAP) for row in range(3)]
    return [(left, top, left + PANEL, top + down) for top in tops for left in lefts]


def _legend_places() -> list[int]:
    """Where the tiles of the legend begin."""
    widths = [_LEGEND_TILE + 20 + 7 * len(text) for _, text in _LEGEND]
    return [MARGIN + sum(widths[:i]) for i in range(len(widths))]


def _add_legend(frame: Frame, agents: int) -> None:
    tiles = make_tiles(_LEGEND_TILE, agents)
    top = MARGIN + LAND + 8
    for (kind, _), left in zip(_LEGEND, _legend_places(), strict=True):
        frame[top : top + _LEGEND_TILE, left : left + _LEGEND_TILE] = tiles.ground[kind]
