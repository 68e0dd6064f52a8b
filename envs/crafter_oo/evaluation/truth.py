"""The true next state, one compiled program for all worlds of the same shapes."""

from functools import partial

import jax
import numpy as np

from jaxrl.envs.crafter_oo.draws import KeyDraws
from jaxrl.envs.crafter_oo.evaluation.canonical import HostState, canonical, check_action
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState
from jaxrl.envs.crafter_oo.transition import NEAR, transition


def true_step(key: jax.Array, state: WorldState, action: int, rules: Rules) -> HostState:
    """The next state by the true rules, canonical."""
    near = min(NEAR, state.objects.capacity)
    number = np.int32(check_action(action))
    return canonical(_step(key, canonical(state), number, rules, near))


@partial(jax.jit, static_argnames="near")
def _step(
    key: jax.Array, state: WorldState, action: jax.Array, rules: Rules, near: int
) -> WorldState:
    return transition(KeyDraws(key), state, action, rules, near)
