"""The pieces of an update, by hand; the mistakes the field keeps making."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.algos.on_policy import optimise as op
from jaxrl.algos.on_policy.loop import standardize_minibatch
from jaxrl.algos.on_policy.rollout import _episode_metrics, _normalize_reward
from jaxrl.algos.on_policy.types import Config, Hyperparameters, progress, validate
from jaxrl.normalization import init_moments


@pytest.mark.parametrize("optimiser", [op.adam, op.rmsprop])
def test_gradients_are_clipped_by_their_global_norm(optimiser):
    """|(3, 4)| = 5 scaled to 1 is (0.6, 0.8); element by element it would be (1, 1)."""
    transform = optimiser(Hyperparameters(max_grad_norm=1.0))
    params = {"a": jnp.float32(0), "b": jnp.float32(0)}
    grads = {"a": jnp.float32(3), "b": jnp.float32(4)}
    _, state = transform.update(grads, transform.init(params), params)
    moment = state[1].nu  # (1 - decay) g^2
    np.testing.assert_allclose(moment["b"] / moment["a"], (0.8 / 0.6) ** 2, rtol=1e-5)
    decay = 0.999 if optimiser is op.adam else 0.99
    np.testing.assert_allclose(moment["a"], (1 - decay) * 0.36, rtol=1e-4)


def test_an_infinite_norm_does_not_clip():
    transform = op.adam(Hyperparameters(max_grad_norm=jnp.inf))
    grads = {"a": jnp.float32(30.0)}
    _, state = transform.update(grads, transform.init(grads), grads)
    np.testing.assert_allclose(state[1].mu["a"], 3.0, rtol=1e-5)


def test_learning_rate_by_hand():
    """0.01 falls to a tenth over 10 updates: 0.01 (1 - 0.9 * 4 / 10) at 4."""
    hp = Hyperparameters(lr=0.01, lr_final=0.1, horizon=10.0)
    np.testing.assert_allclose(op.learning_rate(hp, jnp.int32(4)), 0.0064, rtol=1e-6)
    np.testing.assert_allclose(op.learning_rate(hp, jnp.int32(25)), 0.001, rtol=1e-5)
    assert op.learning_rate(Hyperparameters(lr=0.01, lr_final=0.0), jnp.int32(4)) == np.float32(
        0.01
    )
    assert progress(jnp.int32(3), jnp.inf) == 0.0


@pytest.mark.parametrize(
    ("value", "old", "target", "clip", "expected"),
    [
        (1.0, 0.0, 3.0, 0.5, 3.125),  # clipped to 0.5: 0.5 * max(4, 6.25)
        (1.0, 0.0, 0.0, 0.5, 0.5),  # 0.5 * max(1, 0.25)
        (0.3, 0.0, 1.0, 0.5, 0.245),  # inside the range both are 0.49
        (1.0, 0.0, 3.0, np.inf, 2.0),  # no clipping: 0.5 * 4
    ],
)
def test_value_loss_has_one_half_on_both_branches(value, old, target, clip, expected):
    np.testing.assert_allclose(op.value_loss(value, old, target, clip), expected, rtol=1e-6)


def test_every_epoch_visits_every_row_once_in_a_new_order():
    config = Config(num_envs=4, num_steps=6, num_epochs=3, num_minibatches=2)
    rows = np.asarray(op._shuffles(jax.random.key(0), config, 24)).reshape(3, 24)
    assert rows.dtype == np.int32
    for epoch in rows:
        assert sorted(epoch) == list(range(24))
    assert not (rows[0] == rows[1]).all()


def test_advantages_are_standardised():
    x = np.random.default_rng(0).normal(3, 5, 100).astype(np.float32)
    np.testing.assert_allclose(
        standardize_minibatch(jnp.asarray(x)), (x - x.mean()) / x.std(), rtol=1e-4
    )


def test_episode_metrics_by_hand():
    ended = jnp.asarray([[True, False], [False, True]])
    total, length = jnp.asarray([[5.0, 9.0], [1.0, 7.0]]), jnp.asarray([[2, 9], [1, 4]], jnp.int32)
    own = {"coins": jnp.asarray([3.0, 4.0])}  # sums over the episodes of each of the two steps
    episodes = {"return": total, "length": length, "own": own}
    metrics = _episode_metrics(ended, episodes)
    assert (metrics["episode_return"], metrics["episode_length"]) == (6.0, 3.0)
    assert metrics["episode/coins"] == 3.5
    assert metrics["episodes"] == 2 and metrics["episodes"].dtype == jnp.int32
    none = _episode_metrics(jnp.zeros((2, 2), bool), episodes | {"own": {"coins": jnp.zeros(2)}})
    assert none["episodes"] == 0 and np.isnan(none["episode_return"])
    assert np.isnan(none["episode/coins"])


def test_reward_normalisation_against_numpy():
    """Rewards over the deviation of all discounted sums seen so far, statistics carried on."""
    rng = np.random.default_rng(0)
    gamma, seen, total = 0.9, [], np.zeros(3)
    state = (init_moments(jnp.float32(0)), jnp.zeros(3))
    for _ in range(3):
        reward = rng.normal(2, 3, (5, 3)).astype(np.float32)
        ended = rng.random((5, 3)) < 0.3
        state, ours = _normalize_reward(state, jnp.asarray(reward), jnp.asarray(ended), gamma)
        for t in range(5):
            total = gamma * total + reward[t]
            seen.extend(total)
            total = np.where(ended[t], 0.0, total)
        np.testing.assert_allclose(ours, reward / np.std(seen), rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": -1e-3}, "hp.lr must be >= 0, got -0.001"),
        ({"lr": float("inf")}, "hp.lr must be finite"),
        ({"lr": float("nan")}, "hp.lr must be >= 0, got nan"),
        ({"gamma": 1.5}, "hp.gamma must be in \\[0, 1\\]"),
        ({"gae_lambda": -0.1}, "hp.gae_lambda"),
        ({"value_clip": 0.0}, "hp.value_clip must be positive"),
        ({"max_grad_norm": -1.0}, "hp.max_grad_norm must be positive"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        validate(Config(), Hyperparameters(**change))


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="3 \\* 5 = 15 does not divide into num_minibatches = 4"):
        Config(num_envs=3, num_steps=5, num_minibatches=4)
    with pytest.raises(ValueError, match="config.num_epochs must be at least 1"):
        Config(num_epochs=0)
    with pytest.raises(ValueError, match="reset_chunk"):
        Config(num_envs=4, reset_chunk=5)
