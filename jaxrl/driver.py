"""The training driver: from a `RunConfig` to a run folder, and on from where one stopped.

Everything that can be wrong with a configuration is found before anything is compiled or written.
Then a compiled chunk of updates alternates with what needs the host: the check that every number is
finite, rows for the sinks, checkpoints. Where the chunks end does not change the numbers.
"""

import contextlib
import dataclasses
import math
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl import checkpoint, chunks, nonfinite, registry, run_folder
from jaxrl.algorithm import Algorithm, AlgorithmSpec, canonical
from jaxrl.config import FREEZE_SEED, STOP, ConfigError, RunConfig, load_config
from jaxrl.logging import (
    JsonLines,
    Metrics,
    Progress,
    Row,
    Sink,
    TensorBoard,
    Window,
    cut_metrics,
)
from jaxrl.nonfinite import NonFiniteError as NonFiniteError
from jaxrl.signals import Stop, Terminated
from jaxrl.summary import drawn_at_the_end, write_curve, write_summary

# A call of the compiled program lasts about this long: often enough for Ctrl-C and the bar.
_CHUNK_SECONDS = 0.5


class Setup(NamedTuple):
    """What a `RunConfig` stands for.

    Attributes:
        run: the configuration.
        spec: the algorithm's record.
        env: the environment.
        env_params: its parameters.
        algorithm: the pure functions.
        hp: canonical hyperparameters, with the environment's parameters.
        num_updates: updates of the whole run.
        steps_per_update: environment steps of each seed in one update.
    """

    run: RunConfig
    spec: AlgorithmSpec
    env: Any
    env_params: Any
    algorithm: Algorithm
    hp: Any
    num_updates: int
    steps_per_update: int


class Result(NamedTuple):
    """A finished run.

    Attributes:
        folder: the run folder.
        states: final states, leading axis S.
        rows: everything that was logged.
        summary: what summary.json holds.
    """

    folder: Path
    states: Any
    rows: Sequence[Row]
    summary: dict[str, Any]


@dataclasses.dataclass
class Options:
    """How a run is shown; none of it changes a number.

    Attributes:
        command: recorded in summary.json.
        tensorboard: also write event files.
        progress: show a bar, or lines where there is no terminal.
        say: takes lines for the user.
        chunk: updates of one compiled call; chosen by their duration if None.
        stop: looked at between chunks, see `jaxrl.signals`.
    """

    command: str = ""
    tensorboard: bool = False
    progress: bool = True
    say: Callable[[str], None] = warnings.warn
    chunk: int | None = None
    stop: Stop = dataclasses.field(default_factory=Stop)


def num_updates(total_steps: int, steps_per_update: int) -> int:
    """Updates that fit into `total_steps`; ConfigError where not even one does."""
    count = total_steps // steps_per_update
    if count < 1:
        raise ConfigError(
            f"total_steps = {total_steps} is less than the {steps_per_update} environment steps"
            " of one update"
        )
    return count


def set_up(run: RunConfig) -> Setup:
    """Makes environment and algorithm; nothing is compiled.

    Raises:
        ValueError: whatever is wrong with the configuration, in one line.
    """
    spec = registry.algorithm(run.algorithm)
    spec.validate(run.config, run.hp)
    steps = spec.steps_per_update(run.config)
    count = num_updates(run.total_steps, steps)
    overrides = dict(run.env_overrides)
    if "env_id" in overrides:
        raise ConfigError(f"{run.env} has no parameter 'env_id'")
    env, env_params = registry.make(run.env, **overrides)
    algorithm = spec.make(env, env_params, run.config)
    if run.on_nonfinite == FREEZE_SEED:
        algorithm = nonfinite.freezing(algorithm)
    hp = run.hp.replace(env=env_params)
    if math.isinf(hp.horizon):
        hp = hp.replace(horizon=float(count))
    return Setup(run, spec, env, env_params, algorithm, canonical(hp), count, steps)


def train(
    run: RunConfig,
    out: str | os.PathLike[str],
    overwrite: bool = False,
    options: Options | None = None,
) -> Result:
    """Trains all seeds of `run` into the folder `out`.

    Args:
        run: what to train.
        out: must not exist, or be empty, unless `overwrite`.
        overwrite: remove what an earlier run left in `out`; another folder is left alone.
        options: how the run is shown.

    Raises:
        ValueError: the configuration or the folder cannot be used; nothing was written.
        NonFiniteError: training diverged; the last good checkpoint is left.
        WriteError: the disk is full, for example; earlier checkpoints are left.
        Terminated: `options.stop` was requested; a checkpoint was saved after the last chunk.
    """
    folder = Path(out)
    options = options or Options()
    run_folder.check_free(folder, overwrite)
    setup = set_up(run)
    lowered = chunks.lower(setup.algorithm, chunks.seed_keys(run.seed_numbers), setup.hp)
    folder.mkdir(parents=True, exist_ok=True)
    with run_folder.locked(folder) as still_there:
        run_folder.clear(folder)
        run_folder.write_json(folder / run_folder.CONFIG, run.to_json())
        return _train(setup, folder, options, lowered, still_there=still_there)


