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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl import checkpoint, chunks, hosts, nonfinite, parallel, registry, run_folder
from jaxrl.algorithm import Algorithm, AlgorithmSpec, canonical
from jaxrl.config import FREEZE_SEED, ConfigError, RunConfig, load_config
from jaxrl.logging import Row, require_tensorboard
from jaxrl.nonfinite import NonFiniteError as NonFiniteError
from jaxrl.recording import Nobody, Recorder, open_sinks
from jaxrl.signals import Stop, Terminated
from jaxrl.summary import write_summary
from jaxrl.wandb_sink import WandbOptions, require_wandb

# A call of the compiled program lasts about this long: often enough for Ctrl-C and the bar.
_CHUNK_SECONDS = 0.5
# In place of the update from which a run goes on.
_FINISHED = -1


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
        devices: to use, in each process; all of them if None.
        stop: looked at between chunks, see `jaxrl.signals`.
    """

    command: str = ""
    tensorboard: bool = False
    wandb: WandbOptions | None = None
    progress: bool = True
    say: Callable[[str], None] = warnings.warn
    chunk: int | None = None
    devices: int | None = None
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
    env, env_params = registry.make(run.env, **dict(run.env_overrides))
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

    Where several processes train together (`jaxrl.hosts`), each must call this; only process 0
    writes.

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

    def check() -> None:
        _check_packages(options)
        run_folder.check_free(folder, overwrite)

    hosts.on_leader(check)
    setup = set_up(run)
    lowered = lower(setup, options)
    with _Held() as held:

        def start() -> None:
            folder.mkdir(parents=True, exist_ok=True)
            held.lock(folder)
            run_folder.clear(folder)
            run_folder.write_json(folder / run_folder.CONFIG, run.to_json())

        hosts.on_leader(start)
        return _train(setup, folder, options, lowered, 0, held.still_there)


def resume(
    out: str | os.PathLike[str],
    options: Options | None = None,
    on_nonfinite: str | None = None,
) -> Result | None:
    """Continues the run in the folder `out` from its newest good checkpoint.

    The result is the same, bit for bit, as if it had never stopped; on other devices than before,
    up to rounding. None where it had finished.

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
    hosts.on_leader(lambda: _check_packages(options))
    run_folder.require_run(folder)
    saved = load_config(folder / run_folder.CONFIG)
    run = dataclasses.replace(saved, on_nonfinite=on_nonfinite or saved.on_nonfinite)
    setup = set_up(run)
    with _Held() as held:

        def find() -> int:
            held.lock(folder)
            update = _newest_update(setup, folder, options)
            if update != _FINISHED and run.on_nonfinite != saved.on_nonfinite:
                if update:  # raises where a frozen seed cannot go on
                    restore(setup, folder / run_folder.CHECKPOINTS / str(update))
                run_folder.write_json(folder / run_folder.CONFIG, run.to_json())
            return update

        update = hosts.on_leader(find)
        if update == _FINISHED:
            return None
        lowered = lower(setup, options)
        return _train(setup, folder, options, lowered, update, held.still_there)


def load(out: str | os.PathLike[str]) -> Setup:
    """The setup of the run in the folder `out`; ValueError where it is not one."""
    run_folder.require_run(Path(out))
    return set_up(load_config(Path(out) / run_folder.CONFIG))


def restore(setup: Setup, path: Path) -> tuple[Any, Any]:
    """(states of all seeds, hp) of a checkpoint; CheckpointError where it does not fit `setup`."""
    run = setup.run
    policy = checkpoint.read_manifest(path).config["on_nonfinite"]
    if policy != run.on_nonfinite:  # the states have another form
        setup = set_up(dataclasses.replace(run, on_nonfinite=policy))
    keys = chunks.seed_keys(run.seed_numbers)
    abstract = chunks.abstract_states(setup.algorithm, keys, setup.hp)
    states, hp = checkpoint.restore(path, abstract, setup.hp, fingerprint=run.fingerprint())
    return nonfinite.convert(states, policy, run.on_nonfinite, run.seed_numbers), hp


class _Held(contextlib.ExitStack):
    """The lock of a run folder, where this process is the one that writes."""

    def still_there(self) -> None:
        """Raises where the folder is not the one that was locked any more; see `lock`."""

    def lock(self, folder: Path) -> None:
        """Locks `folder` until the end of the block."""
        self.still_there = self.enter_context(run_folder.locked(folder))  # type: ignore[method-assign]


