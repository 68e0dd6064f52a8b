"""Discovered policy optimisation (Lu et al. 2022, arXiv 2210.05639): PPO's loop, DPO's drift."""

from jaxrl.algos.on_policy.method import method
from jaxrl.algos.on_policy.objectives import DPOParameters, dpo
from jaxrl.algos.on_policy.types import Hyperparameters


class DPOHyperparameters(Hyperparameters):
    """Hyperparameters of DPO."""

    objective: DPOParameters = DPOParameters()


SPEC = method(
    name="dpo",
    summary="Discovered policy optimisation, the closed-form drift (Lu et al. 2022)",
    objective=dpo,
    hyperparameters=DPOHyperparameters,
)
