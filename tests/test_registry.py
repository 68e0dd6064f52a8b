"""Ids, overrides, errors that name the nearest, and what is imported when."""

import inspect

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import registry
from jaxrl.adapters.brax_boundary import load_class
from jaxrl.envs.probes import Action, Probe
from jaxrl.registry import UnknownIdError, nearest
from tests.processes import run_python


@pytest.fixture
def tables(monkeypatch):
    """Lets a test register things without leaving them behind."""
    monkeypatch.setattr(registry, "_ENVIRONMENTS", dict(registry._ENVIRONMENTS))
    monkeypatch.setattr(registry, "_ALGORITHMS", dict(registry._ALGORITHMS))


def test_every_environment_of_gymnax_and_brax_is_registered():
    ids = set(registry.environments())
    assert set(gymnax.registered_envs) <= ids
    # `fast` is Brax's mock for its own unit tests: it has no physics and no backend.
    assert {f"brax/{name}" for name in load_class("brax.envs:_envs")} - ids == {"brax/fast"}
    probes = [env for env in ids if env.startswith("Probe-")]
    assert len(probes) == len(_leaf_classes(Probe))


def test_registered_classes_are_those_of_gymnax_and_brax():
    brax_classes = load_class("brax.envs:_envs")
    for env_id, entry in registry._ENVIRONMENTS.items():
        if env_id.startswith("brax/"):
            assert registry.load(entry.target) is brax_classes[env_id.removeprefix("brax/")]
        elif entry.adapter == "jaxrl.adapters.gymnax:factory":
            assert registry.load(entry.target) is gymnax.registration._registry[env_id]


def test_listing_names_imports_nothing_heavy():
    code = (
        "import sys; from jaxrl import registry; registry.environments(); registry.algorithms();"
        "print([m for m in ('jax', 'gymnax', 'brax', 'mujoco', 'matplotlib') if m in sys.modules])"
    )
    assert run_python(code).stdout.strip() == "[]"


def test_making_a_gymnax_environment_does_not_import_brax():
    code = (
        "import jaxrl, sys; jaxrl.make('CartPole-v1');"
        "print([m for m in ('brax', 'mujoco') if m in sys.modules])"
    )
    assert run_python(code).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Breakout", "Breakout-MinAtar"),
        ("breakout", "Breakout-MinAtar"),
        ("brekout", "Breakout-MinAtar"),
        ("CartPole", "CartPole-v1"),
        ("CartPole-v0", "CartPole-v1"),
        ("cart pole", "CartPole-v1"),
        ("ant", "brax/ant"),
        ("brax/half_cheetah", "brax/halfcheetah"),
        ("SpaceInvader", "SpaceInvaders-MinAtar"),
        ("MountainCarContinuous", "MountainCarContinuous-v0"),
        ("probe-mask", "Probe-Mask-v1"),
    ],
)
def test_an_unknown_environment_names_the_nearest(name, expected):
    with pytest.raises(UnknownIdError) as error:
        jaxrl.make(name)
    message = str(error.value)
    assert message.startswith(f"unknown environment {name!r}; did you mean {expected}")
    assert "\n" not in message
    assert isinstance(error.value, ValueError)


def test_a_name_like_no_other_points_to_the_list():
    with pytest.raises(UnknownIdError, match=r"see jaxrl\.registry\.environments\(\)"):
        jaxrl.make("zzzzzz")
    with pytest.raises(UnknownIdError, match=r"see jaxrl\.registry\.environments\(\)"):
        jaxrl.make("")


def test_nearest_orders_and_limits():
    names = ["Swimmer-misc", "brax/swimmer", "Reacher-misc", "brax/reacher", "Simmer-v0"]
    assert nearest("SWIMMER", names) == ("Swimmer-misc", "brax/swimmer", "Simmer-v0")
    assert nearest("SWIMMER", names, count=1) == ("Swimmer-misc",)
    assert nearest("qqqq", names) == ()


