"""The matrix as a picture. Matplotlib is imported when one is drawn."""

import io
import math
from pathlib import Path
from typing import Any

from jaxrl.algos.meta.contenders import HELD_IN, HELD_OUT, OTHER_HORIZON
from jaxrl.algos.meta.matrix_report import Matrix
from jaxrl.algos.meta.tasks import BASELINE
from jaxrl.run_folder import write_whole

_PER_LINE = 3
_PPO = "#555555"
# Where the objectives of a horizon lie about its place on the axis.
_WIDTH = 0.7


def draw(path: Path, matrix: Matrix) -> None:
    """Writes a PNG with a panel for each environment and in it the horizons, all objectives each.

    Points are means over seeds with their intervals: filled where the objective was trained on
    the environment with that budget, and for PPO, DPO; half filled where it was trained there with
    other budgets; hollow where it was not. PPO's interval is a band. A dashed line is the random
    policy, where it is not far below.

    Args:
        path: of the PNG, which appears whole or not at all.
        matrix: as far as it is finished.
    """
    from matplotlib.figure import Figure

    plan = matrix.plan
    lines = math.ceil(len(plan.envs) / _PER_LINE)
    columns = min(len(plan.envs), _PER_LINE)
    figure = Figure(figsize=(1.0 + 4.2 * columns, 1.2 + 3.5 * lines), dpi=120, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, env in zip(axes, plan.envs, strict=False):
        _environment(panel, matrix, env)
    for panel in axes[len(plan.envs) :]:
        panel.set_axis_off()
    handles = [_handle(row, name) for row, name in enumerate(c.name for c in plan.contenders)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    seeds = len(plan.seeds)
    figure.suptitle(
        f"Final return, mean of {seeds} seeds with 95% interval\n"
        "filled: held in; half filled: same environment, other budget; hollow: held out",
        fontsize=11,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_whole(path, buffer.getvalue())


def _environment(axes: Any, matrix: Matrix, env: str) -> None:
    plan = matrix.plan
    chosen = [i for i, column in enumerate(plan.columns) if column.env == env]
    count = len(plan.contenders)
    for place, index in enumerate(chosen):
        ppo = matrix.cells.get((index, 0))
        if ppo is not None:
            ends = [place - 0.45, place + 0.45]
            axes.fill_between(ends, ppo.low, ppo.high, color=_PPO, alpha=0.18, linewidth=0)
        for row, contender in enumerate(plan.contenders):
            cell = matrix.cells.get((index, row))
            if cell is None:
                continue
            known = HELD_IN if contender.file is None else cell.place
            offset = _WIDTH * ((row + 0.5) / count - 0.5)
            axes.errorbar(
                place + offset,
                cell.mean,
                [[max(cell.mean - cell.low, 0.0)], [max(cell.high - cell.mean, 0.0)]],
                fmt=_marker(row),
                color=_colour(row),
                fillstyle="bottom" if known == OTHER_HORIZON else "full",
                markerfacecolor="white" if known == HELD_OUT else _colour(row),
                markerfacecoloralt="white",
                capsize=2.5,
                ms=5.5,
            )
    low, high = axes.get_ylim()
    random = matrix.random.get(env)
    if random is not None and random > low - 0.5 * (high - low):
        axes.axhline(random, color="black", linewidth=0.8, linestyle="--")
        axes.annotate(
            "random", (1.0, random), xycoords=("axes fraction", "data"), fontsize=7,
            ha="right", va="bottom",
        )  # fmt: skip
    axes.set_title(env, fontsize=10)
    axes.set_xlim(-0.6, len(chosen) - 0.4)
    labels = [f"x{plan.columns[i].multiple:g}\n{_steps(plan.columns[i])}" for i in chosen]
    axes.set_xticks(range(len(chosen)), labels)
    axes.set_ylabel("return (sum of rewards)")
    axes.grid(alpha=0.25, axis="y")
    axes.spines[["top", "right"]].set_visible(False)


def _steps(column: Any) -> str:
    from matplotlib.ticker import EngFormatter

    return f"{EngFormatter(sep='')(column.run.total_steps)} steps"


def _handle(row: int, name: str) -> Any:
    from matplotlib.lines import Line2D

    shown = f"{name} (band)" if name == BASELINE else name
    return Line2D([], [], color=_colour(row), marker=_marker(row), linestyle="", label=shown)


def _colour(row: int) -> str:
    colours = ("#1f6f8b", "#d1495b", "#3c8d40", "#8d5fd3", "#c98a00", "#00897b", "#b0307c")
    return _PPO if row == 0 else "black" if row == 1 else colours[(row - 2) % len(colours)]


def _marker(row: int) -> str:
    return "oD"[row] if row < 2 else "s^vP*X<>"[(row - 2) % 8]
