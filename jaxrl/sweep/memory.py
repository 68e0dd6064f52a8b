"""How many rows of a program a device holds: measured from compiled programs, not guessed."""

import os
from collections.abc import Callable
from pathlib import Path

import jax

# What is left free: for the compiler's own needs, fragmentation and, on a host, other processes.
_USABLE = 0.8
GIB = 2**30


class SweepMemoryError(RuntimeError):
    """Not even one row fits; the message is one line."""


def budget(gib: float | None = None) -> int:
    """Bytes a program may use: `gib` if given, else 80% of what the first device has free."""
    if gib is not None:
        if not gib > 0:
            raise ValueError(f"the memory must be positive, got {gib} GiB")
        return int(gib * GIB)
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int(_USABLE * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
    return int(_USABLE * _host_free())


def choose_rows(
    total: int, unit: int, limit: int, measure: Callable[[int], int], devices: int = 1
) -> int:
    """Rows of one call, so that `total` rows are computed in as few equal calls as fit.

    All rows at once are tried first: mostly they fit, and nothing else is compiled. Otherwise one
    and two rows a device are measured, their difference is what another row a device takes, and
    the number of rows follows; it is halved while the program turns out larger than that.

    Args:
        total: rows of all points.
        unit: rows of one point; a call has whole points wherever one fits.
        limit: bytes.
        measure: rows -> bytes of the program; called with few different arguments.
        devices: that share the rows, at most `total`; rows are padded to a multiple of them.

    Raises:
        SweepMemoryError: a single row a device is over the limit.
    """
    if measure(total) <= limit:
        return total
    one = measure(devices)
    if one > limit:
        raise SweepMemoryError(
            f"training one seed takes {one / GIB:.3g} GiB and {limit / GIB:.3g} GiB are free;"
            " make config.num_envs or config.num_steps smaller, or evaluate fewer episodes"
        )
    if total == devices:
        return total
    each = max(measure(2 * devices) - one, 1)
    most = min(1 + (limit - one) // each, (total - 1) // devices)
    rows = even(total, most * devices, unit)
    while rows > 1 and measure(rows) > limit:
        rows = even(total, rows // 2, unit)
    return rows


def even(total: int, most: int, unit: int) -> int:
    """Rows of each of the fewest equal calls of at most `most` rows; whole units if one fits."""
    if most < unit:
        return -(-total // -(-total // most))
    units, per_call = total // unit, most // unit
    return unit * -(-units // -(-units // per_call))


def _host_free() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kib = {line.partition(":")[0]: line.split()[1] for line in lines}
        return int(kib["MemAvailable"]) * 1024
    except (OSError, KeyError, IndexError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
