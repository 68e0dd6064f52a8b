"""The gymnax adapter: unchanged rules, corrected spaces, MNIST without its data."""

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl.adapters.gymnax import GymnaxAdapter
from jaxrl.adapters.promotion import relaxed_promotion
from jaxrl.environment import strong_like
from jaxrl.spaces import contains
from tests.small_mnist import load_small_mnist

ROUNDING = 2.0**-23
CORRECTED = (
    "BernoulliBandit-misc",
    "Catch-bsuite",
    "GaussianBandit-misc",
    "MemoryChain-bsuite",
    "MetaMaze-misc",
    "UmbrellaChain-bsuite",
)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Breakout-MinAtar", "MemoryChain-bsuite"])
def test_an_episode_is_that_of_gymnax(env_id):
    """Number by number against gymnax's own reset_env and step_env on the same keys."""
    env, params = jaxrl.make(env_id)
    with relaxed_promotion():
        raw, raw_params = gymnax.make(env_id)
    key = jax.random.key(3)
    step, raw_step = jax.jit(env.step_env), jax.jit(raw.step_env)
    obs, state = env.reset_env(key, params)
    with relaxed_promotion():
        raw_obs, raw_state = raw.reset_env(key, raw_params)
    np.testing.assert_array_equal(obs, raw_obs)
    for t in range(30):
        action = jnp.int32(t % 2)
        out = step(jax.random.fold_in(key, t), state, action, params)
        with relaxed_promotion():
            raw_out = raw_step(jax.random.fold_in(key, t), raw_state, action, raw_params)
        for x, y in zip(jax.tree.leaves(out[:4]), jax.tree.leaves(raw_out[:4]), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5)
        state, raw_state = out[1], raw_out[1]


def test_the_inner_types_are_kept():
    env, params = jaxrl.make("CartPole-v1")
    raw = env.unwrapped
    assert type(raw) is gymnax.environments.CartPole
    assert type(params) is type(raw.default_params)
    state = env.reset_env(jax.random.key(0), params)[1]
    assert type(state) is type(raw.reset_env(jax.random.key(0), raw.default_params)[1])


def test_gymnax_step_and_reset_work_on_an_adapter():
    """`Environment.step` resets by itself: the observation after a termination is a first one."""
    env, params = jaxrl.make("DeepSea-bsuite", size=3)
    obs, state = env.reset(jax.random.key(0), params)
    for t in range(3):
        obs, state, reward, terminated, truncated, info = env.step(
            jax.random.key(t), state, jnp.int32(0), params
        )
    assert bool(terminated) and bool(truncated)
    assert int(state.time) == 0
    np.testing.assert_array_equal(obs, np.eye(9, dtype=np.float32)[0].reshape(3, 3))
    np.testing.assert_array_equal(info["final_observation"], np.zeros((3, 3)))


def test_termination_wins_over_the_limit_in_a_vec_env():
    env, params = jaxrl.make("DeepSea-bsuite", size=3)
    vec_env = jaxrl.VecEnv(env, 2)
    _, state = vec_env.reset(jax.random.key(0), params)
    step = jax.jit(vec_env.step)
    for t in range(3):
        out = step(jax.random.key(t), state, jnp.zeros(2, jnp.int32), params)
        state = out[1]
    terminated, truncated = out[3], out[4]
    assert terminated.all() and not truncated.any()


def test_strong_like_refuses_to_lose_information():
    with pytest.raises(TypeError, match="float32 cannot become int32 without loss"):
        strong_like({"x": jnp.float32(1.5)}, {"x": jnp.int32(1)})
    with pytest.raises(TypeError, match="int32 cannot become bool without loss"):
        strong_like(2, jnp.asarray(True))
    out = strong_like({"x": 1, "y": True}, {"x": jnp.float32(0), "y": jnp.int32(0)})
    assert {name: (x.dtype, x.weak_type) for name, x in out.items()} == {
        "x": (jnp.float32, False),
        "y": (jnp.int32, False),
    }
    with pytest.raises(ValueError, match="structure"):
        strong_like({"x": 1}, {"y": jnp.int32(1)})


