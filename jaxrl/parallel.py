"""How independent runs share a device."""

from collections.abc import Callable

import jax


def map_seeds(fn: Callable, backend: str | None = None) -> Callable:
    """Maps `fn` over the leading axis of all its arguments, the fast way for the backend.

    On an accelerator `vmap` fills the device. On a CPU it makes every small kernel larger
    without making it cheaper per seed, and a loop that has to wait for its slowest seed
    (resets, for example) costs more: there the seeds run one after another inside the same
    compiled program, by `lax.map`. experiments/seed_mapping measures both.

    Args:
        fn: a function of arrays or pytrees.
        backend: "cpu", "gpu" or "tpu"; the default backend if None.

    Returns:
        A function of the stacked arguments.
    """
    if (backend or jax.default_backend()) == "cpu":
        return lambda *args: jax.lax.map(lambda row: fn(*row), args)
    return jax.vmap(fn)