def _check_packages(options: Options) -> None:
    """Raises ValueError where a sink's package is missing, before anything is written."""
    if options.tensorboard:
        require_tensorboard()
    if options.wandb is not None:
        require_wandb()


def _newest_update(setup: Setup, folder: Path, options: Options) -> int:
    """Update of the newest good checkpoint, 0 where none was saved yet, or _FINISHED."""
    checkpoints = folder / run_folder.CHECKPOINTS
    if not checkpoint.saved_updates(checkpoints):
        options.say(f"{folder} has no checkpoint yet: starting again from the beginning")
        return 0
    update = checkpoint.latest_good(checkpoints, options.say)[1].update
    done = update >= setup.num_updates and (folder / run_folder.SUMMARY).exists()
    return _FINISHED if done else update


def lower(setup: Setup, options: Options) -> chunks.Lowered:
    """The traced programs, for as many of the devices as the run can use."""
    run, shards = setup.run, setup.algorithm.shards
    mesh = parallel.make_mesh(run.seeds, shards.num if shards else 1, options.devices)
    # Idle parts of a CPU are worth a word only where they were asked for.
    wanted = options.devices or (jax.local_device_count() if jax.default_backend() != "cpu" else 1)
    used = mesh.local_mesh.size if mesh else 1
    if used < wanted:
        options.say(
            f"{wanted - used} of {wanted} devices are idle: the numbers of seeds and of"
            " config.env_shards decide how many a run can use"
        )
    return chunks.lower(setup.algorithm, chunks.seed_keys(run.seed_numbers), setup.hp, mesh)


def _train(
    setup: Setup,
    folder: Path,
    options: Options,
    lowered: chunks.Lowered,
    update: int,
    still_there: Callable[[], None],
) -> Result:
    """Trains to the end, from the checkpoint of `update` if that is not 0."""
    run = setup.run
    checkpoints = folder / run_folder.CHECKPOINTS
    states, hp = restore(setup, checkpoints / str(update)) if update else (None, setup.hp)
    recorder: Recorder | Nobody = Nobody()

    def record() -> None:
        nonlocal recorder
        recorder = _recorder(setup, folder, options, update, still_there)

    hosts.on_leader(record)
    watch = nonfinite.Watch(run, checkpoints, options.say)
    with recorder.recording():
        programs = lowered.compile()
        if states is None:
            states = programs.init(chunks.seed_keys(run.seed_numbers), hp)
        else:
            states = programs.place(states)
        recorder.started()
        with options.stop.holding():
            states = _loop(setup, programs, states, hp, update, recorder, watch, options)
    summary: dict[str, Any] = {}
    if hosts.is_leader():
        summary = write_summary(
            folder,
            run,
            recorder.rows,
            command=options.command,
            compile_s=programs.compile_s,
            run_s=recorder.seconds,
            env_steps=(setup.num_updates - update) * setup.steps_per_update * run.seeds,
            resumed_from=update or None,
            mesh=lowered.where.shape,
            env=setup.env,
        )
    hosts.wait_for_leader()
    return Result(folder, states, recorder.rows, summary)


def _recorder(
    setup: Setup, folder: Path, options: Options, update: int, still_there: Callable[[], None]
) -> Recorder:
    """What records the run, from `update` on."""
    run, steps = setup.run, setup.steps_per_update

    def opened() -> Any:
        return open_sinks(
            folder,
            run,
            update,
            setup.num_updates,
            steps,
            tensorboard=options.tensorboard,
            wandb=options.wandb,
            progress=options.progress,
        )

    return Recorder(folder, run, update, steps, opened, still_there)


def _loop(
    setup: Setup,
    programs: chunks.Programs,
    states: Any,
    hp: Any,
    update: int,
    recorder: Recorder | Nobody,
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
            seconds = time.perf_counter() - start
            limit = hosts.from_leader(max(1, int(min(_CHUNK_SECONDS * count / seconds, 1e6))))
        recorder.add(watch(metrics, update, states))
        update += count
        if update % run.log_every == 0 or update == last:
            recorder.log(update, watch.frozen)
        regular = update % run.checkpoint_every == 0 or update == last
        stopping = hosts.anywhere(options.stop.requested) and update < last
        if regular or stopping:
            recorder.save(programs.collect(states), hp, update, interim=not regular)
        if stopping:
            hosts.wait_for_leader()
            raise Terminated
    return programs.collect(states)