def test_transition_gradients_are_passed_through():
    env, params = jaxrl.make("Pendulum-v1")
    assert env.supports_transition_gradients and not env.transition_gradients_enabled
    state = env.reset_env(jax.random.key(0), params)[1]

    def velocity(env, torque):
        return env.step_env(jax.random.key(0), state, torque[None], params)[0][2]

    differentiable = env.with_transition_gradients()
    assert differentiable.transition_gradients_enabled and not env.transition_gradients_enabled
    # d(velocity)/d(torque) = 3 / (m l^2) * dt = 3 * 0.05
    assert jax.grad(velocity, argnums=1)(differentiable, jnp.float32(0.5)) == pytest.approx(0.15)
    assert jax.grad(velocity, argnums=1)(env, jnp.float32(0.5)) == 0
    with pytest.raises(ValueError, match="does not support transition gradients"):
        jaxrl.make("CartPole-v1")[0].with_transition_gradients()


@pytest.mark.parametrize("env_id", CORRECTED)
def test_each_corrected_space_was_wrong(env_id):
    """The declared space misses an observation that the corrected one contains."""
    env, params = jaxrl.make(env_id)
    with relaxed_promotion():
        declared = env.unwrapped.observation_space(env.unwrapped.default_params)
    space = env.observation_space(params)
    if env_id == "BernoulliBandit-misc":
        params = jaxrl.make(env_id, max_steps_in_episode=150)[1]
        space = env.observation_space(params)
    missed, contained = jax.jit(lambda key: _scan(env, params, declared, space, key))(
        jax.random.key(0)
    )
    assert missed.any(), "the correction is no longer needed"
    assert contained.all()


def test_bounds_of_memory_chain():
    env, params = jaxrl.make("MemoryChain-bsuite", num_bits=3)
    space = env.observation_space(params)
    np.testing.assert_allclose(space.low, [0, 0, -1, -1, -1], atol=ROUNDING)
    np.testing.assert_array_equal(space.high, [1, 2, 1, 1, 1])
    seen = _extremes(env, params, 40)
    np.testing.assert_allclose(seen[0], space.low, atol=2 * ROUNDING)
    np.testing.assert_allclose(seen[1], space.high)


def test_bounds_of_umbrella_chain():
    env, params = jaxrl.make("UmbrellaChain-bsuite", n_distractor=2)
    space = env.observation_space(params)
    np.testing.assert_allclose(space.low, np.zeros(5), atol=ROUNDING)
    np.testing.assert_array_equal(space.high, np.ones(5))
    seen = _extremes(env, params, 40)
    np.testing.assert_allclose(seen[0], space.low, atol=2 * ROUNDING)
    np.testing.assert_allclose(seen[1], space.high)


@pytest.mark.parametrize(("normalize", "time"), [(False, (0, 300)), (True, (-1, 5))])
def test_bounds_of_meta_maze(normalize, time):
    """2 * 300 / 100 - 1 = 5; rewards 4 for the goal and -2 for a wall."""
    env, params = jaxrl.make(
        "MetaMaze-misc",
        reward=4.0,
        punishment=-2.0,
        normalize_time=normalize,
        max_steps_in_episode=300,
    )
    space = env.observation_space(params)
    np.testing.assert_allclose(space.low, [0] * 13 + [-2, time[0]], rtol=1e-6)
    np.testing.assert_allclose(space.high, [1] * 13 + [4, time[1]], rtol=1e-6)
    seen = _extremes(env, params, 300)
    np.testing.assert_allclose(seen[:, -2], [-2, 4])
    np.testing.assert_allclose(seen[:, -1], time, rtol=1e-6)


@pytest.mark.parametrize("env_id", ["GaussianBandit-misc", "BernoulliBandit-misc"])
@pytest.mark.parametrize(("normalize", "time"), [(False, (0, 50)), (True, (-1, 0))])
def test_bounds_of_bandits(env_id, normalize, time):
    """2 * 50 / 100 - 1 = 0."""
    env, params = jaxrl.make(env_id, normalize_time=normalize, max_steps_in_episode=50)
    space = env.observation_space(params)
    np.testing.assert_array_equal(space.low[1:3], [0, 0])
    np.testing.assert_array_equal(space.high[1:3], [1, 1])
    limit = np.finfo(np.float32).max
    reward = (0, 1) if env_id == "BernoulliBandit-misc" else (-limit, limit)
    np.testing.assert_array_equal([space.low[0], space.high[0]], np.array(reward, np.float32))
    np.testing.assert_allclose([space.low[3], space.high[3]], time, atol=4 * ROUNDING)
    seen = _extremes(env, params, 50)
    np.testing.assert_allclose(seen[:, 3], time, atol=4 * ROUNDING)


