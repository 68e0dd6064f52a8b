"""Layouts as text, our own map, and where agents begin."""

import numpy as np
import pytest

from jaxrl.envs.economy import layouts

TEXT = "W.@\nS .\n"


def test_parse_reads_rows_of_symbols():
    layout = layouts.parse(TEXT)
    stone, wood = layout.sources
    assert layout.shape == (2, 3)
    np.testing.assert_array_equal(wood, [[1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(stone, [[0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(layout.water, [[0, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("text", ["W @;S  ;", "W @;S  ", "W @\r\nS  \r\n", "W @\nS  \n\n"])
def test_separators_of_rows(text):
    for ours, expected in zip(layouts.parse(text), layouts.parse(TEXT), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_text_and_back():
    layout = layouts.parse(TEXT)
    assert layouts.to_text(layout) == "W.@\nS.."
    quadrants = layouts.quadrants()
    for ours, expected in zip(layouts.parse(layouts.to_text(quadrants)), quadrants, strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one row"),
        ("\n\n", "at least one row"),
        ("W.\nS", "row 0 has 2 tiles, row 1 has 1"),
        ("W.\n\nS.", "row 0 has 2 tiles, row 1 has 0"),
        ("W.\n.X", r"got 'X' in row 1, column 1"),
        ("w.", r"got 'w' in row 0, column 0"),
    ],
)
def test_bad_text(text, message):
    with pytest.raises(ValueError, match=message):
        layouts.parse(text)


def test_load(tmp_path):
    (tmp_path / "map.txt").write_text(TEXT)
    assert layouts.to_text(layouts.load(tmp_path / "map.txt")) == "W.@\nS.."
    with pytest.raises(ValueError, match=r"no layout can be read from .*none\.txt"):
        layouts.load(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="no layout can be read"):
        layouts.load(tmp_path / "binary")


def test_check_of_arrays():
    layout = layouts.quadrants()
    assert layouts.check(layout).shape == (25, 25)
    with pytest.raises(ValueError, match=r"got \(25, 25\) and \(25, 25\)"):
        layouts.check(layouts.Layout(layout.sources[0], layout.water))
    with pytest.raises(ValueError, match="int64"):
        layouts.check(layouts.Layout(layout.sources, layout.water.astype(np.int64)))
    wet = layout.water.copy()
    wet[2, 6] = True
    with pytest.raises(ValueError, match=r"\(2, 6\) is two"):
        layouts.check(layouts.Layout(layout.sources, wet))


def test_quadrants():
    stone, wood = layouts.quadrants().sources
    water = layouts.quadrants().water
    assert wood.sum() == stone.sum() == 20
    assert stone[:12, :12].sum() == wood[:12, :12].sum() == 10
    assert wood[:12, 13:].sum() == stone[13:, :12].sum() == 10
    # The cross: the middle row and column, each with two gaps of four tiles.
    gaps = np.flatnonzero(~water[12])
    np.testing.assert_array_equal(gaps, [5, 6, 7, 8, 16, 17, 18, 19])
    np.testing.assert_array_equal(water[12], water[:, 12])
    assert water.sum() == 2 * 17 - 1


@pytest.mark.parametrize("size", [15, 17, 25, 41])
def test_quadrants_of_other_sizes(size):
    layout = layouts.check(layouts.quadrants(size))
    np.testing.assert_array_equal(layout.sources.sum(axis=(1, 2)), [20, 20])
    layouts.starting_places(4, (size, size), layout)  # corners are free of water
    # All land hangs together: it fills up from one corner.
    reached = np.zeros((size + 2, size + 2), bool)
    reached[1, 1] = True
    land = np.pad(~layout.water, 1)
    for _ in range(size * size):
        spread = reached.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                spread |= np.roll(reached, step, axis)
        if (spread & land == reached).all():
            break
        reached = spread & land
    np.testing.assert_array_equal(reached, land)


@pytest.mark.parametrize("size", [13, 24, 0])
def test_bad_size(size):
    with pytest.raises(ValueError, match="size must be odd and at least 15"):
        layouts.quadrants(size)


def test_starting_places_of_four():
    places = layouts.starting_places(4, (25, 25), layouts.quadrants())
    np.testing.assert_array_equal(places, [[0, 24], [24, 0], [0, 0], [24, 24]])


def test_starting_places_of_groups():
    """Eighteen agents: groups of 5, 4, 5 and 4, by hand."""
    places = layouts.starting_places(18, (25, 25), layouts.quadrants())
    expected = [
        *([0, 24], [0, 23], [0, 22], [0, 21], [1, 24]),
        *([24, 0], [24, 1], [24, 2], [24, 3]),
        *([0, 0], [0, 1], [0, 2], [0, 3], [1, 0]),
        *([24, 24], [24, 23], [24, 22], [24, 21]),
    ]
    np.testing.assert_array_equal(places, expected)


def test_starting_places_that_are_none():
    dry = layouts.parse(";".join(["....."] * 5))
    with pytest.raises(ValueError, match="two would begin on one tile"):
        layouts.starting_places(10, (5, 5), dry)
    with pytest.raises(ValueError, match="not enough"):
        layouts.starting_places(200, (5, 5), dry)
    wet = layouts.parse("....;....;....;...@")
    with pytest.raises(ValueError, match=r"\(3, 3\) is water"):
        layouts.starting_places(4, (4, 4), wet)
    with pytest.raises(ValueError, match=r"the layout is 4 x 4, not of \(5, 5\)"):
        layouts.starting_places(4, (5, 5), wet)
    with pytest.raises(ValueError, match="at least 1"):
        layouts.starting_places(0, (5, 5), dry)
