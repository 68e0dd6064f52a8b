"""Networks of a role: parameters that its members share, and critics that see everybody.

They take what all roles observe, a dictionary by role with leaves [B, *role shape, ...], and give
values [B, *role shape] and a distribution of leaves [B, *role shape, ...]. What a network does not
look at is removed by XLA, from the minibatches too.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.multi_agent import Game
from jaxrl.networks import Net, NetworkConfig, make_net
from jaxrl.networks.net import featurize, zeros_of
from jaxrl.networks.torsos import ACTIVATIONS, dense
from jaxrl.roles import Shape, members

# (env, env_params, role, config of its network, own module or None) -> the role's network.
MakeNet = Callable[[Game, Any, str, NetworkConfig, Any], Net]
# Leaves of other roles with this many axes a member are images, which a critic leaves out.
_IMAGE = 3


def independent(env: Game, env_params: Any, role: str, config: NetworkConfig, module: Any) -> Net:
    """Policy and value of each member see what the member observes (IPPO).

    Args:
        env: the game.
        env_params: its parameters.
        role: whose network.
        config: its shape.
        module: a module as of `make_net`, for one member, or None.
    """
    spaces = (
        env.role_observation_space(role, env_params),
        env.role_action_space(role, env_params),
    )
    return over_members(make_net(*spaces, config, module), role, env.roles[role])


def centralised(env: Game, env_params: Any, role: str, config: NetworkConfig, module: Any) -> Net:
    """The policy as in `independent`; the value of a member sees all members and roles (MAPPO).

    The critic has a torso of its own and no memory, also where the policy has one.

    Args:
        env: the game.
        env_params: its parameters.
        role: whose network.
        config: its shape.
        module: a module that returns features [B, F], used for policy and critic alike; a pair of
            modules as of `independent` and of features for the critic; or None.
    """
    policy, torso = module if isinstance(module, tuple) else (module, module)
    torso = config.torso() if torso is None else torso.clone()
    # The value head of the policy's network is not used; a torso of its own would be a waste.
    actor = independent(
        env, env_params, role, dataclasses.replace(config, shared_torso=True), policy
    )
    critic = CentralCritic(torso, config.hidden[-1], ACTIVATIONS[config.activation])
    spaces = {name: env.role_observation_space(name, env_params) for name in env.roles}

    def features(seen: Any) -> tuple[Any, list[jax.Array], Shape]:
        """Features of the role's members, merged; those of the others [B, K]; [B, *shape]."""
        own = {
            name: _features(spaces[name], seen[name], shape) for name, shape in env.roles.items()
        }
        lead = jax.tree.leaves(seen[role])[0].shape[: 1 + len(env.roles[role])]
        others = [
            x.reshape((lead[0], -1))
            for name in env.roles
            if name != role
            for x in jax.tree.leaves(own[name])
            if x.ndim - 1 < _IMAGE
        ]
        return own[role], others, lead

    def init(key: jax.Array) -> Any:
        key_actor, key_critic = jax.random.split(key)
        example = features(zeros_of(env.observation_space(env_params)))
        return {"actor": actor.init(key_actor), "critic": critic.init(key_critic, *example)}

    def value_of(params: Any, seen: Any) -> jax.Array:
        value: Any = critic.apply(params["critic"], *features(seen))
        return value

    def apply(params: Any, seen: Any, carry: Any) -> tuple[Any, jax.Array, Any]:
        distribution, _, carry = actor.apply(params["actor"], seen, carry)
        return distribution, value_of(params, seen), carry

    def unroll(params: Any, seen: Any, carry: Any, start: jax.Array) -> tuple[Any, jax.Array]:
        distribution, _ = actor.unroll(params["actor"], seen, carry, start)
        return distribution, value_of(params, merge(seen, 2)).reshape(start.shape)

    return Net(init, actor.initial, apply, unroll, actor.to_action)


class CentralCritic(nn.Module):
    """Values of a role's members from what all of them observe.

    The features of a member and those of everybody are mixed by one layer: the second part of the
    product is the same for all members and is computed once.

    Attributes:
        torso: features of what one member observes, [B, ...] -> [B, F].
        hidden: width of the layer that mixes.
        activation: applied after it.
    """

    torso: nn.Module
    hidden: int
    activation: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, own: Any, others: list[jax.Array], shape: Shape) -> jax.Array:
        """Values, float32 [B, *role shape].

        Args:
            own: what each member observes, leaves [B * members, ...].
            others: what the other roles observe, [B, K] each.
            shape: static, [B, *role shape].
        """
        batch = shape[0]
        features = self.torso(own)
        everybody = jnp.concatenate([features.reshape((batch, -1)), *others], axis=1)
        mixed = dense(self.hidden, name="own")(features).reshape((batch, -1, self.hidden))
        mixed = self.activation(mixed + dense(self.hidden, name="all")(everybody)[:, None])
        return dense(1, 1.0, name="value")(mixed).reshape(shape)


def over_members(net: Net, role: str, shape: Shape) -> Net:
    """A network for one member as one for all members of a role, who share its parameters.

    Args:
        net: of a member.
        role: whose observations it takes of those of everybody.
        shape: of the role.
    """
    lead = 1 + len(shape)

    def initial(batch: int) -> Any:
        return split(net.initial(batch * members(shape)), (batch, *shape))

    def apply(params: Any, seen: Any, carry: Any) -> tuple[Any, jax.Array, Any]:
        obs = seen[role]
        batch = jax.tree.leaves(obs)[0].shape[:lead]
        return split(net.apply(params, merge(obs, lead), merge(carry, lead)), batch)

    def unroll(params: Any, seen: Any, carry: Any, start: jax.Array) -> tuple[Any, jax.Array]:
        def merged(x: jax.Array) -> jax.Array:
            return x.reshape((x.shape[0], -1, *x.shape[1 + lead :]))

        obs = jax.tree.map(merged, seen[role])
        out = net.unroll(params, obs, merge(carry, lead), merged(start))
        return jax.tree.map(lambda x: x.reshape((*start.shape, *x.shape[2:])), out)

    return net._replace(initial=initial, apply=apply, unroll=unroll, predict=None)


def merge(tree: Any, lead: int) -> Any:
    """The first `lead` axes as one."""
    return jax.tree.map(lambda x: x.reshape((-1, *x.shape[lead:])), tree)


def split(tree: Any, shape: Shape) -> Any:
    """The first axis as those of `shape`."""
    return jax.tree.map(lambda x: x.reshape((*shape, *x.shape[1:])), tree)


def _features(space: Any, obs: Any, shape: Shape) -> Any:
    return featurize(space, merge(obs, 1 + len(shape)))
