"""Kinds of generated tasks, for `generation.generate` and `generation.mixture`.

`GENERATORS`, by name, the output being:
    flip: the grid, mirrored left-right or up-down.
    rotate: the grid, rotated by 90, 180 or 270 degrees.
    recolor: one colour turned into another.
    translate: everything coloured moved by one cell, straight or diagonally.
    crop: the smallest rectangle that holds everything coloured.
    fill: the hollow rectangle with its inside in a colour.
    count: one row with as many cells as the input has coloured ones, in their colour.
    mirror: the grid with its mirror image beside or below it.
    gravity: coloured cells fallen to one side, in their order.
    frame: the cells at the edge in a colour.
Which way, and which colours, is the same for all pairs of a task.

`RANDOM` is none of them: its output is as random as its input and of the same size, so that it can
only be painted by who is shown the answer.

Source: `RANDOM` is the random setting of Lee et al. (2024), arXiv 2407.20806; the others are
elementary rules of the kind that Chollet (2019), arXiv 1911.01547, builds ARC on.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle.generation import DrawnPair, Generator, Level
from jaxrl.envs.arcle.geometry import TRANSFORMS, roll, transform
from jaxrl.grids import inside

_FLIPS = tuple(map(TRANSFORMS.index, ("flip left-right", "flip up-down")))
_ROTATIONS = tuple(index for index, name in enumerate(TRANSFORMS) if name.startswith("rotate"))
# Each is its own inverse and turns falling down into falling to another side: up, right, left.
_SIDES = tuple(
    map(
        TRANSFORMS.index,
        ("identity", "flip up-down", "transpose", "transpose along the other diagonal"),
    )
)


def _no_rule(key: jax.Array, level: Level) -> tuple[()]:
    """There is but one rule."""
    del key, level
    return ()


def _random_pair(key: jax.Array, rule: tuple[()], level: Level, canvas: int) -> DrawnPair:
    key_input, key_output = jax.random.split(key)
    grid, dim = _noise(key_input, level, canvas)
    return grid, dim, _cells(key_output, dim, 0, level, canvas), dim


def _flip_rule(key: jax.Array, level: Level) -> jax.Array:
    return _choice(key, _FLIPS)


def _rotation_rule(key: jax.Array, level: Level) -> jax.Array:
    return _choice(key, _ROTATIONS)


def _transformed_pair(key: jax.Array, rule: jax.Array, level: Level, canvas: int) -> DrawnPair:
    grid, dim = _noise(key, level, canvas)
    return grid, dim, *transform(rule, grid, dim)


def _two_colors(key: jax.Array, level: Level) -> tuple[jax.Array, jax.Array]:
    key_old, key_new = jax.random.split(key)
    old = _color(key_old, level)
    return old, _other_color(key_new, old, level)


def _recolored_pair(
    key: jax.Array, rule: tuple[jax.Array, jax.Array], level: Level, canvas: int
) -> DrawnPair:
    old, new = rule
    key_grid, key_cell = jax.random.split(key)
    grid, dim = _noise(key_grid, level, canvas)
    # At least one cell has the colour, or the pair would not show the rule.
    row, column = _integers(key_cell, (2,), 0, dim.astype(jnp.int32))
    rows, columns = _places(canvas)
    grid = jnp.where((rows == row) & (columns == column), old, grid)
    return grid, dim, jnp.where(grid == old, new, grid), dim


def _step_rule(key: jax.Array, level: Level) -> jax.Array:
    """One of the eight neighbours, int32 [2]: rows down, columns right."""
    index = _choice(key, (0, 1, 2, 3, 5, 6, 7, 8)).astype(jnp.int32)
    return jnp.stack([index // 3 - 1, index % 3 - 1])


def _translated_pair(key: jax.Array, rule: jax.Array, level: Level, canvas: int) -> DrawnPair:
    key_dim, key_window, key_cells = jax.random.split(key, 3)
    dim = _dim(key_dim, level)
    # The object stays on the grid: it keeps off the side that it moves to.
    low, high = jnp.maximum(-rule, 0), dim.astype(jnp.int32) - jnp.maximum(rule, 0)
    start, stop = _window(key_window, low, high, least=1)
    grid = _object(key_cells, start, stop, level, canvas)
    return grid, dim, roll(grid, rule[0], rule[1]), dim


def _cropped_pair(key: jax.Array, rule: tuple[()], level: Level, canvas: int) -> DrawnPair:
    key_dim, key_window, key_cells = jax.random.split(key, 3)
    dim = _dim(key_dim, level)
    start, stop = _window(key_window, jnp.zeros(2, jnp.int32), dim.astype(jnp.int32), least=1)
    grid = _object(key_cells, start, stop, level, canvas)
    output = roll(grid, -start[0], -start[1])
    return grid, dim, output, (stop - start).astype(jnp.int8)


def _color_rule(key: jax.Array, level: Level) -> jax.Array:
    return _color(key, level)


def _filled_pair(key: jax.Array, rule: jax.Array, level: Level, canvas: int) -> DrawnPair:
    key_dim, key_window, key_color = jax.random.split(key, 3)
    dim = _dim(key_dim, level)
    start, stop = _window(key_window, jnp.zeros(2, jnp.int32), dim.astype(jnp.int32), least=3)
    whole, inner = _rectangle(start, stop, canvas), _rectangle(start + 1, stop - 1, canvas)
    grid = jnp.where(whole & ~inner, _other_color(key_color, rule, level), jnp.int8(0))
    return grid, dim, jnp.where(inner, rule, grid), dim


def _counted_pair(key: jax.Array, rule: tuple[()], level: Level, canvas: int) -> DrawnPair:
    key_dim, key_count, key_cells, key_color = jax.random.split(key, 4)
    dim = _dim(key_dim, level)
    size = dim.astype(jnp.int32)
    count = _integers(key_count, (), 1, jnp.minimum(size[0] * size[1], canvas) + 1)
    color = _color(key_color, level)
    # The cells of the grid in a random order, those beyond it behind them.
    rank = jax.random.uniform(key_cells, (canvas, canvas))
    rank = jnp.where(inside(dim, canvas, canvas), rank, jnp.float32(2)).ravel()
    place = jnp.argsort(jnp.argsort(rank)).reshape(canvas, canvas)
    rows, columns = _places(canvas)
    bar = (rows == 0) & (columns < count)
    output_dim = jnp.stack([jnp.int8(1), count.astype(jnp.int8)])
    black = jnp.int8(0)
    return jnp.where(place < count, color, black), dim, jnp.where(bar, color, black), output_dim


def _mirrored_pair(key: jax.Array, rule: jax.Array, level: Level, canvas: int) -> DrawnPair:
    grid, dim = _noise(key, level, canvas)
    image, _ = transform(rule, grid, dim)
    beside = rule == TRANSFORMS.index("flip left-right")
    further = jnp.where(beside, jnp.asarray([0, 1], jnp.int8), jnp.asarray([1, 0], jnp.int8)) * dim
    rows, columns = further.astype(jnp.int32)
    return grid, dim, grid + roll(image, rows, columns), dim + further


def _side_rule(key: jax.Array, level: Level) -> jax.Array:
    return _choice(key, _SIDES)


def _fallen_pair(key: jax.Array, rule: jax.Array, level: Level, canvas: int) -> DrawnPair:
    key_dim, key_cells, key_black = jax.random.split(key, 3)
    dim = _dim(key_dim, level)
    cells = _cells(key_cells, dim, 1, level, canvas)
    grid = jnp.where(jax.random.bernoulli(key_black, shape=cells.shape), cells, jnp.int8(0))
    turned, turned_dim = transform(rule, grid, dim)
    # A stable sort of each column: black, coloured, beyond the grid.
    within = inside(turned_dim, canvas, canvas)
    order = jnp.argsort(jnp.where(within, (turned > 0).astype(jnp.int8), jnp.int8(2)), axis=0)
    fallen = jnp.take_along_axis(turned, order, axis=0)
    return grid, dim, *transform(rule, fallen, turned_dim)


def _framed_pair(key: jax.Array, rule: jax.Array, level: Level, canvas: int) -> DrawnPair:
    grid, dim = _noise(key, level, canvas)
    inner = _rectangle(jnp.ones(2, jnp.int32), dim.astype(jnp.int32) - 1, canvas)
    edge = inside(dim, canvas, canvas) & ~inner
    return grid, dim, jnp.where(edge, rule, grid), dim


def _integers(
    key: jax.Array, shape: tuple[int, ...], low: jax.Array | int, stop: jax.Array | int
) -> jax.Array:
    """Whole numbers from `low` to `stop` - 1, evenly drawn up to 2^-23 each: int32 `shape`."""
    # Not `jax.random.randint`, which draws twice the bits and compiles twice as long; the spans
    # are small, so the rounding of 24 bits is of no account.
    low = jnp.asarray(low, jnp.int32)
    span = jnp.asarray(stop, jnp.int32) - low
    share = jax.random.uniform(key, shape)
    return low + jnp.floor(share * span.astype(jnp.float32)).astype(jnp.int32)


def _choice(key: jax.Array, values: Sequence[int]) -> jax.Array:
    """One of a few numbers, int8 []."""
    return jnp.asarray(values, jnp.int8)[_integers(key, (), 0, len(values))]


def _color(key: jax.Array, level: Level) -> jax.Array:
    """A colour of the level that is not black: int8 []."""
    return _integers(key, (), 1, level.colors + 1).astype(jnp.int8)


def _other_color(key: jax.Array, color: jax.Array, level: Level) -> jax.Array:
    """A colour of the level that is neither black nor `color`, of which there is one: int8 []."""
    drawn = _integers(key, (), 1, level.colors).astype(jnp.int8)
    return drawn + (drawn >= color).astype(jnp.int8)


def _dim(key: jax.Array, level: Level) -> jax.Array:
    """Rows and columns, int8 [2]."""
    size = _integers(key, (2,), level.min_size, level.max_size + 1)
    return size.astype(jnp.int8)


def _cells(key: jax.Array, dim: jax.Array, low: int, level: Level, canvas: int) -> jax.Array:
    """A grid of colours from `low` to the level's last, evenly drawn: int8 [N, N]."""
    colors = _integers(key, (canvas, canvas), low, level.colors + 1)
    return jnp.where(inside(dim, canvas, canvas), colors.astype(jnp.int8), jnp.int8(0))


