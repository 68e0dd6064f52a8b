"""Computes points of a sweep folder, group by group, and writes each when it is finished.

The rows of a group are its points times seeds, in order. They are computed in calls of one program
of one shape; the last call is filled up with rows that are dropped. A row does not see the others:
its numbers are the same, bit for bit, in every call of a program, and of any program with the same
number of rows on the same devices; otherwise they agree up to rounding, as what is compiled then
may order floating point operations otherwise. A continued sweep takes the number of rows that it
had before, where they still fit.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl import chunks
from jaxrl.summary import commit, device, versions
from jaxrl.sweep import memory, plan, programs
from jaxrl.sweep.groups import Group
from jaxrl.sweep.table import optional

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much is computed at once; none of it decides what is computed.

    Attributes:
        memory_gib: memory a program may use; by default 80% of what the device has free.
        points_per_chunk: most points of one call. By default, where the rows of a device run one
            after another anyway (CPU), as few as give every device a row, so that points are saved
            as soon as they are finished; and else all.
    """

    memory_gib: float | None = None
    points_per_chunk: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for limits that let nothing through."""
        if self.memory_gib is not None and not self.memory_gib > 0:
            raise ValueError(f"memory_gib must be positive, got {self.memory_gib}")
        if self.points_per_chunk is not None and self.points_per_chunk < 1:
            raise ValueError(f"points_per_chunk must be at least 1, got {self.points_per_chunk}")


def compute(
    folder: Path, sweep: plan.Plan, groups: Sequence[Group], limits: Limits, say: Say
) -> int:
    """Computes the points of `groups` that are not finished; returns how many these were.

    Args:
        folder: of the sweep.
        sweep: what is in it.
        groups: finished points belong here too: they decide the number of rows of a program.
        limits: how much is computed at once.
        say: takes lines about progress.

    Raises:
        SweepMemoryError: not even one seed fits into memory. Points finished before stay.
    """
    finished = plan.read_points(folder, sweep, say)
    todo = [found for found in groups if set(found.indices) - finished.keys()]
    done = 0
    for number, found in enumerate(todo, start=1):
        title = f"program {number} of {len(todo)}"
        done += _Work(folder, sweep, found, finished, limits, title, say).run()
    return done


class _Work:
    """One group: compiles its program, calls it, writes points."""

    def __init__(
        self,
        folder: Path,
        sweep: plan.Plan,
        found: Group,
        finished: dict[int, Any],
        limits: Limits,
        title: str,
        say: Say,
    ) -> None:
        self._folder, self._plan, self._group = folder, sweep, found
        self._limits, self._title, self._say = limits, title, say
        self._seeds = sweep.base.seeds
        self._todo = [i for i, index in enumerate(found.indices) if index not in finished]
        self._earlier = {
            finished[index]["program"]["rows"] for index in found.indices if index in finished
        }
        self._made = {"commit": commit(), "device": device(), "versions": versions()}
        # Results of the rows of points of which not all seeds are computed yet.
        self._pending: list[Any] = []

    def run(self) -> int:
        """Computes and writes all missing points of the group; returns their number."""
        keys = chunks.seed_keys(self._plan.base.seed_numbers)
        seed_of = np.tile(np.arange(self._seeds), len(self._todo))
        point_of = np.repeat(np.array(self._todo), self._seeds)
        program = self._compile(keys)
        first, start, left = 0, time.perf_counter(), program.compile_s
        while first < len(point_of):
            rows = np.minimum(np.arange(first, first + program.rows), len(point_of) - 1)
            hps = jax.tree.map(lambda leaf, rows=rows: leaf[point_of[rows]], self._group.hps)
            begun = time.perf_counter()
            result = jax.device_get(program.call(keys[seed_of[rows]], hps))
            seconds = time.perf_counter() - begun
            count = min(program.rows, len(point_of) - first)
            each = seconds / count
            self._pending += [
                (jax.tree.map(lambda leaf, i=i: leaf[i], result), each) for i in range(count)
            ]
            before = first // self._seeds
            first += count
            left = self._save(before, program, left)
            self._progress(first, len(point_of), start)
        return len(self._todo)

    def _compile(self, keys: jax.Array) -> programs.Program:
        found, seeds = self._group, self._seeds
        row = programs.row_function(found.setup, self._plan.episodes, self._plan.greedy)
        points = len(found.indices)
        in_turn = jax.default_backend() == "cpu"
        default = math.ceil(jax.local_device_count() / seeds) if in_turn else points
        most = min(self._limits.points_per_chunk or default, points)
        wanted = memory.even(points * seeds, most * seeds, seeds)
        if len(self._earlier) == 1 and self._limits.points_per_chunk is None:
            wanted = min(wanted, *self._earlier)
        program = programs.compile_program(
            row,
            jnp.tile(keys, points),
            jax.tree.map(lambda leaf: jnp.repeat(leaf, seeds, axis=0), found.hps),
            unit=seeds,
            wanted=wanted,
            limit=memory.budget(self._limits.memory_gib),
        )
        calls = math.ceil(len(self._todo) * seeds / program.rows)
        self._say(
            f"{self._title}: {len(self._todo)} points x {seeds} seeds in {calls} calls of"
            f" {program.rows} seeds; compiled in {program.compile_s:.1f} s,"
            f" {program.bytes / memory.GIB:.3g} GiB"
        )
        return program

    def _save(self, first: int, program: programs.Program, compile_s: float) -> float:
        """Writes the points that are complete; returns seconds of compilation not yet in a file."""
        place = first
        while len(self._pending) >= self._seeds:
            rows, self._pending = self._pending[: self._seeds], self._pending[self._seeds :]
            index = self._group.indices[self._todo[place]]
            record = self._record(index, [row for row, _ in rows])
            record["program"] = {"rows": program.rows, **self._made}
            record["compile_s"] = round(compile_s, 3)
            record["run_s"] = round(sum(seconds for _, seconds in rows), 3)
            plan.save_point(self._folder, index, record)
            compile_s, place = 0.0, place + 1
        return compile_s

    def _record(self, index: int, rows: Sequence[programs.Row]) -> dict[str, Any]:
        """What the file of a point says, apart from how it was computed."""
        steps = self._group.setup.steps_per_update
        updates = programs.curve_updates(self._group.setup.num_updates)
        scores = [_score(row) for row in rows]
        return {
            "point": index,
            "sweep": self._plan.fingerprint(),
            "values": plan.encode(self._plan.points[index]),
            "seeds": list(self._plan.base.seed_numbers),
            "score": [optional(score) for score in scores],
            "training_return": [optional(float(row.final)) for row in rows],
            "nonfinite_update": [int(row.nonfinite_update) for row in rows],
            "evaluation": [_episodes(row.episodes) for row in rows],
            "curve": {
                "update": updates.tolist(),
                "env_steps": [int(update) * steps for update in updates],
                "return": [[optional(value) for value in row.curve] for row in rows],
            },
        }

    def _progress(self, rows: int, total: int, start: float) -> None:
        seconds = time.perf_counter() - start
        self._say(
            f"{self._title}: {rows // self._seeds}/{total // self._seeds} points,"
            f" {seconds:.0f} s, about {seconds / rows * (total - rows):.0f} s left"
        )


def _score(row: programs.Row) -> float:
    if row.episodes is None:
        return float(row.final)
    return float(np.mean(row.episodes.returns, dtype=np.float64))


def _episodes(played: Any) -> dict[str, Any] | None:
    if played is None:
        return None
    return {
        "returns": [optional(value) for value in played.returns],
        "lengths": [int(length) for length in played.lengths],
        "unfinished": int((~(played.terminated | played.truncated)).sum()),
    }
