"""State <-> JSON: nothing is lost, and whatever is wrong is named."""

import copy
import json

import crafter
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.reference import from_reference
from jaxrl.envs.crafter_oo.serialisation import from_json, to_json
from jaxrl.envs.crafter_oo.tape import Recorder


def small_record():
    """A world of 14 x 3 cells with every kind of object, holes between slots; written by hand."""
    return {
        "schema": "jaxrl.crafter_oo.world_state",
        "version": 1,
        "area": [14, 3],
        "time": 200,
        # t = 200: 1 - |cos(pi (2/3 + 0.3))|^3
        "daylight": 1 - abs(np.cos(np.pi * (2 / 3 + 0.3))) ** 3,
        "legend": {
            **{"~": "water", ".": "grass", "#": "stone", "_": "path", ":": "sand", "T": "tree"},
            **{"!": "lava", "c": "coal", "i": "iron", "d": "diamond", "B": "table", "F": "furnace"},
        },
        "materials": ["~.#_:T!cidBF~~", "..............", "....~........."],
        "player": {
            "position": [2, 1],
            "facing": "up",
            "action": "make_iron_sword",
            "sleeping": True,
            "inventory": {name: index for index, name in enumerate(c.ITEMS)},
            "achievements": {name: 3 * index for index, name in enumerate(c.ACHIEVEMENTS)},
            "hunger": 2.5,
            "thirst": 0.0,
            "fatigue": -7.0,
            "recover": 0.1,
            "last_health": 4,
        },
        "capacity": 9,
        "overflow": True,
        "next_id": 30,
        "objects": [
            {"slot": 0, "id": 2, "kind": "cow", "position": [0, 1], "health": 3},
            {"slot": 2, "id": 5, "kind": "zombie", "position": [13, 2], "health": 5, "cooldown": 4},
            {"slot": 3, "id": 6, "kind": "skeleton", "position": [3, 0], "health": 1, "reload": 2},
            {"slot": 6, "id": 8, "kind": "arrow", "position": [4, 2], "health": 0, "facing": "up"},
            {
                **{"slot": 7, "id": 20, "kind": "plant", "position": [5, 1], "health": 1},
                **{"grown": 301, "ripe": True},
            },
        ],
        "chunks": [[1, 0], [0, 0]],
    }


def assert_equal(a, b):
    for (path, x), (_, y) in zip(
        jax.tree_util.tree_leaves_with_path(a), jax.tree_util.tree_leaves_with_path(b), strict=True
    ):
        assert x.dtype == y.dtype, path
        np.testing.assert_array_equal(x, y, err_msg=str(path))


