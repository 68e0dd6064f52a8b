"""The Brax adapter against loops over bare Brax environments, and what it silences."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl.adapters.brax import BraxAdapter, BraxParams
from jaxrl.adapters.brax_boundary import (
    _without_warp_notice,
    boundary,
    load_class,
    mujoco_warnings,
)
from tests.processes import run_python

State = load_class("brax.envs.base:State")
PUSH = jnp.full(1, 0.05, jnp.float32)


@pytest.fixture(scope="module")
def fall():
    """The bare inverted pendulum pushed one way until it falls: observations and dones."""
    with boundary(), mujoco_warnings():
        raw = load_class("brax.envs.inverted_pendulum:InvertedPendulum")()
        state = jax.jit(raw.reset)(jax.random.key(5))
        step, states = jax.jit(raw.step), [state]
        while states[-1].done == 0:
            states.append(step(states[-1], PUSH))
    assert 5 < len(states) < 100
    return states


def test_an_episode_is_that_of_a_loop_over_brax(fall):
    env, params = jaxrl.make("brax/inverted_pendulum")
    step = jax.jit(env.step_env)
    obs, state = jax.jit(env.reset_env)(jax.random.key(5), params)
    np.testing.assert_allclose(obs, fall[0].obs, rtol=1e-6)
    for t, expected in enumerate(fall[1:], start=1):
        obs, state, reward, terminated, info = step(jax.random.key(t), state, PUSH, params)
        np.testing.assert_allclose(obs, expected.obs, rtol=1e-4, atol=1e-6)
        assert float(reward) == 1.0
        assert bool(terminated) is (t == len(fall) - 1)
        assert int(state.time) == t
    assert abs(float(obs[1])) > 0.2, "the observation at the end is that of the fallen pole"
    assert state.brax.info["time_out"] == 1, "Brax calls the fall a time limit"
    assert not env.is_truncated(state, params)


def test_a_vec_env_hands_out_the_terminal_observation_and_the_time_limit(fall):
    env, params = jaxrl.make("brax/inverted_pendulum", max_steps_in_episode=4)
    vec_env = jaxrl.VecEnv(env, 1)
    _, state = vec_env.reset(jax.random.key(0), params)
    start = jax.tree.map(lambda x: x[None], _canonical(fall[0]))
    state = state.replace(env_state=state.env_state.replace(brax=start))
    step = jax.jit(vec_env.step)

    def play(params, state):
        for t in range(1, len(fall)):
            obs, state, _, terminated, truncated, info = step(
                jax.random.key(t), state, PUSH[None], params
            )
            if terminated[0] | truncated[0]:
                break
        return t, bool(terminated[0]), bool(truncated[0]), obs[0], info["final_observation"][0]

    time, terminated, truncated, obs, final = play(params, state)
    assert (time, terminated, truncated) == (4, False, True)
    np.testing.assert_allclose(final, fall[4].obs, rtol=1e-4, atol=1e-6)
    assert (jnp.abs(obs) <= 0.01).all(), "an episode starts within 0.01 of the upright pole"

    unlimited = params.replace(max_steps_in_episode=jnp.int32(1000))
    last = len(fall) - 1
    time, terminated, truncated, obs, final = play(unlimited, state)
    assert (time, terminated, truncated) == (last, True, False)
    np.testing.assert_allclose(final, fall[last].obs, rtol=1e-4, atol=1e-6)
    assert (jnp.abs(obs) <= 0.01).all()

    both = params.replace(max_steps_in_episode=jnp.int32(last))
    assert play(both, state)[:3] == (last, True, False)


class Mock:
    """A Brax environment in all but physics: position += action, done beyond 2.5.

    Like Brax's own, it writes into the state it is given and mixes dtypes.
    """

    backend, action_size = "mock", 2

    def reset(self, key):
        assert isinstance(key, jax.core.Tracer) or self.may_run
        zero = jnp.zeros(())
        return State(None, jnp.zeros(2), zero, zero, {"moved": zero}, {"time_out": zero})

    def step(self, state, action):
        obs = state.obs + action
        done = jnp.where(jnp.abs(obs).max() > 2.5, 1, 0)
        state.metrics.update(moved=1)
        state.info.update(time_out=done)
        return state.replace(obs=obs, reward=1, done=done)

    may_run = True


def test_actions_are_clipped_to_the_box():
    env, params = BraxAdapter(Mock(), "mock"), BraxParams()
    _, state = env.reset_env(jax.random.key(0), params)
    space = env.action_space(params)
    assert (space.low, space.high, space.shape) == (-1.0, 1.0, (2,))
    obs = env.step_env(jax.random.key(0), state, jnp.array([7.0, -0.5]), params)[0]
    np.testing.assert_array_equal(obs, [1.0, -0.5])


def test_a_step_leaves_the_state_it_was_given_alone():
    env, params = BraxAdapter(Mock(), "mock"), BraxParams()
    _, state = env.reset_env(jax.random.key(0), params)
    out = env.step_env(jax.random.key(0), state, jnp.ones(2), params)
    assert state.brax.metrics["moved"] == 0 and state.brax.info["time_out"] == 0
    assert out[1].brax.metrics["moved"] == 1 and out[4] == {"moved": 1.0}
    assert jax.tree.map(jax.typeof, out[1]) == jax.tree.map(jax.typeof, state)


def test_the_time_limit_is_exact_and_yields_to_termination():
    env, params = BraxAdapter(Mock(), "mock"), BraxParams(max_steps_in_episode=3)
    for action, ends in ((0.5, [(0, 0), (0, 0), (0, 1)]), (1.0, [(0, 0), (0, 0), (1, 0)])):
        _, state = env.reset_env(jax.random.key(0), params)
        for t, expected in enumerate(ends, start=1):
            _, state, _, terminated, _ = env.step_env(
                jax.random.key(0), state, jnp.full(2, action), params
            )
            assert int(state.time) == t
            assert (bool(terminated), bool(env.is_truncated(state, params))) == expected


def test_the_observation_space_needs_no_reset():
    raw = Mock()
    raw.may_run = False
    env = BraxAdapter(raw, "mock")
    assert env.observation_space().shape == (2,)


def test_default_params_and_backends():
    env, params = jaxrl.make("brax/inverted_pendulum")
    assert (env.backend, int(params.max_steps_in_episode)) == ("generalized", 1000)
    env, _ = jaxrl.make("brax/inverted_pendulum", backend="spring")
    assert (env.backend, env.unwrapped.backend) == ("spring", "spring")


def test_the_constructor_takes_its_own_keywords_and_those_of_its_base():
    env, _ = jaxrl.make("brax/reacher", n_frames=7)
    assert env.unwrapped._n_frames == 7
    env, _ = jaxrl.make("brax/ant", reset_noise_scale=0.5, backend="mjx")
    assert env.unwrapped._reset_noise_scale == 0.5


@pytest.mark.parametrize(
    ("env_id", "overrides", "message"),
    [
        (
            "brax/ant",
            {"backend": "mujoco"},
            "brax/ant has no backend 'mujoco'; valid: generalized, positional, spring, mjx",
        ),
        ("brax/swimmer", {"backend": "mjx"}, "no backend 'mjx'; valid: generalized$"),
        ("brax/ant", {"backnd": "mjx"}, "no parameter 'backnd'; nearest: backend"),
        ("brax/ant", {"sys": None}, "no parameter 'sys'"),
    ],
)
def test_a_bad_override_is_explained(env_id, overrides, message):
    with pytest.raises(ValueError, match=message):
        jaxrl.make(env_id, **overrides)


def test_making_is_silent_and_writes_nothing(tmp_path):
    """In a process whose warnings are errors; half_cheetah.xml makes MuJoCo write a log file."""
    code = (
        "import jaxrl, jax; env, params = jaxrl.make('brax/halfcheetah');"
        "jax.eval_shape(env.reset_env, jax.random.key(0), params)"
    )
    run = run_python(code, env={"PYTHONWARNINGS": "error"}, cwd=tmp_path)
    assert (run.stdout, run.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_is_silenced(capsys):
    with _without_warp_notice():
        print("Failed to import warp: No module named 'warp'")
        print("something else")
    assert capsys.readouterr().out == "something else\n"

    with boundary(), pytest.warns(UserWarning, match="something else"):
        warnings.warn("something else", UserWarning, stacklevel=1)
    with pytest.warns(UserWarning, match="Brax System"):
        warnings.warn("Brax System, piplines", UserWarning, stacklevel=1)

    import mujoco

    with pytest.warns(RuntimeWarning, match="something else"), mujoco_warnings():
        mujoco.get_mju_user_warning()("something else")
    assert mujoco.get_mju_user_warning() is None


def test_brax_fluid_is_mended():
    """Brax calls clip with a keyword that JAX has dropped; swimmer's forces depend on it."""
    fluid = load_class("brax:fluid")
    np.testing.assert_array_equal(fluid.jp.clip(jnp.array([-1.0, 2.0]), a_min=0.5), [0.5, 2.0])
    with pytest.raises(TypeError):
        jnp.clip(jnp.array([-1.0, 2.0]), a_min=0.5)


def _canonical(state):
    """Brax's state with the dtypes that the adapter gives it."""
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), state)
