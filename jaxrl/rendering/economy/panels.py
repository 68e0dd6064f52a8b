"""Small charts on a canvas: what the frames of economies show beside the map."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jaxrl.rendering.draw import GROUND, INK, MUTED, Canvas, Point
from jaxrl.rendering.economy.history import Deals, lorenz
from jaxrl.rendering.economy.land import colour_of, marker

CARD = "#ffffff"
SOFT = "#6b7780"
PLANNERS = (INK, "#8463b5", "#c8483f", "#4c9f70")  # colours of planners' schedules
WOODEN = "#9c6b4a"
_TITLE, _SMALL = 12.0, 10.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 12.0, 26.0, 20.0  # from a card to its axes
_MOST_POINTS = 150  # of a line
_ROW = 16  # height of a row of a table

Box = tuple[float, float, float, float]


class Chart:
    """Axes on a card; numbers outside of their ranges are drawn at the border."""

    def __init__(
        self,
        canvas: Canvas,
        box: Box,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        x_ticks: Iterable[tuple[float, str]] | None = None,
        y_ticks: Iterable[tuple[float, str]] | None = None,
    ) -> None:
        """Draws card, title, grid and tick labels.

        Args:
            canvas: to draw on.
            box: left, top, right and bottom of the card.
            title: at the top.
            x: the range of the horizontal axis.
            y: of the vertical axis.
            x_ticks: places and labels; round numbers if None.
            y_ticks: likewise.
        """
        left, top, right, bottom = box
        self.canvas = canvas
        self.left, self.right = left + _LEFT, right - _RIGHT
        self.top, self.bottom = top + _TOP, bottom - _BOTTOM
        self.x, self.y = x, y
        canvas.box(left, top, right, bottom, CARD, 5)
        canvas.text((left + 9, top + 12), title, _TITLE)
        for value, label in _labelled(y) if y_ticks is None else y_ticks:
            height = self.at(x[0], value)[1]
            canvas.line([(self.left, height), (self.right, height)], GROUND, 1)
            canvas.text((self.left - 5, height), label, _SMALL, SOFT, "rm")
        for value, label in _labelled(x) if x_ticks is None else x_ticks:
            canvas.text((self.at(value, y[0])[0], self.bottom + 10), label, _SMALL, SOFT, "mm")

    def at(self, x: float, y: float) -> Point:
        """The pixel of a point."""
        across = _part(x, self.x)
        up = _part(y, self.y)
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )

    def line(self, xs: Any, ys: Any, colour: str, width: float = 1.6) -> None:
        """A line through points, thinned out where there are many, with a dot at the last."""
        keep = np.unique(np.linspace(0, len(xs) - 1, min(len(xs), _MOST_POINTS)).astype(int))
        points = [self.at(float(xs[i]), float(ys[i])) for i in keep]
        if len(points) > 1:
            self.canvas.line(points, colour, width)
        self.canvas.disc(points[-1], 2.6, colour)

    def note(self, text: str) -> None:
        """Words where there is nothing to draw."""
        middle = ((self.left + self.right) / 2, (self.top + self.bottom) / 2)
        self.canvas.text(middle, text, 11, MUTED, "mm")


def coins(canvas: Canvas, box: Box, coin: np.ndarray, upto: int, first_step: int) -> None:
    """Each agent's coin over time; `coin` [T + 1, N] of the whole episode, drawn up to a state."""
    chart = Chart(canvas, box, "coin", steps_range(coin, first_step), (0, axis_top(coin)))
    steps = first_step + np.arange(upto + 1)
    for agent in range(coin.shape[1]):
        chart.line(steps, coin[: upto + 1, agent], colour_of(agent))


def market(
    canvas: Canvas, box: Box, deals: Deals, step: int, steps: tuple[float, float], prices: float
) -> None:
    """Trades over time: the inner colour is the buyer's, the ring the seller's.

    Discs are wood, squares stone.
    """
    chart = Chart(canvas, box, "price of trades", steps, (0, 1.06 * prices))
    left, top, right, _ = box
    for offset, name in ((74, "stone"), (24, "wood")):
        sign(canvas, (right - offset - 20, top + 12), name == "stone", CARD, SOFT)
        canvas.text((right - offset - 11, top + 12), name, _SMALL, SOFT)
    shown = deals.until(step)
    if not shown.step.size:
        chart.note("none yet")
    for time, commodity, buyer, seller, price in zip(*(x.tolist() for x in shown), strict=True):
        sign(canvas, chart.at(time, price), commodity == 0, colour_of(buyer), colour_of(seller))


def sign(canvas: Canvas, centre: Point, square: bool, inner: str, ring: str) -> None:
    """A trade: a disc, or a square, in a ring."""
    x, y = centre
    for reach, colour in ((4.6, ring), (2.5, inner)):
        if square:
            canvas.box(x - 0.9 * reach, y - 0.9 * reach, x + 0.9 * reach, y + 0.9 * reach, colour)
        else:
            canvas.disc(centre, reach, colour)


