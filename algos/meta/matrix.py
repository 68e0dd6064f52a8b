"""The meta-generalisation matrix: objectives x test environments x horizons, over fresh seeds.

Every cell trains one objective on one environment for one number of steps, with all seeds, and
plays whole episodes of the final policies. Objectives differ in nothing else: settings are those
that a learnt objective was trained with on that environment, where its file says so, or else the
preset's. All objectives have the same seeds.

A folder holds it:

plan.json          what is compared, written first; a folder with one is a matrix folder
cells/             one file for each finished cell, and for the random policy on each environment
matrix.json, .md   the result as far as it is finished, and matrix.png and drifts.png
"""

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl import chunks, driver, registry, run_folder
from jaxrl.algos.meta import contenders as rows
from jaxrl.algos.meta.contenders import Contender
from jaxrl.algos.meta.tasks import BASELINE, Task, action_kind, random_return
from jaxrl.config import ConfigError, RunConfig, encode
from jaxrl.evaluation import evaluation_key
from jaxrl.run_folder import RunFolderError, write_json
from jaxrl.summary import commit, device, versions
from jaxrl.sweep import memory, programs

SCHEMA = 1
PLAN, CELLS = "plan.json", "cells"
RESULT, TABLE, PICTURE, DRIFTS = "matrix.json", "matrix.md", "matrix.png", "drifts.png"
_OURS = (PLAN, CELLS, RESULT, TABLE, PICTURE, DRIFTS)
FIRST_SEED = 10_000
MIN_SEEDS = 2
_PRESET = "the preset's"

Say = Callable[[str], None]


class Column(NamedTuple):
    """A test environment and a horizon.

    Attributes:
        run: PPO's training there; the others differ in the objective.
        multiple: its steps as a multiple of the base budget.
        settings: whose these settings are, in words.
        kind: of actions, `discrete` or `continuous`.
    """

    run: RunConfig
    multiple: float
    settings: str
    kind: str

    @property
    def env(self) -> str:
        """The environment's id."""
        return self.run.env


class Plan(NamedTuple):
    """Everything that decides the numbers of a matrix.

    Attributes:
        contenders: its rows; PPO and DPO come first.
        columns: its columns; those of an environment are neighbours.
        episodes: of each seed's final policy.
    """

    contenders: Sequence[Contender]
    columns: Sequence[Column]
    episodes: int

    @property
    def seeds(self) -> range:
        """Of every cell."""
        return self.columns[0].run.seed_numbers

    @property
    def envs(self) -> list[str]:
        """Test environments."""
        return list(dict.fromkeys(column.env for column in self.columns))

    def to_json(self) -> dict[str, Any]:
        """What decides the numbers; plans that agree in it have the same cells."""
        return {
            "schema": SCHEMA,
            "seeds": {"first": self.seeds.start, "count": len(self.seeds)},
            "episodes": self.episodes,
            "objectives": [
                {"name": c.name, "algorithm": c.algorithm, "sha256": c.digest}
                for c in self.contenders
            ],
            "columns": [
                {
                    "env": c.env,
                    "env_overrides": dict(c.run.env_overrides),
                    "multiple": c.multiple,
                    "total_steps": c.run.total_steps,
                    "config": encode(c.run.config),
                    "hp": c.run.to_json()["hp"],
                }
                for c in self.columns
            ],
        }


def make_plan(
    contenders: Sequence[Contender],
    envs: Sequence[str],
    *,
    seeds: int = 16,
    seed: int = FIRST_SEED,
    horizons: Sequence[float] = (1, 4),
    total_steps: Sequence[int] = (),
    episodes: int = 128,
) -> Plan:
    """The plan of a matrix; whatever is wrong with a cell is found here.

    Args:
        contenders: learnt objectives, see `jaxrl.algos.meta.contenders.load`.
        envs: test environments.
        seeds: of every cell, at least 2: `seed`, `seed + 1`, ...
        seed: the first of them.
        horizons: budgets as multiples of the base budget.
        total_steps: the base budget, one number or one for each environment; where there is none,
            the one that an objective was trained with on the environment, or else the preset's.
        episodes: of each seed's final policy.

    Raises:
        ValueError: in one line; nothing was compiled.
    """
    if not contenders:
        raise ConfigError("a matrix needs an objective")
    _check_columns(envs, horizons)
    if seeds < MIN_SEEDS:
        raise ConfigError(f"seeds must be at least {MIN_SEEDS}: an interval is over seeds")
    if episodes < 1:
        raise ConfigError(f"episodes must be at least 1, got {episodes}")
    if len(total_steps) not in (0, 1, len(envs)):
        raise ConfigError(
            f"--total-steps takes one number or one for each of {len(envs)} environments,"
            f" got {len(total_steps)}"
        )
    given = dict(zip(envs, tuple(total_steps) * len(envs), strict=False))
    columns: list[Column] = []
    for env in envs:
        run, settings = _settings(contenders, env)
        base = given.get(env, run.total_steps)
        for multiple in horizons:
            sized = dataclasses.replace(
                run,
                seeds=seeds,
                seed=seed,
                total_steps=round(base * multiple),
                # Infinite is the whole run; a schedule that was recorded in updates is stretched.
                hp=run.hp.replace(horizon=run.hp.horizon * multiple),
            )
            kind = action_kind(Task(sized, driver.set_up(sized)))
            columns.append(Column(sized, multiple, settings, kind))
    everybody = [*rows.references(), *contenders]
    plan = Plan(everybody, columns, episodes)
    for column in columns:
        for contender in everybody:
            set_up(column, contender)
    return plan


