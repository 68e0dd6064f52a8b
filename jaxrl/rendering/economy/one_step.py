"""Frames of the one-step economy: the schedule, incomes before and after taxes, and welfare."""

import numpy as np

from jaxrl.rendering.draw import MUTED, PAPER, Canvas, Frame
from jaxrl.rendering.economy import panels
from jaxrl.rendering.economy.history import ginis
from jaxrl.rendering.economy.land import colour_of
from jaxrl.rendering.frames import Moment

WIDTH, HEIGHT = 560, 400
_MARGIN, _GAP = 14, 10


def one_step(moment: Moment) -> Frame:
    """A state of `OneStepEconomy`, or of its planner's problem: uint8 [HEIGHT, WIDTH, 3].

    Bars are what agents own after taxes, lines above them what they earned.
    """
    env, state = getattr(moment.env, "unwrapped", moment.env), moment.state
    economy = getattr(env, "economy", env)  # of the planner's problem
    coin, earned = np.asarray(state.coin, np.float64), np.asarray(state.production, np.float64)
    canvas = Canvas(WIDTH, HEIGHT, PAPER)
    middle, half = (WIDTH - _GAP) / 2, (HEIGHT - _GAP) / 2
    lefts, rights = (_MARGIN, middle + _GAP), (middle, WIDTH - _MARGIN)
    tops, bottoms = (_MARGIN, half + _GAP), (half, HEIGHT - _MARGIN)
    cards = [(lefts[c], tops[r], rights[c], bottoms[r]) for r in (0, 1) for c in (0, 1)]
    rates = np.asarray(state.rates, np.float64)[None]
    panels.schedule(canvas, cards[0], economy.cutoffs, rates, earned)
    gini = float(ginis(coin[None])[0])
    panels.inequality(canvas, cards[1], coin, gini)
    episode = moment.episode.states
    most = max(1.0, 1.1 * float(max(np.max(episode.coin), np.max(episode.production))))
    _bars(canvas, cards[2], coin, earned, most)
    columns = {
        "skill": [f"{value:.1f}" for value in np.asarray(moment.params.skills).tolist()],
        "hours": [f"{value:.0f}" for value in np.asarray(state.labor).tolist()],
        "earned": [f"{value:.1f}" for value in earned],
        "owned": [f"{value:.1f}" for value in coin],
    }
    panels.table(canvas, cards[3], list(columns), list(columns.values()))
    return canvas.pixels()


def _bars(
    canvas: Canvas, box: panels.Box, coin: np.ndarray, earned: np.ndarray, most: float
) -> None:
    agents = len(coin)
    chart = panels.Chart(canvas, box, "coin after taxes; lines: earned", (0, agents), (0, most), [])
    for agent, (owned, income) in enumerate(zip(coin.tolist(), earned.tolist(), strict=True)):
        (left, top), (right, bottom) = chart.at(agent + 0.2, owned), chart.at(agent + 0.8, 0)
        canvas.box(left, top, right, bottom, colour_of(agent))
        height = chart.at(agent, income)[1]
        canvas.line([(left, height), (right, height)], panels.INK, 1.6)
        if agents <= 20:
            canvas.text(((left + right) / 2, bottom + 10), str(agent), 10, MUTED, "mm")
