"""The objects' part of a step: cows, zombies, skeletons, arrows and plants near the player act.

In the reference they act one after the other, in the order of their ids, each seeing what those
before it did. A loop over objects is slow under XLA, so all act at once here, given a guess of what
those before them do, and this is repeated until the guess is what comes out. Whatever the guess,
after n rounds the first n objects are right; so a guess that comes out again is right in full, and
it takes two or three rounds, not one for every object, as few objects stand in each other's way.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.draws import Draws, ObjectDraws
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import (
    Objects,
    WorldState,
    add_object,
    chunk_of,
    material_at,
    open_chunks,
)
from jaxrl.selection import first_true

_NOWHERE = -1  # the code of no cell at all
_OUTSIDE = -2  # that of every cell outside the map


class Acting(NamedTuple):
    """What the K nearby objects are and intend, [K] each, in the order in which they act.

    Attributes:
        objects: themselves, K slots gathered.
        acts: bool, near enough to act in this step.
        cow, zombie, skeleton, arrow, plant: bool, its kind.
        cell: int32, the code x * H + y of its cell, `_NOWHERE` for padding.
        first: int32, the code of the cell it wants first: a move, a retreat, an arrow's next cell.
        first_x, first_y: int16.
        first_material: uint8.
        wants_first: bool.
        second: int32, the code of the cell a skeleton turns to if it did not retreat.
        second_x, second_y: int16.
        second_material: uint8.
        shoots, moves_second: bool, what a skeleton does there.
        shot_facing: uint8, the direction of a shot.
    """

    objects: Objects
    acts: jax.Array
    cow: jax.Array
    zombie: jax.Array
    skeleton: jax.Array
    arrow: jax.Array
    plant: jax.Array
    cell: jax.Array
    first: jax.Array
    first_x: jax.Array
    first_y: jax.Array
    first_material: jax.Array
    wants_first: jax.Array
    second: jax.Array
    second_x: jax.Array
    second_y: jax.Array
    second_material: jax.Array
    shoots: jax.Array
    moves_second: jax.Array
    shot_facing: jax.Array


class Outcome(NamedTuple):
    """What the K nearby objects do to the map and to each other, int32 [K], `_NOWHERE` for nothing.

    Attributes:
        cell: where each is afterwards; `_NOWHERE` if removed.
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
        health: int32, after what happened to it before its turn.
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
    """What all nearby objects do, each after those before it."""
    player = _code(state.player.x, state.player.y, state.area)
    fixed = jax.lax.optimization_barrier(_surroundings(acting, player, state.area))

    def body(carry: tuple[Deed, jax.Array]) -> tuple[Deed, jax.Array]:
        guess = carry[0].outcome
        deed = _act(acting, fixed, guess, rules)
        pairs = zip(deed.outcome, guess, strict=True)
        return deed, jnp.any(jnp.stack([jnp.any(a != b) for a, b in pairs]))

    nothing = jnp.full(acting.cell.shape, _NOWHERE, jnp.int32)
    stays = Outcome(acting.cell, nothing, nothing, nothing)
    health, no = acting.objects.health.astype(jnp.int32), jnp.zeros(nothing.shape, jnp.bool_)
    start = (Deed(stays, health, no, no, no, no), jnp.asarray(True))
    return jax.lax.while_loop(lambda carry: carry[1], body, start)[0]


class _Surroundings(NamedTuple):
    """What does not depend on the guess.

    Attributes:
        first_later, second_later: bool [K], the wanted cell is taken by the player or by an object
            that acts later.
        first_own, second_own: bool [K], it is the object's own.
        beside: int32 [4, K], the codes of the cells beside each object.
        mob_later: bool [K], a cow, zombie or skeleton that acts later stands beside it.
    """

    first_later: jax.Array
    second_later: jax.Array
    first_own: jax.Array
    second_own: jax.Array
    beside: jax.Array
    mob_later: jax.Array


