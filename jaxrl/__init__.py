"""Reinforcement learning in JAX: environments, algorithms and one training loop.

Everything below the command line is a pure function of a key, a state and hyperparameters, so it
composes with `jax.jit`, `jax.vmap` over seeds or hyperparameters, and `jax.shard_map`.

Importing this package does one thing: it adds an XLA flag without which XLA:CPU can hang (see
`jaxrl._platform`). The names below load their module on first use, so heavy packages (brax,
gymnax, orbax, matplotlib) are imported only by what needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxrl import _platform

if TYPE_CHECKING:
    from jaxrl import adapters as adapters
    from jaxrl import parallel as parallel
    from jaxrl import registry as registry
    from jaxrl import rendering as rendering
    from jaxrl import spaces as spaces
    from jaxrl.algorithm import Algorithm as Algorithm
    from jaxrl.algorithm import AlgorithmSpec as AlgorithmSpec
    from jaxrl.algorithm import canonical as canonical
    from jaxrl.algorithm import train as train
    from jaxrl.environment import Environment as Environment
    from jaxrl.evaluation import evaluate as evaluate
    from jaxrl.parallel import map_seeds as map_seeds
    from jaxrl.registry import make as make
    from jaxrl.sweep.run import run_sweep as run_sweep
    from jaxrl.vector import VecEnv as VecEnv

__version__ = "0.1.0"

# Public name -> the module that defines it.
_EXPORTS = {
    "Algorithm": "jaxrl.algorithm",
    "AlgorithmSpec": "jaxrl.algorithm",
    "Environment": "jaxrl.environment",
    "VecEnv": "jaxrl.vector",
    "canonical": "jaxrl.algorithm",
    "evaluate": "jaxrl.evaluation",
    "make": "jaxrl.registry",
    "map_seeds": "jaxrl.parallel",
    "run_sweep": "jaxrl.sweep.run",
    "train": "jaxrl.algorithm",
}
_SUBMODULES = ("adapters", "parallel", "registry", "rendering", "spaces")

__all__ = [
    "Algorithm",
    "AlgorithmSpec",
    "Environment",
    "VecEnv",
    "__version__",
    "adapters",
    "canonical",
    "evaluate",
    "make",
    "map_seeds",
    "parallel",
    "registry",
    "rendering",
    "run_sweep",
    "spaces",
    "train",
]

_platform.avoid_cpu_deadlock()


def __getattr__(name: str) -> Any:
    """Imports a public name on first use."""
    if name in _EXPORTS:
        value = getattr(import_module(_EXPORTS[name]), name)
    elif name in _SUBMODULES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
