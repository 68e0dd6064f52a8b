"""The picture of a sweep: learning curves, and the score against what was varied."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.run_folder import write_whole
from jaxrl.sweep.plan import label, short
from jaxrl.sweep.scores import curve
from jaxrl.sweep.table import Line, SweepResult, numbers

# More curves than this cannot be told apart.
_CURVES = 8
_PANELS = 3
_OTHERS = "#b0b0b0"


def draw(result: SweepResult, path: Path) -> None:
    """Draws sweep.png: a PNG that appears whole or not at all.

    Left, training return against environment steps: the interquartile mean over seeds with its 95%
    bootstrap interval, of the best points where there are many. Beside it, for each of the first
    three settings that vary, the score of every point with its interval.
    """
    from matplotlib.figure import Figure

    names = _varied(result)[:_PANELS]
    columns = 1 + len(names)
    figure = Figure(figsize=(6.4 + 3.6 * len(names), 4.6), dpi=120, layout="constrained")
    axes = figure.subplots(1, columns, width_ratios=[1.7] + [1.0] * len(names), squeeze=False)[0]
    _curves(axes[0], result)
    for panel, name in zip(axes[1:], names, strict=True):
        _scores(panel, result, name)
    for panel in axes:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    base = result.plan.base
    figure.suptitle(
        f"{base.algorithm} on {base.env}: {len(result.table)} points x {base.seeds} seeds,"
        " interquartile mean, 95% interval"
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_whole(path, buffer.getvalue())


def _curves(axes: Any, result: SweepResult) -> None:
    from matplotlib.ticker import EngFormatter

    colours = _colours(result)
    for line in result.table[:_CURVES]:
        colour = colours[line.point]
        record = result.records[line.point]
        steps = np.array(record["curve"]["env_steps"])
        returns = np.array([numbers(row) for row in record["curve"]["return"]])
        ends = np.array(record["curve"]["update"])
        # The part in which a seed diverged; one past the last for a sound one.
        bad = [np.searchsorted(ends, at) if at else len(ends) for at in record["nonfinite_update"]]
        middle, low, high = curve(returns, np.array(bad))
        axes.plot(steps, middle, color=colour, linewidth=1.8, label=label(dict(line.values)))
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.set_xlabel("environment steps of each seed")
    axes.set_ylabel("training return")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    axes.legend(loc="best", frameon=False, fontsize=7)
    if len(result.table) > _CURVES:
        axes.set_title(f"the best {_CURVES} of {len(result.table)} points", fontsize=9)


def _scores(axes: Any, result: SweepResult, name: str) -> None:
    """The score of every point against one setting."""
    lines = [line for line in result.table if math.isfinite(line.iqm)]
    values = [line.values[name] for line in lines]
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    places = _places(values, numeric)
    middle = np.array([line.iqm for line in lines])
    # An interval that reaches down to minus infinity is drawn as a point.
    low = np.array([line.iqm - line.low if math.isfinite(line.low) else 0.0 for line in lines])
    high = np.array([line.high - line.iqm for line in lines])
    error = np.maximum(np.array([low, high]), 0.0)
    colours = _colours(result)
    for line, place, y, lengths in zip(lines, places, middle, error.T, strict=True):
        colour = colours.get(line.point, _OTHERS)
        axes.errorbar(place, y, lengths[:, None], fmt="o", color=colour, capsize=2, ms=4)
    if not numeric:
        kinds = sorted(set(map(short, values)))
        axes.set_xticks(range(len(kinds)), kinds)
    elif values and min(values) > 0 and max(values) / min(values) >= 10:
        axes.set_xscale("log")
    axes.set_xlabel(name)
    axes.set_ylabel("score")
    failed = len(result.table) - len(lines)
    if failed:
        axes.set_title(f"{failed} points without a score", fontsize=9)


def _colours(result: SweepResult) -> dict[int, Any]:
    """The colour of each point that has a curve."""
    from matplotlib import colormaps

    shown = [line.point for line in result.table[:_CURVES]]
    return dict(zip(shown, colormaps["viridis"](np.linspace(0.0, 0.9, len(shown))), strict=True))


def _places(values: Sequence[Any], numeric: bool) -> Sequence[Any]:
    if numeric:
        return values
    kinds = sorted(set(map(short, values)))
    return [kinds.index(short(value)) for value in values]


def _varied(result: SweepResult) -> list[str]:
    """Names of the settings of which there is more than one value, in the order given."""
    lines: Sequence[Line] = sorted(result.table, key=lambda line: line.point)
    names = dict.fromkeys(name for line in lines for name in line.values)
    return [name for name in names if len({line.values[name] for line in lines}) > 1]
