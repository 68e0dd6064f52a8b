"""Sweeps in other processes: submitit's local executor for real, Slurm's commands imitated."""

import json
import os
import subprocess
import sys

import jax
import pytest
import submitit

from jaxrl import run_sweep
from jaxrl.sweep.launch import Launch, LaunchError, _local_python
from jaxrl.sweep.run import run_plan
from tests import fake_algorithm

TINY = {"config.num_envs": 2, "config.num_steps": 4, "config.num_epochs": 1}
TINY |= {"config.num_minibatches": 1, "config.network.hidden": (4,)}


def test_jobs_are_slices_of_the_points_of_a_program():
    groups = [[0, 1, 2, 3, 4], [5, 6]]
    everything = set(range(7))
    assert Launch("local").slices(groups, everything) == [[0, 1, 2, 3, 4], [5, 6]]
    assert Launch("local", 3).slices(groups, everything) == [[0, 1], [2, 3, 4], [5, 6]]
    assert Launch("local", 99).slices(groups, everything) == [[i] for i in range(7)]
    assert Launch("slurm", 2).slices(groups, {1, 3}) == [[1], [3]]
    assert Launch("slurm", 1).slices(groups, {4, 6}) == [[4], [6]]


def test_launches_that_make_no_sense_are_refused():
    for options in (dict(kind="cloud"), dict(kind="local", tasks=0)):
        with pytest.raises(ValueError):
            Launch(**options)
    with pytest.raises(ValueError, match="slurm"):
        Launch("local", settings={"partition": "gpu"})


@pytest.fixture
def worker_path(monkeypatch):
    """Jobs of this test can import jaxrl, and compile for the CPU."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    monkeypatch.setenv("PYTHONPATH", root)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    return root


def test_local_jobs_write_what_one_process_would(worker_path, monkeypatch, tmp_path):
    options = dict(
        grid={"hp.lr": [1e-3, 1e-2]}, fixed=TINY, seeds=2, total_steps=32, episodes=2
    )  # fmt: skip
    # The same rows on the same number of devices: to the bit.
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", str(jax.local_device_count()))
    options["points_per_chunk"] = 1
    said = []
    jobs = run_sweep(
        "ppo",
        "Probe-Action-v1",
        out=tmp_path / "jobs",
        launch=Launch("local", tasks=2, array_parallelism=1),
        say=said.append,
        **options,
    )
    here = run_sweep("ppo", "Probe-Action-v1", out=tmp_path / "here", **options)
    assert said == ["jobs 1 to 1 of 2 are running", "jobs 2 to 2 of 2 are running"]
    assert not jobs.missing and jobs.table == here.table
    for index in (0, 1):
        assert jobs.records[index]["score"] == here.records[index]["score"]
        assert jobs.records[index]["curve"] == here.records[index]["curve"]
    # One process for each point, none of them this one.
    logs = list((tmp_path / "jobs" / "jobs").glob("*_log.out"))
    assert len(logs) == 2
    assert all("1 points x 2 seeds" in log.read_text() for log in logs)


@pytest.mark.usefixtures("registered_fake_algorithm")
def test_a_failed_job_is_one_line_with_its_log(worker_path, tmp_path):
    # The other process does not know an algorithm that was registered in this one.
    with pytest.raises(LaunchError, match=r"1 of 1 jobs failed: .*fake-regression.*; see .*_log"):
        run_sweep(
            fake_algorithm.NAME,
            "CartPole-v1",
            grid={"hp.lr": [0.1]},
            seeds=1,
            episodes=0,
            out=tmp_path / "sweep",
            launch=Launch("local"),
        )


COUNT_FLAG = "--xla_force_host_platform_device_count=3"


def devices_after(line, **env):
    """JAX_NUM_CPU_DEVICES after a line of a shell script."""
    script = f'{line}\necho "$JAX_NUM_CPU_DEVICES"'
    env = {"PATH": os.environ["PATH"], **env}
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("given", "at_once", "devices", "visible"),
    [
        ({}, 1, str(len(os.sched_getaffinity(0))), None),
        ({}, 999, "1", None),
        ({"CUDA_VISIBLE_DEVICES": "1,3", "JAX_NUM_CPU_DEVICES": "7"}, 1, "7", "1,3"),
        ({"CUDA_VISIBLE_DEVICES": "", "XLA_FLAGS": COUNT_FLAG}, 1, None, ""),
    ],
)
def test_a_local_job_starts_with_all_devices(
    monkeypatch, tmp_path, given, at_once, devices, visible
):
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    executor = submitit.LocalExecutor(tmp_path, python=_local_python(at_once))
    # Nothing of jaxrl or JAX runs in this job: it is what they will find.
    got = [executor.submit(os.getenv, n) for n in ("JAX_NUM_CPU_DEVICES", "CUDA_VISIBLE_DEVICES")]
    assert [job.result() for job in got] == [devices, visible]


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    """Slurm's commands: sbatch keeps its script, sacct tells the state in a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    commands = {
        "srun": "",
        "sbatch": f'cp "$1" {folder}/script.sh\necho Submitted batch job 4242',
        "sacct": f'echo "JobID|State|NodeList"\ncat {folder}/state',
    }
    for name, code in commands.items():
        (folder / name).write_text(f"#!/bin/sh\n{code}\n")
        (folder / name).chmod(0o755)
    (folder / "state").write_text("")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.mark.usefixtures("registered_fake_algorithm")
