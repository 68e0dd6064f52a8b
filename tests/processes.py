"""Fresh Python processes for tests of what happens before and while `jaxrl` is imported."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Settings of the test session (tests/conftest.py) or of the user that would change the outcome.
_NOT_INHERITED = (
    "JAXRL_COMPILATION_CACHE",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "JAX_PLATFORMS",
    "PYTHONPATH",
    "XLA_FLAGS",
)


def clean_environment(env: Mapping[str, str], path: Path = ROOT) -> dict[str, str]:
    """What a user's process would inherit, with `path` importable and `env` added."""
    clean = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    return clean | {"PYTHONPATH": str(path)} | dict(env)


def run_python(
    code: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    path: Path = ROOT,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Runs `python -c code` with `path` importable and `env` added to a clean environment.

    Raises:
        AssertionError: the process failed; the message has its output.
        subprocess.TimeoutExpired: it took longer than `timeout` seconds and was killed.
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(env or {}, path),
        cwd=cwd,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
