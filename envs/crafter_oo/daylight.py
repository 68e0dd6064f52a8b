"""How light it is: 1 - |cos(pi (t / 300 mod 1 + 0.3))|^3 after t steps.

A day is 300 steps long; below 0.5, for t mod 300 in 148..272, it is dark.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

DAY = 300


def exact_daylight(steps: Any) -> Any:
    """float64 after so many steps, with the last bits that every single day has; on the host."""
    return 1 - np.abs(np.cos(np.pi * ((np.asarray(steps) / DAY) % 1 + 0.3))) ** 3


_LIGHT = exact_daylight(np.arange(DAY))


def daylight(time: jax.Array) -> jax.Array:
    """float32 in 0..1, of the shape of `time`, which counts steps.

    From a table, because 300 cosines in float64 are exact where float32 ones are not.
    """
    return jnp.asarray(_LIGHT, jnp.float32)[time % DAY]
