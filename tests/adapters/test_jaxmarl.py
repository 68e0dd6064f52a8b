"""A game with JaxMARL's interface, against a loop over the game itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl.adapters import to_jaxmarl
from jaxrl.adapters.jaxmarl import JaxMARLEnv
from jaxrl.registry import Entry
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, contains
from tests.toy_commons import Commons, CommonsParams, OtherMasks
from tests.toy_envs import CostlyReset

NAMES = ["workers_0", "workers_1", "workers_2", "boss"]
GAME = Commons()


@pytest.fixture(scope="module")
def env():
    """Stocks of 6 to 12 and five steps at most."""
    return JaxMARLEnv(GAME, jax.tree.map(jnp.int32, CommonsParams()))


def actions(*units, boss=(1, 2)):
    """Units of the workers; the boss takes a unit of each, and two that come from nowhere."""
    return {f"workers_{i}": jnp.int32(u) for i, u in enumerate(units)} | {
        "boss": jnp.asarray(boss, jnp.int32)
    }


def test_names_and_spaces(env):
    assert env.agents == NAMES and env.num_agents == 4 and env.name == "Commons-v0"
    assert env.agent_classes == {"workers": NAMES[:3], "boss": ["boss"]}
    assert isinstance(env.action_space("workers_1"), Discrete)
    assert env.action_space("workers_1").n == 4
    assert isinstance(env.action_space("boss"), MultiDiscrete)
    assert isinstance(env.observation_space("workers_0"), Box)  # its array alone, without the mask
    assert isinstance(env.observation_space("boss"), Dict)
    obs, state = env.reset(jax.random.key(0))
    assert set(obs) == set(NAMES)
    assert all(contains(env.observation_space(name), obs[name]) for name in NAMES)
    assert set(obs["boss"]) == {"flat", "map"}


def test_a_step_is_that_of_the_game(env):
    """9 in stock; 3, 0 and 2 are taken, and each pays 1: worked by hand."""
    env = JaxMARLEnv(GAME, jax.tree.map(jnp.int32, CommonsParams(9, 9)))
    obs, state = env.reset(jax.random.key(0))
    np.testing.assert_array_equal(obs["workers_1"], [9, 0])
    obs, state, rewards, dones, infos = env.step(jax.random.key(1), state, actions(3, 0, 2))
    found = {name: float(reward) for name, reward in rewards.items()}
    assert found == {"workers_0": 2, "workers_1": -1, "workers_2": 1, "boss": 5}
    assert rewards["boss"].dtype == jnp.float32
    assert {name: bool(done) for name, done in dones.items()} == dict.fromkeys(
        [*NAMES, "__all__"], False
    )
    np.testing.assert_array_equal(obs["workers_2"], [4, 2])
    np.testing.assert_array_equal(obs["boss"]["map"], [[3, 0, 2]])
    assert {name: value.shape for name, value in infos.items()} == dict.fromkeys(
        ["terminated", "truncated", "units"], (4,)
    )
    np.testing.assert_array_equal(infos["units"], [5] * 4)
    assert int(state.step) == 1 and state.done.shape == () and not state.done


def test_masks_are_asked_for(env):
    env = JaxMARLEnv(GAME, jax.tree.map(jnp.int32, CommonsParams(7, 7)))
    _, state = env.reset(jax.random.key(0))
    masks = env.get_avail_actions(state)
    assert list(masks) == NAMES
    np.testing.assert_array_equal(masks["boss"], [[1, 1, 0], [1, 1, 0]])
    np.testing.assert_array_equal(masks["workers_0"], [1, 1, 1, 1])
    *_, state = env.step(jax.random.key(0), state, actions(3, 0, 2))[:2]
    masks = env.get_avail_actions(state)
    np.testing.assert_array_equal(masks["workers_1"], [1, 1, 1, 0])  # 2 are left
    np.testing.assert_array_equal(masks["boss"], [[1, 1, 0], [1, 1, 1]])
    assert masks["boss"].dtype == jnp.bool_


def test_whoever_has_no_mask_may_do_anything():
    """The boss chooses one of two and one of three: the last entry of the first row is none."""
    env = JaxMARLEnv(OtherMasks(2), jax.tree.map(jnp.int32, CommonsParams()))
    masks = env.get_avail_actions(env.reset(jax.random.key(0))[1])
    np.testing.assert_array_equal(masks["boss"], [[1, 1, 0], [1, 1, 1]])
    assert masks["workers_1"].shape == (2, 1, 3)


def test_ending_and_beginning_anew(env):
    """Terminated and truncated stay apart; what outlives an episode does."""
    env = JaxMARLEnv(GAME, jax.tree.map(jnp.int32, CommonsParams(6, 6, 2)))
    _, first = env.reset(jax.random.key(0))
    ends = {"terminated": actions(3, 3, 0), "truncated": actions(0, 1, 0)}
    for why, last in ends.items():
        *_, state = env.step(jax.random.key(1), first, actions(0, 0, 0))[:2]
        final, after, _, dones, infos = env.step_env(jax.random.key(2), state, last)
        assert bool(dones["__all__"]) and bool(dones["boss"]) and bool(after.done)
        assert int(after.step) == 2 and int(after.env_state.episodes) == 0
        obs, state, rewards, dones, infos = env.step(jax.random.key(2), state, last)
        assert bool(dones["__all__"]) and bool(dones["workers_2"])
        for name in ends:
            np.testing.assert_array_equal(infos[name], [name == why] * 4)
        # The reward is of the step that ended, the observation of the next episode.
        assert float(rewards["workers_1"]) == float(last["workers_1"]) - 1
        np.testing.assert_array_equal(obs["workers_1"], [6, 0])
        assert not np.array_equal(final["workers_1"], [6, 0])
        assert int(state.step) == 0 and not state.done
        assert int(state.env_state.time) == 0 and int(state.env_state.episodes) == 1


def test_a_given_state_is_what_comes_next(env):
    other = env.reset(jax.random.key(5))[1]
    other = other.replace(env_state=other.env_state.replace(episodes=jnp.int32(7)))
    _, state = env.reset(jax.random.key(0))
    _, state, _, dones, _ = env.step(jax.random.key(1), state, actions(3, 3, 3), other)
    expected = other if dones["__all__"] else state
    while not dones["__all__"]:
        _, state, _, dones, _ = env.step(jax.random.key(1), state, actions(3, 3, 3), other)
        expected = other
    jax.tree.map(np.testing.assert_array_equal, state, expected)
    assert int(state.env_state.episodes) == 7


def test_rollout_under_scan_and_vmap_equals_a_loop(env):
    keys = jax.random.split(jax.random.key(3), 4)

    def rollout(key):
        key_reset, key_steps = jax.random.split(key)
        _, state = env.reset(key_reset)

        def body(state, key):
            units = [jax.random.randint(jax.random.fold_in(key, i), (), 0, 4) for i in range(3)]
            out = env.step(key, state, actions(*units))
            return out[1], (out[0], *out[2:])

        return jax.lax.scan(body, state, jax.random.split(key_steps, 6))

    batch = jax.jit(jax.vmap(rollout))(keys)
    alone = [rollout(key) for key in keys]
    stacked = jax.tree.map(lambda *rows: np.stack(rows), *alone)
    jax.tree.map(np.testing.assert_array_equal, batch, stacked)
    infos = batch[1][3]
    ended = batch[1][2]["__all__"]
    np.testing.assert_array_equal(ended, (infos["terminated"] | infos["truncated"])[..., 0])
    assert infos["terminated"].any() and not (infos["terminated"] & infos["truncated"]).any()


def test_flat_observations_for_its_networks():
    env = JaxMARLEnv(GAME, jax.tree.map(jnp.int32, CommonsParams(8, 8)), flat=True)
    assert env.observation_space("boss").shape == (4,)
    assert env.observation_space("workers_0").shape == (2,)
    _, state = env.reset(jax.random.key(0))
    obs = env.step(jax.random.key(0), state, actions(1, 0, 2))[0]
    np.testing.assert_array_equal(obs["boss"], [5, 1, 0, 2])  # "flat" comes before "map"
    assert obs["boss"].dtype == jnp.float32
    assert all(contains(env.observation_space(name), obs[name]) for name in NAMES)


def test_by_id(monkeypatch):
    monkeypatch.setitem(jaxrl.registry._ENVIRONMENTS, "Commons-v0", Entry(Commons))
    env = to_jaxmarl("Commons-v0", workers=2, max_steps_in_episode=3)
    assert env.agents == ["workers_0", "workers_1", "boss"]
    assert int(env._params.max_steps_in_episode) == 3


def test_an_economy():
    """Nobody earns without work: after two idle steps all utilities are as they were."""
    env = to_jaxmarl("OneStepEconomy-v1", agents=2)
    assert env.agents == ["agents_0", "agents_1", "planner"]
    _, state = env.reset(jax.random.key(0))
    idle = {"agents_0": jnp.int32(0), "agents_1": jnp.int32(0), "planner": jnp.zeros(7, jnp.int32)}
    for ends in (False, True):
        masks = env.get_avail_actions(state)
        assert masks["planner"].shape == (7, 22) and int(masks["agents_0"].sum()) == 1 + 100 * ends
        _, state, rewards, dones, infos = env.step(jax.random.key(1), state, idle)
        assert bool(dones["__all__"]) == ends and bool(infos["terminated"][0]) == ends
        assert {name: float(reward) for name, reward in rewards.items()} == dict.fromkeys(
            env.agents, 0.0
        )
    assert infos["productivity"].shape == (3,)


class Confusing(Commons):
    """A role that is called as a member of the other."""

    @property
    def roles(self):
        return {"a": (2,), "a_1": ()}


class Grid(Commons):
    @property
    def roles(self):
        return {"a": (2, 2)}


def test_errors(env):
    _, state = env.reset(jax.random.key(0))
    cases = (
        ({"boss": jnp.zeros(2, jnp.int32)}, "no action for workers_0, workers_1, workers_2"),
        (actions(1, 1, 1) | {"clerk": 1}, "nobody is called clerk; the agents are workers_0, "),
    )
    for wrong, message in cases:
        with pytest.raises(ValueError, match=message):
            env.step(jax.random.key(0), state, wrong)
    with pytest.raises(ValueError, match="actions must be a dict by agent, got a tuple"):
        env.step(jax.random.key(0), state, (1, 2))
    for space in (env.action_space, env.observation_space):
        with pytest.raises(ValueError, match="nobody is called workers_3"):
            space("workers_3")
    with pytest.raises(ValueError, match="is not a game: it has no roles"):
        JaxMARLEnv(CostlyReset(), None)
    with pytest.raises(ValueError, match="a_1 would be somebody of two roles"):
        JaxMARLEnv(Confusing(), CommonsParams())
    with pytest.raises(ValueError, match=r"the role a has the shape \(2, 2\)"):
        JaxMARLEnv(Grid(), CommonsParams())
