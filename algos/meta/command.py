"""`jaxrl meta-train`, and `jaxrl resume` of such a run: options, and what is printed."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax

from jaxrl import hosts, registry
from jaxrl.algorithm import LearntObjective
from jaxrl.algos.meta.config import MetaConfig
from jaxrl.algos.meta.programs import choose_group, set_up
from jaxrl.algos.meta.run import MetaResult, meta_train
from jaxrl.algos.meta.strategies import CMA_ES, OPEN_ES, RANKS, SNES, Z_SCORE, Evolution
from jaxrl.algos.meta.tasks import AUC, check_action_kinds, make_task
from jaxrl.algos.on_policy import drift_files
from jaxrl.config import RunConfig, check_seeds
from jaxrl.driver import Options
from jaxrl.options import (
    CACHE,
    MACHINE,
    PROGRESS,
    Count,
    Flag,
    UsageError,
    attribute_docs,
    option,
    parse,
)
from jaxrl.sweep import names

HELP = """\
usage: jaxrl meta-train ALGO --envs ENV [ENV ...] [options]

Evolves the objective of ALGO (lpo, ta-lpo or dpo): every member of a population trains on every
ENV, and what it reaches is its fitness. Leaves a run folder with config.json, metrics.jsonl,
checkpoints/, curve.png, summary.json and phi.npz, the objective for `jaxrl train ALGO ENV --phi`.
`jaxrl resume RUN` goes on after a stop, with --generations also beyond the end.

  jaxrl meta-train lpo --help    every option

