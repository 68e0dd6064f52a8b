"""What a matrix compares: PPO, DPO and learnt objectives, as their files describe themselves.

A file may say in its provenance what it was trained on, see `jaxrl.algos.on_policy.drift_files`.
Read here, all optional:

- `tasks`: a list of objects with `env`, `total_steps`, `config`, `hp`, `env_overrides`, the last
  four as in `jaxrl.config.RunConfig.to_json`: its inner trainings.
- `action_kind`: `discrete` or `continuous`.

No seed of a matrix can be one it was trained with: inner trainings have keys split from the
meta-training's, not keys of seed numbers.
"""

import dataclasses
import hashlib
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl import registry
from jaxrl.algorithm import LearntObjective
from jaxrl.algos.meta.tasks import BASELINE
from jaxrl.algos.on_policy import drift_files
from jaxrl.config import ConfigError, RunConfig

DPO = "dpo"
HELD_IN, OTHER_HORIZON, HELD_OUT = "held_in", "other_horizon", "held_out"
REFERENCES = (BASELINE, DPO)
_ACTION_KINDS = ("discrete", "continuous")
_RECORDED = ("total_steps", "config", "hp", "env_overrides")


class Contender(NamedTuple):
    """A row of the matrix.

    Attributes:
        name: how it is called in tables.
        algorithm: what trains with it.
        phi: its objective; None for the algorithm's own.
        file: where it came from, or None.
        provenance: what the file says of how it was made.
    """

    name: str
    algorithm: str
    phi: Any = None
    file: str | None = None
    provenance: Mapping[str, Any] = {}

    @property
    def learnt(self) -> LearntObjective | None:
        """What kind of learnt objective it is; None for an algorithm's own."""
        return None if self.file is None else registry.algorithm(self.algorithm).learnt

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Environments it was trained on, as far as it says."""
        return tuple(task["env"] for task in self.tasks)

    def place(self, env: str, total_steps: int) -> str:
        """What a training is for it: `HELD_IN`, `OTHER_HORIZON` or `HELD_OUT`.

        Held in is an environment and a budget that it was trained on. Where its file names an
        environment without a budget, all budgets there count as held in.
        """
        budgets = [
            task.get("total_steps", total_steps) for task in self.tasks if task["env"] == env
        ]
        if not budgets:
            return HELD_OUT
        return HELD_IN if total_steps in budgets else OTHER_HORIZON

    @property
    def tasks(self) -> Sequence[Mapping[str, Any]]:
        """Its inner trainings, as far as it says."""
        tasks: Sequence[Mapping[str, Any]] = self.provenance.get("tasks", ())
        return tasks

    @property
    def digest(self) -> str | None:
        """SHA-256 of the numbers of phi."""
        if self.phi is None:
            return None
        found = hashlib.sha256()
        for leaf in jax.tree.leaves(self.phi):
            array = np.asarray(leaf, np.float32)
            found.update(f"{array.shape}".encode() + array.tobytes())
        return found.hexdigest()


def references() -> list[Contender]:
    """PPO and the published DPO."""
    return [Contender(name, name) for name in REFERENCES]


def load(paths: Sequence[str]) -> list[Contender]:
    """Learnt objectives from files, those trained on the same environments together.

    Args:
        paths: files, or `pretrained/NAME`.

    Raises:
        ValueError: a file is missing, damaged, of an architecture that nothing here trains with,
            given twice, or says something impossible of itself.
    """
    places = [str(drift_files.locate(path).resolve()) for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{path} is given twice")
    names = _names([Path(place) for place in places])
    found = [_load(path, name) for path, name in zip(paths, names, strict=True)]
    order = list(dict.fromkeys(contender.trained_on for contender in found))
    return sorted(found, key=lambda contender: order.index(contender.trained_on))


def settings_of(contender: Contender, env: str) -> RunConfig | None:
    """The inner training on `env`, with PPO's objective; None where the file says nothing of it.

    Raises:
        ConfigError: it was recorded in a form that this version does not read.
    """
    task = next((task for task in contender.tasks if task["env"] == env), None)
    if task is None or not task.keys() & set(_RECORDED):
        return None
    spec, preset = registry.preset(BASELINE, env)
    default = RunConfig(BASELINE, env, (), 1, 0, preset.total_steps, preset.config, preset.hp)
    record = default.to_json()
    objective = record["hp"]["objective"]
    for name in _RECORDED:
        record[name] = task.get(name, record[name])
    try:
        hp = {name: value for name, value in record["hp"].items() if name != "env"}
        return RunConfig.from_json({**record, "hp": {**hp, "objective": objective}})
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise ConfigError(
            f"{contender.file}: its record of {env} cannot be used: {error}"
        ) from None


def with_objective(run: RunConfig, contender: Contender) -> RunConfig:
    """A training of PPO as one of another objective; all else stays."""
    spec = registry.algorithm(contender.algorithm)
    own: dict[str, Any] = {} if contender.phi is None else {"objective": contender.phi}
    shared = {field.name: getattr(run.hp, field.name) for field in dataclasses.fields(run.hp)}
    del shared["objective"]
    hp = spec.hyperparameters(**shared, **own)
    return dataclasses.replace(run, algorithm=contender.algorithm, hp=hp)


def _load(path: str, name: str) -> Contender:
    provenance = drift_files.provenance(path)
    _check_provenance(path, provenance)
    algorithm = drift_files.architecture(path) or _by_shape(path)
    known = [n for n in registry.algorithms() if registry.algorithm(n).learnt is not None]
    if algorithm not in known:
        raise ConfigError(
            f"{path} holds an objective of {algorithm!r}; what can be learnt here is of"
            f" {', '.join(known)}"
        )
    learnt = registry.algorithm(algorithm).learnt
    assert learnt is not None
    return Contender(name, algorithm, learnt.load(path), path, provenance)


def _by_shape(path: str) -> str:
    """What a file is for that does not say so."""
    arrays = drift_files.read(path, "lpo")
    if {"alpha", "beta"} <= arrays.keys():
        return DPO
    hidden = arrays.get("hidden")
    wide = hidden is not None and hidden.ndim == 2 and hidden.shape[0] == 16
    return "ta-lpo" if wide else "lpo"


def _check_provenance(path: str, provenance: Mapping[str, Any]) -> None:
    """Raises ConfigError where something that is read here has a wrong type."""
    kind = provenance.get("action_kind")
    if kind not in (None, *_ACTION_KINDS):
        raise ConfigError(
            f"{path}: action_kind in its provenance must be {' or '.join(_ACTION_KINDS)},"
            f" got {_shown(kind)}"
        )
    tasks = provenance.get("tasks", [])
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise ConfigError(f"{path}: tasks in its provenance must be a list of objects")
    for task in tasks:
        if not isinstance(task.get("env"), str):
            raise ConfigError(f"{path}: a task in its provenance must name its env")
        for name in ("config", "hp", "env_overrides"):
            if not isinstance(task.get(name, {}), dict):
                raise ConfigError(
                    f"{path}: its record of {task['env']} cannot be used: {name} must be an object,"
                    f" got {_shown(task[name])}"
                )
        steps = task.get("total_steps", 1)
        if type(steps) is not int or steps < 1:
            raise ConfigError(
                f"{path}: its record of {task['env']} cannot be used: total_steps must be a"
                f" positive integer, got {_shown(steps)}"
            )


def _shown(value: Any) -> str:
    """A value of a file in one short line."""
    return reprlib.repr(value)


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of paths, without suffix, that tell them apart and from PPO and DPO."""
    stems = [path.with_suffix("") for path in paths]
    names = [""] * len(paths)
    for i, stem in enumerate(stems):
        for length in range(1, len(stem.parts) + 1):
            names[i] = "/".join(stem.parts[-length:])
            others = ["/".join(s.parts[-length:]) for j, s in enumerate(stems) if j != i]
            if names[i] not in (*others, *REFERENCES):
                break
    return names
