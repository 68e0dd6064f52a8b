"""gymnasium's interface over jaxrl's environments, by gymnasium's own checks and wrappers."""

import sys
import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import jaxrl
from jaxrl.adapters import to_gymnasium, to_gymnasium_vector
from jaxrl.adapters.gymnasium_spaces import to_gymnasium_space, to_jax, to_numpy
from jaxrl.adapters.gymnasium_vector import GymnasiumVectorEnv
from jaxrl.registry import Entry
from jaxrl.rendering import frames
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from tests.toy_envs import CostlyReset, CounterParams

# One of each kind of space: Discrete and Box actions, Dict observations, MultiDiscrete actions.
CHECKED = (
    "CartPole-v1",
    "Probe-Pytree-v1",
    "Probe-MultiDiscreteMask-v1",
    "MountainCarContinuous-v0",
)
N = 4


@pytest.mark.parametrize("env_id", CHECKED)
def test_gymnasium_checker_has_nothing_to_say(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(to_gymnasium(env_id))


def test_checker_can_complain():
    """Pendulum's actions are -2..2, of which the checker warns: it does look."""
    with pytest.warns(UserWarning, match="recommend using a symmetric and normalized space"):
        check_env(to_gymnasium("Pendulum-v1"), skip_render_check=True)


def test_single_environment_follows_the_keys():
    env = to_gymnasium("CartPole-v1", max_steps_in_episode=5)
    plain, params = jaxrl.make("CartPole-v1", max_steps_in_episode=5)
    key_reset, key_steps = jax.random.split(jax.random.key(7))
    expected, state = plain.reset_env(key_reset, params)
    obs, info = env.reset(seed=7)
    np.testing.assert_array_equal(obs, expected)
    assert info == {}
    for t in range(5):
        key = jax.random.fold_in(key_steps, t)
        expected, state, reward, *_ = plain.step_env(key, state, jnp.int32(t % 2), params)
        obs, found, terminated, truncated, info = env.step(np.int64(t % 2))
        np.testing.assert_allclose(obs, expected, rtol=1e-5, atol=1e-6)
        assert (found, terminated, truncated) == (float(reward), False, t == 4)
        assert [type(x) for x in (found, terminated, truncated)] == [float, bool, bool]
        assert info["discount"] == 1.0
    other, _ = env.reset()
    another, _ = env.reset()
    assert not np.array_equal(other, another)


def test_made_again_from_its_spec():
    env = to_gymnasium("CartPole-v1", max_steps_in_episode=2, render_mode="rgb_array")
    again = gymnasium.make(env.spec, render_mode="rgb_array")
    again.reset(seed=0)
    assert not again.step(0)[3] and again.step(0)[3]
    assert again.render().shape == (326, 480, 3) and again.render().dtype == np.uint8


def test_single_environment_says_what_is_wrong():
    with pytest.raises(ValueError, match="render_mode must be 'rgb_array' or None, got 'human'"):
        to_gymnasium("CartPole-v1", render_mode="human")
    with pytest.raises(ValueError, match="did you mean CartPole-v1"):
        to_gymnasium("CartPol")
    env = to_gymnasium("CartPole-v1", render_mode="rgb_array")
    for early in (lambda: env.step(0), env.render):
        with pytest.raises(gymnasium.error.ResetNeeded):
            early()


def test_spaces_have_the_same_elements():
    box = Box(np.array([-1.0, 0.0]), np.array([1.0, 2.0]), (2,), jnp.float32)
    space = Dict(
        {
            "grid": Box(0, 255, (2, 2), jnp.uint8),
            "mask": Box(False, True, (3,), jnp.bool_),
            "pair": Tuple([Discrete(3), MultiDiscrete((2, 5))]),
            "pose": box,
        }
    )
    converted = to_gymnasium_space(space)
    np.testing.assert_array_equal(converted["pose"].low, [-1, 0])
    np.testing.assert_array_equal(converted["pose"].high, [1, 2])
    assert converted["grid"].dtype == np.uint8 and converted["mask"].dtype == np.bool_
    assert converted["pair"][0].n == 3 and converted["pair"][1].nvec.tolist() == [2, 5]
    assert {leaf.dtype for leaf in converted["pair"]} == {np.dtype(np.int32)}
    for i in range(5):
        ours = to_numpy(_sample(space, i))
        assert converted.contains(ours)
        theirs = to_jax(space, converted.sample())
        assert bool(jaxrl.spaces.contains(space, theirs))
    with pytest.raises(TypeError, match="object is not a space"):
        to_gymnasium_space(object())


def _sample(space, seed):
    """gymnax's own `Dict.sample` gives other types."""
    key = jax.random.key(seed)
    if isinstance(space, Dict):
        return {name: _sample(child, seed) for name, child in space.spaces.items()}
    if isinstance(space, Tuple):
        return tuple(_sample(child, seed) for child in space.spaces)
    if np.dtype(space.dtype) == np.bool_:
        return jax.random.bernoulli(key, 0.5, space.shape)
    if isinstance(space, Box) and np.dtype(space.dtype) == np.uint8:
        return jax.random.randint(key, space.shape, 0, 255, jnp.int32).astype(jnp.uint8)
    return space.sample(key)


@pytest.fixture(scope="module")
def counters():
    """Episodes of 2 to 5 steps under a limit of 4: both endings occur, at different times."""
    params = jax.tree.map(jnp.int32, CounterParams(2, 5, 4))
    return GymnasiumVectorEnv(CostlyReset(cost=2), params, N)


def test_rollout_is_that_of_vec_env_with_the_same_keys(counters):
    """A loop as of Stable-Baselines: what it reads, final observations too, bit for bit."""
    venv, params = counters._venv, counters._params
    key_reset, key_steps = jax.random.split(jax.random.key(11))
    expected, state = venv.reset(key_reset, params)
    obs, infos = counters.reset(seed=11)
    assert infos == {} and counters.observation_space.contains(obs)
    np.testing.assert_array_equal(obs, expected)
    step, finals = jax.jit(venv.step), 0
    counters.action_space.seed(0)
    for t in range(20):
        actions = counters.action_space.sample()
        obs, rewards, terminations, truncations, infos = counters.step(actions)
        key = jax.random.fold_in(key_steps, t)
        expected, state, *rest, info = step(key, state, jnp.asarray(actions, jnp.int32), params)
        for found, wanted in zip(
            (obs, rewards, terminations, truncations), (expected, *rest), strict=True
        ):
            assert isinstance(found, np.ndarray) and found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted)
        ended = terminations | truncations
        assert ("final_obs" in infos) == ended.any() == ("final_info" in infos)
        for i in range(N):
            if ended[i]:
                np.testing.assert_array_equal(
                    infos["final_obs"][i], np.asarray(info["final_observation"])[i]
                )
                assert infos["_final_obs"][i] and infos["final_obs"][i][0] == rewards[i]
                assert obs[i][0] == 0
                finals += 1
            elif ended.any():
                assert infos["final_obs"][i] is None and not infos["_final_info"][i]
    assert finals > 10
    obs[:] = -1  # the caller's own
    assert counters.step(actions)[0].min() >= 0


