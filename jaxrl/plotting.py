"""The learning curve of a run as a picture. Matplotlib is imported when one is drawn."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.logging import FROZEN_AT
from jaxrl.run_folder import write_whole
from jaxrl.statistics import interquartile_mean

# Below this an interquartile mean drops nothing and is the mean.
_IQM_SEEDS = 4
_COLOUR = "#1f6f8b"


def learning_curve(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draws episode return against environment steps into a PNG at `path`.

    A thin line for each seed, a thick one for the interquartile mean over seeds (the mean below
    four seeds). Rows in which no episode ended are passed over. A frozen seed ends in a cross,
    and is left out of the thick line from there on.

    Args:
        rows: as of metrics.jsonl.
        path: of the PNG, which appears whole or not at all.
        title: names algorithm, environment and seeds.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    seeds = sorted({row["seed"] for row in rows})
    for seed in seeds:
        steps, returns = _series(row for row in rows if row["seed"] == seed)
        label = "one seed" if seed == seeds[0] and len(seeds) > 1 else None
        axes.plot(steps, returns, color=_COLOUR, alpha=0.35, linewidth=0.8, label=label)
        _mark_frozen(axes, [row for row in rows if row["seed"] == seed], steps, returns)
    steps, returns = _average(rows)
    name = "interquartile mean" if len(seeds) >= _IQM_SEEDS else "mean"
    label = (
        f"{name} of {len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}" if seeds else None
    )
    axes.plot(steps, returns, color=_COLOUR, linewidth=2.2, label=label)
    if len(steps) == 0:
        axes.text(0.5, 0.5, "no episode ended", ha="center", va="center", transform=axes.transAxes)
    else:
        axes.legend(loc="best", frameon=False)
    axes.set_title(title)
    axes.set_xlabel("environment steps of each seed")
    axes.set_ylabel("episode return (sum of rewards)")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_whole(path, buffer.getvalue())


def _mark_frozen(axes: Any, rows: list[Any], steps: list[int], returns: list[float]) -> None:
    """A cross at the last return of a frozen seed, or on the axis where it has none."""
    frozen = next((row for row in rows if FROZEN_AT in row), None)
    if frozen is not None:
        label = f"seed {frozen['seed']}, frozen at update {frozen['frozen_at']}"
        point = ([steps[-1]], [returns[-1]]) if steps else ([frozen["env_steps"]], [0.0])
        axes.plot(*point, "x", color="#b3261e", label=label)


def _series(rows: Any) -> tuple[list[int], list[float]]:
    points = [(row["env_steps"], row["episode_return"]) for row in rows if _has_return(row)]
    return [step for step, _ in points], [value for _, value in points]


def _average(rows: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[float]]:
    """Over seeds, each with its last known return: not only over those that just ended one.

    A frozen seed counts until it was frozen.
    """
    by_step: dict[int, dict[int, float]] = {}
    for row in rows:
        if _has_return(row):
            by_step.setdefault(row["env_steps"], {})[row["seed"]] = row["episode_return"]
    ends: dict[int, int] = {}
    for row in rows:
        if FROZEN_AT in row:
            ends.setdefault(row["seed"], row["env_steps"])
    known: dict[int, float] = {}
    steps: list[int] = []
    averages: list[float] = []
    for step in sorted(by_step):
        known |= by_step[step]
        known = {seed: value for seed, value in known.items() if step < ends.get(seed, math.inf)}
        if not known:
            continue
        steps.append(step)
        averages.append(interquartile_mean(np.array(list(known.values()))))
    return steps, averages


def _has_return(row: Mapping[str, Any]) -> bool:
    return not math.isnan(row.get("episode_return", math.nan))
