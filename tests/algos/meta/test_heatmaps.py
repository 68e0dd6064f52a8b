"""What heat-maps show, against closed forms and finite differences."""

import jax
import numpy as np
import pytest

from jaxrl.algos.meta import heatmaps
from jaxrl.algos.on_policy import lpo, ta_lpo
from jaxrl.algos.on_policy.learnt import random_drift

R = np.linspace(0.5, 1.5, 161)
A = np.linspace(-3.0, 3.0, 161)[:, None]


def test_ppo_by_hand():
    """Its slope is A, and nothing once the ratio has left the clipping range to the good side."""
    found = heatmaps.surface(heatmaps.references()[0].drift)
    clipped = ((R > 1.2) & (A > 0)) | ((R < 0.8) & (A < 0))
    inside = np.abs(np.abs(R - 1) - 0.2) > 1e-3  # off the edge itself
    drift = np.where(clipped, (np.abs(R - 1) - 0.2) * np.abs(A), 0.0)
    np.testing.assert_allclose(found.drift, drift, atol=1e-5)
    slope = np.where(clipped, 0.0, A)
    np.testing.assert_allclose(found.slope[:, inside], slope[:, inside], atol=1e-5)


@pytest.mark.parametrize("kind", ["dpo", "lpo"])
def test_the_slope_is_the_derivative_of_the_objective(kind):
    phi = random_drift(jax.random.key(1))
    panel = heatmaps.panels("x", lpo.LEARNT, phi)[0] if kind == "lpo" else heatmaps.references()[1]
    found = heatmaps.surface(panel.drift)
    objective = R * A - np.float64(found.drift)
    central = (objective[:, 2:] - objective[:, :-2]) / (R[2:] - R[:-2])
    # Away from kinks: where the second difference is small; a few small ones are left.
    bent = np.abs(objective[:, 2:] - 2 * objective[:, 1:-1] + objective[:, :-2]) > 2e-4
    error = np.abs(found.slope[:, 1:-1] - central)[~bent]
    assert bent.mean() < 0.2 and np.mean(error > 0.02) < 1e-3 and np.mean(error) < 5e-3
    assert np.max(np.abs(found.slope[:, 80] - A[:, 0])) < 1e-3  # r = 1


def test_a_temporal_drift_has_a_panel_for_each_time():
    phi = random_drift(jax.random.key(1), 16)
    titles = [panel.title for panel in heatmaps.panels("ta", ta_lpo.LEARNT, phi)]
    assert titles == ["ta\nn/N = 0", "ta\nn/N = 0.5", "ta\nn/N = 1"]


def test_the_picture_grows_by_lines(tmp_path):
    from matplotlib.image import imread

    (panel,) = heatmaps.panels("one", lpo.LEARNT, random_drift(jax.random.key(1)))
    shapes = []
    for count in (1, 5):
        heatmaps.draw(tmp_path / "drifts.png", [panel] * count)
        shapes.append(imread(tmp_path / "drifts.png").shape)
    assert shapes[0][1] < shapes[1][1] and 2 * shapes[0][0] == shapes[1][0]
    with pytest.raises(ValueError, match="no drift"):
        heatmaps.draw(tmp_path / "none.png", [])
    assert [path.name for path in tmp_path.iterdir()] == ["drifts.png"]
