"""Training in games: every role learns in the on-policy loop, from the same rollout.

The rollout, the minibatches, the losses and the optimisation are those of `jaxrl.algos.on_policy`.
The members of a role share parameters and are an axis of their own beside that of environments, so
a rollout of a role is like one of a single agent, with leaves [T, N, members, ...]. Each role has a
network, hyperparameters and a schedule of its own; a role that does not learn in an update keeps
its policy (parameters and moments of observations) exactly, at no cost but where `vmap` turns the
condition into a selection.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrl.algorithm import Algorithm
from jaxrl.algos.multi_agent.networks import merge
from jaxrl.algos.multi_agent.types import GameConfig, GameHyperparameters, RolePolicy
from jaxrl.algos.on_policy.loop import Advantage, fit, gae, standardize_minibatch
from jaxrl.algos.on_policy.objectives import ppo_clip
from jaxrl.algos.on_policy.optimise import Optimiser, ScaleAdvantage, adam, make_optimise
from jaxrl.algos.on_policy.rollout import Actor, Steps, make_collect, observe, to_trajectory
from jaxrl.algos.on_policy.types import Objective, Sample, State, stateless
from jaxrl.multi_agent import Game
from jaxrl.networks import Net
from jaxrl.normalization import (
    init_moments,
    init_observation_moments,
    update_observation_moments,
)
from jaxrl.shards import ALONE, Functions, Shards, divide
from jaxrl.vector import VecEnv

Metrics = dict[str, jax.Array]


def multi_agent(
    env: Game,
    nets: Mapping[str, Net],
    config: GameConfig,
    objective: Objective | Callable[[Any, Sample], jax.Array] = ppo_clip,
    advantage: Advantage = gae,
    scale_advantage: ScaleAdvantage = standardize_minibatch,
    optimiser: Optimiser = adam,
) -> Algorithm:
    """An on-policy actor-critic for each role of a game.

    Args:
        env: a game; its parameters are `hp.env`.
        nets: the network of each role, see `jaxrl.algos.multi_agent.networks`.
        config: static configuration, with one of each role.
        objective: see `on_policy`, like what follows; phi is `hp.ROLE.objective`.
        advantage: see `on_policy`; arrays have an axis of members besides.
        scale_advantage: see `on_policy`; over all members in a minibatch.
        optimiser: see `on_policy`.

    Returns:
        The algorithm. `State` is that of the on-policy loop with dictionaries by role in `policy`,
        `optimizer`, `objective` and `reward`; `act` takes and gives dictionaries by role. Its
        metrics are those of the on-policy loop for each role, "ROLE/NAME", means over minibatches;
        "ROLE/learnt" is 1, or 0 where the role did not learn and all its others are 0; and means
        over the episodes that ended, "episode/ROLE/return" of each role's members among them.

    Raises:
        ValueError: the configuration lacks a role, or sizes that cannot be run.
    """
    record = objective if isinstance(objective, Objective) else stateless(objective)
    roles = tuple(env.roles)
    venv = VecEnv(env, config.num_envs // config.env_shards, config.reset_chunk or None)
    actor = _actor(env, nets)

    def learner(role: str, shards: Shards) -> Callable:
        mine = config.of_role(role)
        optimise = make_optimise(nets[role], record, scale_advantage, optimiser, mine, shards)
        lead = 1 + len(env.roles[role])
        return _learner(advantage, optimise, mine.normalize_observation, lead, shards)

    def make(shards: Shards) -> Functions:
        """(init, step) of one env shard."""
        collect = make_collect(venv, actor, config.of_role(roles[0]), shards)
        learners = {role: learner(role, shards) for role in roles}
        init = _make_init(venv, nets, record, optimiser, config, shards)
        return init, _make_step(env, collect, learners, shards)

    def value(policy: Any, obs: Any, carry: Any = ()) -> Any:
        return actor.apply(policy, obs, carry)[1]

    act = _make_act(actor, roles)
    if config.env_shards == 1:
        return Algorithm(*make(ALONE), act, value, actor.initial)
    shards = divide(config.env_shards, make, partial(_layout, config, roles))
    return Algorithm(*shards.part(config.env_shards, None), act, value, actor.initial, shards)


def _actor(env: Game, nets: Mapping[str, Net]) -> Actor:
    """Everybody's networks as one that acts."""
    roles = tuple(env.roles)
    remembers = any(nets[role].recurrent for role in roles)

    def apply(policy: Any, obs: Any, carry: Any) -> tuple[Any, Any, Any]:
        if remembers and not jax.tree.leaves(carry):
            raise ValueError(
                "a recurrent policy needs a carry: begin episodes with"
                " algorithm.initial_carry(batch)"
            )
        seen = {role: _observe(policy[role], obs[role], 1 + len(env.roles[role])) for role in roles}
        before = carry if remembers else dict.fromkeys(roles, ())
        out = {role: nets[role].apply(policy[role].params, seen, before[role]) for role in roles}
        distribution, value, after = ({role: out[role][i] for role in roles} for i in range(3))
        return distribution, value, after if remembers else ()

    def sample(policy: Any, distribution: Any, key: jax.Array) -> Any:
        keys = _keys_of(roles, key)
        return {
            role: _unless_idle(policy[role], distribution[role].sample(keys[role]))
            for role in roles
        }

    return Actor(
        apply=apply,
        sample=sample,
        log_prob=lambda distribution, action: {
            role: distribution[role].log_prob(action[role]) for role in roles
        },
        to_action=lambda raw: {role: nets[role].to_action(raw[role]) for role in roles},
        initial=lambda batch: (
            {role: nets[role].initial(batch) for role in roles} if remembers else ()
        ),
    )


