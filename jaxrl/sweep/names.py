"""What a sweep may vary: the names of settings, their types, and putting values into a run.

A setting is named as on the command line of `jaxrl train`: `hp.lr`, `hp.objective.clip`,
`config.num_envs`. `hp.env.NAME` is a parameter of the environment. Hyphens and underscores are
the same.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxrl import registry
from jaxrl.config import ConfigError, RunConfig, decode
from jaxrl.options import UsageError, mirror, whole_number

ENV = "hp.env."
_KINDS = {"b": bool, "i": int, "u": int, "f": float}

Values = Mapping[str, Any]


def kinds(base: RunConfig) -> dict[str, Any]:
    """The type of every setting that a sweep over `base` may vary, by name.

    Arrays (the weights of a learnt objective) and environment parameters of rank 1 or more are
    not among them.
    """
    _, params = registry.make(base.env, **dict(base.env_overrides))
    leaves = ((field.name, getattr(params, field.name)) for field in dataclasses.fields(params))
    return {
        **dict(_leaves(mirror(base.config, "Config"), "config.")),
        **dict(_leaves(mirror(base.hp, "Hyperparameters"), "hp.")),
        **{
            ENV + name: _KINDS[np.dtype(leaf.dtype).kind]
            for name, leaf in leaves
            if getattr(leaf, "ndim", None) == 0 and np.dtype(leaf.dtype).kind in _KINDS
        },
    }


def known(name: str, table: Mapping[str, Any]) -> str:
    """`name` as `kinds` spells it; UsageError, naming the nearest ones, where it is not there."""
    plain = name.replace("-", "_")
    if plain in table:
        return plain
    last = plain.rpartition(".")[2]
    same_end = [other for other in table if other.rpartition(".")[2] == last]
    near = same_end or list(registry.nearest(plain, table))
    hint = f"; did you mean {' or '.join(near[:3])}?" if near else ""
    raise UsageError(f"there is no setting {name!r} to sweep{hint}")


def parse(kind: Any, text: str, name: str) -> Any:
    """The value that `text` says, of type `kind`: the items of a tuple are apart by spaces.

    Raises:
        UsageError: it is no such value.
    """
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        if text.lower() == "none":
            return None
        kind = next(member for member in typing.get_args(kind) if member is not types.NoneType)
    if typing.get_origin(kind) is tuple:
        members = typing.get_args(kind)
        words = text.split()
        if len(members) == 2 and members[1] is Ellipsis:
            members = members[:1] * len(words)
        if len(members) != len(words):
            raise UsageError(f"{name} takes {len(members)} numbers, got {text!r}")
        return tuple(parse(m, word, name) for m, word in zip(members, words, strict=True))
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return whole_number(text) if kind is int else kind(text)
    except (ValueError, KeyError, OverflowError):
        raise UsageError(f"{name} is {kind.__name__}, which {text!r} is not") from None


def checked(kind: Any, value: Any, name: str) -> Any:
    """`value` as the type `kind`; a string is parsed where something else is wanted.

    Raises:
        UsageError: a string that cannot be parsed.
        ConfigError: a value of another type.
    """
    if isinstance(value, str) and kind is not str:
        return parse(kind, value, name)
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    return decode(kind, None, list(value) if isinstance(value, tuple) else value, name)


def assign(base: RunConfig, values: Values) -> RunConfig:
    """`base` with other values, names as of `kinds`; ValueError from the records' own checks.

    Environment parameters become overrides of the environment.
    """
    env = {name.removeprefix(ENV): v for name, v in values.items() if name.startswith(ENV)}
    tree: dict[str, Any] = {}
    for name, value in values.items():
        if not name.startswith(ENV):
            *path, last = name.split(".")
            branch = tree
            for part in path:
                branch = branch.setdefault(part, {})
            branch[last] = value
    return dataclasses.replace(
        base,
        env_overrides=tuple(sorted({**dict(base.env_overrides), **env}.items())),
        config=_replaced(base.config, tree.get("config", {})),
        hp=_replaced(base.hp, tree.get("hp", {})),
    )


def changes(run: RunConfig, preset: Any) -> dict[str, Any]:
    """The settings of `run` that differ from a preset, by name; environment overrides apart."""
    found = {}
    for prefix, mine, theirs in (("config", run.config, preset.config), ("hp", run.hp, preset.hp)):
        for name, _ in _leaves(mirror(mine, "Mine"), ""):
            value = _look_up(mine, name)
            if value != _look_up(theirs, name):
                found[f"{prefix}.{name}"] = value
    return found


def _leaves(record: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(record):
        kind: Any = field.type
        if dataclasses.is_dataclass(kind):
            yield from _leaves(kind, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, typing.get_args(kind)[0]


def _replaced(record: Any, tree: Mapping[str, Any]) -> Any:
    values = {
        name: _replaced(getattr(record, name), value) if isinstance(value, dict) else value
        for name, value in tree.items()
    }
    try:
        return dataclasses.replace(record, **values) if values else record
    except TypeError as error:
        raise ConfigError(str(error)) from None


def _look_up(record: Any, name: str) -> Any:
    for part in name.split("."):
        record = getattr(record, part, None)
    return record