def test_an_override_replaces_a_field_and_keeps_its_dtype():
    _, params = jaxrl.make("CartPole-v1", gravity=5, max_steps_in_episode=20.0)
    assert (params.gravity, params.gravity.dtype) == (5.0, jnp.float32)
    assert (params.max_steps_in_episode, params.max_steps_in_episode.dtype) == (20, jnp.int32)
    assert float(params.masscart) == 1.0
    _, params = jaxrl.make("FourRooms-misc", resample_goal_pos=True)
    assert (bool(params.resample_goal_pos), params.resample_goal_pos.dtype) == (True, jnp.bool_)
    _, params = jaxrl.make("DiscountingChain-bsuite", reward_timestep=[1, 2, 3, 4, 5])
    np.testing.assert_array_equal(params.reward_timestep, [1, 2, 3, 4, 5])


def test_an_override_may_be_a_batch_to_map_over():
    env, params = jaxrl.make("CartPole-v1", gravity=np.array([1.0, 9.8, 20.0]))
    axes = jax.tree.map(lambda x: 0 if x.ndim else None, params)
    state = env.reset_env(jax.random.key(0), params)[1].replace(theta=jnp.float32(0.1))
    step = jax.vmap(env.step_env, in_axes=(None, None, None, axes))
    theta_dot = step(jax.random.key(0), state, jnp.int32(1), params)[1].theta_dot
    assert theta_dot.shape == (3,)
    assert (jnp.diff(theta_dot) > 0).all(), "more gravity, faster fall"


def test_an_override_of_the_constructor_is_passed_on():
    env, params = jaxrl.make("DeepSea-bsuite", size=5)
    assert env.observation_space(params).shape == (5, 5)
    assert params.max_steps_in_episode == 5
    env, params = jaxrl.make("FrozenLake-misc", map_name="8x8", max_steps_in_episode=7)
    assert env.observation_space(params).n == 64
    assert params.max_steps_in_episode == 7


@pytest.mark.parametrize(
    ("env_id", "overrides", "message"),
    [
        ("CartPole-v1", {"gravty": 1.0}, "has no parameter 'gravty'; nearest: gravity"),
        ("DeepSea-bsuite", {"sise": 3}, "has no parameter 'sise'; nearest: size"),
        ("Probe-Action-v1", {"zzz": 1}, "nearest: max_steps_in_episode, reward_scale"),
        ("CartPole-v1", {"max_steps_in_episode": 1.5}, "is int32, which cannot hold 1.5"),
        ("CartPole-v1", {"gravity": "strong"}, "gravity is float32, which 'strong' is not"),
        ("CartPole-v1", {"gravity": (9, 8)}, r"gravity is float32 \[\], which \(9, 8\) is not"),
        ("CartPole-v1", {"gravity": None}, "gravity is float32, which None is not"),
    ],
)
def test_a_bad_override_is_explained(env_id, overrides, message):
    with pytest.raises(ValueError, match=message) as error:
        jaxrl.make(env_id, **overrides)
    assert "\n" not in str(error.value)


def test_overrides_go_down_into_dictionaries_of_records():
    env, params = jaxrl.make(
        "GatherTradeBuild-v1", **{"rules.PeriodicBracketTax.period": 20, "rules.Build.labor": 3}
    )
    assert (params.rules["PeriodicBracketTax"].period, params.rules["Build"].labor) == (20, 3.0)
    assert params.rules["PeriodicBracketTax"].period.dtype == jnp.int32
    assert params.rules["Build"].labor.dtype == jnp.float32
    unchanged = env.default_params.rules
    assert unchanged["PeriodicBracketTax"].period == 100
    assert set(params.rules) == set(unchanged)
    swept = registry.replaced(params, "rules.Build.labor", np.array([1.0, 2.0]))
    assert swept.rules["Build"].labor.shape == (2,) and params.rules["Build"].labor == 3
    whole = registry.replaced(params, "rules", {**params.rules, "Build": swept.rules["Build"]})
    assert whole.rules["Build"].labor.shape == (2,)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rules.Buld.labor", 1.0, "no parameter 'rules.Buld.labor'; nearest to 'Buld': Build"),
        ("rules.Build.labour", 1.0, "no parameter .*; nearest to 'labour': labor"),
        ("rules.Build.labor.a", 1.0, "no parameter 'rules.Build.labor.a': 'labor' is a value"),
        ("rules.Build", 1.0, r"rules\.Build is a record of rules\.Build\.labor, rules\.Build\.max"),
        ("rules", 1.0, r"rules is a record of rules\.Build, rules\.Contin.*, which 1\.0 is not"),
        ("rules", {}, r"rules is a record of rules\.Build, .*, which {} is not"),
        ("rules.PeriodicBracketTax.period", 1.5, "period is int32, which cannot hold 1.5"),
        ("rules.PeriodicBracketTax.period", 0, r"PeriodicBracketTax\.period must be at least 1"),
    ],
)
def test_a_bad_override_within_dictionaries_is_explained(name, value, message):
    with pytest.raises(ValueError, match=message) as error:
        jaxrl.make("GatherTradeBuild-v1", **{name: value})
    assert "\n" not in str(error.value)


