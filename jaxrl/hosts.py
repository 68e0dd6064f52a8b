"""Several processes, usually on several machines, as one run.

Every process runs the same program on its own devices, and must come to the same decisions: what
depends on files or clocks is decided by the leader, process 0, and told to the others. Only the
leader writes. The folder of a run must be visible to all.
"""

from collections.abc import Callable

import jax
import numpy as np

# Seconds: to wait for all processes at the start, to notice that one is gone, to wait for the
# others at the end. Without the last two a failure would hold up the others for many minutes.
_START, _HEARTBEAT, _END = 300, 60, 30


class HostError(RuntimeError):
    """What went wrong in another process."""


def initialize(
    coordinator: str | None = None, processes: int | None = None, process_id: int | None = None
) -> None:
    """Joins the processes of a run; to be called before JAX starts its backend.

    Args:
        coordinator: HOST:PORT on which process 0 listens. Without any argument JAX finds out by
            itself, under SLURM, Open MPI, Kubernetes and on TPU.
        processes: how many there are.
        process_id: which one this is, from 0 on.

    Raises:
        ValueError: only some of the arguments are given or they make no sense.
        HostError: the others cannot be reached, or nothing says which they are.
    """
    given = [value is not None for value in (coordinator, processes, process_id)]
    if any(given) and not all(given):
        raise ValueError("coordinator, processes and process id must be given together")
    if processes is not None and process_id is not None and not 0 <= process_id < processes:
        raise ValueError(f"process id must be in [0, {processes}), got {process_id}")
    if coordinator is not None and not coordinator.rpartition(":")[2].isdecimal():
        raise ValueError(f"the coordinator must be HOST:PORT, got {coordinator!r}")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process_id,
            initialization_timeout=_START,
            heartbeat_timeout_seconds=_HEARTBEAT,
            shutdown_timeout_seconds=_END,
        )
    except (ValueError, RuntimeError) as error:
        raise HostError(f"cannot join the other processes: {error}") from error


def is_leader() -> bool:
    """Whether this process is the one that writes; so it is where it is alone."""
    return jax.process_index() == 0


def from_leader(number: int) -> int:
    """The leader's number, on every process; every process must call it."""
    if jax.process_count() == 1:
        return number
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return int(broadcast_one_to_all(np.int32(number)))


def from_all(number: int) -> list[int]:
    """The number of every process, in order; every process must call it."""
    if jax.process_count() == 1:
        return [number]
    from jax.experimental.multihost_utils import process_allgather

    return [int(found) for found in np.ravel(process_allgather(np.int32(number)))]


def anywhere(flag: bool) -> bool:
    """Whether the flag is set on any process; every process must call it."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental.multihost_utils import process_allgather

    return bool(np.any(process_allgather(np.int32(flag))))


def wait_for_leader() -> None:
    """Returns when the leader has come as far; every process must call it.

    One that is done would otherwise begin to leave, and those that leave do not wait long.
    """
    from_leader(0)


def on_leader(action: Callable[[], int | None]) -> int:
    """Does something on the leader alone; every process must call it.

    Returns:
        What it returned, on every process; 0 for None.

    Raises:
        Exception: what it raised, on the leader.
        HostError: it raised, on the others.
    """
    result, error = 0, None
    if is_leader():
        try:
            result = action() or 0
        except Exception as caught:
            error = caught
    if from_leader(int(error is not None)):
        raise error or HostError("process 0 could not go on; it says why")
    return from_leader(result)
