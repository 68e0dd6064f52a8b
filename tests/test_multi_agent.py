"""Games in the core: stacked spaces, rewards by role, and episodes that take over from the last."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import episodes
from jaxrl.evaluation import evaluate, random_act
from jaxrl.multi_agent import stacked
from jaxrl.roles import is_game, leading_role, members
from jaxrl.spaces import (
    Box,
    Dict,
    Discrete,
    MultiDiscrete,
    Repeated,
    Space,
    contains,
    describe,
    dtypes,
)
from jaxrl.vector import VecEnv
from tests.toy_games import Pricing, Tally, TallyGame, TallyParams

N, T = 3, 30
PARAMS = TallyParams()
# Lengths of the episodes of each environment: 2, 3, 4, and 5 from then on, by the time limit.
LENGTHS = [2, 3, 4, 5, 5, 5, 5]


def _actions(env):
    return jax.tree.map(
        lambda x: jnp.zeros((N, *x.shape), x.dtype),
        jax.eval_shape(env.action_space(PARAMS).sample, jax.random.key(0)),
    )


def _run(env, reset_chunk=2):
    venv = VecEnv(env, N, reset_chunk)
    action = _actions(env)

    def step(carry, key):
        obs, state = carry
        out = venv.step(key, state, action, PARAMS)
        return out[:2], (obs, *out)

    start = venv.reset(jax.random.key(0), PARAMS)
    # Episodes out of step with each other, so that not all end at once.
    late = jnp.arange(N, dtype=jnp.int32)
    state = start[1].replace(env_state=start[1].env_state.replace(length=2 + late))
    keys = jax.random.split(jax.random.key(1), T)
    run = jax.jit(lambda obs, state: jax.lax.scan(step, (obs, state), keys)[1])
    return jax.tree.map(np.asarray, run(start[0], state))


def _expected(late):
    """Of one environment: time after a step, episodes before it, whether it ends one; [T] each."""
    rows = []
    for ended, length in enumerate([2 + late, 3, 4, 5, 5, 5, 5, 5]):
        rows += [(t + 1, ended, t + 1 == length) for t in range(length)]
    return np.array(rows[:T]).T


@pytest.mark.parametrize("reset_chunk", [1, 2, N])
def test_counters_are_carried_over_episodes_of_one_agent(reset_chunk):
    obs, _, state, reward, terminated, truncated, info = _run(Tally(), reset_chunk)
    for late in range(N):
        time, ended, cut = _expected(late)
        np.testing.assert_array_equal(info["final_observation"][:, late, 0], time)
        np.testing.assert_array_equal(info["final_observation"][:, late, 1], ended)
        np.testing.assert_array_equal((terminated | truncated)[:, late], cut)
        # What is shown after an end belongs to the next episode; nothing else was touched.
        np.testing.assert_array_equal(state.env_state.ended[:, late], ended + cut)
        np.testing.assert_array_equal(obs[1:, late, 0], np.where(cut, 0, time)[:-1])
        np.testing.assert_array_equal(info["episode_return"][:, late], time)
        np.testing.assert_array_equal(state.episode_return[:, late], np.where(cut, 0, time))
    assert truncated.any() and terminated.any()
    assert reward.dtype == np.float32


def test_a_game_is_paid_by_role_and_carries_counters():
    _, _, state, reward, terminated, truncated, info = _run(TallyGame())
    assert reward["workers"].shape == (T, N, 2) and reward["clerk"].shape == (T, N)
    for late in range(N):
        time, ended, cut = _expected(late)
        np.testing.assert_array_equal(state.env_state.ended[:, late], ended + cut)
        np.testing.assert_array_equal((terminated | truncated)[:, late], cut)
        returns = info["episode_return"]
        np.testing.assert_array_equal(returns["workers"][:, late], time[:, None] * [1, 2])
        np.testing.assert_array_equal(returns["clerk"][:, late], time * (time + 1) / 2)
        for role, totals in state.episode_return.items():
            rows = returns[role][:, late]
            kept = np.where(cut.reshape((-1, *(1,) * (rows.ndim - 1))), 0, rows)
            np.testing.assert_array_equal(totals[:, late], kept)
            assert totals.dtype == np.float32


def test_resets_are_computed_only_for_what_ended():
    *_, terminated, truncated, info = _run(TallyGame(), reset_chunk=1)
    np.testing.assert_array_equal(info["resets_computed"], (terminated | truncated).sum(axis=1))


def test_evaluation_reports_the_first_role_and_every_role():
    env = TallyGame()
    played = evaluate(env, PARAMS, random_act(env, PARAMS), (), jax.random.key(0), 4)
    # Two steps: workers earn 2 and 4, the clerk 1 + 2.
    np.testing.assert_array_equal(played.returns, [3.0] * 4)
    np.testing.assert_array_equal(played.metrics["workers/return"], [3.0] * 4)
    np.testing.assert_array_equal(played.metrics["clerk/return"], [3.0] * 4)
    assert (played.lengths == 2).all()


def test_returns_by_role():
    returns = {"workers": jnp.asarray([[1.0, 5.0]]), "clerk": jnp.asarray([7.0])}
    one, by_role = episodes.by_role(TallyGame(), returns)
    assert one.tolist() == [3.0]
    assert {name: x.tolist() for name, x in by_role.items()} == {
        "workers/return": [3.0],
        "clerk/return": [7.0],
    }
    alone = jnp.asarray([2.0])
    assert episodes.by_role(Tally(), alone) == (alone, {})


def test_games_are_told_from_environments_of_one():
    assert is_game(TallyGame()) and is_game(Pricing())
    assert not is_game(Tally()) and not is_game(jaxrl.make("CartPole-v1")[0])
    assert leading_role(TallyGame()) == "workers"
    assert members(()) == 1 and members((4,)) == 4


def test_spaces_of_everybody_follow_from_those_of_a_member():
    env = TallyGame()
    actions = env.action_space(PARAMS)
    assert describe(actions) == "Dict(workers: MultiDiscrete((2, 2)), clerk: MultiDiscrete((2, 3)))"
    assert env.observation_space(PARAMS).spaces["workers"].spaces["seen"].shape == (2, 2)
    assert stacked(Discrete(3), ()).n == 3


def test_stacked_boxes_keep_their_bounds():
    box = stacked(Box(np.array([0.0, -1.0]), np.array([1.0, 2.0]), (2,), jnp.float32), (3,))
    assert box.shape == (3, 2)
    np.testing.assert_array_equal(box.high, [[1.0, 2.0]] * 3)
    assert contains(box, jnp.asarray([[1.0, 2.0]] * 3))
    assert not contains(box, jnp.asarray([[2.0, 1.0]] * 3))


def test_stacked_choices_of_choices():
    space = stacked(MultiDiscrete((2, 5)), (3,))
    assert isinstance(space, Repeated)
    assert describe(space) == "3 x MultiDiscrete((2, 5))"
    assert space.shape == (3, 2) and dtypes(space) == jnp.int32
    samples = np.asarray(jax.vmap(space.sample)(jax.random.split(jax.random.key(0), 400)))
    assert samples.shape == (400, 3, 2) and samples.dtype == np.int32
    for member in range(3):
        assert set(samples[:, member, 0]) == {0, 1}
        assert set(samples[:, member, 1]) == {0, 1, 2, 3, 4}, "the largest choice too"
    # Members are drawn apart: all equal in every draw would have probability 0.01^400.
    assert (samples[:, 0] != samples[:, 1]).any() and (samples[:, 1] != samples[:, 2]).any()
    inside = jax.vmap(lambda x: contains(space, x))(jnp.asarray(samples))
    assert inside.all()
    good = jnp.zeros((3, 2), jnp.int32)
    assert contains(space, good) and contains(space, good.at[2, 1].set(4))
    assert not contains(space, good.at[2, 0].set(4)), "each choice has its own bound"
    assert not contains(space, good.at[0, 0].set(-1))
    assert not contains(space, good[:2]) and not contains(space, good.astype(jnp.float32))


def test_what_cannot_be_stacked():
    class Ball(Space):
        shape, dtype = (2,), jnp.float32

    with pytest.raises(ValueError, match="a space of Ball cannot be stacked"):
        stacked(Dict({"ball": Ball()}), (2,))
    with pytest.raises(ValueError, match="counts must be positive"):
        Repeated(Discrete(2), ())


@pytest.mark.parametrize("name", ["ppo", "a2c", "lpo"])
def test_algorithms_for_one_agent_refuse_a_game(name):
    spec = jaxrl.registry.algorithm(name)
    env, params = jaxrl.make("OneStepEconomy-v1")
    message = rf"OneStepEconomy-v1 is a game of several agents \(agents, planner\).*{name}.*ippo"
    with pytest.raises(ValueError, match=message):
        spec.make(env, params, spec.preset("OneStepEconomy-v1").config)
