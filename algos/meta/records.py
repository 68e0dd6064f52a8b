"""What a meta-training leaves behind: rows, the fitness curve, provenance, summary.json."""

import hashlib
import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl import run_folder
from jaxrl.algos.meta.config import MetaConfig
from jaxrl.algos.meta.programs import Compiled, MetaSetup
from jaxrl.logging import JsonLines, Progress, Row, cut_metrics
from jaxrl.run_folder import write_whole
from jaxrl.summary import commit, device, versions

# Points of the fitness curve in a file of weights.
_CURVE_POINTS = 50


class Log:
    """Rows of generations: metrics.jsonl and the progress bar.

    Attributes:
        rows: of all generations, those of earlier processes included.
    """

    def __init__(self, setup: MetaSetup, say: Callable[[str], None]) -> None:
        """A log that is written nowhere yet; `say` takes lines for the user."""
        self._config, self._env_steps, self._say = setup.config, setup.env_steps, say
        self._lines: JsonLines | None = None
        self._bar: Progress | None = None
        self.rows: list[Row] = []
        self._before = self._start = self._end = 0.0

    def open(self, folder: Path, done: int, progress: bool) -> None:
        """Goes on in the files of `folder` after generation `done`."""
        path, config = folder / run_folder.METRICS, self._config
        self.rows = list(cut_metrics(path, done))
        self._before = max((row["wall_s"] for row in self.rows), default=0.0)
        self._lines = JsonLines(path)
        if progress:
            title = f"{config.algorithm} on {', '.join(config.environments)}"
            shown = ("fitness_mean", "fitness")
            self._bar = Progress(title, config.generations, done, unit="generations", shown=shown)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *unused: Any) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._lines is not None:
            self._lines.close()

    def started(self) -> None:
        """Compilation is over."""
        self._start = self._end = time.perf_counter()
        if self._bar is not None:
            self._bar.start()

    @property
    def seconds(self) -> float:
        """Seconds that this process trained."""
        return self._end - self._start

    def add(self, generation: int, metrics: Mapping[str, Any]) -> Row:
        """Takes the metrics of a generation, see `jaxrl.algos.meta.generation.Generation`."""
        self._end = time.perf_counter()
        fitness = np.asarray(metrics["fitness"], np.float64)
        good = fitness[np.isfinite(fitness)]
        nan = float("nan")
        row: dict[str, int | float] = {
            "update": generation,
            "seed": self._config.seed,
            "env_steps": generation * self._env_steps,
            "wall_s": self._before + self.seconds,
            "fitness_mean": float(good.mean()) if len(good) else nan,
            "fitness_std": float(good.std()) if len(good) else nan,
            "fitness_best": float(good.max()) if len(good) else nan,
            "fitness_worst": float(good.min()) if len(good) else nan,
            "failed": int(metrics["failed"]),
            **{name: float(metrics[name]) for name in ("sigma", "weight_norm", "step_norm")},
        }
        for env, value in zip(self._config.environments, metrics["returns"], strict=True):
            row[f"return/{env}"] = float(value)
        self.rows.append(row)
        if row["failed"]:
            size = len(fitness)
            self._say(f"generation {generation}: {row['failed']} of {size} members failed")
        if self._lines is not None:
            self._lines.write([row])
        if self._bar is not None:
            self._bar.write([row])
        return row

    def sync(self) -> None:
        """Waits until the rows are on the disk."""
        if self._lines is not None:
            self._lines.sync()