def resume(
    out: str | os.PathLike[str],
    options: Options | None = None,
    on_nonfinite: str | None = None,
) -> Result | None:
    """Continues the run in the folder `out` from its newest good checkpoint.

    The result is the same, bit for bit, as if it had never stopped. None where it had finished.

    Args:
        out: the run folder.
        options: how the run is shown.
        on_nonfinite: the run goes on under this instead of what its config.json says, which is
            changed; a run that stopped at a seed that diverged goes on without that seed.

    Raises:
        ValueError: not a run folder, its config.json cannot be used, every checkpoint is
            damaged, or the checkpoint is of another configuration.
        NonFiniteError, WriteError, Terminated: see `train`.
    """
    folder = Path(out)
    options = options or Options()
    run_folder.require_run(folder)
    saved = load_config(folder / run_folder.CONFIG)
    run = dataclasses.replace(saved, on_nonfinite=on_nonfinite or saved.on_nonfinite)
    setup = set_up(run)
    with run_folder.locked(folder) as still_there:
        checkpoints = folder / run_folder.CHECKPOINTS
        newest: tuple[Path, checkpoint.Manifest] | None = None
        if not checkpoint.saved_updates(checkpoints):
            options.say(f"{folder} has no checkpoint yet: starting again from the beginning")
        else:
            newest = checkpoint.latest_good(checkpoints, options.say)
            done = newest[1].update >= setup.num_updates
            if done and (folder / run_folder.SUMMARY).exists():
                return None
        if run.on_nonfinite != saved.on_nonfinite:
            if newest:
                restore(setup, newest[0])  # raises where a frozen seed cannot go on
            run_folder.write_json(folder / run_folder.CONFIG, run.to_json())
        keys = chunks.seed_keys(run.seed_numbers)
        lowered = chunks.lower(setup.algorithm, keys, setup.hp)
        return _train(setup, folder, options, lowered, newest, still_there)


def load(out: str | os.PathLike[str]) -> Setup:
    """The setup of the run in the folder `out`; ValueError where it is not one."""
    run_folder.require_run(Path(out))
    return set_up(load_config(Path(out) / run_folder.CONFIG))


def restore(setup: Setup, path: Path) -> tuple[Any, Any]:
    """(states of all seeds, hp) of a checkpoint; CheckpointError where it does not fit `setup`."""
    run = setup.run
    policy = checkpoint.read_manifest(path).config.get("on_nonfinite", STOP)
    if policy != run.on_nonfinite:  # the states have another form
        setup = set_up(dataclasses.replace(run, on_nonfinite=policy))
    keys = chunks.seed_keys(run.seed_numbers)
    abstract = chunks.abstract_states(setup.algorithm, keys, setup.hp)
    states, hp = checkpoint.restore(path, abstract, setup.hp, fingerprint=run.fingerprint())
    return nonfinite.convert(states, policy, run.on_nonfinite, run.seed_numbers), hp


def _train(
    setup: Setup,
    folder: Path,
    options: Options,
    lowered: chunks.Lowered,
    newest: tuple[Path, checkpoint.Manifest] | None = None,
    still_there: Callable[[], None] = lambda: None,
) -> Result:
    """Trains to the end, from the checkpoint `newest` if there is one."""
    run, update = setup.run, newest[1].update if newest else 0
    states, hp = restore(setup, newest[0]) if newest else (None, setup.hp)
    rows = cut_metrics(folder / run_folder.METRICS, update)
    sinks = _Sinks(setup, folder, options, update)
    recorder = _Recorder(setup, folder, sinks, rows, still_there)
    if newest and newest[1].interim:
        recorder.resume(newest[1].interim)
    watch = nonfinite.Watch(run, recorder.checkpoints, options.say)

    def draw() -> None:
        still_there()
        write_curve(folder, run, rows)

    with drawn_at_the_end(draw), sinks:
        programs = lowered.compile()
        if states is None:
            states = programs.init(chunks.seed_keys(run.seed_numbers), hp)
        sinks.started()
        recorder.started()
        with options.stop.holding():
            states = _loop(setup, programs, states, hp, update, recorder, watch, options)
    summary = write_summary(
        folder,
        run,
        rows,
        command=options.command,
        compile_s=programs.compile_s,
        run_s=recorder.seconds,
        env_steps=(setup.num_updates - update) * setup.steps_per_update * run.seeds,
        resumed_from=update if newest else None,
    )
    return Result(folder, states, rows, summary)


