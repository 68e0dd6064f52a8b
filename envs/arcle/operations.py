"""The operations and the three sets of them that environments offer.

| name | what it does |
|---|---|
| Color0 .. Color9 | paints the selected cells |
| FloodFill0 .. 9 | paints what is joined to the one selected cell and has its colour |
| MoveUp, MoveDown, MoveRight, MoveLeft | moves the object by a cell |
| RotateCCW, RotateCW | turns it by a quarter |
| FlipLR, FlipUD | turns it over, left-right or up-down |
| CopyI, CopyO | copies the selected cells of the input, of the grid |
| Paste | puts the copied rectangle, black cells too, at the selection's upper left corner |
| CopyFromInput | makes the grid the input |
| ResetGrid | makes it black |
| ResizeGrid | makes it black, and of the size of the selection's bounding box |
| ResizeToAnswer | makes it of the answer's size |
| Submit | asks whether the grid is the answer |

The object is the selection, if there is one, or else what was lifted before.

Source: the package `arcle` 0.2.6 (Lee et al. 2024, arXiv 2407.20806).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

_COLOURS = tuple(f"Color{colour}" for colour in range(10))
_FLOODS = tuple(f"FloodFill{colour}" for colour in range(10))
OBJECT_OPERATIONS = (
    *("MoveUp", "MoveDown", "MoveRight", "MoveLeft"),
    *("RotateCCW", "RotateCW", "FlipLR", "FlipUD"),
)
_CLIPBOARD = ("CopyI", "CopyO", "Paste")
_WHOLE_GRID = ("CopyFromInput", "ResetGrid", "ResizeGrid")


@dataclass(frozen=True)
class OperationSet:
    """A list of operations; an action's number is an operation's place in it.

    Attributes:
        name: what `operation_set` knows it by.
        names: the operations, see the module.
    """

    name: str
    names: tuple[str, ...]

    @property
    def objects(self) -> bool:
        """Whether there are operations on objects, and so a selection that is kept."""
        return OBJECT_OPERATIONS[0] in self.names

    @property
    def clipboard(self) -> bool:
        """Whether there are Copy and Paste."""
        return _CLIPBOARD[0] in self.names

    @property
    def floods(self) -> bool:
        """Whether there is FloodFill."""
        return _FLOODS[0] in self.names

    def number(self, name: str) -> int:
        """The number of an operation; `ValueError` if it is not in the set."""
        if name not in self.names:
            raise ValueError(f"the operations {self.name} have no {name!r}")
        return self.names.index(name)

    def among(self, operation: jax.Array, *names: str) -> jax.Array:
        """Bool []: whether `operation`, int32 [], is one of `names`. Absent ones do not count."""
        found = jnp.zeros((), jnp.bool_)
        for name in names:
            if name in self.names:
                found = found | (operation == self.names.index(name))
        return found

    def colours(self, operation: jax.Array) -> jax.Array:
        """Bool []: whether `operation` is one of Color0 to Color9."""
        return (operation >= 0) & (operation < 10)

    def fills(self, operation: jax.Array) -> jax.Array:
        """Bool []: whether `operation` is one of FloodFill0 to FloodFill9."""
        return (operation >= 10) & (operation < 20) & jnp.bool_(self.floods)


O2ARC = OperationSet(
    "o2arc", (*_COLOURS, *_FLOODS, *OBJECT_OPERATIONS, *_CLIPBOARD, *_WHOLE_GRID, "Submit")
)
ARC = OperationSet("arc", (*_COLOURS, *_FLOODS, *_CLIPBOARD, *_WHOLE_GRID, "Submit"))
RAW = OperationSet("raw", (*_COLOURS, "ResizeToAnswer", "Submit"))

_SETS = {operations.name: operations for operations in (O2ARC, ARC, RAW)}


def operation_set(name: str) -> OperationSet:
    """The set of that name; `ValueError`, naming the sets, for an unknown one."""
    if not isinstance(name, str) or name not in _SETS:
        raise ValueError(f"unknown operations {name!r}; known are {', '.join(_SETS)}")
    return _SETS[name]