def _surroundings(acting: Acting, player: jax.Array, area: tuple[int, int]) -> _Surroundings:
    first, second, cell = acting.first, acting.second, acting.cell
    beside = jnp.stack(
        [
            _code(acting.objects.x + jnp.int16(dx), acting.objects.y + jnp.int16(dy), area)
            for dx, dy in c.DIRECTIONS.tolist()
        ]
    )
    mobs = jnp.where(_is_mob(acting), cell, _NOWHERE)
    return _Surroundings(
        first_later=_any_after(cell, first) | (first == player),
        second_later=_any_after(cell, second) | (second == player),
        first_own=first == cell,
        second_own=second == cell,
        beside=beside,
        mob_later=jnp.any(jax.vmap(_any_after, (None, 0))(mobs, beside), axis=0),
    )


def _is_mob(acting: Acting) -> jax.Array:
    return acting.cow | acting.zombie | acting.skeleton


def _act(acting: Acting, fixed: _Surroundings, guess: Outcome, rules: Rules) -> Deed:
    """One round: each object acts on what `guess` says of those before it."""
    rule, objects, mob = rules.creatures, acting.objects, _is_mob(acting)
    shot = _struck_before(guess.struck, acting.cell) * rule.arrow_damage.astype(jnp.int32)
    health = jnp.maximum(objects.health.astype(jnp.int32) - shot, 0)
    before = jnp.where(mob, guess.cell, _NOWHERE)
    mob_before = jnp.any(jax.vmap(_any_before, (None, 0))(before, fixed.beside), axis=0)
    trampled = acting.plant & acting.acts & (fixed.mob_later | mob_before)
    health = jnp.maximum(health - jnp.where(trampled, rule.plant_damage.astype(jnp.int32), 0), 0)
    dead = acting.acts & (mob | acting.plant) & (health <= 0)
    able = acting.acts & (~dead | rules.quirks.dead_act)

    def taken(wanted: jax.Array, later: jax.Array, own: jax.Array) -> jax.Array:
        before = _any_before(guess.cell, wanted) | _any_before(guess.born, wanted)
        return before | later | (own & ~dead)

    first_taken = taken(acting.first, fixed.first_later, fixed.first_own)
    second_taken = taken(acting.second, fixed.second_later, fixed.second_own)
    first_material = _material(acting.first, acting.first_material, guess)
    second_material = _material(acting.second, acting.second_material, guess)
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
        cell=jnp.where(removed, _NOWHERE, cell),
        born=jnp.where(shoots, acting.second, _NOWHERE),
        struck=jnp.where(hits, acting.first, _NOWHERE),
        broken=jnp.where(breaks, acting.first, _NOWHERE),
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
    counter = counter + (acting.plant & acting.acts).astype(jnp.int16)

    struck, cell = jax.lax.optimization_barrier((deed.outcome.struck, deed.outcome.cell))
    shot = _struck_after(struck, cell) * rule.arrow_damage.astype(jnp.int32)
    health = jnp.maximum(deed.health - shot, 0).astype(jnp.int8)
    after = objects.replace(x=x, y=y, health=health, counter=counter)
    after = jax.tree.map(lambda field: jnp.where(deed.removed, jnp.zeros_like(field), field), after)

    damage = jnp.where(player.sleeping, rule.zombie_damage_asleep, rule.zombie_damage)
    here = _code(player.x, player.y, state.area)
    loss = jnp.sum(jnp.where(bites, damage, jnp.int16(0)), dtype=jnp.int16)
    return after, loss + jnp.sum(struck == here, dtype=jnp.int16) * rule.arrow_damage


def _material(wanted: jax.Array, material: jax.Array, guess: Outcome) -> jax.Array:
    """The material of the wanted cell, unless an arrow destroyed what was there before."""
    broken = _any_before(guess.broken, wanted)
    return jnp.where(broken, jnp.uint8(c.material("path")), material)


def _order(num: int) -> jax.Array:
    """bool [K, K]: whether the row's object acts before the column's."""
    index = jnp.arange(num, dtype=jnp.int32)
    return index[:, None] < index[None, :]


def _any_before(cells: jax.Array, wanted: jax.Array) -> jax.Array:
    """Whether an object before each one has its cell of `cells` where that one wants to be."""
    same = (cells[:, None] == wanted[None, :]) & _order(wanted.size)
    return jnp.any(same, axis=0) & (wanted >= 0)


def _any_after(cells: jax.Array, wanted: jax.Array) -> jax.Array:
    """Whether an object after each one has its cell of `cells` where that one wants to be."""
    same = (cells[:, None] == wanted[None, :]) & _order(wanted.size).T
    return jnp.any(same, axis=0) & (wanted >= 0)


