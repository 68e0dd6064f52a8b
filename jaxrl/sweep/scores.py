"""Interquartile means and their intervals where a seed may have no score.

The statistics are those of rliable (Agarwal et al. 2021, arXiv 2108.13264), as in
`jaxrl.statistics`: with one task, its stratified bootstrap draws seeds with replacement.

A seed that diverged, or has no finite score for another reason, counts as minus infinity: it ranks
below every other seed. Leaving it out would favour settings that fail often. So the interquartile
mean of n seeds is unharmed by floor(n / 4) failures, and is minus infinity beyond that.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

Values = np.ndarray[Any, Any]

RESAMPLES = 2000
LEVEL = 0.95


def ranked(scores: Values, diverged: Values) -> Values:
    """Scores of any shape with minus infinity for seeds that diverged or have no finite score."""
    scores = np.asarray(scores, np.float64)
    return np.where(np.isfinite(scores) & ~np.asarray(diverged, bool), scores, -np.inf)


def interquartile_means(values: Values) -> Values:
    """Mean over the last axis without its lowest and highest floor(n / 4) values, [..., n]."""
    ordered = np.sort(np.asarray(values, np.float64), axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def interval(scores: Values, seed: int = 0) -> tuple[float, float]:
    """95% percentile bootstrap interval of the interquartile mean of [n] scores.

    Of finite scores it is that of `jaxrl.statistics.bootstrap_interval`; an end is minus infinity
    where that many resamples have too many failures.
    """
    scores = np.asarray(scores, np.float64)
    draws = np.random.default_rng(seed).integers(0, len(scores), (RESAMPLES, len(scores)))
    estimates = interquartile_means(scores[draws])
    # Between minus infinity and a number nothing can be interpolated.
    method: Any = "linear" if np.isfinite(estimates).all() else "inverted_cdf"
    low, high = np.quantile(estimates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method=method)
    return float(low), float(high)


def curve(returns: Values, nonfinite_part: Values) -> tuple[Values, Values, Values]:
    """Interquartile mean and interval of learning curves at each of C places.

    A seed keeps its last known return where no episode ended.

    Args:
        returns: [seeds, C], NaN where no episode ended.
        nonfinite_part: the place from which on a seed counts as minus infinity, [seeds]; C or
            more for a sound one.

    Returns:
        (interquartile means, lower ends, upper ends), [C] each; NaN as long as a seed has not
        finished its first episode, and where a number is not finite.
    """
    known = np.array([_carried(row) for row in np.asarray(returns, np.float64)])
    places = np.arange(known.shape[1])
    known = np.where(places >= np.asarray(nonfinite_part)[:, None], -np.inf, known)
    rows = np.array([_place(column) for column in known.T])
    finite = np.where(np.isfinite(rows), rows, np.nan)
    return finite[:, 0], finite[:, 1], finite[:, 2]


def _place(column: Values) -> tuple[float, float, float]:
    if np.isnan(column).any():
        return (np.nan, np.nan, np.nan)
    return (float(interquartile_means(column)), *interval(column))


def _carried(row: Values) -> list[float]:
    def values() -> Iterator[float]:
        last = np.nan
        for value in row:
            last = last if np.isnan(value) else value
            yield last

    return list(values())
