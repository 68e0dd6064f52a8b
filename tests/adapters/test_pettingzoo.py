"""PettingZoo's interface over games, by PettingZoo's own tests."""

import sys
import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pettingzoo.utils.conversions import parallel_to_aec

import jaxrl
from jaxrl.adapters import to_pettingzoo
from jaxrl.adapters.pettingzoo_env import PettingZooEnv
from jaxrl.registry import Entry
from jaxrl.rendering import frames
from tests.toy_commons import Commons, CommonsParams, OtherMasks
from tests.toy_envs import CostlyReset
from tests.unoptimised import jit

with warnings.catch_warnings():  # it imports games of its own in a way that it warns of
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test

WORKERS = ["workers_0", "workers_1", "workers_2"]
NAMES = [*WORKERS, "boss"]
GAME = Commons()


def make(*params, **keywords):
    return PettingZooEnv(GAME, jax.tree.map(jnp.int32, CommonsParams(*params)), **keywords)


@pytest.fixture(scope="module")
def env():
    """Stocks of 6 to 12 and five steps at most."""
    return make()


def actions(*units, boss=(1, 2)):
    """Units of the workers; the boss takes a unit of each, and two that come from nowhere."""
    return dict(zip(WORKERS, units, strict=True)) | {"boss": np.array(boss)}