def provenance(
    setup: MetaSetup, rows: Sequence[Row], reference: Mapping[str, Any]
) -> dict[str, Any]:
    """How a drift was made, as JSON values: what travels with its weights.

    Args:
        setup: of the run.
        rows: of its generations.
        reference: what references.json holds: the command that began the run, and what PPO and the
            random policy score.
    """
    config = setup.config
    picked = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _CURVE_POINTS)).astype(int))
    curve = [rows[i] for i in picked]
    settings = config.to_json()
    same = ("evolution", "fitness", "episodes", "baseline_seeds", "group")
    return {
        "command": reference["command"],
        "algorithm": config.algorithm,
        "action_kind": setup.action_kind,
        "environments": list(config.environments),
        "tasks": [_task(run.to_json()) for run in config.tasks],
        **{name: settings[name] for name in same},
        "generations": len(rows),
        "inner_seeds": config.seeds,
        "meta_seed": config.seed,
        "start": _start(setup),
        "references": {
            task["env"]: {"ppo": task["ppo"], "random": task["random"]}
            for task in reference["tasks"]
        },
        "fitness_curve": {
            "generation": [int(row["update"]) for row in curve],
            "mean": [_rounded(row["fitness_mean"]) for row in curve],
        },
        "env_steps": int(rows[-1]["env_steps"]) if rows else 0,
        "wall_s": round(float(rows[-1]["wall_s"]), 1) if rows else 0.0,
        "commit": commit(),
        "device": device(),
        "versions": versions(),
    }


def _start(setup: MetaSetup) -> dict[str, Any]:
    """Where evolution began: PPO if the network added nothing, and a digest of the weights."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(setup.start):
        found.update(np.asarray(leaf, np.float32).tobytes())
    output = getattr(setup.start, "output", None)
    is_ppo = output is not None and not np.asarray(output).any()
    return {"is_ppo": is_ppo, "sha256": found.hexdigest()}


def _task(record: dict[str, Any]) -> dict[str, Any]:
    """The settings of an inner training without the weights it starts from."""
    kept = {name: record[name] for name in ("env", "env_overrides", "total_steps", "config", "hp")}
    kept["hp"] = {name: value for name, value in kept["hp"].items() if name != "objective"}
    return kept


def write_summary(
    folder: Path, setup: MetaSetup, log: Log, compiled: Compiled, command: str, done: int
) -> dict[str, Any]:
    """Writes summary.json; returns its record."""
    config, rows = setup.config, log.rows
    generations = config.generations - done
    record = {
        "command": command,
        "algorithm": config.algorithm,
        "environments": list(config.environments),
        "generations": len(rows),
        "population": config.evolution.population,
        "first_fitness": _rounded(rows[0]["fitness_mean"]),
        "last_fitness": _rounded(float(np.nanmean([r["fitness_mean"] for r in rows[-10:]]))),
        "last_fitness_is": "mean over members of the last ten generations; 1 is PPO, 0 random",
        "failed_members": sum(int(row["failed"]) for row in rows),
        "env_steps_per_generation": setup.env_steps,
        "compile_s": round(compiled.compile_s, 3),
        "run_s": round(log.seconds, 3),
        "env_steps_per_s": round(generations * setup.env_steps / max(log.seconds, 1e-9), 1),
        "program_bytes": compiled.bytes,
        "devices": compiled.devices,
        "resumed_from_generation": done or None,
        "commit": commit(),
        "device": device(),
        "versions": versions(),
    }
    run_folder.write_json(folder / run_folder.SUMMARY, record)
    return record


def draw_curve(folder: Path, config: MetaConfig, rows: Sequence[Row]) -> None:
    """Draws the fitness of the population, its best and its worst, into curve.png."""
    from matplotlib.figure import Figure

    generations = [row["update"] for row in rows]
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    worst = [row["fitness_worst"] for row in rows]
    best = [row["fitness_best"] for row in rows]
    axes.fill_between(generations, worst, best, color="#1f6f8b", alpha=0.15, linewidth=0,
                      label="worst to best member")  # fmt: skip
    mean = [row["fitness_mean"] for row in rows]
    axes.plot(generations, mean, color="#1f6f8b", linewidth=1.8, label="mean of the population")
    axes.axhline(1.0, color="#444444", linewidth=1.0, linestyle="--", label="PPO")
    axes.set_title(f"{config.algorithm} on {', '.join(config.environments)}")
    axes.set_xlabel("generation")
    axes.set_ylabel("fitness (PPO 1, random policy 0)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="best", frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_whole(folder / run_folder.CURVE, buffer.getvalue())


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
