"""Saez's optimal tax rates, estimated from what agents earned under the rates so far.

At income z the optimal marginal rate is (1 - G(z)) / (1 - G(z) + a(z) e): G(z) is the mean social
weight of those who earn z or more, relative to everybody's; a(z) = z p(z) / P(Z >= z) the shape of
the distribution's tail; e the elasticity of income with respect to 1 - rate. Weights and tails are
estimated in bins of income, the elasticity by least squares of log income on log(1 - rate).

All functions are pure; what is learned from period to period is carried in a `SaezState`. As in the
package, rates are drawn at random until the buffer is full, and estimates persist over episodes:
`at_reset` gives the rates that a new episode begins with.

Source: Saez (2001), NBER w7628; Gruber and Saez (2002), NBER w7512; the adaptation to brackets is
that of `ai-economist` 1.7.1, `PeriodicBracketTax`, with which the rates agree.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.envs.economy.metrics import inverse_income_weights
from jaxrl.envs.economy.tax import checked_cutoffs, taxes_due

BUFFER = 500  # samples, of an agent's income and marginal rate in a period
BINS = 100  # of income, from 0 to the last cutoff
FEWEST = 10  # samples with an income and a rate below 1 that a regression needs
_DECAY = 0.98  # of the running estimate of the elasticity, by period
_AVERAGE_DECAY = 0.99  # of the running mean of rates, by period
_TINY = 1e-9  # what the package adds to denominators

Weights = Callable[[jax.Array], jax.Array]


@struct.dataclass
class SaezState:
    """What is carried from one tax period to the next, over episodes.

    Attributes:
        incomes: float [K], the oldest first; only the last `count` are samples.
        rates: float [K], the marginal rates at which they were earned.
        count: int32 [], samples so far, at most K.
        fresh: int32 [], of them those since `pooled` last shared them, at most K.
        elasticity: float [], the running estimate.
        log_income: float [], the regression's intercept: log income without taxes.
        average_rates: float [B], a running mean of the rates that were set.
    """

    incomes: jax.Array
    rates: jax.Array
    count: jax.Array
    fresh: jax.Array
    elasticity: jax.Array
    log_income: jax.Array
    average_rates: jax.Array

    @property
    def full(self) -> jax.Array:
        """Whether there are samples enough for the formula, bool []."""
        return self.count >= self.incomes.shape[-1]


class Population(NamedTuple):
    """A distribution of incomes in bins, the last of which is open.

    Attributes:
        weights: G, float [bins + 1], the mean relative social weight of those at or above a bin.
        tails: a, float [bins + 1]; NaN for a bin without incomes, 0 for an empty open one.
    """

    weights: jax.Array
    tails: jax.Array


def init(brackets: int, buffer: int = BUFFER, dtype: Any = jnp.float32) -> SaezState:
    """No samples, an elasticity of 0.5, and mean rates of 0.

    Raises:
        ValueError: fewer than 2 brackets, or a buffer too small for a regression.
    """
    if brackets < 2:
        raise ValueError(f"brackets must be at least 2, got {brackets}")
    if buffer < FEWEST:
        raise ValueError(f"buffer must hold at least {FEWEST} samples, got {buffer}")
    return SaezState(
        incomes=jnp.zeros(buffer, dtype),
        rates=jnp.zeros(buffer, dtype),
        count=jnp.int32(0),
        fresh=jnp.int32(0),
        elasticity=jnp.asarray(0.5, dtype),
        log_income=jnp.asarray(0, dtype),
        average_rates=jnp.zeros(brackets, dtype),
    )


def observe(state: SaezState, incomes: jax.Array, rates: jax.Array) -> SaezState:
    """The state after a tax day: the newest samples replace the oldest.

    Args:
        state: the state.
        incomes: float [N], of the period.
        rates: float [N], the marginal rates at these incomes.
    """
    chex.assert_equal_shape([incomes, rates])
    size, new = state.incomes.shape[0], incomes.shape[0]
    return dataclasses.replace(
        state,
        incomes=jnp.append(state.incomes, incomes)[-size:],
        rates=jnp.append(state.rates, rates)[-size:],
        count=jnp.minimum(state.count + jnp.int32(new), jnp.int32(size)),
        fresh=jnp.minimum(state.fresh + jnp.int32(new), jnp.int32(size)),
    )


def next_rates(
    uniform: jax.Array,
    state: SaezState,
    cutoffs: jax.Array,
    low: jax.Array | float = 0.0,
    high: jax.Array | float = 1.0,
    weights: Weights = inverse_income_weights,
    fixed_elasticity: jax.Array | float | None = None,
    bins: int = BINS,
) -> tuple[SaezState, jax.Array]:
    """The rates of a new tax period.

    Args:
        uniform: draws in 0..1, float [B], for rates in low..high while samples are too few.
        state: the state.
        cutoffs: float [B].
        low: the lowest rate.
        high: the highest rate.
        weights: social weights by income, `inverse_income_weights` or `uniform_weights`.
        fixed_elasticity: what the formula uses instead of the estimate, which is kept up anyway.
        bins: of income.

    Returns:
        The state with new estimates, and rates, float [B].
    """
    drawn = low + (high - low) * uniform
    elasticity, log_income = estimate_elasticity(
        state.incomes, state.rates, state.elasticity, state.log_income
    )
    used = elasticity if fixed_elasticity is None else fixed_elasticity
    people = population(state.incomes, cutoffs, weights, bins)
    schedule = fill_gaps(optimal_rates(people, used))
    rates = jnp.clip(bracket_means(schedule, cutoffs), low, high)
    learned = dataclasses.replace(
        state,
        elasticity=elasticity,
        log_income=log_income,
        average_rates=_AVERAGE_DECAY * state.average_rates + (1 - _AVERAGE_DECAY) * rates,
    )
    state = jax.tree.map(lambda new, old: jnp.where(state.full, new, old), learned, state)
    return state, jnp.where(state.full, rates, drawn)


def pooled(states: SaezState) -> SaezState:
    """What several economies have learned, shared by all: the package's global buffer.

    The samples that each has made since they were last shared come after those that were shared
    then, by age, and of the same age by economy; of all of them the newest K are kept. Estimates
    stay each economy's own.

    Args:
        states: of E economies that have shared whenever one of them has, and have had as many tax
            days since; leaves [E, ...].

    Returns:
        Leaves [E, ...].
    """
    economies, size = states.incomes.shape
    fresh = states.fresh[0]
    age = jnp.arange(size - 1, -1, -1, dtype=jnp.int32)  # among all samples, 0 for the newest
    new = age < fresh * economies
    # What was shared is alike everywhere, and older than what is fresh.
    economy = jnp.where(new, economies - 1 - age % economies, 0)
    its_age = jnp.where(new, age // economies, age - fresh * (economies - 1))
    index = jnp.maximum(size - 1 - its_age, 0)  # below 0 nothing has been sampled
    count = jnp.minimum(states.count[0] + fresh * (economies - 1), size)

    def shared(values: jax.Array) -> jax.Array:
        return jnp.broadcast_to(values[economy, index], (economies, size))

    return dataclasses.replace(
        states,
        incomes=shared(states.incomes),
        rates=shared(states.rates),
        count=jnp.broadcast_to(count, (economies,)),
        fresh=jnp.zeros(economies, jnp.int32),
    )


def at_reset(state: SaezState) -> jax.Array:
    """The rates before the first period of an episode: the running mean, float [B]."""
    return state.average_rates


def estimate_elasticity(
    incomes: jax.Array,
    rates: jax.Array,
    elasticity: jax.Array,
    log_income: jax.Array,
    decay: float = _DECAY,
) -> tuple[jax.Array, jax.Array]:
    """One step of the running estimate: decay * e + (1 - decay) * max(slope, 0).

    The slope is that of log z = log z0 + e log(1 - rate) by least squares over samples with z > 0
    and rate < 1. With fewer than 10 of them, or rates that are all the same, nothing changes.

    Args:
        incomes: z, float [K].
        rates: float [K].
        elasticity: e so far, float [].
        log_income: log z0 so far, float [].
        decay: of the estimate so far.

    Returns:
        The new elasticity and the new log z0, float [] each.
    """
    used = (incomes > 0) & (rates < 1)
    count = jnp.sum(used, dtype=jnp.int32)
    size = jnp.maximum(count, 1).astype(incomes.dtype)

    def mean(values: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(used, values, 0)) / size

    x = jnp.log(jnp.maximum(1 - rates, _TINY))
    y = jnp.log(jnp.maximum(incomes, _TINY))
    # Deviations from means, where the normal equations would cancel in float32.
    x_centred, y_centred = x - mean(x), y - mean(y)
    variance = mean(x_centred**2)
    deviation = jnp.sqrt(mean((rates - mean(rates)) ** 2))
    enough = (count >= FEWEST) & (deviation >= 1e-6)
    slope = mean(x_centred * y_centred) / jnp.where(enough, variance, 1)
    intercept = mean(y) - slope * mean(x)
    updated = (1 - decay) * jnp.maximum(slope, 0) + decay * elasticity
    return jnp.where(enough, updated, elasticity), jnp.where(enough, intercept, log_income)


def population(
    incomes: jax.Array,
    cutoffs: jax.Array,
    weights: Weights = inverse_income_weights,
    bins: int = BINS,
) -> Population:
    """Social weights and tails of a distribution of incomes.

    Args:
        incomes: float [K]; losses count as people, but lie in no bin.
        cutoffs: float [B]; bins are of equal width from 0 to the last.
        weights: social weights by income.
        bins: of income.
    """
    left, width = _bins(cutoffs, bins)
    top, size = cutoffs[-1], incomes.shape[0]
    below, above = incomes < 0, incomes > top
    edges = jnp.append(left, top)
    reached = jnp.sum(incomes[:, None] >= edges[None, :-1], axis=0, dtype=jnp.int32)
    beyond = jnp.sum(above, dtype=jnp.int32)
    # An income at the last cutoff is in the last closed bin; the open one is beyond it.
    reached = jnp.append(reached, beyond)
    counts = (reached - jnp.append(reached[1:], jnp.int32(0))).astype(incomes.dtype)
    middle = 0.5 * (edges[:-1] + edges[1:])

    def total(mask: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(mask, weights(jnp.maximum(incomes, 0)), 0))

    by_bin = jnp.append(counts[:-1] * weights(middle), total(above))
    density = by_bin / (jnp.sum(by_bin) + total(below) + _TINY)
    share = reached.astype(incomes.dtype) / size
    relative = jnp.cumsum(density[::-1])[::-1] / (share + _TINY)
    # Incomes spread evenly over a bin: the mean of the values at its two edges.
    relative = jnp.append(0.5 * (relative[:-1] + relative[1:]), relative[-1])

    here = counts[:-1] / size
    at_least = (reached[1:].astype(incomes.dtype) + 0.5 * counts[:-1]) / size
    tails = middle * here / (at_least + _TINY) / width
    tails = jnp.where(counts[:-1] > 0, tails, jnp.nan)
    mean_above = jnp.sum(jnp.where(above, incomes, 0)) / jnp.maximum(beyond, 1).astype(top.dtype)
    open_tail = jnp.where(beyond > 0, mean_above / (mean_above - top + _TINY), 0)
    return Population(relative, jnp.append(tails, open_tail))


def optimal_rates(people: Population, elasticity: jax.Array | float) -> jax.Array:
    """Saez's rate by bin, (1 - G) / (1 - G + a e), float [bins + 1]; NaN where a is."""
    gain = 1 - people.weights
    return gain / (gain + people.tails * elasticity + _TINY)


