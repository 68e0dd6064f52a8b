"""Masks, boxes and points as words."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.arcle import planes, selection


def cells(words):
    return np.argwhere(np.asarray(planes.unpack_mask(words))).tolist()


def test_a_mask_selects_what_is_not_0():
    mask = np.zeros((5, 5), np.int8)
    mask[1, 4], mask[3, 0] = 1, 7
    assert cells(selection.from_mask(jnp.asarray(mask))) == [[1, 4], [3, 0]]


@pytest.mark.parametrize("box", [(1, 2, 2, 3), (2, 3, 1, 2), (1, 3, 2, 2), (2, 2, 1, 3)])
def test_a_box_is_the_same_from_any_two_opposite_corners(box):
    words = selection.from_box(jnp.asarray(box, jnp.int8), 5)
    assert cells(words) == [[1, 2], [1, 3], [2, 2], [2, 3]]


def test_a_box_includes_both_corners_up_to_the_last_cell():
    assert len(cells(selection.from_box(jnp.asarray([0, 0, 31, 31]), 32))) == 1024
    assert cells(selection.from_box(jnp.asarray([29, 29, 29, 29]), 30)) == [[29, 29]]


def test_what_is_beyond_the_canvas_is_not_selected():
    assert cells(selection.from_box(jnp.asarray([-3, 3, 0, 40]), 5)) == [[0, 3], [0, 4]]
    assert cells(selection.from_box(jnp.asarray([5, 5, 9, 9]), 5)) == []
    assert cells(selection.from_point(jnp.asarray([5, 0]), 5)) == []


def test_a_point_is_row_and_column():
    assert cells(selection.from_point(jnp.asarray([3, 1], jnp.int32), 5)) == [[3, 1]]


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\[N, N\].*\[3, 4\]"):
        selection.from_mask(jnp.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"N <= 32.*\[33, 33\]"):
        selection.from_mask(jnp.zeros((33, 33)))
    with pytest.raises(ValueError, match=r"x0, y0, x1, y1.*\[3\]"):
        selection.from_box(jnp.zeros(3, jnp.int32), 5)
    with pytest.raises(ValueError, match=r"\(x, y\).*\[3\]"):
        selection.from_point(jnp.zeros(3, jnp.int32), 5)
