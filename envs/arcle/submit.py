"""Submit: trials, reward and the end of an episode."""

import jax
import jax.numpy as jnp

from jaxrl.envs.arcle import planes
from jaxrl.envs.arcle.operations import OperationSet
from jaxrl.envs.arcle.rules import Rules
from jaxrl.envs.arcle.state import State, restarted


def solved(state: State) -> jax.Array:
    """Bool []: whether the grid is the answer; colours outside of the grid do not count."""
    return _equal(state.grid, state.grid_dim, state.answer, state.answer_dim)


def submitted(
    state: State, submits: jax.Array, rules: Rules, operations: OperationSet
) -> tuple[State, jax.Array, jax.Array]:
    """The state after a step in which `submits`, bool [], says whether it was Submit.

    Args:
        state: after everything else in the step.
        submits: whether the operation is Submit.
        rules: trials, resets and their quirks.
        operations: the reference's quirks depend on them.

    Returns:
        The state, the reward float32 [] (1 for the right answer) and whether the episode has
        ended, bool [].
    """
    quirks = rules.quirks
    right = solved(state)
    running = quirks.repeated_reward | ~state.terminated
    counts = submits & (state.trials_remain != 0) & running
    trials = _used(state.trials_remain, rules)
    state = state.replace(
        trials_remain=jnp.where(counts, trials, state.trials_remain),
        submit_count=state.submit_count + counts.astype(jnp.int32),
    )
    ends = (counts & right) | (submits & (state.trials_remain == 0))
    terminated = state.terminated | ends
    resets = counts & rules.reset_on_submit & (quirks.forgetful_reset | ~right)
    paid = jnp.where(quirks.repeated_reward, submits, counts) & right
    reported = terminated
    if operations.objects or operations.clipboard:
        same = _equal(state.input, state.input_dim, state.answer, state.answer_dim)
        paid = jnp.where(resets & quirks.forgetful_reset, same, paid)
        reported = jnp.where(resets & quirks.forgetful_reset, False, reported)
    kept = state.replace(terminated=terminated)
    fresh = restarted(kept, rules)
    keeps = ~quirks.forgetful_reset
    fresh = fresh.replace(
        trials_remain=jnp.where(keeps, kept.trials_remain, fresh.trials_remain),
        terminated=keeps & terminated,
    )
    state = jax.tree.map(lambda new, old: jnp.where(resets, new, old), fresh, kept)
    return state, paid.astype(jnp.float32), reported


def _used(trials: jax.Array, rules: Rules) -> jax.Array:
    """Trials left, int32 [], after one more."""
    wrapped = ((trials - 1 + 128) & 255) - 128
    lasting = jnp.where(trials < 0, trials, trials - 1)
    return jnp.where(rules.quirks.trials_underflow, wrapped, lasting)


def _equal(grid: jax.Array, dim: jax.Array, other: jax.Array, other_dim: jax.Array) -> jax.Array:
    """Whether two grids are the same; `other` is 0 outside of its dim."""
    within = planes.window(other_dim, grid.shape[-1])[None, :]
    different = planes.occupied((grid ^ other) & within)
    return jnp.all(dim == other_dim) & ~jnp.any(different != 0)
