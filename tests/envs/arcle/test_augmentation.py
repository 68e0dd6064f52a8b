"""Augmentations against NumPy's flips and rotations, and their inverses as properties."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrl.envs.arcle import augmentation as aug
from jaxrl.envs.arcle import geometry, tasks
from tests.unoptimised import jit

CANVAS = 5
DEMOS = 4
NUMPY = {
    "identity": lambda grid: grid,
    "flip left-right": np.fliplr,
    "flip up-down": np.flipud,
    "rotate by 180 degrees": lambda grid: np.rot90(grid, 2),
    "transpose": np.transpose,
    "rotate clockwise": lambda grid: np.rot90(grid, -1),
    "rotate counterclockwise": np.rot90,
    "transpose along the other diagonal": lambda grid: np.rot90(grid, 2).T,
}

apply = jit(aug.apply)
invert = jit(aug.invert)
compose = jit(aug.compose)
inverse = jit(aug.inverse)
apply_to_task = jit(aug.apply_to_task)
augment_many = jit(jax.vmap(aug.augment))


def padded(grid):
    canvas = np.zeros((CANVAS, CANVAS), np.int8)
    canvas[: grid.shape[0], : grid.shape[1]] = grid
    return canvas, np.asarray(grid.shape, np.int8)


def equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


sizes = st.integers(1, CANVAS)
grids = st.tuples(sizes, sizes, st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 10, drawn[:2]).astype(np.int8)
)
augmentations = st.tuples(
    st.integers(0, 7), st.permutations(range(10)), st.permutations(range(DEMOS))
).map(lambda drawn: aug.Augmentation(*(jnp.asarray(part, jnp.int8) for part in drawn)))


@pytest.fixture(scope="module")
def two_tasks():
    """Tasks of three and two demonstrations, one and two tests, none of whose grids are square."""
    rng = np.random.default_rng(0)

    def pairs(count):
        drawn = rng.integers(1, 10, (count, 2, 3, 4))
        return [{"input": a[:2].tolist(), "output": b[:, :2].tolist()} for a, b in drawn]

    content = {"a": (3, 1), "b": (2, 2)}
    return tasks.make_task_set(
        "two",
        [
            tasks.parse_task(name, {"train": pairs(demos), "test": pairs(tests)}, name)
            for name, (demos, tests) in content.items()
        ],
    )


@pytest.fixture(scope="module")
def stacked(two_tasks):
    return tasks.stack(two_tasks, CANVAS, num_demos=DEMOS)


def test_transforms_are_those_of_numpy_for_every_size():
    sides = list(itertools.product(range(CANVAS + 1), repeat=2))
    rng = np.random.default_rng(1)
    batch = [padded(rng.integers(1, 10, shape)) for shape in sides]
    inputs, dims = (np.stack(part) for part in zip(*batch, strict=True))
    indices = jnp.arange(8, dtype=jnp.int8)
    per_grid = jax.vmap(geometry.transform, in_axes=(None, 0, 0))
    found = jit(jax.vmap(per_grid, in_axes=(0, None, None)))(indices, inputs, dims)
    for index, name in enumerate(geometry.TRANSFORMS):
        for number, (height, width) in enumerate(sides):
            expected = padded(NUMPY[name](inputs[number, :height, :width]))
            equal((found[0][index, number], found[1][index, number]), expected)
    assert found[0].dtype == found[1].dtype == jnp.int8


def test_products_and_inverses_of_transforms_are_those_of_numpy():
    probe = np.arange(6).reshape(2, 3)
    names = dict(enumerate(geometry.TRANSFORMS))
    seconds, firsts = (part.ravel().astype(np.int8) for part in np.mgrid[:8, :8])
    products = jax.vmap(geometry.compose_transforms)(seconds, firsts).tolist()
    for second, first, product in zip(seconds, firsts, products, strict=True):
        step_by_step = NUMPY[names[second]](NUMPY[names[first]](probe))
        np.testing.assert_array_equal(NUMPY[names[product]](probe), step_by_step)
    backs = jax.vmap(geometry.inverse_transform)(np.arange(8, dtype=np.int8)).tolist()
    for index, back in enumerate(backs):
        np.testing.assert_array_equal(NUMPY[names[back]](NUMPY[names[index]](probe)), probe)


def test_a_rotation_needs_a_square_canvas():
    with pytest.raises(ValueError, match=r"square canvas, not one of shape \(4, 5\)"):
        geometry.transform(jnp.int8(1), jnp.zeros((4, 5), jnp.int8), jnp.zeros(2, jnp.int8))


def test_rolls_are_those_of_numpy():
    grid = np.arange(35, dtype=np.int8).reshape(7, 5)
    shifts = np.stack(np.meshgrid(np.arange(-8, 9), [-6, 0, 1, 5]), axis=-1).reshape(-1, 2)
    found = jax.vmap(geometry.roll, in_axes=(None, 0, 0))(
        jnp.asarray(grid), *shifts.T.astype(np.int32)
    )
    for rolled, shift in zip(found, shifts, strict=True):
        np.testing.assert_array_equal(rolled, np.roll(grid, shift, axis=(0, 1)))


@settings(deadline=None, max_examples=60)
@given(augmentations, grids)
def test_what_is_done_to_a_grid_is_exactly_undone(augmentation, grid):
    start = padded(grid)
    moved, dim = apply(augmentation, *start)
    swapped = int(augmentation.transform) >= 4
    assert dim.tolist() == list(grid.shape[::-1] if swapped else grid.shape)
    renamed = np.asarray(augmentation.colors)[grid]
    equal((moved, dim), padded(NUMPY[geometry.TRANSFORMS[int(augmentation.transform)]](renamed)))
    equal(invert(augmentation, moved, dim), start)


@settings(deadline=None, max_examples=40)
@given(augmentations, augmentations, grids)
def test_augmentations_form_a_group(second, first, grid):
    start = padded(grid)
    both = compose(second, first)
    equal(apply(both, *start), apply(second, *apply(first, *start)))
    nothing = aug.identity(DEMOS)
    equal(compose(inverse(first), first), nothing)
    equal(compose(first, inverse(first)), nothing)
    equal(compose(first, nothing), first)
    equal(inverse(both), compose(inverse(first), inverse(second)))
    assert {leaf.dtype for leaf in jax.tree.leaves(both)} == {jnp.dtype("int8")}


@settings(deadline=None, max_examples=25)
@given(second=augmentations, first=augmentations)
def test_whole_tasks_are_undone_and_composed(stacked, second, first):
    task = tasks.row(stacked, 0)
    once = apply_to_task(first, task)
    equal(apply_to_task(inverse(first), once), task)
    equal(apply_to_task(second, once), apply_to_task(compose(second, first), task))


def test_every_pair_of_a_task_is_augmented_alike(stacked, two_tasks):
    keys = jax.random.split(jax.random.key(0), 2)
    augmented, how = augment_many(keys, stacked)
    equal(augmented.demos.count, stacked.demos.count)
    for index, task in enumerate(two_tasks.tasks):
        table = np.asarray(how.colors[index])
        transform = NUMPY[geometry.TRANSFORMS[int(how.transform[index])]]
        order = how.order[index].tolist()
        count = len(task.demos)
        assert sorted(order[:count]) == list(range(count)) and order[count:] == [*range(count, 4)]
        demos = [task.demos[place] for place in order[:count]]
        got = jax.tree.map(np.asarray, tasks.row(augmented, index))
        for part, pairs in ((got.demos, demos), (got.tests, task.tests)):
            for number, (grid, output) in enumerate(pairs):
                equal((part.input[number], part.input_dim[number]), padded(transform(table[grid])))
                equal(
                    (part.output[number], part.output_dim[number]), padded(transform(table[output]))
                )
            beyond = (part.input, part.input_dim, part.output, part.output_dim)
            assert not any(leaf[len(pairs) :].any() for leaf in beyond)


def test_an_answer_is_taken_back(stacked):
    task = tasks.row(stacked, 1)
    augmented, how = jit(aug.augment)(jax.random.key(3), task)
    answer = augmented.tests.output[1], augmented.tests.output_dim[1]
    equal(invert(how, *answer), (task.tests.output[1], task.tests.output_dim[1]))


def test_what_is_drawn(stacked):
    many = jit(jax.vmap(lambda key: aug.draw(key, jnp.int8(3), DEMOS)))
    drawn = jax.tree.map(np.asarray, many(jax.random.split(jax.random.key(1), 2400)))
    # 300 of each transform and 400 of each order expected; five standard deviations allowed.
    assert np.all(np.abs(np.bincount(drawn.transform, minlength=8) - 300) < 5 * 300**0.5)
    orders, counts = np.unique(drawn.order, axis=0, return_counts=True)
    assert orders.tolist() == [[*order, 3] for order in itertools.permutations(range(3))]
    assert np.all(np.abs(counts - 400) < 5 * 400**0.5)
    assert np.all(drawn.colors[:, 0] == 0), "black stays black"
    assert np.all(np.sort(drawn.colors, axis=1) == np.arange(10))
    for color in range(1, 10):
        table = np.bincount(drawn.colors[:, color], minlength=10)[1:]
        assert np.all(np.abs(table - 2400 / 9) < 5 * (2400 / 9) ** 0.5)
    independent = np.corrcoef(np.stack([drawn.transform, drawn.colors[:, 1], drawn.order[:, 0]]))
    assert np.abs(independent - np.eye(3)).max() < 0.1


def test_black_takes_part_if_asked(stacked):
    augment = jit(jax.vmap(lambda key, task: aug.augment(key, task, aug.all_colors)))
    task = tasks.row(stacked, jnp.zeros(200, jnp.int32))
    augmented, how = jax.tree.map(
        np.asarray, augment(jax.random.split(jax.random.key(2), 200), task)
    )
    assert set(how.colors[:, 0].tolist()) == set(range(10))
    assert np.all(np.sort(how.colors, axis=1) == np.arange(10))
    # Padding is not a colour: cells beyond a grid stay 0.
    rows, columns = np.arange(CANVAS)[:, None], np.arange(CANVAS)
    dims = augmented.demos.input_dim[..., None, None, :]
    beyond = (rows >= dims[..., 0]) | (columns >= dims[..., 1])
    assert beyond.any() and not augmented.demos.input[beyond].any()