def test_both_endings_were_seen(counters):
    counters.reset(seed=11)
    ended = [counters.step(np.zeros(N, int))[2:4] for _ in range(20)]
    terminations, truncations = np.array(ended).transpose(1, 0, 2)
    assert terminations.any() and truncations.any() and not (terminations & truncations).any()


def shape_of(infos):
    """Structure of infos: names, masks, dtypes and shapes, without values."""
    if isinstance(infos, dict):
        return {name: shape_of(value) for name, value in sorted(infos.items())}
    if infos.dtype == object:
        return [None if x is None else np.shape(x) for x in infos]
    return infos.shape, infos.dtype.kind, infos.tolist() if infos.dtype == bool else None


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_infos_have_the_form_of_gymnasiums_own_vector_environment(mode):
    """gymnasium's SyncVectorEnv, over the single adapter, in the same mode, as the reference."""
    options = {"max_steps_in_episode": 3}
    ours = to_gymnasium_vector("CartPole-v1", N, autoreset_mode=mode, **options)
    theirs = SyncVectorEnv(
        [lambda: to_gymnasium("CartPole-v1", **options)] * N,
        autoreset_mode=mode,
    )
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    pairs = [(ours.reset(seed=0), theirs.reset(seed=0))]
    for _ in range(5):
        pairs.append(tuple(env.step(np.zeros(N, np.int32)) for env in (ours, theirs)))
    for mine, reference in pairs:
        assert shape_of(mine[-1]) == shape_of(reference[-1])
        for x, y in zip(mine[:-1], reference[:-1], strict=True):
            assert (x.shape, x.dtype.kind) == (y.shape, y.dtype.kind)
    same_step = mode == AutoresetMode.SAME_STEP
    assert ("final_info" in pairs[3][0][-1]) == same_step  # all at once: nothing else is left
    rewards = [mine[1].tolist() for mine, _ in pairs[1:]]
    assert rewards == [reference[1].tolist() for _, reference in pairs[1:]]
    assert rewards[3] == [float(same_step)] * N


