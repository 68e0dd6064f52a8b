"""Whole sweeps: resumed after a kill, diverged seeds, refused folders, and nothing else changed."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest

from jaxrl import driver, run_sweep
from jaxrl.config import ConfigError
from jaxrl.run_folder import RunFolderError, locked
from jaxrl.sweep import plan as plans
from jaxrl.sweep.memory import SweepMemoryError
from jaxrl.sweep.run import default_folder
from jaxrl.sweep.scores import interquartile_means
from jaxrl.sweep.table import gather
from tests import fake_algorithm
from tests.processes import run_python

pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")

GRID = {"hp.lr": [0.01, 0.05, 0.1, 0.2]}
FAKE = dict(seeds=4, total_steps=120, episodes=0)


def sweep(out, grid=None, **options):
    lines = []
    result = run_sweep(
        fake_algorithm.NAME,
        "CartPole-v1",
        grid=grid or GRID,
        out=out,
        say=lines.append,
        **{**FAKE, **options},
    )
    return result, lines


@pytest.fixture(scope="module")
def whole(registered_fake_algorithm, tmp_path_factory):
    """A sweep in one go, not to be changed."""
    return sweep(tmp_path_factory.mktemp("whole") / "sweep")[0]


def numbers_of(folder):
    """What the files of the points say, apart from how and when it was computed."""
    how = ("program", "compile_s", "run_s")
    records = [json.loads(path.read_text()) for path in sorted((folder / "points").iterdir())]
    return [{k: v for k, v in record.items() if k not in how} for record in records]


def test_the_scores_are_those_of_the_driver(whole, tmp_path):
    line = whole.table[1]
    run = dataclasses.replace(whole.plan.run(line.point), checkpoint_every=30)
    trained = driver.train(run, tmp_path / "run", options=driver.Options(progress=False))
    record = whole.records[line.point]
    for seed in range(4):
        curve = [row["episode_return"] for row in trained.rows if row["seed"] == seed]
        ours = np.array(record["curve"]["return"][seed], np.float64)
        np.testing.assert_allclose(ours, curve, rtol=1e-5)
    want = list(trained.summary["final_return"].values())
    np.testing.assert_allclose(record["score"], want, rtol=1e-5)
    np.testing.assert_allclose(line.iqm, interquartile_means(np.array(want)), rtol=1e-5)
    assert [line.iqm for line in whole.table] == sorted((x.iqm for x in whole.table), reverse=True)
    assert whole.best() == whole.table[0] and not whole.missing
    np.testing.assert_array_equal(whole.scores()[2], whole.records[2]["score"])


def test_the_folder_says_everything(whole):
    record = json.loads((whole.folder / "table.json").read_text())
    assert [p["point"] for p in record["points"]] == [line.point for line in whole.table]
    best = record["points"][0]
    assert best["iqm_95"] == [whole.best().low, whole.best().high]
    assert record["versions"]["jax"] and record["run_s"] > 0 and record["compile_s"] > 0
    first = (whole.folder / "table.csv").read_text().splitlines()
    assert first[0] == "rank,point,hp.lr,iqm,low,high,mean,seeds,diverged,no_score"
    assert first[1].startswith(f"1,{whole.best().point},{whole.best().values['hp.lr']},")
    assert len(first) == 5
    assert (whole.folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    # One program is compiled, and counted once.
    times = [r["compile_s"] > 0 for r in whole.records.values()]
    assert times == [True, False, False, False]


KILLED = """
import os, signal
from pathlib import Path
from jaxrl import run_sweep
from tests import fake_algorithm
fake_algorithm.register()
replace = os.replace
def deadly(source, target):
    if Path(target).name == "0002.json":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = deadly
run_sweep(fake_algorithm.NAME, "CartPole-v1", grid={"hp.lr": [0.01, 0.05, 0.1, 0.2]},
          out=os.environ["OUT"], seeds=4, total_steps=120, episodes=0)
