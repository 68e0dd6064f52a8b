"""Where episodes get their tasks from: a data set, a folder, or a generator.

    dataset                        the tasks
    "arc1-training", ...           published ones, see `datasets`
    a path, a `TaskSet`            one's own
    "random"                       random grids, the same size for all, see `generators.RANDOM`
    "generated"                    a new task of any of `generators.GENERATORS` for each episode
    "generated/flip", ...          of one of them

Tasks of a data set may be augmented anew for each episode: "colors" renames the nine colours that
are not black, "all" also turns and mirrors grids and shuffles demonstrations (`augmentation`).

What a data set holds, or how large and colourful generated tasks are, is `Params.tasks`: `Tasks`
[T, ...], or a `generation.Level`. Either may be replaced, and mapped over, without a new
environment; the canvas and the room for pairs are static.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle import augmentation, datasets
from jaxrl.envs.arcle.generation import (
    Generator,
    Level,
    check_level,
    generate,
    make_level,
    mixture,
)
from jaxrl.envs.arcle.generators import GENERATORS, RANDOM
from jaxrl.envs.arcle.tasks import (
    MAX_CANVAS,
    Tasks,
    TaskSet,
    check_task_set,
    row,
    select,
    stack,
)
from jaxrl.registry import nearest

_RANDOM, _ANY = "random", "generated"
AUGMENTS = ("", "colors", "all")


class Source(NamedTuple):
    """Where tasks come from.

    Attributes:
        params: `Params.tasks`.
        draw: (key, params) -> (the task's number int32 [], the task).
        get: (params, number) -> the task; only of data sets.
        generates: whether tasks are made up, or augmented, so that a state has to carry its own.
        ids: of the tasks of a data set, in the order of their numbers.
    """

    params: Tasks | Level
    draw: Callable[[jax.Array, Any], tuple[jax.Array, Tasks]]
    get: Callable[[Any, jax.Array], Tasks] = row
    generates: bool = False
    ids: tuple[str, ...] = ()

    def check(self, params: Any) -> None:
        """Raises ValueError for `Params.tasks` of another kind, or a level that means nothing."""
        if not isinstance(params, type(self.params)):
            raise ValueError(f"tasks must be {type(self.params).__name__}, got {type(params)}")
        if isinstance(params, Level):
            try:
                check_level(params.min_size, params.max_size, params.colors, MAX_CANVAS)
            except ValueError as error:
                raise ValueError(f"tasks.{error}") from None

    def example(self, params: Tasks | Level) -> Tasks:
        """The shapes of a task."""
        return jax.eval_shape(lambda: self.draw(jax.random.key(0), params)[1])


def make_source(
    dataset: str | TaskSet,
    ids: tuple[str, ...] | None,
    max_size: int | None,
    canvas: int,
    augment: str = "",
) -> Source:
    """The source of a name, a path or a `TaskSet`; see `environment.ARCLE`.

    Raises:
        ValueError: no such set, task or augmentation, tasks too large for the canvas, or a choice
            among generated tasks.
    """
    if augment not in AUGMENTS:
        raise ValueError(f"augment must be 'colors', 'all' or empty, got {augment!r}")
    names = (_RANDOM, _ANY, *(f"{_ANY}/{name}" for name in GENERATORS))
    if isinstance(dataset, TaskSet):
        return _augmented(_of_tasks(dataset, ids, max_size, canvas), augment)
    if not isinstance(dataset, str):
        raise ValueError(f"dataset must be a name, a path or a TaskSet, got {dataset!r:.60}")
    if dataset in names:
        if ids is not None or max_size is not None or augment:
            raise ValueError(f"ids, max_size and augment are for data sets, not for {dataset!r}")
        return _generated(dataset, canvas)
    if dataset.startswith(f"{_ANY}/"):
        near = nearest(dataset, names) or names
        raise ValueError(f"unknown generator {dataset!r}; nearest: {', '.join(near)}")
    return _augmented(_of_tasks(_load(dataset), ids, max_size, canvas), augment)


def _load(name: str) -> TaskSet:
    # One's own files may change while a process runs.
    return _published(name) if name in datasets.names() else datasets.load(name)


@functools.lru_cache(maxsize=8)
def _published(name: str) -> TaskSet:
    return datasets.load(name)


def _of_tasks(
    task_set: TaskSet, ids: tuple[str, ...] | None, max_size: int | None, canvas: int
) -> Source:
    check_task_set(task_set)
    if max_size is not None and (isinstance(max_size, bool) or not isinstance(max_size, int)):
        raise ValueError(f"max_size must be a whole number, got {max_size!r}")
    chosen = task_set
    if ids is not None or max_size is not None:
        chosen = select(task_set, ids=ids, max_size=max_size)
    try:
        tasks = stack(chosen, canvas)
    except ValueError as error:
        raise ValueError(f"{error} (max_size={canvas} leaves out what does not fit)") from None

    def draw(key: jax.Array, params: Tasks) -> tuple[jax.Array, Tasks]:
        number = jax.random.randint(key, (), 0, params.demos.count.shape[0], jnp.int32)
        return number, row(params, number)

    return Source(tasks, draw, ids=chosen.ids)


def _augmented(source: Source, augment: str) -> Source:
    """`source` with each task augmented when it is drawn."""
    if not augment:
        return source

    def draw(key: jax.Array, params: Tasks) -> tuple[jax.Array, Tasks]:
        key_task, key_augment = jax.random.split(key)
        number, task = source.draw(key_task, params)
        if augment == "all":
            return number, augmentation.augment(key_augment, task)[0]
        same = augmentation.identity(task.demos.input.shape[0])
        colors = augmentation.all_but_black(key_augment)
        return number, augmentation.apply_to_task(same.replace(colors=colors), task)

    return source._replace(draw=draw, generates=True)


def _generated(name: str, canvas: int) -> Source:
    make: Callable[[jax.Array, Level], Tasks]
    if name == _RANDOM:
        level = make_level(canvas, min_size=canvas)
        make = functools.partial(_one, generator=RANDOM, canvas=canvas)
    elif name == _ANY:
        level = make_level(canvas, min_size=min(3, canvas))
        known = tuple(
            each for each in GENERATORS.values() if each.least_size * each.growth <= canvas
        )
        make = functools.partial(_any, generators=known, canvas=canvas)
    else:
        generator = GENERATORS[name.partition("/")[2]]
        level = make_level(canvas, min_size=min(3, canvas))
        make = functools.partial(_one, generator=generator, canvas=canvas)
    # Says what does not fit before anything is compiled.
    jax.eval_shape(make, jax.random.key(0), level)
    return Source(level, lambda key, params: (jnp.int32(0), make(key, params)), generates=True)


def _one(key: jax.Array, level: Level, generator: Generator, canvas: int) -> Tasks:
    return generate(key, level, generator, canvas)


def _any(key: jax.Array, level: Level, generators: tuple[Generator, ...], canvas: int) -> Tasks:
    weights = jnp.ones(len(generators), jnp.float32)
    return mixture(key, level, weights, generators, canvas)[0]
