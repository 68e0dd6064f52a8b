"""Textures: our own and the reference's."""

import importlib.util
import itertools

import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import drawing, textures
from jaxrl.envs.crafter_oo.icons import DIGITS, ICONS
from jaxrl.envs.crafter_oo.sprites import ENTITY_SPRITES, MATERIAL_SPRITES
from jaxrl.envs.crafter_oo.view import ENTITIES


def test_everything_has_a_picture():
    assert tuple(MATERIAL_SPRITES) == c.MATERIALS
    assert tuple(ENTITY_SPRITES) == ENTITIES
    assert set(ICONS) == set(c.ITEMS)
    assert list(DIGITS) == [*"123456789", "many"]


@pytest.mark.parametrize("unit", [7, 16, 32])
def test_own_pictures_can_be_told_apart(unit):
    made = textures.load("own", unit)
    cells = made.cells.reshape(len(c.MATERIALS), len(ENTITIES), unit, unit, 3).astype(int)
    assert made.unit == unit and made.items.shape == (16, 11, unit, unit, 3)
    on_grass, on_path = cells[c.material("grass")], cells[c.material("path")]
    for pictures in (cells[:, 0], on_grass, on_path, made.items[:, 1].astype(int)):
        for one, two in itertools.combinations(pictures, 2):
            assert abs(one - two).mean() > 5
    for item in made.items.astype(int):
        for one, two in itertools.combinations(item, 2):
            assert abs(one - two).mean() > 3  # the numbers
    assert not made.items[:, 0].any()


def test_directions_are_mirrored_and_turned():
    made = textures.load("own", 16).cells.reshape(13, 15, 16, 16, 3)[0]  # on one plain colour
    left, right = (made[ENTITIES.index(f"player-{side}")] for side in ("left", "right"))
    np.testing.assert_array_equal(left, right[:, ::-1])
    up = made[ENTITIES.index("arrow-up")]
    # rot90 turns to the left
    for turns, side in enumerate(("up", "left", "down", "right")):
        np.testing.assert_array_equal(made[ENTITIES.index(f"arrow-{side}")], np.rot90(up, turns))


def test_painting_averages_what_a_pixel_covers():
    sprite = (drawing.box("#ff0000", 0, 0, 3.5, 7), drawing.box("#0000ff", 0, 3.5, 3.5, 7))
    np.testing.assert_array_equal(
        drawing.paint(sprite, 2), [[[255, 0, 0, 255], [0] * 4], [[0, 0, 255, 255], [0] * 4]]
    )
    # A single pixel: a quarter red, a quarter blue, half of it empty.
    np.testing.assert_array_equal(drawing.paint(sprite, 1), [[[128, 0, 128, 128]]])


def test_shapes_cover_their_areas():
    def area(shape):
        return drawing.paint((shape,), 100)[..., 3].mean() / 255 * 49

    assert area(drawing.disc("#ffffff", 3.5, 3.5, 2)) == pytest.approx(np.pi * 4, rel=0.01)
    assert area(drawing.disc("#ffffff", 3.5, 3.5, 3, 1)) == pytest.approx(np.pi * 3, rel=0.01)
    triangle = drawing.polygon("#ffffff", (1, 1), (5, 1), (1, 6))
    assert area(triangle) == pytest.approx(10, rel=0.01)
    stroke = drawing.line("#ffffff", 1, (1, 3), (5, 3))
    assert area(stroke) == pytest.approx(4 + np.pi / 4, rel=0.01)
    assert area(drawing.pixels("#ffffff", 1, 2, "#.#", ".#.")) == pytest.approx(3, rel=0.01)


def test_blending_cuts_off():
    below = np.full((1, 1, 3), 10, np.uint8)
    half = np.asarray([[[255, 0, 101, 128]]], np.uint8)
    # 255 (a t + (1 - a) b) with a = 128 / 255: 132.98, 4.98, 55.68
    np.testing.assert_array_equal(textures.blend(half, below), [[[132, 4, 55]]])
    np.testing.assert_array_equal(textures.blend(below, half[..., :3]), below)


@pytest.mark.parametrize("unit", [7, 16, 21])
def test_the_reference_s_textures_are_those_of_its_reader(unit):
    engine = pytest.importorskip("crafter").engine
    folder = importlib.util.find_spec("crafter").submodule_search_locations[0]
    reader = engine.Textures(f"{folder}/assets")
    cells = textures.load("reference", unit).cells.reshape(13, 15, unit, unit, 3)
    for number, name in enumerate(c.MATERIALS[1:], start=1):
        expected = reader.get(name, (unit, unit))[..., :3].transpose(1, 0, 2)
        np.testing.assert_array_equal(cells[number, 0], expected)
    canvas = reader.get("sand", (unit, unit))[..., :3].copy()
    engine._draw_alpha(canvas, (0, 0), reader.get("cow", (unit, unit)))
    expected = canvas.transpose(1, 0, 2)
    np.testing.assert_array_equal(cells[c.material("sand"), ENTITIES.index("cow")], expected)
    assert (cells[0, 0] == 127).all()


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="package crafter, which is not installed"):
        textures.load("reference", 7)


def test_unknown_textures_and_small_units_are_refused():
    with pytest.raises(ValueError, match="unknown textures 'oww'; known are own, reference"):
        textures.load("oww", 7)
    with pytest.raises(ValueError, match="at least 5 pixels, got 4"):
        textures.load("own", 4)
