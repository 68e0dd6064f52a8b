"""Trains a whole population on all tasks: members x seeds, in groups, over devices and hosts.

A group is what is vectorised: a number of rows, each a member and a seed. Groups follow one
another (`lax.map`), and the devices of a mesh have some of them each. On a CPU small groups are
fastest: a kernel of the training of one member is dominated by what it costs to start it, and that
of very many no longer fits into the cache (experiments/meta_speed). On an accelerator a group is
as much as fits into its memory.

The size of a group belongs to a run: what is vectorised together is compiled together, and may be
rounded otherwise. How many devices there are does not.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrl.parallel import POPULATION, shard

# (key, phi) -> fitness [].
Fitness = Callable[[jax.Array, Any], jax.Array]


def score(
    tasks: Sequence[Fitness], phis: Any, keys: jax.Array, group: int, mesh: Mesh | None
) -> jax.Array:
    """Fitness of every member on every task with every seed, float32 [T, P, S].

    Members share the keys (common random numbers): what differs between them is phi.

    Args:
        tasks: T functions.
        phis: population, leaves [P, ...].
        keys: [T, S].
        group: rows that are vectorised.
        mesh: with an axis `population`; to be called inside `on_mesh` then, and every device gets
            the whole result. None for one device.
    """
    scores = [
        _score_one(task, phis, task_keys, group, mesh)
        for task, task_keys in zip(tasks, keys, strict=True)
    ]
    return jnp.stack(scores)


def on_mesh(fn: Callable, mesh: Mesh | None) -> Callable:
    """`fn` with every argument and result whole on every device of the mesh, jitted."""
    if mesh is None:
        return jax.jit(fn)
    whole = NamedSharding(mesh, PartitionSpec())
    spread = shard(fn, mesh, PartitionSpec(), PartitionSpec())
    return jax.jit(spread, in_shardings=whole, out_shardings=whole)


def _score_one(
    task: Fitness, phis: Any, keys: jax.Array, group: int, mesh: Mesh | None
) -> jax.Array:
    """Of one task, [P, S]."""
    members, seeds = jax.tree.leaves(phis)[0].shape[0], keys.shape[0]
    devices = 1 if mesh is None else mesh.shape[POPULATION]
    rows = _rows(members * seeds, group, devices)
    if mesh is not None:
        each = len(rows) // devices
        first = jax.lax.axis_index(POPULATION) * each
        mine = jax.lax.dynamic_slice_in_dim(jnp.asarray(rows), first, each)
    else:
        mine = jnp.asarray(rows)

    def one_group(indices: jax.Array) -> jax.Array:
        phi = jax.tree.map(lambda leaf: leaf[indices // seeds], phis)
        return jax.vmap(task)(keys[indices % seeds], phi)

    scores = jax.lax.map(one_group, mine)
    if mesh is not None:
        scores = jax.lax.all_gather(scores, POPULATION, tiled=True)
    return scores.reshape(-1)[: members * seeds].reshape(members, seeds)


def _rows(total: int, group: int, devices: int) -> np.ndarray[Any, Any]:
    """Row indices of every group, int32 [G, group], G a multiple of `devices`.

    What is left over in the last groups repeats the last row.
    """
    groups = -(-total // group)
    groups = -(-groups // devices) * devices
    return np.minimum(np.arange(groups * group), total - 1).astype(np.int32).reshape(groups, group)
