"""Selecting cells: the state machine of keys and pointers, by hand."""

import numpy as np
import pytest

from jaxrl.play.board import Board, Pad

# 3 rows and 5 columns in the right half of a picture of 100 x 60: cells of 10 x 20 pixels.
BOARD = Board(3, 5, (0.5, 0.0, 1.0, 1.0), encode=np.asarray)


def after(*keys, board=BOARD, pad=None):
    pad = pad or Pad()
    for key in keys:
        pad = board.pressed(pad, key)
    return pad


@pytest.mark.parametrize(
    ("keys", "corners"),
    [
        ((), (0, 0, 0, 0)),
        (("right", "right", "down"), (1, 2, 1, 2)),
        (("up", "left"), (0, 0, 0, 0)),  # the edges hold
        (("down",) * 5 + ("right",) * 9, (2, 4, 2, 4)),
        (("space", "right", "down"), (0, 0, 1, 1)),
        (("down", "right", "space", "up", "left"), (1, 1, 0, 0)),  # corners in any order
        (("space", "right", "space", "down"), (1, 1, 1, 1)),  # let go
        (("space", "right", "space", "space", "down"), (0, 1, 1, 1)),
    ],
)
def test_keys_select(keys, corners):
    pad = after(*keys)
    assert pad.corners == corners
    assert BOARD.box(pad) == (
        min(corners[0], corners[2]),
        min(corners[1], corners[3]),
        max(corners[0], corners[2]),
        max(corners[1], corners[3]),
    )


def test_other_keys_are_none_of_the_board_s():
    assert [BOARD.pressed(Pad(), key) for key in ("x", "enter", "backspace", "f", "")] == [None] * 5


def test_nothing_is_selected_only_where_that_can_be():
    board = BOARD._replace(can_be_empty=True)
    pad = after("right", "space", "down", "backspace", board=board)
    assert pad.corners == () and board.caption(pad) == "nothing selected"
    assert after("right", board=board, pad=pad).corners == (1, 2, 1, 2)
    assert after("space", board=board, pad=pad).corners == (1, 1, 1, 1)
    board.check(())
    with pytest.raises(ValueError, match=r"within 3 x 5 cells, got \[\]"):
        BOARD.check(())


def test_a_switch_goes_on_and_off():
    board = BOARD._replace(switch="f", switched={"1": 0})
    assert after("f", board=board).switched and not after("f", "f", board=board).switched
    assert after("f", "right", board=board) == Pad((0, 1), switched=True)


@pytest.mark.parametrize(
    ("start", "end", "corners"),
    [
        ((0.5, 0.0), (0.5, 0.0), (0, 0, 0, 0)),
        ((0.65, 0.5), (0.65, 0.5), (1, 1, 1, 1)),
        ((0.61, 0.34), (0.69, 0.66), (1, 1, 1, 1)),  # within one cell
        ((0.55, 0.1), (0.95, 0.9), (0, 0, 2, 4)),
        ((0.95, 0.9), (0.75, 0.4), (2, 4, 1, 2)),  # upwards
        ((0.75, 0.5), (0.1, 1.0), (1, 2, 2, 0)),  # an end beside the board
        ((0.75, 0.5), (1.0, 0.5), (1, 2, 1, 4)),
        ((0.49, 0.5), (0.9, 0.5), (2, 3, 2, 3)),  # a start beside it: nothing happens
        ((1.0, 0.5), (0.9, 0.5), (2, 3, 2, 3)),
    ],
)
def test_pointers_select(start, end, corners):
    assert BOARD.dragged(Pad((2, 3)), start, end).corners == corners


def test_a_click_lets_a_corner_go_and_keeps_the_switch():
    pad = Pad((2, 3), (0, 0), empty=True, switched=True)
    assert BOARD.dragged(pad, (0.65, 0.5), (0.65, 0.5)) == Pad((1, 1), switched=True)


@pytest.mark.parametrize("corners", [(0, 0, 3, 0), (0, 5, 0, 0), (0, -1, 0, 0), (0, 0), (1,)])
def test_corners_beside_the_board_are_refused(corners):
    with pytest.raises(ValueError, match=r"x0, y0, x1, y1 within 3 x 5 cells, got \["):
        BOARD.check(corners)


def test_the_selection_is_drawn_around_its_cells():
    frame = np.full((60, 100, 3), 100, np.uint8)
    drawn = BOARD.drawn(frame, Pad((1, 3), (1, 1)))  # rows 20 to 39, columns 60 to 89
    assert (frame == 100).all()
    np.testing.assert_array_equal(drawn[20, 60:90], np.full((30, 3), 255))
    np.testing.assert_array_equal(drawn[20:40, 89], np.full((20, 3), 255))
    np.testing.assert_array_equal(drawn[19, 59:91], np.zeros((32, 3)))
    changed = (drawn != 100).any(axis=-1)
    assert not changed[:19].any() and not changed[41:].any() and not changed[:, :59].any()
    assert not changed[23:37, 63:78].any()  # within the box, left of the cursor's cell
    assert changed[23:37, 83].all()  # the cursor's cell, columns 80 to 89
    assert BOARD.drawn(frame, Pad(empty=True)) is frame


def test_a_caption_says_where_and_how_large():
    assert BOARD.caption(Pad((1, 3), (2, 1))) == "row 1, column 1: 2 x 3 selected"