def _struck_before(struck: jax.Array, cells: jax.Array) -> jax.Array:
    """How many arrows before each object hit its cell: int32 [K]."""
    same = (struck[:, None] == cells[None, :]) & _order(cells.size) & (cells >= 0)
    return jnp.sum(same, axis=0, dtype=jnp.int32)


def _struck_after(struck: jax.Array, cells: jax.Array) -> jax.Array:
    """How many arrows after each object hit the cell where it is by then: int32 [K]."""
    same = (struck[:, None] == cells[None, :]) & _order(cells.size).T & (cells >= 0)
    return jnp.sum(same, axis=0, dtype=jnp.int32)


def _code(x: jax.Array, y: jax.Array, area: tuple[int, int]) -> jax.Array:
    """The code of cells, int32: x * H + y, or `_OUTSIDE`."""
    width, height = area
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return jnp.where(inside, x.astype(jnp.int32) * height + y.astype(jnp.int32), _OUTSIDE)


def intend(
    objects: Objects, acts: jax.Array, draws: ObjectDraws, state: WorldState, rules: Rules
) -> Acting:
    """What the gathered objects, [K], would do if nothing were in their way.

    Args:
        objects: K slots.
        acts: bool [K], whether each acts in this step.
        draws: their draws, [K].
        state: the world.
        rules: the rules.
    """
    rule, player = rules.creatures, state.player
    cow, zombie, skeleton, arrow, plant = (
        objects.kind == number for number in range(1, len(c.KINDS))
    )
    dx, dy = player.x - objects.x, player.y - objects.y
    distance = jnp.abs(dx) + jnp.abs(dy)
    random_x, random_y = jnp.asarray(c.DIRECTIONS, jnp.int16)[draws.direction].T
    flight_x, flight_y = jnp.asarray(c.DIRECTIONS, jnp.int16)[objects.facing].T

    chases = zombie & (distance <= rule.zombie_chase_distance)
    chases &= draws.act < rule.zombie_chase_probability
    chase_x, chase_y = _toward(dx, dy, draws.axis < rule.zombie_long_axis_probability)
    retreat_x, retreat_y = _toward(dx, dy, draws.retreat < rule.skeleton_long_axis_probability)
    step_x, step_y = jnp.where(chases, chase_x, random_x), jnp.where(chases, chase_y, random_y)
    step_x, step_y = (
        jnp.where(skeleton, -retreat_x, step_x),
        jnp.where(skeleton, -retreat_y, step_y),
    )
    step_x, step_y = jnp.where(arrow, flight_x, step_x), jnp.where(arrow, flight_y, step_y)
    wants_first = (cow & (draws.act < rule.cow_move_probability)) | zombie | arrow
    wants_first |= skeleton & (distance <= rule.skeleton_retreat_distance)

    aims = (distance <= rule.skeleton_shoot_distance) & (
        draws.act < rule.skeleton_shoot_probability
    )
    follows = (distance <= rule.skeleton_chase_distance) & (
        draws.chase < rule.skeleton_chase_probability
    )
    wanders = draws.wander < rule.skeleton_move_probability
    aim_x, aim_y = _toward(dx, dy, jnp.ones_like(aims))
    follow_x, follow_y = _toward(dx, dy, draws.axis < rule.skeleton_long_axis_probability)
    turn_x = jnp.where(aims, aim_x, jnp.where(follows, follow_x, random_x))
    turn_y = jnp.where(aims, aim_y, jnp.where(follows, follow_y, random_y))
    aim = jnp.where(aim_x != 0, (aim_x > 0), 2 + (aim_y > 0)).astype(jnp.uint8)
    loaded = objects.counter <= 1  # one is taken off before it shoots

    first_x, first_y = objects.x + step_x, objects.y + step_y
    second_x, second_y = objects.x + turn_x, objects.y + turn_y
    present = objects.kind != 0
    return Acting(
        objects=objects,
        acts=acts,
        cow=cow,
        zombie=zombie,
        skeleton=skeleton,
        arrow=arrow,
        plant=plant,
        cell=jnp.where(present, _code(objects.x, objects.y, state.area), _NOWHERE),
        first=_code(first_x, first_y, state.area),
        first_x=first_x,
        first_y=first_y,
        first_material=material_at(state.materials, first_x, first_y),
        wants_first=wants_first,
        second=_code(second_x, second_y, state.area),
        second_x=second_x,
        second_y=second_y,
        second_material=material_at(state.materials, second_x, second_y),
        shoots=aims & loaded & (distance > 0),
        moves_second=~aims & (follows | wanders),
        shot_facing=aim,
    )


