"""The on-policy loop: rollout, advantages, epochs of minibatches.

Every method of this family is `on_policy(...)` with its own `objective` and `advantage`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrl.algorithm import Algorithm
from jaxrl.algos.on_policy.auxiliary import Auxiliary, check_terms, check_weights
from jaxrl.algos.on_policy.optimise import Optimiser, ScaleAdvantage, adam, make_optimise
from jaxrl.algos.on_policy.rollout import make_rollout, merge_time, observe
from jaxrl.algos.on_policy.types import (
    Config,
    Objective,
    Policy,
    Sample,
    State,
    Trajectory,
    layout,
    stateless,
)
from jaxrl.networks import Net
from jaxrl.normalization import (
    init_moments,
    init_observation_moments,
    update_observation_moments,
)
from jaxrl.returns import generalized_advantage
from jaxrl.shards import ALONE, Functions, Shards, divide
from jaxrl.vector import VecEnv

Advantage = Callable[[Trajectory, Any], tuple[jax.Array, jax.Array]]


def gae(trajectory: Trajectory, hp: Any) -> tuple[jax.Array, jax.Array]:
    """Generalised advantages and the value targets A + v, both float32 [T, N]."""
    advantage = generalized_advantage(
        trajectory.reward,
        trajectory.value,
        trajectory.v_tp1,
        trajectory.ended,
        hp.gamma,
        hp.gae_lambda,
    )
    return advantage, advantage + trajectory.value


def standardize_minibatch(
    advantage: jax.Array, mean: Callable[[jax.Array], jax.Array] = jnp.mean
) -> jax.Array:
    """(A - mean) / (std + 1e-8) over a minibatch [B], whose mean may reach over env shards."""
    centred = advantage - mean(advantage)
    return centred / (jnp.sqrt(mean(jnp.square(centred))) + 1e-8)


def on_policy(
    env: Any,
    net: Net,
    objective: Objective | Callable[[Any, Sample], jax.Array],
    config: Config,
    advantage: Advantage = gae,
    scale_advantage: ScaleAdvantage = standardize_minibatch,
    optimiser: Optimiser = adam,
    auxiliary: Sequence[Auxiliary] = (),
) -> Algorithm:
    """An on-policy actor-critic.

    Args:
        env: an environment as of `jaxrl.make`; its parameters are `hp.env`.
        net: the actor-critic, see `make_net`.
        objective: (phi, sample) -> loss [B], or an `Objective` with a state.
        config: static configuration.
        advantage: (trajectory, hp) -> (advantages, value targets), float32 [T, N] each.
        scale_advantage: (advantages [B], mean) -> [B], applied to each minibatch; `mean` averages
            over all of it, also where env shards have a part of it each.
        optimiser: hp -> gradient transformation without the learning rate.
        auxiliary: further terms of the loss, weighted by `hp.auxiliary`.

    Returns:
        The algorithm. Its metrics are means over an update's minibatches, or over the episodes
        that ended in it (NaN where none did).

    Raises:
        ValueError: auxiliary losses of one name, or with a network that predicts nothing; from
            `init` and `step`, weights that are not those of the terms.
    """
    check_terms(auxiliary, net)
    objective = objective if isinstance(objective, Objective) else stateless(objective)
    venv = VecEnv(env, config.shard_envs, config.reset_chunk or None)

    def make(shards: Shards) -> Functions:
        """(init, step) of one env shard."""
        rollout = make_rollout(venv, net, config, shards)
        optimise = make_optimise(
            net, objective, scale_advantage, optimiser, config, shards, auxiliary
        )
        init = _make_init(venv, net, objective, optimiser, config, shards)
        step = _make_step(rollout, advantage, optimise, config, shards)
        return _checked(init, auxiliary), _checked(step, auxiliary)

    def act(policy: Policy, obs: Any, carry: Any, key: jax.Array | None) -> tuple[Any, Any]:
        _check_carry(net, carry)
        distribution, _, carry = net.apply(policy.params, observe(policy, obs), carry)
        raw = distribution.mode() if key is None else distribution.sample(key)
        return net.to_action(raw), carry

    def value(policy: Policy, obs: Any, carry: Any = ()) -> jax.Array:
        _check_carry(net, carry)
        return net.apply(policy.params, observe(policy, obs), carry)[1]

    if config.env_shards == 1:
        return Algorithm(*make(ALONE), act, value, net.initial)
    shards = divide(config.env_shards, make, partial(layout, config))
    return Algorithm(*shards.part(config.env_shards, None), act, value, net.initial, shards)


def _checked(function: Callable, auxiliary: Sequence[Auxiliary]) -> Callable:
    """`function` of (anything, hp) that refuses the weights of other auxiliary losses."""

    def checked(first: Any, hp: Any) -> Any:
        check_weights(auxiliary, hp.auxiliary)
        return function(first, hp)

    return checked


def _make_step(
    rollout: Callable, advantage: Advantage, optimise: Callable, config: Config, shards: Shards
) -> Callable[[State, Any], tuple[State, dict[str, jax.Array]]]:
    """(state, hp) -> (state, metrics), one update."""

    def step(state: State, hp: Any) -> tuple[State, dict[str, jax.Array]]:
        key_rollout, key_optimise, key = jax.random.split(state.key, 3)
        state, trajectory, episodes = rollout(shards.own(key_rollout), state, hp)
        advantages, targets = advantage(trajectory, hp)
        state, losses = optimise(
            shards.own(key_optimise), state, trajectory, advantages, targets, hp
        )
        observation = state.policy.observation
        if config.normalize_observation:
            # After the update: rollout and update must see the same policy.
            observation = update_observation_moments(
                observation, merge_time(trajectory.obs), shards
            )
        state = state.replace(
            policy=state.policy.replace(observation=observation), key=key, update=state.update + 1
        )
        params = {"param_norm": optax.tree.norm(state.policy.params)}
        return state, episodes | losses | params | fit(targets, trajectory.value, shards)

    return step


def _check_carry(net: Net, carry: Any) -> None:
    if net.recurrent and not jax.tree.leaves(carry):
        raise ValueError(
            "a recurrent policy needs a carry: begin episodes with algorithm.initial_carry(batch)"
        )


def _make_init(
    venv: VecEnv,
    net: Net,
    objective: Objective,
    optimiser: Optimiser,
    config: Config,
    shards: Shards,
) -> Callable[[jax.Array, Any], State]:
    """(key, hp) -> the state of a run that has not begun."""

    def init(key: jax.Array, hp: Any) -> State:
        key_params, key_env, key = jax.random.split(key, 3)
        obs, env_state = venv.reset(shards.own(key_env), hp.env)
        params = net.init(key_params)
        observation: Any = ()
        if config.normalize_observation:
            observation = init_observation_moments(obs)
        reward: Any = ()
        if config.normalize_reward:
            reward = (init_moments(jnp.float32(0)), jnp.zeros(config.shard_envs, jnp.float32))
        return State(
            policy=Policy(params, observation),
            optimizer=optimiser(hp).init(params),
            objective=objective.init(hp.objective),
            reward=reward,
            env=env_state,
            obs=obs,
            carry=net.initial(config.shard_envs),
            key=key,
            update=jnp.int32(0),
        )

    return init


def fit(targets: jax.Array, value: jax.Array, shards: Shards) -> dict[str, jax.Array]:
    """How well the values of the rollout predicted their targets."""
    variance = shards.variance(targets)
    unexplained = shards.variance(targets - value) / jnp.maximum(variance, 1e-8)
    return {
        "value": shards.mean(value),
        # Without variance in the targets there is nothing to explain.
        "explained_variance": jnp.where(variance > 1e-8, 1.0 - unexplained, 0.0),
    }
