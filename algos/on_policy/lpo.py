"""Learnt policy optimisation (Lu et al. 2022, arXiv 2210.05639): PPO's loop, a network's drift.

The drift's weights are `hp.objective`, an argument like any other: a population of drifts is a
vmap over it. They come from a file (`load`), from meta-learning (`jaxrl.algos.meta`) or, by
default, are zero, which is PPO.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algorithm import LearntObjective
from jaxrl.algos.on_policy import drift_files
from jaxrl.algos.on_policy.learnt import (
    HIDDEN,
    LPO_INPUTS,
    DriftNetwork,
    lpo,
    lpo_drift,
    ppo_start,
    zero_drift,
)
from jaxrl.algos.on_policy.method import method
from jaxrl.algos.on_policy.types import Hyperparameters

NAME = "lpo"


class LPOHyperparameters(Hyperparameters):
    """Hyperparameters of LPO."""

    objective: DriftNetwork = struct.field(default_factory=zero_drift)


def save_network(
    architecture: str,
    path: str | Path,
    phi: DriftNetwork,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Writes the arrays `hidden` and `output`, and the numbers `clip` and `input_bound`."""
    drift_files.write(path, architecture, vars(phi), provenance)


def load_network(architecture: str, inputs: int, path: str | Path) -> DriftNetwork:
    """Reads what `save_network` writes; `clip` and `input_bound` may be missing.

    Raises:
        ValueError: the file is missing, is not such a file, is of another architecture or holds
            non-finite numbers.
    """
    arrays = drift_files.read(path, architecture)
    hidden, output = arrays.get("hidden"), arrays.get("output")
    if hidden is None or output is None:
        raise ValueError(f"{path} has no arrays 'hidden' and 'output'")
    if hidden.ndim != 2 or hidden.shape[0] != inputs or output.shape != hidden.shape[1:]:
        raise ValueError(
            f"{path}: {architecture} wants hidden [{inputs}, H] and output [H],"
            f" got {hidden.shape} and {output.shape}"
        )
    scalars = {name: arrays[name] for name in ("clip", "input_bound") if name in arrays}
    for name, value in scalars.items():
        if value.shape != () or not value > 0:
            raise ValueError(f"{path}: {name} must be a positive number")
    numbers = {name: jnp.asarray(value) for name, value in scalars.items()}
    return DriftNetwork(jnp.asarray(hidden), jnp.asarray(output), **numbers)


def learnt_network(
    architecture: str, inputs: int, drift: Callable[..., jax.Array]
) -> LearntObjective:
    """The record of a drift network of `inputs` inputs."""

    def start(key: jax.Array, hidden: int = HIDDEN) -> DriftNetwork:
        if hidden < 1:
            raise ValueError(f"a drift network needs at least 1 hidden unit, got {hidden}")
        return ppo_start(key, inputs, hidden)

    return LearntObjective(
        start=start,
        weights=lambda phi: (phi.hidden, phi.output),
        replace=lambda phi, weights: phi.replace(hidden=weights[0], output=weights[1]),
        drift=drift,
        load=partial(load_network, architecture, inputs),
        save=partial(save_network, architecture),
    )


LEARNT = learnt_network(
    NAME,
    LPO_INPUTS,
    lambda log_ratio, advantage, phi, progress: lpo_drift(log_ratio, advantage, phi),
)
save, load = LEARNT.save, LEARNT.load

SPEC = method(
    name=NAME,
    summary="Learnt policy optimisation, a network as drift (Lu et al. 2022)",
    objective=lpo,
    hyperparameters=LPOHyperparameters,
    learnt=LEARNT,
)