def _loop(
    setup: Setup,
    programs: chunks.Programs,
    states: Any,
    hp: Any,
    update: int,
    recorder: "_Recorder",
    watch: nonfinite.Watch,
    options: Options,
) -> Any:
    """Chunks of updates until the last; each ends where something is to be logged or saved."""
    run, last, chunk = setup.run, setup.num_updates, options.chunk
    limit = chunk or 1
    while update < last:
        boundary = min(last, (update // run.log_every + 1) * run.log_every)
        count = min(boundary - update, limit, chunks.CAPACITY)
        start = time.perf_counter()
        states, columns = programs.advance(states, hp, jnp.int32(count))
        metrics = chunks.fetch(columns, count)
        if chunk is None:
            limit = max(1, int(_CHUNK_SECONDS * count / (time.perf_counter() - start)))
        recorder.add(watch(metrics, update, states))
        update += count
        if update % run.log_every == 0 or update == last:
            recorder.log(update, watch.frozen)
        regular = update % run.checkpoint_every == 0 or update == last
        stopping = options.stop.requested and update < last
        if regular or stopping:
            recorder.save(states, hp, update, interim=not regular)
        if stopping:
            raise Terminated
    return states


class _Sinks:
    """Every sink of a run as one."""

    def __init__(self, setup: Setup, folder: Path, options: Options, update: int) -> None:
        run = setup.run
        self.lines = JsonLines(folder / run_folder.METRICS)
        self._sinks: list[Sink] = [self.lines]
        self._bar: Progress | None = None
        if options.tensorboard:
            first_step = update * setup.steps_per_update
            target = folder / run_folder.TENSORBOARD
            self._sinks.append(TensorBoard(target, run.seed_numbers, first_step))
        if options.progress:
            title = f"{run.algorithm} {run.env}"
            self._bar = Progress(title, setup.num_updates, update)
            self._sinks.append(self._bar)

    def started(self) -> None:
        """Compilation is over."""
        if self._bar is not None:
            self._bar.start()

    def write(self, rows: Sequence[Row]) -> None:
        """Hands rows to all."""
        for sink in self._sinks:
            sink.write(rows)

    def __enter__(self) -> None:
        """Nothing is to be done: what is there was opened already."""

    def __exit__(self, *failure: object) -> None:
        """Closes all, one after another whatever happens to the others."""
        with contextlib.ExitStack() as stack:
            # What a failure left to be written cannot be written, and is no second failure.
            if failure[0] is not None:
                stack.enter_context(contextlib.suppress(OSError))
            for sink in self._sinks:
                stack.callback(sink.close)


class _Recorder:
    """Turns metrics into rows and states into checkpoints."""

    def __init__(
        self,
        setup: Setup,
        folder: Path,
        sinks: _Sinks,
        rows: list[dict[str, Any]],
        still_there: Callable[[], None],
    ) -> None:
        self.checkpoints = folder / run_folder.CHECKPOINTS
        self._rows, self._setup, self._sinks = rows, setup, sinks
        self._still_there = still_there
        self._row_window, self._save_window = Window(), Window()
        self._before = max((row["wall_s"] for row in rows), default=0.0)
        self._start = self._end = 0.0

    def resume(self, interim: Mapping[str, Any]) -> None:
        """Goes on in the middle of what an interim checkpoint had begun to sum up."""
        self._row_window = Window.from_json(interim["since_last_row"])
        self._save_window = Window.from_json(interim["since_last_checkpoint"])

    def started(self) -> None:
        """Compilation is over."""
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
        steps = update * self._setup.steps_per_update
        rows: list[dict[str, Any]] = [
            {"update": update, "seed": seed, "env_steps": steps, "wall_s": wall, **record}
            for seed, record in zip(
                self._setup.run.seed_numbers, self._row_window.summary(), strict=True
            )
        ]
        for row in rows:
            if row["seed"] in frozen:
                row[nonfinite.FROZEN_AT] = frozen[row["seed"]]
        self._rows.extend(rows)
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
            self.checkpoints,
            states,
            hp,
            self._setup.run.to_json(),
            update=update,
            fingerprint=self._setup.run.fingerprint(),
            metric=metric,
            keep_last=self._setup.run.keep_last,
            interim=begun,
        )
