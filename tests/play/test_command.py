"""`jaxrl play` from the command line; what goes well is in test_terminal.py."""

import threading
import time

import pytest

from jaxrl import cli
from jaxrl.play import command, terminal, web
from jaxrl.play.record import Move, Recorder, read_record

CARTPOLE = "CartPole-v1"


def run(capsys, *words):
    code = cli.main(["play", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "expected: jaxrl play ENV [options]"),
        ([CARTPOLE, "--port", "80"], 2, "--port is for --web"),
        ([CARTPOLE, "--overwrite"], 2, "--overwrite is for --record"),
        (["--replay", "x", "--seed", "1"], 2, "a replay has the seed"),
        (["--replay", "x", "--record", "x"], 2, "name the same file"),
        ([CARTPOLE, "--wbe"], 2, "unknown option --wbe; did you mean --web"),
        ([CARTPOLE], 1, "this is not a terminal; --web plays in a web page"),
        (["CartPol-v1", "--web"], 2, "CartPole-v1"),
        (["Pendulum-v1", "--web", "--record", "RECORD"], 1, "Pendulum-v1 has no key map"),
        ([CARTPOLE, "--web", "--env-overrides", "length"], 1, "is key=value, got 'length'"),
        ([CARTPOLE, "--web", "--port", "99999", "--record", "RECORD"], 1, "0..65535, got 99999"),
        (["--web", "--replay", "missing.jsonl"], 1, "missing.jsonl"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_file(capsys, tmp_path, words, code, message):
    record = tmp_path / "game.jsonl"
    words = [str(record) if word == "RECORD" else word for word in words]
    got, out, err = run(capsys, *words)
    assert got == code and message in err
    assert err.startswith("error: ") and err.count("\n") == 1 and not out
    assert not record.exists()


def test_help_names_the_options(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(f"--{name}" in out for name in ("web", "port", "seed", "record", "replay"))


def test_a_replay_of_another_environment_is_refused(capsys, tmp_path):
    path = tmp_path / "game.jsonl"
    Recorder(path, CARTPOLE, {}, 0, overwrite=False).close()
    code, _, err = run(capsys, "Acrobot-v1", "--web", "--replay", str(path))
    assert code == 1 and f"{path} is a game of CartPole-v1, not of Acrobot-v1" in err


def test_a_page_plays_on_from_a_replay_and_records_all(capsys, tmp_path, monkeypatch):
    past, path = tmp_path / "past.jsonl", tmp_path / "game.jsonl"
    recorder = Recorder(past, CARTPOLE, {"gravity": 5.0}, 4, overwrite=False)
    recorder.add(Move(1, 1.0))
    recorder.close()
    servers = []

    class Watched(web.Server):
        def __init__(self, *args):
            super().__init__(*args)
            servers.append(self)

    def press_and_end():
        while not servers:
            time.sleep(0.01)
        servers[0].game.press("0")
        servers[0].shutdown()

    monkeypatch.setattr(web, "Server", Watched)
    original = web.play

    def play(server, say):
        threading.Thread(target=press_and_end).start()
        original(server, say)

    monkeypatch.setattr(command.web, "play", play)
    code, out, err = run(
        capsys, "--web", "--port", "0", "--replay", str(past), "--record", str(path)
    )
    assert code == 0 and "CartPole-v1: step 2, return 2" in out
    assert f"at http://127.0.0.1:{servers[0].server_address[1]}/" in err
    record = read_record(path)
    assert (record.seed, record.env_overrides) == (4, {"gravity": 5.0})
    assert [move.action for move in record.moves] == [1, 0]


def test_the_terminal_plays_with_the_seed(capsys, monkeypatch):
    played = []
    monkeypatch.setattr(terminal, "check", lambda: None)
    monkeypatch.setattr(terminal, "play", played.append)
    for seed in ("3", "4", "3"):
        assert run(capsys, CARTPOLE, "--seed", seed)[0] == 0
    one, other, again = (float(game.state.theta) for game in played)
    assert one == again != other


def test_a_replay_cannot_choose_the_code_that_runs(capsys, tmp_path):
    past, proof = tmp_path / "past.jsonl", tmp_path / "proof"
    overrides = {"cmd": f"touch {proof}"}
    Recorder(past, "subprocess:getoutput", overrides, 0, overwrite=False).close()
    code, _, err = run(capsys, "--web", "--port", "0", "--replay", str(past))
    assert code == 1 and "'subprocess:getoutput', which is not one of ours" in err
    assert not proof.exists()
