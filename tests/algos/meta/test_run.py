"""Meta-training into a run folder: exact resume, errors before anything is written, what is left.

The task is a probe whose best return, 1, PPO reaches in a few small updates.
"""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import checkpoint, cli, registry
from jaxrl.algos.meta import command, programs, run
from jaxrl.algos.meta.config import MetaConfig, load_config
from jaxrl.algos.meta.run import meta_resume, meta_train
from jaxrl.algos.on_policy import drift_files
from jaxrl.config import ConfigError
from jaxrl.driver import Options
from jaxrl.logging import read_metrics
from jaxrl.signals import Terminated
from tests.processes import ROOT, clean_environment

PROBE = "Probe-ObservationAction-v1"
SETTINGS = [
    "config.num-envs=8", "config.num-steps=8", "config.num-epochs=1", "config.num-minibatches=2",
    "config.network.hidden=8", "hp.lr=0.02",
]  # fmt: skip
WORDS = [
    "lpo", "--envs", PROBE, "--total-steps", "512", "--generations", "5", "--population", "8",
    "--hidden", "4", "--baseline-seeds", "4", "--checkpoint-every", "2", "--group", "2",
    "--set", *SETTINGS,
]  # fmt: skip
TIMES = ("wall_s",)


def config(**changes):
    name, options = command.read(WORDS)
    return dataclasses.replace(command.make_config(name, options), **changes)


def quiet(**changes):
    return dataclasses.replace(Options(progress=False, say=lambda line: None), **changes)


def rows_but_time(folder):
    rows = read_metrics(folder / "metrics.jsonl")
    return [{name: row[name] for name in row if name not in TIMES} for row in rows]


def same_numbers(a, b):
    """Every row and every bit of the last state."""
    assert rows_but_time(a) == rows_but_time(b)
    one, two = (np.load(folder / "phi.npz") for folder in (a, b))
    for name in ("hidden", "output", "clip"):
        np.testing.assert_array_equal(one[name], two[name])
    sums = [
        checkpoint.read_manifest(checkpoint.latest_good(folder / "checkpoints")[0]).leaves
        for folder in (a, b)
    ]
    assert sums[0] == sums[1]
    states = [_arrays(folder) for folder in (a, b)]
    assert states[0].keys() == states[1].keys()
    for name in states[0]:
        np.testing.assert_array_equal(states[0][name], states[1][name], err_msg=name)


