"""Runs of the driver on several devices, and of two processes on loopback."""

import dataclasses
import json
import os
import shlex
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import checkpoint, cli, driver, hosts
from jaxrl.config import load_config
from jaxrl.driver import Options
from jaxrl.logging import read_metrics
from tests.processes import ROOT, clean_environment, run_python
from tests.test_driver import bits, fake_run, rows_but_time
from tests.test_resume import stop_after

pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")
PPO = shlex.split(
    "train ppo CartPole-v1 --total-steps 96 --seeds 1 --log-every 1 --checkpoint-every 3"
    " --config.num-envs 4 --config.num-steps 8 --config.num-epochs 1 --config.num-minibatches 2"
    " --config.env-shards 2 --config.normalize-observation --config.normalize-reward"
    " --config.network.hidden 8"
)


def on(devices, **changes):
    """Options for a quiet run."""
    return dataclasses.replace(Options(progress=False, devices=devices, say=print), **changes)


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """Five seeds on one device."""
    folder = tmp_path_factory.mktemp("one") / "run"
    return driver.train(fake_run(seeds=5), folder, options=on(1))


def assert_close(result, reference):
    """The same rows and states apart from rounding."""
    for mine, theirs in zip(result.rows, reference.rows, strict=True):
        assert mine["seed"] == theirs["seed"] and mine["update"] == theirs["update"]
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    for mine, theirs in zip(
        jax.tree.leaves(result.states), jax.tree.leaves(reference.states), strict=True
    ):
        if jnp.issubdtype(mine.dtype, jax.dtypes.prng_key):
            assert bits(mine) == bits(theirs)
        else:
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("before", "after"), [(4, 1), (1, 4)])
def test_run_of_some_devices_is_resumed_on_others(monkeypatch, tmp_path, one_device, before, after):
    with monkeypatch.context() as patch:
        stop_after(patch, 9)
        with pytest.raises(KeyboardInterrupt):
            driver.train(fake_run(seeds=5), tmp_path / "run", options=on(before, chunk=1))
    assert checkpoint.saved_updates(tmp_path / "run" / "checkpoints")[-1] == 8
    result = driver.resume(tmp_path / "run", on(after))
    assert result is not None and result.summary["resumed_from_update"] == 8
    assert result.summary["mesh"] == {"seed": {1: 1, 4: 3}[after], "env": 1}
    assert_close(result, one_device)
    # Devices are no part of a run.
    mine, theirs = (
        checkpoint.latest_good(r.folder / "checkpoints")[1] for r in (result, one_device)
    )
    assert mine.fingerprint == theirs.fingerprint and mine.leaves == theirs.leaves


def test_idle_devices_are_reported_where_they_were_asked_for(tmp_path):
    lines = []
    driver.train(fake_run(), tmp_path / "a", options=on(4, say=lines.append))
    assert len(lines) == 1 and lines[0].startswith("2 of 4 devices are idle")
    driver.train(fake_run(), tmp_path / "b", options=on(None, say=lines.append))
    assert len(lines) == 1


def test_more_devices_than_there_are(tmp_path):
    with pytest.raises(ValueError, match="5 devices were asked for, there are 4"):
        driver.train(fake_run(), tmp_path / "run", options=on(5))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--devices", "0"], "--devices must be at least 1"),
        (["--devices", "two"], "two"),
        (["--processes", "2"], "coordinator, processes and process id must be given together"),
        (
            ["--coordinator", "here:1", "--processes", "2", "--process-id", "2"],
            "process id must be in [0, 2), got 2",
        ),
        (
            ["--coordinator", "here", "--processes", "2", "--process-id", "1"],
            "the coordinator must be HOST:PORT",
        ),
        (["--distributed", "--processes", "2"], "--distributed finds out by itself"),
    ],
)
def test_bad_words(tmp_path, capsys, words, message):
    out = tmp_path / "run"
    assert cli.main(["train", "ppo", "CartPole-v1", "--out", str(out), *words]) in (1, 2)
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_the_leader_decides():
    assert hosts.is_leader() and hosts.from_leader(7) == 7
    assert hosts.on_leader(lambda: None) == 0
    with pytest.raises(KeyError):
        hosts.on_leader(lambda: {}["absent"])


def test_command_line_divides_the_cpu():
    code = """
import jax
from jaxrl import _platform, cli
cli._start_machine(["--seeds", "9", "--devices=3", "--help"])
print(jax.local_device_count())
"""
    assert run_python(code, env={"JAX_PLATFORMS": "cpu"}).stdout.split() == ["3"]
    code = code.replace('"--devices=3", ', "")
    cores = run_python(code + "print(_platform.cpu_cores())", env={"JAX_PLATFORMS": "cpu"})
    assert len(set(cores.stdout.split())) == 1
    chosen = run_python(code, env={"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "5"})
    assert chosen.stdout.split() == ["5"]


# One of two processes: trains PPO by the command line, resumes the fake run, and then tries to
# train into the folder that is there now.
CHILD = """
import json, sys
from jaxrl import cli
from tests import fake_algorithm

fake_algorithm.register()
words, machine, fake_folder = json.loads(sys.argv[1])
assert cli.main([*words, *machine, "--devices", "1"]) == 0
assert cli.main(["resume", fake_folder, "--no-progress"]) == 0
sys.exit(cli.main(words))
"""


def test_two_processes(monkeypatch, tmp_path, one_device):
    fake_folder, ppo_folder = tmp_path / "fake", tmp_path / "ppo"
    with monkeypatch.context() as patch:
        stop_after(patch, 9)
        with pytest.raises(KeyboardInterrupt):
            driver.train(fake_run(seeds=5), fake_folder, options=on(1, chunk=1))
    errors = two_processes([*PPO, "--out", str(ppo_folder)], fake_folder)
    assert "exists and is not empty" in errors[0]
    assert "process 0 could not go on" in errors[1]
    assert "updates" in errors[0] and "updates" not in errors[1]  # progress

    alone = driver.train(load_config(ppo_folder / "config.json"), tmp_path / "a", options=on(1))
    states, rows = result_of(ppo_folder)
    assert_close(alone._replace(states=states, rows=rows), alone)
    assert json.loads((ppo_folder / "summary.json").read_text())["mesh"] == {"seed": 1, "env": 2}

    states, rows = result_of(fake_folder)
    assert_close(one_device._replace(states=states, rows=rows), one_device)
    assert rows_but_time(rows)[:20] == rows_but_time(one_device.rows)[:20]
    assert json.loads((fake_folder / "summary.json").read_text())["mesh"] == {"seed": 2, "env": 1}


def result_of(folder):
    """(states of the last checkpoint, rows) of a run folder."""
    newest, _ = checkpoint.latest_good(folder / "checkpoints")
    return driver.restore(driver.load(folder), newest)[0], read_metrics(folder / "metrics.jsonl")


def two_processes(words, fake_folder):
    """Standard error of both processes, which must end with exit code 1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    cache = {name: value for name, value in os.environ.items() if "CACHE" in name}
    children = []
    for i in range(2):
        machine = ["--coordinator", address, "--processes", "2", "--process-id", str(i)]
        argument = json.dumps([words, machine, str(fake_folder)])
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, argument],
            env=clean_environment({"JAX_PLATFORMS": "cpu", **cache}),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
    try:
        outputs = [child.communicate(timeout=200) for child in children]
    finally:
        for child in children:
            child.kill()
    codes = [child.returncode for child in children]
    assert codes == [1, 1], "\n".join(errors for _, errors in outputs)
    return [errors for _, errors in outputs]