def test_slurm_gets_an_array_and_is_asked_before_more_is_submitted(slurm, tmp_path):
    said = []
    settings = {"partition": "long", "time": 90, "setup": "module load cuda"}

    def go(launch):
        return run_sweep(
            fake_algorithm.NAME,
            "CartPole-v1",
            grid={"hp.lr": [0.1, 0.2, 0.3]},
            seeds=1,
            total_steps=40,
            episodes=0,
            out=tmp_path / "sweep",
            launch=launch,
            say=said.append,
        )

    launch = Launch("slurm", tasks=3, array_parallelism=2, settings=settings)
    result = go(launch)
    assert list(result.missing) == [0, 1, 2] and not result.table
    script = (slurm / "script.sh").read_text()
    for line in ("--array=0-2%2", "--partition=long", "--time=90", "--job-name=jaxrl-sweep"):
        assert f"#SBATCH {line}" in script
    assert sys.executable in script
    # A CPU device for each core of the job; what the user says comes later and counts.
    lines = script.splitlines()
    (divide,) = [number for number, line in enumerate(lines) if "nproc" in line]
    assert divide < lines.index("module load cuda") < script[: script.index("srun")].count("\n")
    assert devices_after(lines[divide]) == str(len(os.sched_getaffinity(0)))
    assert devices_after(lines[divide], JAX_NUM_CPU_DEVICES="7") == "7"
    assert devices_after(lines[divide], XLA_FLAGS=COUNT_FLAG) == ""
    assert said == [
        "submitted 3 jobs: 4242_0, 4242_1, 4242_2; the same command merges what is finished"
    ]
    submitted = json.loads((tmp_path / "sweep" / "jobs" / "submitted.json").read_text())
    assert submitted == {"jobs": ["4242_0", "4242_1", "4242_2"], "points": [[0], [1], [2]]}

    (slurm / "script.sh").unlink()
    (slurm / "state").write_text("4242_0|RUNNING|n\n4242_1|PENDING|n\n4242_2|COMPLETED|n\n")
    go(launch)
    assert said[-1].startswith("2 jobs are queued or running, nothing is submitted: 4242_0, 4242_1")
    assert not (slurm / "script.sh").exists()

    # The same command without the launcher computes what is left, here.
    assert not go(None).missing
    assert not run_plan(result.plan, result.folder, launch=launch).missing
    assert not (slurm / "script.sh").exists()


@pytest.mark.usefixtures("registered_fake_algorithm")
def test_a_setting_that_slurm_does_not_know_is_one_line(slurm, tmp_path):
    with pytest.raises(LaunchError, match="Slurm: .*partitoin"):
        run_sweep(
            fake_algorithm.NAME,
            "CartPole-v1",
            grid={"hp.lr": [0.1]},
            episodes=0,
            out=tmp_path / "sweep",
            launch=Launch("slurm", settings={"partitoin": "long"}),
        )
