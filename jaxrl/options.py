"""The command line's options, typed: what tyro parses, built from an algorithm's own records.

Configuration and hyperparameters are dataclasses with a preset for defaults. Each becomes a plain
dataclass with one option for each number, flag, word or tuple in it (`--hp.objective.clip`), with
the help text of its docstring; `apply` carries what was parsed back into the record. Arrays (the
weights of a learnt objective) are no options and stay as they are.
"""

import contextlib
import dataclasses
import io
import re
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from jaxrl.registry import nearest

_PRIMITIVES = (bool, int, float, str)


class UsageError(ValueError):
    """A command line that cannot be understood; the message is one line."""


def parse(record: type, args: Sequence[str], prog: str, description: str) -> Any:
    """An instance of the dataclass `record` from command line words.

    Prints help and exits with 0 for --help.

    Raises:
        UsageError: an unknown option (names the nearest ones), a value that does not fit.
    """
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            result: Any = tyro.cli(
                record,
                args=list(args),
                prog=prog,
                description=description,
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(_unboxed(errors.getvalue())) from None
    parsed, unknown = result
    if unknown:
        raise UsageError(_unknown(unknown[0], list(option_names(record))))
    return parsed


def parse_some(record: type, args: Sequence[str]) -> Any:
    """An instance of `record` from those words of a command line that are its options.

    Raises:
        UsageError: a value that does not fit.
    """
    words = [word for word in args if word not in ("-h", "--help")]
    try:
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            return tyro.cli(record, args=words, return_unknown_args=True)[0]
    except SystemExit:
        raise UsageError(_unboxed(errors.getvalue())) from None


def option_names(record: Any, prefix: str = "--") -> Iterator[str]:
    """Every option of a dataclass, as it is typed: --hp.gae-lambda."""
    for field in dataclasses.fields(record):
        name = prefix + field.name.replace("_", "-")
        kind: Any = typing.get_args(field.type)[0] if _annotated(field.type) else field.type
        if dataclasses.is_dataclass(kind):
            yield from option_names(kind, name + ".")
        else:
            yield name
    if prefix == "--":
        yield "--help"


def mirror(record: Any, name: str) -> type:
    """A plain dataclass with the options of `record` (an instance), which are its defaults."""
    help_texts = attribute_docs(type(record))
    # Where a record of few fields describes none of them, its own first line does.
    about = (type(record).__doc__ or "").strip().splitlines()[:1]
    hints = typing.get_type_hints(type(record))
    fields: list[Any] = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if dataclasses.is_dataclass(value):
            nested = mirror(value, f"{name}{field.name.title()}")
            if dataclasses.fields(nested):
                fields.append((field.name, nested, dataclasses.field(default_factory=nested)))
            continue
        kind = _option_type(hints[field.name], value)
        if kind is not None:
            text = help_texts.get(field.name, "".join(about))
            fields.append((field.name, option(kind, text), value))
    return dataclasses.make_dataclass(name, fields, frozen=True)


def apply(record: Any, parsed: Any) -> Any:
    """`record` with the values of an instance of its `mirror`; ValueError from its own checks."""
    changes = {}
    for field in dataclasses.fields(parsed):
        value, old = getattr(parsed, field.name), getattr(record, field.name)
        changes[field.name] = apply(old, value) if dataclasses.is_dataclass(old) else value
    return dataclasses.replace(record, **changes)


def attribute_docs(record: type) -> dict[str, str]:
    """Text of each name in the `Attributes:` sections of a class and its bases, as one line."""
    texts: dict[str, str] = {}
    for base in reversed(record.__mro__):
        section = (base.__doc__ or "").partition("Attributes:\n")[2]
        indent = len(section) - len(section.lstrip(" "))
        found = re.findall(
            rf"^ {{{indent}}}(\w+): (.*(?:\n {{{indent}}} +.*)*)", section, re.MULTILINE
        )
        texts.update({name: " ".join(text.split()) for name, text in found})
    return texts


def whole_number(text: str) -> int:
    """An integer, also written as 5e5 or 500_000; ValueError otherwise."""
    with contextlib.suppress(ValueError):
        return int(text)
    number = float(text)
    if number != int(number):
        raise ValueError(f"{text} is not a whole number")
    return int(number)


Count = Annotated[
    int,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda args: whole_number(args[0]),
        is_instance=lambda instance: isinstance(instance, int),
        str_from_instance=lambda instance: [str(instance)],
    ),
]


