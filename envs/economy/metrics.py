"""Inequality, social welfare and the utilities of those who work.

All functions are pure, take unbatched arrays of floats (callers vmap) and keep their dtype.
N is the number of agents; `coin` is what each owns, [N], in inventory and escrow together.

Source: Zheng et al. (2020), arXiv 2004.13332, sections 3.3 and 3.4; the one-step utility is that of
Zheng et al. (2021), arXiv 2108.02755. The numbers are those of the package `ai-economist` 1.7.1,
except for its utility at eta = 1, which fails there: see `isoelastic_utility`.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

# From so many agents on the package takes the shortcut that `package_gini` describes.
FEW = 30
# What the package adds to a total before it divides by it.
_EPSILON = 1e-10

Gini = Callable[[jax.Array], jax.Array]


def gini(coin: jax.Array) -> jax.Array:
    """The normalised Gini index: 0 if all own the same, 1 if one owns everything.

    sum_ij |c_i - c_j| / (2 N sum_i c_i) * N / (N - 1), and 0 where nobody owns anything.

    Args:
        coin: float [N], none negative.

    Returns:
        float [], in 0..1.

    Raises:
        ValueError: fewer than two agents, among whom nothing can be unequal.
    """
    size = _several(coin)
    if size < FEW:
        total = jnp.sum(jnp.abs(coin[:, None] - coin[None, :]))
    else:
        # The same sum in order: the i-th smallest is above i others and below N - 1 - i.
        above = 2 * jnp.arange(size, dtype=coin.dtype) - (size - 1)
        total = 2 * jnp.sum(above * jnp.sort(coin))
    return total / (2 * (size - 1) * jnp.sum(coin) + _EPSILON)


def package_gini(coin: jax.Array) -> jax.Array:
    """The Gini index as the package has it: `gini` for fewer than 30 agents, and a shortcut above.

    For N >= 30: 1 - 2 / (N + 1) * sum_i (c_(1) + .. + c_(i)) / sum_i c_i, of sorted coin. That is
    `gini` times (N - 1) / (N + 1), and 1 where nobody owns anything.

    Args:
        coin: float [N], none negative.

    Returns:
        float [], in 0..1.

    Raises:
        ValueError: fewer than two agents.
    """
    size = _several(coin)
    if size < FEW:
        return gini(coin)
    # The i-th smallest is in N - i of the partial sums.
    times = size - jnp.arange(size, dtype=coin.dtype)
    partial_sums = jnp.sum(times * jnp.sort(coin))
    return 1 - 2 / (size + 1) * (partial_sums / (jnp.sum(coin) + _EPSILON))


def equality(coin: jax.Array, inequality: Gini = gini) -> jax.Array:
    """1 - Gini: 1 if all own the same, 0 if one owns everything; float [N] -> []."""
    return 1 - inequality(coin)


def productivity(coin: jax.Array) -> jax.Array:
    """All coin there is; float [N] -> []."""
    chex.assert_rank(coin, 1)
    return jnp.sum(coin)


def equality_times_productivity(
    coin: jax.Array, equality_weight: jax.Array | float = 1.0, inequality: Gini = gini
) -> jax.Array:
    """Social welfare: (w * equality + 1 - w) * productivity / N.

    Args:
        coin: float [N].
        equality_weight: w in 0..1; at 0 only productivity counts. The package's scenarios state
            1 - w, as `mixing_weight_gini_vs_coin`.
        inequality: `gini` or `package_gini`.

    Returns:
        float [], coin an agent.
    """
    share = equality_weight * equality(coin, inequality) + (1 - equality_weight)
    return share * productivity(coin) / coin.shape[0]


def inverse_income_weights(income: jax.Array) -> jax.Array:
    """Pareto weights 1 / max(z, 1), the poor counting most: float [...] -> [...], unnormalised."""
    return 1 / jnp.maximum(income, 1)


def uniform_weights(income: jax.Array) -> jax.Array:
    """Pareto weights that count everybody alike: float [...] -> [...], all 1."""
    return jnp.ones_like(income)


def inverse_income_weighted(income: jax.Array, values: jax.Array) -> jax.Array:
    """Social welfare: the mean of `values` weighted by the inverse of incomes.

    sum_i w_i v_i / sum_i w_i with w_i = 1 / max(z_i, 1).

    Args:
        income: z, float [N]: coin owned or, in the one-step economy, income before taxes.
        values: v, float [N]: utilities, or again the coin owned.

    Returns:
        float [], in the unit of `values`.
    """
    chex.assert_equal_shape([income, values])
    weights = inverse_income_weights(income)
    return jnp.sum(values * (weights / jnp.sum(weights)))


def isoelastic_utility(
    coin: jax.Array,
    labor: jax.Array,
    eta: jax.Array | float = 0.23,
    labor_coefficient: jax.Array | float = 0.21,
) -> jax.Array:
    """Utility that is concave in coin and falls with labour.

    u = (C^(1 - eta) - 1) / (1 - eta) - k L, and at eta = 1: u = log max(C, 1) - k L.

    At eta = 1 the package means that logarithm, but calls `np.max(1, C)`, which takes C as an axis
    and raises. The bound at one coin, which the powers do not have, is kept: without it who owns
    nothing would have a utility of -inf.

    Args:
        coin: C, float [...], none negative.
        labor: L, cumulative labour, float [...].
        eta: in 0..1; at 0 utility is linear in coin.
        labor_coefficient: k, utility lost by unit of labour; an annealed one is k times
            `annealing_weight`.

    Returns:
        float [...].
    """
    exponent = jnp.asarray(1 - jnp.asarray(eta, coin.dtype))
    linear_in_log = exponent == 0
    safe = jnp.where(linear_in_log, jnp.ones_like(exponent), exponent)
    log_bounded = jnp.log(jnp.maximum(coin, 1))
    # Of the two branches the one that is not taken must not be infinite: its gradient would be NaN.
    positive = jnp.where(coin > 0, coin, jnp.ones_like(coin))
    power = jnp.where(coin > 0, jnp.expm1(safe * jnp.log(positive)) / safe, -1 / safe)
    return jnp.where(linear_in_log, log_bounded, power) - labor_coefficient * labor


def coin_minus_labor_cost(
    coin: jax.Array,
    labor: jax.Array,
    exponent: jax.Array | float = 3.5,
    coefficient: jax.Array | float = 0.0005,
) -> jax.Array:
    """Utility that is linear in coin, with a labour cost that is a power: u = C - c L^d.

    Args:
        coin: C, float [...].
        labor: L, float [...], none negative.
        exponent: d, above 1.
        coefficient: c, not negative.

    Returns:
        float [...], in coin.
    """
    return coin - coefficient * jnp.power(labor, jnp.asarray(exponent, labor.dtype))


def annealing_weight(progress: jax.Array, constant: jax.Array | float) -> jax.Array:
    """The share of the full labour cost that applies: 1 - exp(-progress / constant).

    Args:
        progress: float []: completed episodes, or steps in which the agents' mean reward was
            positive.
        constant: decay in units of progress; with 0 there is no annealing and the weight is 1.

    Returns:
        float [], in 0..1.
    """
    constant = jnp.asarray(constant, progress.dtype)
    safe = jnp.where(constant > 0, constant, jnp.ones_like(constant))
    return jnp.where(constant > 0, -jnp.expm1(-progress / safe), jnp.ones_like(progress))


def _several(coin: jax.Array) -> int:
    """N, at least 2."""
    chex.assert_rank(coin, 1)
    if coin.shape[0] < 2:
        raise ValueError(f"inequality is that among at least 2 agents, got {coin.shape[0]}")
    return coin.shape[0]
