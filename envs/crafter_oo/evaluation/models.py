"""What a model of the world is, and those to compare with.

A model answers two questions about a step: draw a next state, and how likely is this next state.
Baselines are known by name (`MODELS`); anybody's model is a factory (rules, key) -> model, named
"module:attribute".
"""

import importlib
import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import jax

from jaxrl.envs.crafter_oo.evaluation.canonical import (
    canonical,
    check_action,
    conform,
    same,
    ticked,
)
from jaxrl.envs.crafter_oo.evaluation.exact import Transitions
from jaxrl.envs.crafter_oo.evaluation.exploration import one_life
from jaxrl.envs.crafter_oo.evaluation.learned import FactoredModel
from jaxrl.envs.crafter_oo.evaluation.truth import true_step
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState
from jaxrl.registry import UnknownIdError, nearest


@runtime_checkable
class Model(Protocol):
    """A model of the world.

    States are `WorldState`s of NumPy arrays, without a batch; an action is an index into `ACTIONS`.
    """

    def sample(self, key: jax.Array, state: WorldState, action: int) -> WorldState:
        """A next state, of the shapes of `state`, drawn with a typed key."""

    def log_prob(self, state: WorldState, action: int, next_state: WorldState) -> float:
        """The logarithm of the probability of a next state: -inf if impossible, never NaN."""


class Oracle:
    """The true transition, with exact log-probabilities (see `exact`): the ceiling."""

    def __init__(self, rules: Rules):
        """`rules` are those of the world."""
        self.rules, self._transitions = rules, Transitions(rules)

    def sample(self, key: jax.Array, state: WorldState, action: int) -> WorldState:
        """A true next state."""
        return true_step(key, state, action, self.rules)

    def log_prob(self, state: WorldState, action: int, next_state: WorldState) -> float:
        """The exact log-probability; `IntractableError` where it cannot be had."""
        return self._transitions.log_prob(state, action, next_state)


class NoChange:
    """Nothing changes but the clock and the player's last action."""

    def sample(self, key: jax.Array, state: WorldState, action: int) -> WorldState:
        """The same state, a step later."""
        del key
        return ticked(canonical(state), check_action(action))

    def log_prob(self, state: WorldState, action: int, next_state: WorldState) -> float:
        """0 for the one next state it knows, else -inf."""
        state = canonical(state)
        expected = ticked(state, check_action(action))
        return 0.0 if same(expected, conform(next_state, state)) else -math.inf


Factory = Callable[[Rules, jax.Array], Model]


def oracle(rules: Rules, key: jax.Array) -> Model:
    """The true transition; needs no key."""
    del key
    return Oracle(rules)


def random_world(rules: Rules, key: jax.Array) -> Model:
    """All that `factored.walk` can change is drawn evenly from what it could be."""
    del rules, key
    return FactoredModel()


def no_change(rules: Rules, key: jax.Array) -> Model:
    """The model in which nothing changes."""
    del rules, key
    return NoChange()


def learned(rules: Rules, key: jax.Array) -> Model:
    """Counts of one life (see `exploration`) in a new world, both drawn from the key."""
    return FactoredModel().fit(one_life(key, rules))


MODELS: dict[str, Factory] = {
    "oracle": oracle,
    "random": random_world,
    "no-change": no_change,
    "learned": learned,
}


def factory(name: str) -> Factory:
    """The factory of a model: one of `MODELS`, or "module:attribute" of somebody's.

    Raises:
        UnknownIdError: no such name; the nearest are named.
        ValueError: a module that cannot be imported, or no callable there.
    """
    if name in MODELS:
        return MODELS[name]
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        near = nearest(name, MODELS) or tuple(MODELS)
        raise UnknownIdError(
            f"unknown model {name!r}; did you mean {' or '.join(near)}, or module:attribute of one"
            " of yours?"
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # somebody's module may raise anything
        raise ValueError(f"cannot import the model {name!r}: {error}") from error
    if not callable(found):
        raise ValueError(f"{name!r} must be a function (rules, key) -> model")
    return found


def make(name: str, rules: Rules, key: jax.Array) -> Model:
    """The model of that name; raises what `factory` does, and `ValueError` if it is no `Model`."""
    model = factory(name)(rules, key)
    if not isinstance(model, Model):
        raise ValueError(f"{name!r} made a {type(model).__name__} without sample and log_prob")
    return model
