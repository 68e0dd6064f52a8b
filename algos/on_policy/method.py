"""From an objective to an `AlgorithmSpec`: what the methods' own files compose."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jaxrl.algorithm import Algorithm, AlgorithmSpec, LearntObjective
from jaxrl.algos.on_policy.auxiliary import Auxiliary, check_values, check_weights
from jaxrl.algos.on_policy.loop import gae, on_policy, standardize_minibatch
from jaxrl.algos.on_policy.objectives import Sample
from jaxrl.algos.on_policy.optimise import Optimiser, ScaleAdvantage, adam
from jaxrl.algos.on_policy.presets import preset_for
from jaxrl.algos.on_policy.types import Config, Hyperparameters, Objective, validate
from jaxrl.networks import make_net
from jaxrl.roles import require_single


def method(
    name: str,
    summary: str,
    objective: Objective | Callable[[Any, Sample], Any],
    hyperparameters: type[Hyperparameters],
    config: type[Config] = Config,
    scale_advantage: ScaleAdvantage = standardize_minibatch,
    optimiser: Optimiser = adam,
    adjust: Callable[[Config, Any], tuple[Config, Any]] = lambda config, hp: (config, hp),
    learnt: LearntObjective | None = None,
    auxiliary: Sequence[Auxiliary] = (),
) -> AlgorithmSpec:
    """The record of one on-policy method.

    Args:
        name: its id.
        summary: one line.
        objective: see `on_policy`.
        hyperparameters: their type; `objective` is the method's own parameters.
        config: type of the configuration.
        scale_advantage: see `on_policy`.
        optimiser: see `on_policy`.
        adjust: what the method changes of a preset tuned for PPO.
        learnt: see `AlgorithmSpec`.
        auxiliary: see `on_policy`; presets give each a weight of 1. `make` then needs a network
            that predicts what they are about.
    """

    def make(env: Any, env_params: Any, config: Config, network: Any = None) -> Algorithm:
        require_single(env, name, "train it with ippo or mappo")
        net = make_net(
            env.observation_space(env_params),
            env.action_space(env_params),
            config.network,
            network,
        )
        return on_policy(
            env,
            net,
            objective,
            config,
            advantage=gae,
            scale_advantage=scale_advantage,
            optimiser=optimiser,
            auxiliary=auxiliary,
        )

    return AlgorithmSpec(
        name=name,
        summary=summary,
        config=config,
        hyperparameters=hyperparameters,
        make=make,
        validate=partial(_validate, auxiliary),
        steps_per_update=lambda config: config.batch_size,
        preset=lambda env_id: preset_for(
            env_id, config, hyperparameters, partial(_adjusted, adjust, auxiliary)
        ),
        learnt=learnt,
    )


def _validate(auxiliary: Sequence[Auxiliary], config: Config, hp: Any) -> None:
    validate(config, hp)
    check_weights(auxiliary, hp.auxiliary)
    check_values(hp.auxiliary)


def _adjusted(
    adjust: Callable, auxiliary: Sequence[Auxiliary], config: Config, hp: Any
) -> tuple[Config, Any]:
    """What the method makes of a preset, with a weight of 1 for each auxiliary loss."""
    config, hp = adjust(config, hp)
    weights = {term.name: 1.0 for term in auxiliary}
    return config, hp.replace(auxiliary=weights) if weights else hp
