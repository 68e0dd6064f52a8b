"""Our own pictures of Crafter's materials and of what stands on them.

See `drawing` for the units: a cell is 7 x 7.
"""

from jaxrl.envs.crafter_oo.drawing import (
    Shape,
    Sprite,
    box,
    disc,
    full,
    line,
    mirrored,
    pixels,
    polygon,
    turned,
)

_INK = "#1d2129"
_GRASS, _BLADE, _BLADE_LIGHT = "#63a850", "#569b46", "#77b962"
_STONE, _CRACK, _STONE_LIGHT = "#8d9297", "#7a7f85", "#9da2a7"
_BARK, _WOOD, _WOOD_LIGHT = "#6a4527", "#a8733d", "#c8955a"
_SKIN, _HAIR, _SHIRT, _TROUSERS = "#f2c79b", "#5b3a20", "#2f7fd6", "#27384f"
_BONE, _BONE_SHADE = "#f3f0e3", "#b9b4a2"


def _dots(colour: str, radius: float, *centres: tuple[float, float]) -> Sprite:
    return tuple(disc(colour, x, y, radius) for x, y in centres)


_MEADOW: Sprite = (
    full(_GRASS),
    pixels(_BLADE, 0, 0, ".....#.", ".#.....", "......."),
    pixels(_BLADE, 0, 3, "....#..", "#......", "......#", "..#...."),
    pixels(_BLADE_LIGHT, 0, 0, "..#....", ".....#.", ".......", ".#....."),
    pixels(_BLADE_LIGHT, 0, 5, "....#..", "......."),
)
_ROCK: Sprite = (
    full(_STONE),
    pixels(_STONE_LIGHT, 0, 0, "###....", "#...##.", "......."),
    pixels(_STONE_LIGHT, 0, 4, ".##....", ".....##", "......."),
    pixels(_CRACK, 0, 0, "......#", "..#...#", ".##....", "....###"),
    pixels(_CRACK, 0, 4, "#......", "#..#...", "...##.."),
)


def _ore(colour: str, shine: str) -> Sprite:
    lumps = ((2.0, 2.0, 1.3), (5.0, 3.0, 1.1), (2.5, 5.3, 1.1), (5.4, 5.7, 0.8))
    return (
        *_ROCK,
        *(disc(_CRACK, x, y, r + 0.35) for x, y, r in lumps),
        *(disc(colour, x, y, r) for x, y, r in lumps),
        *(disc(shine, x - 0.35, y - 0.4, 0.38 * r) for x, y, r in lumps),
    )


def _gem(x: float, y: float, size: float) -> Sprite:
    corners = ((x, y - size), (x + size, y), (x, y + size), (x - size, y))
    inner = ((x, y - 0.6 * size), (x + 0.45 * size, y), (x, y + 0.2 * size), (x - 0.6 * size, y))
    return (polygon("#45cfe6", *corners), polygon("#f1feff", *inner))


MATERIAL_SPRITES: dict[str, Sprite] = {
    "outside": (full("#33363d"),),
    "water": (
        full("#3b7ad0"),
        pixels("#5e9ae6", 0, 1, ".##....", "#..##..", "......."),
        pixels("#5e9ae6", 0, 4, "....##.", ".###..#"),
        pixels(
            "#2f68b8",
            0,
            0,
            ".....##",
            ".......",
            ".......",
            "##.....",
            ".......",
            ".......",
            "###....",
        ),
    ),
    "grass": _MEADOW,
    "stone": _ROCK,
    "path": (
        full("#a58d70"),
        *_dots("#8f785d", 0.55, (1.5, 1.5), (5.5, 2.5), (3.5, 5.5)),
        *_dots("#bda689", 0.5, (3.5, 0.5), (1.5, 4.5), (6.4, 5.4)),
    ),
    "sand": (
        full("#ecdca2"),
        pixels("#dbc781", 0, 0, ".......", ".#...#.", ".......", "...#...", "......#", ".#....."),
        pixels("#f8edc2", 0, 1, "...#...", "......."),
        pixels("#f8edc2", 0, 5, "....#..", "..#...."),
    ),
    "tree": (
        *_MEADOW,
        box(_BARK, 2.8, 5, 4.2, 7),
        disc("#1f5329", 3.5, 3.0, 3.3, 2.9),
        disc("#2f7439", 3.3, 2.7, 2.8, 2.4),
        *_dots("#4b9a4c", 0.75, (2.3, 1.8), (4.4, 2.4), (2.6, 3.7)),
    ),
    "lava": (
        full("#d9481c"),
        pixels("#f59322", 0, 0, ".##....", "###....", ".#...#."),
        pixels("#f59322", 0, 3, "....###", ".#...##", "###....", ".##...."),
        *_dots("#ffe066", 0.6, (1.5, 1.2), (5.6, 3.8), (1.6, 5.5)),
        pixels("#a92f12", 0, 0, ".....##", ".......", "..#....", "#......", ".......", "....##."),
    ),
    "coal": _ore("#23262c", "#5d636d"),
    "iron": _ore("#dc9a63", "#ffdcb5"),
    "diamond": (
        *_ROCK,
        *_gem(2.2, 2.3, 1.8),
        *_gem(5.2, 4.9, 1.6),
        *_gem(5.4, 1.4, 0.9),
        *_gem(1.6, 5.6, 0.9),
    ),
    "table": (
        full(_BARK),
        box(_WOOD, 0.4, 0.4, 6.6, 6.6),
        box(_WOOD_LIGHT, 1, 1, 6, 2),
        box(_BARK, 1, 3, 6, 3.3),
        box(_BARK, 1, 5, 6, 5.3),
        line(_INK, 0.9, (2.0, 5.2), (4.6, 2.6)),
        polygon("#d9dde2", (3.6, 1.6), (5.6, 3.6), (5.0, 4.2), (3.0, 2.2)),
    ),
    "furnace": (
        full("#55595f"),
        box("#6f747b", 0.5, 0.5, 6.5, 2),
        pixels("#484c52", 0, 0, "..#....", ".......", "#.....#", ".......", ".......", "#.....#"),
        box(_INK, 1, 2.5, 6, 6.5),
        box("#e8591c", 2, 4, 5, 6.5),
        box("#ffc83d", 3, 5, 4, 6.5),
    ),
}

