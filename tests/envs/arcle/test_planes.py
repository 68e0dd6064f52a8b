"""Words of bits against arrays of cells in NumPy."""

from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.planes import Box
from tests.unoptimised import jit

SIDES = (5, 30, 32)
pack = jit(planes.pack)
pack_mask = jit(planes.pack_mask)
shift = jit(planes.shift)
crop = jit(planes.crop)
flood = jit(planes.flood)
bounding_box = jit(planes.bounding_box)


def grids(side=None):
    sides = st.sampled_from(SIDES) if side is None else st.just(side)
    return sides.flatmap(lambda n: hnp.arrays(np.int8, (n, n), elements=st.integers(0, 9)))


def masks():
    densities = st.sampled_from([0.02, 0.5, 0.7])
    return st.tuples(st.sampled_from(SIDES), st.integers(0, 2**31), densities).map(
        lambda a: np.random.default_rng(a[1]).random((a[0], a[0])) < a[2]
    )


def unpacked(words):
    return np.asarray(planes.unpack_mask(words))


def reachable(mask, start):
    """Breadth-first search."""
    found, queue = np.zeros_like(mask), deque([start])
    found[start] = True
    while queue:
        x, y = queue.popleft()
        for cell in ((x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)):
            inside = min(cell) >= 0 and max(cell) < len(mask)
            if inside and mask[cell] and not found[cell]:
                found[cell] = True
                queue.append(cell)
    return found


@settings(max_examples=30, deadline=None)
@given(grids())
def test_packing_keeps_every_cell(grid):
    packed = pack(grid)
    assert packed.shape == (4, len(grid)) and packed.dtype == jnp.uint32
    np.testing.assert_array_equal(planes.unpack(packed), grid)
    assert planes.unpack(packed).dtype == jnp.int8


def test_the_bit_of_a_cell():
    grid = np.zeros((5, 5), np.int8)
    grid[2, 3] = 9
    assert pack(grid).tolist() == [[0, 0, 8, 0, 0], [0] * 5, [0] * 5, [0, 0, 8, 0, 0]]
    assert pack_mask(grid * 2 > 3).tolist() == [0, 0, 8, 0, 0]


@settings(max_examples=30, deadline=None)
@given(masks())
def test_bounding_box_is_that_of_numpy(mask):
    box = bounding_box(pack_mask(mask))
    if not mask.any():
        assert not box.some and [int(v) for v in box[:4]] == [-1, -1, -1, -1]
        return
    x, y = np.nonzero(mask)
    assert box.some
    assert [int(v) for v in box[:4]] == [x.min(), y.min(), x.max(), y.max()]


@pytest.mark.parametrize("side", SIDES)
def test_a_window_is_the_first_rows_and_columns(side):
    for rows, columns in ((0, 0), (1, side), (side, 1), (3, 2), (side, side)):
        expected = np.zeros((side, side), bool)
        expected[:rows, :columns] = True
        words = planes.window(jnp.asarray([rows, columns]), side)
        np.testing.assert_array_equal(unpacked(words), expected)


@settings(max_examples=60, deadline=None)
@given(masks(), st.integers(-40, 40), st.integers(-40, 40))
def test_shift_loses_what_leaves_the_canvas(mask, rows, columns):
    n = len(mask)
    wide = np.zeros((3 * n + 160, 3 * n + 160), bool)
    at = n + 80
    wide[at + rows : at + rows + n, at + columns : at + columns + n] = mask
    moved = shift(pack_mask(mask), jnp.int32(rows), jnp.int32(columns))
    np.testing.assert_array_equal(unpacked(moved), wide[at : at + n, at : at + n])
    # Nothing waits beyond the canvas for a shift back.
    assert (np.asarray(moved, np.uint64) < 2**n).all()


@pytest.mark.parametrize("by", [-(2**31) + 1, -1000, 32, 2**31 - 1])
def test_a_shift_of_any_size_leaves_nothing(by):
    full = jnp.full(32, 0xFFFFFFFF, jnp.uint32)
    assert not shift(full, jnp.int32(by), jnp.int32(0)).any()
    assert not shift(full, jnp.int32(0), jnp.int32(by)).any()


