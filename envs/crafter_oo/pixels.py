"""The picture of a world: 9 x 9 units, of which 9 x 7 show the map and two rows the inventory.

By day a picture is one gather. Light changes a pixel by the time of day alone, and over an episode
a day has fewer than a hundred different effects on a texture's 8-bit colours, so every cell's look
is tabulated, in float64, for each of them, awake and asleep. Only below a daylight of 0.5, where
noise comes in, is a picture computed, for those of a batch for which it is night.

Source of the picture: the package `crafter` 1.8.3. Deviations: the noise has 256 levels (the
reference's is a float64), and at night a pixel is computed in float32, which is one level off in
less than one of a thousand.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import textures as t
from jaxrl.envs.crafter_oo.daylight import DAY, exact_daylight
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState
from jaxrl.envs.crafter_oo.view import ENTITIES, GRID, VIEW, local_view
from jaxrl.rows import default_chunk, update_rows_where

DARK = 0.5  # below this daylight the picture is noisy
# In float64 the last bits of t / 300 mod 1 depend on the day, and so may a pixel, which is cut off.
_TABULATED = 34 * DAY
_NIGHT_COLOUR = (0, 16, 64)
_SLEEP_COLOUR = (0, 0, 16)
_NOISE_LOW, _NOISE_HIGH = 32.0, 127.0
_SPREAD = 0.5  # standard deviation of the part of the view without noise, in half views
_LARGEST_TABLE = 8 << 20  # bytes; more than that is computed


@dataclasses.dataclass(frozen=True, eq=False)
class Tiles:
    """What a picture is put together from; constants, made by `make_tiles`.

    Attributes:
        size: side of the picture in pixels.
        unit: side of a cell in pixels, u.
        cells: uint32 [195, u, u], the looks of a cell without light; red is the lowest byte.
        table: uint8 [2 R * 195 + 177, u, u, 3], the looks of a cell in each of R lights, awake and
            then asleep, then the 16 x 11 items and an empty square. Where it would be too large,
            the items alone.
        light_row: uint16 [34 * 300], the light of each step, 0..R-1; 0 in the dark. Empty where
            there is no table of lights.
        vignette: float64 [7 u, 9 u], how strong noise is.
    """

    size: int
    unit: int
    cells: np.ndarray[Any, Any]
    table: np.ndarray[Any, Any]
    light_row: np.ndarray[Any, Any]
    vignette: np.ndarray[Any, Any]


@functools.cache
def make_tiles(textures: str = "own", size: int = 64) -> Tiles:
    """The constants of pictures of `size` x `size` pixels.

    Args:
        textures: "own" or "reference", see `textures.load`.
        size: at least 45.

    Raises:
        ValueError: unknown textures, or the size is too small.
    """
    smallest = VIEW[0] * t.SMALLEST_UNIT
    if not isinstance(size, int) or isinstance(size, bool):
        raise ValueError(f"size must be a whole number of pixels, got {size!r}")
    if size < smallest:
        raise ValueError(f"a picture has at least {smallest} pixels a side, got size={size}")
    loaded = t.load(textures, size // VIEW[0])
    unit = loaded.unit
    items = loaded.items.reshape(-1, unit, unit, 3)
    squares = [items, np.zeros_like(items[:1])]
    light_row, first_steps = _distinct_lights(loaded.cells)
    if 2 * len(first_steps) * loaded.cells.size <= _LARGEST_TABLE:
        lit = np.stack([_by_day(loaded.cells, exact_daylight(step)) for step in first_steps])
        squares = [lit, _asleep(lit), *squares]
    else:
        light_row = light_row[:0]
    columns, rows = np.linspace(-1, 1, GRID[0] * unit), np.linspace(-1, 1, GRID[1] * unit)
    distance = columns[None, :] ** 2 + rows[:, None] ** 2
    arrays = {
        "cells": _words(loaded.cells),
        "table": np.concatenate([part.reshape(-1, unit, unit, 3) for part in squares]),
        "light_row": light_row,
        "vignette": 1 - np.exp(-0.5 * distance / _SPREAD**2),
    }
    for array in arrays.values():
        array.setflags(write=False)  # they are shared by whoever asks for the same
    return Tiles(size=size, unit=unit, **arrays)


def render(key: jax.Array, state: WorldState, rules: Rules, tiles: Tiles) -> jax.Array:
    """The picture of a world, uint8 [size, size, 3], rows from top to bottom.

    Args:
        key: for the noise of the night; the world does not depend on it.
        state: the world.
        rules: when a plant looks ripe.
        tiles: see `make_tiles`.
    """
    cells = _cells(state, rules)
    image = _image(state, cells, tiles)
    compute = _with_night if tiles.light_row.size else _drawn
    return compute(tiles, key, cells, state.time, state.player.sleeping, image)


def render_with_noise(noise: jax.Array, state: WorldState, rules: Rules, tiles: Tiles) -> jax.Array:
    """`render` with the given noise, all of it computed in the dtype of the noise.

    Args:
        noise: floating [9 u, 7 u], for each column and row of the map, in 32..127.
        state: the world.
        rules: when a plant looks ripe.
        tiles: see `make_tiles`.
    """
    cells = _cells(state, rules)
    scene = _scene(noise.T, cells, state.time, state.player.sleeping, tiles)
    return _put(_image(state, cells, tiles), scene, tiles)


def _cells(state: WorldState, rules: Rules) -> jax.Array:
    """Which of the 195 looks each cell of the view has, int32 [7, 9]."""
    view = local_view(state, rules)
    cells = view.materials.astype(jnp.int32) * len(ENTITIES) + view.entities.astype(jnp.int32)
    return cells.T


def _image(state: WorldState, cells: jax.Array, tiles: Tiles) -> jax.Array:
    """The picture as by day, uint8 [size, size, 3]; where it is computed, the inventory alone."""
    amounts = jnp.clip(state.player.items.astype(jnp.int32), 0, t.MANY)
    numbers = jnp.arange(len(c.ITEMS), dtype=jnp.int32) * (t.MANY + 1) + amounts
    blank = len(c.ITEMS) * (t.MANY + 1)
    inventory = (VIEW[0], VIEW[1] - GRID[1])
    missing = inventory[0] * inventory[1] - len(c.ITEMS)
    numbers = jnp.pad(numbers, (0, missing), constant_values=blank).reshape(inventory[::-1])
    if tiles.light_row.size:
        first = len(tiles.table) - blank - 1
        lights = first // (2 * len(tiles.cells))
        row = jnp.asarray(tiles.light_row)[_tabulated(state.time)].astype(jnp.int32)
        row = row + jnp.where(state.player.sleeping, lights, 0)
        squares = jnp.concatenate([row * len(tiles.cells) + cells, numbers + first])
    else:
        squares = jnp.concatenate([jnp.full_like(cells, blank), numbers])
    return _joined(jnp.asarray(tiles.table).at[squares].get(mode="promise_in_bounds"), tiles)


def _joined(squares: jax.Array, tiles: Tiles) -> jax.Array:
    """Squares [9, 9, u, u, 3] as a picture with its black border, [size, size, 3]."""
    unit, side = tiles.unit, VIEW[0] * tiles.unit
    before = (tiles.size - side) // 2
    after = tiles.size - side - before
    lines = squares.reshape(*VIEW, unit, 3 * unit)
    # Copying runs of whole lines of squares takes half the time of a transposition.
    edges = [jnp.zeros((VIEW[1], unit, 3 * width), jnp.uint8) for width in (before, after)]
    columns = [lines[:, i] for i in range(VIEW[0])]
    image = jnp.concatenate([edges[0], *columns, edges[1]], axis=-1).reshape(side, -1)
    return jnp.pad(image, ((before, after), (0, 0))).reshape(tiles.size, tiles.size, 3)


def _with_night(tiles: Tiles, *arrays: jax.Array) -> jax.Array:
    """The picture, or at night what is seen then; `arrays` are those of `_drawn`."""
    by_itself = functools.partial(_night_or_day, tiles)

    @jax.custom_batching.custom_vmap
    def with_night(*arrays):
        return by_itself(*arrays)

    @with_night.def_vmap
    def _(axis_size, in_batched, *arrays):
        batch = [
            array if batched else jnp.broadcast_to(array, (axis_size, *array.shape))
            for array, batched in zip(arrays, in_batched, strict=True)
        ]
        few = functools.partial(_few_nights, tiles)
        return jax.lax.platform_dependent(*batch, cpu=few, default=jax.vmap(by_itself)), True

    image: jax.Array = with_night(*arrays)
    return image


def _night_or_day(tiles: Tiles, *arrays: jax.Array) -> jax.Array:
    """The picture; batched, it is computed for all and chosen for those at night."""
    _, _, time, _, image = arrays
    return jax.lax.cond(_is_dark(time), lambda: _drawn(tiles, *arrays), lambda: image)


def _few_nights(tiles: Tiles, *arrays: jax.Array) -> jax.Array:
    """The batch's pictures, of which those at night are computed.

    This pays on a CPU alone. A GPU computes all of them before it has found out which it needs.
    """
    key, cells, time, sleeping, images = arrays

    def compute(rows: jax.Array, chosen: jax.Array) -> jax.Array:
        draw = jax.vmap(functools.partial(_drawn, tiles))
        return draw(key[rows], cells[rows], time[rows], sleeping[rows], chosen)

    return update_rows_where(_is_dark(time), default_chunk(len(time)), images, compute)[0]


def _drawn(
    tiles: Tiles,
    key: jax.Array,
    cells: jax.Array,
    time: jax.Array,
    sleeping: jax.Array,
    image: jax.Array,
) -> jax.Array:
    """`image` with the computed view of the map, its noise made from `key`."""
    noise = _noise(key, tiles.vignette.shape)
    return _put(image, _scene(noise, cells, time, sleeping, tiles), tiles)


def _noise(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Uniform in 32..127, one of 256 levels, float32; a drawn word gives four."""
    count = int(np.prod(shape))
    words = jax.random.bits(key, (-(-count // 4),), jnp.uint32)
    levels = jnp.concatenate([(words >> shift) & 255 for shift in (0, 8, 16, 24)])
    levels = levels[:count].astype(jnp.int32).astype(jnp.float32).reshape(shape)
    return _NOISE_LOW + levels * ((_NOISE_HIGH - _NOISE_LOW) / 256)


def _scene(
    noise: jax.Array, cells: jax.Array, time: jax.Array, sleeping: jax.Array, tiles: Tiles
) -> jax.Array:
    """The view of the map in any light, uint8 [7 u, 9 u, 3]; `noise` is floating [7 u, 9 u]."""
    dtype = noise.dtype
    words = jnp.asarray(tiles.cells).at[cells].get(mode="promise_in_bounds")
    words = words.transpose(0, 2, 1, 3).reshape(noise.shape)
    day = [((words >> shift) & 255).astype(jnp.int32).astype(dtype) for shift in (0, 8, 16)]
    light = jnp.asarray(exact_daylight(np.arange(_TABULATED)), dtype)[_tabulated(time)]
    mask = 2 * jnp.maximum(0, DARK - light) * jnp.asarray(tiles.vignette, dtype)
    pale = _pale([((1 - mask) * bright + mask * noise).astype(jnp.int32) for bright in day])
    night = [
        0.5 * p.astype(dtype) + 0.5 * tint for p, tint in zip(pale, _NIGHT_COLOUR, strict=True)
    ]
    seen = [
        (light * bright + (1 - light) * dark).astype(jnp.int32)
        for bright, dark in zip(day, night, strict=True)
    ]
    grey = _grey(seen) >> 1
    red, green, blue = (
        jnp.where(sleeping, grey + tint // 2, colour)
        for colour, tint in zip(seen, _SLEEP_COLOUR, strict=True)
    )
    # A pixel is a word until here, and the words are stored: XLA would otherwise compute each of
    # them once for every channel that is cut out of it.
    words = jax.lax.optimization_barrier(red | (green << 8) | (blue << 16))
    return jax.lax.bitcast_convert_type(words, jnp.uint8)[..., :3]


def _put(image: jax.Array, scene: jax.Array, tiles: Tiles) -> jax.Array:
    """`image` with the view of the map replaced by `scene`."""
    start = (tiles.size - VIEW[0] * tiles.unit) // 2
    rows, columns, _ = scene.shape
    return image.at[start : start + rows, start : start + columns].set(scene)


def _is_dark(time: jax.Array) -> jax.Array:
    dark = exact_daylight(np.arange(_TABULATED)) < DARK
    return jnp.asarray(dark)[_tabulated(time)]


def _tabulated(time: jax.Array) -> jax.Array:
    """The step in the tables that stands for this one."""
    return jnp.where(time < _TABULATED, time, time % DAY)


def _grey(colour: Any) -> Any:
    """The luma of 8-bit colours, three int32 arrays, as Pillow rounds it (ITU-R 601-2)."""
    red, green, blue = colour
    return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16


def _pale(colour: Any) -> list[Any]:
    """Colours, three int32 arrays, with two fifths of their saturation, cut off."""
    grey = _grey(colour)
    # A fifth, cut off, without a division; exact below 43690.
    return [((3 * grey + 2 * channel) * 52429) >> 18 for channel in colour]


def _words(cells: np.ndarray) -> np.ndarray:
    """Colours, uint8 [..., 3], as words, uint32 [...]."""
    red, green, blue = np.moveaxis(cells.astype(np.uint32), -1, 0)
    return red | (green << 8) | (blue << 16)


def _by_day(cells: np.ndarray, light: Any) -> np.ndarray:
    """Colours, uint8 [..., 3], in a daylight of at least 0.5."""
    pale = np.stack(_pale(np.moveaxis(cells, -1, 0).astype(np.int32)), axis=-1)
    night = 0.5 * pale + 0.5 * np.asarray(_NIGHT_COLOUR)
    return (light * cells + (1 - light) * night).astype(np.uint8)


def _asleep(cells: np.ndarray) -> np.ndarray:
    """Colours, uint8 [..., 3], as seen asleep."""
    grey = _grey(np.moveaxis(cells, -1, 0).astype(np.int32))[..., None]
    return (0.5 * grey + 0.5 * np.asarray(_SLEEP_COLOUR)).astype(np.uint8)


def _distinct_lights(cells: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The lights that differ for these colours: the light of each step, and a step of each."""
    colours = np.unique(cells.reshape(-1, 3), axis=0)
    lights, steps, light_of_step = np.unique(
        exact_daylight(np.arange(_TABULATED)), return_index=True, return_inverse=True
    )
    rows = np.zeros(len(lights), np.uint16)
    seen: dict[bytes, int] = {}
    first_steps: list[int] = []
    for number in np.flatnonzero(lights >= DARK).tolist():
        look = _by_day(colours, lights[number]).tobytes()
        if look not in seen:
            seen[look] = len(first_steps)
            first_steps.append(int(steps[number]))
        rows[number] = seen[look]
    return rows[light_of_step], first_steps
