"""Crafter: the picture that players see, at 56 pixels a cell."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxrl.envs.crafter_oo.goals import world_of
from jaxrl.envs.crafter_oo.pixels import make_tiles, render
from jaxrl.rendering.draw import Frame
from jaxrl.rendering.frames import Moment

SIZE = 504


def picture(moment: Moment) -> Frame:
    """The cells around the player and the inventory, uint8 [504, 504, 3].

    The textures are those of the environment's observations where these are pictures.
    """
    env = getattr(moment.env, "unwrapped", moment.env)
    draw = _drawer(getattr(env, "textures", "own"))
    state = world_of(moment.state)
    return np.asarray(draw(jax.random.key(int(state.time)), state, moment.params.rules))


@functools.cache
def _drawer(textures: str) -> Callable[..., Any]:
    tiles = make_tiles(textures, SIZE)
    return jax.jit(lambda key, state, rules: render(key, state, rules, tiles))
