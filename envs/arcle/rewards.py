"""What a step is paid.

    reward      of a step
    "sparse"    1 for the submission of the right answer, else 0
    "mismatch"  [solved] - the share of wrong cells, after every step: from -1 to 1
    "progress"  the change of the share of right cells in this step, and 1 for the right submission

The share of right cells looks at the cells of the answer: a cell is right if it is within the grid
and has the answer's colour. A grid is solved if it has the answer's size and all cells are right.

"progress" is a potential-based shaping of "sparse" (Ng et al. 1999) up to the discount; "mismatch"
is what the agents of Lee et al. (2024), arXiv 2407.20806, are trained with.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.state import State
from jaxrl.envs.arcle.submit import solved

# (state before, state after, what the rules pay) -> reward float32 []
Reward = Callable[[State, State, jax.Array], jax.Array]


def make_reward(name: str) -> Reward:
    """The reward `name`; `ValueError` for an unknown one."""
    if not isinstance(name, str) or name not in REWARDS:
        raise ValueError(f"unknown reward {name!r}; one of {', '.join(REWARDS)}")
    return REWARDS[name]


def right_share(state: State) -> jax.Array:
    """The share of the answer's cells that are right, float32 []."""
    side = state.grid.shape[-1]
    wanted = planes.window(state.answer_dim, side)
    there = wanted & planes.window(state.grid_dim, side)
    right = there & ~planes.occupied(state.grid ^ state.answer)
    return _count(right) / jnp.maximum(_count(wanted), jnp.float32(1))


def _count(mask: jax.Array) -> jax.Array:
    return jnp.sum(jax.lax.population_count(mask).astype(jnp.float32))


def _sparse(before: State, after: State, paid: jax.Array) -> jax.Array:
    return paid


def _mismatch(before: State, after: State, paid: jax.Array) -> jax.Array:
    return solved(after).astype(jnp.float32) - (1 - right_share(after))


def _progress(before: State, after: State, paid: jax.Array) -> jax.Array:
    return right_share(after) - right_share(before) + paid


REWARDS: dict[str, Reward] = {"sparse": _sparse, "mismatch": _mismatch, "progress": _progress}
