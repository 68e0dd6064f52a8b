"""Pictures of any environment from its observations: a grid, or a chart over time.

An observation [H, W], or [H, W, C], is shown as a grid: uint8 pictures as they are, one channel in
grey, several as the colour of the channel with the largest value. Any other observation becomes a
chart of its numbers (at most `_LINES`), of the action and of the reward up to now.
"""

from typing import Any

import jax
import numpy as np

from jaxrl.rendering.draw import (
    GROUND,
    INK,
    MUTED,
    NIGHT_CELL,
    PAPER,
    SERIES,
    Canvas,
    Frame,
    rgb,
)
from jaxrl.rendering.frames import Moment

WIDTH, HEIGHT = 480, 300
_LINES, _SHOWN = 8, 200
_SMALLEST_GRID = 3


def picture(moment: Moment) -> Frame:
    """A grid where the observation is one, else a chart."""
    leaves = jax.tree.leaves(moment.observation)
    if len(leaves) == 1 and _is_grid(leaves[0]):
        return _grid(leaves[0])
    return _chart(moment)


def _is_grid(obs: np.ndarray[Any, Any]) -> bool:
    return obs.ndim in (2, 3) and min(obs.shape[:2]) >= _SMALLEST_GRID


def _grid(obs: np.ndarray[Any, Any]) -> Frame:
    if obs.ndim == 3 and obs.shape[2] == 1:
        obs = obs[:, :, 0]
    if obs.ndim == 2:
        values = obs.astype(np.float64) / (255 if obs.dtype == np.uint8 and obs.max() > 1 else 1)
        shades = np.array(rgb(NIGHT_CELL)), np.array(rgb(PAPER))
        part = np.clip(values, 0, 1)[:, :, None]
        pixels = (shades[0] * (1 - part) + shades[1] * part).round().astype(np.uint8)
    elif obs.dtype == np.uint8 and obs.shape[2] == 3:
        pixels = obs
    else:
        colours = np.array([rgb(SERIES[i % len(SERIES)]) for i in range(obs.shape[2])], np.uint8)
        occupied = np.any(obs > 0, axis=2)[:, :, None]
        pixels = np.where(
            occupied, colours[np.argmax(obs, axis=2)], np.array(rgb(NIGHT_CELL), np.uint8)
        )
    return pixels


def _chart(moment: Moment) -> Frame:
    """Three panels over the last `_SHOWN` steps, each scaled by the whole episode."""
    episode, now = moment.episode, moment.index
    count = len(episode.returns)
    observations = _columns(episode.observations, count)
    canvas = Canvas(WIDTH, HEIGHT)
    _panel(canvas, 14, 150, _title("observation", observations), observations, now + 1)
    if episode.length:
        actions = _columns(episode.actions, episode.length)
        rewards = episode.rewards[:, None]
        _panel(canvas, 168, 225, _title("action", actions), actions, now)
        _panel(canvas, 243, 290, "reward", rewards, now)
    return canvas.pixels()


def _title(name: str, columns: np.ndarray[Any, Any]) -> str:
    more = columns.shape[1] - _LINES
    return f"{name} (the first {_LINES} of {columns.shape[1]})" if more > 0 else name


def _columns(tree: Any, count: int) -> np.ndarray[Any, Any]:
    """Every number of a pytree over time, float64 [count, n]."""
    leaves = [np.asarray(leaf, np.float64).reshape(count, -1) for leaf in jax.tree.leaves(tree)]
    return np.concatenate(leaves, axis=1)


def _panel(
    canvas: Canvas,
    top: float,
    bottom: float,
    title: str,
    columns: np.ndarray[Any, Any],
    upto: int,
) -> None:
    """Lines of the first `upto` rows; the newest is at the right once the panel is full."""
    left, right = 14.0, WIDTH - 14.0
    canvas.box(left, top, right, bottom, GROUND, 5)
    canvas.text((left + 8, top + 10), title, 11, INK)
    columns = columns[:, :_LINES]
    low, high = float(columns.min(initial=0.0)), float(columns.max(initial=0.0))
    span = (high - low) or 1.0
    start = max(0, upto - _SHOWN)
    shown = columns[start:upto]
    step = (right - left - 20) / (min(_SHOWN, max(2, len(columns))) - 1)

    def place(index: int, value: float) -> tuple[float, float]:
        return (
            left + 10 + index * step,
            bottom - 7 - (bottom - top - 30) * (value - low) / span,
        )

    zero = place(0, 0.0)[1]
    canvas.line([(left + 10, zero), (right - 10, zero)], MUTED, 1)
    for column, colour in zip(shown.T.tolist(), SERIES, strict=False):
        points = [place(index, value) for index, value in enumerate(column)]
        if len(points) > 1:
            canvas.line(points, colour, 1.6)
        if points:
            canvas.disc(points[-1], 3, colour)
