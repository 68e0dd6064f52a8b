"""Pictures of Crafter's things: our own, drawn by code, or those of the package `crafter`.

Everything is put together here, once and in NumPy, so that a picture of the world only has to
choose: what stands on a cell is blended onto the cell's material, and the number of an item onto
its picture.

Source of the layout and of the blending: the package `crafter` 1.8.3.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.drawing import paint
from jaxrl.envs.crafter_oo.icons import DIGITS, ICONS
from jaxrl.envs.crafter_oo.sprites import ENTITY_SPRITES, MATERIAL_SPRITES
from jaxrl.envs.crafter_oo.view import ENTITIES

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

SOURCES = ("own", "reference")
MANY = 10  # an item of which there are more than nine
SMALLEST_UNIT = 5
_OUTSIDE = 127  # the grey of what lies outside the map
_NUMBERS = (*map(str, range(1, 10)), "many")


class Textures(NamedTuple):
    """Pictures of squares of u x u pixels, rows from top to bottom.

    Attributes:
        cells: uint8 [13 * 15, u, u, 3], the material m with the entity e on it at 15 m + e, in
            the order of `MATERIALS` and `ENTITIES`.
        items: uint8 [16, 11, u, u, 3], each of `ITEMS`, and its number; the last is for more than
            nine, the first, for none, is black.
    """

    cells: Pixels
    items: Pixels

    @property
    def unit(self) -> int:
        """u, the side of a square in pixels."""
        return self.cells.shape[1]


def load(source: str, unit: int) -> Textures:
    """The textures of a source in squares of `unit` pixels.

    Args:
        source: "own", or "reference": those of the package `crafter`.
        unit: at least 5.

    Raises:
        ValueError: an unknown source, a unit that is too small, or the package is not installed.
    """
    if source not in SOURCES:
        raise ValueError(f"unknown textures {source!r}; known are {', '.join(SOURCES)}")
    if unit < SMALLEST_UNIT:
        raise ValueError(f"a unit has at least {SMALLEST_UNIT} pixels, got {unit}")
    return _own(unit) if source == "own" else _reference(unit)


def blend(texture: Pixels, below: Pixels) -> Pixels:
    """`texture` [..., 4] over `below` [..., 3], in float32 and cut off, as the reference does it.

    A texture [..., 3] hides what is below.
    """
    if texture.shape[-1] == 3:
        return texture
    over, under = texture.astype(np.float32) / 255, below.astype(np.float32) / 255
    alpha = over[..., 3:]
    return (255 * (alpha * over[..., :3] + (1 - alpha) * under)).astype(np.uint8)


def _cells(materials: list[Pixels], entities: list[Pixels]) -> Pixels:
    """Every entity on every material; the first entity is nothing."""
    return np.stack(
        [
            bottom if number == 0 else blend(entity, bottom)
            for bottom in (material[..., :3] for material in materials)
            for number, entity in enumerate(entities)
        ]
    )


def _own(unit: int) -> Textures:
    materials = [paint(MATERIAL_SPRITES[name], unit) for name in c.MATERIALS]
    entities = [paint(ENTITY_SPRITES[name], unit) for name in ENTITIES]
    items = np.zeros((len(c.ITEMS), MANY + 1, unit, unit, 3), np.uint8)
    for row, name in enumerate(c.ITEMS):
        icon = blend(paint(ICONS[name], unit), items[row, 0])
        for amount, digit in enumerate(_NUMBERS, start=1):
            items[row, amount] = blend(paint(DIGITS[digit], unit), icon)
    return Textures(_cells(materials, entities), items)


def _reference(unit: int) -> Textures:
    read = _reader()
    grey = np.full((unit, unit, 3), _OUTSIDE, np.uint8)
    materials = [grey, *(read(name, unit) for name in c.MATERIALS[1:])]
    entities = [grey, *(read(name, unit) for name in ENTITIES[1:])]
    items = np.zeros((len(c.ITEMS), MANY + 1, unit, unit, 3), np.uint8)
    for row, name in enumerate(c.ITEMS):
        for amount, digit in enumerate(_NUMBERS, start=1):
            cell = items[row, amount]
            for texture, shift, size in (
                (name, 0.1, 0.8),
                ("unknown" if digit == "many" else digit, 0.4, 0.6),
            ):
                picture, start = read(texture, int(size * unit)), int(shift * unit)
                part = cell[start : start + len(picture), start : start + len(picture)]
                part[:] = blend(picture, part)
    return Textures(_cells(materials, entities), items)


def _reader() -> Callable[[str, int], Pixels]:
    """Reads a texture of the package `crafter` in a size, by the nearest pixel."""
    found = importlib.util.find_spec("crafter")
    if found is None or found.origin is None:
        raise ValueError(
            "the reference's textures come with the package crafter, which is not installed"
            " (pip install 'jaxrl[reference]'); textures='own' needs nothing"
        )
    folder = Path(found.origin).parent / "assets"

    def read(name: str, size: int) -> Pixels:
        path = folder / f"{name}.png"
        if not path.is_file():
            raise ValueError(f"the installed package crafter has no texture {path.name}")
        with Image.open(path) as image:
            return np.asarray(image.resize((size, size), resample=Image.Resampling.NEAREST))

    return read
