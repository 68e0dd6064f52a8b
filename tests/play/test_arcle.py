"""ARCLE played by keys and by pointer, in a game, in a page and in a terminal."""

import json
import re
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

from jaxrl.envs.arcle.tasks import Task, TaskSet
from jaxrl.play import controls, terminal, web
from jaxrl.play.board import Pad
from jaxrl.play.controls import Controls, PlayError, find_controls
from jaxrl.play.game import Game
from jaxrl.play.record import Move, Recorder, read_record
from jaxrl.registry import make
from jaxrl.rendering.arcle import cells_of

O2ARC = "ARCLE-O2ARC-v2"
# The answer is the input with its first row in colour 7.
PAIR = (np.asarray([[0, 1], [2, 3]], np.int8), np.asarray([[7, 7], [2, 3]], np.int8))
TASKS = TaskSet("mine", (Task("first-row", (PAIR,), (PAIR,)),))
OPTIONS = {"dataset": TASKS, "canvas": 3}


@pytest.fixture(scope="module")
def played():
    """A game of boxes; compiled once."""
    return Game(O2ARC, OPTIONS)


@pytest.fixture
def game(played):
    played.new_episode()
    return played


def grid(game):
    state = game.state.game
    return cells_of(state.grid, state.grid_dim).inside.tolist()


def press(game, *keys):
    assert all(game.press(key) for key in keys), keys


def test_a_task_is_solved_by_keys(game):
    press(game, "space", "right", "7")
    assert game.action == (7, 0, 0, 0, 1) and grid(game) == [[7, 7], [2, 3]]
    assert game.caption() == [
        "step 1   return 0",
        "Color7   reward +0",
        "row 0, column 0: 1 x 2 selected",
    ]
    press(game, "enter")
    assert (game.reward, game.ending) == (1.0, "terminated")
    assert not game.press("right") and not game.press("7")
    press(game, "n")
    assert game.pad == Pad() and game.ending == ""


def test_digits_fill_after_a_switch(game):
    press(game, "f", "down", "5")
    assert game.action == (15, 1, 0, 1, 0) and grid(game) == [[0, 1], [5, 3]]
    press(game, "f", "6")
    assert game.action == (6, 1, 0, 1, 0)
    told = dict(game.controls.help(Pad(switched=True)))
    assert told["5"] == "FloodFill5" and told["f"] == "keys for Color0 to Color9"
    told = dict(game.controls.help())
    assert told["5"] == "Color5" and told["f"] == "keys for FloodFill0 to FloodFill9"


def test_a_box_follows_its_object(game):
    press(game, "space", "right", "s")  # the first row, down
    assert game.action == (21, 0, 0, 0, 1) and grid(game) == [[0, 0], [2, 1]]
    assert game.pad.corners == (1, 0, 1, 1)


def test_a_mask_can_be_of_nothing_and_goes_on_with_the_object():
    game = Game(O2ARC, {**OPTIONS, "action": "mask"})
    press(game, "right", "s")  # 1 is lifted and covers 3
    assert game.action == (21, 0, 1, 0, 1) and grid(game) == [[0, 0], [2, 1]]
    assert game.pad.corners == ()
    press(game, "w")  # and back: 3 was below it
    assert game.action == (20,) and grid(game) == [[0, 1], [2, 3]]
    press(game, "left", "4", "backspace", "9")
    assert grid(game) == [[4, 1], [2, 3]]  # nothing is painted where nothing is selected


def test_games_of_boxes_are_recorded_and_replayed(game, tmp_path):
    path = tmp_path / "game.jsonl"
    overrides = {"dataset": "random", "canvas": 3}
    recorded = Game(O2ARC, overrides, seed=2)
    recorded.recorder = Recorder(path, O2ARC, overrides, 2, overwrite=False)
    press(recorded, "right", "space", "down", "4", "n", "f", "3")
    recorded.recorder.close()
    head, *lines = map(json.loads, path.read_text().splitlines())
    assert head["version"] == 1
    assert [line.get("action") for line in lines] == [[4, 0, 1, 1, 1], None, [13, 0, 0, 0, 0]]
    record = read_record(path)
    assert [move.action for move in record.moves] == [(4, 0, 1, 1, 1), None, (13, 0, 0, 0, 0)]
    again = Game(record.env, record.env_overrides, record.seed)
    again.replay(record)
    assert grid(again) == grid(recorded) and again.total == recorded.total


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (7, "is a number and the corners of a box, got 7"),
        ((7,), r"within 3 x 3 cells, got \[\]"),
        ((7, 0, 0, 0, 3), r"within 3 x 3 cells, got \[0, 0, 0, 3\]"),
        ((35, 0, 0, 0, 0), "has 35 actions, got 35"),
        ((), "got"),
    ],
)
def test_actions_that_are_none_are_refused(game, action, message):
    with pytest.raises(PlayError, match=f"{O2ARC}.*{message}"):
        game.act(action)
    assert game.step == 0


