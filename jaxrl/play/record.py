"""Games as files of JSON lines: the seed and what was done.

The first line is {"format": "jaxrl.play", "version": 1, "env": ..., "env_overrides": {...},
"seed": ...}. A step is {"action": 3, "reward": 1.0}, a new episode {"new": true}. Where cells are
selected, an action is a list of its number and the corners of the box, see `board`.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxrl.config import overrides_from_json
from jaxrl.play.controls import PlayError

FORMAT, VERSION = "jaxrl.play", 1


Action = int | tuple[int, ...]


class Move(NamedTuple):
    """A step: an action and its reward; the action None begins a new episode."""

    action: Action | None
    reward: float = 0.0


class Record(NamedTuple):
    """A game that was written down.

    Attributes:
        env: id of the environment.
        env_overrides: its parameters by name.
        seed: of its randomness.
        moves: what was done.
    """

    env: str
    env_overrides: Mapping[str, Any]
    seed: int
    moves: tuple[Move, ...]


class Recorder:
    """Writes a game line by line, so that what was played is there whenever it stops."""

    def __init__(
        self, path: Path, env: str, env_overrides: Mapping[str, Any], seed: int, overwrite: bool
    ):
        """Begins a file.

        Raises:
            PlayError: there is one, and `overwrite` is not set.
            OSError: it cannot be written.
        """
        try:
            self._file = path.open("w" if overwrite else "x", encoding="utf-8")
        except FileExistsError:
            raise PlayError(f"{path} exists; --overwrite replaces it") from None
        head = {"format": FORMAT, "version": VERSION, "env": env}
        self._write({**head, "env_overrides": dict(env_overrides), "seed": seed})

    def add(self, move: Move) -> None:
        """Writes a move."""
        new = move.action is None
        self._write({"new": True} if new else {"action": move.action, "reward": move.reward})

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def read_record(path: Path) -> Record:
    """A game from its file.

    Raises:
        PlayError: the file is not such a record; the message names the line.
        OSError: it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise PlayError(f"{path} is not a text file") from None
    head = _parsed(path, 1, lines[0] if lines else "")
    if head.get("format") != FORMAT:
        raise PlayError(f"{path} is no recorded game: its first line has no format {FORMAT!r}")
    if head.get("version") != VERSION:
        raise PlayError(f"{path} is of version {head.get('version')!r}, this reads {VERSION}")
    env, overrides, seed = (head.get(name) for name in ("env", "env_overrides", "seed"))
    if not isinstance(env, str) or not isinstance(overrides, dict) or not _whole(seed):
        raise PlayError(f"{path}, line 1: needs env, env_overrides and a whole seed")
    overrides = dict(overrides_from_json(overrides))
    moves = tuple(_move(path, number, line) for number, line in enumerate(lines[1:], start=2))
    return Record(env, overrides, int(str(seed)), moves)


def _move(path: Path, number: int, line: str) -> Move:
    entry = _parsed(path, number, line)
    if entry == {"new": True}:
        return Move(None)
    action, reward = entry.get("action"), entry.get("reward")
    several = isinstance(action, list) and bool(action) and all(map(_whole, action))
    paid = isinstance(reward, int | float) and not isinstance(reward, bool)
    if not (several or _whole(action)) or not paid:
        raise PlayError(f'{path}, line {number}: is neither a step nor {{"new": true}}')
    made = tuple(action) if isinstance(action, list) else int(str(action))
    return Move(made, float(str(reward)))


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        raise PlayError(f"{path}, line {number}: is no JSON object")
    return entry


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def same_reward(one: float, two: float) -> bool:
    """Whether rewards agree, up to the rounding of another machine."""
    return math.isclose(one, two, rel_tol=1e-4, abs_tol=1e-4)
