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
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from jaxrl.run_folder import write_whole

Row = Mapping[str, int | float]
Metrics = Mapping[str, np.ndarray[Any, Any]]

# Means over the episodes that ended; NaN in an update in which none did.
EPISODE_METRICS = ("episode_return", "episode_length")
_COUNTERS = ("update", "seed", "env_steps", "wall_s")
_PLAIN_LINES = 20


class Sink(Protocol):
    """Takes the rows of a run."""

    def write(self, rows: Sequence[Row]) -> None:
        """Takes one row of each seed, all of the same update."""

    def close(self) -> None:
        """Writes what is pending and lets go of files."""


class Window:
    """Metrics of consecutive updates, until they are summarised.

    How the updates were split into calls of `add` does not change a bit of the summary.
    """

    def __init__(self) -> None:
        self._pieces: list[Metrics] = []

    def add(self, metrics: Metrics) -> None:
        """Takes metrics [updates, seeds]."""
        self._pieces.append(metrics)

    def summary(self) -> list[dict[str, int | float]]:
        """One record for each seed; the window is empty afterwards.

        `episodes` is a sum; episode_return and episode_length are means over all episodes of the
        window (NaN where none ended); every other metric is the mean of its updates.
        """
        names = self._pieces[0]
        joined = {name: np.concatenate([piece[name] for piece in self._pieces]) for name in names}
        self._pieces = []
        seeds = next(iter(joined.values())).shape[1]
        return [{name: _summarise(name, joined, seed) for name in joined} for seed in range(seeds)]


def _summarise(name: str, metrics: Metrics, seed: int) -> int | float:
    values = metrics[name][:, seed]
    if name == "episodes":
        return int(values.sum(dtype=np.int64))
    if name not in EPISODE_METRICS:
        return float(values.mean(dtype=np.float64))
    counts = metrics["episodes"][:, seed].astype(np.float64) if "episodes" in metrics else None
    weights = np.isfinite(values).astype(np.float64) if counts is None else counts
    total = weights.sum()
    if not total:
        return math.nan
    return float((np.where(weights > 0, values, 0).astype(np.float64) * weights).sum() / total)


class JsonLines:
    """metrics.jsonl: one JSON object a line, NaN as null, flushed at every write."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, rows: Sequence[Row]) -> None:
        """Appends one line for each row."""
        for row in rows:
            record = {name: _finite(value) for name, value in row.items()}
            self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Waits until what was written is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
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
    """A bar on a terminal; elsewhere about twenty plain lines. Return is the mean over seeds."""

    def __init__(
        self, title: str, total_updates: int, first_update: int = 0, stream: TextIO | None = None
    ) -> None:
        self._title, self._total, self._first = title, total_updates, first_update
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
            TextColumn("updates  {task.fields[note]}"),
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
        returns = [
            value for row in rows if math.isfinite(value := row.get("episode_return", math.nan))
        ]
        self._return = float(np.mean(returns)) if returns else self._return
        elapsed = max(time.monotonic() - self._start, 1e-9)
        done = update - self._first
        steps = sum(int(row["env_steps"]) for row in rows)
        per_second = steps / update * done / elapsed
        eta = elapsed / done * (self._total - update)
        note = f"{_short(per_second)} env steps/s  return {self._return:.4g}  ETA {_clock(eta)}"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=update, note=note)
            return
        part = update * _PLAIN_LINES // self._total
        if part > self._shown:
            self._shown = part
            print(
                f"{self._title}  {update}/{self._total} updates  {_short(steps)} env steps  {note}",
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
