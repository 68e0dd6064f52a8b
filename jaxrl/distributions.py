"""Action distributions: small pytrees with `sample`, `mode`, `log_prob`, `entropy` and `kl`.

Leading axes are batch axes, the action is the last axis (or no axis for one discrete action).
A sample is the *raw* action, the variable whose density is differentiated; `to_action` turns
it into what the environment takes. Keeping the raw action means that a tanh never has to be
inverted where it is saturated.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

_MASKED = float(np.finfo(np.float32).min)
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
# Nodes and weights of the probabilists' Gauss-Hermite rule, weights summing to one.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def mask_logits(logits: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Logits with illegal actions (`mask` False) at the lowest finite float32.

    Their probability is exactly zero. Where no action is legal the result is uniform rather
    than NaN.
    """
    if mask is None:
        return logits
    return jnp.where(mask, logits, jnp.float32(_MASKED))


class Categorical(struct.PyTreeNode):
    """One choice of n. `logits` float32 [..., n], normalised or not; actions int32 [...]."""

    logits: jax.Array

    @property
    def log_probs(self) -> jax.Array:
        """Normalised log-probabilities, float32 [..., n]."""
        return jax.nn.log_softmax(self.logits)

    def sample(self, key: jax.Array) -> jax.Array:
        """A draw, int32 [...]."""
        return jax.random.categorical(key, self.logits).astype(jnp.int32)

    def mode(self) -> jax.Array:
        """The likeliest action, int32 [...]; the first of several."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    def log_prob(self, raw: jax.Array) -> jax.Array:
        """Log-probability of the action, float32 [...]."""
        chosen = jax.nn.one_hot(raw, self.logits.shape[-1], dtype=jnp.bool_)
        return jnp.sum(jnp.where(chosen, self.log_probs, jnp.float32(0)), axis=-1)

    def entropy(self) -> jax.Array:
        """Entropy in nats, float32 [...]."""
        log_probs = self.log_probs
        return -_sum_products(jnp.exp(log_probs), log_probs)

    def kl(self, other: "Categorical") -> jax.Array:
        """KL(self || other) in nats, float32 [...]."""
        log_probs = self.log_probs
        return _sum_products(jnp.exp(log_probs), log_probs - other.log_probs)


class MultiCategorical(struct.PyTreeNode):
    """K independent choices. `logits` float32 [..., K, n], shorter choices padded by a mask.

    Actions are int32 [..., K]; log-probability, entropy and KL are sums over the K choices.
    """

    logits: jax.Array

    def sample(self, key: jax.Array) -> jax.Array:
        """A draw, int32 [..., K]."""
        return Categorical(self.logits).sample(key)

    def mode(self) -> jax.Array:
        """The likeliest action, int32 [..., K]."""
        return Categorical(self.logits).mode()

    def log_prob(self, raw: jax.Array) -> jax.Array:
        """Log-probability of the joint action, float32 [...]."""
        return jnp.sum(Categorical(self.logits).log_prob(raw), axis=-1)

    def entropy(self) -> jax.Array:
        """Entropy of the joint action in nats, float32 [...]."""
        return jnp.sum(Categorical(self.logits).entropy(), axis=-1)

    def kl(self, other: "MultiCategorical") -> jax.Array:
        """KL(self || other) in nats, float32 [...]."""
        return jnp.sum(Categorical(self.logits).kl(Categorical(other.logits)), axis=-1)


class ConditionalCategorical(struct.PyTreeNode):
    """A first choice, and K more that depend on it and, given it, not on one another.

    p(a) = p(a_0) prod_k p(a_k | a_0). `first` float32 [..., O], logits of the first choice; `rest`
    float32 [..., O, K, n], logits of the others for each value of the first; shorter choices are
    padded by a mask. Actions are int32 [..., 1 + K]. Everything is exact: sums over O, no draws.
    """

    first: jax.Array
    rest: jax.Array

    def given(self, first: jax.Array) -> MultiCategorical:
        """The K choices after a first choice, int32 [...]."""
        chosen = jax.nn.one_hot(first, self.first.shape[-1], dtype=jnp.bool_)[..., None, None]
        # One term of the sum is not zero: a masked product, not a gather, which is slow on CPUs.
        return MultiCategorical(jnp.sum(jnp.where(chosen, self.rest, jnp.float32(0)), axis=-3))

    def sample(self, key: jax.Array) -> jax.Array:
        """A draw, int32 [..., 1 + K]."""
        key_first, key_rest = jax.random.split(key)
        first = Categorical(self.first).sample(key_first)
        return _joined(first, self.given(first).sample(key_rest))

    def mode(self) -> jax.Array:
        """The likeliest joint action, int32 [..., 1 + K]; the first of several.

        Not the likeliest first choice with the likeliest rest, which may be less likely.
        """
        highest = jnp.max(Categorical(self.rest).log_probs, axis=-1)
        joint = Categorical(self.first).log_probs + jnp.sum(highest, axis=-1)
        first = Categorical(joint).mode()
        return _joined(first, self.given(first).mode())

    def log_prob(self, raw: jax.Array) -> jax.Array:
        """Log-probability of the joint action, float32 [...]."""
        first = raw[..., 0]
        return Categorical(self.first).log_prob(first) + self.given(first).log_prob(raw[..., 1:])

    def entropy(self) -> jax.Array:
        """H(a_0) + sum_o p(o) H(rest | o), entropy of the joint action in nats, float32 [...]."""
        first = Categorical(self.first)
        rest = MultiCategorical(self.rest).entropy()
        return first.entropy() + _sum_products(jnp.exp(first.log_probs), rest)

    def kl(self, other: "ConditionalCategorical") -> jax.Array:
        """KL(self || other) by the chain rule, in nats, float32 [...]."""
        first = Categorical(self.first)
        rest = MultiCategorical(self.rest).kl(MultiCategorical(other.rest))
        return first.kl(Categorical(other.first)) + _sum_products(jnp.exp(first.log_probs), rest)


class ClippedNormal(struct.PyTreeNode):
    """Independent normals whose draws are clipped to the action bounds by the environment side.

    `mean`, `log_std` float32 [..., A], in units in which the bounds are [-1, 1]. Densities,
    entropy and KL are those of the unclipped normal, as is common practice: the ratio of two
    policies is then that of the variable that was drawn.
    """

    mean: jax.Array
    log_std: jax.Array

    def sample(self, key: jax.Array) -> jax.Array:
        """A draw before clipping, float32 [..., A]."""
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self) -> jax.Array:
        """The mean, float32 [..., A]."""
        return self.mean

    def log_prob(self, raw: jax.Array) -> jax.Array:
        """Log-density of the unclipped draw, float32 [...]."""
        z = (raw - self.mean) * jnp.exp(-self.log_std)
        return jnp.sum(-0.5 * jnp.square(z) - self.log_std - _HALF_LOG_2PI, axis=-1)

    def entropy(self) -> jax.Array:
        """Differential entropy of the unclipped normal in nats, float32 [...]."""
        return jnp.sum(self.log_std + (0.5 + _HALF_LOG_2PI), axis=-1)

    def kl(self, other: "ClippedNormal") -> jax.Array:
        """KL(self || other) in nats, float32 [...]."""
        log_ratio = other.log_std - self.log_std
        z = (self.mean - other.mean) * jnp.exp(-other.log_std)
        per_axis = log_ratio + 0.5 * (jnp.exp(-2.0 * log_ratio) + jnp.square(z) - 1.0)
        return jnp.sum(per_axis, axis=-1)


class TanhNormal(struct.PyTreeNode):
    """Independent normals squashed into the action bounds by tanh.

    `mean`, `log_std` float32 [..., A] of the normal before the tanh; `half_range` the static
    half-widths of the action bounds, so that densities are those of the action itself.
    """

    mean: jax.Array
    log_std: jax.Array
    half_range: tuple[float, ...] = struct.field(pytree_node=False)

    @property
    def _normal(self) -> ClippedNormal:
        return ClippedNormal(self.mean, self.log_std)

    @property
    def _log_scale(self) -> float:
        return math.fsum(math.log(width) for width in self.half_range)

    def sample(self, key: jax.Array) -> jax.Array:
        """A draw before the tanh, float32 [..., A]."""
        return self._normal.sample(key)

    def mode(self) -> jax.Array:
        """The mean before the tanh (the median of the action), float32 [..., A]."""
        return self.mean

    def log_prob(self, raw: jax.Array) -> jax.Array:
        """Log-density of the action `to_action(raw)`, float32 [...]."""
        log_det = jnp.sum(_log_tanh_slope(raw), axis=-1) + self._log_scale
        return self._normal.log_prob(raw) - log_det

    def entropy(self) -> jax.Array:
        """Differential entropy of the action in nats, float32 [...].

        H(normal) + E[log |d action / d raw|]; the expectation has no closed form and is taken
        by 21-point Gauss-Hermite quadrature, which needs no key and is differentiable.
        """
        nodes = self.mean[..., None] + jnp.exp(self.log_std)[..., None] * _row(_NODES, self.mean)
        expected = jnp.sum(_row(_WEIGHTS, self.mean) * _log_tanh_slope(nodes), axis=-1)
        return self._normal.entropy() + jnp.sum(expected, axis=-1) + self._log_scale

    def kl(self, other: "TanhNormal") -> jax.Array:
        """KL(self || other) in nats, float32 [...]: that of the normals, tanh being a bijection."""
        return self._normal.kl(other._normal)


def _joined(first: jax.Array, rest: jax.Array) -> jax.Array:
    """Actions [..., 1 + K] of first choices [...] and the others [..., K]."""
    return jnp.concatenate([first[..., None], rest], axis=-1)


def _sum_products(weight: jax.Array, x: jax.Array) -> jax.Array:
    """Sum of weight * x over the last axis, 0 * anything (masked actions) being 0."""
    return jnp.sum(jnp.where(weight > 0, weight * x, jnp.float32(0)), axis=-1)


def _log_tanh_slope(raw: jax.Array) -> jax.Array:
    """log(1 - tanh(raw)^2) without cancellation."""
    return 2.0 * (math.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))


def _row(constants: np.ndarray, like: jax.Array) -> jax.Array:
    """Constants [Q] shaped to broadcast against [..., Q] of `like`'s rank plus one."""
    return jnp.asarray(constants, jnp.float32).reshape((1,) * like.ndim + (-1,))