def _toward(dx: jax.Array, dy: jax.Array, long_axis: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The step along the longer axis of an offset, or along the other one, int16 each."""
    wide = jnp.abs(dx) > jnp.abs(dy)
    horizontal = jnp.where(long_axis, wide, ~wide)
    zero = jnp.int16(0)
    return jnp.where(horizontal, jnp.sign(dx), zero), jnp.where(horizontal, zero, jnp.sign(dy))


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
    objects, player, reach = state.objects, state.player, rules.creatures.update_distance
    distance = jnp.abs(player.x - objects.x) + jnp.abs(player.y - objects.y)
    # Who acts reaches one cell further, where somebody may stand who does not act.
    relevant = (objects.kind != 0) & (distance <= reach)
    slots = first_true(relevant, near)
    nearby = jax.tree.map(lambda field: field.at[slots].get(mode="fill", fill_value=0), objects)
    acts = (nearby.kind != 0) & (nearby.id < first_new)
    acts &= distance.at[slots].get(mode="clip") < reach
    # Without the barrier XLA computes all of this anew for every pair of objects.
    acting = jax.lax.optimization_barrier(intend(nearby, acts, draws.objects(slots), state, rules))
    deed = resolve(acting, state, rules)
    after, loss = _changed(acting, deed, state, rules)
    objects = jax.tree.map(lambda old, new: old.at[slots].set(new, mode="drop"), objects, after)
    health = jnp.maximum(player.health - loss, 0).astype(jnp.int8)
    items = jnp.where(jnp.arange(len(c.ITEMS), dtype=jnp.int8) == 0, health, player.items)
    missed = jnp.sum(relevant, dtype=jnp.int32) > near
    state = state.replace(
        objects=objects,
        player=player.replace(items=items),
        overflow=state.overflow | missed,
    )
    state = _break(state, deed.outcome.broken)
    state = _enter_chunks(state, acting, deed)
    return _shoot(state, acting, deed.outcome.born >= 0)


def _break(state: WorldState, broken: jax.Array) -> WorldState:
    """Cells whose table or furnace an arrow destroyed become path; a loop, for it is rare."""

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        materials, broken = carry
        cell = jnp.max(broken)
        width, height = materials.shape
        index = jnp.where(cell >= 0, cell // height, width)
        materials = materials.at[index, cell % height].set(c.material("path"), mode="drop")
        return materials, jnp.where(broken == cell, _NOWHERE, broken)

    materials, _ = jax.lax.while_loop(
        lambda carry: jnp.any(carry[1] >= 0), body, (state.materials, broken)
    )
    return state.replace(materials=materials)


def _enter_chunks(state: WorldState, acting: Acting, deed: Deed) -> WorldState:
    """Notes the chunks that objects moved or shot into."""
    first = chunk_of(acting.first_x, acting.first_y, state.area)
    second = chunk_of(acting.second_x, acting.second_y, state.area)
    chunk = jnp.where(deed.moved_first, first, jnp.int16(-1))
    chunk = jnp.where(deed.moved_second | (deed.outcome.born >= 0), second, chunk)
    return state.replace(chunk_order=open_chunks(state.chunk_order, chunk))


def _shoot(state: WorldState, acting: Acting, shoots: jax.Array) -> WorldState:
    """Adds the arrows that were shot, in the order of who shot them; a loop, for it is rare."""

    def body(carry: tuple[WorldState, jax.Array]) -> tuple[WorldState, jax.Array]:
        state, shot = carry
        index = jnp.argmax(shot)
        kind, health = jnp.uint8(c.kind("arrow")), jnp.int8(0)
        x, y = acting.second_x[index], acting.second_y[index]
        facing = acting.shot_facing[index]
        state = add_object(state, jnp.any(shot), kind, x, y, health, facing)
        return state, shot & (jnp.arange(shot.size) != index)

    state, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[1]), body, (state, shoots))
    return state