example: jaxrl meta-train lpo --envs CartPole-v1 Acrobot-v1 --total-steps 5e4 --generations 200
"""
_USAGE = 2
# Inner trainings are a part of a preset's, which was chosen for one training.
_PART = 10
_CHOICES: dict[str, Any] = {
    "strategy": Literal["open-es", "snes", "cma-es"],
    "shaping": Literal["z-score", "centred-ranks"],
}
assert _CHOICES["strategy"].__args__ == (OPEN_ES, SNES, CMA_ES)
assert _CHOICES["shaping"].__args__ == (Z_SCORE, RANKS)


def meta_train_options() -> type:
    """The options of `jaxrl meta-train`."""
    docs = attribute_docs(Evolution)
    evolution: list[Any] = [
        (f.name, option(_CHOICES.get(f.name, f.type), docs[f.name]), f.default)
        for f in dataclasses.fields(Evolution)
    ]
    fields: list[Any] = [
        ("envs", option(tuple[str, ...], "environments, trained on all", "ENV [ENV ...]")),
        ("generations", option(Count, "how many"), 100),
        (
            "total_steps",
            option(
                tuple[Count, ...],
                "environment steps of an inner training, one number or one for each ENV; by"
                " default a tenth of the preset's",
                "INT [INT ...]",
            ),
            (),
        ),
        ("seeds", option(int, "inner trainings of each member on each ENV"), 1),
        ("seed", option(int, "seed of everything random"), 0),
        ("fitness", option(Literal["auc", "final"], "area under the curve, or final return"), AUC),
        ("episodes", option(Count, "episodes of a final policy"), 16),
        *evolution,
        ("hidden", option(int | None, "hidden units of the drift network; 128", "INT"), None),
        ("phi", option(Path | None, "start from this objective instead of PPO", "FILE"), None),
        (
            "set",
            option(tuple[str, ...], "settings of all inner trainings", "[hp.NAME=VALUE ...]"),
            (),
        ),
        ("baseline_seeds", option(int, "trainings of PPO whose mean is fitness 1"), 32),
        (
            "group",
            option(
                int | None,
                "trainings vectorised together; by default 4 on a CPU, else what fits into memory",
                "INT",
            ),
            None,
        ),
        (
            "memory_gib",
            option(float | None, "memory of the program; by default 80% of what is free", "FLOAT"),
            None,
        ),
        ("checkpoint_every", option(int, "generations between checkpoints"), 10),
        ("out", option(Path | None, "run folder; by default runs/meta_ALGO_ENV", "DIR"), None),
        ("overwrite", option(Flag, "replace an earlier run in DIR"), False),
        CACHE,
        PROGRESS,
        *MACHINE,
    ]
    return dataclasses.make_dataclass("MetaTrain", fields, frozen=True)


def read(args: Sequence[str]) -> tuple[str, Any]:
    """(algorithm, parsed options) of the words after `meta-train`; UsageError where wrong."""
    if args[0].startswith("-"):
        raise UsageError("expected: jaxrl meta-train ALGO --envs ENV; see jaxrl meta-train --help")
    _learnt(args[0])
    prog = f"jaxrl meta-train {args[0]}"
    return args[0], parse(
        meta_train_options(), args[1:], prog, f"Evolves the objective of {args[0]}."
    )


def _learnt(name: str) -> LearntObjective:
    """What is learnt of an algorithm; UsageError where nothing is."""
    learnt = registry.algorithm(name).learnt
    if learnt is None:
        able = [other for other in registry.algorithms() if registry.algorithm(other).learnt]
        raise UsageError(f"{name} has no learnt objective; choose from {', '.join(able)}")
    return learnt


def configure(algorithm: str, envs: Sequence[str], **options: Any) -> MetaConfig:
    """The configuration that `jaxrl meta-train ALGORITHM --envs ENVS` would have.

    Args:
        algorithm: lpo, ta-lpo or dpo.
        envs: ids of environments.
        **options: of the command, as keywords: `population=16`, `total_steps=(8192,)`. Without
            `group` the program is compiled to see what fits into memory.

    Raises:
        ValueError: whatever is wrong, in one line.
    """
    record = meta_train_options()
    names = [field.name for field in dataclasses.fields(record)]
    for name in options:
        if name not in names:
            near = registry.nearest(name, names) or names
            raise ValueError(f"there is no option {name!r}; nearest: {', '.join(near)}")
    made = record(envs=tuple(envs), **options)
    return fit(make_config(algorithm, made), made)


def make_config(name: str, options: Any) -> MetaConfig:
    """The configuration of a command line; its `group` is chosen by `fit` where none is given.

    Raises:
        ValueError: whatever is wrong, in one line; nothing was compiled.
    """
    learnt = _learnt(name)
    check_seeds(options.seed, name="--seed")
    if options.phi is not None:
        if options.hidden is not None:
            raise UsageError("--hidden is for a new network; that of --phi has its own")
        start = learnt.load(options.phi)
    else:
        hidden = {} if options.hidden is None else {"hidden": options.hidden}
        start = learnt.start(jax.random.key(options.seed), **hidden)
    if len(options.total_steps) not in (0, 1, len(options.envs)):
        raise UsageError(
            f"--total-steps takes one number or one for each of {len(options.envs)} environments,"
            f" got {len(options.total_steps)}"
        )
    given = dict(zip(options.envs, options.total_steps * len(options.envs), strict=False))
    tasks = tuple(_inner(name, env, given.get(env), options.set, start) for env in options.envs)
    evolution = Evolution(
        **{f.name: getattr(options, f.name) for f in dataclasses.fields(Evolution)}
    )
    _check_used(evolution)
    same = ("generations", "seeds", "seed", "fitness", "episodes", "baseline_seeds")
    config = MetaConfig(
        tasks=tasks,
        evolution=evolution,
        group=1 if options.group is None else options.group,
        checkpoint_every=options.checkpoint_every,
        **{field: getattr(options, field) for field in same},
    )
    if options.phi is not None:
        started = drift_files.provenance(options.phi).get("action_kind")
        check_action_kinds([make_task(task) for task in tasks], started)
    return config


def _check_used(evolution: Evolution) -> None:
    """Raises UsageError for settings that the strategy would ignore."""
    if evolution.strategy == OPEN_ES:
        return
    for field in dataclasses.fields(Evolution):
        given = getattr(evolution, field.name) != field.default
        if given and field.name not in ("strategy", "population", "sigma"):
            word = field.name.replace("_", "-")
            raise UsageError(f"--{word} is of {OPEN_ES}; {evolution.strategy} has none")


def _inner(name: str, env: str, steps: int | None, changes: Sequence[str], start: Any) -> RunConfig:
    """The inner training on one environment."""
    _, preset = registry.preset(name, env)
    run = RunConfig(
        algorithm=name,
        env=env,
        env_overrides=(),
        seeds=1,
        seed=0,
        total_steps=max(1, preset.total_steps // _PART) if steps is None else steps,
        config=preset.config,
        hp=preset.hp.replace(objective=start),
    )
    table = names.kinds(run)
    values = {}
    for word in changes:
        setting, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"--set takes NAME=VALUE, got {word!r}")
        setting = names.known(setting, table)
        if setting.startswith("hp.objective"):
            raise UsageError(f"--set cannot change {setting}, which is what is learnt")
        values[setting] = names.parse(table[setting], text, setting)
    return names.assign(run, values)


def fit(config: MetaConfig, options: Any) -> MetaConfig:
    """`config` with the size of group that was asked for, or the one that fits."""
    if options.group is not None:
        if options.memory_gib is not None:
            raise UsageError("--memory-gib chooses a --group: give one of them")
        return config
    group = choose_group(set_up(config), options.memory_gib, options.devices)
    return dataclasses.replace(config, group=group)


def default_folder(config: MetaConfig) -> Path:
    """runs/meta_ALGO_ENV_ENV."""
    from jaxrl.run_folder import as_name

    return Path("runs") / "_".join(["meta", config.algorithm, *map(as_name, config.environments)])


def begin(config: MetaConfig, folder: Path, options: Any, shown: Options) -> MetaResult:
    """Checks the folder, chooses the group and trains."""
    from jaxrl import run_folder

    hosts.on_leader(lambda: run_folder.check_free(folder, options.overwrite))
    return meta_train(fit(config, options), folder, options.overwrite, shown)


def report(result: MetaResult) -> None:
    """What a finished meta-training tells."""
    summary = result.summary
    print(
        f"{summary['algorithm']} on {', '.join(summary['environments'])}:"
        f" {summary['generations']} generations of {summary['population']};"
        f" compile {summary['compile_s']:.1f} s, run {summary['run_s']:.1f} s"
        f" ({summary['env_steps_per_s']:,.0f} env steps/s)"
    )
    first, last = summary["first_fitness"], summary["last_fitness"]
    print(f"fitness of the population (1 is PPO): {first} in the first generation, {last} at last")
    if summary["failed_members"]:
        print(f"{summary['failed_members']} members failed (numbers that are not finite)")
    phi = result.folder / "phi.npz"
    env = summary["environments"][0]
    print(f"train with it: jaxrl train {summary['algorithm']} {env} --phi {phi}")
    print(f"run folder: {result.folder}")
