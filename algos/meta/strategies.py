"""Evolution strategies over the weights of an objective, by evosax.

A strategy maximises. Members of open-es and snes are antithetic pairs: the second half of a
population mirrors the first about the mean, so that what a pair has in common cancels in the
update. (Those of cma-es are not: pairs would shorten its evolution path and with it sigma, see
Brockhoff et al. 2010, "Mirrored sampling and sequential selection".) Fitness that is not finite
counts as the worst there is; a generation without any finite fitness changes nothing.

- `open-es` (Salimans et al. 2017, arXiv 1703.03864): Adam on the estimated gradient, deviation and
  learning rate decay as in Lu et al. 2022.
- `snes` (Wierstra et al. 2014): a deviation for each weight, which adapts.
- `cma-es` (Hansen 2016, arXiv 1604.00772): a whole covariance, for few weights.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxrl.adapters.promotion import relaxed_promotion
from jaxrl.dtypes import strong

OPEN_ES, SNES, CMA_ES = "open-es", "snes", "cma-es"
Z_SCORE, RANKS = "z-score", "centred-ranks"
# Most weights whose covariance is kept: its eigenvectors are computed in every generation.
_CMA_WEIGHTS = 300


@dataclasses.dataclass(frozen=True)
class Evolution:
    """How phi is changed from one generation to the next.

    Attributes:
        strategy: open-es, snes or cma-es.
        population: P, members of a generation; even, for antithetic pairs.
        sigma: deviation of the members from their mean, at the start.
        sigma_decay: factor of it a generation (open-es).
        sigma_final: below which it does not fall (open-es).
        lr: learning rate of Adam (open-es).
        lr_decay: factor of it a generation (open-es).
        lr_final: below which it does not fall (open-es).
        shaping: what the update sees of the fitness, z-score or centred-ranks (open-es; the others
            weigh ranks in their own way).
    """

    strategy: str = OPEN_ES
    population: int = 32
    sigma: float = 0.04
    sigma_decay: float = 0.999
    sigma_final: float = 0.01
    lr: float = 0.01
    lr_decay: float = 0.999
    lr_final: float = 0.001
    shaping: str = Z_SCORE

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no sense."""
        if self.strategy not in (OPEN_ES, SNES, CMA_ES):
            raise ValueError(
                f"strategy must be {OPEN_ES}, {SNES} or {CMA_ES}, got {self.strategy!r}"
            )
        if self.shaping not in (Z_SCORE, RANKS):
            raise ValueError(f"shaping must be {Z_SCORE} or {RANKS}, got {self.shaping!r}")
        if self.population < 2 or self.population % 2:
            raise ValueError(
                "the population must be even, as its members are antithetic pairs,"
                f" got {self.population}"
            )
        for name in ("sigma", "sigma_final", "lr", "lr_final"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be positive, got {value}")
        for name in ("sigma_decay", "lr_decay"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")


class Strategy(NamedTuple):
    """An evolution strategy as pure functions.

    Attributes:
        init: (key, weights) -> state.
        ask: (key, state) -> (population, state); leaves of the population are [P, ...].
        tell: (key, population, fitness [P], state) -> state; higher fitness is better.
        mean: state -> weights.
        sigma: state -> deviation of the members, root mean square over the weights, [].
    """

    init: Callable[[jax.Array, Any], Any]
    ask: Callable[[jax.Array, Any], tuple[Any, Any]]
    tell: Callable[[jax.Array, Any, jax.Array, Any], Any]
    mean: Callable[[Any], Any]
    sigma: Callable[[Any], jax.Array]


def decayed(start: float, decay: float, final: float) -> Callable[[Any], jax.Array]:
    """n -> max(start decay^n, final), from `start` downwards."""

    def schedule(count: Any) -> jax.Array:
        power = jnp.asarray(count, jnp.float32)
        return jnp.maximum(jnp.float32(start) * jnp.float32(decay) ** power, min(final, start))

    return schedule


def make_strategy(evolution: Evolution, weights: Any) -> Strategy:
    """The strategy for weights of the given form.

    Raises:
        ValueError: too many weights for `cma-es`.
    """
    flat, unravel = ravel_pytree(weights)
    if evolution.strategy == CMA_ES and flat.size > _CMA_WEIGHTS:
        raise ValueError(
            f"{CMA_ES} keeps a covariance of at most {_CMA_WEIGHTS} weights and phi has"
            f" {flat.size}; use {OPEN_ES} or {SNES}, or fewer hidden units"
        )
    with relaxed_promotion():
        algorithm, params = _algorithm(evolution, flat)
    shape = {Z_SCORE: z_scores, RANKS: centred_ranks}[evolution.shaping]

    def ask(key: jax.Array, state: Any) -> tuple[Any, Any]:
        with relaxed_promotion():
            population, state = algorithm.ask(key, state, params)
        if evolution.strategy == CMA_ES:
            return jax.vmap(unravel)(population), state
        half = population[: evolution.population // 2]
        mirrored = jnp.concatenate([half, 2.0 * state.mean[None] - half])
        return jax.vmap(unravel)(mirrored), state

    def tell(key: jax.Array, population: Any, fitness: jax.Array, state: Any) -> Any:
        rows = jax.vmap(lambda member: ravel_pytree(member)[0])(population)
        if evolution.strategy == OPEN_ES:
            cost = -shape(fitness)
        else:
            cost = jnp.where(jnp.isfinite(fitness), -fitness, jnp.nan)  # evosax ranks NaN last
        with relaxed_promotion():
            told = strong(algorithm.tell(key, rows, cost, state, params)[0])
        # Momentum and evolution paths would move the state even if nothing was seen.
        seen = jnp.any(jnp.isfinite(fitness))
        return jax.tree.map(lambda new, old: jnp.where(seen, new, old), told, strong(state))

    def init(key: jax.Array, weights: Any) -> Any:
        with relaxed_promotion():
            state = algorithm.init(key, ravel_pytree(weights)[0], params)
        if evolution.strategy == OPEN_ES:
            state = state.replace(std=jnp.float32(evolution.sigma))
        return strong(state)

    def sigma(state: Any) -> jax.Array:
        variance = jnp.square(state.std)
        if evolution.strategy == CMA_ES:
            variance = variance * jnp.diagonal(state.C)
        return jnp.sqrt(jnp.mean(variance))

    return Strategy(init, ask, tell, lambda state: unravel(state.mean), sigma)


def _algorithm(evolution: Evolution, flat: jax.Array) -> tuple[Any, Any]:
    """(evosax algorithm, its parameters) over flat weights."""
    # Each imports matplotlib, so not before they are needed.
    from evosax.algorithms import CMA_ES as CovarianceES
    from evosax.algorithms import SNES as SeparableES
    from evosax.algorithms import Open_ES
    from evosax.core.fitness_shaping import identity_fitness_shaping_fn

    size = evolution.population
    if evolution.strategy == OPEN_ES:
        sigma = decayed(evolution.sigma, evolution.sigma_decay, evolution.sigma_final)
        algorithm = Open_ES(
            size,
            flat,
            optimizer=optax.adam(decayed(evolution.lr, evolution.lr_decay, evolution.lr_final)),
            # evosax asks for the next generation's deviation by the number of this one.
            std_schedule=lambda count: sigma(count + 1),
            fitness_shaping_fn=identity_fitness_shaping_fn,
        )
        return algorithm, algorithm.default_params
    kind = SeparableES if evolution.strategy == SNES else CovarianceES
    algorithm = kind(size, flat)
    return algorithm, algorithm.default_params.replace(std_init=jnp.float32(evolution.sigma))


def centred_ranks(fitness: jax.Array) -> jax.Array:
    """Ranks from -0.5 (worst) to 0.5 (best), [P]; equal values share their mean rank.

    What is not finite ranks last, together.
    """
    values = jnp.where(jnp.isfinite(fitness), fitness, -jnp.inf)
    below = jnp.sum(values[:, None] > values[None, :], axis=1, dtype=jnp.int32)
    equal = jnp.sum(values[:, None] == values[None, :], axis=1, dtype=jnp.int32)
    rank = below.astype(jnp.float32) + 0.5 * (equal.astype(jnp.float32) - 1.0)
    return rank / (len(fitness) - 1.0) - 0.5


def z_scores(fitness: jax.Array) -> jax.Array:
    """(f - mean) / (std + 1e-8), [P].

    What is not finite counts as the worst finite value; zeros where nothing is finite.
    """
    finite = jnp.isfinite(fitness)
    worst = jnp.min(jnp.where(finite, fitness, jnp.inf))
    values = jnp.where(finite, fitness, worst)
    centred = values - jnp.mean(values)
    scores = centred / (jnp.sqrt(jnp.mean(jnp.square(centred))) + 1e-8)
    return jnp.where(jnp.any(finite), scores, 0.0)
