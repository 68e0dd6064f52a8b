"""Checks of what economies are constructed with."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxrl.envs.economy.components.component import Component, Setting


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """A whole number, also one of NumPy's; `ValueError` for anything else, or beyond its limits."""
    known = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not known or value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, got {value!r}")
    if high is not None and value > high:
        raise ValueError(f"{name} must be at most {high}, got {value}")
    return int(value)


def one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    """A name that is known; `ValueError` for any other."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    return value


def flag(name: str, value: Any) -> bool:
    """True or False, also NumPy's; `ValueError` for anything else, which may be meant as either."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def number(name: str, value: Any) -> float:
    """A number, also one of an array without axes; `ValueError` for anything else."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        known = value.ndim == 0 and value.dtype.kind in "iuf"
    if not known:
        raise ValueError(f"{name} must be a number, got {value!r}")
    return float(value)


def entries(name: str, values: Any) -> tuple[Any, ...]:
    """What a sequence holds; `ValueError` for what is none, and for a text."""
    if isinstance(values, str) or not np.iterable(values):
        raise ValueError(f"{name} must be a sequence, got {values!r}")
    return tuple(values)


def numbers_of(name: str, values: Any) -> tuple[float, ...]:
    """A sequence of numbers; `ValueError` for anything else."""
    return tuple(number(f"each of {name}", value) for value in entries(name, values))


def checked_groups(groups: Sequence[int] | None, agents: int) -> tuple[int, ...]:
    """For each agent its planner; all under planner 0 by default.

    Raises:
        ValueError: not one for each agent, or a planner between the first and the last with fewer
            than 2 agents.
    """
    if groups is None:
        return (0,) * agents
    numbers = tuple(whole("a planner in groups", group, 0) for group in entries("groups", groups))
    count = [numbers.count(planner) for planner in range(max(numbers, default=-1) + 1)]
    if len(numbers) != agents or min(count, default=0) < 2:
        raise ValueError(
            f"groups must give each of {agents} agents a planner, numbered from 0, with at least 2"
            f" agents each, got {numbers}"
        )
    return numbers


def placed(components: Sequence[Component], setting: Setting) -> tuple[Component, ...]:
    """Components as parts of an economy.

    Raises:
        ValueError: none, one that is no component, two of one name, or one that refuses.
    """
    components = entries("components", components)
    for component in components:
        if not isinstance(component, Component):
            raise ValueError(f"components must be `Component`s, got {component!r}")
    parts = tuple(component.placed(setting) for component in components)
    names = [component.name for component in parts]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"components must have different names and be at least one, got {names}")
    return parts
