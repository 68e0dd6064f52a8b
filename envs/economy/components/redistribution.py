"""WealthRedistribution: after every step all agents own the same coin.

It should be the last component. Source: `ai-economist` 1.7.1, `WealthRedistribution`.
"""

import dataclasses
from typing import Any

from jaxrl.envs.economy.components.component import Component, Turn
from jaxrl.envs.economy.state import State
from jaxrl.envs.economy.tax import equal_shares


@dataclasses.dataclass(frozen=True)
class WealthRedistribution(Component):
    """Equal shares of all coin."""

    def step(self, state: State, turn: Turn, params: Any) -> tuple[State, tuple[()]]:
        """Inventories with which all own the same, what is in escrow counted."""
        return state.replace(coin=equal_shares(state.coin, state.coin_escrow)), ()
