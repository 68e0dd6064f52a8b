"""Populations: rows and groups, devices, one generation as one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxrl import parallel
from jaxrl.algos.meta import generation, population, strategies
from tests.algos.meta.tiny import numbers, training_generation

MEMBERS, SEEDS = 6, 3


def _first(key, phi):
    return jax.random.uniform(key) * phi["a"] + jnp.sum(phi["b"])


def _second(key, phi):
    return jax.random.normal(key) - jnp.square(phi["a"])


TASKS = (_first, _second)


def _phis():
    key_a, key_b = jax.random.split(jax.random.key(1))
    return {
        "a": jax.random.normal(key_a, (MEMBERS,)),
        "b": jax.random.normal(key_b, (MEMBERS, 2)),
    }


def _keys():
    return jax.random.split(jax.random.key(2), (len(TASKS), SEEDS))


def _score(group, devices=1):
    mesh = None
    if devices > 1:
        mesh = parallel.make_population_mesh(devices, devices)
        assert mesh.size == devices

    def fn(phis, keys):
        return population.score(TASKS, phis, keys, group, mesh)

    return np.asarray(population.on_mesh(fn, mesh)(_phis(), _keys()))


def _loop():
    """The same one after another."""
    phis, keys = _phis(), _keys()
    scores = np.zeros((len(TASKS), MEMBERS, SEEDS), np.float32)
    for t, task in enumerate(TASKS):
        for p in range(MEMBERS):
            for s in range(SEEDS):
                scores[t, p, s] = task(keys[t, s], jax.tree.map(lambda leaf, p=p: leaf[p], phis))
    return scores


@pytest.mark.parametrize("group", [1, 4, 18, 50])
def test_scores_are_those_of_a_loop(group):
    """18 rows in groups of 1, of 4 with 2 places left over, in one group, in a larger one."""
    np.testing.assert_allclose(_score(group), _loop(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("group", [1, 4, 5])
@pytest.mark.parametrize("devices", [2, 4])
def test_devices_change_no_bit(group, devices):
    """4 groups of 5 are even, 5 groups of 4 leave devices idle at the end."""
    np.testing.assert_array_equal(_score(group, devices), _score(group))


@pytest.mark.parametrize(
    ("total", "group", "devices", "expected"),
    [
        (5, 2, 1, [[0, 1], [2, 3], [4, 4]]),
        (5, 2, 2, [[0, 1], [2, 3], [4, 4], [4, 4]]),
        (4, 2, 2, [[0, 1], [2, 3]]),
        (2, 4, 1, [[0, 1, 1, 1]]),
        (3, 1, 4, [[0], [1], [2], [2]]),
    ],
)
def test_rows_by_hand(total, group, devices, expected):
    rows = population._rows(total, group, devices)
    np.testing.assert_array_equal(rows, expected)
    assert rows.dtype == np.int32


def test_members_share_their_random_numbers():
    """Members with the same phi have the same fitness, seed by seed; seeds differ."""
    phis = {"a": jnp.ones(MEMBERS), "b": jnp.zeros((MEMBERS, 2))}
    scores = np.asarray(population.score(TASKS, phis, _keys(), 4, None))
    np.testing.assert_array_equal(scores, np.broadcast_to(scores[:, :1], scores.shape))
    assert len(np.unique(scores)) == len(TASKS) * SEEDS


def test_normalised_by_hand():
    """Two tasks, random 0 and 10, PPO 10 and 30; two members, two seeds."""
    scores = jnp.asarray([[[5.0, 10.0], [0.0, jnp.nan]], [[30.0, 50.0], [10.0, 10.0]]])
    fitness = generation.normalised(scores, jnp.asarray([0.0, 10.0]), jnp.asarray([10.0, 30.0]))
    # (0.5 + 1 + 1 + 2) / 4, and a member one of whose trainings failed.
    np.testing.assert_allclose(fitness, [1.125, np.nan])
    failed = scores.at[1, 0, 0].set(jnp.inf)
    fitness = generation.normalised(failed, jnp.asarray([0.0, 10.0]), jnp.asarray([10.0, 30.0]))
    assert not np.isfinite(fitness).any()


def _cheap(mesh=None, group=4):
    """(a generation of two cheap tasks, its state)."""
    evolution = strategies.Evolution(population=MEMBERS, sigma=0.1)
    weights = {"a": jnp.float32(0.5), "b": jnp.ones(2)}
    strategy = strategies.make_strategy(evolution, weights)
    programs = generation.make_generation(strategy, lambda w: w, TASKS, SEEDS, group, mesh)
    state = programs.init(jax.random.key(0), weights, jnp.zeros(2), jnp.ones(2))
    if mesh is not None:
        state = parallel.place(state, NamedSharding(mesh, PartitionSpec()))
    return programs, state


@pytest.mark.parametrize("devices", [1, 4])
def test_a_generation_is_one_program_and_says_nothing_to_the_host(devices):
    mesh = parallel.make_population_mesh(devices, devices)
    programs, state = _cheap(mesh)
    compiled = programs.step.lower(state).compile()
    with jax.transfer_guard("disallow"):  # in both directions, and between devices
        for _ in range(3):
            state, metrics = compiled(state)
    assert state.generation == 3 and state.generation.dtype == jnp.int32
    shapes = {name: value.shape for name, value in metrics.items()}
    assert shapes == {
        "fitness": (MEMBERS,), "returns": (2,), "failed": (), "sigma": (), "weight_norm": (),
        "step_norm": (),
    }  # fmt: skip


def test_all_generations_are_compiled_once():
    programs, state = _cheap()
    for _ in range(3):
        state, _ = programs.step(state)
    assert programs.step._cache_size() == 1


def test_metrics_of_a_generation():
    programs, state = _cheap()
    after, metrics = programs.step(state)
    before, mean = state.strategy.mean, after.strategy.mean
    np.testing.assert_allclose(metrics["weight_norm"], np.linalg.norm(mean), rtol=1e-6)
    np.testing.assert_allclose(metrics["step_norm"], np.linalg.norm(mean - before), rtol=1e-5)
    np.testing.assert_allclose(metrics["sigma"], 0.1, rtol=1e-6)  # of the members it trained
    # Random 0, PPO 1: fitness is the mean return over tasks.
    np.testing.assert_allclose(
        np.mean(metrics["fitness"]), np.mean(metrics["returns"]), rtol=1e-5, atol=1e-6
    )
    assert metrics["failed"] == 0
    assert not np.array_equal(*(jax.random.key_data(s.key) for s in (state, after)))


def test_failed_members_are_counted_and_do_not_spread():
    def failing(key, phi):
        return jnp.where(phi["a"] > 0.5, jnp.nan, phi["a"])

    evolution = strategies.Evolution(population=MEMBERS, sigma=0.1)
    weights = {"a": jnp.float32(0.5)}
    strategy = strategies.make_strategy(evolution, weights)
    programs = generation.make_generation(strategy, lambda w: w, [failing], SEEDS, 4)
    state = programs.init(jax.random.key(0), weights, jnp.zeros(1), jnp.ones(1))
    after, metrics = programs.step(state)
    assert metrics["failed"] == MEMBERS // 2  # antithetic about 0.5
    assert np.isfinite(metrics["returns"]).all()
    assert np.isfinite(after.strategy.mean).all()


def test_a_generation_of_trainings_is_the_same_on_any_number_of_devices():
    """To the last bit: what is vectorised together does not depend on the devices."""
    results = {}
    for devices in (1, 2, 4):
        mesh = parallel.make_population_mesh(4, devices) if devices > 1 else None
        programs, state = training_generation(mesh)
        for _ in range(2):
            state, metrics = programs.step(state)
        assert np.isfinite(metrics["fitness"]).all() and np.ptp(metrics["fitness"]) > 0
        results[devices] = numbers((state, metrics))
    for devices in (2, 4):
        for mine, theirs in zip(results[devices], results[1], strict=True):
            np.testing.assert_array_equal(mine, theirs)
