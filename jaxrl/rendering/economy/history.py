"""An episode of an economy in numbers: what its pictures show, as NumPy arrays.

N agents, C commodities, B tax brackets, P planners; an episode of T steps has T + 1 states.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl.envs.economy import metrics, tax
from jaxrl.envs.economy.state import COMMODITIES, NOBODY
from jaxrl.rendering.episode import Episode

MARKET, TAX = "ContinuousDoubleAuction", "PeriodicBracketTax"


class Deals(NamedTuple):
    """Trades, K of them, in the order in which they were made; all int [K].

    Attributes:
        step: number of the step in which a trade was made, as its frame shows it: from 1.
        commodity: index into `jaxrl.envs.economy.state.COMMODITIES`.
        buyer: an agent.
        seller: an agent.
        price: in coin.
    """

    step: np.ndarray
    commodity: np.ndarray
    buyer: np.ndarray
    seller: np.ndarray
    price: np.ndarray

    def until(self, step: int) -> "Deals":
        """Those made in this step or before."""
        return Deals(*(column[self.step <= step] for column in self))


class History(NamedTuple):
    """What happened, state by state.

    Attributes:
        first_step: number of the first state's step.
        coin: float64 [T + 1, N], owned, in inventory and escrow.
        units: int64 [T + 1, C, N], owned likewise.
        labor: float64 [T + 1, N].
        equality: float64 [T + 1], 1 - Gini of the coin.
        productivity: float64 [T + 1], all coin.
        deals: trades; none where the episode has no record of them.
        cutoffs: float64 [B], where tax brackets begin; B = P = 0 without such taxes.
        rates: float64 [T + 1, P, B], the schedules last observed.
        income: float64 [T + 1, N], of the running tax period; zeros without taxes.
    """

    first_step: int
    coin: np.ndarray
    units: np.ndarray
    labor: np.ndarray
    equality: np.ndarray
    productivity: np.ndarray
    deals: Deals
    cutoffs: np.ndarray
    rates: np.ndarray
    income: np.ndarray


def history(env: Any, episode: Episode) -> History:
    """An episode of an `Economy` in numbers."""
    states = episode.states
    coin = np.asarray(states.coin, np.float64) + np.asarray(states.coin_escrow, np.float64)
    cutoffs, rates = np.zeros(0), np.zeros((len(coin), 0, 0))
    income = np.zeros_like(coin)
    if TAX in states.own:
        own = states.own[TAX]
        cutoffs = bracket_cutoffs(env)
        rates = np.asarray(own.shown_rates, np.float64)
        income = coin - np.asarray(own.last_coin, np.float64)
    return History(
        first_step=episode.first_step,
        coin=coin,
        units=np.asarray(states.units, np.int64) + np.asarray(states.units_escrow, np.int64),
        labor=np.asarray(states.labor, np.float64),
        equality=1 - ginis(coin),
        productivity=coin.sum(axis=1),
        deals=_deals(episode),
        cutoffs=cutoffs,
        rates=rates,
        income=income,
    )


def bracket_cutoffs(env: Any) -> np.ndarray:
    """Incomes at which the brackets of an economy begin, float64 [B]."""
    component = next(component for component in env.components if component.name == TAX)
    return np.asarray(component.cutoffs or tax.us_federal_cutoffs(), np.float64)


def ginis(coin: np.ndarray) -> np.ndarray:
    """The Gini index of each row, float64 [T] of [T, N]."""
    return np.asarray(_ginis(np.asarray(coin, np.float32)), np.float64)


def lorenz(coin: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The Lorenz curve: what share of all coin the poorest share of agents owns.

    Where nobody owns anything all own the same.

    Args:
        coin: [N], none negative.

    Returns:
        Shares of agents, float64 [N + 1] from 0 to 1; shares of coin, likewise; and the agents in
        order, the poorest first, int [N].

    Raises:
        ValueError: no agents, or negative coin.
    """
    owned = np.asarray(coin, np.float64)
    if owned.ndim != 1 or not owned.size or not (owned >= 0).all():
        raise ValueError(f"a Lorenz curve is of at least one agent's coin, none negative: {coin}")
    order = np.argsort(owned, kind="stable")
    agents = np.linspace(0, 1, owned.size + 1)
    total = owned.sum()
    shares = np.append(0, np.cumsum(owned[order])) / total if total > 0 else agents.copy()
    return agents, shares, order


def houses(state: Any, agents: int) -> np.ndarray:
    """How many houses each agent has, int [N]."""
    owners = np.asarray(state.house)
    return np.bincount(owners[owners != NOBODY], minlength=agents)


def _deals(episode: Episode) -> Deals:
    """Trades from what the market reported of each step."""
    trades = (episode.infos or {}).get(MARKET)
    if trades is None:
        return Deals(*(np.zeros(0, np.int64) for _ in Deals._fields))
    happened = np.asarray(trades.happened)  # [T, C, R]
    assert happened.shape[1] == len(COMMODITIES)
    step, commodity, _ = np.nonzero(happened)
    columns = (trades.buyer, trades.seller, trades.price)
    return Deals(
        step + episode.first_step + 1, commodity, *(np.asarray(x)[happened] for x in columns)
    )


_ginis = jax.jit(jax.vmap(metrics.gini))