@pytest.mark.parametrize("action", ["[]", "[1, true]", "[1.0]", '"1"', "[[1]]"])
def test_a_record_with_other_actions_is_refused(tmp_path, action):
    path = tmp_path / "game.jsonl"
    recorder = Recorder(path, O2ARC, {}, 0, overwrite=False)
    recorder.add(Move((1, 0, 0, 0, 0)))
    recorder.close()
    with path.open("a") as file:
        file.write(f'{{"action": {action}, "reward": 0}}\n')
    with pytest.raises(PlayError, match="line 3: is neither a step nor"):
        read_record(path)


def test_every_operation_has_a_key():
    for name, count in ((O2ARC, 35), ("ARCLE-ARC-v0", 27), ("ARCLE-Raw-v0", 12)):
        env, params = make(name, **OPTIONS)
        found = find_controls(env, params, name)
        reached = {*found.keys.values(), *found.board.switched.values()}
        assert len(found.actions) == count and reached == set(range(count))
        assert bool(found.board.switch) == (count > 12)


def test_only_chosen_operations_have_keys_and_other_encodings_are_refused():
    env, params = make(O2ARC, **OPTIONS, operations="Submit,Color2")
    found = find_controls(env, params, O2ARC)
    assert found.keys == {"2": 1, "enter": 0} and found.actions == ("Submit", "Color2")
    env, params = make(O2ARC, **OPTIONS, action="point")
    with pytest.raises(PlayError, match=f"{O2ARC} is played with action='box' or action='mask'"):
        find_controls(env, params, O2ARC)


def test_a_key_of_the_board_is_refused_as_an_action(monkeypatch):
    env, params = make(O2ARC, **OPTIONS)
    found = find_controls(env, params, O2ARC)
    for keys, board in (({"left": 0}, found.board), ({}, found.board._replace(switch="3"))):
        wrong = Controls({"3": 0, **keys}, found.actions, board=board)
        monkeypatch.setattr(controls, "_registered", [("*", lambda *_, made=wrong: made)])
        with pytest.raises(PlayError, match="which is the board's"):
            find_controls(env, params, O2ARC)


def test_what_is_told_beside_the_picture(game):
    press(game, "space", "right", "i", "left", "enter")
    task, grids = game.sections()
    assert [(entry.name, entry.value) for entry in task.entries] == [
        ("id", "first-row"),
        ("pair", "demonstration 1"),
    ]
    assert [(entry.name, entry.value) for entry in grids.entries] == [
        ("grid", "2 x 2"),
        ("clipboard", "1 x 2"),
        ("submitted", "1"),
    ]


# --- in a page ---


