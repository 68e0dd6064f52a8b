"""One step of Crafter: a pure function of draws, state, action and rules.

Source: the package `crafter` 1.8.3; the phases are in its order.
"""

import jax
import jax.numpy as jnp

from jaxrl.envs.crafter_oo.balance import balance_chunks
from jaxrl.envs.crafter_oo.creatures import update_objects
from jaxrl.envs.crafter_oo.draws import Draws
from jaxrl.envs.crafter_oo.player import update_player
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState

CAPACITY = 192  # default number of object slots
NEAR = 48  # default number of objects that can be near enough to the player to matter


def transition(
    draws: Draws, state: WorldState, action: jax.Array, rules: Rules, near: int = NEAR
) -> WorldState:
    """The state after one step.

    Args:
        draws: the step's randomness, see `jaxrl.envs.crafter_oo.draws`.
        state: the world.
        action: int [], index into `ACTIONS`.
        rules: the rules.
        near: static, how many objects near the player can act; `overflow` tells if more were there.
    """
    first_new = state.next_id
    state = state.replace(time=state.time + jnp.int32(1))
    state = update_player(state, action, draws.collect(), rules)
    state = update_objects(state, draws, first_new, near, rules)
    return balance_chunks(state, draws, rules)


def newly_unlocked(before: WorldState, after: WorldState) -> jax.Array:
    """The achievements that a step unlocked for the first time in the episode: bool [22]."""
    return (after.player.unlocked > 0) & ~(before.player.unlocked > 0)


def reward(before: WorldState, after: WorldState, rules: Rules) -> jax.Array:
    """A tenth of the change of health, and 1 for achievements unlocked for the first time.

    Several unlocked in one step pay 1 together in the reference (quirk `one_reward_a_step`).
    Returns float32 [].
    """
    change = after.player.health.astype(jnp.float32) - before.player.health.astype(jnp.float32)
    count = jnp.sum(newly_unlocked(before, after), dtype=jnp.float32)
    paid = jnp.where(rules.quirks.one_reward_a_step, jnp.minimum(count, 1.0), count)
    return change / 10 + paid


def is_dead(state: WorldState) -> jax.Array:
    """Whether the player's health is used up, bool []."""
    return state.player.health <= 0