def _check_columns(envs: Sequence[str], horizons: Sequence[float]) -> None:
    """Raises ConfigError for columns that are missing, given twice or of no budget."""
    if not envs or not horizons:
        raise ConfigError("a matrix needs environments and horizons")
    for name, values in (("environment", envs), ("horizon", horizons)):
        for value in values:
            if list(values).count(value) > 1:
                raise ConfigError(f"the {name} {value} is given twice")
    for multiple in horizons:
        if not (np.isfinite(multiple) and multiple > 0):
            raise ConfigError(f"a horizon is a positive multiple of the budget, got {multiple}")


def set_up(column: Column, contender: Contender) -> driver.Setup:
    """The training of a cell; ConfigError, naming it, where it cannot be."""
    try:
        return driver.set_up(rows.with_objective(column.run, contender))
    except ValueError as error:
        raise ConfigError(f"{contender.name} on {column.env}: {error}") from None


def check(plan: Plan, folder: Path, overwrite: bool) -> None:
    """Raises RunFolderError unless `plan` may start or continue in `folder`; changes nothing."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is a file, not a folder")
    if run_folder.is_empty(folder, PLAN):
        return
    if not (folder / PLAN).is_file():
        raise RunFolderError(f"{folder} is not empty and has no {PLAN}; choose another --out")
    if overwrite:
        return
    try:
        found = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunFolderError(f"{folder / PLAN} is damaged: {error}; add --overwrite") from None
    # Through JSON: tuples become lists.
    wanted = json.loads(json.dumps(plan.to_json()))
    if found != wanted:
        known = found if isinstance(found, dict) else {}
        differing = [name for name, value in wanted.items() if known.get(name) != value]
        raise RunFolderError(
            f"{folder} holds a matrix with other {' and '.join(differing) or 'entries'};"
            " choose another --out, or replace it with --overwrite"
        )


def start(plan: Plan, folder: Path, overwrite: bool) -> None:
    """Makes `folder` that of `plan`, after `check` and locked; finished cells stay.

    With `overwrite` what an earlier matrix left is removed, and nothing else.
    """
    if overwrite:
        run_folder.remove(folder, _OURS)
    (folder / CELLS).mkdir(parents=True, exist_ok=True)
    if not (folder / PLAN).exists():
        write_json(folder / PLAN, plan.to_json())


def read_cells(folder: Path, plan: Plan) -> dict[tuple[int, int], dict[str, Any]]:
    """Records of the finished cells by (column, row); a damaged file counts as unfinished."""
    found = {}
    for column in range(len(plan.columns)):
        for row in range(len(plan.contenders)):
            record = _read(_cell_path(folder, column, row))
            if record is not None and len(record.get("returns", ())) == len(plan.seeds):
                found[column, row] = record
    return found


def read_random(folder: Path, plan: Plan) -> dict[str, float]:
    """The random policy's mean return on those environments where it has played."""
    records = {env: _read(_random_path(folder, i)) for i, env in enumerate(plan.envs)}
    return {env: record["return"] for env, record in records.items() if record is not None}


