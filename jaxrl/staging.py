"""Where a program's work is cut into stages whose results are computed once.

XLA:CPU fuses cheap operations into every operation that uses them, and so computes a chain of them
again for each of its uses: a result that is used in twenty places costs twenty times, and one that
is compared with every other one costs their number squared. `jax.lax.optimization_barrier` does
not help there, for it is taken out before fusion; a conditional does, as what goes in and out of it
has to exist in memory.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

Result = TypeVar("Result")


def stage(always: jax.Array, fn: Callable[..., Result], *args: Any) -> Result:
    """`fn(*args)`, with the arguments and the results computed once on a CPU.

    Args:
        always: bool, true, but not so that XLA can know: e.g. that a counter is not negative. What
            is computed is undefined where it is false.
        fn: a pure function that closes over no tracer, of arrays without typed keys.
        *args: pytrees.
    """

    @jax.custom_batching.custom_vmap
    def run(always: jax.Array, args: Any) -> Result:
        return jax.lax.platform_dependent(
            always, args, cpu=_conditional(fn), default=lambda _, args: fn(*args)
        )

    @run.def_vmap
    def _(axis_size: int, in_batched: Any, always: jax.Array, args: Any) -> Any:
        axes = jax.tree.map(lambda batched: 0 if batched else None, in_batched[1])

        def rows(args: Any) -> Result:
            result: Result = jax.vmap(lambda args: fn(*args), (axes,), axis_size=axis_size)(args)
            return result

        rows.__name__ = getattr(fn, "__name__", "stage")
        result = stage(always.reshape(-1)[0], rows, args)
        return result, jax.tree.map(lambda _: True, result)

    return run(always, args)


def _conditional(fn: Callable[..., Result]) -> Callable[[jax.Array, Any], Result]:
    def run(always: jax.Array, args: Any) -> Result:
        def zeros(args: Any) -> Result:
            shapes = jax.eval_shape(lambda args: fn(*args), args)
            result: Result = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
            return result

        with jax.named_scope(getattr(fn, "__name__", "stage").strip("_")):
            result: Result = jax.lax.cond(always, lambda args: fn(*args), zeros, args)
        return result

    return run
