"""An episode of an economy on one page. Matplotlib is imported when one is drawn."""

import io
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl.envs.economy.state import COMMODITIES
from jaxrl.rendering.draw import MUTED
from jaxrl.rendering.economy.history import History, history, lorenz
from jaxrl.rendering.economy.land import colour_of, map_picture
from jaxrl.rendering.economy.panels import PLANNERS, WOODEN, axis_top
from jaxrl.rendering.episode import Episode
from jaxrl.run_folder import write_whole

_MOMENTS = 4  # at which the Lorenz curve is drawn
_MARKERS = "osD^h"  # the shapes of agents, as on the map
_MOST_LABELLED = 8  # agents in a legend


def economy_report(env: Any, episode: Episode, title: str = "", path: Path | None = None) -> Any:
    """A page about an episode of an `Economy`.

    The map at the beginning and at the end; coin, trades, equality and productivity over time; the
    tax schedules of the periods; the Lorenz curve at four moments.

    Args:
        env: the environment.
        episode: as of `jaxrl.rendering.collect`, of at least one step.
        title: above all.
        path: of a PNG that is written, whole or not at all; nothing is if None.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: an episode without steps, or of another kind of environment.
    """
    if not hasattr(episode.states, "house"):
        raise ValueError("a report is of an economy with a map: the states have no houses")
    if not episode.length:
        raise ValueError("a report needs an episode of at least one step")
    from matplotlib.figure import Figure

    told = history(getattr(env, "unwrapped", env), episode)
    figure = Figure(figsize=(13, 7.2), dpi=110, layout="constrained")
    axes = figure.subplots(2, 4, width_ratios=[1.15, 1, 1, 1])
    for row, (index, name) in enumerate(((0, "beginning"), (-1, "end"))):
        state = jax.tree.map(lambda leaf, index=index: leaf[index], episode.states)
        _land(axes[row, 0], state, f"map at the {name}")
    _coin(axes[0, 1], told)
    _trades(axes[1, 1], told)
    _schedules(axes[0, 2], told)
    _inequality(axes[1, 2], told)
    _welfare(axes[0, 3], told)
    _work(axes[1, 3], told)
    if title:
        figure.suptitle(title)
    if path is not None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        write_whole(path, buffer.getvalue())
    return figure


def _land(axes: Any, state: Any, title: str) -> None:
    axes.imshow(map_picture(state, 24), interpolation="antialiased")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def _plain(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _steps(told: History) -> np.ndarray:
    return told.first_step + np.arange(len(told.coin))


def _coin(axes: Any, told: History) -> None:
    agents = told.coin.shape[1]
    for agent in range(agents):
        label = f"agent {agent}" if agents <= _MOST_LABELLED else None
        axes.plot(
            _steps(told), told.coin[:, agent], color=colour_of(agent), linewidth=1.4, label=label
        )
    if agents <= _MOST_LABELLED:
        axes.legend(loc="upper left", frameon=False, fontsize=8)
    _plain(axes, "coin", "step", "coin in inventory and escrow")
    axes.set_ylim(0, axis_top(told.coin))


def _trades(axes: Any, told: History) -> None:
    deals = told.deals
    for commodity, (name, shape) in enumerate(zip(COMMODITIES, "so", strict=True)):
        mine = deals.commodity == commodity
        if mine.any():
            axes.scatter(
                deals.step[mine],
                deals.price[mine],
                s=26,
                marker=shape,
                linewidths=1.6,
                c=[colour_of(agent) for agent in deals.buyer[mine].tolist()],
                edgecolors=[colour_of(agent) for agent in deals.seller[mine].tolist()],
            )
        label = f"{name.lower()}: {mine.sum()}"
        axes.scatter([], [], s=26, marker=shape, c="white", edgecolors=MUTED, label=label)
    axes.legend(loc="upper left", ncols=2, frameon=False, fontsize=8)
    _plain(axes, "trades: buyers inside, sellers around", "step", "price in coin")
    first, last = told.first_step, _steps(told)[-1]
    axes.set_xlim(first, last + 0.02 * (last - first))
    axes.set_ylim(-0.3, 1.0 + 1.15 * deals.price.max(initial=1))  # room for the legend


def _schedules(axes: Any, told: History) -> None:
    """The schedules that were in force at the ends of periods, later ones darker."""
    count, brackets = told.rates.shape[1], len(told.cutoffs)
    _plain(axes, "tax rates by bracket of income", "income of a period, in coin", "marginal rate")
    if not count:
        axes.text(0.5, 0.5, "no taxes", ha="center", va="center", transform=axes.transAxes)
        return
    # The first state's schedule is not in force in any step.
    changes = 1 + np.flatnonzero(np.any(told.rates[2:] != told.rates[1:-1], axis=(1, 2)))
    ends = np.append(changes, len(told.rates) - 1)
    for order, index in enumerate(ends.tolist()):
        late = (order + 1) / len(ends)
        for planner in range(count):
            rates = told.rates[index, planner]
            label = None
            if order == len(ends) - 1:
                label = "last" if count == 1 else f"last, planner {planner}"
            axes.step(
                np.arange(brackets + 1),
                np.append(rates, rates[-1]),
                where="post",
                color=PLANNERS[planner % len(PLANNERS)],
                alpha=0.15 + 0.85 * late**2,
                linewidth=1 + late,
                label=label,
            )
    axes.set_xticks(np.arange(brackets), [f"{cutoff:.0f}" for cutoff in told.cutoffs])
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(0, brackets)
    if len(ends) > 1 or count > 1:
        axes.legend(loc="best", frameon=False, fontsize=8)


def _inequality(axes: Any, told: History) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
    last = len(told.coin) - 1
    moments = sorted({max(1, round(last * k / _MOMENTS)) for k in range(1, _MOMENTS + 1)})
    for order, index in enumerate(moments):
        late = (order + 1) / len(moments)
        agents, shares, who = lorenz(np.maximum(told.coin[index], 0))
        label = f"step {told.first_step + index}: Gini {1 - told.equality[index]:.2f}"
        axes.plot(
            agents,
            shares,
            color=PLANNERS[0],
            alpha=0.15 + 0.85 * late**2,
            linewidth=0.8 + late,
            label=label,
        )
    if len(who) <= 40:
        for x, y, agent in zip(agents[1:], shares[1:], who.tolist(), strict=True):
            axes.plot([x], [y], _MARKERS[agent % 5], color=colour_of(agent), markersize=6)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    _plain(axes, "Lorenz curve of coin", "share of agents, poorest first", "share of coin")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)


def _welfare(axes: Any, told: History) -> None:
    _plain(axes, "equality and productivity", "step", "equality")
    axes.plot(_steps(told), told.equality, color=PLANNERS[1], linewidth=1.6)
    axes.yaxis.label.set_color(PLANNERS[1])
    axes.set_ylim(0, 1.02)
    other = axes.twinx()
    other.plot(_steps(told), told.productivity, color=WOODEN, linewidth=1.6)
    other.set_ylabel("productivity: all coin", fontsize=9, color=WOODEN)
    other.tick_params(labelsize=8)
    other.spines[["top"]].set_visible(False)
    other.set_ylim(0, axis_top(told.productivity))


def _work(axes: Any, told: History) -> None:
    for agent in range(told.labor.shape[1]):
        axes.plot(_steps(told), told.labor[:, agent], color=colour_of(agent), linewidth=1.4)
    _plain(axes, "labour", "step", "labour so far")
    axes.set_ylim(bottom=0)
