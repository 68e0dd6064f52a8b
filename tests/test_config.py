"""config.json: exact there and back, and every fault is one line."""

import dataclasses
import json
import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import config as configs
from jaxrl import registry
from jaxrl.config import (
    ConfigError,
    RunConfig,
    decode,
    encode,
    load_config,
    override_text,
    parse_overrides,
)
from tests import fake_algorithm

pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")


def make_run(algorithm="ppo", env="CartPole-v1", **changes):
    preset = registry.algorithm(algorithm).preset(env)
    values = dict(
        algorithm=algorithm,
        env=env,
        env_overrides=(("backend", "spring"), ("max_steps_in_episode", 200)),
        seeds=3,
        seed=4,
        total_steps=5 * 2**31,
        config=preset.config,
        hp=preset.hp,
        log_every=2,
        checkpoint_every=6,
    )
    return RunConfig(**(values | changes))


def assert_same(a, b):
    """Equal structure, types, dtypes and bits."""
    assert str(jax.tree.structure(a)) == str(jax.tree.structure(b))
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())


@pytest.mark.parametrize("name", registry.algorithms())
def test_round_trip_of_every_algorithm(name):
    run = make_run(name)
    record = json.loads(json.dumps(run.to_json(), allow_nan=False))
    back = RunConfig.from_json(record)
    assert back.config == run.config and back.env_overrides == run.env_overrides
    assert_same(back.hp, run.hp)
    assert back.to_json() == run.to_json()
    assert back.fingerprint() == run.fingerprint()


def test_round_trip_of_awkward_numbers():
    hp = registry.algorithm("ppo").preset("x").hp
    hp = hp.replace(lr=0.1 + 0.2, horizon=math.inf, gamma=5e-324, value_clip=1e308)
    back = RunConfig.from_json(json.loads(json.dumps(make_run(hp=hp).to_json()))).hp
    assert (back.lr, back.horizon, back.gamma, back.value_clip) == (
        0.1 + 0.2,
        math.inf,
        5e-324,
        1e308,
    )


def test_learnt_weights_travel_bit_for_bit():
    hp = registry.algorithm("lpo").preset("x").hp
    weights = jax.random.normal(jax.random.key(0), hp.objective.hidden.shape)
    hp = hp.replace(objective=hp.objective.replace(hidden=weights.at[0, 0].set(-0.0)))
    back = RunConfig.from_json(json.loads(json.dumps(make_run("lpo", hp=hp).to_json()))).hp
    assert_same(back.objective, hp.objective)


def test_overrides_that_json_does_not_have_come_back():
    overrides = (("a", math.inf), ("area", (33, 47)), ("b", -math.inf), ("word", "spring"))
    run = make_run(env_overrides=overrides)
    back = RunConfig.from_json(json.loads(json.dumps(run.to_json(), allow_nan=False)))
    assert back.env_overrides == overrides and hash(back.env_overrides)
    assert back.fingerprint() == run.fingerprint()
    other = make_run(env_overrides=(("a", math.inf), ("area", (47, 33))))
    assert other.fingerprint() != run.fingerprint()


def test_fingerprint_is_of_what_decides_the_arrays():
    run = make_run()
    replace = dataclasses.replace
    recorded = replace(run, log_every=1, checkpoint_every=5, keep_last=9)
    assert recorded.fingerprint() == run.fingerprint()
    others = [
        replace(run, seed=5),
        replace(run, seeds=2),
        replace(run, total_steps=10**6),
        replace(run, env="Acrobot-v1"),
        replace(run, env_overrides=()),
        replace(run, hp=run.hp.replace(lr=0.1)),
        replace(run, hp=run.hp.replace(objective=run.hp.objective.replace(clip=0.1))),
        replace(run, config=replace(run.config, num_epochs=1)),
        replace(run, algorithm="a2c"),
    ]
    assert len({other.fingerprint() for other in [run, *others]}) == len(others) + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(sede=1), "unknown key 'sede'; did you mean seed"),
        (lambda r: r.pop("seeds"), "lacks the key 'seeds'"),
        (lambda r: r["hp"].pop("lr"), "hp lacks the key 'lr'"),
        (lambda r: r["hp"].update(lrr=1), "hp has the unknown key 'lrr'; did you mean lr"),
        (lambda r: r["hp"].update(lr="fast"), 'hp.lr must be float, got "fast"'),
        (lambda r: r["hp"].update(lr=True), "hp.lr must be float, got true"),
        (lambda r: r["hp"]["objective"].update(eps=1), "hp.objective has the unknown key 'eps'"),
        (lambda r: r["config"].update(num_envs=1.5), "config.num_envs must be int, got 1.5"),
        (lambda r: r["config"]["network"].update(hidden=3), "config.network.hidden must be a list"),
        (
            lambda r: r["config"]["network"].update(hidden=[64, "x"]),
            r"config.network.hidden\[1\] must be int",
        ),
        (lambda r: r["config"].update(network=None), "config.network must be an object"),
        (lambda r: r["config"].update(num_minibatches=7), "does not divide into num_minibatches"),
        (lambda r: r.update(algorithm="pppo"), "unknown algorithm 'pppo'; did you mean ppo"),
        (lambda r: r.update(schema=99), "schema 99 is not 1"),
        (lambda r: r.update(seeds=0), "seeds must be at least 1"),
        (lambda r: r.update(seed=-1), "seeds must be within 0..2147483647"),
        (lambda r: r.update(seed=2**31 - 2), "seeds must be within"),
        (lambda r: r.update(log_every=4), "checkpoint_every must be a multiple of log_every"),
        (lambda r: r.update(env_overrides=[]), "env_overrides must be an object"),
    ],
)
def test_faulty_file_is_one_line_that_names_it(tmp_path, change, message):
    record = make_run().to_json()
    change(record)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b'{"schema": 1', b"\xff\xfe\x00", b"[]", b"null"])
