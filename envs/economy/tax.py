"""Income taxes by brackets, and what becomes of the revenue.

A schedule is `cutoffs`, float [B], the incomes at which brackets begin, in coin, ascending from 0,
and `rates`, float [B], the share taken of each unit of income within a bracket. All functions of
income are pure and unbatched (callers vmap); those that make schedules are NumPy, for construction.

Source: Zheng et al. (2020), arXiv 2004.13332, section 3.2; brackets and rates are those of the
package `ai-economist` 1.7.1, `PeriodicBracketTax`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

# What a single filer paid in the United States in 2018, in dollars of taxable income.
US_FEDERAL_DOLLARS = (0.0, 9700.0, 39475.0, 84200.0, 160725.0, 204100.0, 510300.0)
US_FEDERAL_RATES = (0.10, 0.12, 0.22, 0.24, 0.32, 0.35, 0.37)


class Collected(NamedTuple):
    """What a tax day does.

    Attributes:
        paid: float [N], coin taken of each agent, none negative.
        lump_sum: float [], coin each agent is given.
        marginal_rate: float [N], the rate on the next coin that each would have earned.
    """

    paid: jax.Array
    lump_sum: jax.Array
    marginal_rate: jax.Array

    @property
    def net(self) -> jax.Array:
        """The change of each agent's coin, float [N]; the sum is zero."""
        return self.lump_sum - self.paid


def us_federal_cutoffs(dollars_a_coin: float = 1000.0) -> np.ndarray:
    """The brackets of 2018 in coin, float64 [7].

    Raises:
        ValueError: the scale is not positive.
    """
    return np.array(US_FEDERAL_DOLLARS) / _positive("dollars_a_coin", dollars_a_coin)


def linear_cutoffs(brackets: int, top: float) -> np.ndarray:
    """B cutoffs at equal distances from 0 to `top` coin, float64 [B].

    Raises:
        ValueError: fewer than 2 brackets, or a top that is not positive.
    """
    return np.linspace(0.0, _positive("top", top), _several(brackets))


def log_cutoffs(brackets: int, top: float) -> np.ndarray:
    """B cutoffs, the first 0 and each further one twice the one before, up to `top`, float64 [B].

    Raises:
        ValueError: fewer than 2 brackets, or a top that is not positive.
    """
    halvings = np.arange(_several(brackets) - 2, -1, -1)
    return np.append(0.0, _positive("top", top) / 2.0**halvings)


def checked_cutoffs(cutoffs: Any) -> np.ndarray:
    """`cutoffs` as float64 [B].

    Raises:
        ValueError: fewer than two, not finite, not ascending, or the first is not 0.
    """
    values = _vector("cutoffs", cutoffs)
    if len(values) < 2:
        raise ValueError(f"cutoffs: at least 2 brackets are needed, got {len(values)}")
    if not np.isfinite(values).all():
        raise ValueError(f"cutoffs must be finite, got {values.tolist()}")
    if values[0] != 0:
        raise ValueError(f"cutoffs must begin at 0, got {values.tolist()}")
    # Those that differ less than float32 can tell would be a bracket without width.
    if not (np.diff(values.astype(np.float32)) > 0).all():
        raise ValueError(f"cutoffs must be ascending, got {values.tolist()}")
    return values


def checked_rates(rates: Any, brackets: int) -> np.ndarray:
    """`rates` as float64 [B].

    Raises:
        ValueError: not one for each of the `brackets`, or one outside 0..1.
    """
    values = _vector("rates", rates)
    if len(values) != brackets:
        raise ValueError(f"rates: one for each of {brackets} brackets is needed, got {len(values)}")
    wrong = ~((values >= 0) & (values <= 1))  # a NaN is within no limits
    if wrong.any():
        raise ValueError(f"rates must be in 0..1, got {values[wrong][0]}")
    return values


def us_federal_rates(limit: float = 1.0) -> np.ndarray:
    """The rates of 2018, none above `limit`, float64 [7]; for `us_federal_cutoffs`."""
    return np.minimum(US_FEDERAL_RATES, limit)


def free_market_rates(brackets: int) -> np.ndarray:
    """No taxes: zeros, float64 [B]."""
    return np.zeros(brackets)


def fixed_rates(rates: Sequence[float], brackets: int, limit: float = 1.0) -> np.ndarray:
    """Somebody's rates, none above `limit`, float64 [B]; raises as `checked_rates`."""
    return np.minimum(checked_rates(rates, brackets), limit)