def test_masks_where_only_some_ended(counters):
    env = to_gymnasium_vector("CartPole-v1", 64)
    env.reset(seed=0)
    for _ in range(12):
        *_, terminations, truncations, infos = env.step(np.zeros(64, np.int32))
        ended = terminations | truncations
        if ended.any() and not ended.all():
            break
    np.testing.assert_array_equal(infos["_discount"], ~ended)
    np.testing.assert_array_equal(infos["discount"], (~ended).astype(np.float32))
    np.testing.assert_array_equal(infos["final_info"]["_discount"], ended)
    np.testing.assert_array_equal(infos["_final_info"], ended)


@pytest.fixture(scope="module")
def waiting(counters):
    """The same, resetting in the next step."""
    return GymnasiumVectorEnv(counters._venv.env, counters._params, N, autoreset_mode="NextStep")


def test_next_step_mode_shows_the_same_episodes_later(counters, waiting):
    """Environment 0 alone decides when the two differ: its episodes, cut out, are the same."""
    episodes = []
    for env in (counters, waiting):
        obs, _ = env.reset(seed=11)
        rows, ended_before = [[obs[0].tolist()]], False
        for _ in range(14):
            obs, rewards, terminations, truncations, infos = env.step(np.zeros(N, np.int32))
            ended = bool(terminations[0] | truncations[0])
            if env is counters:
                rows[-1].append((infos["final_obs"][0] if ended else obs[0]).tolist())
                if ended:
                    rows.append([obs[0].tolist()])
            elif ended_before:
                assert rewards[0] == 0 and not ended and obs[0][0] == 0
                rows.append([obs[0].tolist()])
            else:
                assert rewards[0] == obs[0][0] > 0
                rows[-1].append(obs[0].tolist())
            ended_before = ended
        episodes.append([[time for time, _ in row] for row in rows])
        assert all(len({start for _, start in row}) == 1 for row in rows)
    assert episodes[0][0] == episodes[1][0] and len(episodes[1]) >= 3
    assert all(row == list(range(len(row))) for row in episodes[1])


def test_wrappers_of_gymnasium_work(waiting):
    wrappers = gymnasium.wrappers.vector
    env = wrappers.NormalizeObservation(wrappers.RecordEpisodeStatistics(waiting))
    obs, _ = env.reset(seed=11)
    total, lengths, returns = np.zeros(N), [], []
    for _ in range(20):
        obs, rewards, terminations, truncations, infos = env.step(np.zeros(N, np.int32))
        total += rewards
        for i in np.flatnonzero(terminations | truncations):
            returns.append((infos["episode"]["r"][i], total[i]))
            lengths.append(infos["episode"]["l"][i])
            total[i] = 0
    found, expected = np.array(returns).T
    np.testing.assert_allclose(found, expected)
    assert set(lengths) == {2, 3, 4} and abs(obs).max() < 10