def _observe(policy: Any, obs: Any, lead: int) -> Any:
    """Observations, leaves with `lead` axes of environments and members, as networks take them."""
    if policy.observation == ():
        return obs
    seen = observe(policy, merge(obs, lead))
    return jax.tree.map(lambda x, like: x.reshape(like.shape), seen, obs)


def _unless_idle(policy: RolePolicy, raw: jax.Array) -> jax.Array:
    return jnp.where(policy.idle, jnp.zeros_like(raw), raw)


def _keys_of(roles: tuple[str, ...], key: jax.Array) -> dict[str, jax.Array]:
    """A key for each role; that of a game with one role is the key itself, as of one agent."""
    keys = [key] if len(roles) == 1 else list(jax.random.split(key, len(roles)))
    return dict(zip(roles, keys, strict=True))


def _make_act(actor: Actor, roles: tuple[str, ...]) -> Callable:
    """`Algorithm.act`: what everybody does, sampled or, without a key, most likely."""

    def act(policy: Any, obs: Any, carry: Any, key: jax.Array | None) -> tuple[Any, Any]:
        distribution, _, carry = actor.apply(policy, obs, carry)
        if key is None:
            raw = {role: _unless_idle(policy[role], distribution[role].mode()) for role in roles}
        else:
            raw = actor.sample(policy, distribution, key)
        return actor.to_action(raw), carry

    return act


def _make_init(
    venv: VecEnv,
    nets: Mapping[str, Net],
    objective: Objective,
    optimiser: Optimiser,
    config: GameConfig,
    shards: Shards,
) -> Callable[[jax.Array, Any], State]:
    """(key, hp) -> the state of a run that has not begun."""
    shapes = venv.env.roles
    roles = tuple(shapes)

    def observation(role: str, obs: Any) -> Any:
        if not config.of_role(role).normalize_observation:
            return ()
        return init_observation_moments(merge(obs[role], 1 + len(shapes[role])))

    def reward(role: str) -> Any:
        if not config.of_role(role).normalize_reward:
            return ()
        return init_moments(jnp.float32(0)), jnp.zeros((venv.num_envs, *shapes[role]), jnp.float32)

    def init(key: jax.Array, hp: GameHyperparameters) -> State:
        key_params, key_env, key = jax.random.split(key, 3)
        obs, env_state = venv.reset(shards.own(key_env), hp.env)
        keys = _keys_of(roles, key_params)
        own = {role: hp.of_role(role) for role in roles}
        update = jnp.int32(0)
        policy = {
            role: RolePolicy(nets[role].init(keys[role]), observation(role, obs), mine.idle(update))
            for role, mine in own.items()
        }
        recurrent = any(nets[role].recurrent for role in roles)
        return State(
            policy=policy,  # type: ignore[arg-type]  # by role
            optimizer={role: optimiser(own[role]).init(policy[role].params) for role in roles},
            objective={role: objective.init(own[role].objective) for role in roles},
            reward={role: reward(role) for role in roles},
            env=env_state,
            obs=obs,
            carry={role: nets[role].initial(venv.num_envs) for role in roles} if recurrent else (),
            key=key,
            update=update,
        )

    return init


