"""Drifts that are small networks: LPO, and TA-LPO, which also sees how far training has come.

Lu et al. 2022, "Discovered Policy Optimisation" (arXiv 2210.05639), sec. 4; Jackson et al. 2024,
"Discovering Temporally-Aware Reinforcement Learning Algorithms" (arXiv 2402.05828).

The inputs x of the network vanish at r = 1, so it does too whatever its weights, and an offset
keeps the relu around it shut there: the axioms of `jaxrl.algos.on_policy.objectives` hold for
every phi. What deviates from the papers: an output of the network within the offset counts as
nothing, so that a network of zeros is PPO exactly; and inputs are clipped, so that a ratio far from
1 cannot overflow.
"""

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algos.on_policy.objectives import ppo_drift
from jaxrl.algos.on_policy.types import Sample

HIDDEN = 128
# Inputs of each network.
LPO_INPUTS, TA_LPO_INPUTS = 8, 16
# Keeps the relu shut around r = 1.
OFFSET = 1e-4


class DriftNetwork(struct.PyTreeNode):
    """phi: the weights of a drift network, and the PPO that it is added to.

    Attributes:
        hidden: float32 [I, H], without bias; I = 8 for LPO and 16 for TA-LPO, H = 128 in the paper.
        output: float32 [H], without bias.
        clip: epsilon of PPO's drift.
        input_bound: inputs are clipped to +- this.
    """

    hidden: jax.Array
    output: jax.Array
    clip: jax.Array | float = 0.2
    input_bound: jax.Array | float = 2.0


def zero_drift(inputs: int = LPO_INPUTS, hidden: int = HIDDEN) -> DriftNetwork:
    """The network that adds nothing: PPO."""
    return DriftNetwork(jnp.zeros((inputs, hidden), jnp.float32), jnp.zeros(hidden, jnp.float32))


def random_drift(
    key: jax.Array, inputs: int = LPO_INPUTS, hidden: int = HIDDEN, scale: float = 1.0
) -> DriftNetwork:
    """A network with normal weights of deviation scale / sqrt(fan in)."""
    key_hidden, key_output = jax.random.split(key)
    return DriftNetwork(
        hidden=scale * jax.random.normal(key_hidden, (inputs, hidden)) / jnp.sqrt(float(inputs)),
        output=scale * jax.random.normal(key_output, (hidden,)) / jnp.sqrt(float(hidden)),
    )


def ppo_start(key: jax.Array, inputs: int = LPO_INPUTS, hidden: int = HIDDEN) -> DriftNetwork:
    """Where evolution starts: random features whose output weights are zero, which is PPO."""
    start = random_drift(key, inputs, hidden)
    return start.replace(output=jnp.zeros_like(start.output))


def lpo_inputs(log_ratio: jax.Array, advantage: jax.Array) -> jax.Array:
    """x = [log r, (log r)^2, 1 - r, (1 - r)^2] and the same times A, [..., 8]."""
    change = -jnp.expm1(log_ratio)
    x = jnp.stack([log_ratio, jnp.square(log_ratio), change, jnp.square(change)], axis=-1)
    return jnp.concatenate([x, x * advantage[..., None]], axis=-1)


def ta_lpo_inputs(log_ratio: jax.Array, advantage: jax.Array, progress: jax.Array) -> jax.Array:
    """The inputs x of LPO, and (n / N) x with n / N the part of training that is over, [..., 16].

    `progress` is a number or has the shape of the others.
    """
    x = lpo_inputs(log_ratio, advantage)
    passed = jnp.broadcast_to(progress, log_ratio.shape)
    return jnp.concatenate([x, x * passed[..., None]], axis=-1)


def network_term(inputs: jax.Array, phi: DriftNetwork) -> jax.Array:
    """What the network adds to PPO's drift: net - 1e-4, but 0 where |net| <= 1e-4.

    net = tanh(x W1) w2.
    """
    inputs = jnp.clip(inputs, -phi.input_bound, phi.input_bound)
    net = jnp.tanh(inputs @ phi.hidden) @ phi.output
    return jnp.where(jnp.abs(net) > OFFSET, net - OFFSET, 0.0)


def lpo_drift(log_ratio: jax.Array, advantage: jax.Array, phi: DriftNetwork) -> jax.Array:
    """relu(f_PPO + net(x) - 1e-4) with x of `lpo_inputs`; see `network_term` for small net."""
    term = network_term(lpo_inputs(log_ratio, advantage), phi)
    return jax.nn.relu(ppo_drift(log_ratio, advantage, phi.clip) + term)


def ta_lpo_drift(
    log_ratio: jax.Array, advantage: jax.Array, phi: DriftNetwork, progress: jax.Array
) -> jax.Array:
    """The same with x of `ta_lpo_inputs`."""
    term = network_term(ta_lpo_inputs(log_ratio, advantage, progress), phi)
    return jax.nn.relu(ppo_drift(log_ratio, advantage, phi.clip) + term)


def lpo(phi: DriftNetwork, sample: Sample) -> jax.Array:
    """-(r A - f_LPO)."""
    return _loss(phi, sample, network_term(lpo_inputs(sample.log_ratio, sample.advantage), phi))


def ta_lpo(phi: DriftNetwork, sample: Sample) -> jax.Array:
    """-(r A - f_TA-LPO)."""
    inputs = ta_lpo_inputs(sample.log_ratio, sample.advantage, sample.progress)
    return _loss(phi, sample, network_term(inputs, phi))


def _loss(phi: DriftNetwork, sample: Sample, term: jax.Array) -> jax.Array:
    """-(r A - relu(f_PPO + term)), written as PPO is.

    With s = r A - f_PPO = min(r A, clip(r) A), PPO's surrogate, it is -min(s - term, r A). A term
    of zero leaves PPO's loss and gradient, to the last bit: where both are equal s counts.
    """
    ratio = jnp.exp(sample.log_ratio)
    gain = ratio * sample.advantage
    clipped = jnp.clip(ratio, 1.0 - phi.clip, 1.0 + phi.clip) * sample.advantage
    surrogate = jnp.minimum(gain, clipped) - term
    return -jnp.where(surrogate > gain, gain, surrogate)
