"""`jaxrl sweep`: options, and what is printed."""

import dataclasses
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from jaxrl import registry
from jaxrl.config import RunConfig, override_text, parse_overrides
from jaxrl.options import (
    CACHE,
    ENV_OVERRIDES,
    FIRST_SEED,
    PROGRESS,
    Count,
    Flag,
    UsageError,
    apply,
    mirror,
    option,
    parse,
)
from jaxrl.sweep import plan as plans
from jaxrl.sweep import points
from jaxrl.sweep.compute import Limits
from jaxrl.sweep.launch import Launch
from jaxrl.sweep.names import changes, kinds
from jaxrl.sweep.plan import Plan, short
from jaxrl.sweep.run import EPISODES, default_folder, run_plan
from jaxrl.sweep.table import Line, SweepResult, score_is

_HELP = """\
usage: jaxrl sweep ALGO ENV --grid NAME=V1,V2 --random NAME=LOW:HIGH [options]

Trains ALGO on ENV with every combination of settings and every seed. All that differ in numbers
only are one compiled program. Leaves a sweep folder with sweep.json, points/, table.json, table.csv
and sweep.png; the same command again computes only what is missing.

  jaxrl sweep ppo CartPole-v1 --help
                                 every option, with the preset's value

example: jaxrl sweep ppo CartPole-v1 --grid hp.lr=1e-4,3e-4,1e-3 --random hp.gamma=0.95:0.999
"""
_INTERRUPTED, _USAGE = 130, 2
_Words = tyro.conf.UseAppendAction[tuple[str, ...]]


def sweep_options(config: Any, hp: Any, total_steps: int) -> type:
    """The options of `jaxrl sweep`, whose defaults are a preset's."""
    config_type, hp_type = mirror(config, "Config"), mirror(hp, "Hyperparameters")
    grid = "values of a setting (a tuple's items apart by spaces); repeat it for a product"
    ranges = "a range of a setting: LOW:HIGH is uniform, log:LOW:HIGH log-uniform; may be repeated"
    fields: list[Any] = [
        ("grid", option(_Words, grid, "NAME=V1,V2,..."), ()),
        ("random", option(_Words, ranges, "NAME=LOW:HIGH"), ()),
        (
            "samples",
            option(int | None, "draws of the random settings for each grid point; 4 if any", "INT"),
            None,
        ),
        ("sample_seed", option(int, "seed of the draws"), 0),
        ("seeds", option(int, "seeds of each point: SEED, SEED + 1, ..."), 4),
        FIRST_SEED,
        ("total_steps", option(Count, "environment steps of each seed"), total_steps),
        (
            "episodes",
            option(Count, "evaluation episodes of each seed; 0 scores by training return"),
            EPISODES,
        ),
        ("greedy", option(Flag, "evaluate the likeliest action instead of a draw"), False),
        ENV_OVERRIDES,
        ("out", option(Path | None, "sweep folder; by default runs/sweep_ALGO_ENV", "DIR"), None),
        ("overwrite", option(Flag, "replace an earlier sweep in DIR"), False),
        ("merge", option(Flag, "compute nothing: table and plot of what is finished"), False),
        *_computing(),
        ("config", config_type, dataclasses.field(default_factory=config_type)),
        ("hp", hp_type, dataclasses.field(default_factory=hp_type)),
    ]
    return dataclasses.make_dataclass("Sweep", fields, frozen=True)


def _computing() -> list[Any]:
    """The options that decide where and how, not what."""
    return [
        (
            "memory_gib",
            option(float | None, "memory of a program; by default 80% of what is free", "FLOAT"),
            None,
        ),
        (
            "points_per_chunk",
            option(
                int | None,
                "most points between two savings; by default, on a CPU, as few as use its cores",
                "INT",
            ),
            None,
        ),
        (
            "launcher",
            option(Literal["none", "local", "slurm"], "this process, processes or Slurm jobs"),
            "none",
        ),
        ("tasks", option(int | None, "jobs; by default one for each program", "INT"), None),
        (
            "array_parallelism",
            option(int | None, "most jobs at a time; by default 1 local, all on Slurm", "INT"),
            None,
        ),
        (
            "slurm",
            option(_Words, "a setting of submitit's SlurmExecutor; may be repeated", "NAME=VALUE"),
            (),
        ),
        CACHE,
        PROGRESS,
    ]