def _arrays(folder):
    path = checkpoint.latest_good(folder / "checkpoints")[0]
    return checkpoint._read_arrays(path / "arrays")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of five generations that nothing disturbed, on one device."""
    folder = tmp_path_factory.mktemp("meta") / "whole"
    return meta_train(config(), folder, options=quiet(command="the command", devices=1))


def test_what_a_run_leaves(whole):
    files = {path.name for path in whole.folder.iterdir()}
    assert files >= {
        "config.json", "metrics.jsonl", "checkpoints", "curve.png", "summary.json", "phi.npz",
        "references.json", "drift.png",
    }  # fmt: skip
    assert load_config(whole.folder / "config.json").to_json() == config().to_json()
    rows = read_metrics(whole.folder / "metrics.jsonl")
    assert [row["update"] for row in rows] == [1, 2, 3, 4, 5]
    # 8 members x 8 updates of 64 steps.
    assert [row["env_steps"] for row in rows] == [4096 * n for n in range(1, 6)]
    assert all(row["failed"] == 0 for row in rows)
    np.testing.assert_allclose(
        [row["sigma"] for row in rows], [0.04 * 0.999**n for n in range(5)], rtol=1e-6
    )
    assert whole.summary["env_steps_per_generation"] == 4096


def test_fitness_is_normalised_by_the_references(whole):
    """Mean over members of (return - random) / (PPO - random), from what was logged."""
    record = json.loads((whole.folder / "references.json").read_text())["tasks"][0]
    assert record["ppo"] == pytest.approx(np.mean(record["ppo_seeds"]))
    # One step an episode, reward 1 or -1: the random policy is near 0, PPO learns.
    assert abs(record["random"]) < 0.3 < record["ppo"] <= 1.0
    for row in whole.rows:
        expected = (row[f"return/{PROBE}"] - record["random"]) / (record["ppo"] - record["random"])
        assert row["fitness_mean"] == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert row["fitness_worst"] <= row["fitness_mean"] <= row["fitness_best"]


def test_weights_carry_their_provenance(whole):
    note = drift_files.provenance(whole.folder / "phi.npz")
    assert note["algorithm"] == "lpo" and note["environments"] == [PROBE]
    assert note["command"] == "the command" and note["action_kind"] == "discrete"
    assert note["generations"] == 5 and note["env_steps"] == 5 * 4096
    assert note["start"]["is_ppo"] and note["group"] == 2 and note["baseline_seeds"] == 4
    record = json.loads((whole.folder / "references.json").read_text())["tasks"][0]
    assert note["references"] == {PROBE: {"ppo": record["ppo"], "random": record["random"]}}
    assert note["fitness_curve"]["generation"] == [1, 2, 3, 4, 5]
    assert note["tasks"][0]["total_steps"] == 512 and "objective" not in note["tasks"][0]["hp"]
    assert drift_files.architecture(whole.folder / "phi.npz") == "lpo"
    phi = registry.algorithm("lpo").learnt.load(whole.folder / "phi.npz")
    for mine, theirs in zip(jax.tree.leaves(phi), jax.tree.leaves(whole.phi), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("devices", [2, 4])
def test_devices_are_no_part_of_a_run(tmp_path, whole, devices):
    """8 members in groups of 2: the same bits on 1, 2 and 4 devices."""
    meta_train(config(), tmp_path / "run", options=quiet(devices=devices))
    same_numbers(tmp_path / "run", whole.folder)


class _StopAfter:
    """Options whose stop is requested once so many generations are logged."""

    def __init__(self, monkeypatch, generation, options):
        from jaxrl.algos.meta.records import Log

        original = Log.add

        def add(log, number, metrics):
            options.stop.requested = number >= generation
            return original(log, number, metrics)

        monkeypatch.setattr(Log, "add", add)


@pytest.mark.parametrize("generation", [1, 3])
def test_stopped_and_resumed_equals_uninterrupted(tmp_path, monkeypatch, whole, generation):
    options = quiet(devices=1)
    with monkeypatch.context() as patch:
        _StopAfter(patch, generation, options)
        with pytest.raises(Terminated):
            meta_train(config(), tmp_path / "run", options=options)
    assert checkpoint.saved_updates(tmp_path / "run" / "checkpoints")[-1] == generation
    meta_resume(tmp_path / "run", options=quiet(devices=2))
    same_numbers(tmp_path / "run", whole.folder)
    assert meta_resume(tmp_path / "run", options=quiet()) is None


def test_killed_and_resumed_equals_uninterrupted(tmp_path, whole):
    """SIGKILL from outside, after the first checkpoint, of the real command."""
    folder = tmp_path / "run"
    words = ["meta-train", *WORDS, "--out", str(folder), "--no-progress", "--devices", "1"]
    env = {"JAX_PLATFORMS": "cpu", "JAXRL_COMPILATION_CACHE": os.environ["JAXRL_COMPILATION_CACHE"]}
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxrl", *words], env=clean_environment(env), cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    end = time.monotonic() + 240
    while not (folder / "checkpoints" / "2").exists() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0)
    killed = not (folder / "summary.json").exists()
    result = meta_resume(folder, options=quiet(devices=1))
    assert (result is not None) == killed
    same_numbers(folder, whole.folder)


def test_stopped_before_the_first_checkpoint_equals_uninterrupted(tmp_path, whole):
    """What PPO scored is read again, not measured again."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.json", "references.json"):
        shutil.copy(whole.folder / name, folder / name)
    lines: list[str] = []
    meta_resume(folder, options=quiet(devices=1, say=lines.append))
    assert len(lines) == 1 and "no checkpoint yet: starting again" in lines[0]
    same_numbers(folder, whole.folder)
    for name in ("checkpoints", "summary.json"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "references.json").write_text("{")
    with pytest.raises(ConfigError, match="references.json cannot be read"):
        meta_resume(folder, options=quiet())


def test_more_generations_continue_the_same_run(tmp_path, whole):
    meta_train(config(generations=2), tmp_path / "run", options=quiet(devices=1))
    meta_resume(tmp_path / "run", 5, quiet(devices=1))
    same_numbers(tmp_path / "run", whole.folder)
    with pytest.raises(ConfigError, match="has done 5 generations already"):
        meta_resume(tmp_path / "run", 3, quiet())


def test_resume_with_another_configuration_is_refused(tmp_path):
    folder = tmp_path / "run"
    meta_train(config(generations=1), folder, options=quiet(devices=1))
    record = json.loads((folder / "config.json").read_text())
    record["evolution"]["sigma"] = 0.05
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(checkpoint.CheckpointError, match="made with another configuration"):
        meta_resume(folder, 3, quiet(devices=1))
    record["evolution"]["sigmo"] = 1
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=r"unknown key 'sigmo'; did you mean"):
        meta_resume(folder, 3, quiet())


def test_failed_members_are_counted_and_said(tmp_path, monkeypatch):
    """Members whose first output weight is positive fail: one of every antithetic pair."""
    original = programs.make_fitness

    def make_fitness(*args):
        fitness = original(*args)

        def failing(key, phi):
            bad = phi.output[0] > 0 if hasattr(phi, "output") else False
            return jnp.where(bad, jnp.nan, fitness(key, phi))

        return failing

    monkeypatch.setattr(programs, "make_fitness", make_fitness)
    lines = []
    options = quiet(devices=1, say=lines.append)
    # Ranks, since all that do not fail may score the same.
    evolution = dataclasses.replace(config().evolution, shaping="centred-ranks")
    changed = config(generations=1, evolution=evolution)
    result = meta_train(changed, tmp_path / "run", options=options)
    assert result.rows[0]["failed"] == 4 and result.summary["failed_members"] == 4
    assert "generation 1: 4 of 8 members failed" in lines
    # All that failed are worse than all others: the mean moves away from them.
    assert result.phi.output[0] < 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.phi))


