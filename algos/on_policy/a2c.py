"""Advantage actor-critic, the synchronous form of A3C (Mnih et al. 2016, arXiv 1602.01783).

One gradient step on each rollout with -log pi(a|o) A, RMSProp, lambda = 1 (n-step returns) and
unscaled advantages. The rollout is five steps, as published.
"""

import dataclasses

from flax import struct

from jaxrl.algos.on_policy.method import method
from jaxrl.algos.on_policy.objectives import a2c
from jaxrl.algos.on_policy.optimise import rmsprop
from jaxrl.algos.on_policy.types import Config, Hyperparameters


class NoParameters(struct.PyTreeNode):
    """An objective without parameters."""


class A2CHyperparameters(Hyperparameters):
    """Hyperparameters of A2C."""

    lr: float = 7e-4
    gae_lambda: float = 1.0
    entropy_coef: float = 0.01
    objective: NoParameters = NoParameters()


def _adjust(config: Config, hp: A2CHyperparameters) -> tuple[Config, A2CHyperparameters]:
    config = dataclasses.replace(config, num_steps=5, num_epochs=1, num_minibatches=1)
    return config, A2CHyperparameters(gamma=hp.gamma, lr_final=hp.lr_final)


SPEC = method(
    name="a2c",
    summary="Advantage actor-critic (Mnih et al. 2016)",
    objective=a2c,
    hyperparameters=A2CHyperparameters,
    scale_advantage=lambda advantage, mean: advantage,
    optimiser=rmsprop,
    adjust=_adjust,
)
