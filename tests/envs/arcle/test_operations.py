"""Every operation on a grid that can be checked by eye; `fixed` rules, canvas of 6 x 6."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import ARC, O2ARC, RAW, operation_set
from jaxrl.envs.arcle.rules import fixed, reference
from jaxrl.envs.arcle.state import initial_state
from jaxrl.envs.arcle.step import apply
from tests.envs.arcle.small import NOTHING, SIDE, act, after, box, canvas, grid, seen, start
from tests.unoptimised import jit


def same(actual, expected):
    np.testing.assert_array_equal(actual, canvas(expected))


def test_the_numbers_of_the_operations():
    assert [len(s.names) for s in (O2ARC, ARC, RAW)] == [35, 27, 12]
    numbers = {"Color9": 9, "FloodFill0": 10, "MoveUp": 20, "MoveDown": 21, "MoveRight": 22}
    numbers |= {"MoveLeft": 23, "RotateCCW": 24, "RotateCW": 25, "FlipLR": 26, "FlipUD": 27}
    numbers |= {"CopyI": 28, "CopyO": 29, "Paste": 30, "CopyFromInput": 31, "ResetGrid": 32}
    numbers |= {"ResizeGrid": 33, "Submit": 34}
    assert {name: O2ARC.number(name) for name in numbers} == numbers
    assert [ARC.number(n) for n in ("CopyI", "CopyO", "Paste", "Submit")] == [20, 21, 22, 26]
    assert [RAW.number(n) for n in ("ResizeToAnswer", "Submit")] == [10, 11]


def test_unknown_operations_are_refused():
    assert operation_set("arc") is ARC
    with pytest.raises(ValueError, match="unknown operations 'o2'; known are o2arc, arc, raw"):
        operation_set("o2")
    with pytest.raises(ValueError, match="the operations raw have no 'Paste'"):
        RAW.number("Paste")


def test_the_state_at_the_start():
    state = seen(start("12 3.", "4"))
    same(state["input"], "12 3.")
    same(state["grid"], "12 3.")
    assert state["input_dim"].tolist() == state["grid_dim"].tolist() == [2, 2]
    assert state["trials_remain"].tolist() == [-1] and state["terminated"].tolist() == [0]
    for name in ("selected", "clip", "clip_dim", "active", "object", "object_sel", "object_dim"):
        assert not state[name].any() and state[name].dtype == np.int8
    assert not any(state[name].any() for name in ("object_pos", "background", "rotation_parity"))


def test_color_paints_what_is_selected():
    first = start("111 111 111")
    same(after(first, ("Color5", box(1, 1, 2, 2)))["grid"], "111 155 155")
    same(after(first, ("Color0", box(0, 0, 0, 2)))["grid"], "... 111 111")
    same(after(first, "Color5")["grid"], "111 111 111")


def test_flood_fill_paints_what_is_joined_along_rows_and_columns():
    first = start("1.1 11. .11")
    same(after(first, ("FloodFill7", box(0, 0, 0, 0)))["grid"], "7.1 77. .77")
    same(after(first, ("FloodFill7", box(0, 2, 0, 2)))["grid"], "1.7 11. .11")
    same(after(first, ("FloodFill7", box(2, 0, 2, 0)))["grid"], "1.1 11. 711")


@pytest.mark.parametrize("rules", [fixed, reference])
def test_flood_fill_needs_one_cell_of_the_grid(rules):
    first = start("11 11")
    for mask in (NOTHING, box(0, 0, 0, 1), box(0, 2, 0, 2), box(2, 0, 2, 0)):
        same(after(first, ("FloodFill7", mask), rules=rules())["grid"], "11 11")


def test_flood_fill_stays_in_the_grid_though_black_goes_on_beyond():
    same(after(start(".. .1"), ("FloodFill3", box(0, 0, 0, 0)))["grid"], "33 31")


MOVED = {"MoveUp": "23. 5.. ...", "MoveDown": "... ... 23.", "MoveRight": "... .23 .5."}
MOVED["MoveLeft"] = "... 3.. ..."


@pytest.mark.parametrize("name", MOVED)
def test_move_takes_the_selected_cells_along(name):
    mask = box(1, 0, 2, 1)
    first = start("... 23. 5..")
    state = after(first, (name, mask))
    same(state["grid"], MOVED[name])
    same(state["object"], "23 5.")
    same(state["object_sel"], "11 11")
    assert state["object_dim"].tolist() == [2, 2] and state["active"].tolist() == [1]
    step = {"Up": (-1, 0), "Down": (1, 0), "Right": (0, 1), "Left": (0, -1)}[name[4:]]
    assert state["object_pos"].tolist() == [1 + step[0], step[1]]
    expected = np.zeros((SIDE, SIDE), np.int8)
    for x, y in np.argwhere(mask):
        if 0 <= x + step[0] < 3 and 0 <= y + step[1] < 3:
            expected[x + step[0], y + step[1]] = 1
    np.testing.assert_array_equal(state["selected"], expected)


def test_an_object_off_the_grid_comes_back_whole():
    first = start("12 ..")
    lift = ("MoveLeft", box(0, 0, 0, 1))
    same(after(first, lift)["grid"], "2. ..")
    same(after(first, lift, "MoveLeft")["grid"], ".. ..")
    assert not after(first, lift, "MoveLeft", "MoveLeft")["selected"].any()
    same(after(first, lift, "MoveLeft", "MoveRight", "MoveRight")["grid"], "12 ..")


def test_black_cells_of_an_object_are_transparent():
    state = after(start("1.1 456 ..."), ("MoveDown", box(0, 0, 0, 2)))
    same(state["grid"], "... 151 ...")
    same(state["background"], "... 456 ...")
    same(state["selected"], "... 111 ...")


def test_an_object_is_only_the_selected_cells_of_its_box():
    mask = box(0, 0, 0, 0) | box(1, 1, 1, 1)
    state = after(start("12 34 .."), ("MoveDown", mask))
    same(state["grid"], ".2 1. .4")
    same(state["object"], "1. .4")
    same(state["object_sel"], "1. .1")


def test_an_object_operation_without_an_object_does_nothing():
    first = start("12 34")
    before = seen(first)
    for name in ("MoveUp", "RotateCW", "FlipUD"):
        state = after(first, name)
        for key, leaf in before.items():
            np.testing.assert_array_equal(state[key], leaf)


@pytest.mark.parametrize("name, k", [("RotateCCW", 1), ("RotateCW", 3)])
def test_rotate_of_a_square_turns_about_its_centre(name, k):
    state = after(start("123 456 789"), (name, box(0, 0, 2, 2)))
    np.testing.assert_array_equal(state["grid"][:3, :3], np.rot90(grid("123 456 789"), k))
    np.testing.assert_array_equal(state["object"][:3, :3], np.rot90(grid("123 456 789"), k))
    assert state["object_pos"].tolist() == [0, 0]


def test_rotate_with_sides_of_the_same_parity():
    first = start("..... ..... 123.. ..... .....")
    state = after(first, ("RotateCCW", box(2, 0, 2, 2)))
    same(state["grid"], "..... .3... .2... .1... .....")
    assert state["object_pos"].tolist() == [1, 1] and state["object_dim"].tolist() == [3, 1]
    assert state["rotation_parity"].tolist() == [0]
    same(state["selected"], "..... .1... .1... .1... .....")
    state = after(first, ("RotateCW", box(2, 0, 2, 2)))
    same(state["grid"], "..... .1... .2... .3... .....")


def test_rotate_with_sides_of_different_parity_alternates():
    # The corner of 1 x 2 at (2, 2): its centre is (2, 2.5); the turned one's, rows 1.5 to 2.5.
    first = start("..... ..... ..12. ..... .....")
    mask = box(2, 2, 2, 3)
    expected = [((1, 2), 1), ((2, 2), 0), ((1, 2), 1), ((2, 2), 0)]
    for count, (position, parity) in enumerate(expected, 1):
        state = after(first, ("RotateCCW", mask), *["RotateCCW"] * (count - 1))
        assert state["object_pos"].tolist() == list(position)
        assert state["rotation_parity"].tolist() == [parity]
    same(state["grid"], "..... ..... ..12. ..... .....")
    same(after(first, ("RotateCCW", mask))["grid"], "..... ..2.. ..1.. ..... .....")
    same(after(first, ("RotateCW", mask))["grid"], "..... ..1.. ..2.. ..... .....")


def test_flips_turn_over_within_the_box():
    first = start("12. 34. ...")
    state = after(first, ("FlipLR", box(0, 0, 1, 1)))
    same(state["grid"], "21. 43. ...")
    assert state["object_pos"].tolist() == [0, 0]
    same(after(first, ("FlipUD", box(0, 0, 1, 1)))["grid"], "34. 12. ...")
    same(after(first, ("FlipUD", box(0, 0, 1, 1)), "FlipLR")["grid"], "43. 21. ...")


def test_a_new_selection_leaves_the_old_object_behind():
    state = after(
        start("1.. ... ..."), ("MoveRight", box(0, 0, 0, 0)), ("MoveDown", box(0, 1, 0, 1)),
        ("MoveLeft", box(2, 2, 2, 2)), "MoveLeft",
    )  # fmt: skip
    same(state["grid"], "... .1. ...")
    same(state["background"], "... .1. ...")
    assert state["object_pos"].tolist() == [2, 0] and not state["object"].any()


@pytest.mark.parametrize(
    "name",
    ["Color1", "FloodFill1", "CopyI", "CopyO", "Paste", "CopyFromInput", "ResetGrid", "ResizeGrid"],
)
def test_other_operations_end_the_selection(name):
    state = after(start("12 34"), ("MoveUp", box(1, 0, 1, 0)), name)
    assert not state["selected"].any() and state["active"].tolist() == [0]
    same(state["object"], "3")
    lost = after(start("12 34"), ("MoveUp", box(1, 0, 1, 0)), name, "MoveRight")
    np.testing.assert_array_equal(lost["grid"], state["grid"])


def test_submit_keeps_the_selection():
    state = after(start("12 34"), ("MoveUp", box(1, 0, 1, 0)), "Submit", "MoveRight")
    same(state["grid"], "13 .4")
    assert state["active"].tolist() == [1]


def test_copy_takes_the_selected_cells_and_paste_the_whole_rectangle():
    first = start("123 456 789")
    mask = box(0, 0, 1, 1) & ~box(0, 1, 0, 1)
    state = after(first, ("CopyO", mask))
    same(state["clip"], "1. 45")
    assert state["clip_dim"].tolist() == [2, 2]
    state = after(first, ("CopyO", mask), ("Paste", box(1, 1, 2, 2)))
    same(state["grid"], "123 41. 745")


def test_copy_from_input_and_from_grid_differ_in_their_source():
    painted = ("Color9", box(0, 0, 0, 1))
    first = start("12 34")
    same(after(first, painted, ("CopyI", box(0, 0, 1, 0)))["clip"], "1 3")
    same(after(first, painted, ("CopyO", box(0, 0, 1, 0)))["clip"], "9 3")


def test_copy_and_paste_without_a_selection_or_a_clip_do_nothing():
    state = after(start("12 34"), "CopyI", ("Paste", box(0, 0, 0, 0)))
    same(state["grid"], "12 34")
    assert state["clip_dim"].tolist() == [0, 0]
    same(after(start("12 34"), ("CopyI", box(0, 0, 0, 0)), "Paste")["grid"], "12 34")


def test_paste_is_cut_at_the_edge_of_the_canvas():
    full = "123456 123456 123456 123456 123456 123456"
    state = after(start(full), ("CopyO", box(0, 0, 1, 2)), ("Paste", box(5, 4, 5, 4)))
    same(state["grid"], full[:-2] + "12")
    state = after(start(full), ("CopyO", box(0, 0, 5, 0)), ("Paste", box(4, 3, 4, 3)))
    same(state["grid"], "123456 123456 123456 123456 123156 123156")


def test_operations_on_the_whole_grid():
    first = start("12 34")
    resized = ("ResizeGrid", box(1, 2, 3, 3))
    state = after(first, resized)
    assert state["grid_dim"].tolist() == [3, 2] and not state["grid"].any()
    assert after(first, "ResizeGrid")["grid_dim"].tolist() == [2, 2]
    same(after(first, "ResizeGrid")["grid"], "12 34")
    state = after(first, resized, ("Color5", box(2, 0, 2, 1)), "CopyFromInput")
    same(state["grid"], "12 34")
    assert state["grid_dim"].tolist() == [2, 2]
    state = after(first, "ResetGrid")
    assert state["grid_dim"].tolist() == [2, 2] and not state["grid"].any()


def test_resize_to_answer_keeps_what_fits():
    state = after(start("123 456", "99 99 99"), "ResizeToAnswer", operations=RAW)
    same(state["grid"], "12 45")
    assert state["grid_dim"].tolist() == [3, 2]
    assert set(state) == {"input", "input_dim", "grid", "grid_dim", "trials_remain", "terminated"}


def test_the_right_answer_pays_and_ends():
    state, reward, ended = act(start("12", "52"), "Submit")
    assert (reward, ended) == (0.0, False)
    state, reward, ended = act(state, "Color5", box(0, 0, 0, 0))
    assert (reward, ended) == (0.0, False)
    state, reward, ended = act(state, "Submit")
    assert (reward, ended, int(state.submit_count), int(state.time)) == (1.0, True, 2, 3)
    assert bool(state.terminated)


def test_an_answer_of_another_size_is_wrong():
    assert act(start("12 ..", "12"), "Submit")[1:] == (0.0, False)
    assert act(start("12", "12 .."), "Submit")[1:] == (0.0, False)


def test_the_last_wrong_submit_ends_the_episode():
    rules = fixed(max_trials=2)
    state, reward, ended = act(start("1", "2", rules), "Submit", rules=rules)
    assert (reward, ended, int(state.trials_remain)) == (0.0, False, 1)
    state, reward, ended = act(state, "Submit", rules=rules)
    assert (reward, ended, int(state.trials_remain)) == (0.0, True, 0)


def test_the_sets_agree_where_they_overlap():
    first = start("121 212 ...")
    for name, mask in [
        ("Color4", box(0, 0, 1, 0)),
        ("FloodFill4", box(2, 2, 2, 2)),
        ("CopyO", box(0, 1, 1, 2)),
        ("ResizeGrid", box(0, 1, 1, 2)),
    ]:
        full = after(first, (name, mask))
        part = after(first, (name, mask), operations=ARC)
        for key, leaf in part.items():
            np.testing.assert_array_equal(leaf, full[key])
    assert "selected" not in part and "object" not in part


def test_a_number_that_is_no_operation_leaves_the_grid_alone():
    state = start("12 34")
    mask = planes.pack_mask(jnp.asarray(box(0, 0, 1, 1)))
    for number in (-1, 35, 1000):
        out, reward, ended = jit(apply, static_argnums=4)(
            state, jnp.int32(number), mask, fixed(), O2ARC
        )
        same(seen(out)["grid"], "12 34")
        assert not reward and not ended


@pytest.mark.parametrize("side", [5, 32])
def test_canvases_of_other_sizes(side):
    cells = np.arange(side * side).reshape(side, side).astype(np.int32) % 10
    dim = np.asarray([side, side], np.int32)
    state = initial_state(
        jnp.asarray(cells.astype(np.int8)), dim, cells.astype(np.int8), dim, fixed()
    )
    mask = planes.pack_mask(jnp.ones((side, side), bool))
    step = jit(apply, static_argnums=4)
    state, _, _ = step(state, jnp.int32(O2ARC.number("RotateCCW")), mask, fixed(), O2ARC)
    np.testing.assert_array_equal(planes.unpack(state.grid), np.rot90(cells))
