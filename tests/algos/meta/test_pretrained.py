"""The drifts that ship with the package: valid, documented, and usable without a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import cli, registry
from jaxrl.algos.on_policy import drift_files, pretrained

RATIO = np.concatenate([np.geomspace(0.05, 20, 161), 1 + np.geomspace(1e-6, 1e-2, 20)])
ADVANTAGE = np.concatenate([-np.geomspace(1e-3, 6, 20), [0.0], np.geomspace(1e-3, 6, 20)])
LOG_RATIO, GRID_A = (
    jnp.asarray(x, jnp.float32) for x in np.meshgrid(np.log(RATIO), ADVANTAGE, indexing="ij")
)
PROGRESS = (0.0, 0.3, 1.0)


def test_some_drifts_ship():
    assert len(pretrained.names()) >= 2
    assert {drift_files.architecture(pretrained.path(n)) for n in pretrained.names()} >= {
        "lpo", "ta-lpo",
    }  # fmt: skip


@pytest.fixture(params=pretrained.names())
def shipped(request):
    """(learnt objective, phi, file) of one shipped drift."""
    file = f"pretrained/{request.param}"
    learnt = registry.algorithm(drift_files.architecture(file)).learnt
    return learnt, learnt.load(file), file


@pytest.mark.parametrize("progress", PROGRESS)
def test_axioms_hold_on_a_grid(shipped, progress):
    """F >= 0 everywhere; f = 0 and df/dr = 0 at r = 1 for every A; and it is not PPO's."""
    learnt, phi, _ = shipped
    part = jnp.float32(progress)
    drift = np.asarray(learnt.drift(LOG_RATIO, GRID_A, phi, part))
    assert np.isfinite(drift).all() and drift.min() >= 0.0 and drift.max() > 0.1
    at_old = jnp.zeros(len(ADVANTAGE))
    advantage = jnp.asarray(ADVANTAGE, jnp.float32)
    np.testing.assert_array_equal(learnt.drift(at_old, advantage, phi, part), 0.0 * at_old)
    slope = jax.vmap(jax.grad(lambda x, a: learnt.drift(x, a, phi, part)))(at_old, advantage)
    np.testing.assert_array_equal(slope, 0.0 * at_old)
    zero = learnt.replace(phi, jax.tree.map(jnp.zeros_like, learnt.weights(phi)))
    assert np.abs(drift - np.asarray(learnt.drift(LOG_RATIO, GRID_A, zero, part))).max() > 0.01


def test_provenance_is_complete(shipped):
    _, _, file = shipped
    note = drift_files.provenance(file)
    for name in ("command", "environments", "generations", "device", "fitness_curve", "versions"):
        assert note[name], name
    curve = note["fitness_curve"]
    assert curve["generation"][-1] == note["generations"]
    assert len(curve["mean"]) == len(curve["generation"])
    assert [task["env"] for task in note["tasks"]] == note["environments"]


def test_files_are_small(shipped):
    assert drift_files.locate(shipped[2]).stat().st_size < 64_000


def test_a_shipped_drift_trains_from_the_command_line(tmp_path, capsys):
    words = [
        "train", "lpo", "Probe-ObservationAction-v1", "--phi", "pretrained/lpo-cartpole",
        "--total-steps", "2048", "--config.num-envs", "8", "--config.num-steps", "8",
        "--config.network.hidden", "8", "--hp.lr", "0.01", "--out", str(tmp_path / "run"),
        "--no-progress", "--devices", "1",
    ]  # fmt: skip
    assert cli.main(words) == 0
    assert "final return by seed: 0:" in capsys.readouterr().out
    from jaxrl.config import load_config

    saved = load_config(tmp_path / "run" / "config.json").hp.objective
    phi = registry.algorithm("lpo").learnt.load("pretrained/lpo-cartpole")
    np.testing.assert_array_equal(saved.hidden, phi.hidden)


def test_unknown_names_say_what_there_is(capsys):
    words = ["train", "lpo", "CartPole-v1", "--phi", "pretrained/lpo-moon"]
    assert cli.main(words) == 1
    error = capsys.readouterr().err
    assert "no drift 'lpo-moon' ships with jaxrl" in error and "lpo-cartpole" in error