def option(kind: Any, help_text: str, metavar: str | None = None) -> Any:
    """The annotation of an option with a help text."""
    return Annotated[kind, tyro.conf.arg(help=help_text, metavar=metavar)]


_NonFinite: Any = Literal["stop", "freeze-seed"]
_NONFINITE = "when numbers of a seed are no longer finite:"
# A flag that is only ever given to switch something on.
Flag = tyro.conf.FlagCreatePairsOff[bool]
_Positional: Any = tyro.conf.Positional
_RUN: Any = ("run", _Positional[option(Path, "run folder", "RUN")])
CACHE: Any = ("no_cache", option(Flag, "compile anew: do not use the compile cache"), False)
PROGRESS: Any = ("no_progress", option(Flag, "show no progress"), False)
FIRST_SEED: Any = ("seed", option(int, "the first seed"), 0)
ENV_OVERRIDES: Any = (
    "env_overrides",
    option(
        tuple[str, ...],
        "parameters or constructor arguments of the environment; numbers of a tuple as 33,47",
        "[NAME=VALUE ...]",
    ),
    (),
)
_SHOWN: Any = (
    CACHE,
    ("tensorboard", option(Flag, "also write TensorBoard event files"), False),
    ("wandb", option(Flag, "also log to Weights & Biases, a run for each seed"), False),
    ("wandb_project", option(str, "project of W&B"), "jaxrl"),
    ("wandb_name", option(str | None, "group of W&B; by default the run folder's name"), None),
    (
        "wandb_mode",
        option(Literal["online", "offline"] | None, "by default as WANDB_MODE says"),
        None,
    ),
    PROGRESS,
)


MACHINE: Any = (
    (
        "devices",
        option(
            int | None,
            "devices to use, in each process; by default all, on a CPU one for each core",
            "INT",
        ),
        None,
    ),
    (
        "coordinator",
        option(str | None, "one of several processes: where process 0 listens", "HOST:PORT"),
        None,
    ),
    ("processes", option(int | None, "how many processes there are", "INT"), None),
    ("process_id", option(int | None, "which of them this is, from 0 on", "INT"), None),
    ("distributed", option(Flag, "one of several processes, found out by SLURM or MPI"), False),
)


def machine_options() -> type:
    """What must be known before JAX starts: devices and processes."""
    return dataclasses.make_dataclass("Machine", MACHINE, frozen=True)


def train_options(config: Any, hp: Any, total_steps: int) -> type:
    """The options of `jaxrl train`, whose defaults are a preset's."""
    config_type, hp_type = mirror(config, "Config"), mirror(hp, "Hyperparameters")
    fields: list[Any] = [
        ("seeds", option(int, "seeds trained at once: SEED, SEED + 1, ..."), 1),
        FIRST_SEED,
        ("total_steps", option(Count, "environment steps of each seed"), total_steps),
        ENV_OVERRIDES,
        ("phi", option(Path | None, "file with a learnt objective's weights", "FILE"), None),
        ("out", option(Path | None, "run folder; by default runs/ALGO_ENV", "DIR"), None),
        ("overwrite", option(Flag, "replace an earlier run in DIR"), False),
        *_SHOWN,
        *MACHINE,
        (
            "log_every",
            option(int | None, "updates in a logged line; by default 250 lines a run", "INT"),
            None,
        ),
        (
            "checkpoint_every",
            option(int | None, "updates between checkpoints; by default ten a run", "INT"),
            None,
        ),
        ("keep_last", option(int, "checkpoints kept besides the best"), 3),
        ("on_nonfinite", option(_NonFinite, f"{_NONFINITE} stop, or go on without it"), "stop"),
        ("config", config_type, dataclasses.field(default_factory=config_type)),
        ("hp", hp_type, dataclasses.field(default_factory=hp_type)),
    ]
    return dataclasses.make_dataclass("Train", fields, frozen=True)


