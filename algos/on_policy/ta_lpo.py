"""Temporally-aware learnt policy optimisation (Jackson et al. 2024, arXiv 2402.05828).

LPO whose drift network also sees its inputs times n / N, the part of training that is over: the
learning rate's `hp.horizon` is N. Weights of zero on those inputs are LPO.
"""

from functools import partial

from flax import struct

from jaxrl.algos.on_policy.learnt import (
    TA_LPO_INPUTS,
    DriftNetwork,
    ta_lpo,
    ta_lpo_drift,
    zero_drift,
)
from jaxrl.algos.on_policy.lpo import learnt_network
from jaxrl.algos.on_policy.method import method
from jaxrl.algos.on_policy.types import Hyperparameters

NAME = "ta-lpo"


class TALPOHyperparameters(Hyperparameters):
    """Hyperparameters of TA-LPO."""

    objective: DriftNetwork = struct.field(default_factory=partial(zero_drift, TA_LPO_INPUTS))


LEARNT = learnt_network(NAME, TA_LPO_INPUTS, ta_lpo_drift)
save, load = LEARNT.save, LEARNT.load

SPEC = method(
    name=NAME,
    summary="Temporally-aware LPO: the drift sees how far training is (Jackson et al. 2024)",
    objective=ta_lpo,
    hyperparameters=TALPOHyperparameters,
    learnt=LEARNT,
)
