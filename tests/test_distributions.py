"""Distributions against SciPy, numerical integration and enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from jaxrl.distributions import (
    Categorical,
    ClippedNormal,
    ConditionalCategorical,
    MultiCategorical,
    TanhNormal,
    mask_logits,
)
from jaxrl.networks.heads import action_head
from jaxrl.spaces import Box, Discrete, MultiDiscrete

PROBS = np.asarray([0.5, 0.3, 0.2], np.float32)


def test_categorical_by_hand():
    policy = Categorical(jnp.log(PROBS) + 7.0)
    other = Categorical(jnp.zeros(3))
    np.testing.assert_allclose(policy.log_prob(jnp.int32(1)), np.log(0.3), rtol=1e-6)
    np.testing.assert_allclose(policy.entropy(), scipy.stats.entropy(PROBS), rtol=1e-6)
    kl = scipy.stats.entropy(PROBS, [1 / 3] * 3)
    np.testing.assert_allclose(policy.kl(other), kl, rtol=1e-5)
    assert policy.mode() == 0 and policy.mode().dtype == jnp.int32
    draws = policy.__class__(jnp.broadcast_to(policy.logits, (20_000, 3))).sample(jax.random.key(0))
    np.testing.assert_allclose(np.bincount(draws) / 20_000, PROBS, atol=0.012)


def test_masked_actions_have_no_probability_and_no_gradient():
    mask = jnp.asarray([True, False, True])

    def entropy(logits):
        return Categorical(mask_logits(logits, mask)).entropy()

    policy = Categorical(mask_logits(jnp.asarray([0.0, 50.0, 0.0]), mask))
    np.testing.assert_allclose(policy.entropy(), np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(jnp.exp(policy.log_probs), [0.5, 0.0, 0.5])
    draws = Categorical(jnp.broadcast_to(policy.logits, (1000, 3))).sample(jax.random.key(1))
    assert set(np.unique(draws)) == {0, 2}
    slope = jax.grad(entropy)(jnp.asarray([1.0, 50.0, 0.0]))
    assert np.isfinite(slope).all() and slope[1] == 0.0
    kl = policy.kl(Categorical(mask_logits(jnp.asarray([1.0, -3.0, 0.0]), mask)))
    p = np.exp(1) / (np.exp(1) + 1)
    np.testing.assert_allclose(kl, -0.5 * np.log(p) - 0.5 * np.log(1 - p) - np.log(2), rtol=1e-5)


def test_no_legal_action_is_uniform_rather_than_nan():
    policy = Categorical(mask_logits(jnp.asarray([1.0, 2.0]), jnp.zeros(2, bool)))
    np.testing.assert_allclose(jnp.exp(policy.log_probs), [0.5, 0.5])


def test_multi_categorical_by_enumeration():
    """Choices of 2 and 3: entropy and log-probability of the six joint actions."""
    head = action_head(MultiDiscrete((2, 3)))
    assert head.num_outputs == 6
    outputs = jnp.asarray([0.4, -0.2, 9.0, 0.1, 0.5, -1.0])
    policy = head.distribution(outputs, jnp.zeros(0), None)
    first = np.exp([0.4, -0.2]) / np.exp([0.4, -0.2]).sum()
    second = np.exp([0.1, 0.5, -1.0]) / np.exp([0.1, 0.5, -1.0]).sum()
    joint = np.outer(first, second)
    for (i, j), p in np.ndenumerate(joint):
        action = jnp.asarray([i, j], jnp.int32)
        np.testing.assert_allclose(policy.log_prob(action), np.log(p), rtol=1e-5)
    np.testing.assert_allclose(policy.entropy(), scipy.stats.entropy(joint.ravel()), rtol=1e-5)
    draws = jax.vmap(policy.sample)(jax.random.split(jax.random.key(0), 500))
    assert draws.shape == (500, 2) and draws.max(0).tolist() == [1, 2]
    uniform = MultiCategorical(jnp.where(policy.logits < -1e30, policy.logits, 0.0))
    expected = scipy.stats.entropy(joint.ravel(), [1 / 6] * 6)
    np.testing.assert_allclose(policy.kl(uniform), expected, rtol=1e-4)


def _joint(first, rest):
    """Probabilities of all joint actions [O, n, m] from logits [O], [O, n] and [O, m]."""

    def softmax(x):
        x = np.exp(np.asarray(x, np.float64))
        return x / x.sum(-1, keepdims=True)

    second, third = (softmax(x) for x in rest)
    return softmax(first)[:, None, None] * second[:, :, None] * third[:, None, :]


def _conditional(seed):
    """A policy over choices of 2, then 3 and 2 given the first; and its joint table [2, 3, 2]."""
    rng = np.random.default_rng(seed)
    first, second, third = (rng.normal(size=size) for size in ((2,), (2, 3), (2, 2)))
    head = action_head(MultiDiscrete((2, 3, 2)), multi_discrete="conditional")
    assert head.num_outputs == 2 + 2 * 2 * 3
    padded = np.concatenate([third, np.full((2, 1), 9.0)], axis=1)
    outputs = np.concatenate([first, np.stack([second, padded], axis=1).ravel()])
    policy = head.distribution(jnp.asarray(outputs, jnp.float32), jnp.zeros(0), None)
    return policy, _joint(first, (second, third))


def test_conditional_choices_by_enumeration():
    """Log-probability, entropy, KL and mode of the twelve joint actions; shares of draws."""
    (policy, joint), (other, reference) = _conditional(0), _conditional(1)
    assert isinstance(policy, ConditionalCategorical)
    actions = np.stack(np.meshgrid(*map(np.arange, joint.shape), indexing="ij"), -1)
    actions = jnp.asarray(actions, jnp.int32)
    log_probs = jax.vmap(jax.vmap(jax.vmap(policy.log_prob)))(actions)
    np.testing.assert_allclose(log_probs, np.log(joint), rtol=1e-5)
    np.testing.assert_allclose(policy.entropy(), scipy.stats.entropy(joint.ravel()), rtol=1e-5)
    kl = scipy.stats.entropy(joint.ravel(), reference.ravel())
    np.testing.assert_allclose(policy.kl(other), kl, rtol=1e-4)
    np.testing.assert_allclose(policy.kl(policy), 0.0, atol=1e-6)
    assert tuple(policy.mode()) == np.unravel_index(joint.argmax(), joint.shape)
    copies = jax.tree.map(lambda x: jnp.broadcast_to(x[None], (20_000, *x.shape)), policy)
    draws = np.asarray(copies.sample(jax.random.key(0)))
    assert draws.shape == (20_000, 3) and draws.dtype == np.int32
    share = np.histogramdd(draws, bins=joint.shape)[0] / 20_000
    np.testing.assert_allclose(share, joint, atol=0.012)


def test_the_mode_is_that_of_the_joint_choice():
    """First choice 0 has 0.6 but spreads over three, 0.2 each; choice 1 has 0.4 on one."""
    rest = jnp.asarray([[[0.0, 0.0, 0.0]], [[50.0, 0.0, 0.0]]])
    policy = ConditionalCategorical(jnp.log(jnp.asarray([0.6, 0.4])), rest)
    assert policy.mode().tolist() == [1, 0]
    np.testing.assert_allclose(policy.log_prob(policy.mode()), np.log(0.4), rtol=1e-5)


def test_masks_of_conditional_choices():
    head = action_head(MultiDiscrete((2, 3, 2)), multi_discrete="conditional")
    outputs = jnp.broadcast_to(jnp.arange(14, dtype=jnp.float32)[None] / 7, (500, 14))

    def drawn(mask):
        batched = jnp.broadcast_to(jnp.asarray(mask)[None], (500, *np.shape(mask)))
        policy = head.distribution(outputs, jnp.zeros(0), batched)
        assert np.isfinite(policy.entropy()).all()
        slope = jax.grad(lambda x: head.distribution(x, jnp.zeros(0), batched).entropy().sum())
        assert np.isfinite(slope(outputs)).all()
        return {tuple(map(int, action)) for action in policy.sample(jax.random.key(0))}

    each = [[True, True, False], [True, False, True], [False, True, False]]
    assert drawn(each) == {(o, second, 1) for o in (0, 1) for second in (0, 2)}
    given = np.zeros((2, 2, 3), bool)
    given[0, 0, :2] = given[0, 1, 0] = True
    given[1, 0, 2] = given[1, 1, 2] = True  # the third choice has no value 2: 1 is not legal
    assert drawn(given) == {(0, 0, 0), (0, 1, 0)}
    for shape in ((3, 2), (2, 2, 2)):
        with pytest.raises(ValueError, match="action_mask must have the shape"):
            head.distribution(outputs[0], jnp.zeros(0), jnp.ones(shape, bool))


def test_unknown_and_impossible_heads_of_several_choices_are_refused():
    with pytest.raises(ValueError, match="one of independent, conditional"):
        action_head(MultiDiscrete((2, 3)), multi_discrete="chained")
    with pytest.raises(ValueError, match="two choices or more"):
        action_head(MultiDiscrete((2,)), multi_discrete="conditional")
    with pytest.raises(ValueError, match="action_mask must have the shape"):
        head = action_head(MultiDiscrete((2, 3)))
        head.distribution(jnp.zeros(6), jnp.zeros(0), jnp.ones((2, 2), bool))


def test_clipped_normal_against_scipy():
    mean, log_std = jnp.asarray([0.3, -1.0]), jnp.asarray([-0.5, 0.7])
    policy, other = ClippedNormal(mean, log_std), ClippedNormal(jnp.zeros(2), jnp.zeros(2))
    reference = scipy.stats.norm(np.asarray(mean), np.exp(log_std))
    raw = jnp.asarray([0.9, 0.1])
    np.testing.assert_allclose(policy.log_prob(raw), reference.logpdf(raw).sum(), rtol=1e-5)
    np.testing.assert_allclose(policy.entropy(), reference.entropy().sum(), rtol=1e-6)
    kl = sum(
        scipy.integrate.quad(lambda x, i=i: _kl_integrand(x, mean[i], np.exp(log_std[i])), -15, 15)[
            0
        ]
        for i in range(2)
    )
    np.testing.assert_allclose(policy.kl(other), kl, rtol=1e-5)


def _kl_integrand(x, mean, std):
    p = scipy.stats.norm.logpdf(x, float(mean), float(std))
    return np.exp(p) * (p - scipy.stats.norm.logpdf(x))


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (1.5, -1.0), (-0.7, 0.5)])
def test_tanh_normal_is_a_density_over_the_action(mean, log_std):
    """Integrates to one over [-3, 1]; entropy and log-probability agree with the integral."""
    space = Box(-3.0, 1.0, (1,))
    head = action_head(space, "tanh-normal")
    policy = head.distribution(jnp.asarray([mean]), jnp.asarray([log_std]), None)
    raw = np.linspace(mean - 8 * np.exp(log_std), mean + 8 * np.exp(log_std), 200_001)
    action = np.tanh(raw) * 2 - 1
    log_prob = np.asarray(jax.vmap(policy.log_prob)(jnp.asarray(raw, jnp.float32)[:, None]))
    density = np.exp(log_prob.astype(np.float64))
    np.testing.assert_allclose(np.trapezoid(density, action), 1.0, atol=2e-3)
    entropy = -np.trapezoid(density * log_prob, action)
    np.testing.assert_allclose(policy.entropy(), entropy, atol=6e-3)
    np.testing.assert_allclose(
        head.to_action(jnp.asarray([[0.4]], jnp.float32)), [[np.tanh(0.4) * 2 - 1]], rtol=1e-5
    )


def test_tanh_normal_kl_is_invariant_and_its_slope_vanishes_at_itself():
    policy = TanhNormal(jnp.asarray([0.2]), jnp.asarray([0.1]), (1.0,))
    other = TanhNormal(jnp.asarray([-0.3]), jnp.asarray([0.4]), (1.0,))
    raw = jax.vmap(policy.sample)(jax.random.split(jax.random.key(0), 200_000))
    estimate = jnp.mean(jax.vmap(policy.log_prob)(raw) - jax.vmap(other.log_prob)(raw))
    np.testing.assert_allclose(policy.kl(other), estimate, atol=5e-3)
    slope = jax.grad(lambda m: policy.kl(policy.replace(mean=m)))(policy.mean)
    np.testing.assert_allclose(slope, [0.0], atol=1e-7)


def test_saturated_tanh_stays_finite():
    policy = TanhNormal(jnp.asarray([0.0]), jnp.asarray([0.0]), (1.0,))
    value, slope = jax.value_and_grad(
        lambda m: policy.replace(mean=m).log_prob(jnp.asarray([60.0]))
    )(jnp.asarray([55.0]))
    assert np.isfinite(value) and np.isfinite(slope).all()


@pytest.mark.parametrize("kind", ["tanh-normal", "clipped-normal"])
def test_actions_stay_inside_uneven_bounds(kind):
    low, high = np.asarray([-0.1, 3.0], np.float32), np.asarray([0.3, 9.0], np.float32)
    head = action_head(Box(low, high, (2,)), kind)
    raw = jnp.asarray([[-1e3, 1e3], [0.0, 0.0], [0.5, -0.5]])
    action = np.asarray(head.to_action(raw))
    assert (action >= low).all() and (action <= high).all()
    np.testing.assert_allclose(action[0], [low[0], high[1]], rtol=1e-6)
    np.testing.assert_allclose(action[1], (low + high) / 2, rtol=1e-6)
    unit = np.tanh(0.5) if kind == "tanh-normal" else 0.5
    np.testing.assert_allclose(action[2, 0], 0.1 + 0.2 * unit, rtol=1e-5)


def test_a_scalar_box_takes_scalar_actions():
    head = action_head(Box(-2.0, 2.0, ()))
    assert head.num_outputs == 1 and head.to_action(jnp.zeros((5, 1))).shape == (5,)


def test_spaces_without_a_head_are_refused():
    with pytest.raises(ValueError, match="no action head"):
        action_head(Box(0.0, 1.0, (2, 2)))
    with pytest.raises(ValueError, match="bounded"):
        action_head(Box(-np.inf, np.inf, (2,)))
    with pytest.raises(ValueError, match="one of tanh-normal, clipped-normal"):
        action_head(Box(0.0, 1.0, (2,)), "beta")
    with pytest.raises(ValueError, match="no meaning"):
        action_head(Box(0.0, 1.0, (1,))).distribution(jnp.zeros(1), jnp.zeros(1), jnp.ones(1, bool))
    assert action_head(Discrete(4)).num_outputs == 4
