"""Meta-training into a run folder, and on from where one stopped.

The folder looks like that of `jaxrl train`: config.json, metrics.jsonl with a line for each
generation, checkpoints/, curve.png (fitness), summary.json; and references.json, what PPO and the
random policy score, drift.png, heat-maps, and phi.npz, the mean of the population with its
provenance, for `jaxrl train ALGO ENV --phi`.
"""

import contextlib
import dataclasses
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxrl import checkpoint, hosts, parallel, run_folder
from jaxrl.algos.meta import heatmaps
from jaxrl.algos.meta.config import MetaConfig, load_config
from jaxrl.algos.meta.programs import (
    Compiled,
    MetaSetup,
    abstract_state,
    compile_generation,
    references,
    set_up,
    start_state,
)
from jaxrl.algos.meta.records import Log, draw_curve, provenance, write_summary
from jaxrl.config import ConfigError
from jaxrl.driver import Options
from jaxrl.logging import Row
from jaxrl.signals import Terminated


class MetaResult(NamedTuple):
    """A finished meta-training.

    Attributes:
        folder: the run folder.
        phi: the mean of the last population.
        rows: one for each generation.
        summary: what summary.json holds.
    """

    folder: Path
    phi: Any
    rows: list[Row]
    summary: dict[str, Any]


class _Run:
    """One process's part of a meta-training in a locked folder."""

    def __init__(self, setup: MetaSetup, folder: Path, options: Options) -> None:
        self.setup, self.folder, self.options = setup, folder, options
        self.still_there: Any = lambda: None

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self.folder / run_folder.CHECKPOINTS

    def lock(self, stack: contextlib.ExitStack) -> None:
        """Locks the folder until the end of `stack`."""
        self.still_there = stack.enter_context(run_folder.locked(self.folder))

    def save(self, state: Any, generation: int, fitness: float) -> None:
        """A checkpoint after `generation`."""
        self.still_there()
        config = self.setup.config
        checkpoint.save(
            self.checkpoints,
            state,
            self.setup.start,
            config.to_json(),
            update=generation,
            fingerprint=config.fingerprint(),
            metric=fitness,
        )

    def restore(self, generation: int) -> Any:
        """The state of a checkpoint; CheckpointError where it is of another configuration."""
        state, _ = checkpoint.restore(
            self.checkpoints / str(generation),
            abstract_state(self.setup),
            self.setup.start,
            fingerprint=self.setup.config.fingerprint(),
        )
        return state


def meta_train(
    config: MetaConfig,
    out: str | os.PathLike[str],
    overwrite: bool = False,
    options: Options | None = None,
) -> MetaResult:
    """Evolves an objective into the folder `out`.

    Where several processes train together (`jaxrl.hosts`), each must call this; only process 0
    writes.

    Args:
        config: what to evolve.
        out: must not exist, or be empty, unless `overwrite`.
        overwrite: remove what an earlier run left in `out`; another folder is left alone.
        options: how the run is shown, and the devices.

    Everything is measured and compiled before anything is written.

    Raises:
        ValueError: the configuration or the folder cannot be used, or PPO learns too little to be
            compared with; nothing was written.
        WriteError: the disk is full, for example; earlier checkpoints are left.
        Terminated: `options.stop` was requested; a checkpoint was saved.
    """
    run = _Run(set_up(config), Path(out), options or Options())
    hosts.on_leader(lambda: run_folder.check_free(run.folder, overwrite))
    reference = _measured(run)
    compiled = compile_generation(run.setup, run.options.devices)
    with contextlib.ExitStack() as stack:

        def start() -> None:
            run.folder.mkdir(parents=True, exist_ok=True)
            run.lock(stack)
            run_folder.clear(run.folder)
            run_folder.write_json(run.folder / run_folder.CONFIG, config.to_json())
            run_folder.write_json(run.folder / run_folder.REFERENCES, reference)

        hosts.on_leader(start)
        return _train(run, compiled, reference, 0)


