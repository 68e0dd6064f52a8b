"""Games: controls, moves, records."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import registry
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.play import controls, crafter_oo
from jaxrl.play.controls import Controls, Entry, PlayError, Section, find_controls
from jaxrl.play.game import Game
from jaxrl.play.record import Move, Record, Recorder, read_record

CARTPOLE = "CartPole-v1"
SLIPPERY = "FrozenLake-misc"  # where a step leads is random
TOWARDS_THE_END = "11111111111111"  # always to the right: the pole falls within 14 steps


@pytest.fixture
def registered(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(controls, "_registered", [])


def moves_of(game):
    return game.step, game.total, game.ending, np.asarray(game.state.theta).item()


def test_a_game_steps_as_the_environment_does():
    game = Game(SLIPPERY, seed=3)
    env, params = registry.make(SLIPPERY)
    key_reset, key_steps = jax.random.split(jax.random.fold_in(jax.random.key(3), 0))
    _, state = env.reset_env(key_reset, params)
    for step, action in enumerate((1, 0, 0, 2)):
        assert game.press(str(action))
        key = jax.random.fold_in(key_steps, step)
        _, state, reward, _, _ = env.step_env(key, state, jnp.int32(action), params)
        assert game.reward == float(reward)
        jax.tree.map(np.testing.assert_array_equal, game.state, state)
    assert (game.step, game.action) == (4, 2)


def test_a_caption_tells_the_step_and_the_return():
    game = Game(CARTPOLE)
    for key in "100":
        game.press(key)
    assert (game.step, game.total, game.action, game.ending) == (3, 3.0, 0, "")
    assert game.caption() == ["step 3   return 3", "action 0   reward +1"]


def test_keys_without_a_meaning_do_nothing():
    game = Game(CARTPOLE)
    assert not any(game.press(key) for key in ("2", "x", "q", "?", "left", ""))
    assert game.step == 0
    with pytest.raises(PlayError, match="CartPole-v1 has 2 actions, got 2"):
        game.act(2)


def test_after_the_end_only_a_new_episode_helps():
    game = Game(CARTPOLE)
    first = np.asarray(game.state.theta)
    for key in TOWARDS_THE_END:
        game.press(key)
    assert game.ending == "terminated" and 7 <= game.step <= 11
    assert game.caption()[-1] == "terminated: press n for a new episode"
    with pytest.raises(PlayError, match="the episode has terminated"):
        game.act(1)
    assert game.press("n")
    assert (game.step, game.total, game.ending) == (0, 0.0, "")
    assert np.asarray(game.state.theta) != first


def test_a_time_limit_is_told_from_an_end():
    game = Game(CARTPOLE, {"max_steps_in_episode": 2})
    game.act(0)
    game.act(1)
    assert game.ending == "truncated"


def test_a_replay_gives_the_same_game(tmp_path):
    path = tmp_path / "game.jsonl"
    overrides = {"max_steps_in_episode": 200, "gravity": 5.0}
    game = Game(CARTPOLE, overrides, seed=7)
    game.recorder = Recorder(path, CARTPOLE, overrides, 7, overwrite=False)
    game.prepare()
    for key in "0110x1n10?1":
        game.press(key)
        game.frame()  # looking changes nothing
    game.recorder.close()

    head, *lines = map(json.loads, path.read_text().splitlines())
    assert head == {
        "format": "jaxrl.play",
        "version": 1,
        "env": CARTPOLE,
        "env_overrides": overrides,
        "seed": 7,
    }
    assert lines[4] == {"action": 1, "reward": 1.0} and lines[5] == {"new": True}

    record = read_record(path)
    assert [move.action for move in record.moves] == [0, 1, 1, 0, 1, None, 1, 0, 1]
    again = Game(record.env, record.env_overrides, record.seed)
    again.replay(record)
    assert moves_of(again) == moves_of(game)
    other = Game(record.env, record.env_overrides, 8)
    other.replay(record)
    assert moves_of(other) != moves_of(game)


def test_a_tuple_and_a_seed_of_a_record(tmp_path):
    path = tmp_path / "game.jsonl"
    Recorder(path, "E", {"area": (33, 47)}, 2**31, overwrite=False).close()
    record = read_record(path)
    assert record.env_overrides == {"area": (33, 47)}
    with pytest.raises(ValueError, match=r"seed must be within 0\.\.2147483647, got 2147483648"):
        Game(CARTPOLE, {}, record.seed)


def test_a_replay_that_is_paid_otherwise_is_refused():
    game = Game(CARTPOLE)
    with pytest.raises(PlayError, match="move 2 was paid 3 when it was recorded and 1 now"):
        game.replay(Record(CARTPOLE, {}, 0, (Move(0, 1.0), Move(0, 3.0))))


HEAD = '{"format": "jaxrl.play", "version": 1, "env": "E", "env_overrides": {}, "seed": 0}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: is no JSON object"),
        ("[1]\n", "line 1: is no JSON object"),
        ('{"a": 1}\n', "no recorded game"),
        (HEAD.replace("1,", "2,"), "is of version 2, this reads 1"),
        (HEAD.replace(": 0", ": 0.5"), "line 1: needs env, env_overrides and a whole seed"),
        (HEAD + '{"action": 1, "reward": 0}\n{"act', "line 3: is no JSON object"),
        (HEAD + '{"action": true, "reward": 0}\n', "line 2: is neither a step nor"),
        (HEAD + '{"action": 1}\n', "line 2: is neither a step nor"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, text, message):
    path = tmp_path / "game.jsonl"
    path.write_text(text)
    with pytest.raises(PlayError, match=message) as error:
        read_record(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "picture.gif"
    path.write_bytes(b"\xff\xfe\x80")
    with pytest.raises(PlayError, match="is not a text file"):
        read_record(path)


def test_an_earlier_record_is_kept_unless_asked(tmp_path):
    path = tmp_path / "game.jsonl"
    path.write_text("mine")
    with pytest.raises(PlayError, match="exists; --overwrite replaces it"):
        Recorder(path, CARTPOLE, {}, 0, overwrite=False)
    assert path.read_text() == "mine"
    Recorder(path, CARTPOLE, {}, 0, overwrite=True).close()
    assert read_record(path).env == CARTPOLE


def test_a_frame_is_the_renderer_s():
    frame = Game(CARTPOLE).frame()
    assert frame.dtype == np.uint8 and frame.shape == (300, 480, 3)


def test_own_controls_come_before_digits(registered):
    made = Controls({"left": 0, "x": 1}, ("go left", "go_right"), lambda state: ("anything",))
    controls.register_controls("CartPole-*", lambda env, params: made)
    game = Game(CARTPOLE)
    assert game.press("x") and game.action == 1 and game.sections() == ("anything",)
    help_lines = [("left", "go left"), ("x", "go right")]
    assert game.controls.help() == [*help_lines, ("q", "quit"), ("n", "new episode"), ("?", "keys")]


@pytest.mark.parametrize(
    ("keys", "message"),
    [({"q": 0}, "'q', which means quit"), ({"F1": 0}, "'F1', which is no key"), ({"a": 2}, "of 2")],
)
def test_controls_that_are_wrong_are_named(registered, keys, message):
    controls.register_controls("*", lambda env, params: Controls(keys, ("a", "b")))
    with pytest.raises(PlayError, match=f"the key map of CartPole-v1.*{message}"):
        Game(CARTPOLE)


def test_registering_nothing_is_refused(registered):
    with pytest.raises(ValueError, match="need a pattern and a function"):
        controls.register_controls("", lambda env, params: None)


def test_actions_that_no_key_can_say_are_refused():
    with pytest.raises(PlayError, match="Pendulum-v1 has no key map.*a key map: CrafterOO-\\*"):
        Game("Pendulum-v1")


def test_crafter_has_a_key_for_every_action():
    for name in (name for name in registry.environments() if name.startswith("CrafterOO-")):
        found = find_controls(*registry.make(name), name)
        assert found.actions == c.ACTIONS
        assert sorted(set(found.keys.values())) == list(range(17))
        for keys in (("left", "right", "up", "down", "space"), "adws"):
            assert [found.keys[key] for key in keys] == [1, 2, 3, 4, 5][: len(keys)]


def test_crafter_tells_the_inventory_and_the_achievements():
    class Player:
        items = jnp.asarray([9, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], jnp.int8)
        unlocked = jnp.zeros(22, jnp.int32).at[c.achievement("wake_up")].set(2)

    class State:
        player = Player()

    inventory, achievements = crafter_oo.status(State())
    assert inventory == Section(
        "inventory",
        (
            Entry("health", "9"),
            Entry("food", "0"),
            Entry("drink", "0"),
            Entry("energy", "0"),
            Entry("wood", "3"),
            Entry("wood pickaxe", "1"),
        ),
    )
    assert achievements.title == "achievements 1/22"
    assert achievements.entries[-1] == Entry("wake up", "2", True)
    assert achievements.entries[0] == Entry("collect coal", "", False)
