"""Frames of Crafter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import registry
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import textures
from jaxrl.envs.crafter_oo.state import Player, WorldState, empty_objects
from jaxrl.envs.crafter_oo.view import ENTITIES
from jaxrl.rendering.episode import moment_only
from jaxrl.rendering.frames import Moment, find_renderer

UNIT = 56


def meadow(time=0):
    """A meadow of 20 x 20 cells with water in the upper left, and the player, who looks down."""
    nothing = jnp.float32(0)
    player = Player(
        x=jnp.int16(2),
        y=jnp.int16(10),
        facing=jnp.uint8(c.DOWN),
        action=jnp.uint8(0),
        sleeping=jnp.bool_(False),
        items=jnp.asarray([9, 8, 7, 6, *([0] * 12)], jnp.int8),
        unlocked=jnp.zeros(22, jnp.int32),
        hunger=nothing,
        thirst=nothing,
        fatigue=nothing,
        recover=nothing,
        last_health=jnp.int8(9),
    )
    materials = jnp.full((20, 20), c.material("grass"), jnp.uint8).at[0, 7].set(1)
    order = jnp.zeros((2, 2), jnp.int16)
    objects = empty_objects(16)
    return WorldState(
        jnp.int32(time), materials, player, objects, jnp.int32(2), order, jnp.bool_(False)
    )


@pytest.mark.parametrize(
    "name", [name for name in registry.environments() if name.startswith("CrafterOO-")]
)
def test_every_id_shows_the_world(name):
    env, params = registry.make(name)
    renderer = find_renderer(env, name)
    episode = moment_only(meadow(60), None, 60, 0.0)  # step 60 is noon: colours are as they are
    frame = renderer.draw(Moment(env, params, name, episode, 0))
    assert frame.shape == (504, 504, 3) and frame.dtype == np.uint8
    own = textures.load("own", UNIT)
    cells = own.cells.reshape(len(c.MATERIALS), len(ENTITIES), UNIT, UNIT, 3)

    def cell(x, y):
        return frame[y * UNIT : (y + 1) * UNIT, x * UNIT : (x + 1) * UNIT]

    np.testing.assert_array_equal(cell(0, 3), cells[0, 0])  # left of the map
    np.testing.assert_array_equal(cell(2, 0), cells[1, 0])
    player = cells[c.material("grass"), ENTITIES.index("player-down")]
    np.testing.assert_array_equal(cell(4, 3), player)
    np.testing.assert_array_equal(cell(3, 7), own.items[3, 6])
    assert not cell(4, 7).any()


def test_the_night_of_a_step_looks_the_same_again():
    env, params = registry.make("CrafterOO-OO-v1")
    draw = find_renderer(env).draw

    def frame(time):
        episode = moment_only(meadow(time), None, time, 0.0)
        return draw(Moment(env, jax.tree.map(np.asarray, params), env.name, episode, 0))

    np.testing.assert_array_equal(frame(200), frame(200))
    assert np.mean(frame(200) != frame(500)) > 0.1  # as light, other noise