def fill_gaps(rates: jax.Array) -> jax.Array:
    """Rates with each NaN interpolated linearly between its neighbours; before the first is 0.

    Args:
        rates: float [bins + 1], the last not NaN.

    Returns:
        float [bins + 1].
    """
    known = ~jnp.isnan(rates)
    size = rates.shape[0]
    index = jnp.arange(size, dtype=jnp.int32)
    # In index + 1 there is a place 0 before the first, with the rate 0.
    values = jnp.append(jnp.zeros(1, rates.dtype), jnp.where(known, rates, 0))
    before = jax.lax.cummax(jnp.where(known, index + 1, 0))
    after = jax.lax.cummin(jnp.where(known, index + 1, size), reverse=True)
    span = jnp.maximum(after - before, 1).astype(rates.dtype)
    part = (index + 1 - before).astype(rates.dtype) / span
    return values[before] + (values[after] - values[before]) * part


def bracket_means(rates: jax.Array, cutoffs: jax.Array) -> jax.Array:
    """A schedule by brackets that takes as much as one by bins does at every cutoff.

    Args:
        rates: by bin, float [bins + 1], the last of the open one.
        cutoffs: float [B].

    Returns:
        float [B], the mean rate within each bracket; in the open one the last of `rates`.
    """
    left, _ = _bins(cutoffs, rates.shape[0] - 1)
    edges = jnp.append(left, cutoffs[-1])
    due = jax.vmap(taxes_due, in_axes=(0, None, None))(cutoffs, edges, rates)
    due = jnp.maximum(due, 0)
    means = (due[1:] - due[:-1]) / (cutoffs[1:] - cutoffs[:-1])
    return jnp.append(means, rates[-1])


def check(cutoffs: object, low: float, high: float, fixed_elasticity: float | None) -> np.ndarray:
    """Checks what `next_rates` takes, where values are concrete; the cutoffs as float64 [B].

    Raises:
        ValueError: cutoffs that are no brackets, not 0 <= low <= high <= 1, or an elasticity that
            is negative.
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(f"rates must have 0 <= low <= high <= 1, got low {low} and high {high}")
    if fixed_elasticity is not None and not fixed_elasticity >= 0:
        raise ValueError(f"fixed_elasticity must not be negative, got {fixed_elasticity}")
    return checked_cutoffs(cutoffs)


def _bins(cutoffs: jax.Array, bins: int) -> tuple[jax.Array, jax.Array]:
    """The bins' left edges, float [bins], and their width, float []."""
    width = cutoffs[-1] / bins
    return jnp.arange(bins, dtype=cutoffs.dtype) * width, width
