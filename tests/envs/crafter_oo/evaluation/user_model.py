"""Somebody's own models, as `jaxrl evaluate-model` takes them: functions (rules, key) -> model."""

import math

import jax
import numpy as np

from jaxrl.envs.crafter_oo.evaluation.models import Oracle
from jaxrl.envs.crafter_oo.rules import named

NEEDS = ("hunger", "thirst", "fatigue", "recover")


class Timekeeper:
    """Knows that needs grow by one a step; takes every other change for equally unlikely."""

    def sample(self, key, state, action):
        """What it expects."""
        del key
        player = state.player
        grown = {name: getattr(player, name) + np.float32(1) for name in NEEDS}
        return state.replace(
            time=state.time + 1, player=player.replace(action=np.uint8(action), **grown)
        )

    def log_prob(self, state, action, next_state):
        """Three nats for each leaf that is not as expected; not normalised."""
        pairs = zip(
            jax.tree.leaves(self.sample(None, state, action)),
            jax.tree.leaves(next_state),
            strict=True,
        )
        return -3.0 * sum(not np.array_equal(a, b) for a, b in pairs)


class Broken:
    """Answers nonsense."""

    def __init__(self, answer):
        self.answer = answer

    def sample(self, key, state, action):
        """The state without its last column."""
        if self.answer == "shape":
            return state.replace(materials=state.materials[:-1])
        return state

    def log_prob(self, state, action, next_state):
        """Not a number."""
        return math.nan


def timekeeper(rules, key):
    """A model without parameters."""
    return Timekeeper()


def lazy_cows(rules, key):
    """The true world, but for cows that never move."""
    return Oracle(named(rules, "creatures.cow_move_probability", 0.0))


def wrong_shape(rules, key):
    """Its samples are no states of the arena."""
    return Broken("shape")


def not_a_number(rules, key):
    """Its log-probabilities are none."""
    return Broken("nan")