@settings(max_examples=60, deadline=None)
@given(masks(), st.booleans(), st.booleans())
def test_crop_moves_and_turns_over_the_box(mask, upside_down, mirrored):
    box = bounding_box(pack_mask(mask))
    expected = np.zeros_like(mask)
    if mask.any():
        x, y = np.nonzero(mask)
        part = mask[x.min() : x.max() + 1, y.min() : y.max() + 1]
        part = np.flipud(part) if upside_down else part
        part = np.fliplr(part) if mirrored else part
        expected[: part.shape[0], : part.shape[1]] = part
    words = crop(pack_mask(mask), box, jnp.bool_(upside_down), jnp.bool_(mirrored))
    np.testing.assert_array_equal(unpacked(words), expected)


@settings(max_examples=30, deadline=None)
@given(grids())
def test_crop_and_transpose_are_rot90(grid):
    n = len(grid)
    whole = Box(jnp.int32(0), jnp.int32(0), jnp.int32(n - 1), jnp.int32(n - 1), jnp.bool_(True))
    for k, upside_down in ((1, False), (3, True)):
        turned = crop(pack(grid), whole, jnp.bool_(upside_down), jnp.bool_(not upside_down))
        turned = planes.unpack(planes.transpose(turned))
        np.testing.assert_array_equal(turned, np.rot90(grid, k))


@settings(max_examples=30, deadline=None)
@given(grids(30), grids(30), st.integers(0, 9))
def test_painting_and_comparing(below, value, colour):
    mask = value > 4
    painted = planes.paint(pack(below), pack_mask(mask), pack(value))
    np.testing.assert_array_equal(planes.unpack(painted), np.where(mask, value, below))
    painted = planes.paint(pack(below), pack_mask(mask), planes.splat(jnp.int32(colour)))
    np.testing.assert_array_equal(planes.unpack(painted), np.where(mask, colour, below))
    alike = planes.cells_of(pack(below), planes.splat(jnp.int32(colour)))
    np.testing.assert_array_equal(unpacked(alike), below == colour)
    np.testing.assert_array_equal(unpacked(planes.occupied(pack(below))), below != 0)
    cell = np.zeros_like(mask)
    cell[7, 29] = True
    found = planes.cells_of(pack(below), planes.colour_at(pack(below), pack_mask(cell)))
    np.testing.assert_array_equal(unpacked(found), below == below[7, 29])


@settings(max_examples=60, deadline=None)
@given(masks(), st.integers(0, 10**6))
def test_flood_is_breadth_first_search(mask, pick):
    cells = np.argwhere(mask)
    if not len(cells):
        return
    start = tuple(cells[pick % len(cells)])
    seed = np.zeros_like(mask)
    seed[start] = True
    filled = flood(pack_mask(seed), pack_mask(mask))
    np.testing.assert_array_equal(unpacked(filled), reachable(mask, start))


def spiral(n):
    """A corridor of one cell's width from the corner to the centre: the longest path there is."""
    mask = np.zeros((n, n), bool)
    x, y, dx, dy = 0, 0, 0, 1
    mask[0, 0] = True

    def free(x, y):
        return 0 <= x < n and 0 <= y < n and not mask[x, y]

    turns = 0
    while turns < 2:
        ahead, further = (x + dx, y + dy), (x + 2 * dx, y + 2 * dy)
        beyond = not (0 <= further[0] < n and 0 <= further[1] < n)
        if free(*ahead) and (beyond or free(*further)):
            (x, y), turns = ahead, 0
            mask[x, y] = True
        else:
            (dx, dy), turns = (dy, -dx), turns + 1
    return mask


def comb(n):
    """Columns joined alternately above and below."""
    mask = np.zeros((n, n), bool)
    mask[:, ::2] = True
    mask[0, 1::4] = True
    mask[n - 1, 3::4] = True
    return mask


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("maze", [spiral, comb, lambda n: comb(n).T, lambda n: comb(n)[::-1, ::-1]])
def test_flood_reaches_the_end_of_every_maze(maze, side):
    mask = maze(side)
    start = tuple(np.argwhere(mask)[-1])
    seed = np.zeros_like(mask)
    seed[start] = True
    expected = reachable(mask, start)
    assert expected.sum() == mask.sum() > side * 2
    np.testing.assert_array_equal(unpacked(flood(pack_mask(seed), pack_mask(mask))), expected)


def test_flood_of_a_batch_where_some_have_no_seed():
    mask = np.stack([comb(5), np.ones((5, 5), bool)])
    seeds = np.zeros_like(mask)
    seeds[0, 0, 0] = True
    words = jax.vmap(planes.flood)(jax.vmap(pack_mask)(seeds), jax.vmap(pack_mask)(mask))
    np.testing.assert_array_equal(unpacked(words[0]), comb(5))
    assert not words[1].any()
