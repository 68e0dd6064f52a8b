"""Episodes of random actions, and how they compare with the published random agent."""

import functools
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxrl
from jaxrl.envs.crafter_oo import constants as c

# Percent of the episodes of the random agent published with Crafter, and their mean length.
PUBLISHED = {
    "wake_up": 93.6,
    "collect_sapling": 50.2,
    "place_plant": 44.6,
    "collect_wood": 24.4,
    "collect_drink": 9.3,
    "place_table": 4.4,
    "eat_cow": 0.4,
}
PUBLISHED_LENGTH = 168.0


class Play(NamedTuple):
    """E whole episodes: `unlocked` bool [E, 22], `length` int32 [E], `overflow` bool [E]."""

    unlocked: np.ndarray
    length: np.ndarray
    overflow: np.ndarray


def play_randomly(key: jax.Array, num_episodes: int) -> Play:
    """Plays E episodes of `CrafterOO-Symbolic-v1` side by side, each once and to its end."""
    env, params = _make()
    state, length = _run(env, num_episodes, params, key)
    unlocked = np.asarray(state.player.unlocked) > 0
    return Play(unlocked, np.asarray(length), np.asarray(state.overflow))


# One environment, so that its programs are compiled once.
_make = functools.cache(lambda: jaxrl.make("CrafterOO-Symbolic-v1"))


@partial(jax.jit, static_argnums=(0, 1))
def _run(env, num, params, key):
    key_reset, key_steps = jax.random.split(key)
    _, state = jax.vmap(env.reset_env, (0, None))(jax.random.split(key_reset, num), params)

    def body(carry):
        time, state, running, length = carry
        key_act, key_env = jax.random.split(jax.random.fold_in(key_steps, time))
        action = jax.random.randint(key_act, (num,), 0, len(c.ACTIONS), jnp.int32)
        keys = jax.random.split(key_env, num)
        _, after, _, terminated, _ = jax.vmap(env.step_env, (0, 0, 0, None))(
            keys, state, action, params
        )
        truncated = jax.vmap(env.is_truncated, (0, None))(after, params)
        # Who is through stays as it is.
        state = jax.vmap(lambda on, new, old: jax.tree.map(partial(jnp.where, on), new, old))(
            running, after, state
        )
        length = length + running.astype(jnp.int32)
        return time + 1, state, running & ~(terminated | truncated), length

    start = (jnp.int32(0), state, jnp.ones(num, jnp.bool_), jnp.zeros(num, jnp.int32))
    _, state, _, length = jax.lax.while_loop(lambda carry: jnp.any(carry[2]), body, start)
    return state, length


def wilson(successes: int, trials: int, z: float) -> tuple[float, float]:
    """Wilson's score interval of a binomial proportion, in percent."""
    rate, spread = successes / trials, z**2 / trials
    middle = (rate + spread / 2) / (1 + spread)
    half = np.sqrt(rate * (1 - rate) * spread + spread**2 / 4) / (1 + spread)
    return 100 * float(middle - half), 100 * float(middle + half)


def compare(play: Play, z: float) -> dict[str, dict[str, float | bool]]:
    """For each published number: ours, its interval of `z` standard errors, who is inside."""
    table: dict[str, dict[str, float | bool]] = {}
    trials = len(play.length)
    for name, percent in PUBLISHED.items():
        successes = int(play.unlocked[:, c.achievement(name)].sum())
        low, high = wilson(successes, trials, z)
        table[name] = _row(100 * successes / trials, low, high, percent)
    mean, error = play.length.mean(), play.length.std(ddof=1) / np.sqrt(trials)
    low, high = mean - z * error, mean + z * error
    table["mean length"] = _row(float(mean), float(low), float(high), PUBLISHED_LENGTH)
    return table


def _row(ours: float, low: float, high: float, published: float) -> dict[str, float | bool]:
    return {
        "ours": round(ours, 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "published": published,
        "inside": bool(low <= published <= high),
    }
