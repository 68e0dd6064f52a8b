"""The training driver: from a `RunConfig` to a run folder, and on from where one stopped.

Everything that can be wrong with a configuration is found before anything is compiled or written.
Then a compiled chunk of updates alternates with what needs the host: the check that every number is
finite, rows for the sinks, checkpoints. Where the chunks end does not change the numbers.
"""

import dataclasses
import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl import checkpoint, chunks, registry, run_folder
from jaxrl.algorithm import Algorithm, AlgorithmSpec, canonical
from jaxrl.config import ConfigError, RunConfig, load_config
from jaxrl.logging import (
    EPISODE_METRICS,
    JsonLines,
    Metrics,
    Progress,
    Row,
    Sink,
    TensorBoard,
    Window,
    cut_metrics,
    require_tensorboard,
)
from jaxrl.summary import write_curve, write_summary
from jaxrl.wandb_sink import Wandb, WandbOptions, require_wandb

# A call of the compiled program lasts about this long: often enough for Ctrl-C and the bar.
_CHUNK_SECONDS = 0.5


class NonFiniteError(RuntimeError):
    """A loss, a metric or a parameter is no longer finite; names update, seed and metric."""


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
        wandb: also log to Weights & Biases, and where.
        progress: show a bar, or lines where there is no terminal.
        say: takes lines for the user.
        chunk: updates of one compiled call; chosen by their duration if None.
    """

    command: str = ""
    tensorboard: bool = False
    wandb: WandbOptions | None = None
    progress: bool = True
    say: Callable[[str], None] = warnings.warn
    chunk: int | None = None


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
    """
    folder = Path(out)
    options = options or Options()
    _check_packages(options)
    run_folder.check_free(folder, overwrite)
    setup = set_up(run)
    lowered = chunks.lower(setup.algorithm, chunks.seed_keys(run.seed_numbers), setup.hp)
    folder.mkdir(parents=True, exist_ok=True)
    with run_folder.locked(folder):
        run_folder.clear(folder)
        run_folder.write_json(folder / run_folder.CONFIG, run.to_json())
        return _train(setup, folder, options, lowered)


def resume(out: str | os.PathLike[str], options: Options | None = None) -> Result | None:
    """Continues the run in the folder `out` from its newest good checkpoint.

    The result is the same, bit for bit, as if it had never stopped. None where it had finished.

    Raises:
        ValueError: not a run folder, its config.json cannot be used, every checkpoint is
            damaged, or the checkpoint is of another configuration.
        NonFiniteError: see `train`.
    """
    folder = Path(out)
    options = options or Options()
    _check_packages(options)
    run_folder.require_run(folder)
    setup = set_up(load_config(folder / run_folder.CONFIG))
    with run_folder.locked(folder):
        checkpoints = folder / run_folder.CHECKPOINTS
        if not checkpoint.saved_updates(checkpoints):
            options.say(f"{folder} has no checkpoint yet: starting again from the beginning")
            newest, update = None, 0
        else:
            newest, manifest = checkpoint.latest_good(checkpoints, options.say)
            update = manifest.update
        if update >= setup.num_updates and (folder / run_folder.SUMMARY).exists():
            return None
        keys = chunks.seed_keys(setup.run.seed_numbers)
        lowered = chunks.lower(setup.algorithm, keys, setup.hp)
        return _train(setup, folder, options, lowered, newest, update)


def load(out: str | os.PathLike[str]) -> Setup:
    """The setup of the run in the folder `out`; ValueError where it is not one."""
    run_folder.require_run(Path(out))
    return set_up(load_config(Path(out) / run_folder.CONFIG))


def restore(setup: Setup, path: Path) -> tuple[Any, Any]:
    """(states of all seeds, hp) of a checkpoint; CheckpointError where it does not fit `setup`."""
    keys = chunks.seed_keys(setup.run.seed_numbers)
    abstract = chunks.abstract_states(setup.algorithm, keys, setup.hp)
    return checkpoint.restore(path, abstract, setup.hp, fingerprint=setup.run.fingerprint())


def _check_packages(options: Options) -> None:
    """Raises ValueError where a sink's package is missing, before anything is written."""
    if options.tensorboard:
        require_tensorboard()
    if options.wandb is not None:
        require_wandb()


def _train(
    setup: Setup,
    folder: Path,
    options: Options,
    lowered: chunks.Lowered,
    newest: Path | None = None,
    update: int = 0,
) -> Result:
    """Trains from `update` on, whose checkpoint is `newest`, to the end."""
    run = setup.run
    states, hp = (None, setup.hp) if newest is None else restore(setup, newest)
    rows = cut_metrics(folder / run_folder.METRICS, update)
    sinks = _Sinks(setup, folder, options, update)
    recorder = _Recorder(setup, folder, sinks, rows)
    try:
        programs = lowered.compile()
        if states is None:
            states = programs.init(chunks.seed_keys(run.seed_numbers), hp)
        sinks.started()
        recorder.started()
        states = _loop(setup, programs, states, hp, update, recorder, options.chunk)
    finally:
        sinks.close()
        write_curve(folder, run, recorder.rows)
    summary = write_summary(
        folder,
        run,
        recorder.rows,
        command=options.command,
        compile_s=programs.compile_s,
        run_s=recorder.seconds,
        env_steps=(setup.num_updates - update) * setup.steps_per_update * run.seeds,
        resumed_from=None if newest is None else update,
    )
    return Result(folder, states, recorder.rows, summary)