def rate_choices(low: float = 0.0, high: float = 1.0, step: float = 0.05) -> np.ndarray:
    """The rates that a planner can choose of: low, low + step, .., none above high; float64 [R].

    21 by default. Rounding never costs the last: of 0, 0.1, 0.2, 0.3 up to 0.3 there are four,
    where the package has three.

    Raises:
        ValueError: unless 0 <= low <= high <= 1 and 0 < step < 1.
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(f"rates must have 0 <= low <= high <= 1, got low {low} and high {high}")
    if not 0 < step < 1:
        raise ValueError(f"step must be above 0 and below 1, got {step}")
    count = math.floor((high - low) / step + 1e-9) + 1
    return np.minimum(low + np.arange(count) * step, high)


def taxes_due(income: jax.Array, cutoffs: jax.Array, rates: jax.Array) -> jax.Array:
    """T(z) = sum_b rate_b * (the part of z within bracket b); 0 for a loss.

    Args:
        income: z, float [].
        cutoffs: float [B].
        rates: float [B].

    Returns:
        float [], coin.
    """
    chex.assert_rank([income, cutoffs, rates], [0, 1, 1])
    past = jnp.maximum(income - cutoffs, 0)
    # The last bracket has no end, so all that is past its cutoff is within it.
    within = jnp.append(jnp.minimum(past[:-1], cutoffs[1:] - cutoffs[:-1]), past[-1])
    return jnp.sum(rates * within)


def marginal_rate(income: jax.Array, cutoffs: jax.Array, rates: jax.Array) -> jax.Array:
    """The rate of the bracket that holds an income; a cutoff belongs to the bracket above it.

    Args:
        income: float []; a loss has the rate 0.
        cutoffs: float [B].
        rates: float [B].

    Returns:
        float [].
    """
    chex.assert_rank([income, cutoffs, rates], [0, 1, 1])
    ends = jnp.append(cutoffs[1:], jnp.inf)
    return jnp.sum(jnp.where((income >= cutoffs) & (income < ends), rates, 0))


def collect(
    income: jax.Array, at_hand: jax.Array, cutoffs: jax.Array, rates: jax.Array
) -> Collected:
    """Taxes everybody's income of a period and shares the revenue equally.

    Nobody pays more than the coin at hand: what is in escrow is not touched.

    Args:
        income: float [N], the change of coin in the period, in inventory and escrow.
        at_hand: float [N], coin in the inventory.
        cutoffs: float [B].
        rates: float [B].

    Returns:
        Taxes paid, the lump sum and marginal rates; `net` is what each gains.
    """
    paid, marginal = assess(income, at_hand, cutoffs, rates)
    return Collected(paid, jnp.sum(paid) / income.shape[0], marginal)


def assess(
    income: jax.Array, at_hand: jax.Array, cutoffs: jax.Array, rates: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """What each pays of a period's income, and the marginal rate, float [N] each.

    Args:
        income: as in `collect`, like what follows.
        at_hand: float [N].
        cutoffs: float [B].
        rates: float [B], or [N, B] where agents have schedules of their own.
    """
    chex.assert_equal_shape([income, at_hand])
    axes = (0, None, 0 if rates.ndim == 2 else None)
    due = jax.vmap(taxes_due, in_axes=axes)(income, cutoffs, rates)
    marginal = jax.vmap(marginal_rate, in_axes=axes)(income, cutoffs, rates)
    return jnp.minimum(at_hand, due), marginal


def equal_shares(inventory: jax.Array, escrow: jax.Array) -> jax.Array:
    """Wealth redistribution: inventories with which all own the same, escrow included.

    Args:
        inventory: coin, float [N].
        escrow: coin, float [N].

    Returns:
        float [N], the new inventories; negative for whom has more than a share in escrow.
    """
    chex.assert_equal_shape([inventory, escrow])
    return jnp.sum(inventory + escrow) / inventory.shape[0] - escrow


def annealed_limit(
    progress: jax.Array, warmup: jax.Array | float, slope: jax.Array | float, limit: float = 1.0
) -> jax.Array:
    """The highest rate that is open so far: limit * clip(slope * (progress - warmup), 0, 1).

    Args:
        progress: float [], completed episodes.
        warmup: episodes without taxes; a negative one opens some rates at once.
        slope: share of `limit` opened by episode.
        limit: the highest rate in the end.

    Returns:
        float [], in 0..limit.
    """
    past = progress - warmup
    # An infinite slope opens everything, but nothing where there is nothing past.
    return limit * jnp.clip(jnp.where(past > 0, slope * past, 0), 0, 1)


def _vector(name: str, values: Any) -> np.ndarray:
    try:
        vector = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        vector = np.empty((0, 0))
    if vector.ndim != 1:
        raise ValueError(f"{name} must be a sequence of numbers, got {values!r}")
    return vector


def _positive(name: str, value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be positive, got {value}")
    return value


def _several(brackets: int) -> int:
    if brackets < 2:
        raise ValueError(f"brackets must be at least 2, got {brackets}")
    return brackets
