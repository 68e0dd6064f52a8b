"""One life: what a curious agent that knows no rule lives through until it dies.

The explorer walks on in one direction for a while, tries to use whatever is in its way, sleeps when
it is tired and now and then does anything at all. It does not know what its actions are for.
"""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.draws import draw_world
from jaxrl.envs.crafter_oo.evaluation.canonical import HostState, canonical
from jaxrl.envs.crafter_oo.evaluation.truth import true_step
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState, material_at
from jaxrl.envs.crafter_oo.worldgen import generate

AREA = (64, 64)
CAPACITY = 128
LENGTH = 10_000  # an episode's end

_ANYTHING = 0.15  # probability of an action out of all
_USE = 0.85  # of using what is ahead
_STRAIGHT = 0.9  # of walking on
_TIRED = 4  # energy below which it sleeps
_FIRST_MOVE, _DO, _SLEEP = c.action("move_left"), c.action("do"), c.action("sleep")
_OPEN = np.asarray([name in ("outside", "grass", "sand", "path") for name in c.MATERIALS])


@jax.jit
def explore(key: jax.Array, state: WorldState) -> jax.Array:
    """The explorer's action, int32 []."""
    keys = jax.random.split(key, 4)
    anything, use, straight = (jax.random.uniform(k, (), jnp.float32) for k in keys[:3])
    some = jax.random.randint(keys[3], (), 0, len(c.ACTIONS) * 4, jnp.int32)
    player, objects = state.player, state.objects
    dx, dy = jnp.asarray(c.DIRECTIONS, jnp.int16)[player.facing]
    x, y = player.x + dx, player.y + dy
    met = jnp.any((objects.kind != 0) & (objects.x == x) & (objects.y == y))
    ahead = material_at(state.materials, x, y)
    blocked = met | ~jnp.asarray(_OPEN)[ahead] | (ahead == 0)
    onward = ~blocked & (straight < _STRAIGHT)
    move = _FIRST_MOVE + jnp.where(onward, player.facing.astype(jnp.int32), some % 4)
    usable = met | ~jnp.asarray(_OPEN)[ahead]
    action = jnp.where(usable & (use < _USE), _DO, move)
    tired = player.items[c.item("energy")] < _TIRED
    action = jnp.where(tired & ~usable, _SLEEP, action)
    return jnp.where(anything < _ANYTHING, some // 4, action)


@partial(jax.jit, static_argnames=("area", "capacity"))
def _new_world(key: jax.Array, rules: Rules, area: tuple[int, int], capacity: int) -> WorldState:
    return generate(draw_world(key, area), area, capacity, rules)


def one_life(
    key: jax.Array, rules: Rules, state: WorldState | None = None, length: int = LENGTH
) -> Iterator[tuple[HostState, int, HostState]]:
    """The steps (state, action, next state) of one life, as NumPy arrays.

    Args:
        key: a typed key.
        rules: the rules of the world.
        state: where the life begins; by default a new world of 64 x 64 cells.
        length: steps after which it ends even if the player lives.
    """
    key_world, key_life = jax.random.split(key)
    if state is None:
        state = _new_world(key_world, rules, AREA, CAPACITY)
    before = canonical(state)
    for lived in range(length):
        key_action, key_step = jax.random.split(jax.random.fold_in(key_life, lived))
        action = int(explore(key_action, before))
        after = true_step(key_step, before, action, rules)
        yield before, action, after
        if after.player.health <= 0:
            return
        before = after