def _noise(key: jax.Array, level: Level, canvas: int) -> tuple[jax.Array, jax.Array]:
    """A grid of all colours of the level and black, and its rows and columns."""
    key_dim, key_cells = jax.random.split(key)
    dim = _dim(key_dim, level)
    return _cells(key_cells, dim, 0, level, canvas), dim


def _window(
    key: jax.Array, low: jax.Array, high: jax.Array, least: int
) -> tuple[jax.Array, jax.Array]:
    """A rectangle within rows and columns `low` .. `high` - 1, as its own such bounds, int32 [2].

    It has `least` rows and columns or more, each number equally likely, and then each place.
    """
    key_size, key_start = jax.random.split(key)
    size = _integers(key_size, (2,), least, high - low + 1)
    start = _integers(key_start, (2,), low, high - size + 1)
    return start, start + size


def _object(
    key: jax.Array, start: jax.Array, stop: jax.Array, level: Level, canvas: int
) -> jax.Array:
    """Coloured cells, about every second one, whose bounding box is the given rectangle."""
    key_colors, key_holes = jax.random.split(key)
    colors = _integers(key_colors, (canvas, canvas), 1, level.colors + 1)
    rows, columns = _places(canvas)
    first = (rows == start[0]) & (columns == start[1])
    last = (rows == stop[0] - 1) & (columns == stop[1] - 1)
    kept = jax.random.bernoulli(key_holes, shape=colors.shape) | first | last
    within = _rectangle(start, stop, canvas)
    return jnp.where(kept & within, colors.astype(jnp.int8), jnp.int8(0))


