"""Test session settings: a CPU with four devices, strict dtypes, one compile cache.

What processes inherit goes through the environment, before JAX is imported: the platform and the
compile cache, which pytest-xdist workers and the subprocesses of tests share. What only this
process should have goes through `jax.config`, so that a test that starts `jaxrl` in a subprocess
sees what a user would.
"""

import os
from pathlib import Path

_CACHE = Path(__file__).parents[1] / ".cache" / "jax"

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAXRL_COMPILATION_CACHE"] = str(_CACHE)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_CACHE)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
os.environ["MPLBACKEND"] = "Agg"

import jax  # noqa: E402
import pytest  # noqa: E402

from jaxrl import _platform  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
_platform.enable_compilation_cache()


@pytest.fixture(scope="module")
def registered_fake_algorithm():
    """The fake algorithm is known by its name in the modules that ask for it, and only there."""
    from jaxrl import registry
    from tests import fake_algorithm

    fake_algorithm.register()
    yield
    del registry._ALGORITHMS[fake_algorithm.NAME]
