"""The nearest DPO of a drift: recovered exactly, and against a brute force in NumPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.algos.meta import symbolic
from jaxrl.algos.on_policy import dpo, lpo, ta_lpo
from jaxrl.algos.on_policy.learnt import random_drift
from jaxrl.algos.on_policy.objectives import DPOParameters, dpo_drift, ppo_drift

GRID = symbolic.Grid(
    np.linspace(0.6, 1.5, 23, dtype=np.float32), np.linspace(0.1, 2.5, 9, dtype=np.float32)
)


def numpy_halves(alpha, beta, ratio, advantage):
    """DPO's drift where A > 0 and where A < 0, float64, [A, r] each."""
    ratio, advantage = np.meshgrid(np.float64(ratio), np.float64(advantage))
    gain, loss = (ratio - 1) * advantage, -np.log(ratio) * advantage
    return (
        np.maximum(gain - alpha * np.tanh(gain / alpha), 0),
        np.maximum(loss - beta * np.tanh(loss / beta), 0),
    )


def test_a_drift_that_is_dpo_is_recovered():
    found = symbolic.fit(lambda log_r, a: dpo_drift(log_r, a, DPOParameters(1.3, 0.4)))
    np.testing.assert_allclose([found.phi.alpha, found.phi.beta], [1.3, 0.4], rtol=1e-5)
    for half in (found.positive, found.negative):
        assert half.residual.rms < 1e-6 and half.residual.unexplained < 1e-9
        assert not half.at_bound


def test_residuals_of_the_references_by_hand():
    """What is left between DPO(1.3, 0.4) and the published DPO, and PPO, on a 2 x 2 grid."""
    grid = symbolic.Grid(np.float32([0.5, 1.5]), np.float32([1.0, 2.0]))
    found = symbolic.fit(lambda log_r, a: dpo_drift(log_r, a, DPOParameters(1.3, 0.4)), grid)
    truth = numpy_halves(1.3, 0.4, *grid)
    # relu((r - clip(r, 0.8, 1.2)) A): 0.3 A at r = 1.5 where A > 0, 0.3 |A| at r = 0.5 where A < 0.
    ppo = np.array([[0, 0.3], [0, 0.6]]), np.array([[0.3, 0], [0.6, 0]])
    published = numpy_halves(2.0, 0.6, *grid)
    for i, half in enumerate((found.positive, found.negative)):
        for ours, other in ((half.ppo, ppo[i]), (half.dpo, published[i])):
            squares = np.mean((truth[i] - other) ** 2)
            np.testing.assert_allclose(ours.rms, math.sqrt(squares), rtol=1e-4)
            np.testing.assert_allclose(ours.unexplained, squares / truth[i].var(), rtol=1e-4)


def test_the_fit_of_a_network_is_the_best_of_a_brute_force():
    phi = random_drift(jax.random.key(0), scale=0.7)
    (found,) = symbolic.summarise(lpo.LEARNT, phi, GRID)
    assert found.progress is None
    log_ratio, advantage = (x.astype(np.float32) for x in np.meshgrid(np.log(GRID[0]), GRID[1]))
    numbers = np.geomspace(0.05, 5, 1501)
    for i, (sign, half) in enumerate(((1, found.positive), (-1, found.negative))):
        target = np.float64(lpo.LEARNT.drift(jnp.asarray(log_ratio), sign * advantage, phi, 0.0))
        errors = [np.mean((numpy_halves(x, x, *GRID)[i] - target) ** 2) for x in numbers]
        best = int(np.argmin(errors))
        np.testing.assert_allclose(half.parameter, numbers[best], rtol=4e-3)
        np.testing.assert_allclose(half.residual.rms, math.sqrt(errors[best]), rtol=1e-4)
        np.testing.assert_allclose(
            half.residual.unexplained, errors[best] / target.var(), rtol=1e-4
        )


def test_a_temporal_drift_is_fitted_at_several_times():
    """Hidden units that see (n/N) x only are PPO at n/N = 0, so nothing of PPO is unexplained."""
    phi = random_drift(jax.random.key(3), 16)
    early = phi.replace(hidden=phi.hidden.at[:8].set(0.0))
    fits = symbolic.summarise(ta_lpo.LEARNT, early, GRID)
    assert [found.progress for found in fits] == [0.0, 0.5, 1.0]
    assert fits[0].positive.ppo.rms == 0 and fits[0].negative.ppo.unexplained == 0
    assert fits[1].positive.ppo.rms > 1e-3 and fits[2].negative.ppo.rms > 1e-3
    assert len({found.positive.parameter for found in fits}) == 3
    blind = phi.replace(hidden=phi.hidden.at[8:].set(0.0))
    assert [f.progress for f in symbolic.summarise(ta_lpo.LEARNT, blind, GRID)] == [None]


def test_a_drift_that_vanishes_has_its_parameter_at_the_end():
    found = symbolic.fit(lambda log_r, a: jnp.where(a > 0, 0.0, ppo_drift(log_r, a, 0.2)), GRID)
    assert found.positive.at_bound and not found.negative.at_bound
    np.testing.assert_allclose(found.positive.parameter, symbolic.HIGHEST, rtol=0.06)
    assert math.isnan(found.positive.residual.unexplained)
    assert found.to_json()["positive"]["residual"]["unexplained"] is None
    text = "\n".join(symbolic.describe("x", [found]))
    assert "the end of its range" in text and "rms" in text


def test_a_learnt_dpo_is_its_own_summary():
    (found,) = symbolic.summarise(dpo.LEARNT, DPOParameters(0.7, 1.9), GRID)
    np.testing.assert_allclose([found.phi.alpha, found.phi.beta], [0.7, 1.9], rtol=1e-4)


def test_bad_grids_and_drifts_are_refused():
    with pytest.raises(ValueError, match="must be positive"):
        symbolic.fit(dpo_drift, symbolic.Grid(np.float32([1.0]), np.float32([-1.0])))
    with pytest.raises(ValueError, match="not finite"):
        symbolic.fit(lambda log_r, a: jnp.log(log_r * 0 - 1), GRID)
