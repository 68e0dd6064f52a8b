"""ARC tasks: on the host as they are, and stacked into padded device arrays.

A task has demonstrations and tests, both pairs (input, output) of grids; a grid has rows and
columns of colours 0 to 9, 0 being black. The published tasks have at most 30 rows and columns.

Source: Chollet (2019), "On the Measure of Intelligence", arXiv 1911.01547, and the JSON format of
the Abstraction and Reasoning Corpus.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.registry import nearest

NUM_COLORS = 10
MAX_CANVAS = 32  # a row of a mask is one word
_MOST_PAIRS = 127  # their number is an int8
PARTS = ("train", "test")  # of a task in ARC's JSON: demonstrations and tests

Grid = np.ndarray  # int8 [rows, columns]
Pair = tuple[Grid, Grid]  # input, output


class Task(NamedTuple):
    """One task on the host.

    Attributes:
        id: its name, unique within a task set.
        demos: demonstrations, at least one.
        tests: tests, at least one.
    """

    id: str
    demos: tuple[Pair, ...]
    tests: tuple[Pair, ...]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Demonstrations and tests."""
        return self.demos + self.tests

    @property
    def size(self) -> int:
        """The longest side of any of its grids, in cells: the smallest canvas that holds it."""
        return max(max(grid.shape) for pair in self.pairs for grid in pair)


