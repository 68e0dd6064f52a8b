"""A sweep as a value: what it trains, the folder that holds it, and what is in there.

sweep.json         the plan, written first; a folder with one is a sweep folder
points/0003.json   one file for each finished point; it appears whole or not at all
table.json         every point with its interquartile mean and interval, best first
table.csv          the same as a flat table
sweep.png          learning curves, and the final score against what was varied
jobs/              what a launcher wrote: its jobs and their output
"""

import dataclasses
import hashlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxrl import driver, run_folder
from jaxrl.config import ConfigError, RunConfig, encode
from jaxrl.run_folder import RunFolderError, write_json
from jaxrl.sweep.names import assign, checked, kinds

SCHEMA = 1
MANIFEST = "sweep.json"
POINTS = "points"
TABLE = "table.json"
CSV = "table.csv"
PICTURE = "sweep.png"
JOBS = "jobs"
_OURS = (MANIFEST, POINTS, TABLE, CSV, PICTURE, JOBS)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that decides the numbers of a sweep.

    Attributes:
        base: the run that every point changes; its seeds are those of every point.
        points: values by name of each point, see `names.kinds`.
        episodes: evaluation episodes of each seed after training; 0 for none.
        greedy: evaluate with the likeliest action instead of a draw.
    """

    base: RunConfig
    points: tuple[dict[str, Any], ...]
    episodes: int
    greedy: bool

    def __post_init__(self) -> None:
        """Raises ConfigError for a number of episodes that makes no sense."""
        if self.episodes < 0:
            raise ConfigError(f"episodes must be at least 0, got {self.episodes}")

    def run(self, index: int) -> RunConfig:
        """The run of a point: `jaxrl.driver.train` of it trains the same."""
        try:
            return assign(self.base, self.points[index])
        except ValueError as error:
            raise ConfigError(f"point {index} ({label(self.points[index])}): {error}") from None

    def set_up(self, index: int) -> driver.Setup:
        """Environment, algorithm and hyperparameters of a point; ConfigError where wrong."""
        run = self.run(index)
        try:
            return driver.set_up(run)
        except ValueError as error:
            raise ConfigError(f"point {index} ({label(self.points[index])}): {error}") from None

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which `from_json` makes an equal plan."""
        return {
            "schema": SCHEMA,
            "base": self.base.to_json(),
            "points": [encode(values) for values in self.points],
            "episodes": self.episodes,
            "greedy": self.greedy,
        }

    @classmethod
    def from_json(cls, record: Any) -> "Plan":
        """The plan of `to_json`; ConfigError where it is not one."""
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            raise ConfigError(f"not a sweep of schema {SCHEMA}")
        try:
            base = RunConfig.from_json(record["base"])
            table = kinds(base)
            points = tuple(
                {name: checked(table[name], value, name) for name, value in values.items()}
                for values in record["points"]
            )
            return cls(base, points, record["episodes"], record["greedy"])
        except (KeyError, AttributeError, TypeError) as error:
            raise ConfigError(f"not a sweep: {error!r}") from None

    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the numbers."""
        record = {**self.to_json(), "base": self.base.fingerprint()}
        text = json.dumps(record, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def label(values: dict[str, Any]) -> str:
    """Values by name in short: hp.lr=0.0003, hp.gamma=0.9876."""
    return ", ".join(f"{name}={short(value)}" for name, value in values.items())


def short(value: Any) -> str:
    """A value for people."""
    if isinstance(value, tuple):
        return " ".join(map(short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def load(folder: Path) -> Plan:
    """The plan of a sweep folder.

    Raises:
        RunFolderError: it is not a sweep folder.
        ConfigError: its sweep.json cannot be used.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise RunFolderError(f"{folder} is not a sweep folder (it has no {MANIFEST})")
    try:
        return Plan.from_json(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def check(plan: Plan, folder: Path, overwrite: bool) -> None:
    """Raises RunFolderError unless `plan` may start or continue in `folder`; changes nothing.

    What is left of a sweep that could not even write its plan counts as nothing.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is a file, not a folder")
    if run_folder.is_empty(folder, MANIFEST):
        return
    if not (folder / MANIFEST).is_file():
        raise RunFolderError(f"{folder} is not empty and not a sweep folder; choose another --out")
    if not overwrite and load(folder).fingerprint() != plan.fingerprint():
        raise RunFolderError(
            f"{folder} holds another sweep; choose another --out, or replace it with --overwrite"
        )


def start(plan: Plan, folder: Path, overwrite: bool) -> None:
    """Makes `folder` the sweep folder of `plan`, after `check` and locked; finished points stay.

    With `overwrite` what an earlier sweep wrote is removed, and nothing else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if overwrite:
        run_folder.remove(folder, _OURS)
    (folder / POINTS).mkdir(exist_ok=True)
    if not (folder / MANIFEST).exists():
        write_json(folder / MANIFEST, plan.to_json())


def save_point(folder: Path, index: int, record: dict[str, Any]) -> None:
    """Writes the file of a finished point, also while another process writes the same one."""
    path = _path(folder, index)
    own = path.with_name(f"{path.stem}.{socket.gethostname()}.{os.getpid()}.writing")
    try:
        write_json(own, record)
        os.replace(own, path)
    finally:
        own.unlink(missing_ok=True)


def read_points(
    folder: Path, plan: Plan, say: Callable[[str], None] | None = None
) -> dict[int, dict[str, Any]]:
    """Records of the finished points by index; a damaged file counts as unfinished.

    Args:
        folder: of the sweep.
        plan: of the sweep.
        say: takes a line for each file that cannot be used.
    """
    found, wanted = {}, plan.fingerprint()
    for index in range(len(plan.points)):
        path = _path(folder, index)
        if not path.exists():
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["sweep"] != wanted or record["point"] != index:
                raise ValueError("it is of another sweep")
        except (ValueError, TypeError, KeyError) as error:
            if say is not None:
                say(f"{path} cannot be used, its point is computed again: {error}")
            continue
        found[index] = record
    return found


def missing(plan: Plan, finished: dict[int, Any]) -> Sequence[int]:
    """Indices of the points that are not finished."""
    return [index for index in range(len(plan.points)) if index not in finished]


def _path(folder: Path, index: int) -> Path:
    return folder / POINTS / f"{index:04}.json"