@pytest.fixture(scope="module")
def server(played):
    with web.Server(played, 0) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def post(server, path, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | headers
    request = urllib.request.Request(server.url + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def cell(row, column):
    """The middle of a cell of 100 x 100 pixels from (328, 36), of a picture of 956 x 676."""
    return [(328 + 100 * column + 50) / 956, (36 + 100 * row + 50) / 676]


def test_a_task_is_solved_in_the_page(server, game):
    status, shown = post(server, "point", {"from": cell(0, 1), "to": cell(0, 0)})
    assert status == 200 and shown["pointer"] and game.pad == Pad((0, 0), (0, 1))
    assert shown["caption"][-1] == "row 0, column 0: 1 x 2 selected"
    assert {"keys": "7", "what": "Color7"} in shown["keys"]
    assert post(server, "key", {"key": "7"})[1]["step"] == 1
    status, shown = post(server, "point", {"from": [0.01, 0.99], "to": cell(2, 2)})
    assert status == 200 and game.pad == Pad((0, 0), (0, 1))  # beside the board
    shown = post(server, "key", {"key": "f"})[1]
    assert {"keys": "7", "what": "FloodFill7"} in shown["keys"]
    shown = post(server, "key", {"key": "enter"})[1]
    assert (shown["reward"], shown["ending"]) == (1.0, "terminated")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"from": [0.5, 0.5]}, "'to' must be two numbers from 0 to 1"),
        ({"from": [0.5], "to": [0.5, 0.5]}, "'from' must be"),
        ({"from": [0.5, 1.01], "to": [0.5, 0.5]}, "'from' must be"),
        ({"from": [0.5, -0.01], "to": [0.5, 0.5]}, "'from' must be"),
        ({"from": [0.5, True], "to": [0.5, 0.5]}, "'from' must be"),
        ({"from": [0.5, "0"], "to": [0.5, 0.5]}, "'from' must be"),
        (b'{"from": [NaN, 0.5], "to": [0.5, 0.5]}', "'from' must be"),
        (b'{"from": [1e999, 0.5], "to": [0.5, 0.5]}', "'from' must be"),
        (b'{"from": [' + b"9" * 500 + b', 0.5], "to": [0.5, 0.5]}', "'from' must be"),
        ({"from": {"0": 0.5}, "to": [0.5, 0.5]}, "'from' must be"),
        ([[0.5, 0.5], [0.5, 0.5]], "expected a JSON object"),
        (b"[" * 1000, "expected a JSON object"),
        (b"", "expected a JSON object"),
        (b" " * 2000, "at most 1024 bytes"),
        ({"key": "7"}, "'from' must be"),
    ],
)
def test_points_that_are_none_are_refused(server, game, body, message):
    status, answer = post(server, "point", body)
    assert status == 400 and message in answer["error"]
    assert game.pad == Pad()


def test_strangers_cannot_point(server, game):
    port = server.server_address[1]
    body = {"from": cell(1, 1), "to": cell(1, 1)}
    assert post(server, "point", body, Host=f"evil.example:{port}")[0] == 403
    assert post(server, "point", body, Origin="http://evil.example")[0] == 403
    status, answer = post(server, "point", body, **{"Content-Type": "text/plain"})
    assert status == 400 and "application/json" in answer["error"]
    assert game.pad == Pad()


def test_a_game_without_cells_has_no_pointer():
    cartpole = Game("CartPole-v1")
    assert web.describe(cartpole)["pointer"] is False
    with pytest.raises(PlayError, match="CartPole-v1 is played by keys, it has no cells to select"):
        cartpole.point((0.5, 0.5), (0.5, 0.5))
    with pytest.raises(PlayError, match="an action of CartPole-v1 is a number, got"):
        cartpole.act((1, 0))


# --- in a terminal ---


def test_the_terminal_shows_cells_of_one_size(game):
    press(game, "right")
    shown = terminal.screen(game, 80, 24)
    lines = [line.count("▀") for line in shown.split("\r\n")]
    # Input, grid and answer of 2 x 2 and gaps of 2, each 4 columns wide: 46 // 10; 8 pixels high.
    assert lines[:5] == [40, 40, 40, 40, 0]
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown)
    assert "row 0, column 1: 1 x 1 selected" in plain and "id first-row" in plain


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (5, 3)])
def test_all_keys_are_told_and_a_small_terminal_is_enough(game, size):
    shown = terminal.screen(game, *size, True)
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown).split("\r\n")
    assert len(plain) <= size[1] and max(map(len, plain)) <= size[0]
    if size[0] == 80:
        words = " ".join(line.lstrip("▀ ") for line in plain)
        for told in ("0 to 9: Color0 to Color9", "f: keys for FloodFill0 to FloodFill9"):
            assert told in words
        assert "enter: Submit" in words and "q: quit" in words


def test_a_terminal_plays(game):
    pressed = iter([["space", "right"], ["7", "enter", "q"]])
    terminal.run(game, lambda: next(pressed), lambda text: None, lambda: (80, 24))
    assert game.ending == "terminated" and game.total == 1.0
