"""The on-policy loop as a program: composition, compilation, callbacks, cost of bootstrapping."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import registry
from jaxrl.algorithm import canonical, train
from jaxrl.algos.on_policy.learnt import random_drift
from jaxrl.algos.on_policy.types import Config
from jaxrl.networks import NetworkConfig
from jaxrl.parallel import map_seeds
from tests.jaxprs import equations, jaxpr_of, subjaxprs

CONFIG = Config(
    num_envs=8,
    num_steps=16,
    num_epochs=2,
    num_minibatches=2,
    normalize_observation=True,
    normalize_reward=True,
    network=NetworkConfig(hidden=(8,)),
)


def _make(name="ppo", config=CONFIG, env_id="CartPole-v1", **overrides):
    env, env_params = jaxrl.make(env_id, **overrides)
    spec = registry.algorithm(name)
    hp = spec.hyperparameters(env=env_params, horizon=100.0)
    return spec.make(env, env_params, config), canonical(hp)


@pytest.fixture(scope="module")
def ppo():
    return _make(max_steps_in_episode=20)


@pytest.fixture(scope="module")
def two_updates(ppo):
    algo, _ = ppo
    return jax.jit(train(algo, 2))


def _equal(a, b):
    def raw(x):
        return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x

    jax.tree.map(lambda x, y: np.testing.assert_array_equal(raw(x), raw(y)), a, b)


def test_same_key_same_run_bit_for_bit(ppo, two_updates):
    _, hp = ppo
    first, second = two_updates(jax.random.key(1), hp), two_updates(jax.random.key(1), hp)
    _equal(first, second)
    other, _ = two_updates(jax.random.key(2), hp)
    kernel = ("params", "policy", "kernel")
    weights = [state.policy.params for state in (first[0], other)]
    for name in kernel:
        weights = [w[name] for w in weights]
    assert not np.array_equal(*weights)


def test_metrics_are_finite_scalars_per_update(ppo, two_updates):
    state, metrics = two_updates(jax.random.key(1), ppo[1])
    assert state.update == 2 and state.update.dtype == jnp.int32
    for name, value in metrics.items():
        assert value.shape == (2,) and value.dtype in (jnp.float32, jnp.int32), name
        if name not in ("episode_return", "episode_length"):
            assert np.isfinite(value).all(), name
    # 8 environments, 32 steps, episodes of at most 20: each must have ended at least once.
    assert metrics["episodes"].sum() >= 8
    assert np.nanmax(metrics["episode_length"]) <= 20


def test_a_hyperparameter_compiles_nothing(ppo, two_updates):
    _, hp = ppo
    two_updates(jax.random.key(0), hp)
    compiled = two_updates._cache_size()
    for change in ({"lr": 1e-2}, {"gamma": 0.5}, {"objective": hp.objective.replace(clip=0.3)}):
        changed = canonical(hp.replace(**change))
        two_updates(jax.random.key(0), changed)
    changed = canonical(hp.replace(env=hp.env.replace(gravity=5.0, max_steps_in_episode=7)))
    _, metrics = two_updates(jax.random.key(0), changed)
    assert two_updates._cache_size() == compiled == 1
    assert np.nanmax(metrics["episode_length"]) <= 7  # the value was used, not baked in


def test_training_has_no_host_callback(ppo):
    algo, hp = ppo
    jaxpr = jaxpr_of(train(algo, 2), jax.random.key(0), hp)
    names = {eqn.primitive.name for eqn in equations(jaxpr)}
    assert "scan" in names and "dot_general" in names
    forbidden = ("callback", "infeed", "outfeed", "host", "debug_print")
    assert [name for name in names if any(word in name for word in forbidden)] == []


def test_the_check_for_callbacks_can_fail():
    def noisy(x):
        jax.debug.print("{}", x)
        return x

    names = {eqn.primitive.name for eqn in equations(jaxpr_of(jax.jit(noisy), 1.0))}
    assert any("callback" in name or "debug_print" in name for name in names), names


def test_bootstrapping_needs_no_second_forward_pass_each_step(ppo):
    """In the rollout, one pass over all environments; elsewhere only chunks of ended ones."""
    algo, hp = ppo
    state = jax.eval_shape(algo.init, jax.random.key(0), hp)
    scans = [
        eqn
        for eqn in equations(jaxpr_of(algo.step, state, hp))
        if eqn.primitive.name == "scan" and eqn.params["length"] == CONFIG.num_steps
    ]
    (body,) = [
        body for scan in scans for body in subjaxprs(scan) if any(map(_is_dot, equations(body)))
    ]
    every_step = [eqn for eqn in equations(body, frozenset({"while"})) if _is_dot(eqn)]
    when_needed = [
        eqn for eqn in equations(body) if _is_dot(eqn) and all(eqn is not e for e in every_step)
    ]
    # Actor and critic with one hidden layer and one head each: four products over 8 rows. The
    # value of truncated observations: products over a chunk of 4, inside a while loop.
    assert [eqn.outvars[0].aval.shape[0] for eqn in every_step] == [CONFIG.num_envs] * 4
    assert {eqn.outvars[0].aval.shape[0] for eqn in when_needed} == {4}


def _is_dot(eqn):
    return eqn.primitive.name == "dot_general"


@pytest.mark.parametrize("name", ["ppo", "lpo"])
def test_first_minibatch_sees_the_policy_that_acted(name):
    """One epoch, one minibatch: r = 1 exactly where it is taken, also with normalisation on."""
    config = dataclasses.replace(CONFIG, num_epochs=1, num_minibatches=1)
    algo, hp = _make(name, config)
    _, metrics = jax.jit(train(algo, 3))(jax.random.key(0), hp)
    np.testing.assert_allclose(metrics["approx_kl"], np.zeros(3), atol=1e-9)
    np.testing.assert_allclose(metrics["kl"], np.zeros(3), atol=1e-6)


def test_adaptive_kl_weight_is_carried_in_the_state():
    algo, hp = _make("ppo-kl-adaptive")
    hp = canonical(hp.replace(lr=0.0))  # the policy never moves: KL = 0, the weight halves
    state, _ = jax.jit(train(algo, 3))(jax.random.key(0), hp)
    assert state.objective == 0.125


def test_running_on_equals_running_through(ppo, two_updates):
    """A state holds all there is: 2 updates and 2 more equal 4, bit for bit."""
    algo, hp = ppo
    step = jax.jit(algo.step)
    state, _ = two_updates(jax.random.key(3), hp)
    for _ in range(2):
        state, _ = step(state, hp)
    whole = algo.init(jax.random.key(3), hp)
    for _ in range(4):
        whole, _ = step(whole, hp)
    _equal(state.key, whole.key)
    _equal(state.update, whole.update)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        state.policy,
        whole.policy,
    )


def _stack(trees):
    return jax.tree.map(lambda *x: jnp.stack(x), *trees)


@pytest.mark.parametrize("mapping", [jax.vmap, lambda fn: map_seeds(fn, "cpu")])
def test_seeds_hyperparameters_worlds_and_objectives_in_one_program(mapping):
    """Vmap over everything at once equals a Python loop over the same."""
    config = dataclasses.replace(CONFIG, num_envs=4, num_steps=8)
    algo, hp = _make("lpo", config, max_steps_in_episode=20)
    points = []
    for i, (lr, gravity) in enumerate([(1e-3, 9.8), (3e-3, 5.0), (1e-2, 20.0)]):
        phi = random_drift(jax.random.key(10 + i), hidden=4)
        changed = hp.replace(lr=lr, objective=phi, env=hp.env.replace(gravity=gravity))
        points.append(canonical(changed))
    keys = jax.random.split(jax.random.key(0), 3)
    run = jax.jit(train(algo, 2))
    loop = _stack([run(key, point)[1] for key, point in zip(keys, points, strict=True)])
    together = jax.jit(mapping(train(algo, 2)))
    _, metrics = together(keys, _stack(points))
    assert together._cache_size() == 1
    for name in ("loss", "value_loss", "entropy", "param_norm", "lr", "value", "episodes"):
        np.testing.assert_allclose(metrics[name], loop[name], rtol=2e-4, atol=1e-5, err_msg=name)
    assert len(np.unique(np.asarray(metrics["param_norm"])[:, -1])) == 3


class _OwnNetwork(nn.Module):
    @nn.compact
    def __call__(self, obs):
        x = nn.relu(nn.Dense(8, name="own")(obs))
        return nn.Dense(2)(x), nn.Dense(1)(x)[..., 0]


def test_a_users_own_network_is_trained():
    env, env_params = jaxrl.make("CartPole-v1")
    spec = registry.algorithm("ppo")
    algo = spec.make(env, env_params, CONFIG, network=_OwnNetwork())
    hp = canonical(spec.hyperparameters(env=env_params))
    before = algo.init(jax.random.key(0), hp)
    after, _ = jax.jit(algo.step)(before, hp)
    weights = [s.policy.params["params"]["module"]["own"]["kernel"] for s in (before, after)]
    assert weights[0].shape == (4, 8)
    # Adam moves every weight by about lr in each of the four gradient steps, at the start.
    change = np.abs(np.asarray(weights[1]) - np.asarray(weights[0]))
    assert 1e-4 < np.median(change) < 4 * float(hp.lr) * 1.1


def test_a_config_is_refused_before_anything_compiles():
    with pytest.raises(ValueError, match="does not divide"):
        dataclasses.replace(CONFIG, num_minibatches=3)
    with pytest.raises(ValueError, match="num_updates"):
        train(_make()[0], 0)