def test_four_rooms_observes_floats_also_as_an_image():
    for overrides, shape in (({}, (4,)), ({"use_visual_obs": True}, (13, 13, 2))):
        env, params = jaxrl.make("FourRooms-misc", **overrides)
        obs, _ = env.reset_env(jax.random.key(0), params)
        assert (obs.shape, obs.dtype) == (shape, jnp.float32)
        assert contains(env.observation_space(params), obs)


def test_info_has_one_dtype_for_the_discount():
    env, params = jaxrl.make("SpaceInvaders-MinAtar")
    _, state = env.reset_env(jax.random.key(0), params)
    info = jax.eval_shape(env.step_env, jax.random.key(0), state, jnp.int32(0), params)[4]
    assert info["discount"].dtype == jnp.float32


def test_adapters_can_be_made_by_hand():
    with relaxed_promotion():
        env = GymnaxAdapter(gymnax.environments.Catch(rows=4))
    assert env.name == "Catch-bsuite"
    assert env.observation_space(env.default_params).shape == (4, 5)


def test_mnist_without_its_data_says_what_is_missing(monkeypatch, tmp_path):
    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("gymnax.utils.load_mnist.load_mnist", fail)
    with pytest.raises(FileNotFoundError) as error:
        jaxrl.make("MNISTBandit-bsuite")
    message = str(error.value)
    assert "MNISTBandit-bsuite needs the MNIST files train-images-idx3-ubyte.gz" in message
    assert "/tmp/mnist" in message and message.endswith("could not: no network")


def test_mnist_shows_the_image_and_pays_for_its_label(monkeypatch):
    monkeypatch.setattr("gymnax.utils.load_mnist.load_mnist", load_small_mnist)
    env, params = jaxrl.make("MNISTBandit-bsuite")
    space = env.observation_space(params)
    assert (float(space.low), float(space.high)) == pytest.approx((-128 / 255, 127 / 255))
    keys = jax.random.split(jax.random.key(0), 40)
    obs, state = jax.vmap(env.reset_env, in_axes=(0, None))(keys, params)
    assert jax.vmap(lambda x: contains(space, x))(obs).all()
    # Image k is 20 k everywhere, read as int8: 20 k - 256 from k = 7 on.
    pixels = np.arange(0, 200, 20)
    shown = np.where(pixels > 127, pixels - 256, pixels)[state.correct_label] / 255
    np.testing.assert_allclose(obs[:, 0, 0], shown, rtol=1e-6)
    assert (obs[:, 0, 0] < 0).any()

    step = jax.vmap(env.step_env, in_axes=(0, 0, 0, None))
    right = step(keys, state, state.correct_label.astype(jnp.int32), params)
    wrong = step(keys, state, (state.correct_label.astype(jnp.int32) + 1) % 10, params)
    assert (right[2] == 1).all() and (wrong[2] == -1).all()
    assert right[3].all() and (right[0] == 0).all()


def _scan(env, params, declared, space, key):
    """For 200 random steps with resets: is the observation missed by `declared`, in `space`?"""
    vec_env = jaxrl.VecEnv(env, 8)
    key_reset, key_steps = jax.random.split(key)
    _, state = vec_env.reset(key_reset, params)

    def body(state, key):
        sample = jax.vmap(env.action_space(params).sample)
        action = sample(jax.random.split(key, 8))
        _, state, _, _, _, info = vec_env.step(key, state, action, params)
        obs = info["final_observation"]
        return state, tuple(jax.vmap(lambda x, s=s: contains(s, x))(obs) for s in (declared, space))

    _, (in_declared, in_space) = jax.lax.scan(body, state, jax.random.split(key_steps, 200))
    return ~in_declared, in_space


def _extremes(env, params, steps):
    """Smallest and largest observation by component over random episodes: [2, n]."""
    vec_env = jaxrl.VecEnv(env, 64)

    def body(state, key):
        action = jax.vmap(env.action_space(params).sample)(jax.random.split(key, 64))
        obs, state, _, _, _, info = vec_env.step(key, state, action, params)
        both = jnp.concatenate([obs, info["final_observation"]])
        return state, (both.min(axis=0), both.max(axis=0))

    @jax.jit
    def run(key):
        obs, state = vec_env.reset(key, params)
        _, (low, high) = jax.lax.scan(body, state, jax.random.split(key, steps))
        low, high = jnp.minimum(low.min(axis=0), obs.min(axis=0)), high.max(axis=0)
        return jnp.stack([low, jnp.maximum(high, obs.max(axis=0))])

    return np.asarray(run(jax.random.key(0)))
