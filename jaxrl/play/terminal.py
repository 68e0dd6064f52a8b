"""Playing in a terminal: the picture in half blocks of 24-bit colours, the status beside it."""

import contextlib
import os
import re
import select
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from jaxrl.play.controls import HELP, NEW, QUIT, PlayError
from jaxrl.play.game import Game
from jaxrl.rendering.draw import Frame

_SIDE = 34  # columns of text beside the picture
_MOST_LINES = 20  # of help, one a key
_NARROWEST = 24  # columns of a picture beside text
_ESCAPE_S = 0.05  # what a key sends comes at once
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])")
_ARROWS = {b"A": "up", b"B": "down", b"C": "right", b"D": "left"}
_CONTROL = {
    " ": "space",
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\x03": QUIT,
    "\x04": QUIT,
}
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[0m\x1b[?25h\x1b[?1049l"


def check() -> None:
    """Raises PlayError where input or output is not a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PlayError("this is not a terminal; --web plays in a web page")


def play(game: Game) -> None:
    """Plays in the terminal of this process until the player quits.

    Raises:
        PlayError: input or output is not a terminal.
    """
    check()
    descriptor = sys.stdin.fileno()
    with _raw(descriptor), _screen(sys.stdout):
        run(game, lambda: read_keys(descriptor), sys.stdout.write, shutil.get_terminal_size)
        sys.stdout.flush()


def run(
    game: Game,
    keys: Callable[[], list[str]],
    write: Callable[[str], Any],
    size: Callable[[], tuple[int, int]],
) -> None:
    """The loop: show, wait for keys, do what they say.

    Args:
        game: what is played.
        keys: waits for keys; none means that there will be no more.
        write: takes what a terminal shall show.
        size: columns and rows.
    """
    helping = False
    while True:
        write(screen(game, *size(), helping))
        sys.stdout.flush()
        pressed = keys()
        if not pressed:
            return
        for key in pressed:
            if key == QUIT:
                return
            helping = not helping if key == HELP else helping
            game.press(key)


def screen(game: Game, columns: int, rows: int, helping: bool = False) -> str:
    """All that is to be seen, for a terminal of that many columns and rows."""
    columns, rows = max(columns, 2), max(rows, 2)
    beside = columns - _SIDE >= _NARROWEST
    width = _SIDE - 2 if beside else columns
    text = [line[:width] for line in _text(game, width, helping)]
    if beside:
        picture = half_blocks(_picture(game, columns - _SIDE, 2 * rows))
        blank = " " * max(0, _width(picture[0]))
        lines = [
            (picture[i] if i < len(picture) else blank) + "  " + (text[i] if i < len(text) else "")
            for i in range(min(rows, max(len(picture), len(text))))
        ]
    else:
        text = text[: rows // 2]
        picture = half_blocks(_picture(game, columns, 2 * (rows - len(text))))
        lines = [*picture, *text]
    # Each line erases what was right of it, the end what was below; no newline after the last
    # one, which would scroll.
    return "\x1b[H" + "\x1b[K\r\n".join(lines) + "\x1b[K\x1b[J"


def _picture(game: Game, width: int, height: int) -> Frame:
    """The picture for so many pixels; cells, where it has some, are as large as each other."""
    cells = game.coarse(width)
    if cells is None:
        return fitted(game.frame(), width, height)
    factor = min(width // cells.shape[1], height // cells.shape[0])
    if factor < 1:
        return fitted(cells, width, height)
    cells = cells.repeat(factor, axis=0).repeat(factor, axis=1)
    return np.pad(cells, ((0, cells.shape[0] % 2), (0, 0), (0, 0)))


def fitted(frame: Frame, width: int, height: int) -> Frame:
    """`frame` in the largest size that keeps its shape and fits; the height is even."""
    scale = min(width / frame.shape[1], height / frame.shape[0])
    across = max(1, int(frame.shape[1] * scale))
    down = max(2, int(frame.shape[0] * scale) // 2 * 2)
    how = Image.Resampling.BOX if scale <= 1 else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(frame).resize((across, down), how))


def half_blocks(frame: Frame) -> list[str]:
    """Lines of text that show `frame`, [2 n, W, 3]: a character is two pixels, one on the other."""
    lines = []
    for upper, lower in zip(frame[::2].tolist(), frame[1::2].tolist(), strict=True):
        line, last = "", None
        for pair in zip(map(tuple, upper), map(tuple, lower), strict=True):
            if pair != last:
                (r, g, b), (x, y, z) = pair
                line += f"\x1b[38;2;{r};{g};{b};48;2;{x};{y};{z}m"
                last = pair
            line += "▀"
        lines.append(line + "\x1b[0m")
    return lines


def parse_keys(data: bytes) -> list[str]:
    """The keys of what a terminal sent; unknown ones are left out."""
    keys = []
    while data:
        sequence = _SEQUENCE.match(data)
        if sequence:
            arrow = _ARROWS.get(sequence[0][-1:])
            # With modifiers, ESC [ 1 ; 5 A, it is another key.
            keys += [arrow] if arrow and len(sequence[0]) == 3 else []
            data = data[sequence.end() :]
            continue
        letter, data = data[:1].decode("ascii", "ignore"), data[1:]
        if letter in _CONTROL:
            keys.append(_CONTROL[letter])
        elif letter.isprintable() and letter:
            keys.append(letter.lower())
    return keys


def read_keys(descriptor: int) -> list[str]:
    """Waits for keys of a terminal; none at its end."""
    while True:
        data = os.read(descriptor, 1024)
        # A sequence may come in parts.
        while data[-3:].rfind(b"\x1b") >= 0 and select.select([descriptor], [], [], _ESCAPE_S)[0]:
            data += os.read(descriptor, 1024)
        keys = parse_keys(data)
        if keys or not data:
            return keys


def _text(game: Game, width: int, helping: bool) -> list[str]:
    lines = [game.name, *game.caption(), ""]
    if helping:
        told = game.controls.help(game.pad)
        many = len(told) > _MOST_LINES
        each = [f"{keys}: {what}" for keys, what in (_in_short(told) if many else told)]
        lines += [", ".join(each)] if many else each
    else:
        for section in game.sections():
            shown = [entry for entry in section.entries if entry.done or entry.value]
            words = ", ".join(f"{entry.name} {entry.value}".rstrip() for entry in shown)
            lines += [section.title, *textwrap.wrap(words or "-", width), ""]
        lines.append(f"{HELP} keys   {NEW} new episode   {QUIT} quit")
    return [part for line in lines for part in (textwrap.wrap(line, width) or [""])]


def _in_short(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Help with one line for digits that say their own number."""
    short: list[tuple[str, str]] = []
    for keys, what in lines:
        first = short[-1] if short else ("", "")
        stem = what.removesuffix(keys)
        if keys.isdigit() and stem != what and first[1].startswith(f"{stem}0"):
            short[-1] = (f"0 to {keys}", f"{stem}0 to {what}")
        else:
            short.append((keys, what))
    return short


def _width(line: str) -> int:
    return line.count("▀")


@contextlib.contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    """Keys come one by one and are not shown; whatever happens, the terminal is as before."""
    try:
        import termios
        import tty
    except ImportError:
        raise PlayError(
            "this system has no terminals of this kind; --web plays in a web page"
        ) from None
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _screen(out: Any) -> Iterator[None]:
    """Another screen without a cursor, and back."""
    out.write(_ENTER)
    try:
        yield
    finally:
        out.write(_LEAVE)
        out.flush()
