"""Points that one compiled program serves.

Points share a program when only numbers that are arguments differ between them: hyperparameters
and environment parameters. What is static makes another program: the configuration, the number of
updates, the shapes of observations, the action space (a policy is built for its bounds), and the
structure of the hyperparameters.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl import spaces
from jaxrl.config import encode
from jaxrl.driver import Setup
from jaxrl.sweep.plan import Plan


class Group(NamedTuple):
    """Points of one program.

    Attributes:
        indices: of the points, ascending.
        setup: of the first of them; its environment and algorithm are everyone's.
        hps: hyperparameters, leaves [points, ...].
    """

    indices: tuple[int, ...]
    setup: Setup
    hps: Any


def group(plan: Plan, indices: Sequence[int]) -> list[Group]:
    """The groups of some points, in the order of their first points.

    Raises:
        ConfigError: whatever is wrong with a point, which it names; nothing has been compiled.
    """
    members: dict[Any, list[tuple[int, Setup]]] = {}
    for index in indices:
        setup = plan.set_up(index)
        members.setdefault(_static(setup), []).append((index, setup))
    return [
        Group(
            tuple(index for index, _ in found),
            found[0][1],
            jax.tree.map(lambda *leaves: jnp.stack(leaves), *[setup.hp for _, setup in found]),
        )
        for found in members.values()
    ]


def _static(setup: Setup) -> Any:
    leaves, structure = jax.tree.flatten(setup.hp)
    return (
        json.dumps(encode(setup.run.config), sort_keys=True),
        setup.num_updates,
        _shapes(setup.env.observation_space(setup.env_params)),
        _exactly(setup.env.action_space(setup.env_params)),
        structure,
        tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves),
    )


def _shapes(space: Any) -> Any:
    """Shapes and dtypes of a space; its bounds decide nothing, the size of a one-hot code does."""
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        return _children(space, _shapes)
    return tuple(space.shape), str(space.dtype), getattr(space, "n", None)


def _exactly(space: Any) -> Any:
    """Everything about a space."""
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        return _children(space, _exactly)
    bounds = [np.asarray(getattr(space, name, 0)).tobytes() for name in ("low", "high", "nvec")]
    return (*_shapes(space), *bounds)


def _children(space: Any, describe: Any) -> Any:
    if isinstance(space, spaces.Dict):
        return tuple((name, describe(child)) for name, child in space.spaces.items())
    return tuple(describe(child) for child in space.spaces)
