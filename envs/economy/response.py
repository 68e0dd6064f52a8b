"""How much a rational agent works under a tax schedule, in closed form.

An agent of skill s that works l hours earns z = s l, pays T(z), and is given back 1/N of all taxes,
its own included. Its utility u = z - (1 - 1/N) T(z) - c l^d + (what others pay) / N depends on
nobody else's choice up to a constant: the best response is a dominant strategy. Within a bracket of
rate r utility is concave in l and highest where its slope vanishes, at

    l* = ((1 - r (1 - 1/N)) s / (c d))^(1 / (d - 1)),

or at the end of the bracket that is nearest to it. Hours are whole: the best are the whole numbers
next to one of these B places, and an argmax over the 2 B candidates settles kinks and the choice
among brackets.

Source: Zheng et al. (2021), arXiv 2108.02755, section 4 (the one-step economy).
"""

import chex
import jax
import jax.numpy as jnp

from jaxrl.envs.economy.metrics import coin_minus_labor_cost
from jaxrl.envs.economy.tax import taxes_due

HOURS = 100  # the most that an agent can work


def best_response(
    skill: jax.Array,
    cutoffs: jax.Array,
    rates: jax.Array,
    agents: int,
    exponent: jax.Array | float,
    coefficient: jax.Array | float,
) -> jax.Array:
    """The hours that are best for an agent with the utility C - c l^d; the fewest of equals.

    Args:
        skill: s, coin an hour, float [], positive.
        cutoffs: float [B].
        rates: float [B].
        agents: N.
        exponent: d, above 1.
        coefficient: c, not negative; with 0 labour costs nothing.

    Returns:
        int32 [], in 0..100.
    """
    chex.assert_rank([skill, cutoffs, rates], [0, 1, 1])
    kept = 1 - rates * (1 - 1 / agents)
    exponent = jnp.asarray(exponent, skill.dtype)
    # 0 / 0, all taken and no cost, is NaN: then all hours are alike, and none are the fewest.
    flat = jnp.nan_to_num(kept * skill / (coefficient * exponent), nan=0.0)
    wanted = jnp.power(flat, 1 / (exponent - 1))
    begin = cutoffs / skill
    end = jnp.append(begin[1:], jnp.inf)
    places = jnp.minimum(jnp.clip(wanted, begin, end), HOURS)
    candidates = jnp.append(jnp.floor(places), jnp.ceil(places))
    values = response_values(candidates, skill, cutoffs, rates, agents, exponent, coefficient)
    best = values >= jnp.max(values)
    return jnp.min(jnp.where(best, candidates, HOURS)).astype(jnp.int32)


def response_values(
    hours: jax.Array,
    skill: jax.Array,
    cutoffs: jax.Array,
    rates: jax.Array,
    agents: int,
    exponent: jax.Array | float,
    coefficient: jax.Array | float,
) -> jax.Array:
    """What an agent's own choice adds to its utility: z - (1 - 1/N) T(z) - c l^d.

    Args:
        hours: l, float [L], choices to compare.
        skill: as in `best_response`, like all that follow.
        cutoffs: float [B].
        rates: float [B].
        agents: N.
        exponent: d.
        coefficient: c.

    Returns:
        float [L], in coin.
    """
    income = skill * hours
    due = jax.vmap(taxes_due, in_axes=(0, None, None))(income, cutoffs, rates)
    return coin_minus_labor_cost(income - (1 - 1 / agents) * due, hours, exponent, coefficient)
