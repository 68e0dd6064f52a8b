"""Policy objectives as mirror learning (Kuba et al. 2022; Lu et al. 2022, arXiv 2210.05639).

An objective is maximised per sample as r A - f(r, A), with r the probability ratio of the new
policy to the old, A the advantage and f a *drift*. A valid drift satisfies three axioms:

1. f(r, A) >= 0,
2. f(1, A) = 0,
3. df/dr = 0 at r = 1.

Every formula here takes arrays of any one shape and works elementwise. Losses are minimised.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algos.on_policy.types import Sample


class ClipParameters(struct.PyTreeNode):
    """PPO's clipping range epsilon."""

    clip: float = 0.2


class KLParameters(struct.PyTreeNode):
    """Weight beta of the KL penalty, and the target of the adaptive variant in nats.

    Attributes:
        beta: weight; the initial one where it adapts.
        target: wanted KL(old || new) of an update; only the adaptive variant uses it.
    """

    beta: float = 1.0
    target: float = 0.01


class DPOParameters(struct.PyTreeNode):
    """DPO's alpha and beta, as discovered in the paper."""

    alpha: jax.Array | float = 2.0
    beta: jax.Array | float = 0.6


def ppo_drift(log_ratio: jax.Array, advantage: jax.Array, clip: jax.Array | float) -> jax.Array:
    """relu((r - clip(r, 1 +- eps)) A), PPO's clipping written as a drift."""
    ratio = jnp.exp(log_ratio)
    return jax.nn.relu((ratio - jnp.clip(ratio, 1.0 - clip, 1.0 + clip)) * advantage)


def dpo_drift(log_ratio: jax.Array, advantage: jax.Array, phi: DPOParameters) -> jax.Array:
    """Discovered Policy Optimisation's closed form (Lu et al. 2022, eq. 11).

    relu((r-1)A - alpha tanh((r-1)A / alpha)) where A >= 0,
    relu(A log r - beta tanh(A log r / beta)) where A < 0.
    """
    gain = jnp.expm1(log_ratio) * advantage
    loss = log_ratio * advantage
    positive = jax.nn.relu(gain - phi.alpha * jnp.tanh(gain / phi.alpha))
    negative = jax.nn.relu(loss - phi.beta * jnp.tanh(loss / phi.beta))
    return jnp.where(advantage >= 0, positive, negative)


def mirror_loss(log_ratio: jax.Array, advantage: jax.Array, drift: jax.Array) -> jax.Array:
    """-(r A - f)."""
    return drift - jnp.exp(log_ratio) * advantage


def ppo_clip(phi: ClipParameters, sample: Sample) -> jax.Array:
    """Proximal policy optimisation, -min(r A, clip(r) A) (Schulman et al. 2017, eq. 7)."""
    ratio = jnp.exp(sample.log_ratio)
    clipped = jnp.clip(ratio, 1.0 - phi.clip, 1.0 + phi.clip)
    return -jnp.minimum(ratio * sample.advantage, clipped * sample.advantage)


def ppo_kl(beta: jax.Array | float, sample: Sample) -> jax.Array:
    """-(r A - beta KL(old || new)) (Schulman et al. 2017, eq. 8)."""
    return mirror_loss(sample.log_ratio, sample.advantage, beta * sample.kl)


def adapt_kl_weight(phi: KLParameters, beta: jax.Array, kl: jax.Array) -> jax.Array:
    """Halves beta where KL < target / 1.5, doubles it where KL > 1.5 target (ibid., sec. 4)."""
    factor = jnp.where(kl > 1.5 * phi.target, 2.0, jnp.where(kl < phi.target / 1.5, 0.5, 1.0))
    return beta * factor


def a2c(phi: Any, sample: Sample) -> jax.Array:
    """-log pi(a|o) A (Mnih et al. 2016), on-policy only.

    As a drift it is (r - 1 - log r) A up to a constant: it has the right value and slope at
    r = 1 but is negative where A < 0, so it breaks the first axiom and must not be iterated
    over many epochs.
    """
    del phi
    return -sample.log_prob * sample.advantage


def dpo(phi: DPOParameters, sample: Sample) -> jax.Array:
    """-(r A - f_DPO)."""
    drift = dpo_drift(sample.log_ratio, sample.advantage, phi)
    return mirror_loss(sample.log_ratio, sample.advantage, drift)
