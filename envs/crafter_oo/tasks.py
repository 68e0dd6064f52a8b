"""What an agent is paid for: everything, or one achievement."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState
from jaxrl.envs.crafter_oo.transition import is_dead, reward

EVERYTHING = "all"


class Task(NamedTuple):
    """What is paid for and when the episode terminates.

    Attributes:
        name: "all" or an achievement.
        reward: (state before, state after, rules) -> float32 [].
        terminated: state after -> bool [].
    """

    name: str
    reward: Callable[[WorldState, WorldState, Rules], jax.Array]
    terminated: Callable[[WorldState], jax.Array]


def make_task(name: str) -> Task:
    """The task of that name.

    "all" is Crafter's own: health and every achievement count, and the episode lasts as long as the
    player lives. An achievement's name is the task to achieve it: 1 when it is done, which also
    terminates the episode, as does the player's death; nothing else is paid.

    Raises:
        ValueError: no such task; the message names all.
    """
    if name == EVERYTHING:
        return Task(name, reward, is_dead)
    if name not in c.ACHIEVEMENTS:
        known = ", ".join((EVERYTHING, *c.ACHIEVEMENTS))
        raise ValueError(f"unknown task {name!r}; known are {known}")
    index = c.achievement(name)

    def achieved(state: WorldState) -> jax.Array:
        return state.player.unlocked[index] > 0

    def paid(before: WorldState, after: WorldState, rules: Rules) -> jax.Array:
        return (achieved(after) & ~achieved(before)).astype(jnp.float32)

    return Task(name, paid, lambda state: achieved(state) | is_dead(state))
