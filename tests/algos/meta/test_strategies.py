"""Evolution strategies: one step by NumPy, decay, shaping, members that failed, small problems."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxrl.algos.meta import strategies
from jaxrl.algos.meta.strategies import CMA_ES, OPEN_ES, RANKS, SNES, Evolution

NAMES = (OPEN_ES, SNES, CMA_ES)
WEIGHTS = {"a": jnp.asarray([[1.0, -1.0], [0.5, 2.0]]), "b": jnp.zeros(1)}
TARGET = np.asarray([0.2, 0.4, -0.6, 0.8, 1.0], np.float32)
P = 8


def _flat(population):
    return np.asarray(jax.vmap(lambda member: ravel_pytree(member)[0])(population))


def _quadratic(member):
    return -jnp.sum(jnp.square(ravel_pytree(member)[0] - TARGET))


@pytest.fixture(scope="module")
def programs():
    """name -> (strategy, jitted ask, jitted tell), population 8."""

    def make(name):
        evolution = Evolution(name, P, sigma=0.1, sigma_final=0.01, lr=0.05, lr_final=0.001)
        strategy = strategies.make_strategy(evolution, WEIGHTS)
        return strategy, jax.jit(strategy.ask), jax.jit(strategy.tell)

    return {name: make(name) for name in NAMES}


def _started(programs, name, generations=2):
    """A state after some generations, so that momentum and paths are not zero."""
    strategy, ask, tell = programs[name]
    state = strategy.init(jax.random.key(0), WEIGHTS)
    for i in range(generations):
        population, asked = ask(jax.random.key(i), state)
        state = tell(jax.random.key(i), population, jax.vmap(_quadratic)(population), asked)
    return state


def _leaves_equal(a, b, rtol=0.0, atol=0.0):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def test_cma_es_keeps_its_sigma_where_fitness_is_noise():
    """Pairs would shorten its evolution path: sigma fell to 0.14 of itself in this test."""
    weights = {"w": jnp.zeros(64)}
    evolution = Evolution("cma-es", 32, sigma=1.0)
    strategy = strategies.make_strategy(evolution, weights)

    @jax.jit
    def final_sigma(key):
        def step(state, key):
            key_ask, key_noise = jax.random.split(key)
            population, state = strategy.ask(key_ask, state)
            noise = jax.random.normal(key_noise, (32,))
            return strategy.tell(key, population, noise, state), ()

        state = strategy.init(key, weights)
        state, _ = jax.lax.scan(step, state, jax.random.split(key, 100))
        return strategy.sigma(state)

    finals = [float(final_sigma(jax.random.key(seed))) for seed in range(4)]
    assert 0.5 < np.exp(np.mean(np.log(finals))) < 1.5, finals


@pytest.mark.parametrize("name", [name for name in NAMES if name != "cma-es"])
def test_members_are_antithetic_pairs(programs, name):
    strategy, ask, _ = programs[name]
    state = _started(programs, name)
    population, _ = ask(jax.random.key(5), state)
    assert jax.tree.map(lambda x: x.shape, population) == {"a": (P, 2, 2), "b": (P, 1)}
    rows, mean = _flat(population), np.asarray(ravel_pytree(strategy.mean(state))[0])
    # Up to the rounding of mean + x, about 1e-7 of numbers of size 1.
    np.testing.assert_allclose(rows[P // 2 :] - mean, mean - rows[: P // 2], atol=3e-7)
    assert np.linalg.matrix_rank(rows[: P // 2] - mean, tol=1e-3) == P // 2  # all are different


@pytest.mark.parametrize("name", NAMES)
def test_same_key_same_bits(programs, name):
    _, ask, tell = programs[name]
    state = _started(programs, name)
    population, asked = ask(jax.random.key(5), state)
    again, asked_again = ask(jax.random.key(5), state)
    other, _ = ask(jax.random.key(6), state)
    _leaves_equal(population, again)
    assert not np.array_equal(_flat(population), _flat(other))
    fitness = jax.vmap(_quadratic)(population)
    told = [tell(jax.random.key(1), population, fitness, x) for x in (asked, asked_again)]
    _leaves_equal(*told)


@pytest.mark.parametrize("name", NAMES)
def test_a_quadratic_is_solved(programs, name):
    """The distance to the optimum, 3 at the start, falls to less than the last deviation."""
    strategy, _, _ = programs[name]

    @jax.jit
    def evolve(state):
        def generation(state, key):
            key_ask, key_tell = jax.random.split(key)
            population, asked = strategy.ask(key_ask, state)
            fitness = jax.vmap(_quadratic)(population)
            return strategy.tell(key_tell, population, fitness, asked), ()

        return jax.lax.scan(generation, state, jax.random.split(jax.random.key(0), 300))[0]

    start = strategy.init(jax.random.key(0), WEIGHTS)
    assert _quadratic(strategy.mean(start)) < -4
    assert _quadratic(strategy.mean(evolve(start))) > -0.01


def test_open_es_by_numpy():
    """Three generations: z-scored fitness, gradient estimate, Adam, decay from the first step."""
    evolution = Evolution(
        OPEN_ES, P, sigma=0.2, sigma_decay=0.5, sigma_final=0.06, lr=0.1, lr_decay=0.5,
        lr_final=0.03,
    )  # fmt: skip
    strategy = strategies.make_strategy(evolution, WEIGHTS)
    state = strategy.init(jax.random.key(0), WEIGHTS)
    mean = np.asarray(ravel_pytree(WEIGHTS)[0], np.float64)
    m, v = np.zeros(5), np.zeros(5)
    for n, (sigma, lr) in enumerate([(0.2, 0.1), (0.1, 0.05), (0.06, 0.03)]):
        np.testing.assert_allclose(strategy.sigma(state), sigma, rtol=1e-6)
        population, asked = strategy.ask(jax.random.key(n), state)
        rows = _flat(population).astype(np.float64)
        noise = (rows - mean) / sigma
        fitness = np.sin(3 * rows).sum(axis=1)
        state = strategy.tell(
            jax.random.key(n), population, jnp.asarray(fitness, jnp.float32), asked
        )

        score = (fitness - fitness.mean()) / fitness.std()
        gradient = score @ noise / (P * sigma)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        corrected = (m / (1 - 0.9 ** (n + 1)), v / (1 - 0.999 ** (n + 1)))
        mean = mean + lr * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        np.testing.assert_allclose(ravel_pytree(strategy.mean(state))[0], mean, rtol=1e-4)


def test_deviation_of_members_is_what_is_asked_for():
    """Estimated from 4,000 members (2,000 pairs x 5 weights: 0.7% deviation)."""
    for name in NAMES:
        evolution = Evolution(name, 4000, sigma=0.3)
        strategy = strategies.make_strategy(evolution, WEIGHTS)
        state = strategy.init(jax.random.key(0), WEIGHTS)
        population, asked = strategy.ask(jax.random.key(1), state)
        noise = _flat(population) - ravel_pytree(WEIGHTS)[0][None]
        np.testing.assert_allclose(np.std(noise), 0.3, rtol=0.03)
        np.testing.assert_allclose(strategy.sigma(asked), 0.3, rtol=1e-6)


def test_deviation_of_cma_es_counts_its_covariance(programs):
    """After some generations the covariance is no longer the identity."""
    strategy, _, _ = programs[CMA_ES]
    state = _started(programs, CMA_ES, generations=20)
    assert abs(np.trace(state.C) / 5 - 1) > 0.1
    ask = jax.jit(jax.vmap(lambda key: strategy.ask(key, state)[0]))
    rows = ask(jax.random.split(jax.random.key(0), 1000))
    noise = jax.vmap(jax.vmap(lambda member: ravel_pytree(member)[0]))(rows)
    noise = noise - ravel_pytree(strategy.mean(state))[0][None, None]
    np.testing.assert_allclose(strategy.sigma(state), np.sqrt(np.mean(np.square(noise))), rtol=0.05)


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        ((0.04, 0.5, 0.01), [0.04, 0.02, 0.01, 0.01]),
        ((0.04, 1.0, 0.01), [0.04, 0.04, 0.04, 0.04]),
        ((0.04, 0.5, 0.5), [0.04, 0.04, 0.04, 0.04]),  # never upwards
    ],
)
def test_decay_by_hand(sequence, expected):
    schedule = strategies.decayed(*sequence)
    np.testing.assert_allclose([schedule(n) for n in range(4)], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("fitness", "expected"),
    [
        ([3.0, 1.0, 2.0, 4.0, 0.0], [0.25, -0.25, 0.0, 0.5, -0.5]),
        ([1.0, 1.0, 2.0, 0.0, 5.0], [-0.125, -0.125, 0.25, -0.5, 0.5]),
        ([1.0, np.nan, 2.0, np.inf, 3.0], [0.0, -0.375, 0.25, -0.375, 0.5]),
        ([1.0, -np.inf, 2.0, np.nan, 3.0], [0.0, -0.375, 0.25, -0.375, 0.5]),
        ([7.0, 7.0, 7.0, 7.0, 7.0], [0.0] * 5),
        ([np.nan] * 5, [0.0] * 5),
    ],
)
def test_centred_ranks_by_hand(fitness, expected):
    ours = strategies.centred_ranks(jnp.asarray(fitness, jnp.float32))
    np.testing.assert_allclose(ours, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("fitness", "expected"),
    [
        # mean 2, deviations (-2, 0, 2, 0), std sqrt(2)
        ([0.0, 2.0, 4.0, 2.0], [-np.sqrt(2), 0.0, np.sqrt(2), 0.0]),
        # what failed counts as the worst: (2, 2, 4, 2), mean 2.5, std sqrt(3) / 2
        ([np.nan, 2.0, 4.0, 2.0], [-1 / np.sqrt(3)] * 2 + [np.sqrt(3), -1 / np.sqrt(3)]),
        ([np.inf, 0.0, 4.0, -np.inf], [-1 / np.sqrt(3)] * 2 + [np.sqrt(3), -1 / np.sqrt(3)]),
        ([5.0] * 4, [0.0] * 4),
        ([np.nan, np.inf, -np.inf, np.nan], [0.0] * 4),
    ],
)
def test_z_scores_by_hand(fitness, expected):
    ours = strategies.z_scores(jnp.asarray(fitness, jnp.float32))
    np.testing.assert_allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("failure", [np.nan, np.inf, -np.inf])
def test_members_that_failed_never_help(programs, name, failure):
    """Everybody on one side fails, all others are equal: the mean does not go to that side."""
    strategy, ask, tell = programs[name]
    state = strategy.init(jax.random.key(0), WEIGHTS)
    population, asked = ask(jax.random.key(5), state)
    mean = np.asarray(ravel_pytree(WEIGHTS)[0])
    side = (_flat(population) - mean) @ TARGET
    fitness = np.where(side > 0, failure, 3.0).astype(np.float32)
    # Of every pair one fails.
    assert np.isfinite(fitness).sum() == P // 2 or (name == "cma-es" and 0 < (side > 0).sum() < P)
    told = tell(jax.random.key(5), population, fitness, asked)
    assert all(
        np.isfinite(x).all()
        for x in jax.tree.leaves(
            (told.mean, told.std, told.opt_state)
            if name != CMA_ES
            else (told.mean, told.std, told.C)
        )
    )
    moved = (np.asarray(told.mean) - mean) @ TARGET
    if name == OPEN_ES:  # nothing is better than anything else
        assert moved == 0.0
    else:
        assert moved < -1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_member_that_failed_is_the_worst(programs, name):
    """The same update as with the worst finite fitness; for ranks, with a lower one."""
    strategy, ask, tell = programs[name]
    state = _started(programs, name)
    population, asked = ask(jax.random.key(5), state)
    fitness = np.asarray([3.0, 1.0, 2.0, 4.0, 0.5, 8.0, 6.0, 7.0], np.float32)

    def told(value):
        fitness[5] = value
        after = tell(jax.random.key(5), population, jnp.asarray(fitness), asked)
        return after.replace(best_solution=0, best_fitness=0)

    expected = told(0.5 if name == OPEN_ES else -9.0)
    for failure in (np.nan, np.inf, -np.inf):
        _leaves_equal(told(failure), expected)


def test_ranks_are_what_open_es_may_see_instead():
    """With centred ranks the update depends on the order of fitness alone."""
    evolution = Evolution(OPEN_ES, P, shaping=RANKS)
    strategy = strategies.make_strategy(evolution, WEIGHTS)
    population, asked = strategy.ask(jax.random.key(1), strategy.init(jax.random.key(0), WEIGHTS))
    order = np.asarray([3, 1, 2, 4, 0, 5, 6, 7], np.float32)
    tell = jax.jit(strategy.tell)
    means = [tell(jax.random.key(2), population, f, asked).mean for f in (order, np.exp(order))]
    np.testing.assert_array_equal(*means)
    assert not np.array_equal(means[0], asked.mean)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("failure", [np.nan, np.inf])
def test_a_generation_that_failed_changes_nothing(programs, name, failure):
    """Neither momentum nor evolution paths move the mean, and nothing becomes NaN."""
    strategy, ask, tell = programs[name]
    state = _started(programs, name)
    population, asked = ask(jax.random.key(5), state)
    told = tell(jax.random.key(5), population, jnp.full(P, failure), asked)
    _leaves_equal(told, asked)
    _leaves_equal(strategy.mean(told), strategy.mean(state))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(told))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population": 7}, "population must be even"),
        ({"population": 0}, "population must be even"),
        ({"strategy": "sgd"}, "strategy must be open-es, snes or cma-es"),
        ({"shaping": "raw"}, "shaping must be z-score or centred-ranks"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"sigma_final": -1.0}, "sigma_final must be positive"),
        ({"lr": float("nan")}, "lr must be positive"),
        ({"lr_final": float("inf")}, "lr_final must be positive"),
        ({"sigma_decay": 0.0}, r"sigma_decay must be in \(0, 1\]"),
        ({"lr_decay": 1.5}, r"lr_decay must be in \(0, 1\]"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Evolution(**settings)


def test_cma_es_is_for_few_weights():
    with pytest.raises(ValueError, match="covariance of at most 300 weights and phi has 301"):
        strategies.make_strategy(Evolution(CMA_ES), jnp.zeros(301))
    strategies.make_strategy(Evolution(CMA_ES), jnp.zeros(300))
