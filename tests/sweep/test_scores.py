"""Interquartile means and intervals against SciPy, rliable's definition and hand computation."""

import numpy as np
from scipy import stats

from jaxrl.statistics import bootstrap_interval, interquartile_mean
from jaxrl.sweep.scores import curve, interquartile_means, interval, ranked

INF = np.inf


def test_the_interquartile_mean_is_scipys_trimmed_mean():
    # rliable: metrics.aggregate_iqm = scipy.stats.trim_mean(scores, proportiontocut=0.25).
    values = np.random.default_rng(0).normal(size=(5, 11))
    want = [stats.trim_mean(row, 0.25) for row in values]
    np.testing.assert_allclose(interquartile_means(values), want, rtol=1e-12)
    assert interquartile_means(np.array([0.0, 1, 2, 9])) == 1.5


def test_the_interval_is_the_bootstrap_of_the_run_summaries_and_near_scipys():
    values = np.random.default_rng(1).normal(size=8)
    low, high = interval(values)
    assert (low, high) == bootstrap_interval(values, interquartile_mean)
    ours = stats.bootstrap(
        (values,), lambda x, axis: stats.trim_mean(x, 0.25, axis=axis), method="percentile",
        n_resamples=20_000, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    # Quantiles of 2000 resamples scatter by about a tenth of the interval.
    width = ours.high - ours.low
    assert abs(low - ours.low) < 0.1 * width and abs(high - ours.high) < 0.1 * width


def test_a_quarter_of_failures_is_borne_and_more_is_minus_infinity():
    scores = np.array([5.0, 1, 2, 3, 4, 6, 7, 8])
    diverged = np.zeros(8, bool)
    diverged[:2] = True
    counted = ranked(scores, diverged)
    # In order: -inf -inf | 2 3 4 6 | 7 8.
    assert interquartile_means(counted) == (2 + 3 + 4 + 6) / 4
    low, high = interval(counted)
    assert low == -INF and np.isfinite(high) and high > 3.75
    diverged[3] = True
    assert interquartile_means(ranked(scores, diverged)) == -INF
    assert interval(np.full(4, -INF)) == (-INF, -INF)


def test_a_score_that_is_not_finite_ranks_lowest_also_without_divergence():
    counted = ranked(np.array([np.nan, INF, 1.0]), np.zeros(3, bool))
    np.testing.assert_array_equal(counted, [-INF, -INF, 1.0])


def test_curves_carry_the_last_return_and_end_where_too_many_diverged():
    nan = np.nan
    returns = np.array(
        [[nan, 1.0, nan, 3.0], [2.0, 2.0, 2.0, 2.0], [4.0, nan, 4.0, 4.0], [0.0, 6.0, 6.0, 6.0]]
    )
    middle, low, high = curve(returns, np.array([4, 4, 4, 4]))
    # The first seed has no episode yet; then (1, 2, 4, 6): 3; (1, 2, 4, 6); (3, 2, 4, 6): 3.5.
    np.testing.assert_allclose(middle, [nan, 3.0, 3.0, 3.5])
    assert (low[1:] <= middle[1:]).all() and (middle[1:] <= high[1:]).all()
    # One of four failing is trimmed away, two are not.
    middle, low, _ = curve(returns, np.array([4, 2, 4, 3]))
    # From place 2: (1, -inf, 4, 6): 2.5; at place 3 two failures.
    np.testing.assert_allclose(middle, [nan, 3.0, 2.5, nan])
    assert np.isnan(low[2])
