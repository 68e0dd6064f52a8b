"""Every registered algorithm on probe environments whose optimal values and actions are known.

Each case is one compiled program over two seeds and two discounts. PPO meets every probe; the
other methods share its loop, networks and rollouts, and meet one probe of the policy, one of the
value function and one of continuous actions. Methods for games meet them as games of one.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import registry
from jaxrl.algorithm import canonical, train
from jaxrl.algos.multi_agent import RoleConfig, records_of
from jaxrl.evaluation import evaluate
from jaxrl.networks import NetworkConfig
from jaxrl.parallel import map_seeds
from tests.toy_games import Alone

# Probes of memory are met by recurrent policies, in tests/algos/test_recurrent.py.
PROBES = [
    name
    for name in registry.environments()
    if name.startswith("Probe-") and jaxrl.make(name)[0].fully_observed
]
SHARED = ["Probe-ObservationAction-v1", "Probe-TimeLimit-v1", "Probe-Continuous-v1"]
CASES = [("ppo", probe) for probe in PROBES] + [
    (name, probe) for name in registry.algorithms() if name != "ppo" for probe in SHARED
]
GAMMAS = (0.5, 0.9)


def _game_records():
    return records_of(("agents",))


def _config(name, **changes):
    spec = registry.algorithm(name)
    network = NetworkConfig(hidden=(16,))
    if spec.for_games:
        mine = RoleConfig(num_minibatches=4, network=network, **changes)
        return _game_records()[0](num_envs=16, num_steps=16, agents=mine)
    base = spec.preset("*").config
    steps = base.num_steps if name == "a2c" else 16
    return dataclasses.replace(
        base, num_envs=16, num_steps=steps, num_minibatches=min(4, base.num_minibatches),
        network=network, **changes,
    )  # fmt: skip


def _hyperparameters(name, env_params, horizon=math.inf, **own):
    """Of a method; `own` are of the one role of a game."""
    spec = registry.algorithm(name)
    if not spec.for_games:
        return spec.hyperparameters(env=env_params, horizon=horizon, **own)
    hp = _game_records()[1](env=env_params, horizon=horizon)
    return hp.replace(agents=hp.agents.replace(**own))


def _made(name, probe):
    """The probe, or for methods for games the game of one, and its parameters."""
    env, env_params = jaxrl.make(probe)
    return Alone(env) if registry.algorithm(name).for_games else env, env_params


def _train(name, probe, updates):
    """Final states [4] of 2 seeds x 2 discounts, and what they were trained with."""
    spec = registry.algorithm(name)
    env, env_params = _made(name, probe)
    algo = spec.make(env, env_params, _config(name))
    own = dict(lr=1e-2, lr_final=0.0, entropy_coef=0.0)
    points = [
        canonical(_hyperparameters(name, env_params, float(updates), gamma=gamma, **own))
        for gamma in GAMMAS
        for _ in range(2)
    ]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *points)
    keys = jax.random.split(jax.random.key(0), len(points))
    program = jax.jit(map_seeds(train(algo, updates), "cpu"))
    states, metrics = program(keys, stacked)
    return env, env_params, algo, states, metrics


@pytest.mark.parametrize(("name", "probe"), CASES)
def test_values_and_actions_of_probes(name, probe):
    updates = 600 if name == "a2c" else 80
    env, env_params, algo, states, metrics = _train(name, probe, updates)
    game = registry.algorithm(name).for_games
    assert np.isfinite(metrics["agents/loss" if game else "loss"]).all()
    env = env.env if game else env
    obs = jax.tree.map(jnp.asarray, env.observations())
    obs = {"agents": obs} if game else obs
    for i, gamma in enumerate(np.repeat(GAMMAS, 2)):
        policy = jax.tree.map(lambda x, i=i: x[i], states.policy)
        expected = np.asarray(env.optimal_values(env_params, gamma))
        value = algo.value(policy, obs)
        value = np.asarray(value["agents"] if game else value)
        np.testing.assert_allclose(value, expected, rtol=0.06, atol=0.06, err_msg="value")
        if env.action_matters:
            action, _ = algo.act(policy, obs, (), None)
            action = action["agents"] if game else action
            best = np.asarray(env.optimal_actions())
            continuous = np.issubdtype(best.dtype, np.floating)
            tolerance = 0.1 if continuous else 0
            np.testing.assert_allclose(action, best, atol=tolerance, err_msg="greedy action")


@pytest.mark.parametrize("name", registry.algorithms())
def test_a_state_holds_everything(name):
    """Through NumPy and back (what a checkpoint does) training goes on bit for bit."""
    spec = registry.algorithm(name)
    env, env_params = _made(name, "Probe-Mask-v1")
    config = _config(name, normalize_observation=True, normalize_reward=True)
    algo = spec.make(env, env_params, config)
    hp = canonical(_hyperparameters(name, env_params))
    step = jax.jit(algo.step)
    state, _ = step(algo.init(jax.random.key(0), hp), hp)
    through, metrics = step(state, hp)
    key = jax.random.wrap_key_data(jnp.asarray(np.asarray(jax.random.key_data(state.key))))
    plain = jax.tree.map(lambda x: jnp.asarray(np.array(x)), state.replace(key=()))
    resumed, metrics_resumed = step(plain.replace(key=key), hp)
    jax.tree.map(np.testing.assert_array_equal, metrics, metrics_resumed)
    jax.tree.map(np.testing.assert_array_equal, through.replace(key=()), resumed.replace(key=()))
    assert step._cache_size() == 1


def test_evaluation_of_a_trained_policy():
    """ObservationAction pays its value in one step; every episode ends by itself."""
    env, env_params, algo, states, _ = _train("ppo", "Probe-ObservationAction-v1", 80)
    policy = jax.tree.map(lambda x: x[0], states.policy)
    episodes = evaluate(env, env_params, algo.act, policy, jax.random.key(5), 32, greedy=True)
    best = np.asarray(env.optimal_values(env_params, 1.0))
    np.testing.assert_allclose(np.unique(episodes.returns), np.unique(best), rtol=1e-6)
    assert (episodes.lengths == 1).all() and episodes.terminated.all()
    assert not episodes.truncated.any()
    again = evaluate(env, env_params, algo.act, policy, jax.random.key(5), 32, greedy=True)
    np.testing.assert_array_equal(episodes.returns, again.returns)
