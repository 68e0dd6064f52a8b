"""Where the numbers of a run go: rows of flat scalars, handed to sinks.

A row is what one seed did in the updates since the last row: `update`, `seed`, `env_steps` (of
this seed, a Python integer), `wall_s` (seconds of training so far, compilation excluded) and the
algorithm's metrics. A sink is anything with `write(rows)` and `close()`.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from jaxrl.config import decode, encode
from jaxrl.episodes import is_episode_metric
from jaxrl.run_folder import write_whole, writing

Row = Mapping[str, int | float]
Metrics = Mapping[str, np.ndarray[Any, Any]]

# The update at which `jaxrl.nonfinite` froze a seed: a metric, -1 where it did not, and in the rows
# of frozen seeds only.
FROZEN_AT = "frozen_at"
_PLAIN_LINES = 20
_WEIGHT = "weight of "


class Sink(Protocol):
    """Takes the rows of a run."""

    def write(self, rows: Sequence[Row]) -> None:
        """Takes one row of each seed, all of the same update."""

    def close(self) -> None:
        """Writes what is pending and lets go of files."""


class Window:
    """Metrics of consecutive updates, until they are summarised: sums, one update after another.

    How the updates were split into calls of `add` does not change a bit of the summary, nor does
    a stop in between: `to_json` and `from_json` keep every bit.
    """

    def __init__(self) -> None:
        self._updates = 0
        self._sums: dict[str, np.ndarray[Any, Any]] = {}

    def add(self, metrics: Metrics) -> None:
        """Takes metrics [updates, seeds]."""
        for name, values in _summands(metrics):
            before = self._sums.get(name, np.zeros(values.shape[1], values.dtype))
            # A cumulative sum adds in order; a plain one would group the updates it is given.
            self._sums[name] = np.cumsum(np.concatenate([before[None], values]), axis=0)[-1]
        self._updates += len(next(iter(metrics.values())))

    def summary(self) -> list[dict[str, int | float]]:
        """One record for each seed; the window is empty afterwards.

        `episodes` is a sum; episode_return, episode_length and "episode/..." are means over all
        episodes of the window (NaN where none ended); every other metric is the mean of its
        updates.
        """
        sums, updates = self._sums, self._updates
        self.__init__()  # type: ignore[misc]
        names = [name for name in sums if not name.startswith(_WEIGHT)]
        seeds = len(next(iter(sums.values()), ()))
        return [{name: _mean(name, sums, updates, i) for name in names} for i in range(seeds)]

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which `from_json` makes an equal window."""
        return {"updates": self._updates, "sums": encode(self._sums)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Window":
        """The window of `to_json`."""
        window = cls()
        window._updates = record["updates"]
        window._sums = {k: decode(Any, None, v, k) for k, v in record["sums"].items()}
        return window


def _summands(metrics: Metrics) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """What a window sums, by name; the weights of an episode metric go before it."""
    for name, values in metrics.items():
        if name == "episodes":
            yield name, values.astype(np.int64)
        elif is_episode_metric(name):
            weights = metrics.get("episodes", np.isfinite(values)).astype(np.float64)
            yield _WEIGHT + name, weights
            yield name, np.where(weights > 0, values, 0).astype(np.float64) * weights
        else:
            yield name, values.astype(np.float64)


def _mean(name: str, sums: Metrics, updates: int, seed: int) -> int | float:
    total = sums[name][seed]
    if name == "episodes":
        return int(total)
    weight = sums[_WEIGHT + name][seed] if is_episode_metric(name) else updates
    return float(total / weight) if weight else math.nan


class JsonLines:
    """metrics.jsonl: one JSON object a line, NaN as null, flushed at every write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._file = path.open("a", encoding="utf-8")

    def write(self, rows: Sequence[Row]) -> None:
        """Appends one line for each row; `run_folder.WriteError` where the disk is full."""
        records = [{name: _finite(value) for name, value in row.items()} for row in rows]
        with writing(self._path):
            for record in records:
                self._file.write(json.dumps(record, allow_nan=False) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Waits until what was written is on the disk."""
        with writing(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file, though the disk may be too full for what is pending."""
        with writing(self._path):
            self._file.close()


class TensorBoard:
    """Event files, one folder for each seed; the horizontal axis is environment steps."""

    def __init__(self, folder: Path, seeds: Iterable[int], first_step: int = 0) -> None:
        """Steps from `first_step` on that an earlier process wrote are struck out.

        Raises:
            ValueError: tensorboardX is not installed.
        """
        writer = require_tensorboard()
        purge = first_step or None
        self._writers = {
            seed: writer(str(folder / f"seed_{seed}"), purge_step=purge) for seed in seeds
        }

    def write(self, rows: Sequence[Row]) -> None:
        """Writes one scalar for each metric, at once: a killed process leaves what it logged."""
        for row in rows:
            writer = self._writers[int(row["seed"])]
            for name, value in row.items():
                if name not in ("update", "seed", "env_steps") and math.isfinite(value):
                    writer.add_scalar(name, value, int(row["env_steps"]))
            writer.flush()

    def close(self) -> None:
        """Flushes and closes every writer."""
        for writer in self._writers.values():
            writer.close()


def require_tensorboard() -> Any:
    """tensorboardX's writer; ValueError, naming the extra, where it is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ValueError(
            "--tensorboard needs tensorboardX: pip install 'jaxrl[tensorboard]'"
        ) from None
    return SummaryWriter


class Progress:
    """A bar on a terminal; elsewhere about twenty plain lines. Return is the mean over seeds.

    Of meta-training `unit` is generations and `shown` the fitness.
    """

    def __init__(
        self,
        title: str,
        total_updates: int,
        first_update: int = 0,
        stream: TextIO | None = None,
        unit: str = "updates",
        shown: tuple[str, str] = ("episode_return", "return"),
    ) -> None:
        self._title, self._total, self._first = title, total_updates, first_update
        self._unit, (self._metric, self._label) = unit, shown
        self._stream = stream if stream is not None else sys.stderr
        self._start = time.monotonic()
        self._steps_before: int | None = None
        self._return = math.nan
        self._shown = 0
        self._bar: Any = self._make_bar() if self._stream.isatty() else None

    def _make_bar(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn(f"{self._unit}  {{task.fields[note]}}"),
            console=Console(file=self._stream),
        )
        bar.add_task(self._title, total=self._total, completed=self._first, note="compiling")
        bar.start()
        return bar

    def start(self) -> None:
        """Speed counts from here: what came before was compilation."""
        self._start = time.monotonic()

    def write(self, rows: Sequence[Row]) -> None:
        """Shows the state of the run after `rows`."""
        update = int(rows[0]["update"])
        returns = [value for row in rows if math.isfinite(value := row.get(self._metric, math.nan))]
        self._return = float(np.mean(returns)) if returns else self._return
        elapsed = max(time.monotonic() - self._start, 1e-9)
        done = update - self._first
        steps = sum(int(row["env_steps"]) for row in rows)
        per_second = steps / update * done / elapsed
        eta = elapsed / done * (self._total - update)
        speed = f"{_short(per_second)} env steps/s"
        note = f"{speed}  {self._label} {self._return:.4g}  ETA {_clock(eta)}"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=update, note=note)
            return
        part = update * _PLAIN_LINES // self._total
        if part > self._shown:
            self._shown = part
            print(
                f"{self._title}  {update}/{self._total} {self._unit}"
                f"  {_short(steps)} env steps  {note}",
                file=self._stream,
                flush=True,
            )

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.stop()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl, null as NaN. A last line that was cut off in writing is left out."""
    rows = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            record = json.loads(line)
            record["update"], record["seed"]
        except (ValueError, TypeError, KeyError):
            if number == len(lines):
                break
            raise ValueError(f"{path}: line {number} is damaged") from None
        rows.append({k: math.nan if value is None else value for k, value in record.items()})
    return rows


def cut_metrics(path: Path, update: int) -> list[dict[str, Any]]:
    """Removes the rows after `update` from metrics.jsonl, atomically; returns the others."""
    rows = read_metrics(path) if path.exists() else []
    kept = [row for row in rows if row["update"] <= update]
    lines = [json.dumps({k: _finite(v) for k, v in row.items()}, allow_nan=False) for row in kept]
    write_whole(path, "".join(line + "\n" for line in lines))
    return kept


def _finite(value: int | float) -> int | float | None:
    return value if isinstance(value, int) or math.isfinite(value) else None


def _short(number: float) -> str:
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g}{letter}"
    return f"{number:.3g}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
