"""VecEnv resets exactly what ended."""

import collections

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.algorithm import canonical
from jaxrl.vector import VecEnv
from tests.toy_envs import CostlyReset, CounterParams

N, T, CHUNK = 10, 40, 4


COUNTER: collections.Counter = collections.Counter()
VENV = VecEnv(CostlyReset(on_reset=lambda key: COUNTER.update([bytes(np.asarray(key))])), N, CHUNK)


@jax.jit
def _run(key, params):
    key_reset, key_steps = jax.random.split(key)

    def step(carry, key):
        obs, state = carry
        out = VENV.step(key, state, jnp.zeros(N, jnp.int32), params, lambda x, _: 3.0 * x[:, 0])
        return out[:2], (obs, *out, state.env_state.start)

    keys = jax.random.split(key_steps, T)
    return jax.lax.scan(step, VENV.reset(key_reset, params), keys)[1]


class _Trace:
    """What a run of the counting environment looked like, as NumPy arrays [T, N]."""

    def __init__(self, params: CounterParams):
        COUNTER.clear()
        out = jax.block_until_ready(_run(jax.random.key(7), canonical(params)))
        jax.effects_barrier()
        self.counter = COUNTER.copy()
        out = jax.tree.map(np.asarray, out)
        self.obs, self.next_obs, self.state, self.reward = out[:4]
        self.terminated, self.truncated, self.info, self.start = out[4:]
        self.ended = self.terminated | self.truncated


@pytest.fixture(scope="module")
def trace():
    return _Trace(CounterParams())


@pytest.fixture(scope="module")
def truncated_trace():
    return _Trace(CounterParams(min_length=4, max_length=6, max_steps_in_episode=5))


def test_resets_are_ended_episodes_rounded_up_to_a_chunk(trace):
    chunks = np.ceil(trace.ended.sum(axis=1) / CHUNK).astype(int)
    np.testing.assert_array_equal(trace.info["resets_computed"], CHUNK * chunks)
    # The environment's own count, which VecEnv cannot influence: N at the start, then chunks.
    assert sum(trace.counter.values()) == N + CHUNK * chunks.sum()
    assert 0 in chunks and chunks.max() >= 2


def test_no_two_episodes_share_a_start(trace):
    starts = [trace.start[0, i] for i in range(N)]
    for t, i in np.argwhere(trace.ended[:-1]):
        starts.append(trace.start[t + 1, i])
    assert len(starts) == N + trace.ended[:-1].sum()
    assert len(set(starts)) == len(starts)


def test_a_start_changes_only_where_an_episode_ended(trace):
    changed = trace.start[1:] != trace.start[:-1]
    np.testing.assert_array_equal(changed, trace.ended[:-1])


def test_final_observation_is_the_ended_state_and_next_observation_the_new_one(trace):
    time = trace.obs[..., 0] + 1
    np.testing.assert_array_equal(trace.info["final_observation"][..., 0], time)
    np.testing.assert_array_equal(trace.next_obs[..., 0], np.where(trace.ended, 0, time))
    np.testing.assert_array_equal(trace.next_obs[:-1], trace.obs[1:])


def test_what_is_asked_of_final_observations_is_computed_for_those_only(trace):
    """Three times the time, the observation's first number, where an episode ended."""
    expected = np.where(trace.ended, 3 * (trace.obs[..., 0] + 1), 0)
    np.testing.assert_array_equal(trace.info["on_end"], expected)


def test_returns_and_lengths_against_numpy(trace):
    total, length = np.zeros(N), np.zeros(N, int)
    for t in range(T):
        total, length = total + trace.reward[t], length + 1
        np.testing.assert_array_equal(trace.info["episode_return"][t], total)
        np.testing.assert_array_equal(trace.info["episode_length"][t], length)
        total[trace.ended[t]], length[trace.ended[t]] = 0, 0


def test_truncation_is_apart_from_termination(truncated_trace):
    length = truncated_trace.state.env_state.length
    before = np.roll(length, 1, axis=0)[1:]  # the length of the episode that a step belonged to
    time = truncated_trace.obs[1:, :, 0] + 1
    terminated = time >= before
    truncated = (time >= 5) & ~terminated
    np.testing.assert_array_equal(truncated_trace.terminated[1:], terminated)
    np.testing.assert_array_equal(truncated_trace.truncated[1:], truncated)
    # Episodes of length 5 reach both at once: the task's own end wins.
    assert (terminated & (time == 5)).any() and truncated.any()


def test_same_key_same_run():
    first, second = _Trace(CounterParams()), _Trace(CounterParams())
    np.testing.assert_array_equal(first.start, second.start)
    np.testing.assert_array_equal(first.next_obs, second.next_obs)


def test_cartpole_trajectories_equal_gymnax_stepped_by_hand():
    """Independent reference: gymnax's own step_env, one environment at a time."""
    with jax.numpy_dtype_promotion("standard"):
        env, params = gymnax.make("CartPole-v1")
        venv = VecEnv(env, 3, 1)
        obs, state = venv.reset(jax.random.key(0), params)
        singles = [jax.tree.map(lambda x, i=i: x[i], state.env_state) for i in range(3)]
        step = jax.jit(venv.step)
        for t in range(12):
            action = jnp.asarray([0, 1, t % 2], jnp.int32)
            key = jax.random.key(t)
            obs, state, reward, terminated, truncated, info = step(key, state, action, params)
            for i in range(3):
                expected = env.step_env(key, singles[i], action[i], params)
                np.testing.assert_allclose(info["final_observation"][i], expected[0], atol=1e-6)
                assert bool(terminated[i]) == bool(expected[3]) and not truncated[i]
                singles[i] = jax.tree.map(lambda x, i=i: x[i], state.env_state)
        assert info["episode_length"].max() == 12 or terminated.any()


@pytest.mark.parametrize(("num_envs", "chunk"), [(0, None), (4, 0), (4, 5)])
def test_bad_sizes_are_refused(num_envs, chunk):
    with pytest.raises(ValueError, match="must be"):
        VecEnv(CostlyReset(), num_envs, chunk)