def _rectangle(start: jax.Array, stop: jax.Array, canvas: int) -> jax.Array:
    """The cells in rows and columns `start` .. `stop` - 1: bool [N, N]."""
    rows, columns = _places(canvas)
    in_rows, in_columns = (
        (rows >= start[0]) & (rows < stop[0]),
        (columns >= start[1]) & (columns < stop[1]),
    )
    return in_rows & in_columns


def _places(canvas: int) -> tuple[jax.Array, jax.Array]:
    """Row and column of every cell: int32 [N, 1] and [1, N]."""
    numbers = jnp.arange(canvas, dtype=jnp.int32)
    return numbers[:, None], numbers[None, :]


RANDOM = Generator(_no_rule, _random_pair)
GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {
        "flip": Generator(_flip_rule, _transformed_pair, least_size=2),
        "rotate": Generator(_rotation_rule, _transformed_pair, least_size=2),
        "recolor": Generator(_two_colors, _recolored_pair, least_colors=2),
        "translate": Generator(_step_rule, _translated_pair, least_size=2),
        "crop": Generator(_no_rule, _cropped_pair, least_size=2),
        "fill": Generator(_color_rule, _filled_pair, least_size=3, least_colors=2),
        "count": Generator(_no_rule, _counted_pair),
        "mirror": Generator(_flip_rule, _mirrored_pair, growth=2),
        "gravity": Generator(_side_rule, _fallen_pair, least_size=2),
        "frame": Generator(_color_rule, _framed_pair, least_size=2),
    }
)
