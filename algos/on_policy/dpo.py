"""Discovered policy optimisation (Lu et al. 2022, arXiv 2210.05639): PPO's loop, DPO's drift.

alpha and beta can be evolved too (`jaxrl meta-train dpo`): what changes are their logarithms.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.algorithm import LearntObjective
from jaxrl.algos.on_policy import drift_files
from jaxrl.algos.on_policy.method import method
from jaxrl.algos.on_policy.objectives import DPOParameters, dpo, dpo_drift
from jaxrl.algos.on_policy.types import Hyperparameters

NAME = "dpo"


class DPOHyperparameters(Hyperparameters):
    """Hyperparameters of DPO."""

    objective: DPOParameters = DPOParameters()


def save(path: str | Path, phi: DPOParameters, provenance: Mapping[str, Any] | None = None) -> None:
    """Writes the numbers `alpha` and `beta`."""
    drift_files.write(path, NAME, vars(phi), provenance)


def load(path: str | Path) -> DPOParameters:
    """Reads what `save` writes.

    Raises:
        ValueError: the file is missing, is not such a file, is of another architecture, or a number
            is not positive.
    """
    arrays = drift_files.read(path, NAME)
    numbers = {name: arrays.get(name) for name in ("alpha", "beta")}
    for name, value in numbers.items():
        if value is None or value.shape != () or not value > 0:
            raise ValueError(f"{path}: wanted a positive number {name!r}")
    return DPOParameters(**{name: jnp.asarray(value) for name, value in numbers.items()})


def _start(key: jax.Array, hidden: int | None = None) -> DPOParameters:
    """The published numbers; there is nothing to draw."""
    del key
    if hidden is not None:
        raise ValueError("dpo has two numbers and no hidden units")
    return DPOParameters(jnp.float32(2.0), jnp.float32(0.6))


LEARNT = LearntObjective(
    start=_start,
    weights=lambda phi: jnp.log(jnp.stack([phi.alpha, phi.beta])),
    replace=lambda phi, weights: DPOParameters(jnp.exp(weights[0]), jnp.exp(weights[1])),
    drift=lambda log_ratio, advantage, phi, progress: dpo_drift(log_ratio, advantage, phi),
    load=load,
    save=save,
)

SPEC = method(
    name=NAME,
    summary="Discovered policy optimisation, the closed-form drift (Lu et al. 2022)",
    objective=dpo,
    hyperparameters=DPOHyperparameters,
    learnt=LEARNT,
)
