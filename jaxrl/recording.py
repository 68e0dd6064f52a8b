"""What a training leaves while it goes on: rows for the sinks, and checkpoints."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl import checkpoint, run_folder
from jaxrl.config import RunConfig
from jaxrl.logging import (
    FROZEN_AT,
    JsonLines,
    Metrics,
    Progress,
    Row,
    Sink,
    TensorBoard,
    Window,
    cut_metrics,
)
from jaxrl.summary import drawn_at_the_end, write_curve
from jaxrl.wandb_sink import Wandb, WandbOptions


class Sinks:
    """Every sink of a run as one."""

    def __init__(self, lines: JsonLines, others: Sequence[Sink], bar: Progress | None) -> None:
        """The sinks of a run.

        Args:
            lines: metrics.jsonl.
            others: further sinks.
            bar: shows progress, if that is wanted.
        """
        self.lines = lines
        self._bar = bar
        self._all: list[Sink] = [lines, *others, *([bar] if bar else [])]

    def started(self) -> None:
        """Compilation is over."""
        if self._bar is not None:
            self._bar.start()

    def write(self, rows: Sequence[Row]) -> None:
        """Hands rows to all."""
        for sink in self._all:
            sink.write(rows)

    def __enter__(self) -> None:
        """Nothing is to be done: what is there was opened already."""

    def __exit__(self, *failure: object) -> None:
        """Closes all, one after another whatever happens to the others."""
        with contextlib.ExitStack() as stack:
            # What a failure left to be written cannot be written, and is no second failure.
            if failure[0] is not None:
                stack.enter_context(contextlib.suppress(OSError))
            for sink in self._all:
                stack.callback(sink.close)


def open_sinks(
    folder: Path,
    run: RunConfig,
    update: int,
    num_updates: int,
    steps_per_update: int,
    *,
    tensorboard: bool,
    wandb: WandbOptions | None,
    progress: bool,
) -> Sinks:
    """The sinks of a run that is at `update` of `num_updates`."""
    others: list[Sink] = []
    if tensorboard:
        first_step = update * steps_per_update
        others.append(TensorBoard(folder / run_folder.TENSORBOARD, run.seed_numbers, first_step))
    if wandb is not None:
        others.append(Wandb(folder, run, wandb))
    bar = Progress(f"{run.algorithm} {run.env}", num_updates, update) if progress else None
    return Sinks(JsonLines(folder / run_folder.METRICS), others, bar)


class Recorder:
    """Turns metrics into rows and states into checkpoints.

    Attributes:
        rows: everything logged, by this process and earlier ones.
    """

    def __init__(
        self,
        folder: Path,
        run: RunConfig,
        update: int,
        steps_per_update: int,
        open_sinks: Callable[[], Sinks],
        still_there: Callable[[], None],
    ) -> None:
        """A recorder for the run in `folder`, which goes on from `update`.

        Args:
            folder: of the run.
            run: its configuration.
            update: updates done.
            steps_per_update: environment steps of a seed in an update.
            open_sinks: called once the rows of later updates are cut off.
            still_there: raises where the folder is not the one that was locked any more.
        """
        self.rows = cut_metrics(folder / run_folder.METRICS, update)
        self._folder, self._run, self._steps = folder, run, steps_per_update
        self._sinks, self._still_there = open_sinks(), still_there
        self._row_window, self._save_window = Window(), Window()
        checkpoints = folder / run_folder.CHECKPOINTS
        interim = checkpoint.read_manifest(checkpoints / str(update)).interim if update else None
        if interim:
            # In the middle of what an interim checkpoint had begun to sum up.
            self._row_window = Window.from_json(interim["since_last_row"])
            self._save_window = Window.from_json(interim["since_last_checkpoint"])
        self._before = max((row["wall_s"] for row in self.rows), default=0.0)
        self._start = self._end = 0.0

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Closes the sinks and draws the curve at the end of the block, however it ends."""
        with drawn_at_the_end(self._draw), self._sinks:
            yield

    def started(self) -> None:
        """Compilation is over."""
        self._sinks.started()
        self._start = self._end = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds that this process trained, to the last row or checkpoint."""
        return self._end - self._start

    def add(self, metrics: Metrics) -> None:
        """Takes the metrics of a chunk."""
        self._row_window.add(metrics)
        self._save_window.add(metrics)

    def log(self, update: int, frozen: Mapping[int, int]) -> None:
        """Writes one row for each seed; that of a frozen one says since when."""
        self._still_there()
        self._end = time.perf_counter()
        wall = round(self._before + self.seconds, 4)
        steps = update * self._steps
        rows: list[dict[str, Any]] = [
            {"update": update, "seed": seed, "env_steps": steps, "wall_s": wall, **record}
            for seed, record in zip(self._run.seed_numbers, self._row_window.summary(), strict=True)
        ]
        for row in rows:
            if row["seed"] in frozen:
                row[FROZEN_AT] = frozen[row["seed"]]
        self.rows.extend(rows)
        self._sinks.write(rows)

    def save(self, states: Any, hp: Any, update: int, interim: bool) -> None:
        """Saves a checkpoint.

        The metric of a regular one is the mean return over seeds since the one before. An interim
        one has none: it holds what was summed up so far, and its successor goes on from there.
        """
        self._still_there()
        try:
            self._save(states, hp, update, interim)
        except OSError:
            self._still_there()  # a better reason than that a file is not there
            raise
        self._end = time.perf_counter()

    def _save(self, states: Any, hp: Any, update: int, interim: bool) -> None:
        self._sinks.lines.sync()
        metric, begun = None, None
        if interim:
            begun = {
                "since_last_row": self._row_window.to_json(),
                "since_last_checkpoint": self._save_window.to_json(),
            }
        else:
            returns = [row.get("episode_return", math.nan) for row in self._save_window.summary()]
            known = [value for value in returns if math.isfinite(value)]
            metric = float(np.mean(known)) if known else None
        checkpoint.save(
            self._folder / run_folder.CHECKPOINTS,
            states,
            hp,
            self._run.to_json(),
            update=update,
            fingerprint=self._run.fingerprint(),
            metric=metric,
            keep_last=self._run.keep_last,
            interim=begun,
        )

    def _draw(self) -> None:
        self._still_there()
        write_curve(self._folder, self._run, self.rows)


class Nobody:
    """Records nothing: another process, the leader, does.

    Attributes:
        rows: none.
        seconds: none.
    """

    rows: Sequence[Row] = ()
    seconds = 0.0

    def recording(self) -> contextlib.AbstractContextManager[None]:
        """Nothing."""
        return contextlib.nullcontext()

    def started(self) -> None:
        """Nothing."""

    def add(self, metrics: Metrics) -> None:
        """Nothing."""

    def log(self, update: int, frozen: Mapping[int, int]) -> None:
        """Nothing."""

    def save(self, states: Any, hp: Any, update: int, interim: bool) -> None:
        """Nothing."""
