"""The state of an economy with a map: what components act upon.

N agents, C commodities, a map of H x W tiles. `COMMODITIES` orders what is stacked.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

COMMODITIES = ("Stone", "Wood")  # in the order in which they are traded
NOBODY = -1  # owner of a tile without a house


class State(struct.PyTreeNode):
    """An economy between two steps.

    Attributes:
        time: int32 [], steps taken in this episode.
        resources: int8 [C, H, W], units that lie on tiles.
        sources: bool [C, H, W], tiles on which units grow back.
        water: bool [H, W], tiles that nobody enters.
        house: int8 [H, W], which agent's house stands on a tile, or `NOBODY`.
        location: int32 [N, 2], row and column.
        coin: float [N], in inventories.
        coin_escrow: float [N], offered in open bids.
        units: int32 [C, N], in inventories.
        units_escrow: int32 [C, N], offered in open asks.
        labor: float [N], done in this episode.
        utility: float [N], of the agents; rewards are its changes.
        welfare: float [P], of each planner's agents.
        completions: int32 [], episodes completed before this one.
        positive_steps: int32 [], steps of all episodes in which the agents' mean reward was
            positive.
        own: the components' own states by their names.
    """

    time: jax.Array
    resources: jax.Array
    sources: jax.Array
    water: jax.Array
    house: jax.Array
    location: jax.Array
    coin: jax.Array
    coin_escrow: jax.Array
    units: jax.Array
    units_escrow: jax.Array
    labor: jax.Array
    utility: jax.Array
    welfare: jax.Array
    completions: jax.Array
    positive_steps: jax.Array
    own: dict[str, Any]

    @property
    def total_coin(self) -> jax.Array:
        """What each agent owns, in inventory and escrow, float [N]."""
        return self.coin + self.coin_escrow

    @property
    def total_units(self) -> jax.Array:
        """Units of each commodity that each agent owns, int32 [C, N]."""
        return self.units + self.units_escrow


def tile_of(location: jax.Array, width: int) -> jax.Array:
    """Index of a tile in a flattened map, int32 [...], of locations [..., 2]."""
    return location[..., 0] * jnp.int32(width) + location[..., 1]
