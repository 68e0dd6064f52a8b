"""Values and optimal actions of the probes against hand calculation and against playing them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import registry
from jaxrl.envs.probes import Mask, MultiDiscreteMask, Probe

PROBES = tuple(env_id for env_id in registry.environments() if env_id.startswith("Probe-"))
GAMMA = 0.9
# By hand, for gamma 0.9 and reward_scale 1, in the order of `observations()`.
VALUES = {
    "Probe-Action-v1": [1],
    "Probe-Constant-v1": [1],
    "Probe-Continuous-v1": [1, 1],
    "Probe-Discount-v1": [0.9, 1],
    "Probe-Mask-v1": [1] * 11,
    "Probe-Memory-v1": [0.9**k for k in (7, 6, 5, 4, 3, 2, 1, 0)] * 2,
    "Probe-MultiDiscrete-v1": [1] * 6,
    "Probe-MultiDiscreteMask-v1": [1] * 21,
    "Probe-Observation-v1": [-1, 1],
    "Probe-ObservationAction-v1": [1, 1],
    "Probe-Pytree-v1": [1] * 4,
    "Probe-TimeLimit-v1": [10],
}
ACTIONS = {
    "Probe-Action-v1": [1],
    "Probe-Continuous-v1": [[2, -3], [4, -5]],
    "Probe-Memory-v1": [0] * 8 + [1] * 8,
    "Probe-MultiDiscrete-v1": [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]],
    "Probe-ObservationAction-v1": [0, 1],
    "Probe-Pytree-v1": [0, 1, 2, 3],
}
# Where some action is worse than another; `action_matters` where it is the same in every row.
MATTERS = {"Probe-Memory-v1": ([False] * 7 + [True]) * 2}
# The cues that a reset gives, where not all.
FIRST = {"Probe-Discount-v1": [0], "Probe-Memory-v1": [0, 8]}


@pytest.mark.parametrize("env_id", PROBES)
def test_values_are_those_calculated_by_hand(env_id):
    env, params = jaxrl.make(env_id, reward_scale=3.0)
    values = jax.jit(env.optimal_values)(params, jnp.float32(GAMMA))
    np.testing.assert_allclose(values, 3 * np.array(VALUES[env_id], np.float32), rtol=1e-6)
    assert (values.dtype, values.shape) == (jnp.float32, (env.num_cues,))


@pytest.mark.parametrize("env_id", sorted(ACTIONS))
def test_actions_are_those_worked_out_by_hand(env_id):
    env, _ = jaxrl.make(env_id)
    np.testing.assert_array_equal(env.optimal_actions(), ACTIONS[env_id])
    assert env.action_matters


@pytest.mark.parametrize("env_id", PROBES)
def test_playing_optimally_from_every_observation_returns_its_value(env_id):
    """Monte Carlo, by a Python loop; an unending probe is played for 200 steps, 0.9^200 < 1e-9."""
    env, params = jaxrl.make(env_id, reward_scale=0.5)
    values = env.optimal_values(params, GAMMA)
    step = jax.jit(env.step_env)
    for cue in range(env.num_cues):
        state = env.reset_env(jax.random.key(0), params)[1].replace(cue=jnp.int32(cue))
        obs = env.observe(jax.random.key(0), state, None, params)
        total, discount, terminated = 0.0, 1.0, False
        while not terminated and discount > 1e-9:
            best = jnp.asarray(env.optimal_actions())[state.cue]
            action = env.optimal_action(obs) if env.fully_observed else best
            shown = obs
            obs, state, reward, terminated, _ = step(jax.random.key(cue), state, action, params)
            total, discount = total + discount * float(reward), discount * GAMMA
        np.testing.assert_allclose(total, values[cue], rtol=1e-5)
        jax.tree.map(np.testing.assert_array_equal, obs, shown)  # no reset at the end


@pytest.mark.parametrize("env_id", PROBES)
def test_no_action_beats_the_optimal_one(env_id):
    env, params = jaxrl.make(env_id)
    space = env.action_space(params)
    actions = jax.vmap(space.sample)(jax.random.split(jax.random.key(0), 200))
    reward = jax.jit(jax.vmap(jax.vmap(env._reward, in_axes=(None, 0)), in_axes=(0, None)))
    cues = jnp.arange(env.num_cues, dtype=jnp.int32)
    best = jax.vmap(env._reward)(cues, jnp.asarray(env.optimal_actions()))
    rewards = reward(cues, actions)
    assert (rewards <= best[:, None]).all()
    worse = (rewards < best[:, None]).any(axis=1)
    assert (worse == np.asarray(MATTERS.get(env_id, env.action_matters))).all()


@pytest.mark.parametrize("env_id", PROBES)
def test_every_observation_of_the_table_starts_or_follows(env_id):
    env, params = jaxrl.make(env_id)
    keys = jax.random.split(jax.random.key(0), 400)
    obs, states = jax.vmap(env.reset_env, in_axes=(0, None))(keys, params)
    counts = np.bincount(states.cue, minlength=env.num_cues)
    first = FIRST.get(env_id, range(env.num_cues))
    assert counts[first].min() > 400 / len(first) / 3 and counts[first].sum() == 400
    expected = jax.tree.map(lambda table: table[states.cue], env.observations())
    jax.tree.map(np.testing.assert_array_equal, obs, expected)


def test_the_time_limit_probe_only_ever_truncates():
    env, params = jaxrl.make("Probe-TimeLimit-v1")
    vec_env = jaxrl.VecEnv(env, 4)
    obs, state = vec_env.reset(jax.random.key(0), params)
    step = jax.jit(vec_env.step)
    ends = []
    for _ in range(20):
        obs, state, reward, terminated, truncated, info = step(
            jax.random.key(1), state, jnp.zeros(4, jnp.int32), params
        )
        assert not terminated.any()
        assert (reward == 1).all()
        ends.append(bool(truncated.all()))
    assert ends == [False] * 9 + [True] + [False] * 9 + [True]


def test_the_continuous_probe_clips_and_measures_the_distance():
    env, params = jaxrl.make("Probe-Continuous-v1")
    state = env.reset_env(jax.random.key(0), params)[1].replace(cue=jnp.int32(0))

    def reward(*action):
        return float(env.step_env(jax.random.key(0), state, jnp.array(action), params)[2])

    assert reward(2.0, -3.0) == 1.0
    assert reward(4.0, -3.0) == 0.5  # 1 - ((4 - 2) / 2)^2 / 2
    assert reward(2.0, -6.0) == -0.125  # 1 - ((-6 + 3) / 2)^2 / 2
    assert reward(0.0, 0.0) == reward(1.0, -2.0) == 0.75


def test_the_mask_probe_pays_and_reports_by_its_mask():
    env, params = jaxrl.make("Probe-Mask-v1")
    masks = env.observations()["action_mask"]
    assert len(masks) == 4 + 6 + 1 and (masks.sum(axis=1) >= 2).all()
    cue = int(np.flatnonzero((masks == [True, False, True, False]).all(axis=1))[0])
    state = env.reset_env(jax.random.key(0), params)[1].replace(cue=jnp.int32(cue))
    outcomes = [
        env.step_env(jax.random.key(0), state, jnp.int32(action), params) for action in range(4)
    ]
    assert [float(outcome[2]) for outcome in outcomes] == [0, -10, 1, -10]
    assert [bool(outcome[4]["illegal"]) for outcome in outcomes] == [False, True, False, True]


def test_the_multi_discrete_mask_probe_pays_and_reports_by_its_mask():
    env, params = jaxrl.make("Probe-MultiDiscreteMask-v1")
    masks = env.observations()["action_mask"]
    assert masks.shape == (3 * 7, 2, 3)
    assert not masks[:, 0, 2].any(), "the first choice has two values"
    assert masks.any(axis=2).all()
    wanted = [[True, True, False], [False, True, True]]
    cue = int(np.flatnonzero((masks == wanted).all(axis=(1, 2)))[0])
    state = env.reset_env(jax.random.key(0), params)[1].replace(cue=jnp.int32(cue))
    expected = {(1, 2): 1, (0, 2): 0.5, (1, 1): 0.5, (0, 1): 0, (1, 0): -10, (0, 0): -10}
    for action, reward in expected.items():
        action = jnp.array(action, jnp.int32)
        out = env.step_env(jax.random.key(0), state, action, params)
        assert float(out[2]) == reward
        assert bool(out[4]["illegal"]) is (reward == -10)


def test_ignoring_the_mask_cannot_reach_the_value():
    """The best fixed choice without the mask: the observation beside it never changes."""
    for probe in (Mask(), MultiDiscreteMask()):
        assert (probe.observations()["observation"] == 0).all()
        cues = jnp.arange(probe.num_cues, dtype=jnp.int32)
        space = probe.action_space()
        actions = jax.vmap(space.sample)(jax.random.split(jax.random.key(0), 200))
        reward = jax.vmap(jax.vmap(probe._reward, in_axes=(0, None)), in_axes=(None, 0))
        assert reward(cues, actions).mean(axis=1).max() < 0


def test_only_the_memory_probe_shows_the_same_for_different_optima():
    for env_id in PROBES:
        env, _ = jaxrl.make(env_id)
        shown = {
            tuple(np.concatenate([leaf[i].ravel() for leaf in jax.tree.leaves(env.observations())]))
            for i in range(env.num_cues)
        }
        assert env.fully_observed is (len(shown) == env.num_cues) is (env_id != "Probe-Memory-v1")


def test_the_memory_probe_shows_its_bit_once_and_asks_for_it_at_the_end():
    """An episode of 4 steps, bit 1, wrong and right answer; the answer 1 whatever was shown."""
    env, params = jaxrl.make("Probe-Memory-v1", length=4)
    assert params.max_steps_in_episode == 4
    for bit, last, expected in [(1, 1, 1), (1, 0, -1), (0, 1, -1), (0, 0, 1)]:
        _, state = env.reset_env(jax.random.key(0), params)
        state = state.replace(cue=jnp.int32(4 * bit))
        seen = [env.observe(jax.random.key(0), state, None, params).tolist()]
        rewards, ends = [], []
        for action in (1, 0, 1, last):
            obs, state, reward, terminated, _ = env.step_env(
                jax.random.key(0), state, jnp.int32(action), params
            )
            seen.append(obs.tolist())
            rewards.append(float(reward))
            ends.append(bool(terminated))
        assert seen[:4] == [[2 * bit - 1, 0], [0, 0], [0, 0], [0, 1]]
        assert rewards == [0, 0, 0, expected] and ends == [False, False, False, True]
    with pytest.raises(ValueError, match="at least 2 steps"):
        jaxrl.make("Probe-Memory-v1", length=1)


def test_probes_are_environments_with_their_id_as_name():
    for env_id in PROBES:
        env, _ = jaxrl.make(env_id)
        assert isinstance(env, Probe)
        assert env.name == env_id
