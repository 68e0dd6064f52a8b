"""One run on several devices: its environments in shards, its parameters the same in all of them.

The number of shards is part of a run; where they are computed is not. A shard steps its own
environments with keys of its own, and what all shards must agree on (gradients, moments, metrics)
is reduced over axis names. The shards of one device are a `vmap` with one name, devices are a mesh
axis with another, so the same run gives the same numbers, up to rounding, on any number of devices
that divides the number of shards.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")
# (init, step) of an algorithm.
Functions = tuple[Callable[[jax.Array, Any], Any], Callable[[Any, Any], tuple[Any, Any]]]

# Axis name of the shards that share a device.
_LOCAL = "env_shard"


class Shards(NamedTuple):
    """Reductions over the shards of a run, called inside one of them.

    Attributes:
        axes: names of the axes the shards are on, outermost first. Without any, every reduction
            is the identity and compiles to nothing.
        num: number of shards.
    """

    axes: tuple[str, ...] = ()
    num: int = 1

    def average(self, tree: Tree) -> Tree:
        """Means over the shards of every leaf."""
        return jax.lax.pmean(tree, self.axes) if self.axes else tree

    def total(self, tree: Tree) -> Tree:
        """Sums over the shards of every leaf."""
        return jax.lax.psum(tree, self.axes) if self.axes else tree

    def mean(self, x: jax.Array) -> jax.Array:
        """Mean of all elements of all shards, []."""
        return self.average(jnp.mean(x))

    def variance(self, x: jax.Array) -> jax.Array:
        """Population variance of all elements of all shards, []."""
        return self.average(jnp.mean(jnp.square(x - self.mean(x)))) if self.axes else jnp.var(x)

    def own(self, key: jax.Array) -> jax.Array:
        """This shard's key from one that all share."""
        return jax.random.fold_in(key, jax.lax.axis_index(self.axes)) if self.axes else key


ALONE = Shards()


class EnvShards(NamedTuple):
    """How the environments of one run of an algorithm are divided among devices.

    Attributes:
        num: shards of a run, at least 2.
        part: (local, axis) -> (init, step) of `local` consecutive shards; the others are on the
            mesh axis named `axis`, or there are none if it is None.
        layout: (shared, divided) -> a prefix of the state: `divided` where leaves have a leading
            axis of shards, `shared` where they are the same for all shards.
    """

    num: int
    part: Callable[[int, str | None], Functions]
    layout: Callable[[Any, Any], Any]


def divide(
    num: int, make: Callable[[Shards], Functions], layout: Callable[[Any, Any], Any]
) -> EnvShards:
    """Divides an algorithm that is written for one shard.

    Args:
        num: number of shards.
        make: (shards) -> (init, step) of one shard, which reduce over `shards` whatever is to be
            the same in all; vmap refuses a leaf that should be shared and is not.
        layout: see `EnvShards`.
    """

    def part(local: int, axis: str | None) -> Functions:
        init, step = make(Shards((_LOCAL,) if axis is None else (axis, _LOCAL), num))
        state = layout(None, 0)

        def over_shards(fn: Callable, in_axes: Any, out_axes: Any) -> Callable:
            return jax.vmap(fn, in_axes, out_axes, axis_name=_LOCAL, axis_size=local)

        return over_shards(init, None, state), over_shards(step, (state, None), (state, None))

    return EnvShards(num, part, layout)
