"""Records of training in games: what is common to all roles, and what each has of its own.

A configuration has a field for each role, a `RoleConfig`, and the hyperparameters have one of the
same name, a `RoleHyperparameters`. `Config` and `Hyperparameters` are those of economies, with the
roles `agents` and `planner`; `records_of` makes those of any other roles. A role that a game lacks
(an economy without a planner) is ignored.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algos.on_policy import types as on_policy
from jaxrl.algos.on_policy.ppo import PPOHyperparameters
from jaxrl.networks import NetworkConfig

ECONOMY_ROLES = ("agents", "planner")
_NEVER = 2**31 - 1
_SCHEDULE = ("start_update", "stop_update", "acts_from")


@dataclasses.dataclass(frozen=True)
class RoleConfig:
    """What decides shapes and structure of one role; changing any of it compiles anew.

    Attributes:
        num_epochs: passes over a rollout.
        num_minibatches: minibatches of a pass; must divide num_envs * num_steps, and num_envs where
            the network is recurrent. The members of a role in one step are in one minibatch.
        normalize_observation: standardise float observations by running moments of all members.
        normalize_reward: divide rewards by the running deviation of discounted reward sums.
        network: shape of the default network.
    """

    num_epochs: int = 4
    num_minibatches: int = 4
    normalize_observation: bool = False
    normalize_reward: bool = False
    network: NetworkConfig = NetworkConfig()


@dataclasses.dataclass(frozen=True)
class GameConfig:
    """What all roles share; a subclass has a `RoleConfig` for each.

    Attributes:
        num_envs: N, environments stepped together.
        num_steps: T, steps of a rollout.
        reset_chunk: initial states computed at once; 0 chooses.
        env_shards: parts into which the environments are divided, so that up to as many devices
            can share a run.
    """

    num_envs: int = 64
    num_steps: int = 128
    reset_chunk: int = 0
    env_shards: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for sizes that cannot be run."""
        for role in self.roles:
            self.of_role(role)

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the roles that are configured."""
        fields = dataclasses.fields(self)
        return tuple(f.name for f in fields if isinstance(getattr(self, f.name), RoleConfig))

    def of_role(self, role: str) -> on_policy.Config:
        """The configuration of the on-policy loop for one role.

        Raises:
            ValueError: no such role, or sizes that cannot be run; both name it.
        """
        if role not in self.roles:
            known = ", ".join(self.roles) or "none"
            raise ValueError(f"the configuration has no role {role!r}; its roles: {known}")
        mine = getattr(self, role)
        own = {field.name: getattr(mine, field.name) for field in dataclasses.fields(RoleConfig)}
        shared = {f.name: getattr(self, f.name) for f in dataclasses.fields(GameConfig)}
        try:
            return on_policy.Config(**shared, **own)
        except ValueError as error:
            raise ValueError(f"{role}: {error}") from None


class RoleHyperparameters(PPOHyperparameters):
    """What can be swept of one role without compiling anew.

    Attributes:
        horizon: number of updates over which `lr` falls; infinite is that of the game.
        env: not used; environment parameters are those of the game.
        update_every: the role learns in every k-th update from `start_update` on.
        start_update: the first update in which the role learns, counted from 0. `lr` falls with all
            updates of the game, so that it has fallen already by those before.
        stop_update: the update from which on it learns no more.
        acts_from: the update from which on it acts; before, it learns nothing and does nothing,
            which is action 0 of every choice (the middle of the range of a continuous action).
    """

    update_every: int = 1
    start_update: int = 0
    stop_update: int = _NEVER
    acts_from: int = 0

    def learns(self, update: jax.Array) -> jax.Array:
        """Whether the role learns in this update, bool []."""
        due = (update - self.start_update) % self.update_every == 0
        due = due & (update >= self.start_update) & (update < self.stop_update)
        # What a role does while it is idle is not what its policy chose.
        return due & ~self.idle(update)

    def idle(self, update: jax.Array) -> jax.Array:
        """Whether the role does nothing in this update, bool []."""
        return update < jnp.asarray(self.acts_from, jnp.int32)


class GameHyperparameters(struct.PyTreeNode):
    """What all roles share; a subclass has `RoleHyperparameters` for each.

    Attributes:
        horizon: number of updates over which learning rates fall; infinite keeps them, but
            `jaxrl train` then takes the number of updates of the run.
        env: environment parameters.
    """

    horizon: float = math.inf
    env: Any = None

    def of_role(self, role: str) -> RoleHyperparameters:
        """Those of one role as the on-policy loop wants them."""
        mine: RoleHyperparameters = getattr(self, role)
        horizon: Any = jnp.where(jnp.isinf(mine.horizon), self.horizon, mine.horizon)
        return mine.replace(horizon=horizon, env=self.env)


@dataclasses.dataclass(frozen=True)
class Config(GameConfig):
    """Configuration of agents and a planner.

    Attributes:
        agents: of the agents, who share parameters.
        planner: of the planner.
    """

    agents: RoleConfig = RoleConfig()
    planner: RoleConfig = RoleConfig()


class Hyperparameters(GameHyperparameters):
    """Hyperparameters of agents and a planner.

    Attributes:
        agents: of the agents.
        planner: of the planner.
    """

    agents: RoleHyperparameters = RoleHyperparameters()
    planner: RoleHyperparameters = RoleHyperparameters()


class RolePolicy(on_policy.Policy):
    """What a role needs for acting.

    Attributes:
        idle: bool [], whether it does nothing at present, see `RoleHyperparameters.acts_from`.
    """

    idle: jax.Array


@functools.cache
def records_of(roles: tuple[str, ...]) -> tuple[type[GameConfig], type[GameHyperparameters]]:
    """The types of configuration and hyperparameters of a game with these roles.

    Raises:
        ValueError: a role's name is no identifier, or one of a field that all roles share.
    """
    if roles == ECONOMY_ROLES:
        return Config, Hyperparameters
    for role in roles:
        if not role.isidentifier() or hasattr(GameConfig, role) or role in ("horizon", "env"):
            raise ValueError(f"a role cannot be called {role!r} here")
    fields: list[Any] = [(role, RoleConfig, RoleConfig()) for role in roles]
    config = dataclasses.make_dataclass(
        "GameConfig", fields, bases=(GameConfig,), frozen=True, namespace={"__doc__": "By role."}
    )
    values: dict[str, Any] = {role: RoleHyperparameters() for role in roles}
    annotations: dict[str, Any] = {role: RoleHyperparameters for role in roles}
    hyperparameters = type(
        "GameHyperparameters",
        (GameHyperparameters,),
        {"__doc__": "By role.", "__annotations__": annotations, **values},
    )
    return config, hyperparameters


def validate(config: GameConfig, hp: GameHyperparameters) -> None:
    """Raises ValueError, in one line that names the role, for what is outside its range."""
    if not float(hp.horizon) > 0:
        raise ValueError(f"hp.horizon must be positive, got {float(hp.horizon)}")
    for role in config.roles:
        mine = getattr(hp, role)
        try:
            on_policy.validate(config.of_role(role), mine)
        except ValueError as error:
            raise ValueError(f"{role}: {error}") from None
        if int(mine.update_every) < 1:
            raise ValueError(f"hp.{role}.update_every must be at least 1, got {mine.update_every}")
        for name in _SCHEDULE:
            if int(getattr(mine, name)) < 0:
                raise ValueError(f"hp.{role}.{name} must be >= 0, got {getattr(mine, name)}")
