"""Splits of task sets that do not leak, and what leaks between those that exist.

Two tasks are related when they share a whole pair, input and output. ARC-AGI-1's training task
40853293 is its evaluation task 070dd51e; ARC-AGI-2's training set holds 376 of ARC-AGI-1's
evaluation tasks. Compared `up_to_symmetry`, as whoever augments tasks must, caa06a1f of ARC-AGI-1's
training set also is 50a16a69 of its evaluation set, in other colours.
"""

import hashlib
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxrl.envs.arcle.datasets import grid_bytes
from jaxrl.envs.arcle.tasks import NUM_COLORS, Pair, Task, TaskSet, make_task_set

PairKey = Callable[[Pair], bytes]  # equal for the pairs that count as the same


class Leak(NamedTuple):
    """A task of one set that is found in another.

    Attributes:
        train: its id in the first set.
        evaluation: id of the related task in the second.
        shared: how many different pairs of the one are pairs of the other.
        whole: whether they have no other pairs, as demonstration or test.
    """

    train: str
    evaluation: str
    shared: int
    whole: bool

    def __str__(self) -> str:
        kind = "is" if self.whole else f"shares {self.shared} pairs with"
        return f"task {self.train} {kind} task {self.evaluation}"


def exact(pair: Pair) -> bytes:
    """Pairs are the same if their grids are equal."""
    return b"".join(map(grid_bytes, pair))


def up_to_symmetry(pair: Pair) -> bytes:
    """Pairs are the same if flips, rotations and a permutation of the ten colours make them so."""
    keys = []
    for transposed, flip_rows, flip_columns in itertools.product((False, True), repeat=3):
        rows, columns = (
            slice(None, None, -1 if flip_rows else 1),
            slice(None, None, -1 if flip_columns else 1),
        )
        moved = [(grid.T if transposed else grid)[rows, columns] for grid in pair]
        colors, first = np.unique(
            np.concatenate([grid.ravel() for grid in moved]), return_index=True
        )
        renamed = np.zeros(NUM_COLORS, np.int8)
        renamed[colors[np.argsort(first)]] = np.arange(colors.size)
        keys.append(b"".join(grid_bytes(renamed[grid]) for grid in moved))
    return min(keys)


def leaks(train: TaskSet, evaluation: TaskSet, same: PairKey = exact) -> tuple[Leak, ...]:
    """Tasks of `train` that are related to tasks of `evaluation`, in order.

    Args:
        train: the set that is learned from.
        evaluation: the set that is scored.
        same: which pairs count as the same: `exact` or `up_to_symmetry`.
    """
    holders: dict[bytes, list[int]] = {}
    keys = [_keys(task, same) for task in evaluation.tasks]
    for index, of_task in enumerate(keys):
        for key in of_task:
            holders.setdefault(key, []).append(index)
    found = []
    for task in train.tasks:
        mine = _keys(task, same)
        related = sorted({index for key in mine for index in holders.get(key, ())})
        for index in related:
            theirs = keys[index]
            found.append(
                Leak(task.id, evaluation.tasks[index].id, len(mine & theirs), mine == theirs)
            )
    return tuple(found)


def without_leaks(train: TaskSet, evaluation: TaskSet, same: PairKey = exact) -> TaskSet:
    """`train` without the tasks that `leaks` names; `ValueError` if none is left."""
    leaking = {leak.train for leak in leaks(train, evaluation, same)}
    kept = [task for task in train.tasks if task.id not in leaking]
    if not kept:
        raise ValueError(f"{train.name}: every task is also in {evaluation.name}")
    return make_task_set(train.name, kept)


def split(
    task_set: TaskSet, share: float, *, salt: str = "", same: PairKey = exact
) -> tuple[TaskSet, TaskSet]:
    """Two parts of a set, the same ones every time, of which neither holds a pair of the other.

    A hash of its content decides where a task goes, so other tasks in the set, their order and
    their ids do not matter; related tasks stay together.

    Args:
        task_set: to split.
        share: of the tasks that go to the second part, in expectation; between 0 and 1.
        salt: another salt is another split.
        same: which pairs count as the same: `exact` or `up_to_symmetry`.

    Returns:
        (training, validation), named `NAME/training` and `NAME/validation`.

    Raises:
        ValueError: `share` is not between 0 and 1, or a part would be empty.
    """
    if not 0 < share < 1:
        raise ValueError(f"{task_set.name}: the validation share lies between 0 and 1, not {share}")
    parts: tuple[list[Task], list[Task]] = ([], [])
    for task, group in zip(task_set.tasks, _groups(task_set, same), strict=True):
        digest = hashlib.sha256(salt.encode() + b"\n" + group).digest()
        parts[int.from_bytes(digest[:8]) < share * 2**64].append(task)
    names = ("training", "validation")
    for name, tasks in zip(names, parts, strict=True):
        if not tasks:
            raise ValueError(
                f"{task_set.name}: a share of {share} of {len(task_set.tasks)} tasks leaves no "
                f"{name} task"
            )
    training, validation = (
        make_task_set(f"{task_set.name}/{name}", tasks)
        for name, tasks in zip(names, parts, strict=True)
    )
    return training, validation


def _keys(task: Task, same: PairKey) -> frozenset[bytes]:
    return frozenset(map(same, task.pairs))


def _groups(task_set: TaskSet, same: PairKey) -> list[bytes]:
    """For each task the least key among those of all tasks that sharing pairs connects it with."""
    keys = [_keys(task, same) for task in task_set.tasks]
    least = {key: min(of_task) for of_task in keys for key in of_task}
    changed = True
    while changed:
        changed = False
        for of_task in keys:
            lowest = min(least[key] for key in of_task)
            for key in of_task:
                changed |= least[key] != lowest
                least[key] = lowest
    return [least[min(of_task)] for of_task in keys]
