"""Generated tasks on device, as pure functions of a key.

A generator first draws what is the same for all pairs of a task (such as which colour becomes
which) and then each pair's input, and computes its output. Sizes and colours come from a `Level`,
whose leaves a curriculum may change, within a canvas of static size, without compiling anew.

`generate` makes one task of one generator, `mixture` one of several; callers vmap over keys. The
generators are in `generators`.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.envs.arcle.tasks import MAX_CANVAS, NUM_COLORS, Pairs, Tasks


class Level(struct.PyTreeNode):
    """How large and how colourful generated tasks are; see `make_level`.

    Attributes:
        min_size: int32 [], shortest side of an input.
        max_size: int32 [], longest side of an input.
        colors: int32 [], inputs have colours 1 to this one, and black.
    """

    min_size: jax.Array
    max_size: jax.Array
    colors: jax.Array


# Input, its rows and columns, output, its rows and columns: int8 [N, N], [2], [N, N] and [2].
DrawnPair = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


class Generator(NamedTuple):
    """A kind of task.

    Attributes:
        rule: (key, level) -> what all pairs of a task share, a pytree of arrays.
        pair: (key, rule, level, canvas) -> one pair; as many calls as there are pairs.
        least_size: an input has no shorter side, whatever the level says.
        least_colors: inputs have no fewer colours, whatever the level says.
        growth: the output's sides are at most so many times the input's.
    """

    rule: Callable[[jax.Array, Level], Any]
    pair: Callable[[jax.Array, Any, Level, int], DrawnPair]
    least_size: int = 1
    least_colors: int = 1
    growth: int = 1


def make_level(
    canvas: int, *, min_size: int = 1, max_size: int | None = None, colors: int = NUM_COLORS - 1
) -> Level:
    """A level for a canvas.

    Args:
        canvas: its rows and columns.
        min_size: shortest side of an input.
        max_size: longest side of an input; that of the canvas if None.
        colors: colours besides black, 1 to 9.

    Raises:
        ValueError: sizes that are not 1 <= min_size <= max_size <= canvas, or no such colours.
    """
    max_size = canvas if max_size is None else max_size
    check_level(min_size, max_size, colors, canvas)
    return Level(jnp.int32(min_size), jnp.int32(max_size), jnp.int32(colors))


def check_level(min_size: Any, max_size: Any, colors: Any, canvas: int) -> None:
    """Raises ValueError for what `make_level` refuses; numbers or arrays, none of them a tracer."""
    sizes = (1, min_size, max_size, canvas, MAX_CANVAS)
    if not all(np.all(low <= high) for low, high in itertools.pairwise(map(np.asarray, sizes))):
        raise ValueError(
            f"sizes must be 1 <= min_size <= max_size <= canvas <= {MAX_CANVAS}, "
            f"not {min_size}, {max_size} and {canvas}"
        )
    if not np.all((np.asarray(colors) >= 1) & (np.asarray(colors) < NUM_COLORS)):
        raise ValueError(f"colors must be 1 to {NUM_COLORS - 1}, not {colors}")


def generate(
    key: jax.Array,
    level: Level,
    generator: Generator,
    canvas: int,
    *,
    num_demos: int = 3,
    num_tests: int = 1,
) -> Tasks:
    """One task.

    Args:
        key: consumed.
        level: sizes and colours; raised to the generator's least ones, and lowered so that the
            outputs fit the canvas.
        generator: the kind of task.
        canvas: N, rows and columns of the canvas.
        num_demos: D, demonstrations.
        num_tests: K, tests.

    Returns:
        `Tasks` without a leading axis, with [D, N, N] and [K, N, N] cells.

    Raises:
        ValueError: the canvas is too small for this generator, or there is no pair to make.
    """
    _check(generator, canvas, num_demos, num_tests)
    level = _bounded(level, generator, canvas)
    key_rule, key_pairs = jax.random.split(key)
    rule = generator.rule(key_rule, level)
    keys = jax.random.split(key_pairs, num_demos + num_tests)
    drawn = jax.vmap(lambda k: generator.pair(k, rule, level, canvas))(keys)
    return Tasks(_part(drawn, slice(num_demos)), _part(drawn, slice(num_demos, None)))


def mixture(
    key: jax.Array,
    level: Level,
    weights: jax.Array,
    generators: Sequence[Generator],
    canvas: int,
    *,
    num_demos: int = 3,
    num_tests: int = 1,
) -> tuple[Tasks, jax.Array]:
    """One task of one of several generators, and the generator's index, int32 [].

    Under vmap all generators run for every task; tasks in bulk are made faster by `generate`, one
    generator after the other.

    Args:
        key: consumed.
        level: as in `generate`.
        weights: float32 [G], not negative and not all 0: how likely each generator is, up to a
            common factor.
        generators: G of them, such as `tuple(GENERATORS.values())`.
        canvas: as in `generate`.
        num_demos: as in `generate`.
        num_tests: as in `generate`.

    Raises:
        ValueError: as in `generate`, or there are not as many weights as generators.
    """
    if weights.shape != (len(generators),):
        raise ValueError(f"{len(generators)} generators need as many weights, not {weights.shape}")
    key_index, key_task = jax.random.split(key)
    index = jax.random.categorical(key_index, jnp.log(weights)).astype(jnp.int32)

    def branch(generator: Generator) -> Callable[[jax.Array], Tasks]:
        return lambda k: generate(
            k, level, generator, canvas, num_demos=num_demos, num_tests=num_tests
        )

    return jax.lax.switch(index, [branch(g) for g in generators], key_task), index


def _part(drawn: DrawnPair, part: slice) -> Pairs:
    """Some of the drawn pairs, all of them real."""
    grids, dims, outputs, output_dims = (leaf[part] for leaf in drawn)
    return Pairs(grids, dims, outputs, output_dims, jnp.int8(grids.shape[0]))


def _check(generator: Generator, canvas: int, num_demos: int, num_tests: int) -> None:
    needed = generator.least_size * generator.growth
    if not needed <= canvas <= MAX_CANVAS:
        raise ValueError(
            f"this generator needs a canvas of {needed} to {MAX_CANVAS} rows, not {canvas}"
        )
    if num_demos < 1 or num_tests < 1:
        raise ValueError(
            f"a task has at least one demonstration and one test, not {num_demos} and {num_tests}"
        )


def _bounded(level: Level, generator: Generator, canvas: int) -> Level:
    largest = jnp.int32(canvas // generator.growth)
    least = jnp.int32(generator.least_size)
    return Level(
        min_size=jnp.clip(level.min_size, least, largest),
        max_size=jnp.clip(level.max_size, least, largest),
        colors=jnp.clip(level.colors, jnp.int32(generator.least_colors), jnp.int32(NUM_COLORS - 1)),
    )
