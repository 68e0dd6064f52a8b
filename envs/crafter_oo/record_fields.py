"""Reading JSON field by field: each function returns what it was given, or names the field."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np


def parse(text: str) -> Any:
    """What a JSON text holds; `ValueError` for other text, a NaN and a name that is there twice."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"not a JSON text: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} is there twice")
    return record


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of a state")


def fields(value: Any, name: str, names: Sequence[str]) -> dict[str, Any]:
    """A record with exactly these fields."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a record, got {value!r}")
    missing = [field for field in names if field not in value]
    if missing:
        raise ValueError(f"{name} lacks the fields {', '.join(missing)}")
    unknown = [field for field in value if field not in names]
    if unknown:
        raise ValueError(f"{name} has the unknown fields {', '.join(unknown)}")
    return value


def items_of(value: Any, name: str, length: int | None = None) -> list[Any]:
    """A list, of this length if one is given."""
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {value!r}")
    if length is not None and len(value) != length:
        raise ValueError(f"{name} must have {length} entries, got {len(value)}")
    return value


def integer(value: Any, name: str, low: int, high: int) -> int:
    """An integer in low..high; a truth value is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low}..{high}, got {value}")
    return value


def number(value: Any, name: str) -> np.float32:
    """A finite number that a float32 holds, as one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise ValueError(f"{name} must be a finite float32, got {value}")
    return np.float32(value)


def boolean(value: Any, name: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")
    return value


def choice(value: Any, name: str, names: Sequence[str]) -> int:
    """The index of one of these names."""
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} must be one of {', '.join(names)}, got {value!r}")
    return names.index(value)
