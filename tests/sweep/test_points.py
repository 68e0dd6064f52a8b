"""What a specification of a sweep becomes: names, types, grids, draws, and errors that help."""

import math

import numpy as np
import pytest

from jaxrl import registry
from jaxrl.config import ConfigError, RunConfig
from jaxrl.options import UsageError
from jaxrl.sweep import names
from jaxrl.sweep.plan import Plan
from jaxrl.sweep.points import Range, expand, parse_grid, parse_random

PRESET = registry.algorithm("ppo").preset("CartPole-v1")
BASE = RunConfig("ppo", "CartPole-v1", (), 2, 0, 10_000, PRESET.config, PRESET.hp, 1, 1)
TABLE = names.kinds(BASE)


def grid(*words):
    return expand(TABLE, parse_grid(words), {})


def draws(word, count=400, **options):
    name = word.partition("=")[0]
    points = expand(TABLE, {}, parse_random([word]), count, **options)
    return np.array([point[name] for point in points])


@pytest.mark.parametrize(
    ("word", "name", "values"),
    [
        ("hp.lr=1e-4,3e-4", "hp.lr", [1e-4, 3e-4]),
        ("hp.gae-lambda=1", "hp.gae_lambda", [1.0]),
        ("hp.objective.clip=0.1, 0.2", "hp.objective.clip", [0.1, 0.2]),
        ("hp.value_clip=inf,0.2", "hp.value_clip", [math.inf, 0.2]),
        ("config.num_envs=8,1e1", "config.num_envs", [8, 10]),
        (
            "config.normalize_reward=true,False",
            "config.normalize_reward",
            [True, False],
        ),
        ("config.network.hidden=64 64,128", "config.network.hidden", [(64, 64), (128,)]),
        ("config.network.activation=tanh,relu", "config.network.activation", ["tanh", "relu"]),
        ("hp.env.gravity=5,9.8", "hp.env.gravity", [5.0, 9.8]),
        ("hp.env.max_steps_in_episode=20", "hp.env.max_steps_in_episode", [20]),
    ],
)
def test_values_are_read_as_the_type_of_their_field(word, name, values):
    points = grid(word)
    assert points == [{name: value} for value in values]
    assert [type(point[name]) for point in points] == [type(value) for value in values]


def test_grids_multiply_and_each_draw_meets_each_grid_point():
    points = expand(
        TABLE, {"hp.lr": [1e-4, 1e-3], "config.num_envs": [4, 8]}, {"hp.gamma": (0.9, 0.99)}, 3
    )
    assert len(points) == 2 * 2 * 3
    assert [(p["hp.lr"], p["config.num_envs"]) for p in points[::3]] == [
        (1e-4, 4),
        (1e-4, 8),
        (1e-3, 4),
        (1e-3, 8),
    ]
    gammas = np.array([p["hp.gamma"] for p in points]).reshape(4, 3)
    assert (gammas == gammas[0]).all() and len(set(gammas[0])) == 3


def test_a_draw_depends_on_seed_name_and_number_only():
    few, more = draws("hp.gamma=0.9:0.99", 3), draws("hp.gamma=0.9:0.99", 5)
    assert list(few) == list(more[:3])
    ranges = {"hp.gae_lambda": "0.9:0.99", "hp.gamma": "0.9:0.99"}
    both = expand(TABLE, {"hp.lr": [1e-3]}, ranges, 3)
    assert [p["hp.gamma"] for p in both] == list(few)
    assert not set(few) & set(draws("hp.gamma=0.9:0.99", 5, sample_seed=1))
    # Two axes of one range are not the same draws.
    assert [p["hp.gae_lambda"] for p in both] != [p["hp.gamma"] for p in both]


