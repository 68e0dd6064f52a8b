"""Pictures of economies: frames for films, and reports of an episode on a page.

`picture` and `one_step` are renderers (`jaxrl.rendering.frames`) of Gather-Trade-Build and of the
one-step economy, `map_picture` draws a map alone, and `economy_report` is a figure of an episode.
"""

from jaxrl.rendering.economy.history import Deals, History, history, lorenz
from jaxrl.rendering.economy.land import map_picture
from jaxrl.rendering.economy.one_step import one_step
from jaxrl.rendering.economy.picture import picture
from jaxrl.rendering.economy.report import economy_report

__all__ = [
    "Deals",
    "History",
    "economy_report",
    "history",
    "lorenz",
    "map_picture",
    "one_step",
    "picture",
]
