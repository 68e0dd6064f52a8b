"""The configuration of a run: what config.json holds, typed, exact and checked.

A `RunConfig` says everything that decides the arrays of a run, and how it is logged and saved.
It goes to JSON and back without loss: floats keep every bit, non-finite floats are the strings
"inf", "-inf" and "nan", arrays are base64. A file that is corrupt, or has an unknown or a missing
key, is a `ConfigError` of one line.
"""

import base64
import dataclasses
import hashlib
import json
import math
import os
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl import registry
from jaxrl.registry import nearest
from jaxrl.run_folder import META_TRAINING

SCHEMA = 1
_RECORDING = ("log_every", "checkpoint_every", "keep_last", "on_nonfinite")
# What `on_nonfinite` can be, see `jaxrl.nonfinite`.
STOP, FREEZE_SEED = "stop", "freeze-seed"
# Environment parameters follow from `env` and `env_overrides`.
_DERIVED = ("env",)
_MAX_SEED = 2**31 - 1
_SPECIAL = ("inf", "-inf", "nan")  # floats that JSON does not have

Override = bool | int | float | str | tuple[int | float, ...]


class ConfigError(ValueError):
    """A configuration that cannot be read or makes no sense; the message is one line."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """A training run.

    Attributes:
        algorithm: name in the registry.
        env: environment id.
        env_overrides: (name, value) pairs for `jaxrl.make`, sorted by name.
        seeds: number of seeds trained at once: `seed`, `seed + 1`, ...
        seed: the first of them.
        total_steps: environment steps of each seed (the last update that fits is the last).
        config: the algorithm's static configuration.
        hp: the algorithm's hyperparameters; their `env` is None, the driver fills it in.
        log_every: updates summarised by one logged line; divides `checkpoint_every`.
        checkpoint_every: updates from one checkpoint to the next.
        keep_last: checkpoints kept besides the best.
        on_nonfinite: what happens when a seed's numbers are no longer finite: "stop", or
            "freeze-seed" and the other seeds go on.
        schema: version of this record.
    """

    algorithm: str
    env: str
    env_overrides: tuple[tuple[str, Override], ...]
    seeds: int
    seed: int
    total_steps: int
    config: Any
    hp: Any
    log_every: int = 1
    checkpoint_every: int = 1
    keep_last: int = 3
    on_nonfinite: str = STOP
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Raises ConfigError for numbers outside their range."""
        for name in ("seeds", "total_steps", "log_every", "checkpoint_every", "keep_last"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_seeds(self.seed, self.seeds)
        if self.on_nonfinite not in (STOP, FREEZE_SEED):
            raise ConfigError(
                f"on_nonfinite must be {STOP} or {FREEZE_SEED}, got {self.on_nonfinite!r}"
            )
        if self.checkpoint_every % self.log_every:
            raise ConfigError(
                f"checkpoint_every must be a multiple of log_every,"
                f" got {self.checkpoint_every} and {self.log_every}"
            )

    @property
    def seed_numbers(self) -> range:
        """The seeds."""
        return range(self.seed, self.seed + self.seeds)

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which `RunConfig.from_json` makes an equal record."""
        record = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        record["env_overrides"] = encode(dict(self.env_overrides))
        record["config"] = encode(self.config)
        record["hp"] = encode(self.hp)
        for name in _DERIVED:
            record["hp"].pop(name, None)
        return record

    @classmethod
    def from_json(cls, record: Any) -> "RunConfig":
        """The record of `to_json`; ConfigError where it is not one."""
        fields = {f.name: f for f in dataclasses.fields(cls)}
        if isinstance(record, dict) and record.get("kind") == META_TRAINING:
            raise ConfigError("this is the folder of a meta-training, which has no policies")
        _check_keys(record, fields, "the configuration")
        if record["schema"] != SCHEMA:
            raise ConfigError(
                f"schema {record['schema']!r} is not {SCHEMA}, what this version reads"
            )
        plain = {
            name: decode(field.type, None, record[name], name)
            for name, field in fields.items()
            if name not in ("config", "hp", "env_overrides")
        }
        overrides = overrides_from_json(record["env_overrides"])
        spec = registry.algorithm(plain["algorithm"])
        preset = spec.preset(plain["env"])
        hp = record["hp"]
        if isinstance(hp, dict) and not hp.keys() & set(_DERIVED):
            hp = {**hp, **{name: None for name in _DERIVED if hasattr(preset.hp, name)}}
        return cls(
            **plain,
            env_overrides=overrides,
            config=decode(type(preset.config), preset.config, record["config"], "config"),
            hp=decode(type(preset.hp), preset.hp, hp, "hp"),
        )

    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the arrays; how a run is recorded is not in it."""
        record = self.to_json()
        for name in _RECORDING:
            del record[name]
        text = json.dumps(record, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def check_seeds(first: int, count: int = 1, name: str = "seeds") -> None:
    """Raises ConfigError, of `name`, for a seed `first`, `first + 1`, ... that makes no key."""
    if first < 0 or first + count - 1 > _MAX_SEED:
        raise ConfigError(f"{name} must be within 0..{_MAX_SEED}, got {first}")


def load_config(path: str | os.PathLike[str]) -> RunConfig:
    """Reads config.json; ConfigError, naming the file, where it cannot be used."""
    try:
        return RunConfig.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {_one_line(error)}") from None


def parse_overrides(items: Iterable[str]) -> tuple[tuple[str, Override], ...]:
    """Environment overrides from `key=value` words, sorted by key.

    A value is a bool (true, false), an int, a float, a tuple of numbers (33,47), or else a string.
    ConfigError for a word without `=`, an empty key, or a key given twice.
    """
    overrides: dict[str, Override] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise ConfigError(f"an environment override is key=value, got {item!r}")
        if name in overrides:
            raise ConfigError(f"the environment override {name} is given twice")
        overrides[name] = _parse_override(text)
    return tuple(sorted(overrides.items()))


def override_text(value: Override) -> str:
    """A value as `parse_overrides` reads it: in quotes where it would be read as another one."""
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if isinstance(value, str) and not isinstance(_parse_override(text), str):
        return f'"{text}"'
    return text


def overrides_from_json(record: Any) -> tuple[tuple[str, Override], ...]:
    """Environment overrides, sorted by key, from an object of JSON; ConfigError for another."""
    if not isinstance(record, dict):
        raise ConfigError("env_overrides must be an object")
    return tuple(sorted((name, _decode_override(value)) for name, value in record.items()))


def encode(value: Any) -> Any:
    """JSON values of a dataclass, container, array or scalar; the opposite of `decode`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return {name: encode(item) for name, item in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): encode(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    array = np.asarray(value)
    if array.ndim == 0:
        return encode(array.item())
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"dtype": str(array.dtype), "shape": list(array.shape), "base64": data}


def decode(hint: Any, template: Any, data: Any, where: str) -> Any:
    """The value that `encode` turned into `data`.

    Args:
        hint: type annotation; where it is `Any`, the structure of `template` decides.
        template: a value of the wanted structure, or None.
        data: JSON values.
        where: name for errors, as `hp.objective.clip`.

    Raises:
        ConfigError: unknown or missing keys, or a value of another type, named by `where`.
    """
    if isinstance(data, dict) and data.keys() == {"dtype", "shape", "base64"}:
        return _decode_array(data, where)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(hint, template, data, where)
    if origin is tuple or (hint is Any and isinstance(template, (tuple, list))):
        return _decode_sequence(hint, template, data, where)
    if hint is Any:
        hint = type(template) if template is not None else Any
    if dataclasses.is_dataclass(hint) or hasattr(hint, "_fields"):
        return _decode_record(hint, template, data, where)
    if isinstance(template, Mapping):
        _check_keys(data, template, where)
        return {name: decode(Any, template[name], data[name], f"{where}.{name}") for name in data}
    return _decode_scalar(hint, data, where)


def _decode_record(hint: Any, template: Any, data: Any, where: str) -> Any:
    names = hint._fields if hasattr(hint, "_fields") else [f.name for f in dataclasses.fields(hint)]
    _check_keys(data, names, where)
    hints = typing.get_type_hints(hint)
    values = {
        name: decode(hints[name], getattr(template, name, None), data[name], f"{where}.{name}")
        for name in names
    }
    return hint(**values)


def _decode_union(hint: Any, template: Any, data: Any, where: str) -> Any:
    for member in typing.get_args(hint):
        try:
            return decode(member, template, data, where)
        except ConfigError:
            continue
    raise ConfigError(f"{where} must be {hint}, got {json.dumps(data)[:60]}")


def _decode_sequence(hint: Any, template: Any, data: Any, where: str) -> Any:
    members = typing.get_args(hint)
    templates: Any = ()
    if not members:  # an untyped tuple or list: the template's
        members, templates = (Any,) * len(template), tuple(template)
    if not isinstance(data, list):
        raise ConfigError(f"{where} must be a list, got {json.dumps(data)[:60]}")
    if len(members) == 2 and members[1] is Ellipsis:
        members = (members[0],) * len(data)
    if len(members) != len(data):
        raise ConfigError(f"{where} must have {len(members)} items, got {len(data)}")
    templates = templates or (None,) * len(data)
    items = [
        decode(member, like, item, f"{where}[{i}]")
        for i, (member, like, item) in enumerate(zip(members, templates, data, strict=True))
    ]
    return items if isinstance(template, list) else tuple(items)


def _decode_scalar(hint: Any, data: Any, where: str) -> Any:
    number = isinstance(data, (int, float)) and not isinstance(data, bool)
    special = data in _SPECIAL
    if typing.get_origin(hint) is typing.Literal:
        fits = data in typing.get_args(hint)
    elif hint is float:
        fits = number or special
    elif hint is int:
        fits = number and not isinstance(data, float)
    elif hint in (bool, str):
        fits = isinstance(data, hint)
    elif hint in (None, type(None)):
        fits = data is None
    else:  # an array's scalar, or a field without a usable annotation or template
        fits = data is None or isinstance(data, (bool, int, float, str))
    if not fits:
        kind = getattr(hint, "__name__", str(hint))
        raise ConfigError(f"{where} must be {kind}, got {json.dumps(data)[:60]}")
    return float(data) if hint is float or (special and hint is not str) else data


def _decode_array(data: Mapping[str, Any], where: str) -> np.ndarray[Any, Any]:
    try:
        raw = base64.b64decode(data["base64"], validate=True)
        return np.frombuffer(raw, dtype=data["dtype"]).reshape(data["shape"]).copy()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where} is not an array: {_one_line(error)}") from None


def _check_keys(data: Any, wanted: Iterable[str], where: str) -> None:
    wanted = list(wanted)
    if not isinstance(data, dict):
        raise ConfigError(f"{where} must be an object, got {json.dumps(data)[:60]}")
    if unknown := sorted(data.keys() - set(wanted)):
        near = nearest(unknown[0], wanted)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"{where} has the unknown key {unknown[0]!r}{hint}")
    if missing := [name for name in wanted if name not in data]:
        raise ConfigError(f"{where} lacks the key {missing[0]!r}")


def _parse_override(text: str) -> Override:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        numbers = tuple(map(_number, text.split(",")))
    except ValueError:
        return text
    return numbers if len(numbers) > 1 else numbers[0]


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _decode_override(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode_override(part) for part in value)
    return float(value) if value in _SPECIAL else value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
