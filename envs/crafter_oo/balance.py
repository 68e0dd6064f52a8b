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
    Population,
    WorldState,
    chunk_grid,
    chunk_of,
    material_at,
    new_object,
)
from jaxrl.rows import apply_where
from jaxrl.selection import first_true, nth_true
from jaxrl.staging import stage

_NUM = len(c.BALANCED)
_BITS = 10  # of a count; no chunk has more cells, no world that many creatures in one


def balance_chunks(state: WorldState, draws: Draws, rules: Rules) -> WorldState:
    """Balances all chunks if it is time to."""

    def balance(
        population: Population, state: WorldState, draws: Draws, rules: Rules
    ) -> Population:
        return _balance(population.put(state), draws.balance(state.chunk_order.size), rules)

    # Objects are passed once: what changes is put in its place inside.
    rest = state.replace(objects=None, next_id=None, overflow=None)
    due = state.time % rules.balance.interval == 0
    population = apply_where(due, balance, Population.of(state), rest, draws, rules)
    return population.put(state)


def _balance(state: WorldState, draws: BalanceDraws, rules: Rules) -> Population:
    always = state.time >= 0
    state = state.replace(objects=_with_room(state.objects))
    comes, goes = stage(always, _events, state, draws, rules)
    # The rank of each (chunk, creature) in the order in which they are taken.
    turn = jnp.arange(_NUM, dtype=jnp.int16)[None, :]
    order = jnp.reshape(state.chunk_order, -1)[:, None] * jnp.int16(_NUM) + turn
    last = jnp.int16(jnp.iinfo(jnp.int16).max)
    waiting = jnp.reshape(jnp.where(comes | goes, order, last), -1)
    numbers = jnp.arange(waiting.size, dtype=jnp.int32)
    coming, picks = jnp.reshape(comes, -1), jnp.reshape(draws.pick, -1)

    def body(carry: tuple[Population, jax.Array]) -> tuple[Population, jax.Array]:
        population, waiting = carry
        index = jnp.argmin(waiting).astype(jnp.int32)
        event = _Event(index // _NUM, index % _NUM, waiting[index] < last, picks[index])
        new, comes = _comer(population.objects, state, event, rules)
        gone = _goer(population.objects, state, event, rules)
        population = population.remove(gone & ~coming[index])
        population = population.add(comes & coming[index], new)
        return population, jnp.where(numbers == index, last, waiting)

    start = (Population.of(state), waiting)
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1] < last), body, start)[0]


class _Event(NamedTuple):
    """A creature comes or goes.

    Attributes:
        chunk: int32 [], flat index of the chunk.
        which: int32 [], index into `c.BALANCED`.
        real: bool [], false where there is no event left.
        pick: float32 [], which cell or creature.
    """

    chunk: jax.Array
    which: jax.Array
    real: jax.Array
    pick: jax.Array