def test_reads_every_field_of_a_record_written_by_hand():
    state = from_json(json.dumps(small_record()))
    assert state.area == (14, 3) and int(state.time) == 200 and bool(state.overflow)
    materials = [c.MATERIALS[m] for m in np.asarray(state.materials)[:, 0]]
    assert materials[:7] == ["water", "grass", "stone", "path", "sand", "tree", "lava"]
    assert materials[7:12] == ["coal", "iron", "diamond", "table", "furnace"]
    assert int(state.materials[4, 2]) == c.material("water")
    player = state.player
    assert (int(player.x), int(player.y), int(player.facing)) == (2, 1, c.UP)
    assert int(player.action) == 16 and bool(player.sleeping) and int(player.last_health) == 4
    np.testing.assert_array_equal(player.items, np.arange(16))
    np.testing.assert_array_equal(player.unlocked, 3 * np.arange(22))
    counters = [float(x) for x in (player.hunger, player.thirst, player.fatigue)]
    assert counters == [2.5, 0.0, -7.0] and player.recover == np.float32(0.1)
    np.testing.assert_array_equal(state.objects.id, [2, 0, 5, 6, 0, 0, 8, 20, 0])
    np.testing.assert_array_equal(state.objects.kind, [1, 0, 2, 3, 0, 0, 4, 5, 0])
    np.testing.assert_array_equal(state.objects.x, [0, 0, 13, 3, 0, 0, 4, 5, 0])
    np.testing.assert_array_equal(state.objects.y, [1, 0, 2, 0, 0, 0, 2, 1, 0])
    np.testing.assert_array_equal(state.objects.health, [3, 0, 5, 1, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(state.objects.counter, [0, 0, 4, 2, 0, 0, 0, 301, 0])
    np.testing.assert_array_equal(state.objects.facing, [0, 0, 0, 0, 0, 0, c.UP, 0, 0])
    np.testing.assert_array_equal(state.chunk_order, [[1], [0]])
    assert int(state.next_id) == 30


def test_a_record_written_by_hand_is_written_again_as_it_was():
    record = small_record()
    again = json.loads(to_json(from_json(json.dumps(record))))
    assert again.pop("daylight") == pytest.approx(record.pop("daylight"), abs=1e-6)
    assert again == record


@pytest.mark.parametrize("area", [(64, 64), (20, 31)])
def test_states_of_random_play_come_back_exactly(area):
    env = crafter.Env(area=area, seed=5)
    env.reset()
    recorder, rng = Recorder(env), np.random.RandomState(0)
    for step in range(240):
        recorder.step(int(rng.randint(len(c.ACTIONS))))
        if step % 40 == 0:
            state = from_reference(env, 200)
            # Holes where objects were, as in play.
            dead = jnp.arange(200) % 3 == 1
            objects = jax.tree.map(
                lambda a, d=dead: jnp.where(d, a.dtype.type(0), a), state.objects
            )
            state = state.replace(objects=objects)
            text = to_json(state)
            assert_equal(from_json(text), state)
            assert to_json(from_json(text)) == text


def test_ripe_follows_the_rules_that_are_given():
    rules = rule_sets.named(rule_sets.crafter(), "creatures.plant_ripe", 400)
    record = small_record()
    with pytest.raises(ValueError, match=r"objects\[4\].ripe is True.*False"):
        from_json(json.dumps(record), rules)
    record["objects"][4]["ripe"] = False
    text = to_json(from_json(json.dumps(record), rules), rules)
    assert json.loads(text)["objects"][4]["ripe"] is False


def _set(path, value):
    """A change of a record: the entry at a path of names and indices becomes `value`."""

    def change(record):
        *parents, last = path
        for step in parents:
            record = record[step]
        record[last] = value

    return change


def _drop(*path):
    def change(record):
        for step in path[:-1]:
            record = record[step]
        del record[path[-1]]

    return change


NAN = float("nan")
WRONG = {
    "schema": (_set(["schema"], "other"), r"schema is 'other', expected 'jaxrl"),
    "version": (_set(["version"], 2), r"version is 2, this code reads 1"),
    "no version": (_drop("version"), r"version is None"),
    "missing": (_drop("next_id"), r"the state lacks the fields next_id"),
    "unknown": (_set(["colour"], 1), r"the state has the unknown fields colour"),
    "area": (_set(["area"], [14]), r"area must have 2 entries, got 1"),
    "area type": (_set(["area"], "14x3"), r"area must be a list, got '14x3'"),
    "area size": (_set(["area", 0], 0), r"area\[0\] must be in 1\.\.768, got 0"),
    "time": (_set(["time"], -1), r"time must be in 0\.\.2147483646, got -1"),
    "time bool": (_set(["time"], True), r"time must be an integer, got True"),
    "time float": (_set(["time"], 200.0), r"time must be an integer, got 200.0"),
    "daylight": (_set(["daylight"], 0.9), r"daylight is 0.9, but the rest"),
    "legend": (_set(["legend", "~"], "milk"), r"legend must be"),
    "rows": (_set(["materials"], ["." * 14] * 2), r"materials must have 3 entries, got 2"),
    "row": (_set(["materials", 1], "..."), r"materials\[1\] must be a string of 14"),
    "material": (_set(["materials", 2], "....x........."), r"materials\[2\] has 'x' at x = 4"),
    "position": (_set(["player", "position"], [14, 1]), r"player.position\[0\] must be in 0\.\.13"),
    "facing": (_set(["player", "facing"], 2), r"player.facing must be one of left, right"),
    "action": (_set(["player", "action"], "jump"), r"player.action must be one of noop"),
    "sleeping": (_set(["player", "sleeping"], 1), r"player.sleeping must be true or false, got 1"),
    "item": (_set(["player", "inventory", "wood"], 128), r"player.inventory.wood must be in 0\.\."),
    "item bool": (_set(["player", "inventory", "wood"], False), r"inventory.wood must be an integ"),
    "item name": (_set(["player", "inventory", "gold"], 1), r"inventory has the unknown.* gold"),
    "no item": (_drop("player", "inventory", "iron"), r"player.inventory lacks the fields iron"),
    "health": (
        _set(["player", "inventory", "health"], -1),
        r"inventory.health must be in 0\.\.127",
    ),
    "unlocked": (_set(["player", "achievements", "wake_up"], -1), r"achievements.wake_up must be"),
    "unlocked name": (_drop("player", "achievements", "eat_cow"), r"achievements lacks.*eat_cow"),
    "hunger": (_set(["player", "hunger"], "2"), r"player.hunger must be a number, got '2'"),
    "fatigue": (_set(["player", "fatigue"], NAN), r"NaN is no number"),
    "recover": (_set(["player", "recover"], 10**400), r"player.recover must be a finite float32"),
    "last_health": (
        _set(["player", "last_health"], 128),
        r"player.last_health must be in 0\.\.127",
    ),
    "player": (_set(["player"], []), r"player must be a record, got \[\]"),
    "capacity": (_set(["capacity"], 4), r"capacity is 4, but there are 5 objects"),
    "capacity low": (_set(["capacity"], 0), r"capacity must be in 1\.\.32767"),
    "capacity slot": (_set(["capacity"], 7), r"objects\[4\].slot must be in 0\.\.6, got 7"),
    "overflow": (_set(["overflow"], 0), r"overflow must be true or false, got 0"),
    "next_id": (_set(["next_id"], 20), r"next_id is 20, but objects\[4\].id is 20"),
    "kind": (_set(["objects", 0, "kind"], "pig"), r"objects\[0\].kind must be one of cow, zombie"),
    "kind none": (_set(["objects", 0, "kind"], "none"), r"objects\[0\].kind must be one of cow"),
    "no kind": (_drop("objects", 0, "kind"), r"objects\[0\] must be a record with a kind"),
    "own field": (_drop("objects", 1, "cooldown"), r"objects\[1\] lacks the fields cooldown"),
    "other's": (_set(["objects", 0, "reload"], 0), r"objects\[0\] has the unknown fields reload"),
    "cooldown": (_set(["objects", 1, "cooldown"], 2**15), r"objects\[1\].cooldown must be in"),
    "reload": (_set(["objects", 2, "reload"], -1), r"objects\[2\].reload must be in 0\.\.32767"),
    "arrow": (_set(["objects", 3, "facing"], "north"), r"objects\[3\].facing must be one of left"),
    "grown": (_set(["objects", 4, "grown"], 10), r"objects\[4\].ripe is True, but the rest"),
    "ripe": (_set(["objects", 4, "ripe"], 1), r"objects\[4\].ripe must be true or false"),
    "outside": (_set(["objects", 0, "position"], [0, 3]), r"objects\[0\].position\[1\] must be in"),
    "negative": (_set(["objects", 0, "position"], [-1, 0]), r"objects\[0\].position\[0\] must be"),
    "cell": (
        _set(["objects", 1, "position"], [0, 1]),
        r"objects\[1\].position.*where objects\[0\]",
    ),
    "on player": (_set(["objects", 2, "position"], [2, 1]), r"objects\[2\].position.*where player"),
    "health 128": (_set(["objects", 0, "health"], 128), r"objects\[0\].health must be in 0\.\.127"),
    "id twice": (_set(["objects", 1, "id"], 2), r"objects\[1\].id is 2, but ids ascend"),
    "id order": (_set(["objects", 2, "id"], 4), r"objects\[2\].id is 4, but ids ascend"),
    "id player": (_set(["objects", 0, "id"], 1), r"objects\[0\].id must be in 2\.\."),
    "slot order": (_set(["objects", 1, "slot"], 0), r"objects\[1\].slot is 0, but slots ascend"),
    "chunk": (_set(["chunks", 0], [2, 0]), r"chunks\[0\]\[0\] must be in 0\.\.1, got 2"),
    "chunk of player": (
        _set(["chunks"], [[1, 0]]),
        r"chunks lacks \[0, 0\], in which player stands",
    ),
    "chunk of object": (
        _set(["chunks"], [[0, 0]]),
        r"chunks lacks \[1, 0\], in which objects\[1\] stands",
    ),
    "chunk twice": (_set(["chunks", 0], [0, 0]), r"chunks\[1\] is \[0, 0\], which was there"),
}


@pytest.mark.parametrize("change, message", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(change, message):
    record = copy.deepcopy(small_record())
    change(record)
    with pytest.raises(ValueError, match=message):
        from_json(json.dumps(record))


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not a JSON text"),
        ("[]", "the state must be a record"),
        ('{"time": 1, "time": 2}', "the field 'time' is there twice"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        from_json(text)


def _world(**fields):
    return lambda s: s.replace(**fields)


def _objects(**fields):
    return lambda s: s.replace(objects=s.objects.replace(**fields))


def _player(**fields):
    return lambda s: s.replace(player=s.player.replace(**fields))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: jax.tree.map(lambda a: a[None], s), r"materials has shape \[1, 14, 3\]"),
        (_world(time=jnp.float32(1)), r"time is int32 \[\], got float32 \[\]"),
        (_player(x=jnp.int16(14)), r"player.position\[0\] must be in 0\.\.13, got 14"),
        (_player(hunger=jnp.float32(np.nan)), r"player.hunger must be a finite float32"),
        (_player(facing=jnp.uint8(4)), r"player.facing must be one of .* got 'unknown 4'"),
        (_objects(id=jnp.full(9, 2, jnp.int32)), r"objects.id is not 0 in slot 1, which is empty"),
        (_objects(counter=jnp.full(9, 1, jnp.int16)), r"objects.counter is not 0 in slot 1"),
        (_objects(kind=jnp.zeros(9, jnp.uint8)), r"objects.id is not 0 in slot 0"),
        (_world(materials=jnp.zeros((14, 3), jnp.uint8)), r"materials\[0\] has '\?' at x = 0"),
        (_world(chunk_order=jnp.ones((2, 1), jnp.int16)), r"chunk_order is -1, or 0"),
        (_world(chunk_order=jnp.asarray([[0], [-1]], jnp.int16)), r"chunks lacks \[1, 0\]"),
    ],
)
def test_a_state_that_could_not_be_read_is_not_written(change, message):
    with pytest.raises(ValueError, match=message):
        to_json(change(from_json(json.dumps(small_record()))))
