"""Where the two programs of a training run (`jaxrl.chunks`) are: on one device, or on a mesh.

Both classes have the same methods, so that nothing else asks how many devices there are.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrl.algorithm import Algorithm
from jaxrl.parallel import ENV, SEED, fit_rows, gather, padded_rows, place, shard


class OneDevice:
    """Programs as they are.

    Attributes:
        shape: of the mesh, axis -> number of devices.
    """

    shape: Mapping[str, int] = {SEED: 1, ENV: 1}

    def local(self, algorithm: Algorithm) -> Algorithm:
        """The algorithm as one device runs it."""
        return algorithm

    def jit(self, init: Callable, advance: Callable) -> tuple[Any, Any]:
        """Both, jitted."""
        return jax.jit(init), jax.jit(advance, donate_argnums=0)

    def pad(self, rows: Any) -> Any:
        """A tree of arrays [S, ...] with as many rows as the programs have."""
        return rows

    def callable_init(self, compiled: Any) -> Callable:
        """The compiled (keys, hp) -> states, to be called with arrays from anywhere."""
        return compiled

    def callable_advance(self, compiled: Any) -> Callable:
        """The compiled (states, hp, count) -> (states, metrics), likewise but for states."""
        return compiled

    def place(self, states: Any) -> Any:
        """States from anywhere, put where `advance` wants them."""

        def here(x: jax.Array) -> jax.Array:
            return x if len(x.sharding.device_set) == 1 else jax.device_put(x, jax.devices()[0])

        return jax.tree.map(here, states)

    def collect(self, states: Any) -> Any:
        """States as this process, like all, can read them; every process must call it."""
        return states


class OnMesh:
    """Programs for S seeds under `shard_map`; see `OneDevice` for what the methods do."""

    def __init__(self, algorithm: Algorithm, seeds: int, mesh: Mesh) -> None:
        def at(*axes: str) -> NamedSharding:
            return NamedSharding(mesh, PartitionSpec(*axes))

        self._mesh, self._seeds = mesh, seeds
        self.shape = mesh.shape
        self._shared, self._rows = at(), at(SEED)
        self._states: Any = at(SEED)
        if mesh.shape[ENV] > 1:
            if algorithm.shards is None:
                raise ValueError("several devices of one seed need an algorithm with env shards")
            self._states = algorithm.shards.layout(at(SEED), at(SEED, ENV))

    def local(self, algorithm: Algorithm) -> Algorithm:
        """The algorithm as one device of the mesh runs it."""
        devices = self._mesh.shape[ENV]
        if algorithm.shards is None or devices == 1:
            return algorithm
        init, step = algorithm.shards.part(algorithm.shards.num // devices, ENV)
        return algorithm._replace(init=init, step=step)

    def jit(self, init: Callable, advance: Callable) -> tuple[Any, Any]:
        """Both under `shard_map`; metrics end up whole on every device."""
        rows, states, shared = self._rows, self._states, self._shared
        spread_init = self._shard(init, (rows, shared), states)
        spread_advance = self._shard(advance, (states, shared, shared), (states, rows))

        def cut(*args: Any) -> tuple[Any, Any]:
            new, metrics = spread_advance(*args)
            return new, fit_rows(metrics, self._seeds)

        return jax.jit(spread_init, in_shardings=(rows, shared), out_shardings=states), jax.jit(
            cut,
            in_shardings=(states, shared, shared),
            out_shardings=(states, shared),
            donate_argnums=0,
        )

    def pad(self, rows: Any) -> Any:
        """Copies of the last row where rows do not divide evenly."""
        return fit_rows(rows, padded_rows(self._seeds, self._mesh))

    def callable_init(self, compiled: Any) -> Callable:
        """Pads and places the keys."""

        def init(keys: jax.Array, hp: Any) -> Any:
            return compiled(place(self.pad(keys), self._rows), place(hp, self._shared))

        return init

    def callable_advance(self, compiled: Any) -> Callable:
        """Places all but the states."""

        def advance(states: Any, hp: Any, count: jax.Array) -> Any:
            return compiled(states, *place((hp, count), self._shared))

        return advance

    def place(self, states: Any) -> Any:
        """Divides states among the devices."""
        return place(self.pad(states), self._states)

    def collect(self, states: Any) -> Any:
        """The states of the S seeds, without padding."""
        return fit_rows(gather(states), self._seeds)

    def _shard(self, fn: Callable, inputs: Any, outputs: Any) -> Callable:
        in_specs, out_specs = jax.tree.map(lambda sharding: sharding.spec, (inputs, outputs))
        return shard(fn, self._mesh, in_specs, out_specs)