class TaskSet(NamedTuple):
    """Tasks on the host.

    Attributes:
        name: what the set is called in messages.
        tasks: at least one, with different ids.
    """

    name: str
    tasks: tuple[Task, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The tasks' ids, in order."""
        return tuple(task.id for task in self.tasks)


class Pairs(struct.PyTreeNode):
    """P pairs on a canvas of H rows and W columns; everything beyond a grid or a pair is 0.

    Attributes:
        input: int8 [..., P, H, W].
        input_dim: int8 [..., P, 2], rows and columns of the input.
        output: int8 [..., P, H, W].
        output_dim: int8 [..., P, 2].
        count: int8 [...], how many of the P are there.
    """

    input: jax.Array
    input_dim: jax.Array
    output: jax.Array
    output_dim: jax.Array
    count: jax.Array


class Tasks(struct.PyTreeNode):
    """Stacked tasks, with T as the leading axis, or one task, without it.

    Attributes:
        demos: demonstrations, [T, D, ...].
        tests: tests, [T, K, ...].
    """

    demos: Pairs
    tests: Pairs


def stack(
    task_set: TaskSet, canvas: int, *, num_demos: int | None = None, num_tests: int | None = None
) -> Tasks:
    """The tasks of a set as device arrays, in its order.

    Args:
        task_set: T tasks.
        canvas: rows and columns of the canvas, 1 to 32.
        num_demos: D, room for demonstrations; as many as the task with most has if None.
        num_tests: K, room for tests; likewise.

    Returns:
        `Tasks` with H = W = canvas.

    Raises:
        ValueError: the set is empty, or a task has a larger grid or more pairs than there is
            room for.
    """
    _check_not_empty(task_set)
    _check_canvas(task_set, canvas)
    demos = [task.demos for task in task_set.tasks]
    tests = [task.tests for task in task_set.tasks]
    room_demos = _room(task_set, "demonstrations", [len(pairs) for pairs in demos], num_demos)
    room_tests = _room(task_set, "tests", [len(pairs) for pairs in tests], num_tests)
    return Tasks(_stack_pairs(demos, room_demos, canvas), _stack_pairs(tests, room_tests, canvas))


def row(tasks: Tasks, index: jax.Array | int) -> Tasks:
    """One of stacked tasks; `index` is an int32 [] or a Python int within 0 .. T - 1."""
    result: Tasks = jax.tree.map(lambda leaf: leaf[index], tasks)
    return result


def select(
    task_set: TaskSet,
    *,
    ids: Iterable[str] | None = None,
    max_size: int | None = None,
    max_demos: int | None = None,
    max_tests: int | None = None,
) -> TaskSet:
    """The tasks of a set that are wanted.

    Args:
        task_set: to choose from.
        ids: these, in this order; all, in the order of the set, if None.
        max_size: only tasks none of whose grids, tests included, has a longer side.
        max_demos: only tasks with at most so many demonstrations.
        max_tests: only tasks with at most so many tests.

    Returns:
        A set of the same name.

    Raises:
        ValueError: an id that is not in the set or is named twice, or nothing is left.
    """
    by_id = {task.id: task for task in task_set.tasks}
    wanted = tuple(by_id if ids is None else [ids] if isinstance(ids, str) else ids)
    for unknown in (name for name in wanted if name not in by_id):
        near = nearest(str(unknown), by_id)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {len(by_id)} tasks"
        raise ValueError(f"{task_set.name}: no task {unknown!r}; {hint}")
    _check_ids(task_set.name, wanted)
    limits = {"max_size": max_size, "max_demos": max_demos, "max_tests": max_tests}
    bounds = {name: limit for name, limit in limits.items() if limit is not None}
    chosen = []
    for name in wanted:
        task = by_id[name]
        has = {"max_size": task.size, "max_demos": len(task.demos), "max_tests": len(task.tests)}
        if all(has[bound] <= limit for bound, limit in bounds.items()):
            chosen.append(task)
    if not chosen:
        asked = ", ".join(f"{bound}={limit}" for bound, limit in bounds.items()) or "no ids"
        raise ValueError(f"{task_set.name}: no task of {len(wanted)} is left by {asked}")
    return TaskSet(task_set.name, tuple(chosen))


def make_task_set(name: str, tasks: Sequence[Task]) -> TaskSet:
    """A set of these tasks; `ValueError` if there is none or an id comes twice."""
    task_set = TaskSet(name, tuple(tasks))
    _check_not_empty(task_set)
    _check_ids(name, task_set.ids)
    return task_set


def parse_task(task_id: str, content: Any, where: str) -> Task:
    """A task from decoded ARC JSON.

    Args:
        task_id: its id.
        content: `{"train": [pair, ...], "test": [pair, ...]}`, a pair being
            `{"input": grid, "output": grid}` and a grid a list of rows; other keys are ignored.
        where: what messages call it, such as its file.

    Returns:
        The task.

    Raises:
        ValueError: a part is missing or empty, or a grid is none; the message names the place.
    """
    if not isinstance(content, dict):
        raise ValueError(
            f"{where}: a task is an object with 'train' and 'test', got {_kind(content)}"
        )
    parts = []
    for part in PARTS:
        pairs = content.get(part)
        if part not in content:
            raise ValueError(f"{where}: the task has no {part!r}")
        if not isinstance(pairs, list) or not pairs:
            raise ValueError(f"{where}: {part!r} must be a list of at least one pair")
        parts.append(
            tuple(_pair(pair, f"{where}, {part} pair {index}") for index, pair in enumerate(pairs))
        )
    return Task(task_id, *parts)


def parse_grid(cells: Any, where: str) -> Grid:
    """A grid from decoded JSON, int8 [rows, columns]; `ValueError`, naming `where`, if it is none.

    Cells are whole numbers 0 to 9, rows equally long, and there is at least one cell.
    """
    if not isinstance(cells, list) or not all(isinstance(line, list) for line in cells):
        raise ValueError(f"{where}: a grid is a list of rows of colours, got {_kind(cells)}")
    widths = sorted({len(line) for line in cells})
    if not cells or widths[0] == 0:
        raise ValueError(f"{where}: the grid is empty")
    if len(widths) > 1:
        raise ValueError(
            f"{where}: the rows have {widths[0]} to {widths[-1]} cells, not equally many"
        )
    values = list(itertools.chain.from_iterable(cells))
    if not all(map(_is_color, values)):
        index = next(i for i, value in enumerate(values) if not _is_color(value))
        line, column = divmod(index, widths[0])
        raise ValueError(
            f"{where}: row {line}, column {column} is {values[index]!r:.40}, "
            f"not a whole number 0 to {NUM_COLORS - 1}"
        )
    return np.asarray(cells, np.int8)


def _is_color(value: Any) -> bool:
    return type(value) is int and 0 <= value < NUM_COLORS


def _pair(content: Any, where: str) -> Pair:
    if not isinstance(content, dict):
        raise ValueError(f"{where}: a pair is an object with 'input' and 'output'")
    for key in ("input", "output"):
        if key not in content:
            raise ValueError(f"{where} has no {key!r}")
    return (
        parse_grid(content["input"], f"{where}, input"),
        parse_grid(content["output"], f"{where}, output"),
    )


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string", type(None): "null"}.get(
        type(value), f"{value!r:.40}"
    )


