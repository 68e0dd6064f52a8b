"""Which key does what in an environment, and what is told beside its picture.

A key is named by what it prints, in lower case, or is one of `NAMED_KEYS`.
"""

import fnmatch
import string
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gymnax.environments import spaces

from jaxrl.play.board import Board, Pad
from jaxrl.registry import load

NAMED_KEYS = ("up", "down", "left", "right", "space", "enter", "tab", "backspace")
QUIT, NEW, HELP = "q", "n", "?"
RESERVED = {QUIT: "quit", NEW: "new episode", HELP: "keys"}
_FALLBACK = [key for key in string.digits + string.ascii_lowercase if key not in RESERVED]


class PlayError(ValueError):
    """What was asked for cannot be played; the message is one line."""


class Entry(NamedTuple):
    """A line of the status: a name, what belongs to it, and whether it is ticked off."""

    name: str
    value: str = ""
    done: bool = False


class Section(NamedTuple):
    """Entries under a title."""

    title: str
    entries: tuple[Entry, ...]


_START = Pad()


def _nothing(state: Any) -> tuple[Section, ...]:
    return ()


class Controls(NamedTuple):
    """How an environment is played.

    Attributes:
        keys: key -> action, a number below `len(actions)`.
        actions: the names of the actions.
        status: state -> what is told beside the picture.
        board: where an action needs a selection of cells, what they are; None elsewhere.
    """

    keys: Mapping[str, int]
    actions: tuple[str, ...]
    status: Callable[[Any], tuple[Section, ...]] = _nothing
    board: Board | None = None

    def keys_at(self, pad: Pad) -> Mapping[str, int]:
        """What keys mean: `keys`, and where the board's `switch` is on, what that changes."""
        switched = self.board.switched if self.board is not None and pad.switched else {}
        return {**self.keys, **switched}

    def help(self, pad: Pad = _START) -> list[tuple[str, str]]:
        """(keys, what they do), in the order of the actions, and the keys of every game."""
        known = self.keys_at(pad)
        lines = [] if self.board is None else self.board.help
        if self.board is not None and self.board.switch:
            other = self.keys if pad.switched else self.board.switched
            lines.append((self.board.switch, f"keys for {self._names(other, self.board.switched)}"))
        for action, name in enumerate(self.actions):
            keys = [key for key, does in known.items() if does == action]
            if keys:
                lines.append((" ".join(keys), name.replace("_", " ")))
        return lines + list(RESERVED.items())

    def _names(self, keys: Mapping[str, int], switched: Mapping[str, int]) -> str:
        """The first and the last action of those keys that can be switched."""
        names = [self.actions[keys[key]] for key in switched if key in keys]
        return " to ".join(dict.fromkeys((names[0], names[-1]))) if names else "nothing"


Make = Callable[[Any, Any], Controls]

_BUILT_IN: dict[str, str] = {
    "CrafterOO-*": "jaxrl.play.crafter_oo:controls",
    "ARCLE-*": "jaxrl.play.arcle:controls",
}
_registered: list[tuple[str, Make]] = []


def register_controls(pattern: str, make: Make) -> None:
    """Plays every environment whose id matches `pattern` with `make(env, params)`.

    What is registered later comes first.

    Raises:
        ValueError: the pattern is empty, or `make` cannot be called.
    """
    if not pattern or not callable(make):
        raise ValueError(f"need a pattern and a function, got {pattern!r}, {make!r}")
    _registered.insert(0, (pattern, make))


def find_controls(env: Any, params: Any, name: str) -> Controls:
    """The controls of an environment; digits and letters where it has none of its own.

    Raises:
        PlayError: it has none, and its actions are not discrete or too many; or its own are wrong.
    """
    for pattern, make in _registered:
        if fnmatch.fnmatchcase(name, pattern):
            return _checked(make(env, params), name)
    for pattern, target in _BUILT_IN.items():
        if fnmatch.fnmatchcase(name, pattern):
            return _checked(load(target)(env, params), name)
    space = env.action_space(params)
    count = int(space.n) if isinstance(space, spaces.Discrete) else 0
    if not 1 <= count <= len(_FALLBACK):
        known = ", ".join([pattern for pattern, _ in _registered] + list(_BUILT_IN))
        raise PlayError(
            f"{name} has no key map, and its actions are not at most {len(_FALLBACK)} discrete"
            f" ones; environments with a key map: {known}"
        )
    keys = {key: action for action, key in enumerate(_FALLBACK[:count])}
    return Controls(keys, tuple(f"action {action}" for action in range(count)))


def _checked(controls: Controls, name: str) -> Controls:
    """`controls`, or an error that names what is wrong in them."""
    board = controls.board
    pairs = [*controls.keys.items(), *(board.switched.items() if board else ())]
    taken = board.keys if board else ()
    for key, action in [*pairs, *((key, 0) for key in taken)]:
        if key in RESERVED:
            raise PlayError(f"the key map of {name} uses {key!r}, which means {RESERVED[key]}")
        if key not in NAMED_KEYS and (len(key) != 1 or key != key.lower() or not key.isprintable()):
            raise PlayError(f"the key map of {name} has {key!r}, which is no key")
        if not 0 <= action < len(controls.actions):
            raise PlayError(
                f"the key map of {name}: {key!r} is action {action} of {len(controls.actions)}"
            )
    for key, _ in pairs:
        if key in taken:
            raise PlayError(f"the key map of {name} uses {key!r}, which is the board's")
    return controls
