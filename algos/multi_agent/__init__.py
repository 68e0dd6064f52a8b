"""Training in games (`jaxrl.multi_agent`): every role learns in the on-policy loop."""

from jaxrl.algos.multi_agent.loop import multi_agent
from jaxrl.algos.multi_agent.networks import centralised, independent, over_members
from jaxrl.algos.multi_agent.types import (
    Config,
    GameConfig,
    GameHyperparameters,
    Hyperparameters,
    RoleConfig,
    RoleHyperparameters,
    records_of,
)

__all__ = [
    "Config",
    "GameConfig",
    "GameHyperparameters",
    "Hyperparameters",
    "RoleConfig",
    "RoleHyperparameters",
    "centralised",
    "independent",
    "multi_agent",
    "over_members",
    "records_of",
]
