"""Proximal policy optimisation with a clipped objective (Schulman et al. 2017, arXiv 1707.06347).

Maximises min(r A, clip(r, 1 +- eps) A). As is common since, advantages are standardised per
minibatch and weights are initialised orthogonally; the value loss is clipped only where
`hp.value_clip` is finite.
"""

from collections.abc import Sequence

from jaxrl.algorithm import AlgorithmSpec
from jaxrl.algos.on_policy.auxiliary import Auxiliary
from jaxrl.algos.on_policy.method import method
from jaxrl.algos.on_policy.objectives import ClipParameters, ppo_clip
from jaxrl.algos.on_policy.types import Hyperparameters


class PPOHyperparameters(Hyperparameters):
    """Hyperparameters of PPO; `objective.clip` is epsilon."""

    objective: ClipParameters = ClipParameters()


def ppo_with(auxiliary: Sequence[Auxiliary] = (), name: str = "ppo") -> AlgorithmSpec:
    """PPO with auxiliary losses.

    Their weights are `PPOHyperparameters(auxiliary={term name: weight, ...})`; presets have 1.
    """
    return method(
        name=name,
        summary="Proximal policy optimisation with a clipped ratio (Schulman et al. 2017)",
        objective=ppo_clip,
        hyperparameters=PPOHyperparameters,
        auxiliary=auxiliary,
    )


SPEC = ppo_with()
