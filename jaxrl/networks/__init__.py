"""Policy and value networks (flax.linen) chosen from observation and action spaces."""

from jaxrl.networks.actor_critic import ActorCritic, NetworkConfig
from jaxrl.networks.cells import CellActorCritic, Grid, Operation
from jaxrl.networks.heads import ActionHead, action_head
from jaxrl.networks.net import Net, make_net, split_mask
from jaxrl.networks.recurrent import GRU, LRU, reset_where
from jaxrl.networks.torsos import CNN, MLP, SpaceEncoder

__all__ = [
    "CNN",
    "MLP",
    "GRU",
    "LRU",
    "ActionHead",
    "ActorCritic",
    "CellActorCritic",
    "Grid",
    "Net",
    "NetworkConfig",
    "Operation",
    "SpaceEncoder",
    "action_head",
    "make_net",
    "reset_where",
    "split_mask",
]