def test_some_begin_anew_and_the_others_go_on(counters):
    counters.reset(seed=11)
    before = counters.step(np.zeros(N, np.int32))[0]
    mask = np.array([True, False, True, False])
    obs, infos = counters.reset(options={"reset_mask": mask})
    assert infos == {}
    np.testing.assert_array_equal(obs[~mask], before[~mask])
    assert (obs[mask, 0] == 0).all() and (obs[mask, 1] != before[mask, 1]).all()
    np.testing.assert_array_equal(counters.step(np.zeros(N, np.int32))[1], np.where(mask, 1, 2))
    for wrong in (np.ones(3, bool), np.zeros(N, bool), np.ones(N, int)):
        with pytest.raises(ValueError, match=r"reset_mask must be bool \[4\]"):
            counters.reset(options={"reset_mask": wrong})


def test_reset_by_hand_leaves_nothing_waiting(waiting):
    waiting.reset(seed=11)
    ended = np.zeros(N, bool)
    while not ended.any():
        *_, terminations, truncations, _ = waiting.step(np.zeros(N, np.int32))
        ended = terminations | truncations
    waiting.reset(options={"reset_mask": ended})
    rewards = waiting.step(np.zeros(N, np.int32))[1]
    np.testing.assert_array_equal(rewards[ended], 1)


def test_seeds(counters):
    first, again = counters.reset(seed=3)[0], counters.reset(seed=3)[0]
    np.testing.assert_array_equal(first, again)
    assert len({row[1] for row in first}) == N
    unseeded = [counters.reset()[0][:, 1].tolist() for _ in range(2)]
    counters.reset(seed=3)
    assert [counters.reset()[0][:, 1].tolist() for _ in range(2)] == unseeded
    assert unseeded[0] != unseeded[1]
    with pytest.raises(ValueError, match="seed must be one int"):
        counters.reset(seed=[1, 2, 3, 4])
    with pytest.raises(ValueError, match="always reset"):
        to_gymnasium_vector("CartPole-v1", 2, autoreset_mode="Disabled")


def test_vector_environment_renders_and_closes():
    env = to_gymnasium_vector("CartPole-v1", 2, render_mode="rgb_array")
    for early in (env.render, lambda: env.step(np.zeros(2, int))):
        with pytest.raises(gymnasium.error.ResetNeeded):
            early()
    env.reset(seed=0)
    env.step(np.array([0, 1]))
    first, second = env.render()
    assert first.shape == (326, 480, 3) and (first != second).any()
    with pytest.raises(ValueError, match=r"need 2 actions, got shape \[3\]"):
        env.step(np.zeros(3, int))
    env.close()
    assert env.closed and env._state is None
    env.close()
    with pytest.raises(ValueError, match="needs a file that ends in .html"):
        to_gymnasium_vector("brax/inverted_pendulum", 2, render_mode="rgb_array")
    silent = to_gymnasium_vector("CartPole-v1", 2)
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert silent.render() is None


def test_renderer_of_an_id_that_is_not_the_name(monkeypatch):
    monkeypatch.setitem(jaxrl.registry._ENVIRONMENTS, "Mine-v3", Entry(CostlyReset))
    monkeypatch.setattr(frames, "_registered", [])
    frames.register_renderer("Mine-*", lambda _: np.full((320, 320, 3), 9, np.uint8), fps=7)
    assert CostlyReset().name != "Mine-v3"
    vector = to_gymnasium_vector("Mine-v3", 2, render_mode="rgb_array")
    alone = to_gymnasium("Mine-v3", render_mode="rgb_array")
    for env in (vector, alone):
        env.reset(seed=0)
        assert env.metadata["render_fps"] == 7
    for frame in (*vector.render(), alone.render()):
        assert (frame[:320] == 9).all()


def test_without_gymnasium_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(jaxrl.adapters.__dict__, "to_gymnasium")
    with pytest.raises(ImportError, match=r"pip install 'jaxrl\[gymnasium\]'"):
        jaxrl.adapters.to_gymnasium  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'to_gym'"):
        jaxrl.adapters.to_gym  # noqa: B018


def test_games_are_for_other_adapters():
    for make in (to_gymnasium, lambda env_id: to_gymnasium_vector(env_id, 2)):
        with pytest.raises(ValueError, match=r"OneStepEconomy-v1 is a game .* to_pettingzoo"):
            make("OneStepEconomy-v1")
