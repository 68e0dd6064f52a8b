"""Recurrent policies in the on-policy loop: exact carries in rollouts, and tasks of memory."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import registry
from jaxrl.algorithm import canonical, train
from jaxrl.algos.on_policy import ppo
from jaxrl.algos.on_policy.rollout import make_rollout, observe
from jaxrl.algos.on_policy.types import Config
from jaxrl.evaluation import evaluate
from jaxrl.networks import NetworkConfig, make_net
from jaxrl.normalization import RunningMoments
from jaxrl.parallel import map_seeds
from jaxrl.vector import VecEnv
from tests.toy_envs import CostlyReset, CounterParams

ENV, PARAMS = CostlyReset(cost=1), CounterParams(4, 6, 5)
CONFIG = Config(
    num_envs=6,
    num_steps=20,
    num_epochs=1,
    num_minibatches=1,
    network=NetworkConfig(hidden=(8,), activation="relu", recurrent="gru", recurrent_size=4),
)

# These programs run for less time than they compile, which takes half as long unoptimised.
_OPTIONS: dict[str, int | bool] = {"xla_backend_optimization_level": 0}
if jax.__version_info__ < (0, 11):  # the flag is gone since
    _OPTIONS["xla_cpu_use_fusion_emitters"] = False
_jit = functools.partial(jax.jit, compiler_options=_OPTIONS)


def _with(recurrent, **changes):
    network = dataclasses.replace(CONFIG.network, recurrent=recurrent)
    return dataclasses.replace(CONFIG, network=network, **changes)


def _net(config):
    return make_net(ENV.observation_space(PARAMS), ENV.action_space(PARAMS), config.network)


@pytest.fixture(scope="module", params=["gru", "lru"])
def rollouts(request):
    """Two rollouts, the second from the carry of the first; episodes of 4 to 6 steps, limit 5."""
    config = _with(request.param, normalize_observation=True)
    net = _net(config)
    algo = ppo.SPEC.make(ENV, PARAMS, config)
    hp = canonical(ppo.PPOHyperparameters(env=PARAMS))
    state = _jit(algo.init)(jax.random.key(0), hp)
    # The environment's identity is of the order of 3e4: raw, it would drown all memory.
    mean, deviation = jnp.asarray([2.0, 3e4]), jnp.asarray([2.0, 2e4])
    moments = RunningMoments(jnp.float32(1), [mean], [jnp.square(deviation)])
    state = state.replace(policy=state.policy.replace(observation=moments))
    run = _jit(make_rollout(VecEnv(ENV, config.num_envs, 2), net, config))
    middle, first, _ = run(jax.random.key(1), state, hp)
    after, second, _ = run(jax.random.key(2), middle, hp)
    return net, state, (first, second), middle, after


def test_carries_of_a_rollout_by_a_loop_over_environments(rollouts):
    """Step by step in Python: a fresh carry after each end, the old one for the final value."""
    net, state, trajectories, middle, after = rollouts
    fresh, params = net.initial(1), state.policy.params
    step = jax.jit(lambda obs, carry: net.apply(params, observe(state.policy, obs), carry))
    kinds = {"terminated": 0, "truncated": 0, "mistakes": 0}
    for row in range(CONFIG.num_envs):
        carry = fresh
        for trajectory, end in zip(trajectories, (middle, after), strict=True):
            for t in range(CONFIG.num_steps):
                obs = trajectory.obs[t, row][None]
                policy, value, carry = step(obs, carry)
                np.testing.assert_allclose(trajectory.value[t, row], value[0], rtol=1e-4)
                log_prob = policy.log_prob(trajectory.action[t, row][None])
                np.testing.assert_allclose(trajectory.log_prob[t, row], log_prob[0], rtol=1e-4)
                v_tp1 = trajectory.v_tp1[t, row]
                if not trajectory.ended[t, row]:
                    following = trajectory.obs[t + 1, row] if t + 1 < 20 else end.obs[row]
                    expected = step(following[None], carry)[1][0]
                    np.testing.assert_allclose(v_tp1, expected, rtol=1e-4)
                    continue
                final = obs + jnp.asarray([[1.0, 0.0]])  # one step later in the same episode
                if v_tp1 != 0:
                    kinds["truncated"] += 1
                    expected = step(final, carry)[1][0]
                    np.testing.assert_allclose(v_tp1, expected, rtol=1e-4)
                    forgotten = step(final, fresh)[1][0]
                    kinds["mistakes"] += bool(abs(forgotten - expected) > 1e-2 * abs(expected))
                else:
                    kinds["terminated"] += 1
                carry = fresh
            for mine, kept in zip(jax.tree.leaves(carry), jax.tree.leaves(end.carry), strict=True):
                np.testing.assert_allclose(kept[row], mine[0], rtol=1e-4, atol=1e-6)
    assert kinds["terminated"] > 5 and kinds["truncated"] > 5
    assert kinds["mistakes"] > 5, "a carry that was reset too early would not be seen"


def test_a_trajectory_keeps_the_carry_it_began_with(rollouts):
    _, state, (first, second), middle, _ = rollouts
    for trajectory, begin in ((first, state), (second, middle)):
        jax.tree.map(np.testing.assert_array_equal, trajectory.carry, begin.carry)
    assert all(np.abs(x).max() > 0.01 for x in jax.tree.leaves(second.carry))


@pytest.mark.parametrize("recurrent", ["gru", "lru"])
def test_first_minibatch_sees_the_policy_that_acted(recurrent):
    """Sequences, starts and stored carry give r = 1, in every update; the same key, the same bits.

    The observation (time, identity) is of the order of 1e4, so that moments matter.
    """
    config = _with(recurrent, normalize_observation=True, normalize_reward=True)
    algo = ppo.SPEC.make(ENV, PARAMS, config)
    hp = canonical(ppo.PPOHyperparameters(env=PARAMS, lr=1e-2))
    keys = jax.random.split(jax.random.key(0), 2)[jnp.asarray([0, 0, 1])]
    states, metrics = _jit(jax.vmap(train(algo, 4), in_axes=(0, None)))(keys, hp)
    np.testing.assert_allclose(metrics["approx_kl"], np.zeros((3, 4)), atol=1e-9)
    np.testing.assert_allclose(metrics["kl"], np.zeros((3, 4)), atol=1e-6)
    states = states.replace(key=())
    for leaf in jax.tree.leaves(states):
        np.testing.assert_array_equal(leaf[0], leaf[1])
    assert (metrics["param_norm"][0] != metrics["param_norm"][2]).all()


def test_minibatches_are_whole_environments():
    with pytest.raises(ValueError, match="num_envs = 6 does not divide into .*num_minibatches = 4"):
        ppo.SPEC.make(ENV, PARAMS, _with("gru", num_minibatches=4))
    ppo.SPEC.make(ENV, PARAMS, _with("", num_minibatches=4))  # 120 steps do divide


def test_a_forgotten_carry_is_an_error():
    algo = ppo.SPEC.make(ENV, PARAMS, CONFIG)
    state = jax.eval_shape(algo.init, jax.random.key(0), ppo.PPOHyperparameters(env=PARAMS))
    for call in (
        lambda: algo.act(state.policy, state.obs, (), None),
        lambda: algo.value(state.policy, state.obs),
        lambda: evaluate(ENV, PARAMS, algo.act, state.policy, jax.random.key(0), 2),
    ):
        with pytest.raises(ValueError, match=r"begin episodes with algorithm\.initial_carry"):
            call()


UPDATES, GAMMA = 60, 0.9


def _solve(recurrent, env_id, seeds=2, entropy_coef=0.0, **overrides):
    """PPO of some seeds: the environment, the algorithm, the policies."""
    env, env_params = jaxrl.make(env_id, **overrides)
    network = NetworkConfig(hidden=(16,), recurrent=recurrent, recurrent_size=16)
    config = Config(num_envs=16, num_steps=16, num_epochs=4, num_minibatches=2, network=network)
    spec = registry.algorithm("ppo")
    algo = spec.make(env, env_params, config)
    hp = canonical(
        spec.hyperparameters(
            lr=1e-2,
            lr_final=0.0,
            horizon=float(UPDATES),
            gamma=GAMMA,
            env=env_params,
            entropy_coef=entropy_coef,
        )
    )
    keys = jax.random.split(jax.random.key(0), seeds)
    program = _jit(map_seeds(lambda key: train(algo, UPDATES)(key, hp)[0].policy, "cpu"))
    policies = program(keys)
    each = [jax.tree.map(lambda x, i=i: x[i], policies) for i in range(seeds)]
    return env, env_params, algo, each


def _returns(env, env_params, algo, policy, episodes=512):
    played = evaluate(
        env, env_params, algo.act, policy, jax.random.key(7), episodes, greedy=True,
        initial_carry=algo.initial_carry,
    )  # fmt: skip
    assert played.terminated.all()
    return np.asarray(played.returns)


@pytest.mark.parametrize("recurrent", ["gru", "lru"])
def test_memory_solves_the_memory_probe(recurrent):
    """Values gamma^k with k steps to go, for either bit; the right answer in every episode.

    Of eight seeds one may fail: which of them does is a matter of rounding, and so of the machine.
    Without memory none could. The entropy bonus keeps them from settling on a wrong answer.
    """
    env, env_params, algo, policies = _solve(
        recurrent, "Probe-Memory-v1", seeds=8, entropy_coef=0.1
    )
    table = jnp.asarray(env.observations()).reshape((2, env.length, 2))
    expected = np.asarray(env.optimal_values(env_params, GAMMA)).reshape((2, env.length))
    value, act = jax.jit(algo.value), jax.jit(lambda *args: algo.act(*args, None))
    errors, solved = [], []
    for policy in policies:
        carry, error = algo.initial_carry(2), 0.0
        for t in range(env.length):
            now = value(policy, table[:, t], carry)
            error = max(error, float(np.abs(now - expected[:, t]).max()))
            action, carry = act(policy, table[:, t], carry)
        right = (_returns(env, env_params, algo, policy) == 1).all()
        assert right == (np.asarray(action) == [0, 1]).all()
        errors.append(error)
        solved.append(right)
    assert sum(solved) >= 7, solved
    assert np.median(errors) < 0.1, errors


def test_no_memory_stays_at_its_bound_of_the_memory_probe():
    """Half of the answers are right, and all values 0, as the probe's docstring derives."""
    env, env_params, algo, policies = _solve("", "Probe-Memory-v1")
    for policy in policies:
        returns = _returns(env, env_params, algo, policy)
        assert abs(returns.mean()) < 4 / np.sqrt(len(returns))
        values = algo.value(policy, jnp.asarray(env.observations()))
        assert np.abs(values).max() < 0.4


@pytest.mark.parametrize("recurrent", ["gru", "lru"])
def test_memory_solves_memory_chain(recurrent):
    """bsuite's task pays 1 for the bit of ten steps ago and -1 for the other."""
    env, env_params, algo, policies = _solve(recurrent, "MemoryChain-bsuite", memory_length=10)
    for policy in policies:
        assert (_returns(env, env_params, algo, policy) == 1).all()