def _check_not_empty(task_set: TaskSet) -> None:
    if not task_set.tasks:
        raise ValueError(f"{task_set.name}: there is no task")


def check_task_set(task_set: TaskSet) -> None:
    """Raises ValueError, naming the place, for a set made by hand that is none."""
    tasks = task_set.tasks
    if not isinstance(tasks, list | tuple) or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(f"{task_set.name}: tasks must be a tuple of Task")
    _check_not_empty(task_set)
    _check_ids(task_set.name, task_set.ids)
    for task in tasks:
        for part, pairs in zip(PARTS, (task.demos, task.tests), strict=True):
            where = f"{task_set.name}, {task.id}, {part}"
            if not 1 <= len(pairs) <= _MOST_PAIRS:
                raise ValueError(f"{where}: needs 1 to {_MOST_PAIRS} pairs, got {len(pairs)}")
            for index, grid in itertools.product(range(len(pairs)), (0, 1)):
                _check_cells(pairs[index][grid], f"{where} pair {index}")


def _check_cells(grid: Any, where: str) -> None:
    cells = np.asarray(grid)
    if cells.ndim != 2 or cells.size == 0 or cells.dtype.kind not in "iu":
        raise ValueError(f"{where}: a grid is whole numbers [rows, columns], at least one cell")
    if cells.min() < 0 or cells.max() >= NUM_COLORS:
        raise ValueError(f"{where}: colours are 0 to {NUM_COLORS - 1}")


def _check_ids(name: str, ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for task_id in ids:
        if task_id in seen:
            raise ValueError(f"{name}: the task {task_id!r} comes twice")
        seen.add(task_id)


def _check_canvas(task_set: TaskSet, canvas: int) -> None:
    if not 1 <= canvas <= MAX_CANVAS:
        raise ValueError(f"a canvas has 1 to {MAX_CANVAS} rows and columns, not {canvas}")
    larger = [task for task in task_set.tasks if task.size > canvas]
    if larger:
        worst = max(larger, key=lambda task: task.size)
        raise ValueError(
            f"{task_set.name}: {len(larger)} of {len(task_set.tasks)} tasks do not fit a canvas of "
            f"{canvas} x {canvas}; the largest, {worst.id}, needs {worst.size}"
        )


def _room(task_set: TaskSet, kind: str, counts: Sequence[int], room: int | None) -> int:
    """Room for pairs: `room`, or the largest of the tasks' `counts` if None."""
    most = max(counts)
    if room is not None and room < most:
        worst = task_set.ids[counts.index(most)]
        raise ValueError(
            f"{task_set.name}: task {worst} has {most} {kind}, there is room for {room}"
        )
    return most if room is None else room


def _stack_pairs(rows: Sequence[tuple[Pair, ...]], room: int, canvas: int) -> Pairs:
    grids = np.zeros((2, len(rows), room, canvas, canvas), np.int8)
    dims = np.zeros((2, len(rows), room, 2), np.int8)
    for t, pairs in enumerate(rows):
        for (p, pair), side in itertools.product(enumerate(pairs), (0, 1)):
            height, width = pair[side].shape
            grids[side, t, p, :height, :width] = pair[side]
            dims[side, t, p] = height, width
    count = np.asarray([len(pairs) for pairs in rows], np.int8)
    return Pairs(*(jnp.asarray(x) for x in (grids[0], dims[0], grids[1], dims[1], count)))
