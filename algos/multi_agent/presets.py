"""Settings known to work in games, by environment."""

import fnmatch
from typing import Any, NamedTuple

from jaxrl import registry
from jaxrl.algorithm import Preset
from jaxrl.algos.multi_agent.types import (
    ECONOMY_ROLES,
    RoleConfig,
    RoleHyperparameters,
    records_of,
)
from jaxrl.networks import NetworkConfig
from jaxrl.roles import is_game


class _Row(NamedTuple):
    """What a game (a pattern of ids) changes of the defaults, in common and by role.

    Attributes:
        pattern: of ids.
        total_steps: environment steps to train for.
        config: of all roles.
        roles: name -> (configuration, hyperparameters); all roles of the game.
    """

    pattern: str
    total_steps: int
    config: dict[str, Any]
    roles: dict[str, tuple[RoleConfig, RoleHyperparameters]]


_MLP = NetworkConfig(hidden=(128, 128), activation="relu", shared_torso=True)

_TABLE: tuple[_Row, ...] = (
    # Agents learn to answer the schedules of a planner that draws them at random, before it learns.
    # With less entropy all of them soon work the same hours, whatever their skill.
    _Row(
        "OneStepEconomy-*",
        1_024_000,
        dict(num_envs=512, num_steps=2),
        {
            "agents": (
                RoleConfig(normalize_observation=True, normalize_reward=True),
                RoleHyperparameters(
                    lr=1e-3, lr_final=0.1, gamma=1.0, gae_lambda=1.0, entropy_coef=0.3
                ),
            ),
            "planner": (
                RoleConfig(normalize_reward=True),
                RoleHyperparameters(
                    lr=3e-4, lr_final=0.1, gamma=1.0, entropy_coef=0.05, start_update=400
                ),
            ),
        },
    ),
    # With all the cost of labour from the beginning agents learn not to work before they learn to
    # build: train with `annealing=episodes labor_annealing=8`, as experiments/economy does.
    _Row(
        "GatherTradeBuild-*",
        1_000_000,
        dict(num_envs=32, num_steps=100),
        {
            "agents": (
                RoleConfig(3, 8, normalize_observation=True, normalize_reward=True, network=_MLP),
                RoleHyperparameters(lr=1e-3, lr_final=0.3, gamma=0.995, entropy_coef=0.02),
            ),
            "planner": (
                RoleConfig(4, 2, normalize_observation=True, normalize_reward=True),
                RoleHyperparameters(
                    lr=2e-3, lr_final=0.3, gamma=0.995, gae_lambda=0.98, entropy_coef=0.01
                ),
            ),
        },
    ),
)
_STEPS = 1_000_000
_COMMON = dict(num_envs=64, num_steps=64)


def preset_for(env_id: str) -> Preset:
    """The preset of a game; the general one, for the roles that it has, where it has none.

    Without an environment, "*", the roles are those of economies.
    """
    row = next((row for row in _TABLE if fnmatch.fnmatchcase(env_id, row.pattern)), None)
    if row is None:
        default = RoleConfig(network=NetworkConfig()), RoleHyperparameters()
        row = _Row("*", _STEPS, _COMMON, dict.fromkeys(_roles(env_id), default))
    config_type: Any
    hp_type: Any
    config_type, hp_type = records_of(tuple(row.roles))
    config = config_type(**row.config, **{name: config for name, (config, _) in row.roles.items()})
    hp = hp_type(**{name: hp for name, (_, hp) in row.roles.items()})
    return Preset(config, hp, row.total_steps)


def _roles(env_id: str) -> tuple[str, ...]:
    """The roles of a registered game; those of economies for anything else."""
    known = env_id in registry.environments() or ":" in env_id
    env: Any = registry.make(env_id)[0] if known else None
    return tuple(env.roles) if is_game(env) else ECONOMY_ROLES
