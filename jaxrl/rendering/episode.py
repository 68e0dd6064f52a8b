"""One episode, state by state, for pictures."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.dtypes import is_key
from jaxrl.episodes import by_role

# Steps of one compiled call: at most so many are thrown away when an episode ends.
_CHUNK = 128

Act = Callable[[Any, Any, Any, jax.Array | None], tuple[Any, Any]]


class Episode(NamedTuple):
    """An episode of T steps on the host; arrays are NumPy's, typed keys stay JAX's.

    Attributes:
        states: the environment's own, leaves [T + 1, ...], from the first to the last.
        observations: leaves [T + 1, ...].
        actions: leaves [T, ...].
        rewards: float32 [T]; of a game the mean over the members of its first role.
        returns: float32 [T + 1], undiscounted, up to each state.
        first_step: number of the first state's step, 0 for a whole episode.
        terminated: the task ended.
        truncated: a time limit cut the episode. Where neither holds it was still running.
        infos: what the environment reported of each step, leaves [T, ...]; None where nobody kept
            it.
    """

    states: Any
    observations: Any
    actions: Any
    rewards: np.ndarray[Any, Any]
    returns: np.ndarray[Any, Any]
    first_step: int
    terminated: bool
    truncated: bool
    infos: Any = None

    @property
    def length(self) -> int:
        """T, the number of steps."""
        return len(self.rewards)


def collect(
    env: Any,
    env_params: Any,
    act: Act,
    policy: Any,
    key: jax.Array,
    max_steps: int = 1000,
    greedy: bool = False,
    carry: Any = (),
) -> Episode:
    """Plays one episode until it terminates or is truncated, or for `max_steps`.

    Args:
        env: an environment as of `jaxrl.make`.
        env_params: its parameters.
        act: an algorithm's `act`.
        policy: an algorithm state's `policy`.
        key: the same key gives the same episode.
        max_steps: at least 1.
        greedy: the likeliest action instead of a draw.
        carry: the first carry of `act`, for a batch of one.

    Raises:
        ValueError: `max_steps` is not positive.
    """
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got {max_steps}")
    key_start, key_steps = jax.random.split(key)
    running, first = _start(env, act, greedy, env_params, policy, key_start, carry)
    pieces: list[Any] = []
    for step in range(0, max_steps, _CHUNK):
        running, piece = _advance(
            env, act, greedy, env_params, policy, key_steps, running, jnp.int32(step)
        )
        pieces.append(piece)
        if np.any(piece["terminated"] | piece["truncated"]):
            break
    steps = jax.tree.map(lambda *parts: jnp.concatenate(parts), *pieces)
    ends = np.flatnonzero(steps["terminated"] | steps["truncated"])
    length = min(max_steps, int(ends[0]) + 1 if ends.size else max_steps)
    kept = jax.tree.map(lambda x: x[:length], steps)
    after, before = (kept["state"], kept["obs"]), jax.tree.map(lambda x: x[None], first)
    states, observations = jax.tree.map(lambda *parts: jnp.concatenate(parts), before, after)
    rewards = np.asarray(kept["reward"])
    return Episode(
        states=on_host(states),
        observations=on_host(observations),
        actions=on_host(kept["action"]),
        rewards=rewards,
        returns=np.concatenate([[0.0], rewards.cumsum(dtype=np.float64)]).astype(np.float32),
        first_step=0,
        terminated=bool(kept["terminated"][-1]),
        truncated=bool(kept["truncated"][-1]),
        infos=on_host(kept["info"]),
    )


def moment_only(state: Any, observation: Any, step: int, episode_return: float) -> Episode:
    """An `Episode` of no steps that holds one state, unbatched, in the middle of another."""
    states, observations = jax.tree.map(lambda x: x[None], (state, observation))
    returns = np.asarray([episode_return], np.float32)
    nothing = np.zeros(0, np.float32)
    return Episode(
        on_host(states), on_host(observations), nothing, nothing, returns, step, False, False
    )


@partial(jax.jit, static_argnums=(0, 1, 2))
def _start(
    env: Any, act: Act, greedy: bool, env_params: Any, policy: Any, key: jax.Array, carry: Any
) -> tuple[Any, Any]:
    """The first state with the first action, which makes the carry what it stays."""
    key_reset, key_act = jax.random.split(key)
    obs, state = env.reset_env(key_reset, env_params)
    action, carry = _act_alone(act, policy, obs, carry, None if greedy else key_act)
    return (state, action, carry), (state, obs)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _advance(
    env: Any,
    act: Act,
    greedy: bool,
    env_params: Any,
    policy: Any,
    key: jax.Array,
    running: Any,
    first_step: jax.Array,
) -> tuple[Any, dict[str, Any]]:
    """`_CHUNK` steps; what comes after the end of the episode means nothing."""

    def body(running, step):
        state, action, carry = running
        key_env, key_act = jax.random.split(jax.random.fold_in(key, step))
        obs, state, reward, terminated, info = env.step_env(key_env, state, action, env_params)
        alone = jax.tree.map(lambda x: x[None], reward)
        record = {
            "state": state,
            "obs": obs,
            "action": action,
            "reward": by_role(env, alone)[0][0],
            "info": info,
            "terminated": terminated,
            "truncated": env.is_truncated(state, env_params) & ~terminated,
        }
        action, carry = _act_alone(act, policy, obs, carry, None if greedy else key_act)
        return (state, action, carry), record

    return jax.lax.scan(body, running, first_step + jnp.arange(_CHUNK, dtype=jnp.int32))


def _act_alone(
    act: Act, policy: Any, obs: Any, carry: Any, key: jax.Array | None
) -> tuple[Any, Any]:
    """`act` on a batch of one; the carry keeps its batch axis."""
    actions, carry = act(policy, jax.tree.map(lambda x: x[None], obs), carry, key)
    return jax.tree.map(lambda x: x[0], actions), carry


def on_host(tree: Any) -> Any:
    """Arrays as NumPy's; typed keys, which NumPy has not, stay JAX's."""
    return jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.asarray(leaf), tree)
