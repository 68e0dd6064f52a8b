"""Playing in a terminal: what is shown, what keys mean, a session in a pseudo-terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time

import numpy as np
import pytest

from jaxrl.play import terminal
from jaxrl.play.controls import PlayError
from jaxrl.play.game import Game
from jaxrl.play.record import read_record
from tests.processes import ROOT


@pytest.fixture(scope="module")
def game():
    return Game("CartPole-v1")


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        (b"a", ["a"]),
        (b"A?", ["a", "?"]),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
        (b"\x1bOA", ["up"]),
        (b" \r\n\t\x7f", ["space", "enter", "enter", "tab", "backspace"]),
        (b"\x03", ["q"]),
        (b"\x04", ["q"]),
        (b"\x1b[1;5A\x1b[3~\x1b[15~x", ["x"]),
        ("é\x01".encode(), []),
        (b"\x1b", []),
        (b"", []),
    ],
)
def test_keys(sent, keys):
    assert terminal.parse_keys(sent) == keys


def test_keys_are_read_whole_and_end_with_the_input():
    reading, writing = os.pipe()
    os.write(writing, b"\x1b")
    os.write(writing, b"[Cx")
    assert terminal.read_keys(reading) == ["right", "x"]
    os.close(writing)
    assert terminal.read_keys(reading) == []
    os.close(reading)


def decoded(line):
    """The two rows of pixels of a line of half blocks."""
    upper, lower = [], []
    colours = None
    for code, block in re.findall(r"\x1b\[([0-9;]*)m|(▀)", line):
        if block:
            upper.append(colours[2:5])
            lower.append(colours[7:10])
        else:
            colours = list(map(int, code.split(";")))
    return np.asarray([upper, lower], np.uint8)


def test_half_blocks_hold_every_pixel():
    frame = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    frame[:, 3] = frame[:, 2]  # the same colours are not said twice
    lines = terminal.half_blocks(frame)
    assert len(lines) == 3
    np.testing.assert_array_equal(np.concatenate([decoded(line) for line in lines]), frame)
    assert lines[0].count("\x1b[38") == 4


@pytest.mark.parametrize(
    ("shape", "room", "size"),
    [
        ((504, 504), (46, 48), (46, 46)),
        ((504, 504), (80, 40), (40, 40)),
        ((10, 20), (80, 80), (40, 80)),
        ((300, 480), (40, 100), (24, 40)),  # 25 rows are made even
        ((500, 10), (10, 10), (10, 1)),
    ],
)
def test_pictures_keep_their_shape(shape, room, size):
    assert terminal.fitted(np.zeros((*shape, 3), np.uint8), *room).shape == (*size, 3)


@pytest.mark.parametrize(("columns", "rows"), [(100, 30), (80, 24), (40, 20), (10, 5), (1, 1)])
@pytest.mark.parametrize("helping", [False, True])
def test_a_screen_fits_its_terminal(game, columns, rows, helping):
    shown = terminal.screen(game, columns, rows, helping)
    lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown).split("\r\n")
    assert len(lines) <= max(rows, 2)
    assert max(map(len, lines)) <= max(columns, 2)
    assert "▀" in shown
    if columns >= 80:
        assert "CartPole-v1" in shown and ("1: action 1" in shown) == helping


def test_the_loop_does_what_keys_say():
    played, shown = Game("CartPole-v1"), []
    pressed = iter([["1"], ["?"], ["0", "z", "1"], ["1", "q", "1"]])
    terminal.run(played, lambda: next(pressed), shown.append, lambda: (80, 24))
    assert played.step == 4  # what comes after a quit is not played
    assert "step 1 " in shown[1]
    assert ["1: action 1" in text for text in shown] == [False, False, True, True]
    terminal.run(played, list, shown.append, lambda: (80, 24))  # no more keys


def test_without_a_terminal_the_web_page_is_named():
    with pytest.raises(PlayError, match="not a terminal; --web plays in a web page"):
        terminal.check()


def read_until(descriptor, wanted, seconds=120):
    seen, end = b"", time.monotonic() + seconds
    while wanted not in seen:
        assert time.monotonic() < end, seen[-500:]
        if select.select([descriptor], [], [], 1)[0]:
            seen += os.read(descriptor, 65536)
    return seen


def test_a_session_in_a_terminal(tmp_path):
    path = tmp_path / "game.jsonl"
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (24, 80))
    before = termios.tcgetattr(side)
    command = [sys.executable, "-m", "jaxrl", "play", "CartPole-v1", "--record", str(path)]
    with subprocess.Popen(command, stdin=side, stdout=side, stderr=side, cwd=ROOT) as process:
        read_until(main, b"new episode")
        os.write(main, b"1")
        read_until(main, b"step 1 ")
        os.write(main, b"0n1q")
        rest = read_until(main, b"written: ")
        assert process.wait(60) == 0
    assert b"\x1b[?1049l" in rest and b"CartPole-v1: step 1, return 1" in rest
    assert termios.tcgetattr(side) == before
    assert [move.action for move in read_record(path).moves] == [1, 0, None, 1]
    os.close(main)
    os.close(side)
