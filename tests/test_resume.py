"""A run that was stopped and resumed is, bit for bit, the run that never stopped."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import pytest

from jaxrl import checkpoint, chunks, driver, run_folder
from jaxrl.checkpoint import CheckpointError
from jaxrl.config import ConfigError
from jaxrl.driver import Options
from jaxrl.logging import read_metrics
from tests.processes import ROOT
from tests.test_driver import bits, fake_run, rows_but_time, tiny_ppo

pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")


def resume(folder, options):
    """Resumes a run that is not finished."""
    result = driver.resume(folder, options)
    assert result is not None
    return result


class Lines(list):
    """Collects what a run says."""

    def options(self, **changes):
        return dataclasses.replace(Options(progress=False, say=self.append), **changes)


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The run that never stopped; not to be changed."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    return driver.train(fake_run(), folder, options=Options(progress=False))


def assert_equal_runs(folder, states, reference):
    """The same states, the same checkpoint, the same rows in the file."""
    assert bits(states) == bits(reference.states)
    mine = read_metrics(folder / "metrics.jsonl")
    assert rows_but_time(mine) == rows_but_time(read_metrics(reference.folder / "metrics.jsonl"))
    newest, manifest = checkpoint.latest_good(folder / "checkpoints")
    assert bits(driver.restore(driver.load(folder), newest)[0]) == bits(reference.states)
    expected = checkpoint.latest_good(reference.folder / "checkpoints")[1]
    assert (manifest.update, manifest.metric) == (expected.update, expected.metric)
    walls = [row["wall_s"] for row in mine]
    assert walls == sorted(walls)


def stop_after(monkeypatch, updates):
    """Ctrl-C once `updates` updates are done."""
    advance = chunks.fetch
    done = [0]

    def fetch(metrics, count):
        if done[0] >= updates:
            raise KeyboardInterrupt
        done[0] += count
        return advance(metrics, count)

    monkeypatch.setattr(chunks, "fetch", fetch)


@pytest.mark.parametrize("updates", [0, 3, 4, 9, 13, 19])
def test_interrupted_anywhere(monkeypatch, tmp_path, lines, uninterrupted, updates):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(patch, updates)
        with pytest.raises(KeyboardInterrupt):
            driver.train(fake_run(), folder, options=lines.options(chunk=1))
    saved = [u for u in (4, 8, 12, 16) if u <= updates]
    assert checkpoint.saved_updates(folder / "checkpoints") == saved[-3:]
    result = resume(folder, lines.options())
    assert_equal_runs(folder, result.states, uninterrupted)
    assert rows_but_time(result.rows) == rows_but_time(uninterrupted.rows)
    assert result.summary["resumed_from_update"] == (saved[-1] if saved else None)
    assert len(lines) == (0 if saved else 1)


@pytest.mark.parametrize("recurrent", ["", "gru"])
def test_ppo_with_normalisation_of_two_seeds(monkeypatch, tmp_path, lines, recurrent):
    config = tiny_ppo().config
    network = dataclasses.replace(config.network, recurrent=recurrent, recurrent_size=4)
    run = tiny_ppo(config=dataclasses.replace(config, network=network))
    whole = driver.train(run, tmp_path / "whole", options=lines.options())
    folder = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            driver.train(run, folder, options=lines.options(chunk=1))
    assert checkpoint.saved_updates(folder / "checkpoints") == [3]
    result = resume(folder, lines.options())
    assert bool(jax.tree.leaves(result.states.carry)) is bool(recurrent)
    assert_equal_runs(folder, result.states, whole)


def test_finished_run_says_so(uninterrupted, lines):
    before = (uninterrupted.folder / "metrics.jsonl").stat().st_mtime_ns
    assert driver.resume(uninterrupted.folder, lines.options()) is None
    assert (uninterrupted.folder / "metrics.jsonl").stat().st_mtime_ns == before


@pytest.fixture
def copied(uninterrupted, tmp_path):
    """A copy of the finished run, with the checkpoints 12, 16 and 20."""
    return tmp_path.joinpath(shutil.copytree(uninterrupted.folder, tmp_path / "run"))


def test_killed_before_the_summary_gets_one(copied, lines, uninterrupted):
    (copied / "summary.json").unlink()
    result = resume(copied, lines.options())
    assert_equal_runs(copied, result.states, uninterrupted)
    assert (copied / "summary.json").exists()


def test_damaged_newest_is_named_and_the_one_before_continues(copied, lines, uninterrupted):
    next((copied / "checkpoints" / "20" / "arrays").rglob("manifest.ocdbt")).unlink()
    result = resume(copied, lines.options())
    assert len(lines) == 1 and "damaged checkpoint passed over" in lines[0]
    assert str(copied / "checkpoints" / "20") in lines[0]
    assert result.summary["resumed_from_update"] == 16
    assert_equal_runs(copied, result.states, uninterrupted)


def test_all_damaged_is_an_error_that_changes_nothing(copied, lines):
    for update in (12, 16, 20):
        (copied / "checkpoints" / str(update) / "manifest.json").write_text("{}")
    rows = (copied / "metrics.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match="all 3 checkpoints are damaged"):
        driver.resume(copied, lines.options())
    assert (copied / "metrics.jsonl").read_bytes() == rows


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_checkpoint_of_another_configuration(copied, lines):
    edit_config(copied, total_steps=120)
    rows = (copied / "metrics.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match="checkpoint of another configuration"):
        driver.resume(copied, lines.options())
    assert (copied / "metrics.jsonl").read_bytes() == rows


def test_corrupt_config(copied, lines, monkeypatch):
    monkeypatch.setattr(chunks, "lower", None)
    (copied / "config.json").write_text('{"schema": 1, "algo')
    with pytest.raises(ConfigError, match="config.json is not JSON"):
        driver.resume(copied, lines.options())


def test_folder_that_is_no_run(tmp_path, lines):
    with pytest.raises(run_folder.RunFolderError, match="not a run folder"):
        driver.resume(tmp_path, lines.options())
    with pytest.raises(run_folder.RunFolderError, match="is not a folder"):
        driver.resume(tmp_path / "absent", lines.options())


def test_resume_after_divergence_diverges_again_and_keeps_the_checkpoint(tmp_path, lines):
    run = fake_run(nan_update=11.0)
    for attempt in (
        lambda: driver.train(run, tmp_path, options=lines.options()),
        lambda: driver.resume(tmp_path, lines.options()),
    ):
        with pytest.raises(driver.NonFiniteError, match="at update 11, seed 5"):
            attempt()
        assert checkpoint.latest_good(tmp_path / "checkpoints")[0].name == "8"


# A process that trains the fake run, or resumes it, and says when its first update is done.
# `deadly` kills it inside the save of update 8: everything is written, the rename is not done.
# `slow` makes saves long enough to be hit.
CHILD = """
import os, signal, sys, time
from jaxrl import checkpoint, chunks, driver
from tests import fake_algorithm, test_driver

