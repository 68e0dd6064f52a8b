"""Measurements side by side: each a process of its own, all of them in turns.

A study of speed compares programs that cannot share a process: other packages, other interpreters,
and ours without a compile cache. What differs from one minute to the next on a machine differs for
all of them alike if they take turns.
"""

import json
import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

# The flag that jaxrl sets for itself, so that every side has it.
_FLAGS = "--xla_cpu_enable_concurrency_optimized_scheduler=false"


def in_turns(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Any]]:
    """Runs all commands in order, `rounds` times, and prints the medians so far after each.

    Args:
        commands: words of a command by name. Its last line of output is JSON with "median" or
            "steps_per_s".
        rounds: how often.

    Returns:
        What each command said, a list of `rounds` by name.

    Raises:
        RuntimeError: a command failed; with the end of what it said.
    """
    found: dict[str, list[Any]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(_said(command))
        print(json.dumps(medians(found)), flush=True)
    return found


def medians(found: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """The median over rounds of what `in_turns` found, by name."""
    return {
        name: statistics.median(row.get("median", row.get("steps_per_s")) for row in rows)
        for name, rows in found.items()
    }


def _said(command: Sequence[str]) -> Any:
    """The JSON in a command's last line."""
    environment = {
        **os.environ,
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", _FLAGS),
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