def _loop(
    setup: Setup,
    programs: chunks.Programs,
    states: Any,
    hp: Any,
    update: int,
    recorder: "_Recorder",
    chunk: int | None,
) -> Any:
    """Chunks of updates until the last; each ends where something is to be logged or saved."""
    run, last = setup.run, setup.num_updates
    limit = chunk or 1
    while update < last:
        boundary = min(last, (update // run.log_every + 1) * run.log_every)
        count = min(boundary - update, limit, chunks.CAPACITY)
        start = time.perf_counter()
        states, columns = programs.advance(states, hp, jnp.int32(count))
        metrics = chunks.fetch(columns, count)
        if chunk is None:
            limit = max(1, int(_CHUNK_SECONDS * count / (time.perf_counter() - start)))
        _check_finite(metrics, update, run.seed_numbers, states, recorder.checkpoints)
        update += count
        recorder.add(metrics)
        if update % run.log_every == 0 or update == last:
            recorder.log(update)
        if update % run.checkpoint_every == 0 or update == last:
            recorder.save(states, hp, update)
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
        if options.wandb is not None:
            self._sinks.append(Wandb(folder, run, options.wandb))
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

    def close(self) -> None:
        """Closes all."""
        for sink in self._sinks:
            sink.close()


class _Recorder:
    """Turns metrics into rows and states into checkpoints."""

    def __init__(self, setup: Setup, folder: Path, sinks: _Sinks, rows: list[dict[str, Any]]):
        self.checkpoints = folder / run_folder.CHECKPOINTS
        self.rows = rows
        self._setup, self._sinks = setup, sinks
        self._row_window, self._save_window = Window(), Window()
        self._before = max((row["wall_s"] for row in rows), default=0.0)
        self._start = self._end = 0.0

    def started(self) -> None:
        """Compilation is over."""
        self._start = self._end = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds that this process trained, to the last row or checkpoint."""
        return self._end - self._start

    def add(self, metrics: Metrics) -> None:
        """Takes the metrics of a chunk."""
        kept = {name: values for name, values in metrics.items() if name != chunks.FINITE}
        self._row_window.add(kept)
        self._save_window.add(kept)

    def log(self, update: int) -> None:
        """Writes one row for each seed."""
        self._end = time.perf_counter()
        wall = round(self._before + self.seconds, 4)
        steps = update * self._setup.steps_per_update
        rows = [
            {"update": update, "seed": seed, "env_steps": steps, "wall_s": wall, **record}
            for seed, record in zip(
                self._setup.run.seed_numbers, self._row_window.summary(), strict=True
            )
        ]
        self.rows.extend(rows)
        self._sinks.write(rows)

    def save(self, states: Any, hp: Any, update: int) -> None:
        """Saves a checkpoint; its metric is the mean return over seeds since the one before."""
        self._sinks.lines.sync()
        returns = [row.get("episode_return", math.nan) for row in self._save_window.summary()]
        known = [value for value in returns if math.isfinite(value)]
        checkpoint.save(
            self.checkpoints,
            states,
            hp,
            self._setup.run.to_json(),
            update=update,
            fingerprint=self._setup.run.fingerprint(),
            metric=float(np.mean(known)) if known else None,
            keep_last=self._setup.run.keep_last,
        )
        self._end = time.perf_counter()


def _check_finite(
    metrics: Metrics, update: int, seeds: range, states: Any, checkpoints: Path
) -> None:
    """Raises NonFiniteError for the first update, and in it the first seed, that is not finite."""
    bad = {name: _bad(name, metrics) for name in metrics}
    anywhere = np.any(list(bad.values()), axis=0)
    if not anywhere.any():
        return
    row, column = (int(index[0]) for index in np.nonzero(anywhere))
    names = [name for name in bad if bad[name][row, column] and name != chunks.FINITE]
    names.sort(key=lambda name: (name != "loss", "loss" not in name))
    if bad[chunks.FINITE][row, column]:
        names.append(f"parameters{_bad_leaf(states, column)}")
    saved = checkpoint.saved_updates(checkpoints)
    left = (
        f"the last checkpoint is {checkpoints / str(saved[-1])}" if saved else "no checkpoint yet"
    )
    raise NonFiniteError(
        f"stopped: non-finite {', '.join(names)} at update {update + row + 1},"
        f" seed {seeds[column]}; {left}"
    )


def _bad(name: str, metrics: Metrics) -> np.ndarray[Any, Any]:
    values = metrics[name]
    if name == chunks.FINITE:
        return ~values
    if name in EPISODE_METRICS and "episodes" in metrics:
        return ~np.isfinite(values) & (metrics["episodes"] > 0)
    return np.isinf(values) if name in EPISODE_METRICS else ~np.isfinite(values)


def _bad_leaf(states: Any, column: int) -> str:
    """Path of the first parameter of one seed that is not finite after the chunk."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(states.policy):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not np.isfinite(leaf[column]).all():
            return f" ({jax.tree_util.keystr(path)})"
    return ""
