"""Networks: shapes and parameter counts by hand, choice by spaces, users' own modules."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.distributions import (
    Categorical,
    ClippedNormal,
    ConditionalCategorical,
    MultiCategorical,
    TanhNormal,
)
from jaxrl.networks import NetworkConfig, make_net
from jaxrl.networks.net import featurize
from jaxrl.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple

SMALL = NetworkConfig(hidden=(5, 7))


def _count(params):
    return sum(x.size for x in jax.tree.leaves(params))


def test_separate_torsos_have_the_expected_parameters():
    """Each torso 3*5+5 + 5*7+7 = 62; heads 7*4+4 and 7+1."""
    net = make_net(Box(-1.0, 1.0, (3,)), Discrete(4), SMALL)
    assert _count(net.init(jax.random.key(0))) == 2 * 62 + 32 + 8
    shared = NetworkConfig(hidden=(5, 7), shared_torso=True)
    net = make_net(Box(-1.0, 1.0, (3,)), Discrete(4), shared)
    assert _count(net.init(jax.random.key(0))) == 62 + 32 + 8


def test_forward_pass_against_numpy():
    net = make_net(Box(-1.0, 1.0, (3,)), Discrete(4), SMALL)
    params = net.init(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    policy, value, _ = net.apply(params, jnp.asarray(x), ())
    p = jax.tree.map(np.asarray, params["params"])

    def torso(p, x):
        for layer in ("Dense_0", "Dense_1"):
            x = np.tanh(x @ p["MLP_0"][layer]["kernel"] + p["MLP_0"][layer]["bias"])
        return x

    logits = torso(p["actor"], x) @ p["policy"]["kernel"] + p["policy"]["bias"]
    values = torso(p["critic"], x) @ p["value"]["kernel"] + p["value"]["bias"]
    np.testing.assert_allclose(policy.logits, logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(value, values[:, 0], rtol=1e-5, atol=1e-6)
    kernel = p["actor"]["MLP_0"]["Dense_0"]["kernel"]
    np.testing.assert_allclose(kernel @ kernel.T, 2 * np.eye(3), atol=1e-5)


def test_convolution_is_chosen_for_images_only():
    """3x3 VALID: 10 -> 8; kernel 3*3*4*6 + 6; dense 8*8*6*5 + 5, 5*7+7."""
    config = NetworkConfig(hidden=(5, 7), channels=(6,), shared_torso=True)
    net = make_net(Box(0.0, 1.0, (10, 10, 4)), Discrete(3), config)
    torso = (3 * 3 * 4 * 6 + 6) + (8 * 8 * 6 * 5 + 5) + (5 * 7 + 7)
    assert _count(net.init(jax.random.key(0))) == torso + (7 * 3 + 3) + (7 + 1)
    vector = make_net(Box(0.0, 1.0, (3,)), Discrete(4), config)
    assert _count(vector.init(jax.random.key(0))) == 62 + 32 + 8
    strided = NetworkConfig(hidden=(5,), channels=(6, 6), strides=(2, 2), shared_torso=True)
    net = make_net(Box(0.0, 1.0, (11, 11, 1)), Discrete(3), strided)
    params = net.init(jax.random.key(0))["params"]["actor"]["CNN_0"]
    assert params["MLP_0"]["Dense_0"]["kernel"].shape == (2 * 2 * 6, 5)  # 11 -> 5 -> 2


@pytest.mark.parametrize(
    ("space", "config", "kind"),
    [
        (Discrete(4), SMALL, Categorical),
        (MultiDiscrete((2, 3)), SMALL, MultiCategorical),
        (
            MultiDiscrete((2, 3)),
            NetworkConfig(multi_discrete="conditional"),
            ConditionalCategorical,
        ),
        (Box(-1.0, 1.0, (2,)), SMALL, TanhNormal),
        (Box(-1.0, 1.0, (2,)), NetworkConfig(continuous="clipped-normal"), ClippedNormal),
    ],
)
def test_the_distribution_follows_the_action_space(space, config, kind):
    net = make_net(Box(-1.0, 1.0, (3,)), space, config)
    policy, value, _ = net.apply(net.init(jax.random.key(0)), jnp.zeros((6, 3)), ())
    assert isinstance(policy, kind) and value.shape == (6,)
    action = net.to_action(policy.sample(jax.random.key(1)))
    assert action.shape == (6, *space.shape) and action.dtype == space.dtype


def test_observations_may_be_pytrees_with_images_choices_and_a_mask():
    space = Dict(
        {
            "action_mask": Box(0, 1, (4,), jnp.bool_),
            "image": Box(0, 255, (6, 6, 3), jnp.uint8),
            "pair": Tuple((Discrete(5), Box(-1.0, 1.0, (2,)))),
        }
    )
    config = NetworkConfig(hidden=(8,), channels=(2,))
    net = make_net(space, Discrete(4), config)
    obs = {
        "action_mask": jnp.asarray([[True, False, True, False]] * 2),
        "image": jnp.full((2, 6, 6, 3), 255, jnp.uint8),
        "pair": (jnp.asarray([3, 0], jnp.int32), jnp.zeros((2, 2))),
    }
    features = featurize(space, obs)
    assert set(features) == {"image", "pair"}
    assert features["image"].max() == 1.0
    np.testing.assert_array_equal(features["pair"][0], np.eye(5)[[3, 0]])
    policy, _, _ = net.apply(net.init(jax.random.key(0)), obs, ())
    np.testing.assert_array_equal(jnp.exp(policy.log_probs)[:, 1::2], np.zeros((2, 2)))


class _Features(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Dense(9)(x))


class _Pair(nn.Module):
    width: int = 2

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.width)(x), nn.Dense(1)(x)[..., 0]


def test_a_users_module_of_features_gets_heads():
    net = make_net(Box(-1.0, 1.0, (3,)), Discrete(4), SMALL, _Features())
    params = net.init(jax.random.key(0))
    assert _count(params) == 2 * (3 * 9 + 9) + (9 * 4 + 4) + (9 + 1)
    actor, critic = params["params"]["actor"], params["params"]["critic"]
    assert not np.allclose(actor["Dense_0"]["kernel"], critic["Dense_0"]["kernel"])


def test_a_users_module_of_outputs_and_values_is_taken_whole():
    net = make_net(Box(-1.0, 1.0, (3,)), Box(-1.0, 1.0, (2,)), SMALL, _Pair())
    params = net.init(jax.random.key(0))
    assert _count(params) == (3 * 2 + 2) + (3 + 1) + 2  # and two log standard deviations
    policy, value, _ = net.apply(params, jnp.zeros((5, 3)), ())
    assert isinstance(policy, TanhNormal) and value.shape == (5,)


def test_a_module_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"policy outputs \[B, 4\]"):
        make_net(Box(-1.0, 1.0, (3,)), Discrete(4), SMALL, _Pair(width=3))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"hidden": ()}, "positive widths"),
        ({"channels": (0,)}, "must be positive"),
        ({"channels": (2,), "strides": (1, 1)}, "one entry"),
        ({"activation": "sine"}, "one of tanh, relu"),
        ({"multi_discrete": "chained"}, "one of independent, conditional"),
    ],
)
def test_bad_configurations_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**bad)
