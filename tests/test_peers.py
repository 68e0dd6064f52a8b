"""Measurements in turns, with commands that take no time."""

import json
import sys

import pytest

from jaxrl import peers


def says(text):
    return [sys.executable, "-c", f"print('noise'); print({text!r})"]


def test_commands_take_turns_and_medians_are_over_rounds(tmp_path, capsys):
    count = tmp_path / "count"
    counting = (
        "import json, pathlib; path = pathlib.Path(r'" + str(count) + "');"
        "n = len(path.read_text()) if path.exists() else 0; path.write_text('x' * (n + 1));"
        "print(json.dumps({'median': [5, 1, 3][n]}))"
    )
    commands = {"a": [sys.executable, "-c", counting], "b": says('{"steps_per_s": 7}')}
    found = peers.in_turns(commands, 3)
    assert [row["median"] for row in found["a"]] == [5, 1, 3]
    assert peers.medians(found) == {"a": 3, "b": 7}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"a": 5, "b": 7}, {"a": 3, "b": 7}, {"a": 3, "b": 7}]


def test_a_command_that_fails_says_why():
    broken = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(RuntimeError, match="no such thing"):
        peers.in_turns({"broken": broken}, 1)
