"""Economies of a few tiles, and components alone in states made by hand."""

import functools

import jax.numpy as jnp
import numpy as np

from jaxrl.environment import strong
from jaxrl.envs.economy.components.component import Setting, Turn
from jaxrl.envs.economy.economy import Economy
from jaxrl.envs.economy.layouts import parse
from jaxrl.envs.economy.state import State
from jaxrl.envs.economy.world import fixed_world
from tests.unoptimised import jit

WORLD = fixed_world(parse(".@W.;....;S..."))


def economy(*components, world=WORLD, agents=2, **options):
    """An economy of components, and its parameters."""
    env = Economy(components, world, agents, **{"reach": 1, **options})
    return env, strong(env.default_params)


def floats(*values):
    return jnp.asarray(values, jnp.float32)


def whole(*values):
    return jnp.asarray(values, jnp.int32)


def part_of(component, agents, groups=None, simultaneous=False, shape=(3, 4)):
    """A component as part of an economy."""
    groups = (0,) * agents if groups is None else groups
    return component.placed(Setting(agents, shape, groups, jnp.float32, simultaneous))


def state_of(
    layout, places, coin=None, escrow=None, stone=None, wood=None, houses=None, completions=0
):
    """A state; a unit lies on each source, and what is not given is nothing."""
    made, agents = parse(layout), len(places)
    house = np.full(made.shape, -1, np.int8)
    for place, owner in (houses or {}).items():
        house[place] = owner
    nothing = (0,) * agents
    units = jnp.asarray([stone or nothing, wood or nothing], jnp.int32)
    return State(
        time=jnp.int32(0),
        resources=jnp.asarray(made.sources, jnp.int8),
        sources=jnp.asarray(made.sources),
        water=jnp.asarray(made.water),
        house=jnp.asarray(house),
        location=jnp.asarray(places, jnp.int32),
        coin=floats(*(coin or nothing)),
        coin_escrow=floats(*(escrow or nothing)),
        units=units,
        units_escrow=jnp.zeros_like(units),
        labor=floats(*nothing),
        utility=floats(*nothing),
        welfare=floats(0),
        completions=jnp.int32(completions),
        positive_steps=jnp.int32(0),
        own={},
    )


@functools.cache
def _program(component):
    return jit(component.step)


def step(component, state, agents=None, planners=None, draws=(), params=None):
    """A component's step; actions by subspace as tuples."""
    params = component.params() if params is None else params
    agents, planners = (
        {name: whole(*values) for name, values in (actions or {}).items()}
        for actions in (agents, planners)
    )
    return _program(component)(state, Turn(draws, agents, planners), strong(params))
