"""Generated tasks: every output by a NumPy statement of its rule, and what levels promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.arcle import generation, generators
from tests.unoptimised import jit

CANVAS = 6
COUNT = 40  # tasks of each generator
ALL = {**generators.GENERATORS, "random": generators.RANDOM}


@pytest.fixture(scope="module")
def programs():
    """Each generator's program for a batch of keys, a level being an argument."""

    def program(generator):
        def one(key, level):
            return generation.generate(key, level, generator, CANVAS, num_demos=2, num_tests=2)

        return jit(jax.vmap(one, in_axes=(0, None)))

    return {name: program(generator) for name, generator in ALL.items()}


@pytest.fixture(scope="module")
def drawn(programs):
    """By name: `COUNT` tasks at the widest level, as NumPy arrays."""
    level = generation.make_level(CANVAS)
    keys = jax.random.split(jax.random.key(0), COUNT)
    return {name: jax.tree.map(np.asarray, run(keys, level)) for name, run in programs.items()}


def grids_of(part, index):
    """The pairs of a task as grids of their own size; what lies beyond must be 0."""
    found = []
    for pair in range(part.count[index]):
        sides = []
        for cells, dims in ((part.input, part.input_dim), (part.output, part.output_dim)):
            height, width = dims[index, pair]
            grid = cells[index, pair]
            assert 1 <= height <= CANVAS and 1 <= width <= CANVAS
            assert not grid[height:].any() and not grid[:, width:].any()
            assert grid.min() >= 0 and grid.max() <= 9
            sides.append(grid[:height, :width])
        found.append(tuple(sides))
    return found


def pairs_of(tasks):
    """For each task its four pairs, demonstrations first."""
    return [grids_of(tasks.demos, i) + grids_of(tasks.tests, i) for i in range(COUNT)]


def cropped(grid):
    rows, columns = np.nonzero(grid)
    return grid[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def shifted(grid, down, right):
    assert cropped(grid).size, "an object"
    result = np.zeros_like(grid)
    for row, column in zip(*np.nonzero(grid), strict=True):
        assert 0 <= row + down < grid.shape[0] and 0 <= column + right < grid.shape[1]
        result[row + down, column + right] = grid[row, column]
    return result


def filled(grid, color):
    rows, columns = np.nonzero(grid)
    result = grid.copy()
    result[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()] = color
    assert np.count_nonzero(cropped(grid) == 0) == (np.ptp(rows) - 1) * (np.ptp(columns) - 1) > 0
    assert np.unique(grid[grid > 0]).size == 1 and color not in grid
    return result


def counted(grid):
    (color,) = np.unique(grid[grid > 0])
    return np.full((1, np.count_nonzero(grid)), color, np.int8)


def fallen(grid, turns):
    turned = np.rot90(grid, turns)
    columns = [sorted(column, key=bool) for column in turned.T.tolist()]  # a stable sort
    return np.rot90(np.asarray(columns).T, -turns)


def framed(grid, color):
    result = np.full_like(grid, color)
    result[1:-1, 1:-1] = grid[1:-1, 1:-1]
    return result


def recolored(grid, old, new):
    assert old in grid
    return np.where(grid == old, new, grid)


COLORS = range(1, 10)
# Every version of each rule; a task follows one of them in all its pairs.
RULES = {
    "flip": [np.fliplr, np.flipud],
    "rotate": [lambda g, turns=turns: np.rot90(g, turns) for turns in (1, 2, 3)],
    "recolor": [
        lambda g, old=old, new=new: recolored(g, old, new)
        for old in COLORS
        for new in COLORS
        if old != new
    ],
    "translate": [
        lambda g, down=down, right=right: shifted(g, down, right)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down, right) != (0, 0)
    ],
    "crop": [cropped],
    "fill": [lambda g, color=color: filled(g, color) for color in COLORS],
    "count": [counted],
    "mirror": [lambda g: np.hstack([g, np.fliplr(g)]), lambda g: np.vstack([g, np.flipud(g)])],
    "gravity": [lambda g, turns=turns: fallen(g, turns) for turns in range(4)],
    "frame": [lambda g, color=color: framed(g, color) for color in COLORS],
}


def follows(rule, pairs):
    try:
        return all(np.array_equal(rule(grid), output) for grid, output in pairs)
    except AssertionError:
        return False


@pytest.mark.parametrize("name", generators.GENERATORS)
def test_all_pairs_of_a_task_follow_one_version_of_the_rule(drawn, name):
    seen = set()
    for pairs in pairs_of(drawn[name]):
        fitting = [i for i, rule in enumerate(RULES[name]) if follows(rule, pairs)]
        assert fitting, pairs
        if len(fitting) == 1:
            seen.add(fitting[0])
    most = {"recolor": 25, "fill": 7, "frame": 7}  # of 72 and 9 versions in 40 tasks
    assert len(seen) >= most.get(name, len(RULES[name])), "every version is drawn"


