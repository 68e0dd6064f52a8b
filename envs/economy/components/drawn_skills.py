"""Distributions that skills are drawn from."""

from typing import Any

import jax
import jax.numpy as jnp

SKILLS = ("none", "pareto", "lognormal")


def check_distribution(name: str, distribution: str) -> None:
    """Raises a `ValueError` for a distribution of skills that is not known."""
    if distribution not in SKILLS:
        raise ValueError(f"{name} must be one of {', '.join(SKILLS)}, got {distribution!r}")


def lomax(key: jax.Array, parameter: float, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Draws x >= 0 with P(X > x) = (1 + x)^-a: what NumPy calls Pareto."""
    return jax.random.pareto(key, jnp.asarray(parameter, dtype), shape, dtype) - 1


def lognormal(
    key: jax.Array, mean: float, deviation: float, shape: tuple[int, ...], dtype: Any
) -> jax.Array:
    """exp(mean + deviation n), n standard normal."""
    return jnp.exp(mean + deviation * jax.random.normal(key, shape, dtype))
