"""What the platform under JAX needs: an XLA flag, CPU devices, a compile cache that outlives us.

**The flag.** On a machine with few cores, XLA:CPU's concurrency-optimised scheduler can hang a
jitted training that is vmapped over seeds: the process falls asleep in the middle of it. Measured
on 2 cores with jaxlib 0.10.2: PPO on CartPole over 4 seeds hung in 5 of 5 runs within 500 updates,
and finished every time with `--xla_cpu_enable_concurrency_optimized_scheduler=false`, at the same
speed. (No hang was seen in 3 runs with jaxlib 0.11.2.) XLA reads `XLA_FLAGS` once, when the first
backend starts, so the flag is added on `import jaxrl`. In one hang that a debugger looked into,
both threads of the pool were in LAPACK's QR of a batch, waiting for others to do its parts; our own
initial weights no longer ask for a batch (`jaxrl.networks.initializers`), a user's program may.

**CPU devices.** One XLA device runs our small kernels on about one core. So that seeds (or shards
of environments) can use more, the CPU is divided into several devices, which is only possible
before the first backend starts.

**The compile cache.** `enable_compilation_cache` is for the command line and the tests; importing
the package never touches files.
"""

import os
import sys
import warnings
from pathlib import Path

_SCHEDULER_FLAG = "--xla_cpu_enable_concurrency_optimized_scheduler"
_DEVICES_FLAG = "--xla_force_host_platform_device_count"
_CACHE_VARIABLE = "JAXRL_COMPILATION_CACHE"
_MIN_COMPILE_SECONDS = 0.5


def avoid_cpu_deadlock() -> None:
    """Turns XLA:CPU's concurrency-optimised scheduler off, unless the user decided about it.

    Adds `--xla_cpu_enable_concurrency_optimized_scheduler=false` to the environment variable
    `XLA_FLAGS`, which processes started from this one inherit. Does nothing when the CPU backend
    is ruled out by `JAX_PLATFORMS` (or `jax.config.jax_platforms`), or when the flag is set
    already, to either value. Warns with `RuntimeWarning` when it is too late, because JAX has
    started a backend, or when `XLA_FLAGS` names a file of flags, which is left as it is.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if not _cpu_may_be_used() or _SCHEDULER_FLAG in _read_flags(flags):
        return
    if flags.strip() and not flags.lstrip().startswith("-"):
        problem = f"XLA_FLAGS names the file {flags!r}"
    elif _backend_started():
        problem = "JAX started a backend before jaxrl was imported"
    else:
        os.environ["XLA_FLAGS"] = f"{flags} {_SCHEDULER_FLAG}=false".lstrip()
        return
    warnings.warn(
        f"{problem}, so jaxrl cannot set {_SCHEDULER_FLAG}=false; "
        "without it training over several seeds can hang on CPU.",
        RuntimeWarning,
        stacklevel=3,
    )


def cpu_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_cpu_devices(count: int, replace: bool = True) -> None:
    """Divides the CPU into `count` JAX devices; other platforms are not touched.

    Does nothing where the user has done so by `XLA_FLAGS`. Warns with `RuntimeWarning` when it is
    too late, because JAX has started a backend with fewer.

    Args:
        count: at least 1.
        replace: also where the user chose a number by `JAX_NUM_CPU_DEVICES`.
    """
    import jax

    chosen = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]
    if _DEVICES_FLAG in _read_flags(os.environ.get("XLA_FLAGS", "")) or chosen == count:
        return
    if chosen > 0 and not replace:
        return
    if not _backend_started():
        jax.config.update("jax_num_cpu_devices", count)
    elif jax.default_backend() == "cpu" and jax.local_device_count() < count:
        warnings.warn(
            f"JAX has started with {jax.local_device_count()} CPU devices, so there cannot be"
            f" {count}; set JAX_NUM_CPU_DEVICES={count}.",
            RuntimeWarning,
            stacklevel=2,
        )


def enable_compilation_cache(path: str | os.PathLike[str] | None = None) -> Path | None:
    """Keeps compiled programs on disk, so that the next process need not compile them again.

    Args:
        path: folder of the cache. By default the first of: the environment variable
            `JAXRL_COMPILATION_CACHE` (`off` leaves JAX as it is), the folder JAX is already
            configured with (`JAX_COMPILATION_CACHE_DIR`), `$XDG_CACHE_HOME/jaxrl/xla` and
            `~/.cache/jaxrl/xla`.

    Returns:
        The folder in use, created if need be. None if the variable says `off`, or, with a
        `RuntimeWarning`, if the folder cannot be made: no run should fail for want of a cache.

    Programs that compile in less than 0.5 s are not kept, unless
    `JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS` says otherwise.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    if path is None:
        configured = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
        path = os.environ.get(_CACHE_VARIABLE) or configured
        if path == "off":
            return None
    if path is None:
        path = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "jaxrl" / "xla"
    folder = Path(path).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        warnings.warn(f"no compile cache: {error}", RuntimeWarning, stacklevel=2)
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_COMPILE_SECONDS)
    # JAX remembers whether and where it caches from the first program it compiled.
    compilation_cache.reset_cache()
    return folder


def disable_compilation_cache() -> None:
    """Stops reading and writing compiled programs on disk; the folder is left as it is."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()


def _cpu_may_be_used() -> bool:
    """Whether JAX may start its CPU backend: no choice of platforms, or one that has it."""
    if "jax" in sys.modules:
        platforms = sys.modules["jax"].config.jax_platforms
    else:
        platforms = os.environ.get("JAX_PLATFORMS")
    return not platforms or "cpu" in platforms.split(",")


def _read_flags(value: str) -> dict[str, str]:
    """Flags by name, from the value of `XLA_FLAGS` or from the file it names."""
    text = value
    if value.strip() and not value.lstrip().startswith("-"):
        try:
            text = Path(value).read_text()
        except OSError:
            text = ""
    pairs = (flag.partition("=") for flag in text.split())
    return {name: setting for name, _, setting in pairs}


def _backend_started() -> bool:
    """Whether JAX has started a backend; asking must not start one or import JAX."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    started = getattr(bridge, "backends_are_initialized", None)
    return bool(started()) if callable(started) else False
