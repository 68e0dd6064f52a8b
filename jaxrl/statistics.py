"""Summaries over seeds and episodes: interquartile mean and bootstrap intervals."""

from collections.abc import Callable
from typing import Any

import numpy as np

Values = np.ndarray[Any, Any]


def interquartile_mean(values: Values) -> float:
    """Mean of what is left without the lowest and the highest quarter, floor(n / 4) values each.

    Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
    `values` is [n]; NaN for n = 0.
    """
    ordered = np.sort(np.asarray(values, np.float64).ravel())
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    return float(middle.mean()) if len(middle) else float("nan")


def bootstrap_interval(
    values: Values,
    statistic: Callable[[Values], float],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic` over `values` [n] (Efron 1979).

    Deterministic for a given `seed`. Of a single value it is that value, twice.
    """
    values = np.asarray(values, np.float64).ravel()
    draws = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    estimates = np.array([statistic(values[draw]) for draw in draws])
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
