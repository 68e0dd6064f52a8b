"""`jaxrl bench`: one line of JSON on standard output, and nothing else there."""

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

from jaxrl import registry
from jaxrl.config import RunConfig, parse_overrides
from jaxrl.options import (
    CACHE,
    ENV_OVERRIDES,
    FIRST_SEED,
    Count,
    UsageError,
    apply,
    mirror,
    option,
    parse,
)

HELP = """\
usage: jaxrl bench env ENV [options]
       jaxrl bench train ALGO ENV [options]

Measures how fast ENV steps under the random policy, or how fast ALGO trains on it, and prints one
line of JSON: device, versions, batch, compile seconds, steps per second (median and every repeat),
what exact resets cost, peak memory.

  jaxrl bench env ENV --help           options
  jaxrl bench train ALGO ENV --help    options, and every option of the training
"""
_USAGE = "expected: jaxrl bench env ENV, or jaxrl bench train ALGO ENV; see jaxrl bench --help"
_REPEATS: Any = ("repeats", option(int, "timed calls, after one that warms up"), 5)
# Updates of a repeat unless --total-steps says otherwise.
_UPDATES = 64


def bench(args: list[str], compile_cache: Callable[[bool], None]) -> int:
    """Runs the command; returns the exit code.

    Args:
        args: words after `jaxrl bench`.
        compile_cache: switches the compile cache on or off.

    Raises:
        UsageError: the words cannot be understood.
        ValueError: they cannot be done; nothing was compiled.
    """
    if not args or args[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if args else 2
    names = {"env": 1, "train": 2}.get(args[0], 0)
    if not names or len(args) <= names or any(word.startswith("-") for word in args[: names + 1]):
        raise UsageError(_USAGE)
    command = _env if args[0] == "env" else _train
    # Libraries print, when they are imported or miss something: not between us and a reader.
    helping = {"-h", "--help"} & set(args)
    with contextlib.redirect_stdout(sys.stdout if helping else sys.stderr):
        record = command(args[1 : names + 1], args[names + 1 :], compile_cache)
    print(json.dumps(record, allow_nan=False))
    return 0


def _env(names: list[str], words: list[str], compile_cache: Callable[[bool], None]) -> Any:
    env_id = names[0]
    registry.check_environment(env_id)
    fields: list[Any] = [
        ("batch", option(Count, "environments stepped at once"), 2048),
        ("steps", option(Count, "steps of each in one repeat"), 1000),
        _REPEATS,
        FIRST_SEED,
        ENV_OVERRIDES,
        CACHE,
    ]
    options = _parse(fields, words, f"jaxrl bench env {env_id}")
    overrides = dict(parse_overrides(options.env_overrides))
    from jaxrl.parallel import use_cpu_cores

    use_cpu_cores()
    compile_cache(not options.no_cache)
    from jaxrl.benchmark import bench_env

    return bench_env(
        env_id,
        overrides=overrides,
        batch=options.batch,
        steps=options.steps,
        repeats=options.repeats,
        seed=options.seed,
    )


def _train(names: list[str], words: list[str], compile_cache: Callable[[bool], None]) -> Any:
    name, env_id = names
    spec, preset = registry.preset(name, env_id)
    config, hp = mirror(preset.config, "Config"), mirror(preset.hp, "Hyperparameters")
    fields: list[Any] = [
        ("seeds", option(int, "seeds trained at once"), 1),
        FIRST_SEED,
        (
            "total_steps",
            option(Count | None, f"steps of each seed; by default {_UPDATES} updates", "INT"),
            None,
        ),
        _REPEATS,
        ENV_OVERRIDES,
        CACHE,
        ("config", config, dataclasses.field(default_factory=config)),
        ("hp", hp, dataclasses.field(default_factory=hp)),
    ]
    options = _parse(fields, words, f"jaxrl bench train {name} {env_id}")
    chosen = apply(preset.config, options.config)
    steps = options.total_steps
    run = RunConfig(
        algorithm=name,
        env=env_id,
        env_overrides=parse_overrides(options.env_overrides),
        seeds=options.seeds,
        seed=options.seed,
        total_steps=_UPDATES * spec.steps_per_update(chosen) if steps is None else steps,
        config=chosen,
        hp=apply(preset.hp, options.hp),
    )
    compile_cache(not options.no_cache)
    from jaxrl.benchmark import bench_train

    return bench_train(run, options.repeats)


def _parse(fields: list[Any], words: list[str], prog: str) -> Any:
    record = dataclasses.make_dataclass("Bench", fields, frozen=True)
    return parse(record, words, prog, "Measures, and prints one line of JSON.")
