"""From the files of finished points to the table: who is best, and how sure."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.run_folder import write_json, write_whole
from jaxrl.summary import commit, device, versions
from jaxrl.sweep import plan as plans
from jaxrl.sweep.plan import Plan
from jaxrl.sweep.scores import interquartile_means, interval, ranked

Values = np.ndarray[Any, Any]


class Line(NamedTuple):
    """One point in the table.

    Attributes:
        point: its index.
        values: what it varies, by name.
        iqm: interquartile mean of the scores of its seeds; minus infinity where more than a
            quarter of them have none (see `jaxrl.sweep.scores`).
        low: lower end of the 95% bootstrap interval of `iqm`.
        high: upper end.
        mean: mean of the scores there are; NaN for none.
        seeds: how many were trained.
        diverged: how many of them diverged, that is had a loss, metric or parameter that was not
            finite.
        no_score: how many others have no score, because no episode ended.
    """

    point: int
    values: Mapping[str, Any]
    iqm: float
    low: float
    high: float
    mean: float
    seeds: int
    diverged: int
    no_score: int


class SweepResult(NamedTuple):
    """A sweep, as far as it is finished.

    Attributes:
        folder: that holds it.
        plan: what it trains.
        table: a line for each finished point, best first.
        records: what the files of the finished points say, by index: per-episode returns, learning
            curves, seconds.
        missing: indices of the points that are not finished.
    """

    folder: Path
    plan: Plan
    table: Sequence[Line]
    records: Mapping[int, Mapping[str, Any]]
    missing: Sequence[int]

    def best(self) -> Line:
        """The first line of the table.

        It was chosen by its own score, so that is more likely too high than too low: train it
        again with other seeds before quoting it.

        Raises:
            ValueError: no point is finished.
        """
        if not self.table:
            raise ValueError(f"{self.folder}: no point is finished")
        return self.table[0]

    def scores(self) -> Values:
        """Scores of the seeds of every point, float [points, seeds]; NaN where there is none."""
        shape = (len(self.plan.points), self.plan.base.seeds)
        found = np.full(shape, np.nan)
        for index, record in self.records.items():
            found[index] = numbers(record["score"])
        return found


def gather(
    folder: Path, plan: Plan, say: Callable[[str], None] | None = None, seed: int = 0
) -> SweepResult:
    """The result in a sweep folder; `say` takes a line for each damaged file."""
    records = plans.read_points(folder, plan, say)
    lines = [_line(index, plan.points[index], record, seed) for index, record in records.items()]
    lines.sort(key=_worth, reverse=True)
    return SweepResult(folder, plan, lines, records, plans.missing(plan, records))


def write(result: SweepResult, command: str) -> None:
    """Writes table.json and table.csv."""
    records = result.records.values()
    base = result.plan.base
    write_json(
        result.folder / plans.TABLE,
        {
            "command": command,
            "algorithm": base.algorithm,
            "env": base.env,
            "seeds": list(base.seed_numbers),
            "total_steps": base.total_steps,
            "score_is": score_is(result.plan),
            "interval": "95% percentile bootstrap of the interquartile mean over seeds",
            "points": [_to_json(rank, line) for rank, line in enumerate(result.table, start=1)],
            "unfinished_points": list(result.missing),
            "compile_s": round(sum(record["compile_s"] for record in records), 3),
            "run_s": round(sum(record["run_s"] for record in records), 3),
            "commit": commit(),
            "device": device(),
            "versions": versions(),
        },
    )
    names = list(dict.fromkeys(name for line in result.table for name in line.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    plain = ("iqm", "low", "high", "mean", "seeds", "diverged", "no_score")
    writer.writerow(["rank", "point", *names, *plain])
    for rank, line in enumerate(result.table, start=1):
        values = [_cell(line.values.get(name, "")) for name in names]
        numbers_ = [_cell(getattr(line, name)) for name in plain]
        writer.writerow([rank, line.point, *values, *numbers_])
    write_whole(result.folder / plans.CSV, text.getvalue())


def score_is(plan: Plan) -> str:
    """What the score of a seed is, in words."""
    if plan.episodes:
        kind = "greedy" if plan.greedy else "sampled"
        return f"mean return of the final policy over {plan.episodes} episodes, {kind} actions"
    return "mean training return over the episodes of the last 10% of the updates"


def numbers(values: Sequence[float | None]) -> Values:
    """Numbers of a JSON file, null as NaN."""
    return np.array([math.nan if value is None else value for value in values], np.float64)


def optional(value: float) -> float | None:
    """A number for a JSON file, null where it is not finite."""
    return float(value) if math.isfinite(value) else None


def _line(index: int, values: Mapping[str, Any], record: Mapping[str, Any], seed: int) -> Line:
    scores = numbers(record["score"])
    diverged = np.array(record["nonfinite_update"]) > 0
    counted = ranked(scores, diverged)
    good = counted[np.isfinite(counted)]
    return Line(
        index,
        values,
        float(interquartile_means(counted)),
        *interval(counted, seed),
        float(good.mean()) if len(good) else math.nan,
        len(scores),
        int(diverged.sum()),
        int(len(scores) - len(good) - diverged.sum()),
    )


def _worth(line: Line) -> tuple[float, ...]:
    mean = line.mean if math.isfinite(line.mean) else -math.inf
    return (line.iqm, line.low, mean, -line.point)


def _to_json(rank: int, line: Line) -> dict[str, Any]:
    record: dict[str, Any] = {"rank": rank, **line._asdict(), "values": dict(line.values)}
    record["iqm_95"] = [optional(record.pop("low")), optional(record.pop("high"))]
    return {**record, "iqm": optional(line.iqm), "mean": optional(line.mean)}


def _cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value
