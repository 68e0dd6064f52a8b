"""How independent runs share a device, and how many devices share them.

A mesh has the axes `seed` and `env`. Seeds are independent: each device of the `seed` axis runs
some of them. The devices of the `env` axis run the same seeds, each with a part of their
environments (see `jaxrl.shards`). A population of learnt objectives has a mesh of its own, with
the one axis `population` (see `jaxrl.algos.meta.population`). Where something is computed does not
belong to a run: its numbers are the same on any mesh, up to rounding.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxrl import _platform
from jaxrl.dtypes import is_key

Tree = TypeVar("Tree")

SEED, ENV, POPULATION = "seed", "env", "population"


def use_cpu_cores() -> None:
    """Divides the CPU into one device for each core, unless the user has chosen a number.

    One device computes the small kernels of a training on about one core, so seeds that a mesh
    spreads over the cores finish earlier. To be called before JAX starts; the command line does.
    Other platforms are not touched. Warns with `RuntimeWarning` when it is too late.
    """
    _platform.set_cpu_devices(_platform.cpu_cores(), replace=False)


def choose_mesh(
    num_devices: int, num_seeds: int, env_shards: int = 1, processes: int = 1
) -> tuple[int, int]:
    """The shape of the mesh that makes good use of some devices.

    Seeds come first: as few devices as give every seed its turn in as few rounds as possible
    (five seeds on four devices take two rounds, which three devices do as well). Each of them is
    then joined by as many as divide `env_shards`.

    Args:
        num_devices: how many there are.
        num_seeds: S.
        env_shards: into which the environments of a seed are divided.
        processes: every one of which must have the same number of devices in the mesh.

    Returns:
        (devices of the seed axis, devices of the env axis); their product may be less than
        `num_devices`.

    Raises:
        ValueError: a number is not positive, or there is not enough to do for all processes.
    """
    if min(num_devices, num_seeds, env_shards, processes) < 1:
        raise ValueError(
            "devices, seeds, env shards and processes must be at least 1, got"
            f" {num_devices}, {num_seeds}, {env_shards} and {processes}"
        )
    by_rounds = sorted(
        range(1, min(num_seeds, num_devices) + 1), key=lambda axis: (-(-num_seeds // axis), axis)
    )
    for seed_axis in by_rounds:
        for env_axis in range(min(env_shards, num_devices // seed_axis), 0, -1):
            if env_shards % env_axis == 0 and seed_axis * env_axis % processes == 0:
                return seed_axis, env_axis
    raise ValueError(
        f"{num_seeds} seeds with {env_shards} env shards each cannot be divided evenly among"
        f" {processes} processes with {num_devices // processes} devices each"
    )


def make_mesh(num_seeds: int, env_shards: int = 1, devices: int | None = None) -> Mesh | None:
    """The mesh for training, see `choose_mesh`, over the devices of all processes.

    Args:
        num_seeds: S.
        env_shards: into which the environments of a seed are divided.
        devices: of each process; all of them if None.

    Returns:
        A mesh with the axes `seed` and `env`; None where one device does it all.

    Raises:
        ValueError: there are not as many devices, or not enough to do for all processes.
    """
    wanted = _local_devices(devices)
    processes = jax.process_count()
    shape = choose_mesh(wanted * processes, num_seeds, env_shards, processes)
    if shape == (1, 1):
        return None
    return _mesh(shape, (SEED, ENV))


def make_population_mesh(groups: int, devices: int | None = None) -> Mesh | None:
    """The mesh for groups of members, over the devices of all processes.

    As few devices as need the fewest rounds, see `choose_mesh`.

    Args:
        groups: that are computed one after another on a device.
        devices: of each process; all of them if None.

    Returns:
        A mesh with the axis `population`; None where one device does it all.

    Raises:
        ValueError: there are not as many devices, or not enough to do for all processes.
    """
    processes = jax.process_count()
    size, _ = choose_mesh(_local_devices(devices) * processes, groups, 1, processes)
    return None if size == 1 else _mesh((size,), (POPULATION,))


def map_seeds(fn: Callable, backend: str | None = None, mesh: Mesh | None = None) -> Callable:
    """Maps `fn` over the leading axis of all its arguments, the fast way for the backend.

    On an accelerator `vmap` fills the device. On a CPU it makes every small kernel larger
    without making it cheaper per seed, and a loop that has to wait for its slowest seed
    (resets, for example) costs more: there the seeds run one after another inside the same
    compiled program, by `lax.map`. experiments/seed_mapping measures both.

    Args:
        fn: a function of arrays or pytrees.
        backend: "cpu", "gpu" or "tpu"; the default backend if None.
        mesh: divide the rows among the devices of its `seed` axis. Where they do not divide
            evenly the last row is computed again for as long as others have something to do.

    Returns:
        A function of the stacked arguments.
    """
    if (backend or jax.default_backend()) == "cpu":

        def local(*args: Any) -> Any:
            return jax.lax.map(lambda row: fn(*row), args)
    else:
        local = jax.vmap(fn)
    if mesh is None:
        return local
    rows = PartitionSpec(SEED)
    spread = shard(local, mesh, rows, rows)

    def mapped(*args: Any) -> Any:
        num = jax.tree.leaves(args)[0].shape[0]
        return fit_rows(spread(*fit_rows(args, padded_rows(num, mesh))), num)

    return mapped


def shard(fn: Callable, mesh: Mesh, in_specs: Any, out_specs: Any) -> Callable:
    """`jax.shard_map` for training.

    Without its check of what varies between devices, which would ask every loop inside `fn` to say
    so; that what env shards share is the same for all is checked by vmap, see
    `jaxrl.shards.divide`.
    """

    def fresh(x: jax.Array) -> jax.Array:
        return x if x.size or is_key(x) else jnp.zeros(x.shape, x.dtype)

    def local(*args: Any) -> Any:
        # An array without elements that passes through crashes the compiler of jaxlib 0.11.2.
        return fn(*jax.tree.map(fresh, args))

    return jax.shard_map(local, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)


def padded_rows(num: int, mesh: Mesh) -> int:
    """`num` rounded up to a multiple of the `seed` axis."""
    axis = mesh.shape[SEED]
    return -(-num // axis) * axis


def fit_rows(tree: Tree, num: int) -> Tree:
    """Every leaf [S, ...] as [num, ...]: the first rows, or all and then the last one repeated."""

    def fit(x: Any) -> Any:
        rows = x.shape[0]
        if num <= rows:
            return x if num == rows else x[:num]
        return x[np.minimum(np.arange(num), rows - 1)]

    return jax.tree.map(fit, tree)


def place(tree: Tree, shardings: Any) -> Tree:
    """Arrays that this process, like every other, has as a whole, put where they belong.

    Args:
        tree: of arrays.
        shardings: a prefix of it.
    """

    def put(sharding: NamedSharding, x: Any) -> jax.Array:
        whole = x if is_key(x) else np.asarray(x)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    return jax.tree.map(
        lambda sharding, part: jax.tree.map(lambda x: put(sharding, x), part), shardings, tree
    )


def gather(tree: Tree) -> Tree:
    """Arrays of which each process has a part, whole on every process; others as they are.

    Every process must call it.
    """
    leaves, structure = jax.tree.flatten(tree)
    apart = [i for i, x in enumerate(leaves) if not x.is_fully_addressable]
    if apart:
        whole = NamedSharding(leaves[apart[0]].sharding.mesh, PartitionSpec())
        copies = jax.jit(lambda parts: parts, out_shardings=whole)([leaves[i] for i in apart])
        # Processes must not be in different programs when they talk to each other.
        jax.block_until_ready(copies)
        for i, copy in zip(apart, copies, strict=True):
            leaves[i] = copy.addressable_data(0)
    return jax.tree.unflatten(structure, leaves)


def _local_devices(wanted: int | None) -> int:
    """How many devices of each process to use; ValueError where there are not as many."""
    there = jax.local_device_count()
    wanted = there if wanted is None else wanted
    if not 1 <= wanted <= there:
        kind = jax.default_backend()
        raise ValueError(f"{wanted} devices were asked for, there are {there} of kind {kind}")
    return wanted


def _mesh(shape: tuple[int, ...], axes: tuple[str, ...]) -> Mesh:
    """As many devices of every process."""
    processes = jax.process_count()
    each = math.prod(shape) // processes
    chosen = [device for p in range(processes) for device in _of_process(p)[:each]]
    return Mesh(np.array(chosen).reshape(shape), axes, axis_types=(AxisType.Auto,) * len(axes))


def _of_process(index: int) -> list[Any]:
    return [device for device in jax.devices() if device.process_index == index]
