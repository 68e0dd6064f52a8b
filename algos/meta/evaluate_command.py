"""`jaxrl meta-evaluate`: learnt objectives against PPO and DPO, on environments old and new."""

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tyro

from jaxrl.options import CACHE, PROGRESS, Count, Flag, UsageError, option, parse

HELP = """\
usage: jaxrl meta-evaluate PHI [PHI ...] --envs ENV [ENV ...] [options]

Trains PPO, DPO and every learnt objective PHI on every ENV with the same seeds, for one or several
budgets, and says who wins: printed, and in DIR as matrix.json, matrix.md, matrix.png; drifts.png
shows the objectives. All have the same settings: those that PHI was trained with on ENV where its
file says so, or else the preset's. The same command again goes on where it was stopped.

  PHI                            file of a learnt objective, or pretrained/NAME
  jaxrl meta-evaluate PHI --help every option

example: jaxrl meta-evaluate runs/meta/phi.npz --envs CartPole-v1 Acrobot-v1 --horizons 1 4
"""
_INTERRUPTED, _USAGE = 130, 2
_FOLDER = Path("runs") / "meta_evaluate"
_Positional: Any = tyro.conf.Positional


def evaluate_options() -> type:
    """The options of `jaxrl meta-evaluate`."""
    files = "files of learnt objectives, or pretrained/NAME"
    budget = (
        "steps of horizon 1, one number or one for each ENV; by default what PHI was trained with,"
        " or the preset's"
    )
    fields: list[Any] = [
        ("phi", _Positional[option(tuple[str, ...], files, "PHI [PHI ...]")]),
        ("envs", option(tuple[str, ...], "test environments", "ENV [ENV ...]")),
        ("seeds", option(int, "seeds of each cell: SEED, SEED + 1, ...; verdicts need 5"), 16),
        ("seed", option(int, "the first seed"), 10_000),
        (
            "horizons",
            option(tuple[float, ...], "budgets, as multiples of the base", "N [N ...]"),
            (1.0, 4.0),
        ),
        ("total_steps", option(tuple[Count, ...], budget, "INT [INT ...]"), ()),
        ("episodes", option(Count, "whole episodes of each seed's final policy"), 128),
        ("out", option(Path, "folder of the matrix", "DIR"), _FOLDER),
        ("overwrite", option(Flag, "replace an earlier matrix in DIR"), False),
        (
            "devices",
            option(int | None, "devices to use; by default all, on a CPU one a core", "INT"),
            None,
        ),
        CACHE,
        PROGRESS,
    ]
    return dataclasses.make_dataclass("MetaEvaluate", fields, frozen=True)


def meta_evaluate(
    args: list[str],
    compile_cache: Callable[[bool], None],
    say: Callable[[str], None],
) -> int:
    """Runs the command, on the devices that JAX has; returns the exit code.

    Args:
        args: words after `meta-evaluate`.
        compile_cache: switches the compile cache on or off.
        say: takes lines for the user.

    Raises:
        UsageError: the words cannot be understood.
        ValueError: they cannot be done; nothing was compiled or written.
    """
    if not args or args in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0 if args else _USAGE
    description = "Learnt objectives against PPO and DPO."
    options = parse(evaluate_options(), args, "jaxrl meta-evaluate", description)
    if not options.phi or not options.envs:
        raise UsageError(
            "expected: jaxrl meta-evaluate PHI [PHI ...] --envs ENV [ENV ...]; see --help"
        )
    compile_cache(not options.no_cache)
    try:
        return _evaluate(options, shlex.join(["jaxrl", "meta-evaluate", *args]), say)
    except KeyboardInterrupt:
        say("interrupted; finished cells are kept, the same command continues")
        return _INTERRUPTED


def _evaluate(options: Any, command: str, say: Callable[[str], None]) -> int:
    from jaxrl import registry
    from jaxrl.algos.meta import contenders, matrix

    for env in options.envs:
        registry.check_environment(env)
    plan = matrix.make_plan(
        contenders.load(options.phi),
        options.envs,
        seeds=options.seeds,
        seed=options.seed,
        horizons=options.horizons,
        total_steps=options.total_steps,
        episodes=options.episodes,
    )
    quiet = (lambda line: None) if options.no_progress else say
    for line in run_plan(
        plan,
        options.out,
        overwrite=options.overwrite,
        devices=options.devices,
        command=command,
        say=quiet,
    ):
        print(line)
    print(f"\nmatrix folder: {options.out}")
    return 0


def run_plan(
    plan: Any,
    folder: Path,
    *,
    overwrite: bool = False,
    devices: int | None = None,
    command: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> Sequence[str]:
    """Computes what is missing of a matrix and writes its tables and pictures.

    Args:
        plan: see `jaxrl.algos.meta.matrix.make_plan`.
        folder: of the matrix.
        overwrite: start anew.
        devices: among which seeds are divided; all if None.
        command: recorded in matrix.json.
        say: takes lines about progress.

    Returns:
        The table in lines.

    Raises:
        ValueError: the folder holds something else.
        RuntimeError: not even one seed fits into memory.
    """
    from jaxrl import run_folder
    from jaxrl.algos.meta import heatmaps, matrix, matrix_plot, matrix_report

    matrix.check(plan, folder, overwrite)
    folder.mkdir(parents=True, exist_ok=True)

    def show() -> matrix_report.Matrix:
        found = matrix_report.gather(folder, plan)
        matrix_report.write(folder, found, command)
        matrix_plot.draw(folder / matrix.PICTURE, found)
        return found

    with run_folder.locked(folder):
        # Another process may have written between the first look and the lock.
        matrix.check(plan, folder, overwrite)
        matrix.start(plan, folder, overwrite)
        drawn = [
            panel
            for contender in plan.contenders
            if contender.learnt is not None
            for panel in heatmaps.panels(contender.name, contender.learnt, contender.phi)
        ]
        heatmaps.draw(folder / matrix.DRIFTS, drawn)
        matrix.compute(plan, folder, devices=devices, say=say, after_column=show)
        return list(matrix_report.lines(show()))
