"""Our own pictures of the items of an inventory and of their numbers.

An item is in the upper left of its square, its number, 3 x 5, in the lower right; see `drawing`
for the units.
"""

from jaxrl.envs.crafter_oo.drawing import Shape, Sprite, box, disc, line, pixels, polygon

_HANDLE, _HANDLE_DARK = "#9a6a3a", "#6a4527"
_METALS = {
    "wood": ("#d79b52", "#a06a2e"),
    "stone": ("#858c93", "#5c6269"),
    "iron": ("#eef4fb", "#a9bdd6"),
}


def _pickaxe(material: str) -> Sprite:
    light, dark = _METALS[material]
    return (
        line(_HANDLE, 0.9, (0.8, 5.4), (3.6, 1.9)),
        line(dark, 1.2, (0.7, 1.5), (2.4, 0.9), (4.2, 1.6), (4.8, 3.2)),
        line(light, 0.8, (0.7, 1.3), (2.4, 0.7), (4.2, 1.4), (4.8, 3.0)),
    )


def _sword(material: str) -> Sprite:
    light, dark = _METALS[material]
    return (
        line(dark, 1.3, (1.9, 3.6), (4.6, 0.7)),
        line(light, 0.8, (1.9, 3.6), (4.7, 0.6)),
        line(_HANDLE_DARK, 0.8, (0.9, 2.8), (2.8, 4.6)),
        line(_HANDLE, 0.9, (0.5, 5.2), (1.5, 4.1)),
    )


ICONS: dict[str, Sprite] = {
    "health": (
        disc("#e0323e", 1.5, 1.7, 1.4),
        disc("#e0323e", 3.7, 1.7, 1.4),
        polygon("#e0323e", (0.25, 2.3), (4.95, 2.3), (2.6, 5.2)),
        disc("#ff9aa2", 1.3, 1.4, 0.5),
    ),
    "food": (
        line("#f4ead8", 0.9, (3.0, 3.2), (4.8, 5.0)),
        disc("#a8501f", 2.2, 2.3, 2.1, 1.9),
        disc("#e08a3c", 2.0, 2.0, 1.6, 1.4),
    ),
    "drink": (
        polygon("#3f8fe8", (2.6, 0.2), (4.3, 3.2), (0.9, 3.2)),
        disc("#3f8fe8", 2.6, 3.6, 1.85),
        disc("#c4e2ff", 2.0, 3.6, 0.6),
    ),
    "energy": (
        polygon("#ffd23c", (2.8, 0), (0.6, 3.1), (2.2, 3.1), (1.4, 5.6), (4.6, 2.2), (2.9, 2.2)),
    ),
    "sapling": (
        line("#3f8a35", 0.7, (2.6, 5.4), (2.6, 2.6)),
        disc("#7fd65c", 1.5, 2.2, 1.4, 0.9),
        disc("#a5ec78", 3.8, 1.5, 1.3, 0.9),
    ),
    "wood": (
        box("#7a4f2a", 0.3, 1.2, 4.6, 4.6),
        box("#93643a", 0.3, 1.2, 4.6, 2.3),
        disc("#e3bb83", 1.3, 2.9, 1.1, 1.7),
        disc("#a8733d", 1.3, 2.9, 0.5, 0.8),
    ),
    "stone": (
        polygon("#777d84", (0.3, 3.6), (1.2, 1.2), (3.4, 0.6), (4.9, 2.4), (4.4, 4.7), (1.2, 5.0)),
        polygon("#b3b9bf", (0.8, 3.0), (1.5, 1.5), (3.2, 1.1), (3.4, 2.4), (1.8, 3.4)),
    ),
    "coal": (
        polygon("#565d68", (0.3, 3.4), (1.4, 1.0), (3.6, 0.8), (4.9, 2.8), (4.0, 4.8), (1.2, 4.9)),
        polygon("#2b2f37", (0.9, 3.4), (1.8, 1.6), (3.4, 1.4), (4.3, 2.9), (3.6, 4.3), (1.5, 4.3)),
        disc("#8d95a1", 2.2, 2.2, 0.5),
    ),
    "iron": (
        polygon("#c57f45", (0.3, 3.6), (1.2, 1.4), (3.2, 0.8), (4.8, 2.2), (4.4, 4.4), (1.6, 4.9)),
        polygon("#ffd2a3", (1.0, 3.0), (1.6, 1.8), (3.0, 1.4), (3.2, 2.6), (1.9, 3.4)),
    ),
    "diamond": (
        polygon("#35c4de", (0.2, 2.2), (1.4, 0.6), (3.8, 0.6), (5.0, 2.2), (2.6, 5.2)),
        polygon("#c9f8ff", (1.2, 2.1), (1.8, 1.1), (3.2, 1.1), (2.6, 3.4)),
    ),
    **{f"{material}_pickaxe": _pickaxe(material) for material in _METALS},
    **{f"{material}_sword": _sword(material) for material in _METALS},
}

_FONT = {
    "1": (".#.", "##.", ".#.", ".#.", "###"),
    "2": ("##.", "..#", ".#.", "#..", "###"),
    "3": ("##.", "..#", ".#.", "..#", "##."),
    "4": ("#.#", "#.#", "###", "..#", "..#"),
    "5": ("###", "#..", "##.", "..#", "##."),
    "6": (".##", "#..", "###", "#.#", "###"),
    "7": ("###", "..#", ".#.", ".#.", ".#."),
    "8": ("###", "#.#", "###", "#.#", "###"),
    "9": ("###", "#.#", "###", "..#", "##."),
    "many": ("...", ".#.", "###", ".#.", "..."),
}

# Behind a number its square is darkened, so that it can be read on any item.
_SHADE = Shape(box("#000000", 3.6, 1.7, 7, 7).covers, "#000000", 0.75)
DIGITS: dict[str, Sprite] = {
    name: (_SHADE, pixels("#ffffff", 4, 2, *rows)) for name, rows in _FONT.items()
}
