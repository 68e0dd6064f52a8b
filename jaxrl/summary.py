"""What a run leaves besides its numbers: the curve, and summary.json."""

import contextlib
import importlib.metadata
import math
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxrl
from jaxrl import episodes, run_folder
from jaxrl.config import RunConfig
from jaxrl.logging import FROZEN_AT
from jaxrl.plotting import learning_curve
from jaxrl.statistics import bootstrap_interval, interquartile_mean

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "gymnax", "brax", "orbax-checkpoint", "numpy")
# The final return is that of this last part of the updates.
FINAL_PART = 0.1
_TRAINING_EPISODES = "all episodes that ended in training, of policies from the first to the last"

Rows = Sequence[Mapping[str, Any]]


def write_curve(folder: Path, run: RunConfig, rows: Rows) -> None:
    """Draws curve.png; nothing where nothing was logged."""
    if not rows:
        return
    first, last = run.seed_numbers[0], run.seed_numbers[-1]
    seeds = f"seed {first}" if first == last else f"seeds {first}-{last}"
    title = f"{run.algorithm} on {run.env}, {seeds}"
    learning_curve(rows, folder / run_folder.CURVE, title)


@contextlib.contextmanager
def drawn_at_the_end(draw: Callable[[], None]) -> Iterator[None]:
    """Draws the curve, also of a run that stops; then its failure does not hide the reason."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, run_folder.RunFolderError):
            draw()
        raise
    draw()


def write_summary(
    folder: Path,
    run: RunConfig,
    rows: Rows,
    *,
    command: str,
    compile_s: float,
    run_s: float,
    env_steps: int,
    resumed_from: int | None,
    mesh: Mapping[str, int],
    env: Any = None,
) -> dict[str, Any]:
    """Writes summary.json; returns its record.

    Args:
        folder: of the run.
        run: its configuration.
        rows: everything logged.
        command: that started this process.
        compile_s: seconds this process traced and compiled.
        run_s: seconds it trained.
        env_steps: environment steps it made, over all seeds.
        resumed_from: update of the checkpoint it continued, if it did.
        mesh: axis -> number of devices.
        env: the environment, which may measure more of an episode than its return.
    """
    final = final_returns(rows)
    record = {
        "command": command,
        "algorithm": run.algorithm,
        "env": run.env,
        "seeds": list(run.seed_numbers),
        "updates": max((row["update"] for row in rows), default=0),
        "env_steps_per_seed": max((row["env_steps"] for row in rows), default=0),
        "final_return": {str(seed): _number(value) for seed, value in final.items()},
        "final_return_over_seeds": over_seeds(list(final.values())),
        "final_return_is": f"mean over the episodes of the last {FINAL_PART:.0%} of the updates;"
        " a frozen seed has none and is left out over seeds",
        **_training_episodes(env, rows),
        "frozen": {str(seed): update for seed, update in frozen_seeds(rows).items()},
        "compile_s": round(compile_s, 3),
        "run_s": round(run_s, 3),
        "env_steps_per_s": round(env_steps / max(run_s, 1e-9), 1),
        "resumed_from_update": resumed_from,
        "commit": commit(),
        "device": device(),
        "mesh": dict(mesh),
        "versions": versions(),
    }
    run_folder.write_json(folder / run_folder.SUMMARY, record)
    return record


def _training_episodes(env: Any, rows: Rows) -> dict[str, Any]:
    record = episodes.of_training(env, rows)
    return {"training_episodes": {"are": _TRAINING_EPISODES, **record}} if record else {}


def final_returns(rows: Rows) -> dict[int, float]:
    """Mean return of each seed over the episodes of the last tenth of the updates.

    NaN where none ended, and for a seed that was frozen.
    """
    last = max((row["update"] for row in rows), default=0)
    frozen = frozen_seeds(rows)
    returns: dict[int, float] = {}
    for seed in sorted({row["seed"] for row in rows}):
        chosen = [
            (row["episode_return"], row.get("episodes", 1))
            for row in rows
            if row["seed"] == seed
            and seed not in frozen
            and row["update"] > last * (1 - FINAL_PART)
            and not math.isnan(row.get("episode_return", math.nan))
        ]
        count = sum(episodes for _, episodes in chosen)
        total = sum(value * episodes for value, episodes in chosen)
        returns[seed] = total / count if count else math.nan
    return returns


def frozen_seeds(rows: Rows) -> dict[int, int]:
    """Update at which each frozen seed was frozen, as its rows say."""
    return {row["seed"]: row[FROZEN_AT] for row in rows if FROZEN_AT in row}


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean, interquartile mean and its 95% bootstrap interval of one number for each seed.

    Values that are not finite are left out; how many were counted and left out is said.
    """
    known = np.array([value for value in values if math.isfinite(value)], np.float64)
    counts = {"seeds_counted": len(known), "seeds_left_out": len(values) - len(known)}
    if not len(known):
        return {"mean": None, "iqm": None, "iqm_95": None, **counts}
    return {
        "mean": float(known.mean()),
        "iqm": interquartile_mean(known),
        "iqm_95": list(bootstrap_interval(known, interquartile_mean)),
        **counts,
    }


def describe_over_seeds(record: Mapping[str, Any]) -> Iterator[str]:
    """The record of `over_seeds` as a line for a reader; no line where nothing was counted."""
    if record["iqm"] is not None:
        low, high = record["iqm_95"]
        left_out = record["seeds_left_out"]
        note = f", of {record['seeds_counted']} seeds, {left_out} left out" if left_out else ""
        yield (
            f"over seeds: mean {record['mean']:.4g},"
            f" interquartile mean {record['iqm']:.4g} (95% {low:.4g} to {high:.4g}){note}"
        )


def describe_training_episodes(record: Mapping[str, Any]) -> Iterator[str]:
    """What the environment makes, or warns, of a seed's training episodes; else no line."""
    for seed, own in record.get("training_episodes", {}).items():
        if seed == "are":
            continue
        if own["summary"]:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in own["summary"].items())
            yield f"seed {seed}, all {own['episodes']} training episodes: {shown}"
        yield from (f"warning, seed {seed}: {line}" for line in own.get("warnings", ()))


def versions() -> dict[str, str]:
    """Versions of what decides the numbers; packages that are not installed are left out."""
    found = {"python": platform.python_version(), "jaxrl": jaxrl.__version__}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of the checkout that this package runs from; None where it is not one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def device() -> dict[str, Any]:
    """The device that trained: platform, kind and how many JAX sees."""
    first = jax.devices()[0]
    return {"platform": first.platform, "kind": first.device_kind, "count": jax.device_count()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