def meta_resume(
    out: str | os.PathLike[str], generations: int | None = None, options: Options | None = None
) -> MetaResult | None:
    """Continues the meta-training in `out` from its newest good checkpoint.

    The result is the same, bit for bit, as if it had never stopped. None where it had finished.

    Args:
        out: the run folder.
        generations: the new number of generations; that of its config.json, which is changed,
            if None.
        options: how the run is shown.

    Raises:
        ValueError: not a run folder, its config.json cannot be used or is not the one that the
            checkpoint was made with, or every checkpoint is damaged.
        WriteError, Terminated: see `meta_train`.
    """
    folder, options = Path(out), options or Options()
    run_folder.require_run(folder)
    saved = load_config(folder / run_folder.CONFIG)
    if generations is None:
        generations = saved.generations
    config = dataclasses.replace(saved, generations=generations)
    run = _Run(set_up(config), folder, options)
    with contextlib.ExitStack() as stack:

        def find() -> int:
            run.lock(stack)
            done = _newest(run)
            if done > config.generations:
                raise ConfigError(f"{folder} has done {done} generations already")
            if done == config.generations == _summarised(folder):
                return -1
            if config != saved:
                run_folder.write_json(folder / run_folder.CONFIG, config.to_json())
            return done

        done = hosts.on_leader(find)
        if done < 0:
            return None
        reference = _known(run)
        compiled = compile_generation(run.setup, options.devices)
        return _train(run, compiled, reference, done)


def _newest(run: _Run) -> int:
    """Generations of the newest good checkpoint, 0 where none was saved yet."""
    if not checkpoint.saved_updates(run.checkpoints):
        run.options.say(f"{run.folder} has no checkpoint yet: starting again from the beginning")
        return 0
    path, manifest = checkpoint.latest_good(run.checkpoints, run.options.say)
    if manifest.fingerprint != run.setup.config.fingerprint():
        raise checkpoint.CheckpointError(
            f"{path} was made with another configuration than {run.folder / run_folder.CONFIG}"
        )
    return manifest.update


def _summarised(folder: Path) -> int | None:
    """Generations of the run that summary.json is about; it is written last."""
    try:
        record = json.loads((folder / run_folder.SUMMARY).read_text(encoding="utf-8"))
        return int(record["generations"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _train(run: _Run, compiled: Compiled, reference: dict[str, Any], done: int) -> MetaResult:
    """All generations after `done`."""
    setup, options, config = run.setup, run.options, run.setup.config
    state = compiled.place(run.restore(done) if done else start_state(setup, reference))
    log = Log(setup, options.say)
    hosts.on_leader(lambda: log.open(run.folder, done, options.progress))
    with log:
        log.started()
        with options.stop.holding():
            state = _loop(run, compiled, state, done, log)
    state = parallel.gather(state)
    phi = setup.phi(state)
    summary: dict[str, Any] = {}

    def finish() -> None:
        nonlocal summary
        draw_curve(run.folder, config, log.rows)
        panels = heatmaps.panels(config.algorithm, config.learnt, phi)
        heatmaps.draw(run.folder / run_folder.DRIFT, panels)
        note = provenance(setup, log.rows, reference)
        config.learnt.save(run.folder / run_folder.PHI, phi, note)
        # Last: a run without it is not finished.
        summary = write_summary(run.folder, setup, log, compiled, options.command, done)

    hosts.on_leader(finish)
    return MetaResult(run.folder, phi, log.rows, summary)


def _loop(run: _Run, compiled: Compiled, state: Any, done: int, log: Log) -> Any:
    """Generations until the last; each talks to the host once, when it is over."""
    config, options = run.setup.config, run.options
    for generation in range(done + 1, config.generations + 1):
        state, on_device = compiled.step(state)
        metrics = jax.device_get(parallel.gather(on_device))
        row = log.add(generation, metrics)
        stopping = hosts.anywhere(options.stop.requested) and generation < config.generations
        if (
            stopping
            or generation % config.checkpoint_every == 0
            or generation == config.generations
        ):
            whole = parallel.gather(state)

            def save(whole: Any = whole, number: int = generation, row: Row = row) -> None:
                log.sync()
                run.save(whole, number, float(row["fitness_mean"]))

            hosts.on_leader(save)
        if stopping:
            hosts.wait_for_leader()
            raise Terminated
    return state


def _measured(run: _Run) -> dict[str, Any]:
    """What fitness is measured by, and the command that asked for it."""
    record = references(run.setup, run.options.devices)
    for task in record["tasks"]:
        run.options.say(
            f"{task['env']}: PPO scores {task['ppo']:.4g}, the random policy {task['random']:.4g}"
        )
    return {"command": run.options.command, **record}


def _known(run: _Run) -> dict[str, Any]:
    """What references.json says: a run that goes on measures nothing again."""
    path = run.folder / run_folder.REFERENCES
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = [(task["env"], task["random"] + task["ppo"]) for task in record["tasks"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if [env for env, _ in known] != list(run.setup.config.environments):
        raise ConfigError(f"{path} is of other environments than {run_folder.CONFIG}")
    return record