def test_a_longer_run_is_finished_when_it_is_summarised(tmp_path, monkeypatch):
    """Stopped after the last checkpoint, before phi.npz: the old one must not pass for the new."""
    folder = tmp_path / "run"
    meta_train(config(generations=1), folder, options=quiet(devices=1))
    with monkeypatch.context() as patch:
        patch.setattr(run, "draw_curve", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            meta_resume(folder, 2, quiet(devices=1))
    assert drift_files.provenance(folder / "phi.npz")["generations"] == 1
    assert meta_resume(folder, options=quiet(devices=1)) is not None
    assert drift_files.provenance(folder / "phi.npz")["generations"] == 2
    assert meta_resume(folder, options=quiet(devices=1)) is None


def _interrupted(*args):
    raise KeyboardInterrupt


def test_a_task_that_ppo_cannot_learn_leaves_an_earlier_run_alone(tmp_path, whole, capsys):
    folder = tmp_path / "run"
    shutil.copytree(whole.folder, folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    words = [*WORDS, "--out", str(folder), "--overwrite", "--no-progress"]
    words[words.index("hp.lr=0.02")] = "hp.lr=0.0"
    assert cli.main(["meta-train", *words]) == 1
    error = capsys.readouterr().err
    assert "fitness cannot be normalised; give it more steps" in error
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lpo", "--envs", PROBE, "--population", "7"], "must be even"),
        (["lpo", "--envs", "CartPole-v1", "Pendulum-v1"], "Pendulum-v1 has continuous actions"),
        (["lpo", "--envs", "CartPol-v1"], "did you mean CartPole-v1"),
        (["lpo", "--envs", PROBE, PROBE], "given twice"),
        (["ppo", "--envs", PROBE], "ppo has no learnt objective; choose from"),
        (["lpo", "--envs", PROBE, "--strategy", "cma-es"], "at most 300 weights"),
        (["lpo", "--envs", PROBE, "--total-steps", "5", "6"], "one number or one for each"),
        (["lpo", "--envs", PROBE, "--set", "hp.larning-rate=1"], "no setting"),
        (["lpo", "--envs", PROBE, "--set", "hp.objective.clip=0.3"], "what is learnt"),
        (["lpo", "--envs", PROBE, "--total-steps", "5"], "less than the"),
        (["lpo", "--envs", PROBE, "--phi", "nothing.npz"], "no such file"),
        (["lpo", "--envs", PROBE, "--sigma", "0"], "sigma must be positive"),
        (["dpo", "--envs", PROBE, "--hidden", "3"], "no hidden units"),
        (["lpo", "--envs", PROBE, "--wandb"], "unknown option --wandb"),
        (["lpo", "--envs", PROBE, "--seed", "99999999999999999999"], "--seed must be within"),
        (["lpo", "--envs", PROBE, "--baseline-seeds", "1"], "baseline_seeds must be at least 2"),
        (["lpo", "--envs", PROBE, "--group", "2", "--memory-gib", "1"], "give one of them"),
        (["lpo", "--envs", PROBE, "--strategy", "snes", "--lr", "1"], "--lr is of open-es"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["meta-train", *words, "--no-cache"]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1, error
    assert not list(tmp_path.iterdir())


def test_drift_of_another_kind_of_action_or_architecture_is_refused(whole, capsys):
    phi = str(whole.folder / "phi.npz")
    assert cli.main(["meta-train", "lpo", "--envs", "Pendulum-v1", "--phi", phi]) == 1
    assert "the population was started with discrete ones" in capsys.readouterr().err
    assert cli.main(["meta-train", "ta-lpo", "--envs", PROBE, "--phi", phi]) == 1
    assert "holds an objective of lpo, not of ta-lpo" in capsys.readouterr().err


def test_folders_are_not_mixed_up(whole, capsys):
    assert cli.main(["evaluate", str(whole.folder)]) == 1
    assert "the folder of a meta-training" in capsys.readouterr().err
    assert cli.main(["resume", str(whole.folder), "--wandb"]) == 2
    assert "are not for a meta-training" in capsys.readouterr().err
    assert cli.main(["meta-train", *WORDS, "--out", str(whole.folder)]) == 1
    assert "exists and is not empty" in capsys.readouterr().err


def test_settings_of_the_command_reach_the_tasks():
    words = ["lpo", "--envs", PROBE, "CartPole-v1", "--total-steps", "2048", "1e4", "--set",
             "hp.lr=0.5", "--sigma", "0.3", "--strategy", "snes"]  # fmt: skip
    made = command.make_config(*command.read(words))
    assert [task.total_steps for task in made.tasks] == [2048, 10_000]
    assert [task.hp.lr for task in made.tasks] == [0.5, 0.5]
    preset = registry.algorithm("lpo").preset("CartPole-v1")
    assert made.tasks[1].config == preset.config
    assert (made.evolution.sigma, made.evolution.strategy) == (0.3, "snes")
    again = MetaConfig.from_json(json.loads(json.dumps(made.to_json())))
    assert again.fingerprint() == made.fingerprint()