def resume_options() -> type:
    """The options of `jaxrl resume`."""
    text = f"{_NONFINITE} stop, or go on without it; by default as the run began"
    fields: list[Any] = [
        _RUN,
        *_SHOWN,
        *MACHINE,
        ("on_nonfinite", option(_NonFinite | None, text, "{stop,freeze-seed}"), None),
        (
            "generations",
            option(int | None, "of a meta-training: as many generations in all", "INT"),
            None,
        ),
    ]
    return dataclasses.make_dataclass("Resume", fields, frozen=True)


def evaluate_options() -> type:
    """The options of `jaxrl evaluate`."""
    which = "last is the newest good checkpoint, best the one with the highest training return"
    fields: list[Any] = [
        _RUN,
        ("episodes", option(Count, "episodes of each seed"), 128),
        ("greedy", option(Flag, "the likeliest action instead of a draw"), False),
        ("seed", option(int, "seed of the episodes"), 0),
        ("checkpoint", option(Literal["both", "last", "best"], which), "both"),
        ("max_steps", option(Count, "an episode longer than this is unfinished"), 100_000),
        CACHE,
    ]
    return dataclasses.make_dataclass("Evaluate", fields, frozen=True)


def render_options() -> type:
    """The options of `jaxrl render`."""
    target = _Positional[option(str, "run folder, or id of an environment", "RUN|ENV")]
    which = "newest good checkpoint, or the best by training return"
    fields: list[Any] = [
        ("target", target),
        ("out", option(Path | None, ".gif or .mp4; .html for Brax", "FILE"), None),
        ("overwrite", option(Flag, "replace FILE"), False),
        (
            "policy",
            option(Literal["trained", "random"] | None, "who plays; by default the run's policy"),
            None,
        ),
        ("which_seed", option(int | None, "seed of the run; by default the first", "INT"), None),
        ("checkpoint", option(Literal["last", "best"], which), "last"),
        ("greedy", option(Flag, "the likeliest action instead of a draw"), False),
        ("seed", option(int, "seed of the episodes"), 0),
        ("episodes", option(Count, "episodes, one after the other"), 1),
        ("max_steps", option(Count, "steps of each episode at most"), 1000),
        ("fps", option(float | None, "frames a second", "FLOAT"), None),
        ENV_OVERRIDES,
        CACHE,
    ]
    return dataclasses.make_dataclass("Render", fields, frozen=True)


def envs_options() -> type:
    """The options of `jaxrl envs`."""
    text = "a part of an id, or a pattern with * and ?"
    pattern = _Positional[option(str, text, "PATTERN")]
    return dataclasses.make_dataclass("Envs", [("pattern", pattern, "")], frozen=True)


def algorithms_options() -> type:
    """The options of `jaxrl algorithms`: none."""
    return dataclasses.make_dataclass("Algorithms", [], frozen=True)


def _annotated(kind: Any) -> bool:
    return typing.get_origin(kind) is Annotated


def _option_type(hint: Any, value: Any) -> Any:
    """The type of an option, None where a value cannot be one."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    members = [m for m in (typing.get_args(hint) if union else (hint,)) if m in _PRIMITIVES]
    if hint is Any and type(value) in _PRIMITIVES:
        return type(value)
    if members and (value is None or isinstance(value, _PRIMITIVES)):
        optional = union and type(None) in typing.get_args(hint)
        # An integer default of a float field must not turn the option into an integer.
        kind = float if float in members else members[0]
        return kind | None if optional else kind
    return hint if typing.get_origin(hint) is tuple else None


def _unknown(word: str, known: list[str]) -> str:
    option = word.partition("=")[0]
    if not option.startswith("-"):
        return f"unexpected argument {word!r}"
    near = nearest(option.replace("_", "-"), known)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; see --help"
    return f"unknown option {option}{hint}"


def _unboxed(text: str) -> str:
    """The first paragraph of a framed error message, in one line."""
    words: list[str] = []
    for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines():
        inner = line.strip(" │")
        if inner.startswith("╭"):
            continue
        if inner.startswith(("─", "╰")):
            break
        words.append(inner)
    return " ".join(words) or "the command line cannot be understood"
