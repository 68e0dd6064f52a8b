"""Meshes, rows on them, and runs whose numbers do not depend on them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxrl
from jaxrl import chunks, parallel
from jaxrl.algos.on_policy import a2c, objectives
from jaxrl.algos.on_policy.loop import gae, on_policy
from jaxrl.algos.on_policy.rollout import make_rollout
from jaxrl.algos.on_policy.types import Config
from jaxrl.networks import NetworkConfig, make_net
from jaxrl.normalization import init_moments, standard_deviation, update_moments
from jaxrl.shards import Shards
from jaxrl.vector import VecEnv
from tests import fake_algorithm

E, UPDATES = 4, 3


@pytest.mark.parametrize(
    ("devices", "seeds", "shards", "expected"),
    [
        (1, 8, 4, (1, 1)),
        (4, 8, 1, (4, 1)),
        (4, 4, 4, (4, 1)),
        (4, 3, 1, (3, 1)),
        (4, 5, 1, (3, 1)),  # two rounds, as four devices would take
        (8, 9, 1, (5, 1)),
        (4, 6, 2, (3, 1)),
        (8, 6, 2, (6, 1)),
        (4, 2, 2, (2, 2)),
        (4, 1, 4, (1, 4)),
        (4, 1, 6, (1, 3)),
        (7, 2, 4, (2, 2)),
        (4, 1, 1, (1, 1)),
    ],
)
def test_mesh_of_one_process(devices, seeds, shards, expected):
    assert parallel.choose_mesh(devices, seeds, shards) == expected


@pytest.mark.parametrize(
    ("devices", "seeds", "shards", "processes", "expected"),
    [
        (2, 5, 1, 2, (2, 1)),  # three rounds on two devices
        (4, 5, 1, 4, (4, 1)),  # three would be enough, but every process needs its part
        (4, 1, 2, 2, (1, 2)),
        (4, 1, 4, 2, (1, 4)),
        (8, 3, 2, 2, (3, 2)),
        (6, 3, 1, 2, (2, 1)),
    ],
)
def test_mesh_of_several_processes(devices, seeds, shards, processes, expected):
    assert parallel.choose_mesh(devices, seeds, shards, processes) == expected


def test_mesh_that_cannot_be():
    with pytest.raises(ValueError, match="1 seeds with 1 env shards each cannot be divided"):
        parallel.choose_mesh(2, 1, 1, processes=2)
    with pytest.raises(ValueError, match="must be at least 1"):
        parallel.choose_mesh(4, 0)
    with pytest.raises(ValueError, match="5 devices were asked for, there are 4 of kind cpu"):
        parallel.make_mesh(8, devices=5)
    assert parallel.make_mesh(8, devices=1) is None
    mesh = parallel.make_mesh(2, 2)
    assert mesh is not None and dict(mesh.shape) == {"seed": 2, "env": 2}


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("rows", [1, 4, 5])
def test_rows_on_a_mesh_are_the_rows(backend, rows):
    mesh = parallel.make_mesh(8)
    assert mesh is not None and mesh.shape["seed"] == 4
    x = {"a": jnp.arange(3.0 * rows).reshape(rows, 3)}
    keys = jax.random.split(jax.random.key(0), rows)

    def fn(key, x):
        return jax.random.normal(key), jnp.square(x["a"]).sum(), key

    noise, squares, out_keys = jax.jit(parallel.map_seeds(fn, backend, mesh))(keys, x)
    np.testing.assert_array_equal(noise, [jax.random.normal(key) for key in keys])
    np.testing.assert_allclose(squares, (np.asarray(x["a"]) ** 2).sum(1))
    assert jnp.all(out_keys == keys)
    if rows == 4:
        assert len(noise.sharding.device_set) == 4


def test_arrays_without_elements_pass():
    mesh = parallel.make_mesh(4)
    x = (jnp.ones((4, 2)), jnp.ones((4, 0)))
    twice, empty = jax.jit(parallel.map_seeds(lambda x, e: (2 * x, e), mesh=mesh))(*x)
    assert twice.tolist() == [[2.0, 2.0]] * 4 and empty.shape == (4, 0)


def test_rows_are_cut_or_repeated():
    x = jnp.arange(3)
    assert parallel.fit_rows(x, 5).tolist() == [0, 1, 2, 2, 2]
    assert parallel.fit_rows(x, 2).tolist() == [0, 1]


def test_moments_of_shards_are_those_of_all():
    batches = (
        np.random.default_rng(0).normal(3.0, 2.0, (2, 4, 10, 3)).astype(np.float32)
    )  # [batch, shard, row, ...]
    shards = Shards(("s",), 4)

    def update(moments, batch):
        return update_moments(moments, batch, shards)

    moments = init_moments(jnp.zeros(3))
    for batch in batches:
        moments = jax.vmap(update, (None, 0), None, axis_name="s")(moments, batch)
    everything = np.swapaxes(batches, 2, 3).transpose(0, 1, 3, 2).reshape(-1, 3)
    assert float(moments.count) == 80
    np.testing.assert_allclose(moments.mean, everything.mean(0), rtol=1e-5)
    np.testing.assert_allclose(standard_deviation(moments), everything.std(0), rtol=1e-5)


def test_reductions_over_shards():
    x = np.random.default_rng(1).normal(2.0, 3.0, (4, 5)).astype(np.float32)
    shards = Shards(("s",), 4)

    def reduce(row):
        return shards.mean(row), shards.variance(row), shards.total(row), shards.average(row)

    mean, variance, total, average = jax.vmap(reduce, out_axes=None, axis_name="s")(x)
    np.testing.assert_allclose([mean, variance], [x.mean(), x.var()], rtol=1e-5)
    np.testing.assert_allclose(total, x.sum(0), rtol=1e-5)
    np.testing.assert_allclose(average, x.mean(0), rtol=1e-5)
    keys = jax.vmap(lambda _: shards.own(jax.random.key(7)), axis_name="s")(x)
    expected = [jax.random.fold_in(jax.random.key(7), i) for i in range(4)]
    assert jnp.all(keys == jnp.stack(expected))


# Training


def ppo(**changes):
    """(algorithm, hp) of PPO with everything that shards reduce switched on."""
    spec = jaxrl.registry.algorithm("ppo-kl-adaptive")
    env, env_params = jaxrl.make("CartPole-v1", max_steps_in_episode=10)
    config = Config(
        num_envs=8,
        num_steps=6,
        num_epochs=1,
        num_minibatches=2,
        normalize_observation=True,
        normalize_reward=True,
        env_shards=E,
        network=NetworkConfig(hidden=(8,)),
    )
    hp = jaxrl.canonical(spec.hyperparameters(env=env_params, lr=1e-3))
    return spec.make(env, env_params, dataclasses.replace(config, **changes)), hp


@functools.cache
def ppo_programs(seeds, devices):
    """(mesh, keys, hp, programs) of PPO with env shards; compiled once for all tests."""
    algorithm, hp = ppo()
    return programs_of(algorithm, hp, seeds, devices)


def programs_of(algorithm, hp, seeds, devices):
    """(mesh, keys, hp, programs)."""
    env_shards = algorithm.shards.num if algorithm.shards else 1
    mesh = parallel.make_mesh(seeds, env_shards, devices)
    keys = chunks.seed_keys(range(seeds))
    programs = chunks.lower(algorithm, keys, hp, mesh).compile()
    return {"seed": 1, "env": 1} if mesh is None else dict(mesh.shape), keys, hp, programs


def run(setup, updates=UPDATES, states=None):
    """(final states, metrics [updates, S]) from the beginning, or from states of other devices."""
    _, keys, hp, programs = setup
    states = programs.init(keys, hp) if states is None else programs.place(states)
    states, metrics = programs.advance(states, hp, jnp.int32(updates))
    return programs.collect(states), chunks.fetch(metrics, updates)


def assert_same(states, metrics, other_states, other_metrics, rtol):
    """Two runs gave the same, apart from rounding."""
    for name in metrics:
        theirs = np.asarray(other_metrics[name], np.float64)
        np.testing.assert_allclose(metrics[name], theirs, rtol, 1e-5, err_msg=name)
    ours, theirs = jax.tree.leaves_with_path(states), jax.tree.leaves(other_states)
    for (path, mine), other in zip(ours, theirs, strict=True):
        if jnp.issubdtype(mine.dtype, jax.dtypes.prng_key):
            mine, other = jax.random.key_data(mine), jax.random.key_data(other)
        np.testing.assert_allclose(mine, other, rtol, 1e-5, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("seeds", [1, 2])
def test_env_shards_may_be_anywhere(seeds):
    """One shard on each of four devices, and two."""
    spread = ppo_programs(seeds, 4)
    assert spread[0] == {"seed": seeds, "env": 4 // seeds}
    states, metrics = run(spread)
    expected, expected_metrics = run(ppo_programs(2, 1))
    expected = jax.tree.map(lambda x: x[:seeds], expected)
    expected_metrics = {name: values[:, :seeds] for name, values in expected_metrics.items()}
    assert_same(states, metrics, expected, expected_metrics, 1e-4)


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1)])
def test_run_with_env_shards_goes_on_elsewhere(before, after):
    states, _ = run(ppo_programs(2, before), 2)
    states, metrics = run(ppo_programs(2, after), UPDATES - 2, states)
    expected, expected_metrics = run(ppo_programs(2, 1))
    expected_metrics = {name: values[2:] for name, values in expected_metrics.items()}
    assert_same(states, metrics, expected, expected_metrics, 1e-4)


def test_shards_differ_in_what_they_see_and_agree_in_what_they_learn():
    states, metrics = run(ppo_programs(2, 1))
    assert states.obs.shape[:3] == (2, E, 2)
    assert len({obs.tobytes() for obs in np.asarray(states.obs).reshape(2 * E, -1)}) == 2 * E
    assert states.policy.observation.count.tolist() == [UPDATES * 8 * 6.0] * 2
    assert states.reward[0].count.tolist() == [UPDATES * 8 * 6.0] * 2
    assert np.isfinite(metrics["loss"]).all()


def test_gradient_is_that_of_all_shards_at_once():
    """One step of plain gradient descent on 16 rows of two shards, written out."""
    env, env_params = jaxrl.make("CartPole-v1")
    spaces = env.observation_space(env_params), env.action_space(env_params)
    net = make_net(*spaces, NetworkConfig(hidden=(8,)))
    config = Config(4, 4, 1, 1, env_shards=2)
    alone = Config(2, 4, 1, 1)
    hp = jaxrl.canonical(a2c.A2CHyperparameters(env=env_params, lr=0.1, entropy_coef=0.0))
    algorithm = on_policy(env, net, objectives.a2c, config, optimiser=lambda hp: optax.identity())
    state = jax.jit(algorithm.init)(jax.random.key(3), hp)
    new, metrics = jax.jit(algorithm.step)(state, hp)

    key = jax.random.split(state.key, 3)[0]
    rollout = jax.jit(make_rollout(VecEnv(env, 2), net, alone))
    pieces = []
    for i in range(2):
        mine = state.replace(env=jax.tree.map(lambda x, i=i: x[i], state.env), obs=state.obs[i])
        trajectory = rollout(jax.random.fold_in(key, i), mine, hp)[1]
        pieces.append((trajectory.obs, trajectory.action, *gae(trajectory, hp)))
    obs, action, advantage, target = (
        np.concatenate([np.asarray(x).reshape(8, *x.shape[2:]) for x in both])
        for both in zip(*pieces, strict=True)
    )
    advantage = (advantage - advantage.mean()) / advantage.std()

    def loss(params):
        distribution, value, _ = net.apply(params, obs, ())
        policy_loss = -jnp.mean(distribution.log_prob(action) * advantage)
        return policy_loss + 0.5 * jnp.mean(0.5 * jnp.square(value - target))

    expected, grads = jax.value_and_grad(loss)(state.policy.params)
    assert float(metrics["loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(metrics["grad_norm"]) == pytest.approx(float(optax.tree.norm(grads)), rel=1e-4)
    for old, mine, grad in zip(
        *map(jax.tree.leaves, (state.policy.params, new.policy.params, grads)), strict=True
    ):
        np.testing.assert_allclose(old - mine, 0.1 * grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("devices", [2, 4])
def test_seeds_may_be_anywhere(devices):
    """Five seeds, which divide among neither two nor four devices."""
    algorithm = fake_algorithm.make(None, None, fake_algorithm.Config())
    hp = jaxrl.canonical(fake_algorithm.Hyperparameters())
    expected, expected_metrics = run(programs_of(algorithm, hp, 5, 1))
    spread = programs_of(algorithm, hp, 5, devices)
    assert spread[0] == {"seed": {2: 2, 4: 3}[devices], "env": 1}
    states, metrics = run(spread)
    assert metrics["loss"].shape == (UPDATES, 5)
    assert_same(states, metrics, expected, expected_metrics, 1e-6)


def test_states_go_out_and_back_in():
    algorithm = fake_algorithm.make(None, None, fake_algorithm.Config())
    hp = jaxrl.canonical(fake_algorithm.Hyperparameters())
    keys = chunks.seed_keys(range(5))
    programs = chunks.lower(algorithm, keys, hp, parallel.make_mesh(5)).compile()
    states = programs.collect(programs.init(keys, hp))
    before = jax.device_get((states.policy, jax.random.key_data(states.key)))
    again = programs.place(states)
    assert again.policy.weights.shape == (6, 3) and len(again.key.sharding.device_set) == 3
    programs.advance(again, hp, jnp.int32(2))
    after = jax.device_get((states.policy, jax.random.key_data(states.key)))
    for mine, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(mine, other)  # the consumed states were copies


def test_algorithm_without_shards_has_no_env_axis():
    algorithm = fake_algorithm.make(None, None, fake_algorithm.Config())
    mesh = parallel.make_mesh(1, 4)
    with pytest.raises(ValueError, match="need an algorithm with env shards"):
        chunks.lower(algorithm, chunks.seed_keys(range(1)), jaxrl.canonical(0.0), mesh)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(env_shards=0), "config.env_shards must be at least 1"),
        (dict(env_shards=3), "num_envs = 8 does not divide into env_shards = 3"),
        (dict(num_minibatches=24), "a shard of 2 environments and num_steps = 6 does not divide"),
        (dict(reset_chunk=3), r"reset_chunk must be in \[0, num_envs / env_shards\], got 3"),
    ],
)
def test_shards_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        ppo(**changes)