def _with_room(objects: Objects) -> Objects:
    """The objects, squeezed if few slots are left behind the last one."""
    slots = jnp.arange(objects.capacity, dtype=jnp.int16)
    used = jnp.max(jnp.where(objects.kind != 0, slots + 1, 0), initial=0)
    return apply_where(used > objects.capacity - objects.capacity // 3, squeeze, objects)


def squeeze(objects: Objects) -> Objects:
    """The objects without holes between them, so that the slots behind the last one are free."""
    source = first_true(objects.kind != 0, objects.capacity)
    return jax.tree.map(lambda x: x.at[source].get(mode="fill", fill_value=0), objects)


def _events(state: WorldState, draws: BalanceDraws, rules: Rules) -> tuple[jax.Array, jax.Array]:
    """In which chunks which creature comes, and goes: bool [C, 3] each."""
    rule = rules.balance
    count, space = _creatures(state), _space(state.materials, rule.material)
    low = (rule.low + rule.low_light * state.daylight).astype(jnp.int32)[None]
    low = jnp.where(space < rule.space.astype(jnp.int32)[None], jnp.int32(0), low)
    high = (rule.high + rule.high_light * state.daylight).astype(jnp.int32)[None]
    spawn, despawn = rule.spawn_probability[None], rule.despawn_probability[None]
    exists = jnp.reshape(state.chunk_order, -1)[:, None] >= 0
    comes = exists & (count < low) & (draws.event < spawn)
    goes = exists & ~(count < low) & (count > high) & (draws.event < despawn)
    return comes, goes


def _creatures(state: WorldState) -> jax.Array:
    """How many of the creatures are in each chunk, int32 [C, 3]."""
    objects = state.objects
    kinds = [objects.kind == c.kind(name) for name in c.BALANCED]
    chunk = chunk_of(objects.x, objects.y, state.area)
    none = jnp.zeros(state.chunk_order.size, jnp.int32)
    return _unpack(none.at[chunk].add(_pack(kinds), mode="promise_in_bounds"))


def _space(materials: jax.Array, suitable: jax.Array) -> jax.Array:
    """How many cells of each chunk have each of three materials, int32 [C, 3]."""
    width, height = materials.shape
    across, down = chunk_grid((width, height))

    tiles = jnp.pad(materials, ((0, across * c.CHUNK - width), (0, 0)))
    tiles = tiles.reshape(across, c.CHUNK, height)
    # Written out, for a sum over an axis that is not the last does not vectorise.
    rows = (tiles[:, i] for i in range(c.CHUNK))
    packed = [_pack([row == suitable[i] for i in range(_NUM)]) for row in rows]
    sums = functools.reduce(jnp.add, packed)
    padded = jnp.pad(sums, ((0, 0), (0, down * c.CHUNK - height)))
    total = jnp.sum(padded.reshape(across, down, c.CHUNK), axis=2, dtype=jnp.int32)
    return _unpack(total.reshape(-1))


def _pack(flags: list[jax.Array]) -> jax.Array:
    """Three flags as bits of one int32, so that one sum counts all of up to 1023."""
    bits = (flag.astype(jnp.int32) << (_BITS * i) for i, flag in enumerate(flags))
    return functools.reduce(jnp.bitwise_or, bits)


def _unpack(packed: jax.Array) -> jax.Array:
    """The three counts, on a new last axis."""
    return jnp.stack([(packed >> _BITS * i) & (2**_BITS - 1) for i in range(_NUM)], axis=-1)


def _comer(
    objects: Objects, state: WorldState, event: _Event, rules: Rules
) -> tuple[Objects, jax.Array]:
    """Who would appear on one of the chunk's cells of its material, and whether it can: bool []."""
    rule, player, down = rules.balance, state.player, chunk_grid(state.area)[1]
    cells = jnp.arange(c.CHUNK**2, dtype=jnp.int32)
    xs = (event.chunk // down * c.CHUNK + cells // c.CHUNK).astype(jnp.int16)
    ys = (event.chunk % down * c.CHUNK + cells % c.CHUNK).astype(jnp.int16)
    suitable = material_at(state.materials, xs, ys) == rule.material[event.which]
    cell = _nth(suitable, event.pick)
    x, y = xs[cell], ys[cell]
    distance = jnp.abs(player.x - x) + jnp.abs(player.y - y)
    taken = jnp.any((objects.kind != 0) & (objects.x == x) & (objects.y == y)) | (distance == 0)
    creatures = rules.creatures
    health = jnp.stack([creatures.zombie_health, creatures.skeleton_health, creatures.cow_health])[
        event.which
    ]
    can = event.real & ~taken & (distance >= rule.spawn_distance[event.which])
    return new_object(_kind(event), x, y, health), can


def _goer(objects: Objects, state: WorldState, event: _Event, rules: Rules) -> jax.Array:
    """Which of the chunk's creatures goes, none if that one is near the player: bool [N]."""
    player = state.player
    inside = chunk_of(objects.x, objects.y, state.area) == event.chunk.astype(jnp.int16)
    slot = _nth(inside & (objects.kind == _kind(event)), event.pick)
    distance = jnp.abs(player.x - objects.x[slot]) + jnp.abs(player.y - objects.y[slot])
    can = event.real & (distance >= rules.balance.despawn_distance[event.which])
    return (jnp.arange(objects.capacity, dtype=jnp.int32) == slot) & can


def _kind(event: _Event) -> jax.Array:
    return jnp.asarray([c.kind(name) for name in c.BALANCED], jnp.uint8)[event.which]


def _nth(mask: jax.Array, pick: jax.Array) -> jax.Array:
    """The index of true entry floor(pick * n) of the n ones of bool [N]: int32 []."""
    count = jnp.sum(mask, dtype=jnp.int32)
    wanted = jnp.minimum((pick * count.astype(pick.dtype)).astype(jnp.int32), count - 1)
    return jnp.minimum(nth_true(mask, wanted), mask.size - 1)
