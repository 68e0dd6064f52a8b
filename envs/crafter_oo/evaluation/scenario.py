"""What a scenario is."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.evaluation import arena
from jaxrl.envs.crafter_oo.state import WorldState


class Scenario(NamedTuple):
    """A prepared world and what the player does in it.

    Attributes:
        name: unique.
        published: the published scenario it belongs to; None for one of our own.
        about: what should happen, one line.
        build: key -> (state, actions int32 [T]).
    """

    name: str
    published: str | None
    about: str
    build: Callable[[jax.Array], tuple[WorldState, np.ndarray]]


def prepared(
    name: str,
    about: str,
    actions: str,
    *edits: arena.Edit,
    published: str | None = None,
    ground: str = "grass",
    time: int = 0,
) -> Scenario:
    """A scenario that always begins alike.

    Args:
        name: unique.
        about: what should happen.
        actions: names of actions, apart by spaces; `3*noop` is three of them.
        *edits: what is put into the arena.
        published: the published scenario it belongs to.
        ground: the arena's material.
        time: steps taken before.
    """
    numbers = np.asarray([c.action(word) for word in _words(actions)], np.int32)

    def build(key: jax.Array) -> tuple[WorldState, np.ndarray]:
        del key
        return arena.built(edits, ground, time), numbers

    return Scenario(name, published, about, build)


def _words(actions: str) -> list[str]:
    words: list[str] = []
    for word in actions.split():
        count, _, name = word.rpartition("*")
        words += [name] * int(count or 1)
    return words
