"""The command line: train, resume, evaluate, sweep, meta-train, meta-evaluate, render, play, ...

Every mistake is one line on standard error, never a traceback: exit code 2 for a command line that
cannot be understood (the nearest valid names are given), 1 for everything else that goes wrong.
Heavy modules are imported by the command that needs them, so that help is quick.
"""

import dataclasses
import math
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxrl
from jaxrl.registry import UnknownIdError, nearest

if TYPE_CHECKING:
    from jaxrl.config import RunConfig

_HELP = """\
usage: jaxrl COMMAND ...

Reinforcement learning in JAX, from one command.

  jaxrl train ALGO ENV [options]   train, all seeds at once, into a run folder
  jaxrl resume RUN                 continue a run that was stopped or killed
  jaxrl evaluate RUN [options]     play whole episodes of a run's policies
  jaxrl meta-train ALGO --envs ...  evolve an objective by what it trains
  jaxrl sweep ALGO ENV [options]   train many settings and say which is best
  jaxrl meta-evaluate PHI ...      compare learnt objectives with PPO and DPO
  jaxrl evaluate-model [MODEL ...]  score models of Crafter on the OneLife suite
  jaxrl render RUN|ENV [options]   write a GIF, MP4 or page of an episode
  jaxrl play ENV [options]         play by keys, in the terminal or a web page
  jaxrl bench env|train ...        measure speed, as one line of JSON
  jaxrl envs [PATTERN]             environments with their observations and actions
  jaxrl algorithms                 algorithms

  jaxrl COMMAND --help             options of a command
  jaxrl train ALGO ENV --help      every option of this training, with its default
  jaxrl --version

example: jaxrl train ppo CartPole-v1 --seeds 8 --hp.lr 1e-3 --out runs/cartpole
"""
_TRAIN_HELP = """\
usage: jaxrl train ALGO ENV [options]

Trains ALGO on ENV, all seeds at once, and leaves a run folder with config.json, metrics.jsonl,
checkpoints/, curve.png and summary.json. Defaults are a preset for ENV.

  jaxrl algorithms               what ALGO can be
  jaxrl envs                     what ENV can be; or a class of yours, as module:Class
  jaxrl train ppo CartPole-v1 --help
                                 every option, with the preset's value
"""
_ERROR, _USAGE, _INTERRUPTED = 1, 2, 130
_LINES, _CHECKPOINTS = 250, 10
_META = "jaxrl.algos.meta.command"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(args)
        sys.stdout.flush()  # while a broken pipe is still one of the errors below
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone; nothing more may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as stop:
        return int(stop.code or 0)
    except (ValueError, OSError, RuntimeError) as error:
        if not _expected(error):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return _USAGE if type(error).__name__ in ("UsageError", "UnknownIdError") else _ERROR


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "help"):
        print(_HELP, end="")
        return 0 if args else _USAGE
    if args[0] == "--version":
        print(f"jaxrl {jaxrl.__version__}")
        return 0
    command = _COMMANDS.get(args[0])
    if command is None:
        kind = "option" if args[0].startswith("-") else "command"
        known = ("--version", "--help") if kind == "option" else tuple(_COMMANDS)
        near = nearest(args[0], known) or known
        raise UnknownIdError(f"unknown {kind} {args[0]!r}; did you mean {' or '.join(near)}?")
    return command(args[1:])


def _expected(error: Exception) -> bool:
    """Whether an error was raised by this package's own code, or by the operating system."""
    if isinstance(error, OSError):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("jaxrl")


