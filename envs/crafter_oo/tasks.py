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
GOAL = "goal"  # a task of `goals`, which has a state of its own


class Task(NamedTuple):
    """What is paid for and when the episode terminates.

    Attributes:
        reward: (state before, state after, rules) -> float32 [].
        terminated: state after -> bool [].
    """

    reward: Callable[[WorldState, WorldState, Rules], jax.Array]
    terminated: Callable[[WorldState], jax.Array]


def make_task(name: str) -> Task:
    """The task of that name.

    "all" is Crafter's own: health and every achievement count, and the episode lasts as long as the
    player lives. An achievement's name is the task to achieve it, see `one_achievement`.

    Raises:
        ValueError: no such task; the message names all.
    """
    if name == EVERYTHING:
        return Task(reward, is_dead)
    if name == GOAL:
        raise ValueError("task 'goal' is jaxrl.make's, or goals.GoalConditioned(env) in Python")
    if not isinstance(name, str) or name not in c.ACHIEVEMENTS:
        known = ", ".join((EVERYTHING, GOAL, *c.ACHIEVEMENTS))
        raise ValueError(f"unknown task {name!r}; known are {known}")
    return one_achievement(jnp.int32(c.achievement(name)))


def one_achievement(index: jax.Array) -> Task:
    """The task to achieve one thing, an index into `ACHIEVEMENTS`, int32 [].

    1 is paid in the step in which it is done, which also terminates the episode, as does the
    player's death; nothing else is paid.
    """

    def achieved(state: WorldState) -> jax.Array:
        return state.player.unlocked[index] > 0

    def paid(before: WorldState, after: WorldState, rules: Rules) -> jax.Array:
        return (achieved(after) & ~achieved(before)).astype(jnp.float32)

    return Task(paid, lambda state: achieved(state) | is_dead(state))
