"""`jaxrl evaluate-model`: models of Crafter on the OneLife suite, beside the oracle."""

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from jaxrl.options import CACHE, PROGRESS, Count, Flag, UsageError, option, parse

HELP = """\
usage: jaxrl evaluate-model [MODEL ...] [options]

Asks models of Crafter what comes next: in prepared scenarios, which of twelve states is the true
next one (Rank@1, mean reciprocal rank), and how many edits a predicted state is away from it. The
oracle, which knows the true probabilities, is the ceiling and always in the table.

  MODEL                          oracle, random, no-change, learned (all four by default), or
                                 module:attribute of a function of yours, (rules, key) -> model
  jaxrl evaluate-model --help    every option

example: jaxrl evaluate-model learned --scenarios published --out scores.json
"""
_Positional: Any = tyro.conf.Positional
_ORACLE = "oracle"
_WIDTH = 24  # characters of a model's column


def evaluate_model_options() -> type:
    """The options of `jaxrl evaluate-model`."""
    from jaxrl.envs.crafter_oo.evaluation.models import MODELS
    from jaxrl.envs.crafter_oo.rules import PRESETS

    known = f"{', '.join(MODELS)}, or module:attribute; by default those named"
    groups = "names of scenarios, or published, further, all"
    fields: list[Any] = [
        ("models", _Positional[option(tuple[str, ...], known, "[MODEL ...]")], ()),
        ("scenarios", option(tuple[str, ...], groups, "NAME [NAME ...]"), ("all",)),
        ("trials", option(Count, "of each scenario"), 5),
        ("seed", option(int, "of states, distractors, samples and the learned model's life"), 0),
        ("rules", option(str, f"of the true world: {', '.join(PRESETS)}"), "crafter"),
        ("out", option(Path | None, "also write the scores as JSON", "FILE"), None),
        ("overwrite", option(Flag, "replace FILE"), False),
        CACHE,
        PROGRESS,
    ]
    return dataclasses.make_dataclass("EvaluateModel", fields, frozen=True)


def evaluate_model(
    args: list[str], compile_cache: Callable[[bool], None], say: Callable[[str], None]
) -> int:
    """Runs the command; returns the exit code.

    Args:
        args: words after `evaluate-model`.
        compile_cache: switches the compile cache on or off.
        say: takes lines for the user.

    Raises:
        UsageError: the words cannot be understood.
        ValueError: they cannot be done; nothing was compiled or written.
    """
    if args == ["-h"]:
        print(HELP, end="")
        return 0
    options = parse(evaluate_model_options(), args, "jaxrl evaluate-model", HELP.split("\n\n")[1])
    compile_cache(not options.no_cache)
    quiet = (lambda line: None) if options.no_progress else say
    record, lines = run(options, shlex.join(["jaxrl", "evaluate-model", *args]), quiet)
    for line in lines:
        print(line)
    if options.out is not None:
        from jaxrl.run_folder import write_json

        write_json(options.out, record)
        print(f"written: {options.out}")
    return 0


def run(options: Any, command: str, say: Callable[[str], None]) -> tuple[dict[str, Any], list[str]]:
    """The record of an evaluation and the lines that show it; arguments as parsed."""
    import jax

    from jaxrl.config import check_seeds
    from jaxrl.envs.crafter_oo import rules as rule_sets
    from jaxrl.envs.crafter_oo.evaluation import models, scenarios, suite

    names = list(dict.fromkeys([_ORACLE, *(options.models or models.MODELS)]))
    chosen = scenarios.select(options.scenarios)
    rules = rule_sets.preset(options.rules)
    for name in names:
        models.factory(name)
    if options.trials < 1 or not chosen:
        raise UsageError("--trials must be at least 1, and --scenarios name at least one")
    check_seeds(options.seed, name="seed")
    if options.out is not None:
        _check_out(options.out, options.overwrite)
    made = {}
    for name in names:
        say(f"model: {name}")
        made[name] = models.make(name, rules, jax.random.key(options.seed))
    results = suite.evaluate(made, chosen, rules, seed=options.seed, trials=options.trials, say=say)
    return _record(options, command, results), list(describe(results))


def describe(results: Any) -> list[str]:
    """The lines of a table: scenarios, their mean, and who beats whom."""
    from jaxrl.envs.crafter_oo.evaluation import suite

    names = list(results)
    scenarios = list(results[names[0]])
    first = max(map(len, [*scenarios, "scenario", "mean"]))
    width = max(_WIDTH, *map(len, names))
    heads = (f"{name:>{width}}" for name in names)
    columns = f"{'R@1   MRR  edits   norm':>{width}}"
    lines = [
        f"{'':{first}}  {'  '.join(heads)}",
        f"{'scenario':{first}}  {'  '.join(columns for _ in names)}",
    ]
    for scenario in scenarios:
        cells = (_cell(results[name][scenario], width) for name in names)
        lines.append(f"{scenario:{first}}  {'  '.join(cells)}")
    means = suite.totals(results)
    lines.append(f"{'mean':{first}}  {'  '.join(_cell(means[name], width) for name in names)}")
    for name in names:
        for other in names:
            if name not in (_ORACLE, "random", "no-change") and other not in (_ORACLE, name):
                better, worse = suite.wins(results, name, other)
                lines.append(
                    f"{name} beats {other} on {better} of {len(scenarios)} scenarios and loses on"
                    f" {worse}"
                )
    return lines


def _cell(score: Any, width: int) -> str:
    text = (
        f"{score.rank_at_1:.2f}  {score.mrr:.2f}  {score.edits:5.1f}  {score.edits_normalised:.3f}"
    )
    return f"{text:>{width}}"


def _record(options: Any, command: str, results: Any) -> dict[str, Any]:
    from jaxrl.envs.crafter_oo.evaluation import suite

    names = list(results)
    return {
        "command": command,
        "seed": options.seed,
        "trials": options.trials,
        "rules": options.rules,
        "mean": {name: score._asdict() for name, score in suite.totals(results).items()},
        "wins_and_losses": {
            name: {other: suite.wins(results, name, other) for other in names if other != name}
            for name in names
        },
        "scenarios": {
            name: {scenario: score._asdict() for scenario, score in scores.items()}
            for name, scores in results.items()
        },
    }


def _check_out(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise ValueError(f"{path} is a folder; --out names a file")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent} for {path.name}")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; --overwrite replaces it")