def _make_step(
    env: Game, collect: Callable, learners: Mapping[str, Callable], shards: Shards
) -> Callable[[State, Any], tuple[State, Metrics]]:
    """(state, hp) -> (state, metrics), one update of everybody whose turn it is."""
    roles = tuple(env.roles)

    def step(state: State, hp: GameHyperparameters) -> tuple[State, Metrics]:
        key_rollout, key_optimise, key = jax.random.split(state.key, 3)
        state, steps, metrics = collect(shards.own(key_rollout), state, hp)
        policies: Any = state.policy
        # Networks see what they acted on: with the moments from before this update.
        seen = {
            role: _observe(policies[role], steps.obs[role], 2 + len(env.roles[role]))
            for role in roles
        }
        keys = _keys_of(roles, key_optimise)
        after = {}
        for role in roles:
            mine = hp.of_role(role)
            reward, trajectory = to_trajectory(
                _of_role(steps, role, seen), state.reward[role], mine.gamma, shards
            )
            learn = partial(learners[role], keys[role], trajectory, steps.obs[role])
            own = _state_of(state, role)
            own, found = _where_due(learn, mine.learns(state.update), own, mine)
            policy: Any = own.policy
            policy = policy.replace(idle=mine.idle(state.update + 1))
            after[role] = own.replace(policy=policy, reward=reward)
            norm = {"param_norm": optax.tree.norm(policy.params)}
            metrics |= {f"{role}/{name}": x for name, x in (found | norm).items()}
        parts = {
            name: {role: getattr(after[role], name) for role in roles}
            for name in ("policy", "optimizer", "objective", "reward")
        }
        return state.replace(**parts, key=key, update=state.update + 1), metrics

    return step


def _learner(
    advantage: Advantage,
    optimise: Callable,
    normalize_observation: bool,
    lead: int,
    shards: Shards,
) -> Callable:
    """(key, trajectory, raw observations, state, hp) -> (state, metrics) of one role."""

    def learn(key: jax.Array, trajectory: Any, raw: Any, state: State, hp: Any) -> Any:
        advantages, targets = advantage(trajectory, hp)
        moments = state.policy.observation
        # The observations are standardised already.
        view = state.replace(policy=state.policy.replace(observation=()))
        state, metrics = optimise(shards.own(key), view, trajectory, advantages, targets, hp)
        if normalize_observation:
            moments = update_observation_moments(moments, merge(raw, 1 + lead), shards)
        state = state.replace(policy=state.policy.replace(observation=moments))
        return state, metrics | fit(targets, trajectory.value, shards)

    return learn


def _where_due(learn: Callable, due: jax.Array, state: State, hp: Any) -> tuple[State, Metrics]:
    """`learn(state, hp)` where it is the role's turn; else the state as it is, and zeros."""
    shapes = jax.eval_shape(learn, state, hp)[1]

    def rest(state: State) -> tuple[State, Metrics]:
        return state, {name: jnp.zeros(x.shape, x.dtype) for name, x in shapes.items()}

    state, metrics = jax.lax.cond(due, lambda state: learn(state, hp), rest, state)
    return state, metrics | {"learnt": due.astype(jnp.float32)}


def _state_of(state: State, role: str) -> State:
    """What the on-policy loop needs of one role's state for learning."""
    policy: Any = state.policy
    return state.replace(
        policy=policy[role],
        optimizer=state.optimizer[role],
        objective=state.objective[role],
        reward=(),
        env=(),
        obs=(),
        carry=(),
        key=(),
    )


def _of_role(steps: Steps, role: str, seen: Any) -> Steps:
    """What a role saw and did; its networks may look at what everybody sees."""
    own = {
        name: getattr(steps, name)[role]
        for name in (
            *("action", "log_prob", "value", "final_value", "last_value"),
            *("reward", "distribution"),
        )
    }
    carry = steps.carry[role] if steps.carry else ()
    return steps._replace(**own, obs=seen, carry=carry)


def _layout(config: GameConfig, roles: tuple[str, ...], shared: Any, divided: Any) -> State:
    """A prefix of `State`: what env shards share, and what each has of its own."""
    reward = {
        role: (shared, divided) if config.of_role(role).normalize_reward else () for role in roles
    }
    return State(
        policy=shared,
        optimizer=shared,
        objective=shared,
        reward=reward,
        env=divided,
        obs=divided,
        carry=divided,
        key=shared,
        update=shared,
    )
