"""Environments of other packages as jaxrl's, and jaxrl's as other packages'.

Inwards: `from_gymnax` takes anybody's gymnax-style environment. Outwards: `to_gymnasium` makes a
`gymnasium.Env`, `to_gymnasium_vector` a `gymnasium.vector.VectorEnv` (extra `gymnasium`). Each
module is imported when something of it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxrl.adapters.foreign import from_gymnax as from_gymnax
    from jaxrl.adapters.gymnasium_env import to_gymnasium as to_gymnasium
    from jaxrl.adapters.gymnasium_vector import to_gymnasium_vector as to_gymnasium_vector

_EXPORTS = {
    "from_gymnax": "jaxrl.adapters.foreign",
    "to_gymnasium": "jaxrl.adapters.gymnasium_env",
    "to_gymnasium_vector": "jaxrl.adapters.gymnasium_vector",
}

__all__ = ["from_gymnax", "to_gymnasium", "to_gymnasium_vector"]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if "gymnasium" in _EXPORTS[name]:
        _need_gymnasium()
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def _need_gymnasium() -> None:
    try:
        import_module("gymnasium")
    except ImportError:
        raise ImportError("this needs gymnasium: pip install 'jaxrl[gymnasium]'") from None
