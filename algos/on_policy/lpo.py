"""Learnt policy optimisation (Lu et al. 2022, arXiv 2210.05639): PPO's loop, a network's drift.

The drift's weights are `hp.objective`, an argument like any other: a population of drifts is a
vmap over it. They come from a file (`load`), from meta-learning or, by default, are zero, which
is PPO apart from the offset of 1e-4 in the drift.
"""

import pathlib
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.algos.on_policy.method import method
from jaxrl.algos.on_policy.objectives import LPOParameters, lpo
from jaxrl.algos.on_policy.types import Hyperparameters

HIDDEN = 128


def zero_drift() -> LPOParameters:
    """The network that adds nothing to PPO's drift."""
    return LPOParameters(jnp.zeros((8, HIDDEN), jnp.float32), jnp.zeros(HIDDEN, jnp.float32))


def random_drift(key: jax.Array, hidden: int = HIDDEN, scale: float = 1.0) -> LPOParameters:
    """A network with normal weights of deviation scale / sqrt(fan in)."""
    key_hidden, key_output = jax.random.split(key)
    return LPOParameters(
        hidden=scale * jax.random.normal(key_hidden, (8, hidden)) / jnp.sqrt(8.0),
        output=scale * jax.random.normal(key_output, (hidden,)) / jnp.sqrt(float(hidden)),
    )


def save(path: str | pathlib.Path, phi: LPOParameters) -> None:
    """Writes drift weights as npz with the arrays `hidden`, `output` and `clip`."""
    np.savez(path, hidden=phi.hidden, output=phi.output, clip=np.float32(phi.clip))


def load(path: str | pathlib.Path) -> LPOParameters:
    """Reads drift weights from an npz file with `hidden` [8, H], `output` [H] and, at will, `clip`.

    Raises:
        ValueError: the file is missing, is not such a file or holds non-finite numbers.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: np.asarray(data[name], np.float32) for name in data.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise ValueError(f"cannot read drift weights from {path}: {error}") from error
    hidden, output = arrays.get("hidden"), arrays.get("output")
    if hidden is None or output is None:
        raise ValueError(f"{path} has no arrays 'hidden' and 'output'")
    if hidden.ndim != 2 or hidden.shape[0] != 8 or output.shape != hidden.shape[1:]:
        raise ValueError(
            f"{path}: wanted hidden [8, H] and output [H], got {hidden.shape} and {output.shape}"
        )
    clip = arrays.get("clip", np.float32(0.2))
    if clip.shape != () or not all(np.isfinite(x).all() for x in (hidden, output, clip)):
        raise ValueError(f"{path}: drift weights must be finite and clip a number")
    return LPOParameters(jnp.asarray(hidden), jnp.asarray(output), jnp.asarray(clip))


class LPOHyperparameters(Hyperparameters):
    """Hyperparameters of LPO."""

    objective: LPOParameters = struct.field(default_factory=zero_drift)


SPEC = method(
    name="lpo",
    summary="Learnt policy optimisation, a network as drift (Lu et al. 2022)",
    objective=lpo,
    hyperparameters=LPOHyperparameters,
    load_objective=load,
)
