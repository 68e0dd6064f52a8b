"""Pictures of drifts over (r, A), PPO's and DPO's beside them, and of the slope that trains.

Matplotlib is imported when one is drawn.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.algorithm import LearntObjective
from jaxrl.algos.meta.symbolic import Drift, at_progress
from jaxrl.algos.on_policy.objectives import DPOParameters, dpo_drift, ppo_drift
from jaxrl.run_folder import write_whole

RATIO, ADVANTAGE = (0.5, 1.5), (-3.0, 3.0)
_POINTS = 161
# Given drifts beside PPO and DPO before a new line begins.
_PER_LINE = 4
_CLIP = 0.2
# The colours end at this quantile of all values: a corner must not hide the rest.
_QUANTILE = 0.999

Values = np.ndarray[Any, Any]


class Panel(NamedTuple):
    """One drift of a picture: its title, and f(log r, A), elementwise."""

    title: str
    drift: Drift


class Surface(NamedTuple):
    """A drift over the picture's grid, [A, r] each.

    Attributes:
        drift: f.
        slope: d(r A - f) / dr, what an update feels: A at r = 1, and 0 where nothing is to be
            gained any more.
    """

    drift: Values
    slope: Values


def references() -> tuple[Panel, Panel]:
    """PPO's drift and the published DPO's."""
    return (
        Panel(f"PPO, clip {_CLIP}", lambda log_r, a: ppo_drift(log_r, a, _CLIP)),
        Panel("DPO(2, 0.6)", lambda log_r, a: dpo_drift(log_r, a, DPOParameters())),
    )


def panels(name: str, learnt: LearntObjective, phi: Any) -> list[Panel]:
    """The panels of a learnt drift: one, or one for each of several n / N if it sees progress."""
    return [
        Panel(name if progress is None else f"{name}\nn/N = {progress:g}", drift)
        for progress, drift in at_progress(learnt, phi)
    ]


def surface(drift: Drift) -> Surface:
    """A drift and the slope of its objective on the picture's grid."""
    ratio, advantage = np.meshgrid(*_axes())
    log_ratio, flat = jnp.log(jnp.asarray(ratio.ravel())), jnp.asarray(advantage.ravel())
    value, rising = jax.jit(jax.vmap(jax.value_and_grad(drift)))(log_ratio, flat)
    slope = flat - rising * jnp.exp(-log_ratio)  # df / dr = df / d log r / r
    return Surface(np.reshape(value, ratio.shape), np.reshape(slope, ratio.shape))


def draw(path: Path, given: Sequence[Panel]) -> None:
    """Writes a PNG: each drift and the slope of its objective, all in the same colours.

    A line of the picture has PPO and DPO first and up to four of the given drifts.

    Args:
        path: of the PNG, which appears whole or not at all.
        given: drifts, at least one.

    Raises:
        ValueError: nothing is given.
        WriteError: it cannot be written.
    """
    from matplotlib.figure import Figure

    if not given:
        raise ValueError("there is no drift to draw")
    lines = [given[i : i + _PER_LINE] for i in range(0, len(given), _PER_LINE)]
    known = [(panel, surface(panel.drift)) for panel in references()]
    surfaces = [[*known, *((panel, surface(panel.drift)) for panel in line)] for line in lines]
    columns = max(map(len, surfaces))
    figure = Figure(figsize=(1.6 + 2.5 * columns, 5.4 * len(lines)), dpi=120, layout="constrained")
    axes = figure.subplots(2 * len(lines), columns, sharex=True, sharey=True, squeeze=False)
    top = _limit([found.drift for line in surfaces for _, found in line])
    steepest = _limit([np.abs(found.slope) for line in surfaces for _, found in line])
    for number, line in enumerate(surfaces):
        pair = axes[2 * number : 2 * number + 2]
        for column in range(columns):
            if column < len(line):
                _draw_drift(pair[:, column], *line[column], top, steepest)
            else:
                for empty in pair[:, column]:
                    empty.set_axis_off()
        _label(figure, pair, len(line))
    figure.suptitle("Drift functions: what an objective r A - f(r, A) takes away", fontsize=12)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_whole(path, buffer.getvalue())


def _draw_drift(pair: Any, panel: Panel, found: Surface, top: float, steepest: float) -> None:
    """Drift above, slope below."""
    from matplotlib.colors import PowerNorm

    style = dict(
        extent=(*RATIO, *ADVANTAGE), origin="lower", aspect="auto", interpolation="bilinear"
    )
    # By the square root: what is small is where learnt drifts differ.
    pair[0].imshow(found.drift, cmap="magma", norm=PowerNorm(0.5, 0.0, top), **style)
    levels = top * np.square(np.linspace(0.0, 1.0, 8)[1:-1])
    pair[0].contour(*_axes(), found.drift, levels, colors="white", linewidths=0.4)
    pair[1].imshow(found.slope, cmap="RdBu_r", vmin=-steepest, vmax=steepest, **style)
    for axes in pair:
        colour = "white" if axes is pair[0] else "black"
        axes.axvline(1.0, color=colour, linewidth=0.6)
        axes.axhline(0.0, color=colour, linewidth=0.6)
        for edge in (1 - _CLIP, 1 + _CLIP):
            axes.axvline(edge, color=colour, linewidth=0.6, linestyle=":")
        axes.set_xticks([0.6, 0.8, 1.0, 1.2, 1.4])
        axes.tick_params(labelbottom=True, labelsize=8)
    pair[0].set_title(panel.title, fontsize=10)


def _label(figure: Any, pair: Any, used: int) -> None:
    """Names of axes and colour bars of a line."""
    for axes in pair[:, 0]:
        axes.set_ylabel("advantage A (std. dev.)")
    for axes in pair[1, :used]:
        axes.set_xlabel("ratio r = new / old prob.", fontsize=8)
    names = ("drift f(r, A)", "slope d(r A - f) / dr")
    for row, name, extend in zip(pair, names, ("max", "both"), strict=True):
        figure.colorbar(row[0].images[0], ax=list(row), label=name, extend=extend, pad=0.01)


def _axes() -> tuple[Values, Values]:
    """Ratios and advantages of the grid, float32."""
    ratio, advantage = (
        np.linspace(*ends, _POINTS, dtype=np.float32) for ends in (RATIO, ADVANTAGE)
    )
    return ratio, advantage


def _limit(values: Sequence[Values]) -> float:
    """Where the colours end."""
    return max(float(np.quantile(np.stack(values), _QUANTILE)), 1e-6)
