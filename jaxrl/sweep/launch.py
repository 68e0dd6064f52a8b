"""Points as jobs of their own processes or machines, through submitit.

A job is a slice of the points of one program. It writes the files of its points into the sweep
folder, which all machines must see, exactly as a sweep in one process does; merging is reading
them. A job that is stopped and started again skips what it had finished.

A job is a new process: an environment or algorithm that a script registered by hand is not known
to it. submitit pickles the call of a job (a folder and some numbers) into `jobs/`; nothing of ours
reads a pickle.
"""

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from jaxrl import _platform
from jaxrl.run_folder import write_json
from jaxrl.sweep import plan
from jaxrl.sweep.compute import Limits, compute
from jaxrl.sweep.groups import group

_SUBMITTED = "submitted.json"
# submitit stops a local job after two minutes unless told otherwise.
_LOCAL_MINUTES = 60 * 24 * 365
_GPUS = "CUDA_VISIBLE_DEVICES"
_CPU_DEVICES = "JAX_NUM_CPU_DEVICES"
_CPU_FLAG = "xla_force_host_platform_device_count"


class LaunchError(RuntimeError):
    """Jobs cannot be started, or failed; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Launch:
    """How jobs are started.

    Attributes:
        kind: "local" starts processes on this machine and waits for them, "slurm" submits an array
            of jobs and returns.
        tasks: number of jobs; by default one for each program. More of them split the points of
            the largest programs, each of which is then compiled by every one of its jobs.
        array_parallelism: most jobs that run at the same time; by default one on this machine, as
            jobs share its device, and on a cluster all. Local jobs divide the CPU's cores.
        settings: of Slurm, as submitit's `SlurmExecutor` names them: partition, time, mem,
            gpus_per_node, cpus_per_task, setup, ...
    """

    kind: Literal["local", "slurm"]
    tasks: int | None = None
    array_parallelism: int | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError for values that make no sense."""
        if self.kind not in ("local", "slurm"):
            raise ValueError(f"a launcher is local or slurm, got {self.kind!r}")
        for name in ("tasks", "array_parallelism"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.settings and self.kind != "slurm":
            raise ValueError("settings of Slurm need the launcher slurm")

    def slices(self, groups: Sequence[Sequence[int]], todo: set[int]) -> list[list[int]]:
        """The points of each job: the unfinished ones of each group, in equal parts.

        There are at least as many jobs as groups with something to do, and at most one for each
        point.
        """
        left = [[index for index in group if index in todo] for group in groups]
        left = [indices for indices in left if indices]
        parts = [1] * len(left)
        for _ in range((self.tasks or 0) - len(left)):
            sizes = [len(indices) / n for indices, n in zip(left, parts, strict=True)]
            largest = sizes.index(max(sizes))
            if sizes[largest] <= 1:
                break
            parts[largest] += 1
        return [
            indices[i * len(indices) // n : (i + 1) * len(indices) // n]
            for indices, n in zip(left, parts, strict=True)
            for i in range(n)
        ]

    def run(
        self,
        folder: Path,
        slices: Sequence[Sequence[int]],
        limits: Limits,
        say: Callable[[str], None],
    ) -> None:
        """Starts one job for each slice; waits for them where they are local.

        Raises:
            LaunchError: submitit is missing or refuses, or a local job failed.
        """
        submitit = _submitit()
        jobs = folder.absolute() / plan.JOBS
        if self.kind == "slurm":
            self._slurm(submitit, jobs, slices, limits, say)
        else:
            self._local(submitit, jobs, slices, limits, say)

    def _local(
        self, submitit: Any, jobs: Path, slices: Any, limits: Limits, say: Callable[[str], None]
    ) -> None:
        at_once = self.array_parallelism or 1
        executor = submitit.LocalExecutor(jobs, python=_local_python(at_once))
        executor.update_parameters(timeout_min=_LOCAL_MINUTES)
        for first in range(0, len(slices), at_once):
            started = slices[first : first + at_once]
            running = _map(executor, jobs.parent, started, limits)
            say(f"jobs {first + 1} to {first + len(started)} of {len(slices)} are running")
            failed = [job for job in running if job.exception() is not None]
            if failed:
                reason, log = _reason(failed[0].exception()), failed[0].paths.stderr
                raise LaunchError(
                    f"{len(failed)} of {len(started)} jobs failed: {reason}; see {log}"
                )

    def _slurm(
        self, submitit: Any, jobs: Path, slices: Any, limits: Limits, say: Callable[[str], None]
    ) -> None:
        record = jobs / _SUBMITTED
        if record.exists():
            known = json.loads(record.read_text(encoding="utf-8"))["jobs"]
            alive = [job for job in known if not submitit.SlurmJob(jobs, job, [0]).done()]
            if alive:
                say(f"{len(alive)} jobs are queued or running, nothing is submitted: {_ids(alive)}")
                return
        try:
            executor = submitit.SlurmExecutor(jobs)
            settings = {**self.settings, "setup": _slurm_setup(self.settings.get("setup", ()))}
            executor.update_parameters(job_name="jaxrl-sweep", **settings)
            if self.array_parallelism is not None:
                executor.update_parameters(array_parallelism=self.array_parallelism)
            submitted = _map(executor, jobs.parent, slices, limits)
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            raise LaunchError(f"Slurm: {' '.join(str(error).split())}") from None
        ids = [job.job_id for job in submitted]
        write_json(record, {"jobs": ids, "points": [list(indices) for indices in slices]})
        say(f"submitted {len(ids)} jobs: {_ids(ids)}; the same command merges what is finished")


@dataclasses.dataclass(frozen=True)
class Task:
    """A job: what submitit calls in another process.

    Attributes:
        limits: how much is computed at once.
    """

    limits: Limits

    def __call__(self, folder: str, indices: Sequence[int]) -> int:
        """Computes points of a sweep folder; returns how many these were."""
        _platform.enable_compilation_cache()
        sweep = plan.load(Path(folder))
        groups = group(sweep, indices)
        return compute(Path(folder), sweep, groups, self.limits, partial(print, flush=True))

    def checkpoint(self, folder: str, indices: Sequence[int]) -> Any:
        """Asked by submitit when a job is preempted or out of time: the same again."""
        return _submitit().helpers.DelayedSubmission(self, folder, indices)


def _map(executor: Any, folder: Path, slices: Sequence[Sequence[int]], limits: Limits) -> list[Any]:
    return executor.map_array(Task(limits), [str(folder)] * len(slices), [list(s) for s in slices])


def _local_python(at_once: int) -> str:
    """The interpreter of local jobs, with the environment that JAX must find when it starts.

    That is before a `Task` is called: to read its pickle is to import us. submitit would hide all
    GPUs from a job that does not ask for a number of them. (Its `setup` needs a shell that stays:
    submitit finds its jobs by that process, and bash leaves for the last command.)
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    words = ["env", *(["-u", _GPUS] if visible is None else [f"{_GPUS}={visible}"])]
    if _CPU_DEVICES not in os.environ and _CPU_FLAG not in os.environ.get("XLA_FLAGS", ""):
        words.append(f"{_CPU_DEVICES}={max(_platform.cpu_cores() // at_once, 1)}")
    return shlex.join([*words, sys.executable])


def _slurm_setup(own: str | Sequence[str]) -> list[str]:
    """Shell lines of a Slurm job: a CPU device for each core unless the user decides, then `own`.

    In the environment for the reason that `_local_python` has.
    """
    divide = (
        f'case "$XLA_FLAGS" in *{_CPU_FLAG}*) ;;'
        f' *) export {_CPU_DEVICES}="${{{_CPU_DEVICES}:-$(nproc)}}" ;; esac'
    )
    return [divide, *([own] if isinstance(own, str) else own)]


def _reason(error: Any) -> str:
    """The last line of the trace in submitit's message: between two rules, if there is one."""
    lines = [line.strip() for line in str(error).splitlines()]
    rules = [place for place, line in enumerate(lines) if line.startswith("-----")]
    trace = lines[rules[0] + 1 : rules[1]] if len(rules) > 1 else lines[:1]
    return next((line for line in reversed(trace) if line), "it left no message")


def _ids(jobs: Sequence[str]) -> str:
    return ", ".join(jobs) if len(jobs) <= 4 else f"{jobs[0]} to {jobs[-1]}"


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        raise LaunchError("a launcher needs submitit: pip install 'jaxrl[slurm]'") from None
    return submitit