def sweep(args: list[str], cache: Callable[[bool], None], say: Callable[[str], None]) -> int:
    """Runs `jaxrl sweep`; returns the exit code.

    Args:
        args: words after `sweep`.
        cache: switches the compile cache on or off.
        say: takes lines for the user.
    """
    if not args or args[0] in ("-h", "--help"):
        print(_HELP, end="")
        return 0 if args else _USAGE
    if len(args) < 2 or args[1].startswith("-") or args[0].startswith("-"):
        raise UsageError("expected: jaxrl sweep ALGO ENV [options]; see jaxrl sweep --help")
    name, env_id = args[:2]
    spec, preset = registry.preset(name, env_id)
    record = sweep_options(preset.config, preset.hp, preset.total_steps)
    options = parse(record, args[2:], f"jaxrl sweep {name} {env_id}", f"{spec.summary}.")
    if options.merge and options.overwrite:
        raise UsageError("--merge shows what is finished, --overwrite would remove it")
    made = _plan(name, env_id, preset, options)
    launch = _launch(options)
    limits = Limits(options.memory_gib, options.points_per_chunk)
    folder = options.out or default_folder(made)
    cache(not options.no_cache)
    try:
        result = run_plan(
            made,
            folder,
            overwrite=options.overwrite,
            limits=limits,
            launch=launch,
            say=(lambda line: None) if options.no_progress and launch is None else say,
            command=shlex.join(["jaxrl", "sweep", *args]),
            merge_only=options.merge,
        )
    except KeyboardInterrupt:
        say("interrupted; finished points are kept, the same command continues")
        return _INTERRUPTED
    report(result)
    return 0


def report(result: SweepResult) -> None:
    """Prints the table, what is best and how to train it."""
    if not result.table:
        print(f"no point of {len(result.plan.points)} is finished; sweep folder: {result.folder}")
        return
    _print_table(result.table)
    if result.missing:
        print(f"{len(result.missing)} of {len(result.plan.points)} points are not finished")
    best = result.best()
    low, high = _number(best.low), _number(best.high)
    print(f"best: {plans.label(dict(best.values))}")
    print(f"interquartile mean {_number(best.iqm)} (95% {low} to {high}) over {best.seeds} seeds")
    print(f"score: {score_is(result.plan)}")
    print(f"train it with other seeds: {train_command(result.plan.run(best.point))}")
    print(f"sweep folder: {result.folder}")


def train_command(run: RunConfig) -> str:
    """A `jaxrl train` of the same settings, with the seeds that follow those of the sweep."""
    words = ["jaxrl", "train", run.algorithm, run.env, "--seeds", str(run.seeds)]
    words += ["--seed", str(run.seed + run.seeds), "--total-steps", str(run.total_steps)]
    if run.env_overrides:
        words += [
            "--env-overrides",
            *(f"{name}={override_text(value)}" for name, value in run.env_overrides),
        ]
    preset = registry.algorithm(run.algorithm).preset(run.env)
    for name, value in changes(run, preset).items():
        path, _, last = name.replace("_", "-").rpartition(".")
        if isinstance(value, bool):
            words.append(f"--{path}.{'' if value else 'no-'}{last}")
        else:
            items = value if isinstance(value, tuple) else (value,)
            words += [f"--{path}.{last}", *map(str, items)]
    return shlex.join(words)


def _plan(name: str, env_id: str, preset: Any, options: Any) -> Plan:
    base = RunConfig(
        algorithm=name,
        env=env_id,
        env_overrides=parse_overrides(options.env_overrides),
        seeds=options.seeds,
        seed=options.seed,
        total_steps=options.total_steps,
        config=apply(preset.config, options.config),
        hp=apply(preset.hp, options.hp),
    )
    made = points.expand(
        kinds(base),
        points.parse_grid(options.grid),
        points.parse_random(options.random),
        options.samples,
        options.sample_seed,
    )
    return Plan(base, tuple(made), options.episodes, options.greedy)


def _launch(options: Any) -> Launch | None:
    if options.launcher == "none":
        given = ("tasks", "array_parallelism", "slurm")
        for name in given:
            if getattr(options, name):
                raise UsageError(f"--{name.replace('_', '-')} needs --launcher local or slurm")
        return None
    settings = dict(parse_overrides(options.slurm))
    return Launch(options.launcher, options.tasks, options.array_parallelism, settings)


def _print_table(lines: Sequence[Line]) -> None:
    from rich.console import Console
    from rich.table import Table

    names = list(dict.fromkeys(name for line in lines for name in line.values))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("rank", *names, "IQM", "95% interval", "mean", "seeds", "diverged"):
        table.add_column(heading, justify="right", no_wrap=True)
    for rank, line in enumerate(lines, start=1):
        values = [short(line.values[name]) if name in line.values else "" for name in names]
        failed = f"{line.diverged}" + (f" (+{line.no_score} no score)" if line.no_score else "")
        interval = f"{_number(line.low)} to {_number(line.high)}"
        numbers = [_number(line.iqm), interval, _number(line.mean), str(line.seeds), failed]
        table.add_row(str(rank), *values, *numbers)
    # A table that is piped must not be cut to the width of a terminal that is not there.
    width = None if sys.stdout.isatty() else 240
    Console(width=width, highlight=False).print(table)


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"
