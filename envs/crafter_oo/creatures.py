"""The objects' part of a step: cows, zombies, skeletons, arrows and plants near the player act.

In the reference they act one after the other, in the order of their ids, each seeing what those
before it did. A loop over objects is slow under XLA, so all act at once here, given a guess of what
those before them do, and this is repeated until the guess is what comes out. Whatever the guess,
after n rounds the first n objects are right; so a guess that comes out again is right in full, and
it takes two or three rounds, not one for every object, as few objects stand in each other's way.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.draws import Draws
from jaxrl.envs.crafter_oo.intents import NOWHERE, Acting, cell_code, intend
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import (
    Objects,
    Population,
    WorldState,
    chunk_of,
    new_object,
    open_chunks,
)
from jaxrl.rows import apply_where
from jaxrl.selection import first_true, for_each_true
from jaxrl.staging import stage

_FEW = 24  # more objects than this are near the player in few worlds only


class Outcome(NamedTuple):
    """What the K nearby objects do to the map and to each other, codes [K], `NOWHERE` for nothing.

    Attributes:
        cell: where each is afterwards; `NOWHERE` if removed.
        born: where it shot an arrow.
        struck: the taken cell that it, an arrow, hit.
        broken: the table or furnace that it, an arrow, destroyed.
    """

    cell: jax.Array
    born: jax.Array
    struck: jax.Array
    broken: jax.Array


class Deed(NamedTuple):
    """What each of the K nearby objects does, [K].

    Attributes:
        outcome: what of it the others notice.
        health: int8, after what happened to it before its turn.
        able: bool, it acts.
        removed: bool, it is gone.
        moved_first, moved_second: bool, it moved to the cell it wanted first, or to the second.
    """

    outcome: Outcome
    health: jax.Array
    able: jax.Array
    removed: jax.Array
    moved_first: jax.Array
    moved_second: jax.Array


def resolve(acting: Acting, state: WorldState, rules: Rules) -> Deed:
    """What all nearby objects do, each after those before it.

    Mostly few objects are near and none is in another's way: then one round over the first few is
    all. Only for the worlds in which it is not the rounds go on, over all K objects.
    """
    player = cell_code(state.player.x, state.player.y, state.area)
    few = jax.tree.map(lambda x: x[:_FEW], acting)
    always = state.time >= 0
    guess, fixed = stage(always, _first_guess, few, player, rules)
    deed = stage(always, _act, few, fixed, guess, rules)
    unfinished = _differ(deed.outcome, guess) | jnp.any(acting.cell[_FEW:] >= 0)
    left = acting.cell.size - few.cell.size
    rest = jax.tree.map(lambda x: x[_FEW:], _idle(acting))
    deed = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), deed, rest) if left else deed
    return apply_where(unfinished, _all_rounds, deed, acting, player, rules)


def _all_rounds(deed: Deed, acting: Acting, player: jax.Array, rules: Rules) -> Deed:
    """Rounds over all K objects until a guess comes out again; `deed` is not read."""
    guess, fixed = _first_guess(acting, player, rules)

    def body(carry: tuple[Deed, jax.Array]) -> tuple[Deed, jax.Array]:
        guess = carry[0].outcome
        deed = _act(acting, fixed, guess, rules)
        return deed, _differ(deed.outcome, guess)

    start = (deed._replace(outcome=guess), jnp.asarray(True))
    return jax.lax.while_loop(lambda carry: carry[1], body, start)[0]


def _idle(acting: Acting) -> Deed:
    """What objects do that do nothing."""
    nothing = jnp.full(acting.cell.shape, NOWHERE, acting.cell.dtype)
    outcome = Outcome(acting.cell, nothing, nothing, nothing)
    no = jnp.zeros(nothing.shape, jnp.bool_)
    return Deed(outcome, acting.objects.health, no, no, no, no)


def _differ(one: Outcome, other: Outcome) -> jax.Array:
    return jnp.any(jnp.stack([jnp.any(a != b) for a, b in zip(one, other, strict=True)]))


class _Surroundings(NamedTuple):
    """What does not depend on the guess: bool [K] each.

    Attributes:
        first_later, second_later: the wanted cell is taken by the player or by an object that acts
            later.
        first_own, second_own: it is the object's own.
        mob_later: a cow, zombie or skeleton that acts later stands beside it.
    """

    first_later: jax.Array
    second_later: jax.Array
    first_own: jax.Array
    second_own: jax.Array
    mob_later: jax.Array


def _first_guess(acting: Acting, player: jax.Array, rules: Rules) -> tuple[Outcome, _Surroundings]:
    """What would happen if nobody noticed those before it, and the surroundings."""
    first, second, cell = acting.first, acting.second, acting.cell
    mobs = jnp.where(_is_mob(acting), cell, NOWHERE)
    later = _order(cell.size).T
    fixed = _Surroundings(
        first_later=_any(_same(cell, first) & later) | (first == player),
        second_later=_any(_same(cell, second) & later) | (second == player),
        first_own=first == cell,
        second_own=second == cell,
        mob_later=_any(_beside(mobs, acting) & later),
    )
    outcome = _decide(acting, fixed, _nothing_before(acting), rules).outcome
    return outcome, fixed


def _is_mob(acting: Acting) -> jax.Array:
    return acting.cow | acting.zombie | acting.skeleton


class _Before(NamedTuple):
    """What those before each object did, [K].

    Attributes:
        first_taken, second_taken: bool, they took the cell that it wants.
        first_broken, second_broken: bool, they broke what was there.
        mob: bool, one of them, a cow, zombie or skeleton, stands beside it.
        strikes: int16, how many arrows hit it.
    """

    first_taken: jax.Array
    second_taken: jax.Array
    first_broken: jax.Array
    second_broken: jax.Array
    mob: jax.Array
    strikes: jax.Array


def _nothing_before(acting: Acting) -> _Before:
    no = jnp.zeros(acting.cell.shape, jnp.bool_)
    return _Before(no, no, no, no, no, jnp.zeros(no.shape, jnp.int16))


def _act(acting: Acting, fixed: _Surroundings, guess: Outcome, rules: Rules) -> Deed:
    """One round: each object acts on what `guess` says of those before it."""
    first, second, cell = acting.first, acting.second, acting.cell
    earlier = _order(cell.size)
    mobs = jnp.where(_is_mob(acting), guess.cell, NOWHERE)
    before = _Before(
        first_taken=_any((_same(guess.cell, first) | _same(guess.born, first)) & earlier),
        second_taken=_any((_same(guess.cell, second) | _same(guess.born, second)) & earlier),
        first_broken=_any(_same(guess.broken, first) & earlier),
        second_broken=_any(_same(guess.broken, second) & earlier),
        mob=_any(_beside(mobs, acting) & earlier),
        strikes=_count(_same(guess.struck, cell) & earlier),
    )
    return _decide(acting, fixed, before, rules)


def _decide(acting: Acting, fixed: _Surroundings, before: _Before, rules: Rules) -> Deed:
    """What each object does, knowing what those before it did."""
    rule, objects, mob = rules.creatures, acting.objects, _is_mob(acting)
    damage = before.strikes * rule.arrow_damage
    trampled = acting.plant & acting.acts & (fixed.mob_later | before.mob)
    damage = damage + jnp.where(trampled, rule.plant_damage, jnp.int16(0))
    health = jnp.maximum(objects.health.astype(jnp.int16) - damage, 0).astype(jnp.int8)
    dead = acting.acts & (mob | acting.plant) & (health <= 0)
    able = acting.acts & (~dead | rules.quirks.dead_act)

    first_taken = before.first_taken | fixed.first_later | (fixed.first_own & ~dead)
    second_taken = before.second_taken | fixed.second_later | (fixed.second_own & ~dead)
    path = jnp.uint8(c.material("path"))
    first_material = jnp.where(before.first_broken, path, acting.first_material)
    second_material = jnp.where(before.second_broken, path, acting.second_material)
    went = able & acting.wants_first & ~first_taken & rule.walkable[first_material] & mob
    turns = able & acting.skeleton & ~went & ~second_taken
    went_second = turns & acting.moves_second & rule.walkable[second_material]
    shoots = turns & acting.shoots & rule.arrow_walkable[second_material]

    flying = acting.arrow & acting.acts
    hits = flying & first_taken
    lands = flying & ~first_taken & ~rule.arrow_walkable[first_material]
    breaks = lands & rule.arrow_destroys[first_material]
    removed = dead | hits | lands
    moved_first = (went & ~dead) | (flying & ~hits & ~lands)
    moved_second = went_second & ~dead
    cell = jnp.where(moved_first, acting.first, acting.cell)
    cell = jnp.where(moved_second, acting.second, cell)
    outcome = Outcome(
        cell=jnp.where(removed, NOWHERE, cell),
        born=jnp.where(shoots, acting.second, NOWHERE),
        struck=jnp.where(hits, acting.first, NOWHERE),
        broken=jnp.where(breaks, acting.first, NOWHERE),
    )
    return Deed(outcome, health, able, removed, moved_first, moved_second)


def _changed(
    acting: Acting, deed: Deed, state: WorldState, rules: Rules
) -> tuple[Objects, jax.Array]:
    """The K objects afterwards, and what the player loses by bites and arrows, int16 []."""
    rule, objects, player = rules.creatures, acting.objects, state.player
    x = jnp.where(deed.moved_first, acting.first_x, objects.x)
    y = jnp.where(deed.moved_first, acting.first_y, objects.y)
    x = jnp.where(deed.moved_second, acting.second_x, x)
    y = jnp.where(deed.moved_second, acting.second_y, y)

    counter = objects.counter
    distance = jnp.abs(player.x - x) + jnp.abs(player.y - y)
    close = acting.zombie & deed.able & (distance <= rule.zombie_bite_distance)
    bites = close & (counter == 0)
    cooldown = jnp.where(bites, rule.zombie_cooldown, counter - jnp.int16(1))
    shoots = deed.outcome.born >= 0
    reload = jnp.where(shoots, rule.skeleton_reload, jnp.maximum(counter - jnp.int16(1), 0))
    counter = jnp.where(close, cooldown, counter)
    counter = jnp.where(acting.skeleton & acting.acts, reload, counter)
    grown = jnp.minimum(counter, jnp.int16(2**15 - 2)) + jnp.int16(1)
    counter = jnp.where(acting.plant & acting.acts, grown, counter)

    struck, cell = deed.outcome.struck, deed.outcome.cell
    shot = _count(_same(struck, cell) & _order(cell.size).T & (cell >= 0)[None, :])
    damage = shot * rule.arrow_damage
    health = jnp.maximum(deed.health.astype(jnp.int16) - damage, 0).astype(jnp.int8)
    after = objects.replace(x=x, y=y, health=health, counter=counter)
    after = jax.tree.map(lambda field: jnp.where(deed.removed, jnp.zeros_like(field), field), after)

    bite = jnp.where(player.sleeping, rule.zombie_damage_asleep, rule.zombie_damage)
    here = cell_code(player.x, player.y, state.area)
    loss = jnp.sum(jnp.where(bites, bite, jnp.int16(0)), dtype=jnp.int16)
    return after, loss + jnp.sum(struck == here, dtype=jnp.int16) * rule.arrow_damage


def _order(num: int) -> jax.Array:
    """bool [K, K]: whether the row's object acts before the column's."""
    index = jnp.arange(num, dtype=jnp.int32)
    return index[:, None] < index[None, :]


def _same(cells: jax.Array, wanted: jax.Array) -> jax.Array:
    """bool [K, K]: whether the row's cell is the one that the column's object wants."""
    return cells[:, None] == wanted[None, :]


def _beside(cells: jax.Array, acting: Acting) -> jax.Array:
    """bool [K, K]: whether the row's cell is beside the column's object."""
    apart = jnp.abs(cells[:, None] - acting.cell[None, :])
    return ((apart == 1) | (apart == acting.stride[None, :])) & (cells >= 0)[:, None]


def _any(pairs: jax.Array) -> jax.Array:
    """Whether it holds for any row: bool [K]."""
    return jnp.any(pairs, axis=0)


def _count(pairs: jax.Array) -> jax.Array:
    """For how many rows it holds: int16 [K]."""
    return jnp.sum(pairs, axis=0, dtype=jnp.int16)


def update_objects(
    state: WorldState, draws: Draws, first_new: jax.Array, near: int, rules: Rules
) -> WorldState:
    """All objects near the player act, in the order of their ids.

    Args:
        state: the world after the player's turn.
        draws: the step's randomness.
        first_new: int32 [], objects with this id or a later one appeared in this step and wait.
        near: K, how many objects can be near the player; `overflow` is set where there are more.
        rules: the rules.
    """
    always = state.time >= 0
    slots, nearby, acts, crowded = stage(always, _nearby(near), state, first_new, rules)
    drawn = stage(always, lambda draws, slots: draws.objects(slots), draws, slots)
    acting = stage(always, intend, nearby, acts, drawn, state, rules)
    deed = resolve(acting, state, rules)
    after, loss = stage(always, _changed, acting, deed, state, rules)
    objects, player = state.objects, state.player
    objects = jax.tree.map(lambda old, new: old.at[slots].set(new, mode="drop"), objects, after)
    health = jnp.maximum(player.health.astype(jnp.int16) - loss, 0).astype(jnp.int8)
    items = jnp.where(jnp.arange(len(c.ITEMS), dtype=jnp.int8) == 0, health, player.items)
    state = state.replace(
        objects=objects,
        player=player.replace(items=items),
        overflow=state.overflow | crowded,
    )
    state = _break(state, acting, deed.outcome.broken >= 0)
    state = _enter_chunks(state, acting, deed)
    return _shoot(state, acting, deed.outcome.born >= 0)


def _nearby(near: int) -> Callable[[WorldState, jax.Array, Rules], tuple[Any, ...]]:
    """A function that gathers the objects near the player, at most `near`.

    It returns their slots int32 [K] (the capacity where there is none), themselves, whether each
    acts, and whether there were more.
    """

    def gather(state: WorldState, first_new: jax.Array, rules: Rules) -> tuple[Any, ...]:
        objects, player, reach = state.objects, state.player, rules.creatures.update_distance
        distance = jnp.abs(player.x - objects.x) + jnp.abs(player.y - objects.y)
        # Who acts reaches one cell further, where somebody may stand who does not act.
        relevant = (objects.kind != 0) & (distance <= reach)
        slots = first_true(relevant, near)
        nearby = jax.tree.map(lambda x: x.at[slots].get(mode="fill", fill_value=0), objects)
        acts = (nearby.kind != 0) & (nearby.id < first_new)
        acts &= distance.at[slots].get(mode="clip") < reach
        return slots, nearby, acts, jnp.sum(relevant, dtype=jnp.int32) > near

    return gather


def _break(state: WorldState, acting: Acting, broken: jax.Array) -> WorldState:
    """Cells whose table or furnace an arrow destroyed become path; a loop, for it is rare."""

    def destroy(materials: jax.Array, index: jax.Array) -> jax.Array:
        x, y = acting.first_x[index], acting.first_y[index]
        return materials.at[x, y].set(jnp.uint8(c.material("path")))

    return state.replace(materials=for_each_true(broken, destroy, state.materials))


def _enter_chunks(state: WorldState, acting: Acting, deed: Deed) -> WorldState:
    """Notes the chunks that objects moved or shot into."""
    first = chunk_of(acting.first_x, acting.first_y, state.area)
    second = chunk_of(acting.second_x, acting.second_y, state.area)
    chunk = jnp.where(deed.moved_first, first, jnp.int16(-1))
    chunk = jnp.where(deed.moved_second | (deed.outcome.born >= 0), second, chunk)
    return state.replace(chunk_order=open_chunks(state.chunk_order, chunk))


def _shoot(state: WorldState, acting: Acting, shoots: jax.Array) -> WorldState:
    """Adds the arrows that were shot, in the order of who shot them; a loop, for it is rare."""

    def shoot(population: Population, index: jax.Array) -> Population:
        x, y = acting.second_x[index], acting.second_y[index]
        arrow = new_object(c.kind("arrow"), x, y, jnp.int8(0), acting.shot_facing[index])
        return population.add(jnp.asarray(True), arrow)

    return for_each_true(shoots, shoot, Population.of(state)).put(state)
