"""Every tenth step creatures come and go, chunk by chunk, so that their numbers stay in balance.

Source: the rules of the package `crafter` 1.8.3. Chunks are taken in the order in which they first
held an object; in each zombies come first, then skeletons, then cows. What comes or goes at all is
decided for all chunks at once, since it depends on nothing that another one changes; where, is
worked out for the few events in turn.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.draws import BalanceDraws, Draws
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import (
    Objects,
    WorldState,
    add_object,
    chunk_grid,
    chunk_of,
    material_at,
)
from jaxrl.rows import apply_where
from jaxrl.selection import first_true, nth_true
from jaxrl.staging import stage

_BALANCED = ("zombie", "skeleton", "cow")
_NUM = len(_BALANCED)
_BITS = 10  # of a count; no chunk has more cells, no world that many creatures in one


class _Changing(NamedTuple):
    """The parts of a state that balancing changes."""

    objects: Objects
    next_id: jax.Array
    overflow: jax.Array


def balance_chunks(state: WorldState, draws: Draws, rules: Rules) -> WorldState:
    """Balances all chunks if it is time to."""
    changing = _Changing(state.objects, state.next_id, state.overflow)

    def balance(changing: _Changing, state: WorldState, draws: Draws, rules: Rules) -> _Changing:
        state = state.replace(**changing._asdict())
        state = _balance(state, draws.balance(state.chunk_order.size), rules)
        return _Changing(state.objects, state.next_id, state.overflow)

    # Objects are passed once: what changes is put in its place inside.
    rest = state.replace(objects=None, next_id=None, overflow=None)
    due = state.time % rules.balance.interval == 0
    return state.replace(**apply_where(due, balance, changing, rest, draws, rules)._asdict())


def _balance(state: WorldState, draws: BalanceDraws, rules: Rules) -> WorldState:
    always = state.time >= 0
    state = state.replace(objects=stage(always, squeeze, state.objects))
    comes, goes = stage(always, _events, state, draws, rules)
    # The rank of each (chunk, creature) in the order in which they are taken.
    order = jnp.reshape(state.chunk_order, -1)[:, None] * _NUM + jnp.arange(_NUM, dtype=jnp.int16)
    last = jnp.int16(jnp.iinfo(jnp.int16).max)
    waiting = jnp.where(comes | goes, order, last)

    def body(carry: tuple[WorldState, jax.Array]) -> tuple[WorldState, jax.Array]:
        state, waiting = carry
        index = jnp.argmin(jnp.reshape(waiting, -1)).astype(jnp.int32)
        chunk, which = index // _NUM, index % _NUM
        is_left = waiting[chunk, which] < last
        pick = draws.pick[chunk, which]
        state = _come(state, chunk, which, comes[chunk, which] & is_left, pick, rules)
        state = _go(state, chunk, which, goes[chunk, which] & is_left, pick, rules)
        done = jnp.arange(waiting.size, dtype=jnp.int32).reshape(waiting.shape) == index
        return state, jnp.where(done, last, waiting)

    return jax.lax.while_loop(lambda carry: jnp.any(carry[1] < last), body, (state, waiting))[0]


def squeeze(objects: Objects) -> Objects:
    """The objects without holes between them, so that the slots behind the last one are free."""
    source = first_true(objects.kind != 0, objects.capacity)
    return jax.tree.map(lambda x: x.at[source].get(mode="fill", fill_value=0), objects)


def _events(state: WorldState, draws: BalanceDraws, rules: Rules) -> tuple[jax.Array, jax.Array]:
    """In which chunks which creature comes, and goes: bool [C, 3] each."""
    rule = rules.balance
    count, space = _creatures(state), _space(state.materials, rule.material)
    low = (rule.low + rule.low_light * state.daylight).astype(jnp.int32)
    low = jnp.where(space < rule.space, 0, low)
    high = (rule.high + rule.high_light * state.daylight).astype(jnp.int32)
    exists = jnp.reshape(state.chunk_order, -1)[:, None] >= 0
    comes = exists & (count < low) & (draws.event < rule.spawn_probability)
    goes = exists & ~(count < low) & (count > high) & (draws.event < rule.despawn_probability)
    return comes, goes


def _creatures(state: WorldState) -> jax.Array:
    """How many of the creatures are in each chunk, int32 [C, 3]."""
    numbers = jnp.arange(state.chunk_order.size, dtype=jnp.int16)

    def numbered(state: WorldState) -> tuple[jax.Array, jax.Array]:
        objects = state.objects
        kinds = [objects.kind == c.kind(name) for name in _BALANCED]
        return chunk_of(objects.x, objects.y, state.area), _pack(kinds)

    chunk, kinds = stage(state.time >= 0, numbered, state)
    inside = chunk == numbers[:, None]
    return _unpack(jnp.sum(jnp.where(inside, kinds, 0), axis=1, dtype=jnp.int32))


def _space(materials: jax.Array, suitable: jax.Array) -> jax.Array:
    """How many cells of each chunk have each of three materials, int32 [C, 3]."""
    width, height = materials.shape
    across, down = chunk_grid((width, height))
    padding = ((0, across * c.CHUNK - width), (0, down * c.CHUNK - height))
    tiles = jnp.pad(materials, padding).reshape(across, c.CHUNK, down, c.CHUNK)
    packed = _pack([tiles == suitable[i] for i in range(_NUM)])
    return _unpack(jnp.sum(packed, axis=(1, 3), dtype=jnp.int32).reshape(-1))


def _pack(flags: list[jax.Array]) -> jax.Array:
    """Three flags as bits of one int32, so that one sum counts all of up to 1023."""
    bits = (flag.astype(jnp.int32) << (_BITS * i) for i, flag in enumerate(flags))
    return functools.reduce(jnp.bitwise_or, bits)


def _unpack(packed: jax.Array) -> jax.Array:
    """The three counts, on a new last axis."""
    shifts = _BITS * jnp.arange(_NUM, dtype=jnp.int32)
    return (packed[..., None] >> shifts) & (2**_BITS - 1)


def _come(
    state: WorldState,
    chunk: jax.Array,
    which: jax.Array,
    wanted: jax.Array,
    pick: jax.Array,
    rules: Rules,
) -> WorldState:
    """A creature appears on one of the chunk's cells of its material, if that one is free."""
    rule, objects = rules.balance, state.objects
    down = chunk_grid(state.area)[1]
    cells = jnp.arange(c.CHUNK**2, dtype=jnp.int32)
    xs = (chunk // down * c.CHUNK + cells // c.CHUNK).astype(jnp.int16)
    ys = (chunk % down * c.CHUNK + cells % c.CHUNK).astype(jnp.int16)
    cell = _nth(material_at(state.materials, xs, ys) == rule.material[which], pick)
    x, y = xs[cell], ys[cell]
    player = state.player
    distance = jnp.abs(player.x - x) + jnp.abs(player.y - y)
    taken = jnp.any((objects.kind != 0) & (objects.x == x) & (objects.y == y)) | (distance == 0)
    wanted &= ~taken & (distance >= rule.spawn_distance[which])
    kind = jnp.asarray([c.kind(name) for name in _BALANCED], jnp.uint8)[which]
    rule_health = rules.creatures
    health = jnp.stack(
        [rule_health.zombie_health, rule_health.skeleton_health, rule_health.cow_health]
    )[which].astype(jnp.int8)
    return add_object(state, wanted, kind, x, y, health, jnp.uint8(0))


def _go(
    state: WorldState,
    chunk: jax.Array,
    which: jax.Array,
    wanted: jax.Array,
    pick: jax.Array,
    rules: Rules,
) -> WorldState:
    """One of the chunk's creatures disappears, if it is far enough from the player."""
    objects, player = state.objects, state.player
    kind = jnp.asarray([c.kind(name) for name in _BALANCED], jnp.uint8)[which]
    inside = chunk_of(objects.x, objects.y, state.area) == chunk.astype(jnp.int16)
    slot = _nth(inside & (objects.kind == kind), pick)
    distance = jnp.abs(player.x - objects.x[slot]) + jnp.abs(player.y - objects.y[slot])
    wanted &= distance >= rules.balance.despawn_distance[which]
    gone = (jnp.arange(objects.capacity, dtype=jnp.int32) == slot) & wanted
    return state.replace(
        objects=jax.tree.map(lambda x: jnp.where(gone, jnp.zeros_like(x), x), objects)
    )


def _nth(mask: jax.Array, pick: jax.Array) -> jax.Array:
    """The index of true entry floor(pick * n) of the n ones of bool [N]: int32 []."""
    count = jnp.sum(mask, dtype=jnp.int32)
    wanted = jnp.minimum((pick * count.astype(pick.dtype)).astype(jnp.int32), count - 1)
    return jnp.minimum(nth_true(mask, wanted), mask.size - 1)
