"""What `jaxrl.environment` promises, checked on every registered environment.

Brax compiles for seconds, so each Brax environment gets one program: its batched rollout. That it
equals a loop over the bare Brax environment is checked in tests/adapters/test_brax.py; running it
without jit takes minutes and is not done. What games promise is checked in
tests/test_game_conformance.py.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import registry
from jaxrl.adapters.brax import BACKENDS, BraxAdapter
from jaxrl.adapters.gymnax import GymnaxAdapter
from jaxrl.adapters.promotion import relaxed_promotion
from jaxrl.environment import Environment
from jaxrl.spaces import contains, dtypes
from tests.registered_games import GAMES
from tests.small_mnist import load_small_mnist
from tests.unoptimised import jit

IDS = tuple(env_id for env_id in registry.environments() if env_id not in GAMES)
BRAX = tuple(env_id for env_id in IDS if env_id.startswith("brax/"))
OTHERS = tuple(env_id for env_id in IDS if env_id not in BRAX)
# What grows with a map, with slots, with a canvas or a list of tasks takes time and is the same:
# Crafter on the smallest map and with few slots, ARCLE on the 25 tasks of at most 5 x 5 cells.
SMALL = {
    env_id: overrides
    for family, overrides in {
        "CrafterOO-": {"area": (9, 9), "capacity": 16, "near": 16},
        "ARCLE-": {"max_size": 5, "canvas": 5},
    }.items()
    for env_id in IDS
    if env_id.startswith(family)
}
CASES = [pytest.param(env_id, SMALL.get(env_id, {}), id=env_id) for env_id in IDS] + [
    pytest.param("brax/inverted_pendulum", {"backend": backend}, id=f"brax/pendulum-{backend}")
    for backend in BACKENDS
    if backend != "generalized"
]
BATCH = 8
EAGER_STEPS = 3
# Crafter has a thousand operations a step, and loops: a step without jit takes many seconds. So one
# of its ids makes one, and of the others, the same worlds shown otherwise, the observations do.
FEW_EAGER_STEPS = 1
SHOWN_OTHERWISE = ("CrafterOO-OO-v1", "CrafterOO-Pixels-v1")
# bsuite's MemoryChain shows what was visible before the step, MNISTBandit zeros after it.
SHOWS_PREVIOUS_STATE = "MemoryChain-bsuite"
SHOWS_ZEROS = "MNISTBandit-bsuite"


@pytest.fixture(autouse=True)
def small_mnist(monkeypatch):
    monkeypatch.setattr("gymnax.utils.load_mnist.load_mnist", load_small_mnist)


def _length(env_id):
    """Steps of a rollout and its time limit; few where a step takes long."""
    if env_id in BRAX:
        return 24, 20
    return (60, 50) if env_id.startswith("CrafterOO-") else (160, 150)


@pytest.mark.parametrize(("env_id", "overrides"), CASES)
def test_rollouts_keep_the_contract(env_id, overrides):
    # The time limit is below the number of steps, so that every episode ends one way or the other.
    steps, limit = _length(env_id)
    env, params = jaxrl.make(env_id, max_steps_in_episode=limit, **overrides)
    traces = []
    rollout = jit(jax.vmap(_rollout(env, steps, traces), in_axes=(0, None)))
    keys = jax.random.split(jax.random.key(1), BATCH)
    out = jax.device_get(rollout(keys, params))

    _check_types(env, params, traces[0])
    _check_spaces(out)
    _check_time(out, limit, env_id in BRAX)

    again = jax.device_get(rollout(keys, params))
    np.testing.assert_array_equal(again["digest"], out["digest"])
    reverse = jax.device_get(rollout(keys[::-1], params))
    np.testing.assert_allclose(reverse["reward"][::-1, :5], out["reward"][:, :5], rtol=1e-4)

    shorter = dataclasses.replace(params, max_steps_in_episode=params.max_steps_in_episode // 10)
    assert jax.device_get(rollout(keys, shorter))["live"].sum(axis=1).max() <= limit // 10
    assert len(traces) == 1, "a new key or a new value of a parameter traced the program again"
    if env_id not in BRAX:
        _check_python_params(env, traces[0])
        _check_eager(env, params, keys[2], jax.tree.map(lambda x: x[2], out))


@pytest.mark.parametrize("env_id", OTHERS)
def test_vec_env_tells_truncation_from_termination(env_id):
    limit = 12
    env, params = jaxrl.make(env_id, max_steps_in_episode=limit, **SMALL.get(env_id, {}))
    vec_env = jaxrl.VecEnv(env, BATCH)
    space, sample = env.observation_space(params), jax.vmap(env.action_space(params).sample)

    @jit
    def run(key):
        key_reset, key_steps = jax.random.split(key)
        obs, state = vec_env.reset(key_reset, params)

        def body(state, key):
            key_action, key_step = jax.random.split(key)
            action = sample(jax.random.split(key_action, BATCH))
            obs, state, _, terminated, truncated, info = vec_env.step(
                key_step, state, action, params
            )
            final_obs = info["final_observation"]
            inside = jax.vmap(lambda x: contains(space, x))
            same = jax.vmap(_all_equal)(obs, final_obs)
            return state, (
                terminated,
                truncated,
                info["episode_length"],
                inside(obs) & inside(final_obs),
                same,
            )

        return jax.lax.scan(body, state, jax.random.split(key_steps, 3 * limit))[1]

    terminated, truncated, length, inside, same = jax.device_get(run(jax.random.key(3)))
    ended = terminated | truncated
    assert inside.all()
    assert not (terminated & truncated).any()
    np.testing.assert_array_equal(truncated, (length == limit) & ~terminated)
    assert (ended.sum(axis=0) >= 3).all()
    np.testing.assert_array_equal(length[1:], np.where(ended[:-1], 1, length[:-1] + 1))
    assert same[~ended].all(), "an episode that goes on shows one observation to act on"


@pytest.mark.parametrize("env_id", IDS)
def test_make_gives_typed_params_and_the_id(env_id):
    env, params = jaxrl.make(env_id)
    assert isinstance(env, Environment)
    assert env.name == env_id
    assert all(isinstance(x, jax.Array) and not x.weak_type for x in jax.tree.leaves(params))
    changed = jaxrl.make(env_id, max_steps_in_episode=3)[1]
    assert changed.max_steps_in_episode == 3
    assert jax.tree.map(jax.typeof, changed) == jax.tree.map(jax.typeof, params)


def _rollout(env, steps, traces):
    """A function (key, params) -> records [steps] of one episode; `live` until it has ended.

    Appends the types of (obs, state) after a reset and of a transition to `traces` when traced.
    """

    def run(key, params):
        space, action_space = env.observation_space(params), env.action_space(params)
        key_reset, key_steps = jax.random.split(key)
        obs, state = env.reset_env(key_reset, params)
        start = (obs, state)
        traces.append({"reset": jax.tree.map(jax.typeof, (obs, state))})
        reset_in_space = contains(space, obs)

        def body(carry, key):
            state, live = carry
            key_action, key_step = jax.random.split(key)
            action = action_space.sample(key_action)
            transition = env.step_env(key_step, state, action, params)
            obs, new_state, reward, terminated, _ = transition
            limit_reached = env.is_truncated(new_state, params)
            traces[-1]["step"] = jax.tree.map(jax.typeof, transition)
            traces[-1]["limit"] = jax.typeof(limit_reached)
            record = {
                "live": live,
                "time": new_state.time,
                "reward": reward,
                "terminated": terminated,
                "limit_reached": limit_reached,
                "obs_in_space": contains(space, obs),
                "action_in_space": contains(action_space, action),
                "obs_of_state": _all_equal(obs, _observe(env, key_step, state, new_state, params)),
                "digest": _digest((obs, reward)),
                "transition": transition,
                "action": action,
            }
            return (new_state, live & ~(terminated | limit_reached)), record

        carry = (state, jnp.asarray(True))
        records = jax.lax.scan(body, carry, jax.random.split(key_steps, steps))[1]
        records = {**records, "start": start, "reset_in_space": reset_in_space}
        for name in ("transition", "action"):
            records[name] = jax.tree.map(lambda x: x[:EAGER_STEPS], records[name])
        if env.name in BRAX:  # not replayed, and a hundred arrays more to compile
            del records["start"], records["transition"]
        return records

    return run


def _check_types(env, params, types):
    """Strong dtypes, the same from reset and step, and those of the observation space."""
    obs, state, reward, terminated, info = types["step"]
    assert (obs, state) == types["reset"]
    assert all(not leaf.weak_type for leaf in jax.tree.leaves(types))
    assert jax.tree.map(lambda x: x.dtype, obs) == dtypes(env.observation_space(params))
    scalars = [(x.shape, x.dtype) for x in (reward, terminated, types["limit"])]
    assert scalars == [((), jnp.float32), ((), jnp.bool_), ((), jnp.bool_)]
    assert isinstance(info, dict)


def _check_python_params(env, types):
    """Parameters that are Python numbers, weakly typed, do not make the results so."""
    raw = env.unwrapped.default_params if hasattr(env, "unwrapped") else env.default_params
    key, sample = jax.random.key(0), env.action_space(env.default_params).sample
    start = jax.eval_shape(env.reset_env, key, raw)
    step = jax.eval_shape(env.step_env, key, start[1], jax.eval_shape(sample, key), raw)
    for actual, expected in ((start, types["reset"]), (step, types["step"])):
        actual = [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(actual)]
        assert actual == [(x.shape, x.dtype, False) for x in jax.tree.leaves(expected)]


def _check_spaces(out):
    live = out["live"]
    assert live.sum() >= BATCH
    assert out["reset_in_space"].all()
    assert out["obs_in_space"][live].all()
    assert out["action_in_space"][live].all()
    assert out["obs_of_state"][live].all(), "an observation is not that of the state it came with"
    assert np.isfinite(out["reward"][live]).all()


def _check_time(out, limit, limit_excludes_termination):
    """`time` counts on to the end, also in the step that ends the episode; the limit is exact."""
    live, terminated = out["live"], out["terminated"]
    elapsed = np.broadcast_to(np.arange(1, live.shape[1] + 1), live.shape)
    np.testing.assert_array_equal(out["time"][live], elapsed[live])
    expected = elapsed >= limit
    if limit_excludes_termination:
        expected &= ~terminated
    np.testing.assert_array_equal(out["limit_reached"][live], expected[live])
    last = live.sum(axis=1) - 1
    rows = np.arange(len(last))
    assert (last < limit).all()
    assert (terminated | out["limit_reached"])[rows, last].all()


def _check_eager(env, params, key, out):
    """One row of a jitted batch equals the same episode stepped alone and without jit."""
    key_reset, key_steps = jax.random.split(key)
    if env.name in SHOWN_OTHERWISE:
        obs, state = _row(out["transition"][:2], 0)
        state = jax.tree.map(jnp.asarray, state)
        key_step = jax.random.split(jax.random.split(key_steps, len(out["live"]))[0])[1]
        with jax.disable_jit():
            _assert_same(env.observe(key_step, state, out["action"][0], params), obs)
        return
    with jax.disable_jit():
        start = env.reset_env(key_reset, params)
        _assert_same(start, out["start"])
        state = start[1]
        steps = FEW_EAGER_STEPS if env.name.startswith("CrafterOO-") else EAGER_STEPS
        for step, key_step in enumerate(jax.random.split(key_steps, len(out["live"]))[:steps]):
            action = jnp.asarray(_row(out["action"], step))
            transition = env.step_env(jax.random.split(key_step)[1], state, action, params)
            _assert_same(transition, _row(out["transition"], step))
            state = transition[1]


def _observe(env, key, state, new_state, params):
    """The observation of `new_state` computed from the state alone."""
    if isinstance(env, BraxAdapter):
        return new_state.brax.obs
    if not isinstance(env, GymnaxAdapter):
        return env.observe(key, new_state, None, params)
    if env.name == SHOWS_ZEROS:
        return jnp.zeros((28, 28), jnp.float32)
    shown = state if env.name == SHOWS_PREVIOUS_STATE else new_state
    with relaxed_promotion():
        obs = env.unwrapped.observe(key, shown, None, params)
    return jax.tree.map(jnp.asarray, obs, dtypes(env.observation_space(params)))


def _all_equal(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return jnp.all(jnp.stack([jnp.all(x == y) for x, y in pairs]))


def _digest(tree):
    """The sum of all bits read as uint32, [leaves]; differs where any leaf differs in one bit."""
    return jnp.stack([jnp.sum(_bits(leaf), dtype=jnp.uint32) for leaf in jax.tree.leaves(tree)])


def _bits(leaf):
    if leaf.dtype == jnp.float32:
        return jax.lax.bitcast_convert_type(leaf, jnp.uint32)
    return leaf.astype(jnp.uint32)


def _row(tree, index):
    return jax.tree.map(lambda x: x[index], tree)


def _assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for x, y in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert (x.shape, x.dtype, x.weak_type) == (y.shape, y.dtype, False)
        if jnp.issubdtype(x.dtype, jnp.floating):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(x, y)
