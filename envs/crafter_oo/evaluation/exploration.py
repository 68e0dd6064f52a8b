"""One life: what an agent that knows nothing lives through until it dies.

The explorer repeats a random action for a while, as a child would, since single random steps never
leave the place where they start.
"""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.draws import KeyDraws, draw_world
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState
from jaxrl.envs.crafter_oo.transition import transition
from jaxrl.envs.crafter_oo.worldgen import generate

AREA = (64, 64)
CAPACITY = 128
LENGTH = 10_000  # an episode's end
_REPEAT = 0.75  # probability of doing the same once more
_BLOCK = 64  # steps between two looks at whether the player is alive


@partial(jax.jit, static_argnames="length")
def _live(
    key: jax.Array, state: WorldState, action: jax.Array, rules: Rules, length: int
) -> tuple[tuple[WorldState, jax.Array], tuple[WorldState, jax.Array]]:
    def step(
        carry: tuple[WorldState, jax.Array], key: jax.Array
    ) -> tuple[tuple[WorldState, jax.Array], tuple[WorldState, jax.Array]]:
        state, action = carry
        key_step, key_action, key_repeat = jax.random.split(key, 3)
        new = jax.random.randint(key_action, (), 0, len(c.ACTIONS), jnp.int32)
        action = jnp.where(jax.random.bernoulli(key_repeat, _REPEAT), action, new)
        state = transition(KeyDraws(key_step), state, action, rules)
        return (state, action), (state, action)

    return jax.lax.scan(step, (state, action), jax.random.split(key, length))


def one_life(
    key: jax.Array, rules: Rules, state: WorldState | None = None, length: int = LENGTH
) -> Iterator[tuple[WorldState, int, WorldState]]:
    """The steps (state, action, next state) of one life, as NumPy arrays.

    Args:
        key: a typed key.
        rules: the rules of the world.
        state: where the life begins; by default a new world of 64 x 64 cells.
        length: steps after which it ends even if the player lives.
    """
    key_world, key_life = jax.random.split(key)
    if state is None:
        state = generate(draw_world(key_world, AREA), AREA, CAPACITY, rules)
    state = jax.tree.map(jnp.asarray, state)
    action, lived = jnp.int32(0), 0
    while lived < length and state.player.health > 0:
        before = jax.tree.map(np.asarray, state)
        key_block = jax.random.fold_in(key_life, lived)
        (state, action), block = _live(key_block, state, action, rules, _BLOCK)
        states, actions = jax.tree.map(np.asarray, block)
        for i in range(min(_BLOCK, length - lived)):
            after = jax.tree.map(lambda leaf, i=i: leaf[i], states)
            yield before, int(actions[i]), after
            if after.player.health <= 0:
                return
            before = after
        lived += _BLOCK
