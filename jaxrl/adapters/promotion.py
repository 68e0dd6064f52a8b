"""The promotion rules under which code of other packages runs."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def relaxed_promotion() -> Iterator[None]:
    """Standard dtype promotion and any rank promotion, for code that is not strict-clean.

    Holds for what is traced inside; the caller's settings return at exit.
    """
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
