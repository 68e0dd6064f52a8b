"""Walking jaxprs: what a program consists of."""

from collections.abc import Iterator
from typing import Any

import jax


def equations(jaxpr: Any, skip: frozenset[str] = frozenset()) -> Iterator[Any]:
    """Every equation of a jaxpr and of what it contains, but not inside primitives in `skip`."""
    for eqn in jaxpr.eqns:
        yield eqn
        if eqn.primitive.name in skip:
            continue
        for inner in subjaxprs(eqn):
            yield from equations(inner, skip)


def subjaxprs(eqn: Any) -> Iterator[Any]:
    """The jaxprs among an equation's parameters."""
    for value in eqn.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(item, "jaxpr", item)
            if hasattr(inner, "eqns"):
                yield inner


def jaxpr_of(fn: Any, *args: Any) -> Any:
    """The jaxpr of fn(*args)."""
    return jax.make_jaxpr(fn)(*args).jaxpr
