"""What leaks between the published sets, and splits that do not leak."""

import numpy as np
import pytest

from jaxrl.envs.arcle import datasets, splits
from jaxrl.envs.arcle.tasks import Task, make_task_set, select


@pytest.fixture(scope="module")
def arc1():
    return datasets.load("arc1-training"), datasets.load("arc1-evaluation")


@pytest.fixture(scope="module")
def arc2_training():
    return datasets.load("arc2-training")


def grid(*rows):
    return np.asarray([[int(cell) for cell in line] for line in rows], np.int8)


def pair(number):
    return grid("1"), grid(f"{number // 10}{number % 10}")


def task(name, *numbers):
    pairs = tuple(pair(number) for number in numbers)
    return Task(name, pairs[:-1], pairs[-1:])


def test_the_known_leak_of_arc_1(arc1):
    (leak,) = splits.leaks(*arc1)
    assert leak == splits.Leak("40853293", "070dd51e", 3, True)
    assert str(leak) == "task 40853293 is task 070dd51e"
    assert splits.leaks(*arc1[::-1]) == (splits.Leak("070dd51e", "40853293", 3, True),)
    clean = splits.without_leaks(*arc1)
    assert len(clean.tasks) == 399 and "40853293" not in clean.ids
    assert splits.leaks(clean, arc1[1]) == ()


def test_a_leak_that_only_augmentation_makes(arc1):
    names = ["40853293", "caa06a1f", "007bbfb7"], ["070dd51e", "50a16a69", "00576224"]
    few = [select(task_set, ids=ids) for task_set, ids in zip(arc1, names, strict=True)]
    assert len(splits.leaks(*few)) == 1
    found = splits.leaks(*few, same=splits.up_to_symmetry)
    assert [(leak.train, leak.evaluation, leak.shared) for leak in found] == [
        ("40853293", "070dd51e", 3),
        ("caa06a1f", "50a16a69", 2),
    ]
    assert splits.without_leaks(*few, same=splits.up_to_symmetry).ids == ("007bbfb7",)


def test_arc_2_training_holds_most_of_arc_1(arc1, arc2_training):
    leaks = splits.leaks(arc2_training, arc1[1])
    assert len(leaks) == 376 and sum(leak.whole for leak in leaks) == 375
    assert all(leak.train == leak.evaluation for leak in leaks)
    assert splits.leaks(arc2_training, datasets.load("arc2-evaluation")) == ()


def test_leaks_by_hand():
    train = make_task_set("t", [task("a", 1, 2, 3), task("b", 4, 5), task("c", 6, 7)])
    evaluation = make_task_set("e", [task("x", 8, 5, 9, 4), task("y", 2, 3, 1), task("z", 4, 11)])
    found = splits.leaks(train, evaluation)
    assert found == (
        splits.Leak("a", "y", 3, True),
        splits.Leak("b", "x", 2, False),
        splits.Leak("b", "z", 1, False),
    )
    assert str(found[1]) == "task b shares 2 pairs with task x"
    assert splits.without_leaks(train, evaluation).ids == ("c",)
    with pytest.raises(ValueError, match="t: every task is also in t"):
        splits.without_leaks(train, train)


def test_keys_of_pairs():
    wide, tall = (grid("12"), grid("3")), (grid("1", "2"), grid("3"))
    assert splits.exact(wide) != splits.exact(tall)
    assert splits.up_to_symmetry(wide) == splits.up_to_symmetry(tall)
    assert splits.up_to_symmetry(wide) == splits.up_to_symmetry((grid("90"), grid("4")))
    assert splits.up_to_symmetry(wide) != splits.up_to_symmetry((grid("90"), grid("0")))
    # The same transform for input and output, or it is another pair.
    turned = splits.up_to_symmetry((grid("12", "34"), grid("12", "34")))
    assert turned == splits.up_to_symmetry((grid("24", "13"), grid("24", "13")))
    assert turned != splits.up_to_symmetry((grid("12", "34"), grid("24", "13")))


def test_a_split_depends_on_content_alone(arc1):
    training, validation = splits.split(arc1[0], 0.2)
    assert training.name == "arc1-training/training"
    assert sorted(training.ids + validation.ids) == sorted(arc1[0].ids)
    assert 60 <= len(validation.tasks) <= 100, "0.2 of 400 tasks, give or take 2.5 deviations"
    some = make_task_set("some", arc1[0].tasks[::-3])
    assert set(splits.split(some, 0.2)[1].ids) == set(some.ids) & set(validation.ids)
    renamed = make_task_set("new", [t._replace(id=t.id[::-1]) for t in arc1[0].tasks])
    assert [name[::-1] for name in splits.split(renamed, 0.2)[1].ids] == list(validation.ids)
    assert set(validation.ids) < set(splits.split(arc1[0], 0.4)[1].ids)
    other = splits.split(arc1[0], 0.2, salt="1")[1]
    assert 0 < len(set(other.ids) & set(validation.ids)) < 40


def test_related_tasks_stay_together():
    # Chains of tasks, each sharing a pair with the next, and single tasks.
    chained = [task(f"{c}-{i}", 10 * c + i, 10 * c + i + 1) for c in range(5) for i in range(4)]
    alone = [task(f"s-{n}", 50 + 2 * n, 51 + 2 * n) for n in range(20)]
    whole = make_task_set("chains", [*chained[::2], *alone, *chained[1::2]])
    sides = set()
    for salt in map(str, range(8)):
        parts = splits.split(whole, 0.5, salt=salt)
        assert splits.leaks(*parts) == ()
        for chain in range(5):
            held = [{t for t in part.ids if t.startswith(f"{chain}-")} for part in parts]
            assert sorted(map(len, held)) == [0, 4]
            sides.add(len(held[0]))
    assert sides == {0, 4}, "chains fall on either side"


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5, float("nan")])
def test_shares_that_are_none(share):
    with pytest.raises(ValueError, match="t: the validation share lies between 0 and 1, not"):
        splits.split(make_task_set("t", [task("a", 1, 2)]), share)


def test_a_split_has_no_empty_part():
    single = make_task_set("t", [task("a", 1, 2)])
    with pytest.raises(ValueError, match="t: a share of 0.5 of 1 tasks leaves no (valid|train)"):
        splits.split(single, 0.5)