fake_algorithm.register()
how, folder = sys.argv[1:]
rename, write, fetch = os.rename, checkpoint._write_arrays, chunks.fetch
def deadly(source, target):
    if os.path.basename(target) == "8":
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)
def slow(*args):
    time.sleep(0.05)
    write(*args)
    time.sleep(0.05)
def first_fetch(*args):
    print("training", flush=True)
    chunks.fetch = fetch
    return fetch(*args)
chunks.fetch = first_fetch
if how == "deadly":
    os.rename = deadly
else:
    checkpoint._write_arrays = slow
options = driver.Options(progress=False, say=lambda line: None, chunk=1)
if os.path.exists(os.path.join(folder, "config.json")):
    driver.resume(folder, options)
else:
    driver.train(test_driver.fake_run(), folder, options=options)
"""


def child(how, folder):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, how, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_in_the_middle_of_a_save(tmp_path, lines, uninterrupted):
    folder = tmp_path / "run"
    with child("deadly", folder) as process:
        process.wait(timeout=120)
    assert process.returncode == -signal.SIGKILL
    left = sorted(os.listdir(folder / "checkpoints"))
    assert left == [".saving-8", "4"]  # the save was whole but for its name
    assert (folder / "checkpoints" / ".saving-8" / "manifest.json").exists()
    result = resume(folder, lines.options())
    assert result.summary["resumed_from_update"] == 4 and lines == []
    assert_equal_runs(folder, result.states, uninterrupted)
    assert sorted(os.listdir(folder / "checkpoints")) == ["12", "16", "20"]


def test_killed_at_random_moments(tmp_path, lines, uninterrupted):
    moments = random.Random(0)
    folder = tmp_path / "run"
    for _ in range(3):
        with child("slow", folder) as process:
            if process.stdout.readline():
                time.sleep(moments.uniform(0.0, 0.5))
                process.kill()
    result = driver.resume(folder, lines.options())
    if result is None:  # it had finished before it could be killed
        newest, _ = checkpoint.latest_good(folder / "checkpoints")
        states = driver.restore(driver.load(folder), newest)[0]
    else:
        states = result.states
    assert_equal_runs(folder, states, uninterrupted)
