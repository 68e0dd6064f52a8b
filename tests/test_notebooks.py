"""Every notebook runs from top to bottom, and computes what its text says."""

from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[1]

# Statements that hold at the end of a notebook.
CLAIMS = {
    "01_quickstart.ipynb": """
assert returns.shape == (4, 8, updates) and np.isfinite(returns[..., -1]).any()
final = np.nanmean(returns[:, :, -10:], axis=(1, 2))
assert final[0] < 40 < 200 < final[best], final  # 1e-5 learns nothing
assert episodes.returns.shape == (64,) and episodes.returns.mean() > 200
""",
    "02_sweeps.ipynb": """
assert len(result.table) == 6 and not result.missing
assert lines[1].startswith("program 1 of 1: 2 points x 4 seeds"), lines
assert (result.scores() == before).all()
assert result.best().values["hp.lr"] == 1e-2
""",
    "03_discovered_objectives.ipynb": """
assert len(pretrained.names()) >= 3 and note["environments"] == ["CartPole-v1"]
assert float(drift.min()) >= 0 and float(jnp.abs(slope).max()) == 0
assert fits[0].positive.residual.rms > 0.1  # not DPO
assert areas["PPO"].shape == areas["LPO"].shape == (16,)
assert areas["LPO"].mean() > 1.05 * areas["PPO"].mean()
assert len(result.rows) == 25 and all(row["failed"] == 0 for row in result.rows)
assert tiny["evolved"].mean() > 1.1 * tiny["PPO"].mean()
""",
    "04_crafter_oo.ipynb": """
assert obs.shape == (1723,) and observations.SYMBOLIC["daylight"].stop == 1723
assert state.daylight > 0.5 > night.daylight
by_day, by_night, dreaming = pictures.values()
assert by_day[:200].mean() > 1.2 * by_night[:200].mean() and (by_day != dreaming).any()
again = np.asarray(look(jax.random.key(1), night))
assert (again != by_night).any()  # noise; of the day there is none
assert (np.asarray(look(jax.random.key(1), state)) == by_day).all()
assert all(jax.tree.leaves(same))
assert edited.player.inventory["wood"] == 9 and after.player.inventory["wood"] == 8
assert after.player.inventory["wood_pickaxe"] == 1 and unlocked == ["make_wood_pickaxe"]
assert in_the_plain.player.inventory["wood_pickaxe"] == 0
share = dict(zip(damages.tolist(), alive[..., -1].mean(axis=1), strict=True))
assert share[0] == share[1] == 1 > share[2] > share[3] > share[5] > share[9]
assert (alive[3] == alive[4]).all() and (alive[5] == alive[6]).all()  # 3 and 4, 5 and 8
assert damages.tolist()[3:7] == [3, 4, 5, 8]
last = alive.mean(axis=1)
assert (last[1:, 40] - last[1:, 59] < 0.1).all()  # mostly stays alive
assert set(rules.QUIRKS) == set(vars(rules.fixed().quirks))
assert not any(vars(rules.fixed().quirks).values())
assert speed > 500 and ended > 1000
standard_errors = np.sqrt(success * (100 - success) / ended)
expected = np.asarray([random.success[name] for name in constants.ACHIEVEMENTS])
assert (np.abs(success - expected) <= 4 * standard_errors + 0.5).all(), success
assert abs(random_score - 1.6) < 0.3 and human.score == 50.5
assert results["oracle"]["craft_wooden_pickaxe"].rank_at_1 == 1
assert all(s.mrr < results["oracle"][name].mrr for name, s in results["no-change"].items())
""",
    "05_arcle.ipynb": """
assert len(training.tasks) == 400 and len(small.tasks) == 178
assert [(leak.train, leak.evaluation) for leak in known] == [("40853293", "070dd51e")]
assert len(env.operation_set.names) == 35
assert rewards == [0.0, 1.0] and bool(end.game.terminated)
assert mask.sum(axis=1).tolist() == [0, 9, 9, 9]  # painting black changes no black grid
assert all(jax.tree.leaves(same)) and distinct == 256
assert len(passed.ids) == 31 and passed.score(3)["tests"] <= 0.2
assert (passed.submits <= 3).all() and passed.submits.mean() > 0.5
assert speed > 20_000
assert solved[:5].max() < 10 < 90 < solved[-5:].mean(), solved
assert len(frames) == 10 and frames[0].shape == (702, 956, 3)
""",
    "06_tax_policy.ipynb": """
assert random.length == 120 and did.shape == (120, 4, 1) and did.all()
learning = school["episode/productivity"]
assert 2 * np.nanmean(learning[:10]) < np.nanmean(learning[-10:])  # agents learn to build
for name, world in worlds.items():
    own, found = world.own[TAXES], measures[name]
    np.testing.assert_allclose(world.total_coin.sum(axis=1), found["productivity"], rtol=1e-5)
    product = found["equality"] * found["productivity"] / 4
    np.testing.assert_allclose(found["equality_times_productivity"], product, rtol=1e-5)
    assert own.shown_rates.shape == (32, 1, 7) and (world.time == 120).all()
    assert found["productivity"].mean() > 30, name
shown = {name: world.own[TAXES].shown_rates[:, 0] for name, world in worlds.items()}
assert (shown["free market"] == 0).all()
np.testing.assert_allclose(shown["US federal"], np.tile(tax.us_federal_rates(), (32, 1)))
assert len(np.unique(shown["US federal"])) == 7
saez_state = ends["Saez"].env.env_state.own[TAXES].saez
assert (saez_state.count == 500).all() and shown["Saez"].std(axis=0).max() < 0.2  # no longer drawn
steps = shown["learned"] / 0.05
np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
assert levied[0.0]["equality"] < levied[0.01]["equality"] < levied[0.1]["equality"]
assert episode.length == 120 and len(rewards) == len(chosen) == 5
""",
}


def test_every_notebook_has_claims():
    assert {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} == set(CLAIMS)


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_runs_and_keeps_its_claims(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    nbformat.validate(notebook)
    notebook.cells.append(nbformat.v4.new_code_cell(CLAIMS[name]))
    # Started in an empty folder: a notebook needs nothing beside it.
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