def test_draws_have_the_distribution_that_was_asked_for():
    gamma = draws("hp.gamma=0.5:0.9")
    assert gamma.min() >= 0.5 and gamma.max() <= 0.9
    # Standard error of the mean of 400 uniform draws on a unit interval: 0.0144.
    assert abs((gamma.mean() - 0.5) / 0.4 - 0.5) < 0.06
    lr = draws("hp.lr=log:1e-5:1e-1")
    assert lr.min() >= 1e-5 and lr.max() <= 1e-1
    assert abs(np.log10(lr).mean() + 3) / 4 < 0.06
    counts = np.bincount(draws("config.num_epochs=2:4").astype(int), minlength=5)
    assert counts[:2].sum() == 0 and (abs(counts[2:] / 400 - 1 / 3) < 0.1).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hp.lrr=1"], r"no setting 'hp\.lrr' to sweep; did you mean hp\.lr\?"),
        (["lr=1"], r"did you mean hp\.lr\?"),
        (["hp.env.gravty=1"], r"did you mean hp\.env\.gravity"),
        (["hp.lr"], "NAME=VALUE,VALUE"),
        (["hp.lr=1,,2"], "empty value"),
        (["hp.lr=1", "hp.lr=2"], "given twice"),
        (["hp.lr=1,1.0"], "has a value twice"),
        (["hp.lr=fast"], "hp.lr is float, which 'fast' is not"),
        (["config.num_envs=1.5"], "config.num_envs is int"),
        (["config.normalize_reward=maybe"], "config.normalize_reward is bool"),
        ([], "nothing to sweep"),
    ],
)
def test_a_bad_grid_is_one_line_that_helps(words, message):
    with pytest.raises(UsageError, match=message):
        grid(*words)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hp.lr=1", "LOW:HIGH"),
        ("hp.lr=lin:1:2", "LOW:HIGH"),
        ("hp.lr=2:1", "empty or not finite"),
        ("hp.lr=0:inf", "empty or not finite"),
        ("hp.lr=log:0:1", "must be positive"),
        ("config.normalize_reward=0:1", "not a number"),
    ],
)
def test_a_bad_range_is_one_line(word, message):
    with pytest.raises(UsageError, match=message):
        expand(TABLE, {}, parse_random([word]))


def test_python_values_are_checked_like_words():
    points = expand(TABLE, {"hp.lr": np.array([1e-3])}, {"hp.gamma": Range(0.1, 0.9, log=True)}, 1)
    assert type(points[0]["hp.lr"]) is float and 0.1 <= points[0]["hp.gamma"] <= 0.9
    for bad, error in (
        ({"config.num_envs": [4.5]}, ConfigError),
        ({"hp.lr": 1e-3}, UsageError),
        ({"hp.lr": []}, UsageError),
    ):
        with pytest.raises(error):
            expand(TABLE, bad, {})
    for samples, random in ((0, {"hp.lr": (0, 1)}), (3, {})):
        with pytest.raises(UsageError, match="samples"):
            expand(TABLE, {"hp.gamma": [0.9]}, random, samples)
    with pytest.raises(UsageError, match="both in the grid and random"):
        expand(TABLE, {"hp.lr": [1e-3]}, {"hp.lr": (0, 1)})


def test_values_go_where_they_belong():
    values = {
        "hp.lr": 5e-4,
        "hp.objective.clip": 0.3,
        "config.network.hidden": (8,),
        "hp.env.gravity": 5.0,
    }
    run = names.assign(BASE, values)
    assert (run.hp.lr, run.hp.objective.clip, run.config.network.hidden) == (5e-4, 0.3, (8,))
    assert run.env_overrides == (("gravity", 5.0),)
    assert (run.hp.gamma, run.config.num_envs) == (BASE.hp.gamma, BASE.config.num_envs)
    assert BASE.hp.objective.clip != 0.3
    assert names.changes(run, PRESET) == {k: v for k, v in values.items() if "env" not in k}


def test_a_plan_goes_to_json_and_back_and_its_fingerprint_knows_what_matters():
    points = tuple(expand(TABLE, {"config.network.hidden": [(8,), (4, 4)]}, {"hp.lr": (0, 1)}, 2))
    plan = Plan(BASE, points, 8, False)
    assert Plan.from_json(plan.to_json()) == plan
    others = [
        plan.__class__(BASE, points[:-1], 8, False),
        plan.__class__(BASE, points, 9, False),
        plan.__class__(BASE, points, 8, True),
        plan.__class__(names.assign(BASE, {"hp.gamma": 0.5}), points, 8, False),
    ]
    assert len({other.fingerprint() for other in [plan, *others]}) == 5


def test_a_bad_point_is_named_before_anything_is_compiled():
    plan = Plan(BASE, ({"hp.lr": 1e-3}, {"hp.lr": -1.0}), 1, False)
    with pytest.raises(ConfigError, match=r"point 1 \(hp\.lr=-1\): hp\.lr must be >= 0"):
        plan.set_up(1)
    plan = Plan(BASE, ({"config.num_envs": 0},), 1, False)
    with pytest.raises(ConfigError, match="point 0 .*num_envs must be at least 1"):
        plan.set_up(0)
