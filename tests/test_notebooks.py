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