def test_corrupt_file_is_one_line_that_names_it(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_absent_file(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "config.json")


def test_overrides_are_typed_and_sorted():
    words = ["b=true", "a=200", "d=0.5", "c=spring", "e=", "f=1e-3", "g=x=y"]
    words += ["i=33,47", "h=-1, 2,3", "j=33,", "k=a,b", "l=0.5,1"]
    words += ['m="40853293"', 'n="1,2"', 'o="']
    assert parse_overrides(words) == (
        ("a", 200),
        ("b", True),
        ("c", "spring"),
        ("d", 0.5),
        ("e", ""),
        ("f", 1e-3),
        ("g", "x=y"),
        ("h", (-1, 2, 3)),
        ("i", (33, 47)),
        ("j", "33,"),
        ("k", "a,b"),
        ("l", (0.5, 1)),
        ("m", "40853293"),
        ("n", "1,2"),
        ("o", '"'),
    )
    texts = [f"{name}={override_text(value)}" for name, value in parse_overrides(words)]
    assert parse_overrides(texts) == parse_overrides(words)
    assert [type(value) for _, value in parse_overrides(words)[:2]] == [int, bool]


@pytest.mark.parametrize(
    ("words", "message"),
    [(["a"], "key=value, got 'a'"), (["=3"], "key=value"), (["a=1", "a=2"], "a is given twice")],
)
def test_overrides_that_cannot_be_read(words, message):
    with pytest.raises(ConfigError, match=message):
        parse_overrides(words)


class Pair(NamedTuple):
    """A record of the other kind."""

    left: float
    right: Any = None


@dataclasses.dataclass(frozen=True)
class Everything:
    """One field of each kind."""

    choice: Literal["a", "b"] = "a"
    maybe: int | None = None
    fixed: tuple[int, str] = (1, "x")
    pair: Pair = Pair(0.5)
    free: Any = None


@pytest.mark.parametrize(
    "value",
    [
        Everything(),
        Everything("b", 3, (2, "y"), Pair(math.inf, {"a": [1.5]}), {"w": jnp.arange(3.0)}),
    ],
)
def test_kinds_of_fields(value):
    data = json.loads(json.dumps(encode(value), allow_nan=False))
    assert_same(encode(decode(Everything, value, data, "x")), encode(value))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choice": "c"}, "x.choice must be"),
        ({"maybe": "3"}, "x.maybe must be"),
        ({"fixed": [1]}, "x.fixed must have 2 items, got 1"),
        ({"pair": {"left": 1.0}}, "x.pair lacks the key 'right'"),
        ({"free": {"dtype": "float32", "shape": [3], "base64": "AAAA"}}, "x.free is not an array"),
        ({"free": {"dtype": "nope", "shape": [1], "base64": "AAAA"}}, "x.free is not an array"),
    ],
)
def test_kinds_of_faults(change, message):
    with pytest.raises(ConfigError, match=message):
        decode(Everything, Everything(), encode(Everything()) | change, "x")


def test_environment_parameters_are_not_in_the_file():
    run = make_run(fake_algorithm.NAME)
    assert "env" not in run.to_json()["hp"]
    assert RunConfig.from_json(run.to_json()).hp.env is None
    assert configs.SCHEMA == run.to_json()["schema"] == 1