def _train(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(_TRAIN_HELP, end="")
        return 0 if args else _USAGE
    from jaxrl import registry, run_folder
    from jaxrl.options import UsageError, parse, train_options

    if len(args) < 2 or args[1].startswith("-") or args[0].startswith("-"):
        raise UsageError("expected: jaxrl train ALGO ENV [options]; see jaxrl train --help")
    name, env_id = args[:2]
    _start_machine(args[2:])
    spec, preset = registry.preset(name, env_id)
    record = train_options(preset.config, preset.hp, preset.total_steps)
    options = parse(record, args[2:], f"jaxrl train {name} {env_id}", f"{spec.summary}.")
    run = _run_config(spec, env_id, preset, options)
    out = options.out or Path("runs") / f"{name}_{run_folder.as_name(env_id)}"
    _compile_cache(not options.no_cache)
    from jaxrl import driver

    def begin(shown: Any) -> int:
        result = driver.train(run, out, options.overwrite, shown)
        if _is_leader():
            _report(result, run)
        return 0

    return _to_the_end(begin, out, _options(options, ["train", *args]))


def _run_config(spec: Any, env_id: str, preset: Any, options: Any) -> "RunConfig":
    """The configuration of a parsed command line."""
    from jaxrl.config import RunConfig, parse_overrides
    from jaxrl.driver import num_updates
    from jaxrl.options import UsageError, apply

    config, hp = apply(preset.config, options.config), apply(preset.hp, options.hp)
    if options.phi is not None:
        if spec.learnt is None:
            raise UsageError(f"{spec.name} has no learnt objective, so it takes no --phi")
        hp = hp.replace(objective=spec.learnt.load(options.phi))
    spec.validate(config, hp)
    updates = num_updates(options.total_steps, spec.steps_per_update(config))
    log_every, checkpoint_every = recording(updates, options.log_every, options.checkpoint_every)
    return RunConfig(
        algorithm=spec.name,
        env=env_id,
        env_overrides=parse_overrides(options.env_overrides),
        seeds=options.seeds,
        seed=options.seed,
        total_steps=options.total_steps,
        config=config,
        hp=hp,
        log_every=log_every,
        checkpoint_every=checkpoint_every,
        keep_last=options.keep_last,
        on_nonfinite=options.on_nonfinite,
    )


def recording(updates: int, log_every: int | None, checkpoint_every: int | None) -> tuple[int, int]:
    """(log_every, checkpoint_every) of a run of `updates`, where None is chosen.

    About 250 logged lines and ten checkpoints; every checkpoint falls on a logged update.
    """
    if log_every is None:
        log_every = math.ceil(updates / _LINES)
        if checkpoint_every is not None:
            log_every = max(n for n in range(1, log_every + 1) if checkpoint_every % n == 0)
    if checkpoint_every is None:
        checkpoint_every = log_every * max(1, math.ceil(updates / _CHECKPOINTS / log_every))
    return log_every, checkpoint_every


def _resume(args: list[str]) -> int:
    from jaxrl.options import parse, resume_options

    options = parse(resume_options(), args, "jaxrl resume", "Continues a run.")
    _start_machine(args)
    _compile_cache(not options.no_cache)
    from jaxrl import driver, run_folder

    if run_folder.kind(options.run) == run_folder.META_TRAINING:
        return _meta_resume(args, options)
    if options.generations is not None:
        from jaxrl.options import UsageError

        raise UsageError("--generations is for a meta-training")

    def begin(shown: Any) -> int:
        result = driver.resume(options.run, shown, options.on_nonfinite)
        if not _is_leader():
            return 0
        if result is None:
            print(f"{options.run} is finished: nothing to do")
        else:
            _report(result, driver.load(options.run).run)
        return 0

    return _to_the_end(begin, options.run, _options(options, ["resume", *args]))


def _meta_train(args: list[str]) -> int:
    from jaxrl import registry

    if args and args[0] not in ("-h", "--help"):
        _start_machine(args[1:])  # importing the command starts JAX
    command = registry.module(_META)
    if not args or args[0] in ("-h", "--help"):
        print(command.HELP, end="")
        return 0 if args else _USAGE
    name, options = command.read(args)
    config = command.make_config(name, options)
    _compile_cache(not options.no_cache)
    out = options.out or command.default_folder(config)

    def begin(shown: Any) -> int:
        result = command.begin(config, out, options, shown)
        if _is_leader():
            command.report(result)
        return 0

    return _to_the_end(begin, out, _options(options, ["meta-train", *args]))


def _meta_resume(args: list[str], options: Any) -> int:
    from jaxrl import registry
    from jaxrl.options import UsageError

    if options.tensorboard or options.wandb or options.on_nonfinite is not None:
        raise UsageError("--tensorboard, --wandb and --on-nonfinite are not for a meta-training")
    command = registry.module(_META)
    meta_resume = registry.load("jaxrl.algos.meta.run:meta_resume")

    def begin(shown: Any) -> int:
        result = meta_resume(options.run, options.generations, shown)
        if not _is_leader():
            return 0
        if result is None:
            print(f"{options.run} is finished: nothing to do (--generations makes it longer)")
        else:
            command.report(result)
        return 0

    return _to_the_end(begin, options.run, _options(options, ["resume", *args]))


def _to_the_end(begin: Callable[[Any], int], folder: Path, shown: Any) -> int:
    """Trains; whatever stops it on the way, the user is told how to go on from there."""
    from jaxrl.run_folder import CONFIG, WriteError
    from jaxrl.signals import EXIT_TERMINATED, Terminated, termination

    def going_on() -> str:
        started = (folder / CONFIG).exists()
        return f"; continue with: jaxrl resume {folder}" if started else ""

    try:
        with termination(f"terminated; continue with: jaxrl resume {folder}") as stop:
            shown.stop = stop
            return begin(shown)
    except KeyboardInterrupt:
        _say(f"interrupted{going_on()}")
        return _INTERRUPTED
    except Terminated:
        _say(f"terminated{going_on()}")
        return EXIT_TERMINATED
    except WriteError as error:
        _say(f"error: {error}{going_on()}")
        return _ERROR


def _evaluate(args: list[str]) -> int:
    from jaxrl.options import evaluate_options, parse

    options = parse(evaluate_options(), args, "jaxrl evaluate", "Plays a run's policies.")
    _compile_cache(not options.no_cache)
    from jaxrl.run_evaluation import describe, evaluate_run

    record = evaluate_run(
        options.run,
        options.episodes,
        greedy=options.greedy,
        seed=options.seed,
        which=options.checkpoint,
        max_steps=options.max_steps,
        say=_say,
    )
    for line in describe(record):
        print(line)
    return 0


def _sweep(args: list[str]) -> int:
    from jaxrl.parallel import use_cpu_cores

    use_cpu_cores()
    from jaxrl.sweep.command import sweep

    return sweep(args, _compile_cache, _say)


def _meta_evaluate(args: list[str]) -> int:
    from jaxrl import registry

    if args and args not in (["-h"], ["--help"]):
        _start_machine(args, alone="meta-evaluate")  # importing the command starts JAX
    run = registry.load("jaxrl.algos.meta.evaluate_command:meta_evaluate")
    code: int = run(args, _compile_cache, _say)
    return code


def _evaluate_model(args: list[str]) -> int:
    from jaxrl import registry

    run = registry.load("jaxrl.envs.crafter_oo.evaluation.command:evaluate_model")
    code: int = run(args, _compile_cache, _say)
    return code


def _bench(args: list[str]) -> int:
    from jaxrl.bench_command import bench
    from jaxrl.parallel import use_cpu_cores

    if args[:1] == ["train"]:
        use_cpu_cores()  # as `jaxrl train` does
    return bench(args, _compile_cache)


def _render(args: list[str]) -> int:
    from jaxrl.options import parse, render_options

    options = parse(render_options(), args, "jaxrl render", "Draws episodes.")
    _compile_cache(not options.no_cache)
    from jaxrl.rendering.command import Request, render

    names = {field.name for field in dataclasses.fields(Request)} - {"best"}
    request = Request(
        **{name: getattr(options, name) for name in names}, best=options.checkpoint == "best"
    )
    done = render(request, _say)
    print(f"{done.name}, {done.label}")
    for episode in done.episodes:
        ending = "terminated" if episode.terminated else "truncated"
        if not (episode.terminated or episode.truncated):
            ending = "cut by --max-steps"
        print(f"{episode.length} steps, return {float(episode.returns[-1]):.4g}, {ending}")
    print(f"written: {done.path}")
    return 0


def _play(args: list[str]) -> int:
    from jaxrl.play.command import play

    return play(args, _compile_cache, _say)


def _envs(args: list[str]) -> int:
    from jaxrl.listing import describe_environments
    from jaxrl.options import envs_options, parse

    options = parse(envs_options(), args, "jaxrl envs", "Lists environments.")
    for line in describe_environments(options.pattern):
        print(line, flush=True)
    return 0


def _algorithms(args: list[str]) -> int:
    from jaxrl import registry
    from jaxrl.options import algorithms_options, parse

    parse(algorithms_options(), args, "jaxrl algorithms", "Lists algorithms.")
    names = registry.algorithms()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {registry.algorithm(name).summary}")
    return 0


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "resume": _resume,
    "evaluate": _evaluate,
    "meta-train": _meta_train,
    "sweep": _sweep,
    "meta-evaluate": _meta_evaluate,
    "evaluate-model": _evaluate_model,
    "render": _render,
    "play": _play,
    "bench": _bench,
    "envs": _envs,
    "algorithms": _algorithms,
}