def test_random_tasks_are_painted_on_the_input_size(drawn):
    grids = [pair for pairs in pairs_of(drawn["random"]) for pair in pairs]
    assert all(grid.shape == output.shape for grid, output in grids)
    cells = np.stack([np.concatenate([p[side].ravel() for p in grids]) for side in (0, 1)])
    assert cells.shape[1] > 1500
    for side in cells:
        assert np.abs(np.bincount(side, minlength=10) / side.size - 0.1).max() < 0.04
    assert abs(np.corrcoef(cells)[0, 1]) < 0.1


def test_shapes_and_dtypes(drawn):
    for tasks in drawn.values():
        assert {leaf.dtype for leaf in jax.tree.leaves(tasks)} == {np.dtype("int8")}
        for part in (tasks.demos, tasks.tests):
            assert part.input.shape == part.output.shape == (COUNT, 2, CANVAS, CANVAS)
            assert part.input_dim.shape == part.output_dim.shape == (COUNT, 2, 2)
            assert part.count.tolist() == [2] * COUNT


@pytest.mark.parametrize("name", ALL)
def test_inputs_have_every_size_that_the_generator_and_the_level_allow(programs, drawn, name):
    generator = ALL[name]
    dims = np.concatenate([drawn[name].demos.input_dim, drawn[name].tests.input_dim], axis=1)
    largest = CANVAS // generator.growth
    assert set(np.unique(dims)) == set(range(generator.least_size, largest + 1))
    assert np.any(dims[..., 0] != dims[..., 1]), "not only squares"
    # A level is an argument: the same program, other sizes and colours.
    keys = jax.random.split(jax.random.key(1), COUNT)
    level = generation.make_level(CANVAS, min_size=3, max_size=3, colors=2)
    tasks = programs[name](keys, level)
    assert programs[name]._cache_size() == 1
    assert np.all(np.asarray(tasks.demos.input_dim) == 3)
    assert set(np.unique(tasks.demos.input)) == {0, 1, 2}
    smallest = programs[name](keys, generation.make_level(CANVAS, max_size=1, colors=1))
    assert np.all(np.asarray(smallest.tests.input_dim) == generator.least_size)
    assert np.asarray(smallest.demos.input).max() == generator.least_colors


def test_a_key_decides(programs):
    level = generation.make_level(CANVAS)
    keys = jax.random.split(jax.random.key(0), COUNT)
    one, two = programs["flip"](keys, level), programs["flip"](keys, level)
    jax.tree.map(np.testing.assert_array_equal, one, two)
    inputs = np.concatenate([one.demos.input, one.tests.input], axis=1).reshape(4 * COUNT, -1)
    assert len(np.unique(inputs, axis=0)) > 3.8 * COUNT, "pairs differ, within tasks too"


def test_a_mixture_is_one_of_its_generators(programs):
    chosen = ("crop", "count", "frame")
    kinds = tuple(ALL[name] for name in chosen)

    def one(key, level, weights):
        return generation.mixture(key, level, weights, kinds, CANVAS, num_demos=2, num_tests=2)

    many = jit(jax.vmap(one, in_axes=(0, None, None)))
    keys = jax.random.split(jax.random.key(2), COUNT)
    level = generation.make_level(CANVAS)
    tasks, index = many(keys, level, jnp.asarray([0.5, 0.0, 1.5]))
    counts = np.bincount(index, minlength=3)
    # 10 of the first expected, five standard deviations allowed.
    assert counts[1] == 0 and abs(counts[0] - 10) < 5 * (40 * 0.25 * 0.75) ** 0.5
    host = jax.tree.map(np.asarray, tasks)
    for pairs, number in zip(pairs_of(host), index.tolist(), strict=True):
        assert any(follows(rule, pairs) for rule in RULES[chosen[number]])
    with pytest.raises(ValueError, match=r"3 generators need as many weights, not \(2,\)"):
        many(keys, level, jnp.ones(2))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"min_size": 0},
            "sizes must be 1 <= min_size <= max_size <= canvas <= 32, not 0, 6 and 6",
        ),
        ({"min_size": 4, "max_size": 3}, "sizes must be .* not 4, 3 and 6"),
        ({"max_size": 7}, "sizes must be .* not 1, 7 and 6"),
        ({"colors": 0}, "colors must be 1 to 9, not 0"),
        ({"colors": 10}, "colors must be 1 to 9, not 10"),
    ],
)
def test_levels_that_cannot_be(wanted, message):
    with pytest.raises(ValueError, match=message):
        generation.make_level(CANVAS, **wanted)


def test_canvases_and_tasks_that_cannot_be():
    key, level = jax.random.key(0), generation.make_level(2)
    with pytest.raises(ValueError, match="needs a canvas of 3 to 32 rows, not 2"):
        generation.generate(key, level, generators.GENERATORS["fill"], 2)
    with pytest.raises(ValueError, match="needs a canvas of 2 to 32 rows, not 33"):
        generation.generate(key, level, generators.GENERATORS["mirror"], 33)
    with pytest.raises(ValueError, match="at least one demonstration and one test, not 3 and 0"):
        generation.generate(key, level, generators.RANDOM, 5, num_tests=0)
