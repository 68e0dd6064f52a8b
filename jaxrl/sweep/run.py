"""The whole of a sweep from Python: plan, compute (here or by a launcher), table and plot."""

import shlex
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrl import registry, run_folder
from jaxrl.config import RunConfig
from jaxrl.sweep import plan as plans
from jaxrl.sweep.compute import Limits, compute
from jaxrl.sweep.groups import group
from jaxrl.sweep.launch import Launch
from jaxrl.sweep.names import assign, checked, kinds, known
from jaxrl.sweep.plan import Plan
from jaxrl.sweep.plot import draw
from jaxrl.sweep.points import expand
from jaxrl.sweep.table import SweepResult, gather, write

EPISODES = 128


def run_sweep(
    algorithm: str,
    env: str,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    memory_gib: float | None = None,
    points_per_chunk: int | None = None,
    launch: Launch | None = None,
    say: Callable[[str], None] | None = None,
    **settings: Any,
) -> SweepResult:
    """Trains every point with every seed, evaluates it, and says which is best.

    Points of one shape are one compiled program, `jaxrl.map_seeds` over points and seeds. Finished
    points are kept in the folder: called again after a kill, only the others are computed.

    Seeds are divided among JAX's devices. A CPU is one device unless told otherwise: to make use of
    all its cores call `jaxrl.parallel.use_cpu_cores()` first, before `jaxrl.run_sweep` is imported
    or named. The command line and the jobs of a launcher do so.

    Args:
        algorithm: name in the registry.
        env: environment id.
        out: the sweep folder, `runs/sweep_ALGO_ENV` by default.
        overwrite: remove what an earlier sweep left in `out`.
        memory_gib: memory a program may use; by default 80% of what the device has free.
        points_per_chunk: most points between two savings; see `jaxrl.sweep.compute.Limits`.
        launch: how jobs are started; None computes in this process.
        say: takes lines about progress; none are shown by default.
        **settings: what to sweep, see `make_plan`: `grid`, `random`, `seeds`, `total_steps`, ...

    Returns:
        The table, best point first, and everything that was recorded. Points may be missing where
        a launcher's jobs are still to run.

    Raises:
        ValueError: whatever is wrong with the sweep, in one line, before anything is compiled or
            written; or `out` holds something else.
        RuntimeError: not even one seed fits into memory, or a launcher's job failed.
    """
    sweep = make_plan(algorithm, env, **settings)
    return run_plan(
        sweep,
        Path(out) if out is not None else default_folder(sweep),
        overwrite=overwrite,
        limits=Limits(memory_gib, points_per_chunk),
        launch=launch,
        say=say,
        command=shlex.join(["python", *sys.argv]),
    )


def make_plan(
    algorithm: str,
    env: str,
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    random: Mapping[str, Any] | None = None,
    samples: int | None = None,
    sample_seed: int = 0,
    fixed: Mapping[str, Any] | None = None,
    episodes: int = EPISODES,
    greedy: bool = False,
    **run: Any,
) -> Plan:
    """The plan of a sweep.

    Args:
        algorithm: name in the registry.
        env: environment id.
        grid: values by name, `{"hp.lr": [1e-4, 1e-3]}`; several names make their product.
        random: ranges by name, `{"hp.gamma": (0.95, 0.999)}` or `Range(1e-4, 1e-2, log=True)` or
            "log:1e-4:1e-2"; every point of the grid is combined with every draw.
        samples: draws of the random axes, 4 by default.
        sample_seed: of the draws.
        fixed: other settings of all points, by name; what is not named is the preset's.
        episodes: evaluation episodes of each seed's final policy, whose mean return is its score;
            0 scores by the training return of the last tenth of the updates.
        greedy: evaluate with the likeliest action instead of a draw.
        **run: `seeds` (4), `seed` (0, the first of them), `total_steps` of each seed (the
            preset's), and `env_overrides`, parameters or constructor arguments by name.

    Raises:
        ValueError: an unknown name, or a value that does not fit.
    """
    base = _base(algorithm, env, **run)
    table = kinds(base)
    named = {known(name, table): value for name, value in (fixed or {}).items()}
    base = assign(base, {name: checked(table[name], v, name) for name, v in named.items()})
    points = expand(table, grid or {}, random or {}, samples, sample_seed)
    return Plan(base, tuple(points), episodes, greedy)


def _base(
    algorithm: str,
    env: str,
    *,
    seeds: int = 4,
    seed: int = 0,
    total_steps: int | None = None,
    env_overrides: Mapping[str, Any] | None = None,
) -> RunConfig:
    preset = registry.algorithm(algorithm).preset(env)
    return RunConfig(
        algorithm=algorithm,
        env=env,
        env_overrides=tuple(sorted((env_overrides or {}).items())),
        seeds=seeds,
        seed=seed,
        total_steps=preset.total_steps if total_steps is None else total_steps,
        config=preset.config,
        hp=preset.hp,
    )


def run_plan(
    sweep: Plan,
    folder: Path,
    *,
    overwrite: bool = False,
    limits: Limits | None = None,
    launch: Launch | None = None,
    say: Callable[[str], None] | None = None,
    command: str = "",
    merge_only: bool = False,
) -> SweepResult:
    """Computes what is missing of a plan, then writes table and plot of all that is finished.

    Args:
        sweep: what to compute.
        folder: of the sweep.
        overwrite: start anew.
        limits: how much is computed at once.
        launch: how jobs are started; None computes in this process.
        say: takes lines about progress.
        command: recorded in table.json.
        merge_only: compute nothing.

    Raises:
        ValueError, RuntimeError: see `run_sweep`.
    """
    say = say or (lambda line: None)
    limits = limits or Limits()
    plans.check(sweep, folder, overwrite)
    # Whatever is wrong with a point is found here, before anything is written.
    groups = group(sweep, range(len(sweep.points)))
    folder.mkdir(parents=True, exist_ok=True)
    with run_folder.locked(folder):
        # Another process may have written between the first look and the lock.
        plans.check(sweep, folder, overwrite)
        plans.start(sweep, folder, overwrite)
        todo = plans.missing(sweep, plans.read_points(folder, sweep))
        if len(todo) < len(sweep.points):
            say(f"{len(sweep.points) - len(todo)} of {len(sweep.points)} points are finished")
        if todo and not merge_only:
            if launch is None:
                compute(folder, sweep, groups, limits, say)
            else:
                slices = launch.slices([list(g.indices) for g in groups], set(todo))
                launch.run(folder, slices, limits, say)
        result = gather(folder, sweep, warnings.warn)
        if result.table:
            write(result, command)
            draw(result, folder / plans.PICTURE)
    return result


def default_folder(sweep: Plan) -> Path:
    """Where a sweep goes that names no folder."""
    name = run_folder.as_name(sweep.base.env)
    return Path("runs") / f"sweep_{sweep.base.algorithm}_{name}"
