"""Running mean and variance, carried as plain state.

Batches are merged by the parallel formula of Chan, Golub and LeVeque (1983), which neither
cancels catastrophically nor depends on how the stream was cut (up to rounding).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.shards import ALONE, Shards


class RunningMoments(struct.PyTreeNode):
    """Count, mean and sum of squared deviations of everything seen.

    Attributes:
        count: float32 [], samples seen. Float, so that it saturates in precision (after about
            1e11 samples of usual batch sizes) rather than overflows.
        mean: pytree of float32.
        m2: pytree of float32, sum of squared deviations from the mean.
    """

    count: jax.Array
    mean: Any
    m2: Any


def init_moments(example: Any) -> RunningMoments:
    """Moments of nothing seen yet, for samples shaped like `example` (without batch axes)."""
    zeros = jax.tree.map(lambda x: jnp.zeros(jnp.shape(x), jnp.float32), example)
    return RunningMoments(count=jnp.float32(0), mean=zeros, m2=zeros)


def update_moments(moments: RunningMoments, batch: Any, shards: Shards = ALONE) -> RunningMoments:
    """Adds a batch, a pytree of arrays [B, ...] with one common B, and those of other shards."""
    (rows,) = {x.shape[0] for x in jax.tree.leaves(batch)}
    size = rows * shards.num
    total = moments.count + size

    def merge(mean, m2, x):
        x = x.astype(jnp.float32)
        batch_mean = shards.average(jnp.mean(x, axis=0))
        batch_m2 = shards.total(jnp.sum(jnp.square(x - batch_mean[None]), axis=0))
        delta = batch_mean - mean
        new_mean = mean + delta * (size / total)
        return new_mean, m2 + batch_m2 + jnp.square(delta) * (moments.count * size / total)

    merged = jax.tree.map(merge, moments.mean, moments.m2, batch)
    mean, m2 = jax.tree.transpose(jax.tree.structure(batch), jax.tree.structure((0, 0)), merged)
    return RunningMoments(count=total, mean=mean, m2=m2)


def standard_deviation(moments: RunningMoments, floor: float = 1e-4) -> Any:
    """Population standard deviation, not below `floor`; one before anything was seen."""

    def std(m2):
        variance = m2 / jnp.maximum(moments.count, 1.0)
        return jnp.where(moments.count > 0, jnp.maximum(jnp.sqrt(variance), floor), 1.0)

    return jax.tree.map(std, moments.m2)


def standardize(moments: RunningMoments, batch: Any) -> Any:
    """(x - mean) / std for a batch [B, ...]; nothing is clipped."""

    def apply(x, mean, std):
        return (x.astype(jnp.float32) - mean[None]) / std[None]

    return jax.tree.map(apply, batch, moments.mean, standard_deviation(moments))


def init_observation_moments(obs: Any) -> RunningMoments:
    """Moments for the float leaves of a batch of observations [B, ...].

    Integer and boolean leaves (choices, masks, uint8 images) have a scale already and are left
    alone.
    """
    return init_moments([x[0] for x in _float_leaves(obs)])


def update_observation_moments(
    moments: RunningMoments, obs: Any, shards: Shards = ALONE
) -> RunningMoments:
    """Adds a batch of observations [B, ...], and those of other shards."""
    return update_moments(moments, _float_leaves(obs), shards)


def standardize_observation(moments: RunningMoments, obs: Any) -> Any:
    """Observations [B, ...] with their float leaves standardised."""
    scaled = iter(standardize(moments, _float_leaves(obs)))
    return jax.tree.map(lambda x: next(scaled) if _is_float(x) else x, obs)


def _is_float(x: jax.Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def _float_leaves(obs: Any) -> list[jax.Array]:
    return [x for x in jax.tree.leaves(obs) if _is_float(x)]
