"""Probe environments: tiny tasks whose optimal values and actions are known exactly.

Each isolates one thing an algorithm can get wrong, so that a failing probe names the fault:

- `Probe-Constant-v1`: the value of a state is learned at all.
- `Probe-Observation-v1`: the value depends on the observation.
- `Probe-Discount-v1`: the reward comes a step later; discounting.
- `Probe-TimeLimit-v1`: a time limit is not a termination.
- `Probe-Action-v1`: the policy is improved.
- `Probe-ObservationAction-v1`: the policy depends on the observation.
- `Probe-Continuous-v1`: actions in a Box whose bounds are not -1..1.
- `Probe-MultiDiscrete-v1`: several choices at once.
- `Probe-Mask-v1`, `Probe-MultiDiscreteMask-v1`: masks of legal actions.
- `Probe-Pytree-v1`: nested observations of several dtypes.
- `Probe-Memory-v1`: what was seen earlier in the episode, and nothing from before it.

Idea: A. Jones, "Debugging reinforcement learning systems" (2021); used likewise by rejax.
"""

from jaxrl.envs.probes.base import Probe, ProbeParams, ProbeState
from jaxrl.envs.probes.memory import Memory
from jaxrl.envs.probes.policy import Action, Continuous, MultiDiscreteChoice, ObservationAction
from jaxrl.envs.probes.structured import Mask, MultiDiscreteMask, Pytree
from jaxrl.envs.probes.value import Constant, Discount, Observation, TimeLimit

__all__ = [
    "Action",
    "Constant",
    "Continuous",
    "Discount",
    "Mask",
    "Memory",
    "MultiDiscreteChoice",
    "MultiDiscreteMask",
    "Observation",
    "ObservationAction",
    "Probe",
    "ProbeParams",
    "ProbeState",
    "Pytree",
    "TimeLimit",
]
