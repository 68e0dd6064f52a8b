"""The configuration of a meta-training: what config.json of its run folder holds.

It goes to JSON and back without loss, like a `RunConfig`, of which it holds one for each task: the
inner trainings. Their `hp.objective` is the phi where evolution starts.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl import registry
from jaxrl.algorithm import LearntObjective
from jaxrl.algos.meta.strategies import Evolution
from jaxrl.algos.meta.tasks import AUC, FINAL
from jaxrl.config import ConfigError, RunConfig, check_seeds, decode, encode
from jaxrl.run_folder import META_TRAINING

SCHEMA = 1
# How a run is recorded and where it ends decide no number on the way.
_NOT_NUMBERS = ("generations", "checkpoint_every")


@dataclasses.dataclass(frozen=True)
class MetaConfig:
    """A meta-training.

    Attributes:
        tasks: the inner trainings, all of one algorithm and with the same starting phi. Their seeds
            are not used.
        evolution: the evolution strategy.
        generations: how many.
        seeds: trainings of each member on each task in a generation.
        seed: of everything random.
        fitness: `auc`, the area under the learning curve, or `final`, the return of the final
            policy; see `jaxrl.algos.meta.tasks.make_fitness`.
        episodes: of a final policy.
        baseline_seeds: trainings of PPO on each task, whose mean is fitness 1.
        group: rows (members x seeds) that are vectorised together, see
            `jaxrl.algos.meta.population`.
        checkpoint_every: generations between checkpoints.
    """

    tasks: tuple[RunConfig, ...]
    evolution: Evolution
    generations: int
    seeds: int = 1
    seed: int = 0
    fitness: str = AUC
    episodes: int = 16
    baseline_seeds: int = 32
    group: int = 4
    checkpoint_every: int = 10

    def __post_init__(self) -> None:
        """Raises ConfigError for what cannot be run."""
        names = ("generations", "seeds", "episodes", "baseline_seeds", "group", "checkpoint_every")
        for name in names:
            least = 2 if name == "baseline_seeds" else 1
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)}")
        check_seeds(self.seed, name="seed")
        if self.fitness not in (AUC, FINAL):
            raise ConfigError(f"fitness must be {AUC} or {FINAL}, got {self.fitness!r}")
        if not self.tasks:
            raise ConfigError("a meta-training needs at least one environment")
        ids = [(task.env, task.env_overrides) for task in self.tasks]
        if len(set(ids)) < len(ids):
            raise ConfigError(f"an environment is given twice: {', '.join(env for env, _ in ids)}")
        if len({task.algorithm for task in self.tasks}) > 1:
            raise ConfigError("all tasks must be of one algorithm")
        if self.learnt is None:
            raise ConfigError(f"{self.algorithm} has no learnt objective; try lpo, ta-lpo or dpo")
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self.start)]
        if any(leaf.dtype.kind not in "fi" or not np.isfinite(leaf).all() for leaf in leaves):
            raise ConfigError("the weights of the starting phi must be finite numbers")
        if any(not _equal(task.hp.objective, self.start) for task in self.tasks):
            raise ConfigError("all tasks must start from the same phi")

    @property
    def algorithm(self) -> str:
        """The algorithm whose objective is learnt."""
        return self.tasks[0].algorithm

    @property
    def learnt(self) -> LearntObjective:
        """What is learnt of it."""
        learnt: Any = registry.algorithm(self.algorithm).learnt
        return learnt

    @property
    def start(self) -> Any:
        """The phi where evolution starts."""
        return self.tasks[0].hp.objective

    @property
    def environments(self) -> tuple[str, ...]:
        """Ids of the tasks' environments."""
        return tuple(task.env for task in self.tasks)

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which `from_json` makes an equal record."""
        record = {f.name: encode(getattr(self, f.name)) for f in dataclasses.fields(self)}
        record["tasks"] = [task.to_json() for task in self.tasks]
        return {"kind": META_TRAINING, "schema": SCHEMA, **record}

    @classmethod
    def from_json(cls, record: Any) -> "MetaConfig":
        """The record of `to_json`; ConfigError where it is not one."""
        if not is_meta(record):
            raise ConfigError("not the configuration of a meta-training")
        if record.get("schema") != SCHEMA:
            raise ConfigError(
                f"schema {record.get('schema')!r} is not {SCHEMA}, what this version reads"
            )
        plain = {name: value for name, value in record.items() if name not in ("kind", "schema")}
        tasks = plain.pop("tasks", None)
        if not isinstance(tasks, list):
            raise ConfigError("tasks must be a list")
        try:
            values = {
                f.name: decode(f.type, None, plain.pop(f.name), f.name)
                for f in dataclasses.fields(cls)
                if f.name != "tasks"
            }
        except KeyError as missing:
            raise ConfigError(f"the configuration lacks the key {missing}") from None
        if plain:
            raise ConfigError(f"the configuration has the unknown key {min(plain)!r}")
        return cls(tasks=tuple(map(RunConfig.from_json, tasks)), **values)

    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the numbers of a generation."""
        record = {k: v for k, v in self.to_json().items() if k not in _NOT_NUMBERS}
        record["tasks"] = [task.fingerprint() for task in self.tasks]
        text = json.dumps(record, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def is_meta(record: Any) -> bool:
    """Whether the JSON of a config.json is that of a meta-training."""
    return isinstance(record, dict) and record.get("kind") == META_TRAINING


def load_config(path: str | os.PathLike[str]) -> MetaConfig:
    """Reads config.json; ConfigError, naming the file, where it cannot be used."""
    try:
        return MetaConfig.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None


def _equal(a: Any, b: Any) -> bool:
    leaves_a, leaves_b = jax.tree.leaves(a), jax.tree.leaves(b)
    return len(leaves_a) == len(leaves_b) and all(
        np.array_equal(x, y) for x, y in zip(leaves_a, leaves_b, strict=True)
    )
