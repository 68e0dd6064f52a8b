"""From a kind of critic to an `AlgorithmSpec`: what the methods' own files compose."""

from collections.abc import Mapping
from typing import Any

from jaxrl.algorithm import Algorithm, AlgorithmSpec
from jaxrl.algos.multi_agent.loop import multi_agent
from jaxrl.algos.multi_agent.networks import MakeNet
from jaxrl.algos.multi_agent.presets import preset_for
from jaxrl.algos.multi_agent.types import Config, GameConfig, Hyperparameters, validate
from jaxrl.roles import is_game


def method(name: str, summary: str, make_net: MakeNet) -> AlgorithmSpec:
    """The record of a method for games.

    Its `make` takes as `network` a dict with modules of one's own by role; who is not in it has the
    default network.

    Args:
        name: its id.
        summary: one line.
        make_net: the network of a role.
    """

    def make(
        env: Any, env_params: Any, config: GameConfig, network: Mapping[str, Any] | None = None
    ) -> Algorithm:
        if not is_game(env):
            raise ValueError(
                f"{env.name} is for one agent and {name} is for games: train it with ppo"
            )
        own = dict(network or {})
        if unknown := sorted(own.keys() - env.roles.keys()):
            raise ValueError(
                f"a network for the role {unknown[0]!r}, which {env.name} lacks; its roles:"
                f" {', '.join(env.roles)}"
            )
        shapes = {role: config.of_role(role).network for role in env.roles}
        nets = {
            role: make_net(env, env_params, role, shape, own.get(role))
            for role, shape in shapes.items()
        }
        return multi_agent(env, nets, config)

    return AlgorithmSpec(
        name=name,
        summary=summary,
        config=Config,
        hyperparameters=Hyperparameters,
        make=make,
        validate=validate,
        steps_per_update=lambda config: config.num_envs * config.num_steps,
        preset=preset_for,
        for_games=True,
    )
