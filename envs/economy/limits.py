"""Checks of parameters whose values are known."""

from typing import Any

import jax
import numpy as np

FINITE = float(np.finfo(np.float32).max)  # the largest; beyond it float32 is infinite


def check_limits(
    params: Any,
    owner: str,
    above: tuple[str, ...] = (),
    **limits: tuple[float | None, float | None],
) -> None:
    """Checks leaves of a record of parameters, which may have leading axes of a batch.

    Args:
        params: the record.
        owner: whose they are, for the message; "" for an environment's own.
        above: names of which the lowest itself is not allowed.
        **limits: (lowest, highest) by name, both allowed, None for any finite number. The values
            of tracers are let through; NaN is within no limits.

    Raises:
        ValueError: a leaf beyond its limits, by name.
    """
    for name, (low, high) in limits.items():
        leaf = getattr(params, name)
        if isinstance(leaf, jax.core.Tracer):
            continue
        values = np.asarray(leaf, np.float64)
        wrong = np.isnan(values)
        wrong |= values < low if low is not None else values < -FINITE
        wrong |= values > high if high is not None else values > FINITE
        if name in above:
            wrong |= values == low
        if wrong.any():
            least = "above" if name in above else "at least"
            bounds = [f"{least} {low}"] if low is not None else []
            bounds += [f"at most {high}"] if high is not None and np.isfinite(high) else []
            if not bounds or np.abs(values[wrong][0]) > FINITE:
                bounds.append("finite")
            full = f"{owner}.{name}" if owner else name
            raise ValueError(f"{full} must be {' and '.join(bounds)}, got {values[wrong][0]}")