def test_pettingzoos_own_tests_have_nothing_to_say(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(make(), num_cycles=100)
        parallel_api_test(make(40, 50, 60), num_cycles=30)  # longer than the test
        parallel_seed_test(make, num_cycles=20)
    assert capsys.readouterr().out.count("Passed Parallel API test") == 2


@pytest.mark.parametrize(
    ("env_id", "options"),
    [
        ("OneStepEconomy-v1", {"agents": 3}),
        ("GatherTradeBuild-v1", {"layout": "WS;..", "start": "random", "agents": 2, "reach": 1}),
    ],
)
def test_economies_pass_pettingzoos_own_tests(env_id, options):
    names = [f"agents_{i}" for i in range(options["agents"])]
    env = to_pettingzoo(env_id, max_steps_in_episode=6, render_mode="rgb_array", **options)
    assert env.possible_agents == [*names, "planner"]
    env._reset, env._step = jit(env._env.reset_env), jit(env._transition)  # these compile fast
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(env, num_cycles=10)
        env.reset(seed=0)
        assert env.render().ndim == 3
        # Legal actions as gymnasium draws them, until the end.
        obs, ended = env.reset(seed=1)[0], False
        while not ended:
            assert all(env.observation_space(name).contains(obs[name]) for name in env.agents)
            drawn = {name: env.action_space(name).sample(obs[name]["action_mask"]) for name in obs}
            obs, _, terminations, truncations, _ = env.step(drawn)
            ended = terminations["planner"] or truncations["planner"]


def test_turns_by_pettingzoos_conversion(env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Its checker knows nothing but arrays and warns of dictionaries and names with digits.
        warnings.filterwarnings("ignore", module="pettingzoo")
        warnings.filterwarnings("ignore", module="gymnasium")
        api_test(parallel_to_aec(env), num_cycles=30)


def test_their_test_can_complain():
    class Undead(PettingZooEnv):
        def step(self, actions):
            *rest, infos = super().step(actions)
            self.agents = list(self.possible_agents)
            return *rest, infos

    params = jax.tree.map(jnp.int32, CommonsParams())
    with pytest.raises(AssertionError, match=r"'boss'.* != set"):
        parallel_api_test(Undead(GAME, params), num_cycles=50)


def test_spaces_and_masks(env):
    assert env.possible_agents == NAMES and env.max_num_agents == 4
    worker, boss = env.observation_space("workers_1"), env.observation_space("boss")
    assert worker is env.observation_space("workers_1")
    assert worker["observation"].shape == (2,) and worker["action_mask"].shape == (4,)
    assert set(boss["observation"]) == {"flat", "map"}
    assert [space.shape for space in boss["action_mask"]] == [(2,), (3,)]
    env = make(7, 7)
    obs, infos = env.reset(seed=0)
    assert infos == {name: {} for name in NAMES}
    assert all(env.observation_space(name).contains(obs[name]) for name in NAMES)
    first, second = obs["boss"]["action_mask"]
    assert first.tolist() == [1, 1] and second.tolist() == [1, 1, 0]
    obs = env.step(actions(3, 0, 2))[0]
    assert obs["workers_0"]["action_mask"].tolist() == [1, 1, 1, 0]  # 2 are left
    assert obs["workers_0"]["action_mask"].dtype == np.int8
    assert obs["boss"]["observation"]["map"].tolist() == [[3, 0, 2]]
    # They are of the form that gymnasium's spaces draw legal actions by.
    for name in NAMES:
        drawn = [env.action_space(name).sample(obs[name]["action_mask"]) for _ in range(20)]
        limit = [2, 2, 2, [1, 2]][NAMES.index(name)]
        assert (np.max(drawn, axis=0) <= limit).all()


def test_a_step_is_that_of_the_game():
    """9 in stock; 3, 0 and 2 are taken, and each pays 1: worked by hand."""
    env = make(9, 9)
    env.reset(seed=0)
    obs, rewards, terminations, truncations, infos = env.step(actions(3, 0, 2))
    assert rewards == {"workers_0": 2.0, "workers_1": -1.0, "workers_2": 1.0, "boss": 5.0}
    assert {type(reward) for reward in rewards.values()} == {float}
    assert terminations == truncations == dict.fromkeys(NAMES, False)
    assert obs["workers_2"]["observation"].tolist() == [4, 2]
    assert infos["boss"] == {"taken": 5} and infos["boss"] is not infos["workers_0"]
    obs["workers_2"]["observation"][:] = -1  # the caller's own
    assert env.step(actions(0, 0, 0))[0]["workers_2"]["observation"].tolist() == [4, 2]


def test_episodes_follow_the_keys(env):
    params = jax.tree.map(jnp.int32, CommonsParams())
    key_reset, key_steps = jax.random.split(jax.random.key(7))
    expected, state = GAME.reset_env(key_reset, params)
    obs, _ = env.reset(seed=7)
    for t in range(2):
        stock = float(expected["boss"]["flat"][0])
        assert obs["boss"]["observation"]["flat"].tolist() == [stock]
        action = {"workers": jnp.asarray([1, 0, 1]), "boss": jnp.asarray([0, 1])}
        key = jax.random.fold_in(key_steps, t)
        expected, state, *_ = GAME.step_env(key, state, action, params)
        obs = env.step(actions(1, 0, 1, boss=(0, 1)))[0]
    stocks = [env.reset()[0]["boss"]["observation"]["flat"][0] for _ in range(8)]
    env.reset(seed=7)
    again = [env.reset()[0]["boss"]["observation"]["flat"][0] for _ in range(8)]
    assert stocks == again and len(set(stocks)) > 1


@pytest.mark.parametrize(
    ("limit", "units", "why"), [(9, (3, 3, 0), 2), (1, (0, 0, 0), 3), (1, (3, 3, 0), 2)]
)
def test_endings_stay_apart(limit, units, why):
    env = make(6, 6, limit)
    env.reset(seed=0)
    assert env.agents == NAMES
    out = env.step(actions(*units))
    assert out[why] == dict.fromkeys(NAMES, True)
    assert out[5 - why] == dict.fromkeys(NAMES, False)
    assert env.agents == [] and env.num_agents == 0
    assert list(out[0]) == NAMES  # the last observation is of everybody
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode is over: call reset"):
        env.step(actions(0, 0, 0))
    env.reset()
    assert env.agents == NAMES


def test_errors(env):
    fresh = make()
    for early in (
        lambda: fresh.step(actions(0, 0, 0)),
        lambda: make(render_mode="rgb_array").render(),
    ):
        with pytest.raises(gymnasium.error.ResetNeeded):
            early()
    env.reset(seed=0)
    cases = (
        ({"boss": [0, 0]}, "no action for workers_0, workers_1, workers_2"),
        (actions(1, 1, 1) | {"clerk": 1}, "nobody is called clerk; the agents are workers_0, "),
        (
            actions(1, 4, 1),
            "the action of workers_1 must be whole numbers from 0 and below 4, got 4",
        ),
        (actions(1, 1, -1), "the action of workers_2 must be .* got -1"),
        (actions(1, 1.5, 1), "the action of workers_1 must be whole numbers"),
        (actions(1, [1], 1), r"the action of workers_1 must have the shape \(\), got \(1,\)"),
        (
            actions(1, 1, 1, boss=(2, 0)),
            r"the action of boss must be .* below \[2, 3\], got \[2, 0\]",
        ),
        ([1, 2], "actions must be a dict by agent, got a list"),
    )
    for wrong, message in cases:
        with pytest.raises(ValueError, match=message):
            env.step(wrong)
    assert env.step(actions(0, 0, 0))[1]["boss"] == 5.0  # nothing had happened
    for space in (env.action_space, env.observation_space):
        with pytest.raises(ValueError, match="nobody is called workers_3"):
            space("workers_3")
    with pytest.raises(ValueError, match="is not a game: it has no roles"):
        PettingZooEnv(CostlyReset(), None)
    with pytest.raises(ValueError, match="render_mode must be 'rgb_array' or None, got 'human'"):
        make(render_mode="human")


def test_observations_without_masks_and_with_conditional_ones():
    params = jax.tree.map(jnp.int32, CommonsParams(6, 6))
    env = PettingZooEnv(OtherMasks(2), params)
    obs, _ = env.reset(seed=0)
    assert obs["boss"].tolist() == [6]
    assert obs["workers_1"]["observation"].tolist() == [6, 0]
    assert obs["workers_1"]["action_mask"].shape == (2, 1, 3)
    assert all(env.observation_space(name).contains(obs[name]) for name in env.agents)
    assert env.action_space("workers_0").nvec.tolist() == [2, 3]


def test_frames(monkeypatch):
    monkeypatch.setitem(jaxrl.registry._ENVIRONMENTS, "Mine-v3", Entry(Commons))
    monkeypatch.setattr(frames, "_registered", [])
    stocks = []

    def draw(moment):
        stocks.append(int(moment.state.stock))
        return np.full((320, 320, 3), 9, np.uint8)

    frames.register_renderer("Mine-*", draw, fps=7)
    env = to_pettingzoo("Mine-v3", render_mode="rgb_array", least=9, most=9)
    assert env.metadata["render_fps"] == 7 and str(env) == "Mine-v3"
    env.reset(seed=0)
    env.step(actions(3, 0, 2))
    frame = env.render()
    assert frame.shape == (346, 320, 3) and (frame[:320] == 9).all() and stocks == [4]
    env.close()
    assert env.agents == []
    silent = to_pettingzoo("Mine-v3")
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert silent.render() is None


def test_without_pettingzoo_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    monkeypatch.delitem(jaxrl.adapters.__dict__, "to_pettingzoo", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'jaxrl\[pettingzoo\]'"):
        jaxrl.adapters.to_pettingzoo  # noqa: B018


def test_what_persists_goes_on_after_an_episode_that_was_played_to_its_end():
    env = make(6, 6, 2)

    def play():
        for _ in range(2):
            env.step(actions(0, 0, 0))
        assert not env.agents

    env.reset(seed=1)
    assert env._state.episodes == 0
    play()
    env.reset()
    assert env._state.episodes == 1 and env._state.time == 0
    play()
    env.reset()
    assert env._state.episodes == 2
    env.step(actions(0, 0, 0))
    env.reset()  # in the middle of an episode
    assert env._state.episodes == 0
    play()
    env.reset(seed=1)
    assert env._state.episodes == 0
