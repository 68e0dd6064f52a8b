"""Running moments against NumPy."""

import jax.numpy as jnp
import numpy as np

from jaxrl.normalization import (
    init_moments,
    init_observation_moments,
    standard_deviation,
    standardize,
    standardize_observation,
    update_moments,
    update_observation_moments,
)


def test_moments_of_a_stream_equal_numpy_of_the_whole():
    rng = np.random.default_rng(0)
    stream = [
        {"a": rng.normal(1000, 2, (n, 3)).astype(np.float32), "b": rng.normal(size=n)}
        for n in (1, 5, 64, 7)
    ]
    moments = init_moments({"a": jnp.zeros(3), "b": jnp.float32(0)})
    for batch in stream:
        moments = update_moments(
            moments, {k: jnp.asarray(v, jnp.float32) for k, v in batch.items()}
        )
    for name in ("a", "b"):
        whole = np.concatenate([batch[name] for batch in stream]).astype(np.float64)
        np.testing.assert_allclose(moments.mean[name], whole.mean(0), rtol=1e-6)
        np.testing.assert_allclose(standard_deviation(moments)[name], whole.std(0), rtol=1e-4)
    assert moments.count == 77
    scaled = standardize(moments, {"a": jnp.asarray(stream[2]["a"]), "b": jnp.zeros(64)})
    mean, std = np.asarray(moments.mean["a"]), np.asarray(standard_deviation(moments)["a"])
    expected = (stream[2]["a"] - mean) / std
    np.testing.assert_allclose(scaled["a"], expected, rtol=1e-5)


def test_nothing_seen_leaves_a_batch_unchanged():
    batch = jnp.asarray([[1.0, -2.0]])
    np.testing.assert_array_equal(standardize(init_moments(jnp.zeros(2)), batch), batch)


def test_a_constant_feature_is_not_blown_up_without_bound():
    moments = update_moments(init_moments(jnp.float32(0)), jnp.full(10, 3.0))
    assert standard_deviation(moments) == np.float32(1e-4)


def test_only_float_leaves_of_an_observation_are_standardised():
    obs = {
        "action_mask": jnp.asarray([[True, False], [True, True]]),
        "choice": jnp.asarray([3, 4], jnp.int32),
        "x": jnp.asarray([[1.0], [3.0]]),
    }
    moments = update_observation_moments(init_observation_moments(obs), obs)
    out = standardize_observation(moments, obs)
    assert out["x"].tolist() == [[-1.0], [1.0]]
    assert out["choice"] is obs["choice"] and out["action_mask"] is obs["action_mask"]
