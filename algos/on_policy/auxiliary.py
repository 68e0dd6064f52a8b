"""Auxiliary losses: what a network is to predict besides policy and value (Jaderberg et al. 2017).

A term of the on-policy loss is a record: what is predicted (`target`, from the rollout) and how far
off a prediction is (`loss`). `on_policy(..., auxiliary=(term, ...))` adds them, each with its
weight `hp.auxiliary[name]`; the predictions come from `Net.predict`, in the same pass as policy and
value.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.algos.on_policy.types import Trajectory
from jaxrl.networks import Net
from jaxrl.shards import Shards

PREFIX = "aux/"


class Auxiliary(NamedTuple):
    """A term of the loss.

    Attributes:
        name: of the prediction in what `Net.predict` gives, of the weight in `hp.auxiliary`, and of
            the metric, "aux/NAME".
        target: trajectory -> (targets, a pytree of [T, N, ...], and where there is one, bool
            [T, N]). Where there is none the values must be finite, and do not count.
        loss: (predictions, targets), leaves [B, ...] -> float32 [B].
    """

    name: str
    target: Callable[[Trajectory], tuple[Any, jax.Array]]
    loss: Callable[[Any, Any], jax.Array]


def check_terms(auxiliary: Sequence[Auxiliary], net: Net) -> None:
    """Raises ValueError where two terms have one name, or the network predicts nothing."""
    names = [term.name for term in auxiliary]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two auxiliary losses have the name {repeated[0]!r}")
    if names and net.predict is None:
        raise ValueError(
            f"the auxiliary loss {names[0]!r} needs a network with predictions: a feed-forward"
            " module with a method `predict`, see make_net"
        )


def check_weights(auxiliary: Sequence[Auxiliary], weights: Any) -> None:
    """Raises ValueError unless `weights`, `hp.auxiliary`, has exactly the names of the terms."""
    wanted = sorted(term.name for term in auxiliary)
    given = sorted(weights) if isinstance(weights, Mapping) else []
    if wanted != given:
        raise ValueError(
            f"hp.auxiliary must have the weights of {', '.join(wanted) or 'no auxiliary loss'},"
            f" got {', '.join(given) or 'none'}"
        )


def check_values(weights: Any) -> None:
    """Raises ValueError for a weight that is negative or not finite."""
    for name, weight in weights.items() if isinstance(weights, Mapping) else ():
        if not 0 <= float(weight) < math.inf:
            raise ValueError(f"hp.auxiliary.{name} must be finite and >= 0, got {float(weight)}")


def auxiliary_targets(
    auxiliary: Sequence[Auxiliary], trajectory: Trajectory
) -> dict[str, tuple[Any, jax.Array]]:
    """Targets and where they exist, leaves [T, N, ...], by the names of the terms."""
    return {term.name: term.target(trajectory) for term in auxiliary}


def auxiliary_losses(
    auxiliary: Sequence[Auxiliary],
    predictions: Mapping[str, Any],
    targets: Mapping[str, tuple[Any, jax.Array]],
    shards: Shards,
) -> dict[str, jax.Array]:
    """The mean loss [] of every term over those rows of a minibatch that have a target.

    It is scaled so that its average over env shards is the mean over the rows of all of them; 0
    where no row has a target.

    Raises:
        ValueError: the network makes no prediction of a term's name.
    """
    losses = {}
    for term in auxiliary:
        if term.name not in predictions:
            known = ", ".join(predictions) or "nothing"
            raise ValueError(f"the network does not predict {term.name!r}; it predicts {known}")
        target, valid = targets[term.name]
        loss = jnp.where(valid, term.loss(predictions[term.name], target), 0.0)
        count = shards.average(jnp.sum(valid, dtype=jnp.float32))
        losses[term.name] = jnp.sum(loss) / jnp.where(count > 0, count, 1.0)
    return losses
