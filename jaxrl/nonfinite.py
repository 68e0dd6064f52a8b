"""What happens when a seed's numbers are no longer finite: the run stops, or that seed is frozen.

`stop` costs nothing: the host looks at the metrics of every chunk and raises `NonFiniteError`.

`freeze-seed` is a wrapper around the algorithm (`freezing`). An update whose metrics, parameters
or optimiser state are not finite is undone inside the compiled program, and its seed keeps the
state before that update for ever. The others never see it: every seed has its own state.

Whether to undo is a select between the state before and after, one copy of the state an update;
the rest of an update (rollout, epochs) moves many times that. Whether to compute at all is a
condition: where seeds run one after another (`map_seeds` on a CPU) a frozen seed costs nothing any
more, and under `vmap` on an accelerator the condition becomes a second select on the same arrays,
which XLA fuses with the first. A condition in place of the select would save no copy: either way
the state before the update must outlive it.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl import checkpoint
from jaxrl.algorithm import Algorithm
from jaxrl.chunks import FINITE, all_finite
from jaxrl.config import FREEZE_SEED, STOP, ConfigError, RunConfig
from jaxrl.dtypes import strong
from jaxrl.episodes import is_episode_metric
from jaxrl.logging import FROZEN_AT, Metrics
from jaxrl.parallel import gather
from jaxrl.shards import EnvShards, Functions


class NonFiniteError(RuntimeError):
    """A loss, a metric or a parameter is no longer finite; names update, seed and metric."""


@struct.dataclass
class Guarded:
    """State of a `freezing` algorithm.

    Attributes:
        inner: the algorithm's own state; the last finite one where the seed is frozen.
        frozen_at: int32 [], the update whose result was not finite; -1 before there is one.
    """

    inner: Any
    frozen_at: jax.Array

    @property
    def policy(self) -> Any:
        """The policy of `inner`."""
        return self.inner.policy

    @property
    def optimizer(self) -> Any:
        """The optimiser state of `inner`; AttributeError where it has none."""
        return self.inner.optimizer

    @property
    def update(self) -> jax.Array:
        """Updates that `inner` has seen."""
        update: jax.Array = self.inner.update
        return update


def freezing(algorithm: Algorithm) -> Algorithm:
    """The same algorithm, whose state stays as it is from the first non-finite update on.

    Its metrics have `finite_parameters` and `frozen_at` besides; those of the update that was
    undone are as computed, later ones are NaN (integers: zero).
    """
    init, step = _guarded((algorithm.init, algorithm.step))
    shards = algorithm.shards
    if shards is not None:
        # Metrics and parameters, which decide, are the same in all env shards of a seed.
        whole = shards
        shards = EnvShards(
            whole.num,
            lambda local, axis: _guarded(whole.part(local, axis)),
            lambda shared, divided: Guarded(whole.layout(shared, divided), shared),
        )
    return algorithm._replace(init=init, step=step, shards=shards)


def _guarded(functions: Functions) -> Functions:
    """(init, step) of `freezing` from those of an algorithm."""
    inner_init, inner_step = functions

    def init(key: jax.Array, hp: Any) -> Guarded:
        return Guarded(strong(inner_init(key, hp)), jnp.int32(-1))

    def step(state: Guarded, hp: Any) -> tuple[Guarded, dict[str, jax.Array]]:
        shapes = jax.eval_shape(inner_step, state.inner, hp)[1]

        def attempt(inner: Any) -> tuple[Any, jax.Array, dict[str, jax.Array]]:
            new, metrics = inner_step(inner, hp)
            learnt = all_finite((new.policy, getattr(new, "optimizer", ())))
            metrics = strong(metrics) | {FINITE: learnt}
            bad = jnp.stack([not_finite(name, metrics, jnp) for name in metrics]).any()
            kept = jax.tree.map(partial(jax.lax.select, bad), inner, strong(new))
            return kept, bad, metrics

        def rest(inner: Any) -> tuple[Any, jax.Array, dict[str, jax.Array]]:
            blank = {name: _blank(shape.dtype) for name, shape in shapes.items()}
            return inner, jnp.bool_(False), blank | {FINITE: jnp.bool_(True)}

        inner, bad, metrics = jax.lax.cond(state.frozen_at < 0, attempt, rest, state.inner)
        frozen_at = jnp.where(bad, state.inner.update + 1, state.frozen_at)
        return Guarded(inner, frozen_at), {**metrics, FROZEN_AT: frozen_at}

    return init, step


def convert(states: Any, saved: str, wanted: str, seeds: range) -> Any:
    """States of all seeds, saved under one policy, for a run that goes on under the other.

    Raises:
        ConfigError: a frozen seed cannot go on under `stop`.
    """
    if saved == wanted:
        return states
    if wanted == FREEZE_SEED:
        return Guarded(states, jnp.full(len(seeds), -1, jnp.int32))
    if frozen := frozen_seeds(states, seeds):
        raise ConfigError(f"{_listed(frozen)} cannot go on under on_nonfinite = {STOP}")
    return states.inner


def frozen_seeds(states: Any, seeds: range) -> dict[int, int]:
    """Update at which each frozen seed was frozen, from the states of all seeds."""
    if not isinstance(states, Guarded):
        return {}
    frozen_at = jax.device_get(states.frozen_at)
    return {seed: int(at) for seed, at in zip(seeds, frozen_at, strict=True) if at >= 0}


class Watch:
    """Looks at the metrics of every chunk on the host, as `RunConfig.on_nonfinite` says.

    Attributes:
        frozen: seed -> update at which it was frozen; grows.
    """

    def __init__(self, run: RunConfig, checkpoints: Path, say: Callable[[str], None]) -> None:
        self.frozen: dict[int, int] = {}
        self._seeds, self._checkpoints, self._say = run.seed_numbers, checkpoints, say

    def __call__(self, metrics: Metrics, update: int, states: Any) -> Metrics:
        """Metrics [count, S] of the updates after `update`, as they are to be recorded.

        Those of a frozen seed are NaN from the update on that was undone (integers: zero).

        Raises:
            NonFiniteError: a number is not finite and the run is to stop at that, or every seed
                is frozen.
        """
        if FROZEN_AT not in metrics:
            self._check(metrics, update, states)
            return {name: values for name, values in metrics.items() if name != FINITE}
        kept = {name: values.copy() for name, values in metrics.items()}
        del kept[FINITE], kept[FROZEN_AT]
        for column, frozen_at in enumerate(metrics[FROZEN_AT][-1]):
            if frozen_at < 0:
                continue
            row = max(int(frozen_at) - update - 1, 0)
            self._freeze(metrics, row, column, int(frozen_at), update)
            for values in kept.values():
                values[row:, column] = _blank(values.dtype)
        if len(self.frozen) == len(self._seeds):
            self._stop(f"no seed is left, {_listed(self.frozen)}")
        return kept

    def _freeze(self, metrics: Metrics, row: int, column: int, frozen_at: int, update: int) -> None:
        seed = self._seeds[column]
        if seed in self.frozen:
            return
        self.frozen[seed] = frozen_at
        if frozen_at <= update:  # by an earlier process
            self._say(f"seed {seed} stays frozen: update {frozen_at} was not finite")
            return
        names = ", ".join(_names(metrics, row, column))
        self._say(
            f"seed {seed} is frozen as it was before update {frozen_at}: non-finite {names};"
            " the other seeds go on"
        )

    def _check(self, metrics: Metrics, update: int, states: Any) -> None:
        """Raises for the first update, and in it the first seed, that is not finite."""
        anywhere = np.any([not_finite(name, metrics) for name in metrics], axis=0)
        if not anywhere.any():
            return
        row, column = (int(index[0]) for index in np.nonzero(anywhere))
        names = _names(metrics, row, column)
        if names[-1] == "parameters":
            names[-1] += _bad_leaf(states, column)
        where = f"update {update + row + 1}, seed {self._seeds[column]}"
        self._stop(f"non-finite {', '.join(names)} at {where}")

    def _stop(self, reason: str) -> NoReturn:
        saved = checkpoint.saved_updates(self._checkpoints)
        left = "no checkpoint yet"
        if saved:
            left = f"the last checkpoint is {self._checkpoints / str(saved[-1])}"
        raise NonFiniteError(f"stopped: {reason}; {left}")


def not_finite(name: str, metrics: Any, xp: Any = np) -> Any:
    """Where a metric is not finite though it should be; of arrays of NumPy or JAX."""
    values = metrics[name]
    if name == FINITE:
        return ~values
    if is_episode_metric(name) and "episodes" in metrics:
        return ~xp.isfinite(values) & (metrics["episodes"] > 0)
    return xp.isinf(values) if is_episode_metric(name) else ~xp.isfinite(values)


def _names(metrics: Metrics, row: int, column: int) -> list[str]:
    """What is not finite in one update of one seed: losses first, parameters last."""
    bad = [name for name in metrics if not_finite(name, metrics)[row, column]]
    names = [name for name in bad if name != FINITE]
    names.sort(key=lambda name: (name != "loss", "loss" not in name))
    return names + ["parameters"] * (FINITE in bad)


def _bad_leaf(states: Any, column: int) -> str:
    """Path of the first parameter of one seed that is not finite after the chunk."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(gather(states.policy)):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not np.isfinite(leaf[column]).all():
            return f" ({jax.tree_util.keystr(path)})"
    return ""


def _blank(dtype: Any) -> Any:
    return np.full((), np.nan if jnp.issubdtype(dtype, jnp.inexact) else 0, dtype)[()]


def _listed(frozen: dict[int, int]) -> str:
    return ", ".join(f"seed {seed} is frozen since update {at}" for seed, at in frozen.items())