def compute(
    plan: Plan,
    folder: Path,
    *,
    devices: int | None = None,
    say: Say = lambda line: None,
    after_column: Callable[[], Any] = lambda: None,
) -> int:
    """Computes and writes the cells that are missing, column by column; returns how many.

    Args:
        plan: what is compared.
        folder: after `start`.
        devices: among which seeds are divided; all if None.
        say: takes a line for each cell.
        after_column: called when a column in which something was missing is finished.

    Raises:
        SweepMemoryError: not even one seed fits into memory.
    """
    finished, played = read_cells(folder, plan), read_random(folder, plan)
    total, done = len(plan.columns) * len(plan.contenders), len(finished)
    for index, column in enumerate(plan.columns):
        missing = [i for i in range(len(plan.contenders)) if (index, i) not in finished]
        if column.env not in played:
            played[column.env] = _play_random(plan, folder, column)
        compiled: dict[Any, programs.Program] = {}
        for row in missing:
            contender = plan.contenders[row]
            record = _train(plan, column, contender, compiled, devices)
            write_json(_cell_path(folder, index, row), record)
            done += 1
            say(
                f"{done}/{total} {column.env} x{column.multiple:g}, {contender.name}:"
                f" {len(plan.seeds)} seeds x {record['env_steps_per_seed']:,} steps, compiled in"
                f" {record['compile_s']:.1f} s, run {record['run_s']:.1f} s"
            )
        if missing:
            after_column()
    return total - len(finished)


def _settings(contenders: Sequence[Contender], env: str) -> tuple[RunConfig, str]:
    """(PPO's training on `env`, whose settings these are): the first that was trained there."""
    spec, preset = registry.preset(BASELINE, env)
    for contender in contenders:
        run = rows.settings_of(contender, env)
        if run is not None:
            return run, f"those that {contender.name} was trained with"
    run = RunConfig(spec.name, env, (), 1, 0, preset.total_steps, preset.config, preset.hp)
    return run, _PRESET


def _train(
    plan: Plan,
    column: Column,
    contender: Contender,
    compiled: dict[Any, programs.Program],
    devices: int | None,
) -> dict[str, Any]:
    """The record of a cell. Objectives of one form share a program, kept in `compiled`."""
    setup = set_up(column, contender)
    keys, count = chunks.seed_keys(plan.seeds), len(plan.seeds)
    hps = jax.tree.map(lambda leaf: jnp.repeat(leaf[None], count, axis=0), setup.hp)
    leaves, structure = jax.tree.flatten(setup.hp)
    form = (contender.algorithm, structure, tuple(leaf.shape for leaf in leaves))
    compile_s = 0.0
    if form not in compiled:
        compiled[form] = programs.compile_program(
            programs.row_function(setup, plan.episodes, greedy=False),
            keys,
            hps,
            unit=1,
            wanted=count,
            limit=memory.budget(),
            devices=devices,
        )
        compile_s = compiled[form].compile_s
    begun = time.perf_counter()
    result = _call(compiled[form], keys, hps)
    seconds = time.perf_counter() - begun
    episodes = result.episodes
    assert episodes is not None
    bad = result.nonfinite_update > 0
    means = np.asarray(np.mean(episodes.returns, axis=1, dtype=np.float64))
    known = np.isfinite(means) & ~bad
    return {
        "env": column.env,
        "multiple": column.multiple,
        "objective": contender.name,
        "seeds": list(plan.seeds),
        "returns": [float(mean) if ok else None for mean, ok in zip(means, known, strict=True)],
        "nonfinite_update": [int(update) for update in result.nonfinite_update],
        "unfinished_episodes": int((~(episodes.terminated | episodes.truncated)).sum()),
        "env_steps_per_seed": setup.num_updates * setup.steps_per_update,
        "compile_s": round(compile_s, 3),
        "run_s": round(seconds, 3),
        "commit": commit(),
        "device": device(),
        "versions": versions(),
    }


def _call(program: programs.Program, keys: jax.Array, hps: Any) -> programs.Row:
    """All rows, in as many calls as their number needs; on the host."""
    total, parts = len(keys), []
    for first in range(0, total, program.rows):
        taken = np.minimum(np.arange(first, first + program.rows), total - 1)
        part = program.call(keys[taken], jax.tree.map(lambda leaf, taken=taken: leaf[taken], hps))
        parts.append(jax.device_get(part))
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:total], *parts)
    rows_: programs.Row = joined
    return rows_


def _play_random(plan: Plan, folder: Path, column: Column) -> float:
    """Plays and writes; the episodes have the key of those of the first seed."""
    task = Task(column.run, set_up(column, plan.contenders[0]))
    key = evaluation_key(jax.random.key(plan.seeds.start), 0)
    value = float(random_return(task, key, plan.episodes))
    record = {"env": column.env, "episodes": plan.episodes, "return": value}
    write_json(_random_path(folder, plan.envs.index(column.env)), record)
    return value


def _read(path: Path) -> dict[str, Any] | None:
    """A file of the folder; None where it is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _cell_path(folder: Path, column: int, row: int) -> Path:
    return folder / CELLS / f"{column:03}_{row:03}.json"


def _random_path(folder: Path, env: int) -> Path:
    return folder / CELLS / f"random_{env:03}.json"
