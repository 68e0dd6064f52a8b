"""On-policy actor-critic algorithms: one loop, and an objective for each method."""

from jaxrl.algos.on_policy.auxiliary import Auxiliary
from jaxrl.algos.on_policy.loop import on_policy
from jaxrl.algos.on_policy.types import Config, Hyperparameters, Objective, Sample, Trajectory

__all__ = [
    "Auxiliary",
    "Config",
    "Hyperparameters",
    "Objective",
    "Sample",
    "Trajectory",
    "on_policy",
]
