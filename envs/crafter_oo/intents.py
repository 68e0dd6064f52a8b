"""What the objects near the player would do in a step if nothing were in their way.

Source: the rules of the package `crafter` 1.8.3.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.draws import ObjectDraws
from jaxrl.envs.crafter_oo.rules import Creatures, Rules
from jaxrl.envs.crafter_oo.state import Objects, WorldState, material_at, offsets

NOWHERE = -1  # the code of no cell at all


class Acting(NamedTuple):
    """What the K nearby objects are and intend, [K] each, in the order in which they act.

    Attributes:
        objects: themselves, K slots gathered.
        acts: bool, near enough to act in this step.
        cow, zombie, skeleton, arrow, plant: bool, its kind.
        cell: int, the code of its cell, `NOWHERE` for padding.
        stride: int, by how much the codes of neighbours in x differ.
        first: int, the code of the cell it wants first: a move, a retreat, an arrow's next cell.
        first_x, first_y: int16.
        first_material: uint8.
        wants_first: bool.
        second: int, the code of the cell a skeleton turns to if it did not retreat.
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
    stride: jax.Array
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


def intend(
    objects: Objects, acts: jax.Array, draws: ObjectDraws, state: WorldState, rules: Rules
) -> Acting:
    """What the gathered objects, [K], would do.

    Args:
        objects: K slots.
        acts: bool [K], whether each acts in this step.
        draws: their draws, [K].
        state: the world.
        rules: the rules.
    """
    cow, zombie, skeleton, arrow, plant = (
        objects.kind == number for number in range(1, len(c.KINDS))
    )
    dx, dy = state.player.x - objects.x, state.player.y - objects.y
    step_x, step_y, wants_first = _first_step(objects, dx, dy, draws, rules.creatures)
    turn = _second_step(objects, dx, dy, draws, rules.creatures)
    first_x, first_y = objects.x + step_x, objects.y + step_y
    second_x, second_y = objects.x + turn.x, objects.y + turn.y
    present, cell = objects.kind != 0, cell_code(objects.x, objects.y, state.area)
    return Acting(
        objects=objects,
        acts=acts,
        cow=cow,
        zombie=zombie,
        skeleton=skeleton,
        arrow=arrow,
        plant=plant,
        cell=jnp.where(present, cell, NOWHERE),
        stride=jnp.full_like(cell, _stride(state.area)),
        first=cell_code(first_x, first_y, state.area),
        first_x=first_x,
        first_y=first_y,
        first_material=material_at(state.materials, first_x, first_y),
        wants_first=wants_first,
        second=cell_code(second_x, second_y, state.area),
        second_x=second_x,
        second_y=second_y,
        second_material=material_at(state.materials, second_x, second_y),
        shoots=turn.shoots,
        moves_second=turn.moves,
        shot_facing=turn.facing,
    )


def _first_step(
    objects: Objects, dx: jax.Array, dy: jax.Array, draws: ObjectDraws, rule: Creatures
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The step that each object tries first, int16 [K] twice, and whether it does: bool [K]."""
    kind, distance = objects.kind, jnp.abs(dx) + jnp.abs(dy)
    zombie, skeleton = kind == c.kind("zombie"), kind == c.kind("skeleton")
    arrow = kind == c.kind("arrow")
    chases = zombie & (distance <= rule.zombie_chase_distance)
    chases &= draws.act < rule.zombie_chase_probability
    away_x, away_y = _toward(-dx, -dy, draws.retreat < rule.skeleton_long_axis_probability)
    steps = [
        (chases, _toward(dx, dy, draws.axis < rule.zombie_long_axis_probability)),
        (skeleton, (away_x, away_y)),
        (arrow, offsets(objects.facing)),
    ]
    x, y = offsets(draws.direction)
    for chosen, (step_x, step_y) in steps:
        x, y = jnp.where(chosen, step_x, x), jnp.where(chosen, step_y, y)
    wants = (kind == c.kind("cow")) & (draws.act < rule.cow_move_probability)
    wants |= zombie | arrow | (skeleton & (distance <= rule.skeleton_retreat_distance))
    return x, y, wants


class _Turn(NamedTuple):
    """What a skeleton turns to, [K]: int16 x, y; bool shoots, moves; uint8 facing of a shot."""

    x: jax.Array
    y: jax.Array
    shoots: jax.Array
    moves: jax.Array
    facing: jax.Array


def _second_step(
    objects: Objects, dx: jax.Array, dy: jax.Array, draws: ObjectDraws, rule: Creatures
) -> _Turn:
    distance = jnp.abs(dx) + jnp.abs(dy)
    aims = distance <= rule.skeleton_shoot_distance
    aims &= draws.act < rule.skeleton_shoot_probability
    follows = distance <= rule.skeleton_chase_distance
    follows &= draws.chase < rule.skeleton_chase_probability
    wanders = draws.wander < rule.skeleton_move_probability
    aim_x, aim_y = _toward(dx, dy, jnp.ones_like(aims))
    follow_x, follow_y = _toward(dx, dy, draws.axis < rule.skeleton_long_axis_probability)
    random_x, random_y = offsets(draws.direction)
    across, down = jnp.where(aim_x > 0, c.RIGHT, c.LEFT), jnp.where(aim_y > 0, c.DOWN, c.UP)
    loaded = objects.counter <= 1  # one is taken off before it shoots
    return _Turn(
        x=jnp.where(aims, aim_x, jnp.where(follows, follow_x, random_x)),
        y=jnp.where(aims, aim_y, jnp.where(follows, follow_y, random_y)),
        shoots=aims & loaded & (distance > 0),
        moves=~aims & (follows | wanders),
        facing=jnp.where(aim_x != 0, across, down).astype(jnp.uint8),
    )


def _toward(dx: jax.Array, dy: jax.Array, long_axis: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The step along the longer axis of an offset, or along the other one, int16 each."""
    wide = jnp.abs(dx) > jnp.abs(dy)
    horizontal = jnp.where(long_axis, wide, ~wide)
    zero = jnp.int16(0)
    return jnp.where(horizontal, jnp.sign(dx), zero), jnp.where(horizontal, zero, jnp.sign(dy))


def cell_code(x: jax.Array, y: jax.Array, area: tuple[int, int]) -> jax.Array:
    """A number for each cell, those around the map included, of the dtype that holds them all.

    Numbers of neighbours differ by 1 or by `_stride`. Narrow numbers are compared faster.
    """
    dtype = jnp.int16 if (area[0] + 2) * _stride(area) < 2**15 else jnp.int32
    return (x.astype(dtype) + 1) * _stride(area) + (y.astype(dtype) + 1)


def _stride(area: tuple[int, int]) -> int:
    return area[1] + 3