_LEGS = (box(_TROUSERS, 2, 5.4, 3.2, 7), box(_TROUSERS, 3.8, 5.4, 5, 7))
_HEAD: tuple[Shape, ...] = (disc(_INK, 3.5, 1.75, 1.85), disc(_SKIN, 3.5, 1.75, 1.6))


def _torso(left: float, right: float) -> Sprite:
    return (box(_INK, left - 0.25, 2.9, right + 0.25, 5.6), box(_SHIRT, left, 3, right, 5.6))


_FRONT: Sprite = (
    *_LEGS,
    *_torso(1.8, 5.2),
    box(_SKIN, 1, 3.2, 1.9, 5.2),
    box(_SKIN, 5.1, 3.2, 6, 5.2),
    *_HEAD,
    box(_HAIR, 2, 0, 5, 1),
    box(_INK, 2.4, 1.5, 3, 2.3),
    box(_INK, 4, 1.5, 4.6, 2.3),
)
_BACK: Sprite = (
    *_LEGS,
    *_torso(1.8, 5.2),
    box(_SKIN, 1, 2.6, 1.9, 4.4),
    box(_SKIN, 5.1, 2.6, 6, 4.4),
    *_HEAD,
    disc(_HAIR, 3.5, 1.6, 1.6),
)
_RIGHT: Sprite = (
    box(_TROUSERS, 2.2, 5.4, 3.3, 7),
    box(_TROUSERS, 3.7, 5.4, 4.8, 7),
    *_torso(2.1, 4.9),
    box(_SKIN, 3.6, 3.5, 7, 4.5),
    *_HEAD,
    polygon(_HAIR, (1.9, 0), (4.9, 0), (4.9, 0.9), (3.2, 1), (3, 3), (1.9, 2.6)),
    box(_INK, 4.2, 1.4, 4.8, 2.3),
)
_ASLEEP: Sprite = (
    box(_INK, 0, 2.5, 7, 6.5),
    box("#f3f3ee", 0.2, 2.8, 2.6, 6.2),
    disc(_SKIN, 1.6, 4.3, 1.15),
    box(_HAIR, 0.4, 3.2, 1.0, 5.4),
    line(_INK, 0.3, (1.5, 4.5), (2.2, 4.5)),
    box("#b3443c", 2.6, 2.8, 6.8, 6.2),
    box("#d8655a", 3.4, 2.8, 4.2, 6.2),
    box("#d8655a", 5.2, 2.8, 6.0, 6.2),
    line("#ffffff", 0.45, (4.4, 0.4), (6.0, 0.4), (4.4, 1.9), (6.0, 1.9)),
)
_COW: Sprite = (
    box(_INK, 1.0, 5, 2.1, 6.8),
    box(_INK, 4.9, 5, 6.0, 6.8),
    disc(_INK, 4.0, 3.8, 3.0, 2.0),
    disc("#fbf8f2", 4.0, 3.8, 2.75, 1.75),
    disc("#4a2f23", 4.6, 3.1, 1.0, 0.9),
    disc("#4a2f23", 5.9, 4.4, 0.7),
    disc(_INK, 1.7, 2.6, 1.6, 1.7),
    disc("#6a4430", 1.7, 2.5, 1.4, 1.45),
    disc("#f0a8a0", 1.4, 3.5, 1.0, 0.7),
    box("#ffffff", 1.2, 1.9, 1.8, 2.5),
    line("#e7e0cf", 0.5, (0.6, 1.2), (0.3, 0.5)),
    line("#e7e0cf", 0.5, (2.7, 1.2), (3.0, 0.5)),
)
_ZOMBIE: Sprite = (
    box("#2b2540", 2, 5.4, 3.2, 7),
    box("#2b2540", 3.8, 5.4, 5, 7),
    box(_INK, 1.6, 2.9, 5.4, 5.6),
    box("#5b4a86", 1.85, 3, 5.15, 5.6),
    box(_INK, 0, 3.0, 2, 4.4),
    box("#a9d68c", 0.1, 3.2, 1.9, 4.2),
    box(_INK, 5, 3.0, 7, 4.4),
    box("#a9d68c", 5.1, 3.2, 6.9, 4.2),
    box(_INK, 1.75, 0, 5.25, 3.2),
    box("#a9d68c", 2, 0.2, 5, 3),
    box("#c8102e", 2.2, 1, 3, 2),
    box("#c8102e", 4, 1, 4.8, 2),
    box(_INK, 2.8, 2.4, 4.2, 2.8),
)
_SKELETON: Sprite = (
    line("#8a5a2c", 0.6, (5.4, 2.6), (6.5, 3.6), (6.5, 5.4), (5.4, 6.4)),
    line("#d8d2c0", 0.25, (5.4, 2.6), (5.4, 6.4)),
    box(_BONE_SHADE, 2, 5.5, 3, 7),
    box(_BONE_SHADE, 4, 5.5, 5, 7),
    box(_INK, 1.7, 2.9, 5.3, 5.7),
    box(_BONE, 3, 3, 4, 5.6),
    box(_BONE, 1.9, 3.1, 5.1, 3.8),
    box(_BONE, 1.9, 4.4, 5.1, 5.1),
    box(_BONE, 0.8, 3.1, 1.6, 5.4),
    box(_INK, 1.75, 0, 5.25, 3),
    box(_BONE, 2, 0.2, 5, 2.8),
    box(_INK, 2.2, 1, 3, 2),
    box(_INK, 4, 1, 4.8, 2),
    box(_INK, 3.3, 2.2, 3.7, 2.8),
)
_ARROW_UP: Sprite = (
    line(_INK, 1.3, (3.5, 1.6), (3.5, 6.0)),
    line("#b9854c", 0.8, (3.5, 1.6), (3.5, 6.0)),
    polygon(_INK, (3.5, -0.2), (5.5, 2.7), (1.5, 2.7)),
    polygon("#e8ecf0", (3.5, 0.4), (4.9, 2.4), (2.1, 2.4)),
    polygon("#e4483c", (3.1, 4.9), (3.1, 6.1), (2.0, 7.0), (2.0, 5.8)),
    polygon("#e4483c", (3.9, 4.9), (3.9, 6.1), (5.0, 7.0), (5.0, 5.8)),
)
_SPROUT: Sprite = (
    disc("#6b4a2b", 3.5, 6.0, 2.6, 0.95),
    line("#2d6b2a", 0.7, (3.5, 6.0), (3.5, 3.0)),
    disc("#1f5a25", 2.1, 3.0, 1.75, 1.05),
    disc("#1f5a25", 4.9, 2.4, 1.75, 1.05),
    disc("#b6f06a", 2.1, 2.9, 1.4, 0.75),
    disc("#b6f06a", 4.9, 2.3, 1.4, 0.75),
)
_RIPE: Sprite = (
    disc("#6b4a2b", 3.5, 6.2, 2.6, 0.8),
    line("#2d6b2a", 0.8, (3.5, 6.0), (3.5, 3.0)),
    disc("#1f5a25", 3.5, 2.9, 3.1, 2.5),
    disc("#57b94b", 3.5, 2.7, 2.8, 2.2),
    *_dots("#7c1220", 1.0, (2.0, 2.0), (5.0, 2.1), (3.5, 4.0)),
    *_dots("#ff4d5e", 0.8, (2.0, 1.9), (5.0, 2.0), (3.5, 3.9)),
    *_dots("#ffd3d6", 0.28, (1.8, 1.6), (4.8, 1.7), (3.3, 3.6)),
)

ENTITY_SPRITES: dict[str, Sprite] = {
    "none": (),
    "player-left": mirrored(_RIGHT),
    "player-right": _RIGHT,
    "player-up": _BACK,
    "player-down": _FRONT,
    "player-sleep": _ASLEEP,
    "cow": _COW,
    "zombie": _ZOMBIE,
    "skeleton": _SKELETON,
    "arrow-left": turned(turned(turned(_ARROW_UP))),
    "arrow-right": turned(_ARROW_UP),
    "arrow-up": _ARROW_UP,
    "arrow-down": turned(turned(_ARROW_UP)),
    "plant": _SPROUT,
    "plant-ripe": _RIPE,
}