def schedule(
    canvas: Canvas,
    box: Box,
    cutoffs: np.ndarray,
    rates: np.ndarray,
    income: np.ndarray,
    title: str = "tax rates by bracket of income",
) -> None:
    """Rates [P, B] as steps over brackets, all equally wide, and agents where their income is."""
    brackets = len(cutoffs)
    ticks = [(b, f"{cutoff:.0f}") for b, cutoff in enumerate(cutoffs.tolist())]
    percent = [(rate, f"{100 * rate:.0f}%") for rate in (0, 0.25, 0.5, 0.75, 1.0)]
    chart = Chart(canvas, box, title, (0, max(1, brackets)), (0, 1.04), ticks, percent)
    if not rates.size:
        chart.note("no taxes")
        return
    if len(rates) == 1:
        for b, rate in enumerate(rates[0].tolist()):
            (left, top), (right, bottom) = chart.at(b, rate), chart.at(b + 1, 0)
            canvas.box(left, top, right, bottom, GROUND)
    for planner, row in enumerate(rates.tolist()):
        corners = [(b + end, rate) for b, rate in enumerate(row) for end in (0, 1)]
        colour = PLANNERS[planner % len(PLANNERS)]
        canvas.line([chart.at(*corner) for corner in corners], colour, 2)
    for agent, place in enumerate(bracket_place(income, cutoffs).tolist()):
        marker(canvas, chart.at(place, 0), 4.2, agent, CARD)
        marker(canvas, chart.at(place, 0), 3.4, agent, colour_of(agent))


def bracket_place(income: Any, cutoffs: np.ndarray) -> np.ndarray:
    """Where incomes are on an axis on which all brackets have the width 1, float [N].

    The last bracket has no end and is shown as wide as all before it; a loss is at 0.
    """
    ends = np.append(cutoffs, 2 * cutoffs[-1])
    return np.interp(income, ends, np.arange(len(ends)))


def inequality(canvas: Canvas, box: Box, coin: np.ndarray, gini: float) -> None:
    """The Lorenz curve of coin [N], a marker at each agent that is added."""
    halves = [(0, "0%"), (0.5, "50%"), (1, "100%")]
    title = f"Lorenz curve, Gini {gini:.2f}"
    chart = Chart(canvas, box, title, (0, 1.04), (0, 1.04), halves, halves)
    canvas.line([chart.at(0, 0), chart.at(1, 1)], MUTED, 1)
    agents, shares, order = lorenz(np.maximum(coin, 0))
    points = [chart.at(x, y) for x, y in zip(agents.tolist(), shares.tolist(), strict=True)]
    canvas.line(points, SOFT, 1.6)
    for point, agent in zip(points[1:], order.tolist(), strict=True):
        marker(canvas, point, 4.6, agent, colour_of(agent))


def welfare(
    canvas: Canvas, box: Box, equality: np.ndarray, productivity: np.ndarray, upto: int, start: int
) -> None:
    """Equality, from 0 to 1, and productivity, from 0 to the episode's highest, over time."""
    left, top, right, _ = box
    most = axis_top(productivity)
    chart = Chart(canvas, box, "", steps_range(equality, start), (0, 1.04))
    steps = start + np.arange(upto + 1)
    texts = (
        (left + 9, PLANNERS[1], f"equality {equality[upto]:.2f}"),
        (left + 105, WOODEN, f"productivity {productivity[upto]:.0f}"),
    )
    chart.line(steps, productivity[: upto + 1] / most, WOODEN)
    chart.line(steps, equality[: upto + 1], PLANNERS[1])
    for x, colour, text in texts:
        canvas.text((x, top + 12), text, _TITLE, colour)


def table(canvas: Canvas, box: Box, names: Sequence[str], columns: Sequence[Sequence[str]]) -> None:
    """A row for each agent, as many as there is room for; `columns` have N texts each."""
    left, top, right, bottom = box
    canvas.box(left, top, right, bottom, CARD, 5)
    width = (right - left - 44) / len(names)
    places = [left + 34 + (column + 1) * width for column in range(len(names))]
    for x, name in zip(places, names, strict=True):
        canvas.text((x, top + 12), name, _SMALL, SOFT, "rm")
    agents, room = len(columns[0]), int((bottom - top - 26) // _ROW)
    shown = agents if agents <= room else room - 1
    for agent in range(shown):
        y = top + 32 + _ROW * agent
        marker(canvas, (left + 15, y), 5, agent, colour_of(agent))
        canvas.text((left + 25, y), str(agent), 11, SOFT)
        for x, texts in zip(places, columns, strict=True):
            canvas.text((x, y), texts[agent], 11, INK, "rm")
    if shown < agents:
        text = f"and {agents - shown} more"
        canvas.text((left + 9, top + 32 + _ROW * shown), text, _SMALL, SOFT)


def steps_range(values: np.ndarray, first_step: int) -> tuple[float, float]:
    """The range of steps of an episode, T + 1 values; never empty."""
    return (first_step, first_step + max(1, len(values) - 1))


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers within a range: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _labelled(limits: tuple[float, float]) -> list[tuple[float, str]]:
    return [(value, f"{value:g}") for value in ticks(*limits)]


def axis_top(values: np.ndarray) -> float:
    """The upper end of an axis from 0 that holds all values."""
    return max(1.0, 1.05 * float(values.max(initial=0.0)))


def _part(value: float, limits: tuple[float, float]) -> float:
    return min(1.0, max(0.0, (value - limits[0]) / (limits[1] - limits[0])))
