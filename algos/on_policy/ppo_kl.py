"""PPO with a KL penalty, fixed or adaptive (Schulman et al. 2017, arXiv 1707.06347, sec. 4).

Maximises r A - beta KL(old || new), the KL divergence in closed form per observation. The
adaptive variant carries beta in its state: after each update it doubles where the mean KL of the
last epoch exceeded 1.5 times the target and halves where it fell below the target over 1.5.
The paper measures KL after the last gradient step, we during the last epoch, which needs no
extra pass.
"""

import jax
import jax.numpy as jnp

from jaxrl.algos.on_policy.method import method
from jaxrl.algos.on_policy.objectives import KLParameters, adapt_kl_weight, ppo_kl
from jaxrl.algos.on_policy.types import Hyperparameters, Objective, Sample


class PPOKLHyperparameters(Hyperparameters):
    """Hyperparameters of PPO with a KL penalty."""

    objective: KLParameters = KLParameters()


def _fixed(phi: KLParameters, sample: Sample) -> jax.Array:
    return ppo_kl(phi.beta, sample)


_adaptive = Objective(
    loss=lambda phi, beta, sample: ppo_kl(beta, sample),
    init=lambda phi: jnp.asarray(phi.beta, jnp.float32),
    update=adapt_kl_weight,
)

SPEC = method(
    name="ppo-kl",
    summary="PPO with a fixed KL penalty (Schulman et al. 2017)",
    objective=_fixed,
    hyperparameters=PPOKLHyperparameters,
)
ADAPTIVE_SPEC = method(
    name="ppo-kl-adaptive",
    summary="PPO with a KL penalty whose weight follows a target (Schulman et al. 2017)",
    objective=_adaptive,
    hyperparameters=PPOKLHyperparameters,
)