"""


def test_a_killed_sweep_repeats_no_finished_point_and_ends_the_same(whole, tmp_path):
    out = tmp_path / "sweep"
    with pytest.raises(AssertionError, match="exit status -9"):
        run_python(KILLED, env={"OUT": str(out), "JAX_PLATFORMS": "cpu"})
    points = out / "points"
    assert sorted(p.name for p in points.glob("*.json")) == ["0000.json", "0001.json"]
    before = {name: (points / name).stat() for name in ("0000.json", "0001.json")}
    result, lines = sweep(out)
    assert lines[0] == "2 of 4 points are finished"
    assert "2 points x 4 seeds in 2 calls" in lines[1]
    for name, stat in before.items():
        after = (points / name).stat()
        assert (after.st_mtime_ns, after.st_ino) == (stat.st_mtime_ns, stat.st_ino)
    for leftover in points.glob("*.writing"):
        leftover.unlink()
    assert numbers_of(out) == numbers_of(whole.folder)
    assert result.table == whole.table
    # And once more: nothing is left to do.
    assert sweep(out)[1] == ["4 of 4 points are finished"]


@pytest.mark.parametrize(("points_per_chunk", "rows"), [(3, 8), (4, 16)])
def test_how_points_are_cut_into_calls_changes_no_number(whole, tmp_path, points_per_chunk, rows):
    result, lines = sweep(tmp_path / "sweep", points_per_chunk=points_per_chunk)
    assert f"calls of {rows} seeds" in lines[0]
    # So small an algorithm is computed alike by programs of any number of rows: to the bit.
    assert numbers_of(result.folder) == numbers_of(whole.folder)


def test_side_by_side_as_on_an_accelerator_gives_the_same_up_to_rounding(
    whole, tmp_path, monkeypatch
):
    from jaxrl.sweep import compute, programs

    monkeypatch.setattr(programs, "map_seeds", lambda fn, mesh: jax.vmap(fn))
    monkeypatch.setattr(compute.jax, "default_backend", lambda: "gpu")
    result, lines = sweep(tmp_path / "sweep")
    assert "4 points x 4 seeds in 1 calls of 16 seeds" in lines[0]
    np.testing.assert_allclose(result.scores(), whole.scores(), rtol=1e-4)


@pytest.mark.parametrize(("seeds", "points", "calls"), [(1, 4, 1), (2, 2, 2), (3, 2, 2)])
def test_a_call_has_a_row_for_each_of_the_four_devices(tmp_path, seeds, points, calls):
    _, lines = sweep(tmp_path / "sweep", seeds=seeds)
    assert f"4 points x {seeds} seeds in {calls} calls of {points * seeds} seeds" in lines[0]


def test_a_call_smaller_than_a_point_pads_its_last_call(whole, tmp_path, monkeypatch):
    from jaxrl.sweep import memory

    monkeypatch.setattr(memory, "choose_rows", lambda total, unit, limit, measure, devices: 3)
    result, lines = sweep(tmp_path / "sweep")
    assert "in 6 calls of 3 seeds" in lines[0]
    assert numbers_of(result.folder) == numbers_of(whole.folder)


def test_a_damaged_point_is_said_and_computed_again(whole, tmp_path):
    result, _ = sweep(tmp_path / "sweep", {"hp.lr": [0.01, 0.05]})
    file = result.folder / "points" / "0001.json"
    file.write_text(file.read_text()[:100])
    again, lines = sweep(tmp_path / "sweep", {"hp.lr": [0.01, 0.05]})
    assert any(str(file) in line and "computed again" in line for line in lines)
    assert again.table == result.table


def test_a_diverged_seed_is_counted_and_ranks_lowest(tmp_path):
    # Update 7 of 30 has a NaN loss; weights that become infinite show in no metric at once.
    grid = {"hp.nan_update": [-1.0, 7.0], "hp.inf_weights": [-1.0, 30.0]}
    result, _ = sweep(tmp_path / "sweep", grid, seeds=2)
    assert [line.point for line in result.table][0] == 0
    by_point = {line.point: line for line in result.table}
    assert [by_point[i].diverged for i in range(4)] == [0, 2, 2, 2]
    assert [by_point[i].iqm == -math.inf for i in range(4)] == [False, True, True, True]
    assert result.records[2]["nonfinite_update"] == [7, 7]
    assert result.records[1]["nonfinite_update"] == [30, 30]
    record = json.loads((result.folder / "table.json").read_text())
    assert record["points"][-1]["iqm"] is None and record["points"][-1]["diverged"] == 2


def test_static_settings_are_separate_programs(tmp_path):
    result, lines = sweep(tmp_path / "sweep", {"config.batch": [2, 4], "hp.lr": [0.01, 0.1]})
    assert [line.partition(":")[0] for line in lines if "compiled" in line] == [
        "program 1 of 2",
        "program 2 of 2",
    ]
    # Two samples an update are twice as many updates.
    assert len(result.records[0]["curve"]["update"]) == 60
    assert len(result.records[2]["curve"]["update"]) == 30
    # Only the program of the missing point is compiled again.
    (result.folder / "points" / "0003.json").unlink()
    _, lines = sweep(tmp_path / "sweep", {"config.batch": [2, 4], "hp.lr": [0.01, 0.1]})
    assert "program 1 of 1: 1 points x 4 seeds" in lines[1]


def test_folders_that_hold_something_else_are_left_alone(whole, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RunFolderError, match="not a sweep folder"):
            sweep(tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(RunFolderError, match="holds another sweep.*--overwrite"):
        sweep(whole.folder, {"hp.lr": [0.3]})
    with pytest.raises(ConfigError, match=r"point 1 \(hp\.lr=-1\)"):
        sweep(tmp_path / "new", {"hp.lr": [0.1, -1.0]})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_being_swept_is_left_alone(whole, overwrite):
    before = {p: p.read_bytes() for p in whole.folder.rglob("*") if p.is_file()}
    with locked(whole.folder), pytest.raises(RunFolderError, match="another process"):
        sweep(whole.folder, overwrite=overwrite)
    assert {p: p.read_bytes() for p in whole.folder.rglob("*") if p.is_file()} == before


def test_what_is_left_of_a_sweep_that_wrote_nothing_is_an_empty_folder(tmp_path):
    for leftover in (".lock", ".sweep.json.writing"):
        (tmp_path / leftover).write_text("")
    assert not sweep(tmp_path, {"hp.lr": [0.1]})[0].missing


def test_the_default_folder_is_one_folder(whole):
    base = dataclasses.replace(whole.plan.base, env="my/module:CliffWalk")
    folder = default_folder(dataclasses.replace(whole.plan, base=base))
    assert str(folder) == f"runs/sweep_{fake_algorithm.NAME}_my-module-CliffWalk"


def test_overwrite_replaces_a_sweep_and_nothing_else(tmp_path):
    out = tmp_path / "sweep"
    sweep(out, {"hp.lr": [0.01, 0.05]})
    (out / "notes.txt").write_text("mine")
    result, _ = sweep(out, {"hp.lr": [0.1]}, overwrite=True)
    assert [line.values for line in result.table] == [{"hp.lr": 0.1}]
    assert sorted(p.name for p in (out / "points").iterdir()) == ["0000.json"]
    assert (out / "notes.txt").read_text() == "mine"


def test_too_little_memory_is_an_error_that_says_how_much(tmp_path):
    with pytest.raises(SweepMemoryError, match="training one seed takes .* GiB"):
        sweep(tmp_path / "sweep", memory_gib=1e-9)


def test_memory_for_one_device_only_is_enough(whole, tmp_path, monkeypatch):
    from jaxrl.sweep import memory, programs

    seen = []

    def program_bytes(compiled):
        # A device's part is 100 bytes; four of them do not fit.
        seen.append(len(jax.tree.leaves(compiled.input_shardings)[0].device_set))
        return 100

    monkeypatch.setattr(programs, "program_bytes", program_bytes)
    result, lines = sweep(tmp_path / "sweep", memory_gib=250 / memory.GIB)
    assert set(seen) == {4, 1} and "calls of 4 seeds" in lines[0]
    np.testing.assert_allclose(result.scores(), whole.scores(), rtol=1e-5)


CORES = """
import os
import jaxrl
from jaxrl.parallel import use_cpu_cores
use_cpu_cores()
jaxrl.run_sweep
import jax
assert jax.local_device_count() == len(os.sched_getaffinity(0)), jax.devices()
"""


def test_a_script_may_divide_the_cpu_before_it_names_run_sweep():
    run_python(CORES, env={"JAX_PLATFORMS": "cpu"})


def test_merging_shows_what_is_finished(whole, tmp_path):
    plans.start(whole.plan, tmp_path / "part", False)
    plans.save_point(tmp_path / "part", 3, dict(whole.records[3]))
    result = gather(tmp_path / "part", whole.plan)
    assert [line.point for line in result.table] == [3] and list(result.missing) == [0, 1, 2]
    assert np.isnan(result.scores()[:3]).all()
    # A file of another sweep does not count.
    plans.save_point(tmp_path / "part", 2, {**whole.records[2], "sweep": "other"})
    assert list(gather(tmp_path / "part", whole.plan).missing) == [0, 1, 2]
