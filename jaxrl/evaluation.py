"""Evaluation: whole episodes of a fixed policy, one an environment."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl import episodes as measures
from jaxrl.algorithm import no_carry
from jaxrl.networks.heads import action_head
from jaxrl.networks.net import MASK_KEY
from jaxrl.roles import is_game
from jaxrl.spaces import Discrete, MultiDiscrete
from jaxrl.vector import VecEnv

# Any numbers that no split of a key reaches.
EVALUATION_STREAM = 0x6576616C
_LEGAL_STREAM = 0x6C65676C


def evaluation_key(key: jax.Array, evaluation_seed: int) -> jax.Array:
    """The key of the episodes that a run with the seed key `key` is evaluated on."""
    return jax.random.fold_in(jax.random.fold_in(key, EVALUATION_STREAM), evaluation_seed)


class Episodes(NamedTuple):
    """E episodes.

    Attributes:
        returns: undiscounted, float32 [E]; of a game the mean over the members of its first role.
        lengths: steps, int32 [E].
        terminated: the task ended, bool [E].
        truncated: a time limit cut the episode, bool [E]. Where neither is set the episode was
            still running after `max_steps`, and its return is that of what was seen.
        metrics: the environment's own of each episode, float32 [E] by name (`jaxrl.episodes`);
            of a game also the mean return of each role, "ROLE/return".
    """

    returns: jax.Array
    lengths: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: Any


def evaluate(
    env: Any,
    env_params: Any,
    act: Callable[[Any, Any, Any, jax.Array | None], tuple[Any, Any]],
    policy: Any,
    key: jax.Array,
    num_episodes: int,
    greedy: bool = False,
    max_steps: int = 100_000,
    initial_carry: Callable[[int], Any] = no_carry,
    before: Any = None,
) -> Episodes:
    """Runs `num_episodes` whole episodes side by side, each to its own end.

    Every environment plays exactly one episode, so short episodes are not over-represented as
    they are when the first E episodes to finish are taken.

    Args:
        env: an environment as of `jaxrl.make`.
        env_params: its parameters.
        act: an algorithm's `act`.
        policy: an algorithm state's `policy`.
        key: the same key gives the same episodes.
        num_episodes: E, at least 1.
        greedy: the likeliest action instead of a draw.
        max_steps: a bound for environments without a time limit.
        initial_carry: the algorithm's `initial_carry`; needed where the policy is recurrent.
        before: the environments' own states, leaves [M, ...], that the episodes follow, each the
            i-th modulo M: what persists over episodes (`next_episode`) is as in training then.

    Raises:
        ValueError: `num_episodes` or `max_steps` is not positive.
    """
    if num_episodes < 1 or max_steps < 1:
        raise ValueError(f"need num_episodes, max_steps >= 1, got {num_episodes}, {max_steps}")
    carry = initial_carry(num_episodes)
    if before is not None:
        number = jnp.arange(num_episodes, dtype=jnp.int32)
        before = jax.tree.map(lambda x: x[number % x.shape[0]], before)
    limit = jnp.int32(max_steps)
    return _run(env, act, num_episodes, greedy, env_params, policy, carry, key, limit, before)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _run(
    env: Any,
    act: Callable[..., Any],
    num_episodes: int,
    greedy: bool,
    env_params: Any,
    policy: Any,
    act_carry: Any,
    key: jax.Array,
    max_steps: jax.Array,
    before: Any,
) -> Episodes:
    venv = VecEnv(env, num_episodes)
    key_reset, key_steps = jax.random.split(key)
    obs, state = venv.reset(key_reset, env_params, before)
    nobody = jnp.zeros(num_episodes, jnp.bool_)
    zeros = jnp.zeros(num_episodes, jnp.float32)

    def outcome(info):
        """Returns and metrics of the episodes, as of this step."""
        returns, by_role = measures.by_role(env, info["episode_return"])
        return returns, measures.measured(env, info["env"]) | by_role

    def metrics_of_a_step():
        action, _ = act(policy, obs, act_carry, None if greedy else key_steps)
        return outcome(venv.step(key_steps, state, action, env_params)[-1])[1]

    shapes = jax.eval_shape(metrics_of_a_step)
    zero_metrics = {name: zeros for name in shapes}
    nothing = Episodes(zeros, zeros.astype(jnp.int32), nobody, nobody, zero_metrics)

    # An environment that ended plays on but counts no more: its carry needs no reset.
    def body(carry):
        step, obs, state, act_carry, episodes = carry
        key_act, key_env = jax.random.split(jax.random.fold_in(key_steps, step))
        action, act_carry = act(policy, obs, act_carry, None if greedy else key_act)
        obs, state, _, terminated, truncated, info = venv.step(key_env, state, action, env_params)
        running = ~(episodes.terminated | episodes.truncated)
        returns, metrics = outcome(info)
        episodes = Episodes(
            returns=jnp.where(running, returns, episodes.returns),
            lengths=jnp.where(running, info["episode_length"], episodes.lengths),
            terminated=episodes.terminated | (running & terminated),
            truncated=episodes.truncated | (running & truncated),
            metrics=jax.tree.map(partial(jnp.where, running), metrics, episodes.metrics),
        )
        return step + 1, obs, state, act_carry, episodes

    def unfinished(carry):
        step, *_, episodes = carry
        return (step < max_steps) & ~jnp.all(episodes.terminated | episodes.truncated)

    start = (jnp.int32(0), obs, state, act_carry, nothing)
    *_, episodes = jax.lax.while_loop(unfinished, body, start)
    return episodes


def random_act(env: Any, env_params: Any) -> Callable[[Any, Any, Any, jax.Array | None], Any]:
    """An `act` that draws uniformly from what is legal: the baseline of every task.

    What is legal says the `action_mask` of a `Discrete` or `MultiDiscrete` action
    (`jaxrl.environment`), in games that of each role: each choice is uniform over its legal values,
    and where a mask says what is legal after the first choice, that one is uniform over those after
    which something is. Where nothing is legal, and without a mask, it is uniform over the action
    space. It ignores the policy and all else that is observed, and has no greedy form.
    """
    space = env.action_space(env_params)
    roles = env.roles if is_game(env) else {}
    spaces = {role: env.role_action_space(role, env_params) for role in roles}

    def act(policy: Any, obs: Any, carry: Any, key: jax.Array | None) -> tuple[Any, Any]:
        del policy
        if key is None:
            raise ValueError("a random policy has no greedy action")
        action = jax.vmap(space.sample)(jax.random.split(key, jax.tree.leaves(obs)[0].shape[0]))
        key_legal = jax.random.fold_in(key, _LEGAL_STREAM)
        if not roles:
            return _legal(key_legal, space, obs, action, 1), carry
        keys = dict(zip(roles, jax.random.split(key_legal, len(roles)), strict=True))
        return {
            role: _legal(keys[role], spaces[role], obs[role], action[role], 1 + len(shape))
            for role, shape in roles.items()
        }, carry

    return act


def _legal(key: jax.Array, space: Any, obs: Any, action: Any, lead: int) -> Any:
    """Uniform legal actions with `lead` leading axes; `action` where there is no mask of them."""
    if not isinstance(space, (Discrete, MultiDiscrete)) or not isinstance(obs, Mapping):
        return action
    if MASK_KEY not in obs:
        return action
    mask = obs[MASK_KEY]
    conditional = mask.ndim - lead == 3
    # Equal logits: what the head makes of a mask is uniform over what is legal.
    head = action_head(space, multi_discrete="conditional" if conditional else "independent")
    exists = np.ones(mask.shape[-1], bool)
    if isinstance(space, MultiDiscrete):
        sizes = space.nvec[1:] if conditional else space.nvec
        exists = np.arange(mask.shape[-1]) < np.asarray(sizes)[:, None]
    some = jnp.any(mask & np.broadcast_to(exists, mask.shape), axis=-1, keepdims=True)
    if conditional:
        some = jnp.any(jnp.all(some, axis=-2, keepdims=True), axis=-3, keepdims=True)
    logits = jnp.zeros((*mask.shape[:lead], head.num_outputs), jnp.float32)
    distribution = head.distribution(logits, jnp.zeros(0, jnp.float32), mask | ~some)
    return head.to_action(distribution.sample(key)).astype(action.dtype)