def _options(options: Any, words: list[str]) -> Any:
    from jaxrl.driver import Options
    from jaxrl.wandb_sink import WandbOptions

    wandb = None
    if getattr(options, "wandb", False):
        wandb = WandbOptions(options.wandb_project, options.wandb_name, options.wandb_mode)
    return Options(
        command=shlex.join(["jaxrl", *words]),
        tensorboard=getattr(options, "tensorboard", False),
        wandb=wandb,
        progress=not options.no_progress,
        say=_say if _is_leader() else lambda line: None,
        devices=options.devices,
    )


def _start_machine(args: list[str], alone: str = "") -> None:
    """Devices and processes, as the words of a command say; JAX must not have started.

    To know an algorithm's other options its modules are imported, which starts JAX. `alone` names
    a command that is for a single process.
    """
    from jaxrl import _platform, parallel
    from jaxrl.options import UsageError, machine_options, parse_some

    machine = parse_some(machine_options(), args)
    if machine.devices is not None and machine.devices < 1:
        raise UsageError(f"--devices must be at least 1, got {machine.devices}")
    several = (machine.coordinator, machine.processes, machine.process_id)
    spread = machine.distributed or any(value is not None for value in several)
    if alone and spread:
        raise UsageError(
            f"{alone} runs in a single process, without --coordinator, --processes, --process-id"
            " and --distributed"
        )
    if machine.distributed and any(value is not None for value in several):
        raise UsageError("--distributed finds out by itself what the other options say")
    if machine.devices is None:
        parallel.use_cpu_cores()
    else:
        _platform.set_cpu_devices(machine.devices)
    if spread:
        from jaxrl import hosts

        hosts.initialize(*several)


def _is_leader() -> bool:
    from jaxrl import hosts

    return hosts.is_leader()


def _compile_cache(use: bool) -> None:
    from jaxrl import _platform

    if use:
        _platform.enable_compilation_cache()
    else:
        _platform.disable_compilation_cache()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _report(result: Any, run: "RunConfig") -> None:
    """What a finished training tells."""
    from jaxrl.summary import describe_over_seeds, describe_training_episodes

    summary = result.summary
    print(
        f"{run.algorithm} on {run.env}: {run.seeds} x {summary['env_steps_per_seed']:,} steps;"
        f" compile {summary['compile_s']:.1f} s, run {summary['run_s']:.1f} s"
        f" ({summary['env_steps_per_s']:,.0f} env steps/s)"
    )
    returns = summary["final_return"].items()
    shown = ", ".join(f"{seed}: {'-' if r is None else format(r, '.4g')}" for seed, r in returns)
    print(f"final return by seed: {shown}")
    for seed, update in summary["frozen"].items():
        print(f"seed {seed} is frozen since update {update}: it has no final return")
    for line in describe_over_seeds(summary["final_return_over_seeds"]):
        print(line)
    for line in describe_training_episodes(summary):
        print(line)
    print(f"run folder: {result.folder}")
