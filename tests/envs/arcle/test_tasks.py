"""Tasks on the host and stacked: contents, selection, and every way in which they can be wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.arcle import tasks
from tests.unoptimised import jit

SMALL = {
    "train": [
        {"input": [[1, 2, 3], [4, 5, 6]], "output": [[7]]},
        {"input": [[0]], "output": [[9, 8], [0, 1], [2, 3]]},
    ],
    "test": [{"input": [[5, 5]], "output": [[5], [5]]}],
}
OTHER = {
    "train": [{"input": [[1]], "output": [[2]]}],
    "test": [{"input": [[3]], "output": [[4]]}, {"input": [[0, 1, 2, 3]], "output": [[6]]}],
}


@pytest.fixture(scope="module")
def task_set():
    parsed = [tasks.parse_task(i, c, i) for i, c in (("small", SMALL), ("other", OTHER))]
    return tasks.make_task_set("mine", parsed)


def test_a_parsed_task_is_its_json(task_set):
    small = task_set.tasks[0]
    assert small.id == "small" and (len(small.demos), len(small.tests)) == (2, 1)
    for pair, content in zip(small.pairs, SMALL["train"] + SMALL["test"], strict=True):
        for grid, cells in zip(pair, (content["input"], content["output"]), strict=True):
            assert grid.dtype == np.int8 and grid.tolist() == cells
    assert [task.size for task in task_set.tasks] == [3, 4]
    assert task_set.ids == ("small", "other")


def test_stacked_tasks_are_padded_with_zeros(task_set):
    stacked = tasks.stack(task_set, 4)
    demos, tests = stacked.demos, stacked.tests
    assert demos.input.shape == demos.output.shape == (2, 2, 4, 4)
    assert tests.input.shape == (2, 2, 4, 4) and demos.input_dim.shape == (2, 2, 2)
    assert {leaf.dtype for leaf in jax.tree.leaves(stacked)} == {jnp.dtype("int8")}
    assert demos.count.tolist() == [2, 1] and tests.count.tolist() == [1, 2]
    assert demos.input[0, 0].tolist() == [[1, 2, 3, 0], [4, 5, 6, 0], [0] * 4, [0] * 4]
    assert demos.input_dim.tolist() == [[[2, 3], [1, 1]], [[1, 1], [0, 0]]]
    assert demos.output[0, 1].tolist() == [[9, 8, 0, 0], [0, 1, 0, 0], [2, 3, 0, 0], [0] * 4]
    assert demos.output_dim.tolist() == [[[1, 1], [3, 2]], [[1, 1], [0, 0]]]
    assert tests.output[0, 0].tolist() == [[5, 0, 0, 0], [5, 0, 0, 0], [0] * 4, [0] * 4]
    assert tests.input[1, 1].tolist() == [[0, 1, 2, 3], [0] * 4, [0] * 4, [0] * 4]
    assert not demos.input[1, 1].any() and not demos.output[1, 1].any()


def test_rooms_can_be_larger_than_needed_but_not_smaller(task_set):
    stacked = tasks.stack(task_set, 5, num_demos=3, num_tests=4)
    assert stacked.demos.input.shape == (2, 3, 5, 5) and stacked.tests.output_dim.shape == (2, 4, 2)
    assert stacked.demos.count.tolist() == [2, 1]
    with pytest.raises(ValueError, match="mine: task small has 2 demonstrations, .* room for 1"):
        tasks.stack(task_set, 4, num_demos=1)
    with pytest.raises(ValueError, match="mine: task other has 2 tests, there is room for 1"):
        tasks.stack(task_set, 4, num_tests=1)


def test_a_row_is_one_task_under_vmap_too(task_set):
    stacked = tasks.stack(task_set, 4)
    one = jit(tasks.row)(stacked, jnp.int32(1))
    assert one.demos.input[0, 0, 0] == 1 and one.tests.count == 2
    both = jax.vmap(tasks.row, in_axes=(None, 0))(stacked, jnp.asarray([1, 0], jnp.int32))
    np.testing.assert_array_equal(both.tests.input, stacked.tests.input[::-1])


def test_a_canvas_that_is_too_small_is_refused_and_the_largest_task_named(task_set):
    with pytest.raises(
        ValueError, match="mine: 1 of 2 tasks do not fit .* 3 x 3; .*other, needs 4"
    ):
        tasks.stack(task_set, 3)
    with pytest.raises(ValueError, match="mine: 2 of 2 tasks do not fit a canvas of 2 x 2"):
        tasks.stack(task_set, 2)


@pytest.mark.parametrize("canvas", [0, -1, 33])
def test_a_canvas_has_1_to_32_rows(task_set, canvas):
    with pytest.raises(ValueError, match=f"1 to 32 rows and columns, not {canvas}"):
        tasks.stack(task_set, canvas)


def test_selection(task_set):
    assert tasks.select(task_set, ids=["other", "small"]).ids == ("other", "small")
    assert tasks.select(task_set, ids="other").ids == ("other",)
    assert tasks.select(task_set, max_size=3).ids == ("small",)
    assert tasks.select(task_set, max_demos=1).ids == ("other",)
    assert tasks.select(task_set, max_tests=1).ids == ("small",)
    assert tasks.select(task_set, ids=["other", "small"], max_size=4) == tasks.TaskSet(
        "mine", task_set.tasks[::-1]
    )


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"ids": ["smal"]}, "mine: no task 'smal'; did you mean small?"),
        ({"ids": ["xyz"]}, "mine: no task 'xyz'; it has 2 tasks"),
        ({"ids": ["small", "small"]}, "mine: the task 'small' comes twice"),
        ({"ids": []}, "mine: no task of 0 is left by no ids"),
        ({"max_size": 2}, "mine: no task of 2 is left by max_size=2"),
        ({"max_size": 3, "max_tests": 0}, "mine: no task of 2 is left by max_size=3, max_tests=0"),
    ],
)
def test_selections_that_cannot_be(task_set, wanted, message):
    with pytest.raises(ValueError) as error:
        tasks.select(task_set, **wanted)
    assert str(error.value) == message


def test_a_set_has_tasks_and_different_ids(task_set):
    with pytest.raises(ValueError, match="none: there is no task"):
        tasks.make_task_set("none", [])
    with pytest.raises(ValueError, match="none: there is no task"):
        tasks.stack(tasks.TaskSet("none", ()), 5)
    with pytest.raises(ValueError, match="twice: the task 'small' comes twice"):
        tasks.make_task_set("twice", task_set.tasks[:1] * 2)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "here: the grid is empty"),
        ([[]], "here: the grid is empty"),
        ([[], []], "here: the grid is empty"),
        ([[1], []], "here: the grid is empty"),
        ([[1, 2], [3]], "here: the rows have 1 to 2 cells, not equally many"),
        ([[1, 10]], "here: row 0, column 1 is 10, not a whole number 0 to 9"),
        ([[1, 2], [-1, 2]], "here: row 1, column 0 is -1, not a whole number 0 to 9"),
        ([[1, 2], [1, "2"]], "here: row 1, column 1 is '2', not a whole number 0 to 9"),
        ([[1.0]], "here: row 0, column 0 is 1.0, not a whole number 0 to 9"),
        ([[True]], "here: row 0, column 0 is True, not a whole number 0 to 9"),
        ([[None]], "here: row 0, column 0 is None, not a whole number 0 to 9"),
        ([[[1]]], "here: row 0, column 0 is [1], not a whole number 0 to 9"),
        ([1, 2], "here: a grid is a list of rows of colours, got a list"),
        ("12", "here: a grid is a list of rows of colours, got a string"),
        (None, "here: a grid is a list of rows of colours, got null"),
        (7, "here: a grid is a list of rows of colours, got 7"),
    ],
)
def test_what_is_no_grid(cells, message):
    with pytest.raises(ValueError) as error:
        tasks.parse_grid(cells, "here")
    assert str(error.value) == message


PAIR = {"input": [[1]], "output": [[2]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "here: a task is an object with 'train' and 'test', got a list"),
        ({"train": [PAIR]}, "here: the task has no 'test'"),
        ({"test": [PAIR]}, "here: the task has no 'train'"),
        ({"train": [], "test": [PAIR]}, "here: 'train' must be a list of at least one pair"),
        ({"train": [PAIR], "test": PAIR}, "here: 'test' must be a list of at least one pair"),
        ({"train": [PAIR, 3], "test": [PAIR]}, "here, train pair 1: a pair is an object with"),
        ({"train": [PAIR], "test": [{"input": [[1]]}]}, "here, test pair 0 has no 'output'"),
        ({"train": [{"output": [[1]]}], "test": [PAIR]}, "here, train pair 0 has no 'input'"),
        (
            {"train": [PAIR, {"input": [[1]], "output": [[1], [11]]}], "test": [PAIR]},
            "here, train pair 1, output: row 1, column 0 is 11, not a whole number 0 to 9",
        ),
    ],
)
def test_what_is_no_task(content, message):
    with pytest.raises(ValueError) as error:
        tasks.parse_task("id", content, "here")
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