def test_a_record_without_numbers_takes_none():
    with pytest.raises(ValueError, match="Free is a record of nothing, which 1.0 is not"):
        registry.replaced({"Free": ()}, "Free", 1.0)


def test_a_field_of_the_params_comes_before_the_constructor(tables):
    class Both(Action):
        def __init__(self, reward_scale=1.0, size=1):
            self.reward_scale, self.size = reward_scale, size

    registry.register("Both-v0", Both)
    env, params = jaxrl.make("Both-v0", reward_scale=3.0, size=2)
    assert params.reward_scale == 3.0
    assert (env.reward_scale, env.size) == (1.0, 2)


def test_users_register_a_factory_or_a_path(tables):
    registry.register("Mine-v0", Action)
    registry.register("Mine-v1", "jaxrl.envs.probes:Action")
    assert {"Mine-v0", "Mine-v1"} <= set(registry.environments())
    for env_id in ("Mine-v0", "Mine-v1"):
        env, params = jaxrl.make(env_id, reward_scale=2.0)
        assert type(env) is Action
        assert params.reward_scale == 2.0
    with pytest.raises(UnknownIdError, match="Mine-v0"):
        jaxrl.make("mine")


def test_registering_rejects_mistakes(tables):
    with pytest.raises(ValueError, match="'CartPole-v1' is registered already"):
        registry.register("CartPole-v1", Action)
    with pytest.raises(ValueError, match="must not be empty"):
        registry.register("", Action)
    with pytest.raises(ValueError, match="expected 'module:attribute', got 'jaxrl.envs.probes'"):
        registry.register("Mine-v0", "jaxrl.envs.probes")
    with pytest.raises(TypeError, match="callable or 'module:attribute', got 3"):
        registry.register("Mine-v0", 3)
    registry.register("Mine-v0", lambda: {})
    with pytest.raises(TypeError, match="Mine-v0 made a dict, which is not a gymnax Environment"):
        jaxrl.make("Mine-v0")


def test_algorithms_are_found_by_name(tables):
    names = ("ppo", "ppo-kl", "ppo-kl-adaptive", "a2c", "dpo", "lpo", "ta-lpo", "ippo", "mappo")
    assert registry.algorithms() == names
    spec = object()
    registry.register_algorithm("mine", spec)
    registry.register_algorithm("square-root", "math:sqrt")
    assert registry.algorithm("mine") is spec
    assert registry.algorithm("square-root")(9.0) == 3.0
    with pytest.raises(UnknownIdError, match="unknown algorithm 'PPO-KL-adaptve'; did you mean"):
        registry.algorithm("PPO-KL-adaptve")
    with pytest.raises(UnknownIdError, match=r"see jaxrl\.registry\.algorithms\(\)"):
        registry.algorithm("zzzzzz")
    with pytest.raises(ValueError, match="'ppo' is registered already"):
        registry.register_algorithm("ppo", spec)


def _leaf_classes(base):
    public = (cls for cls in _subclasses(base) if cls.__module__.startswith("jaxrl.envs.probes"))
    return {cls for cls in public if not inspect.isabstract(cls) and cls.__name__[0] != "_"}


def _subclasses(base):
    return {base}.union(*(_subclasses(child) for child in base.__subclasses__()))
