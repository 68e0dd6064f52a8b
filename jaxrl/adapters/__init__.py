"""Environments of other packages as jaxrl's, and jaxrl's as other packages'.

Inwards: `from_gymnax` takes anybody's gymnax-style environment. Outwards: `to_gymnasium` makes a
`gymnasium.Env`, `to_gymnasium_vector` a `gymnasium.vector.VectorEnv` (extra `gymnasium`). Games:
`to_pettingzoo` makes a `pettingzoo.ParallelEnv` (extra `pettingzoo`), `to_jaxmarl` an environment
with JaxMARL's interface. Each module is imported when something of it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxrl.adapters.foreign import from_gymnax as from_gymnax
    from jaxrl.adapters.gymnasium_env import to_gymnasium as to_gymnasium
    from jaxrl.adapters.gymnasium_vector import to_gymnasium_vector as to_gymnasium_vector
    from jaxrl.adapters.jaxmarl import to_jaxmarl as to_jaxmarl
    from jaxrl.adapters.pettingzoo_env import to_pettingzoo as to_pettingzoo

_EXPORTS = {
    "from_gymnax": "jaxrl.adapters.foreign",
    "to_gymnasium": "jaxrl.adapters.gymnasium_env",
    "to_gymnasium_vector": "jaxrl.adapters.gymnasium_vector",
    "to_jaxmarl": "jaxrl.adapters.jaxmarl",
    "to_pettingzoo": "jaxrl.adapters.pettingzoo_env",
}
# Packages that modules need and jaxrl does not; each is an extra of its own name.
_NEEDED = ("gymnasium", "pettingzoo")

__all__ = [
    "from_gymnax",
    "to_gymnasium",
    "to_gymnasium_vector",
    "to_jaxmarl",
    "to_pettingzoo",
]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for package in _NEEDED:
        if package in _EXPORTS[name]:
            _need(package)
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def _need(package: str) -> None:
    try:
        import_module(package)
    except ImportError:
        raise ImportError(f"this needs {package}: pip install 'jaxrl[{package}]'") from None
