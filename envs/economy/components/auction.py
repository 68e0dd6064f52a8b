"""ContinuousDoubleAuction: agents bid for single units of commodities and ask for theirs.

Orders are submitted in the order of commodities and agents, matched (`jaxrl.envs.economy.market`),
and withdrawn when they are too old. Each order costs labour.

Source: Zheng et al. (2020), arXiv 2004.13332; `ai-economist` 1.7.1, `ContinuousDoubleAuction`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.envs.economy import market
from jaxrl.envs.economy.components.component import Component, Features, Setting, Subspace, Turn
from jaxrl.envs.economy.limits import check_limits
from jaxrl.envs.economy.state import COMMODITIES, State

_HISTORY_DECAY = 0.995  # of the price history, by step
_HISTORY_SCALE = 0.01  # at which it is observed
_FEWEST_TRADES = 0.001  # below which the market rate's denominator does not fall


class AuctionParams(struct.PyTreeNode):
    """Numbers of `ContinuousDoubleAuction`.

    Attributes:
        order_labor: of making an order.
        lifetime: steps after which an order that has not traded is withdrawn.
    """

    order_labor: float = 0.25
    lifetime: int = 50


class AuctionState(struct.PyTreeNode):
    """What `ContinuousDoubleAuction` remembers.

    Attributes:
        book: open orders, leaves [C, N, K].
        price_history: float [C, max_bid + 1], trades at each price, older ones counting less.
        trades: int32 [C], trades of this episode.
    """

    book: market.Book
    price_history: jax.Array
    trades: jax.Array


@dataclasses.dataclass(frozen=True)
class ContinuousDoubleAuction(Component):
    """A market for each commodity.

    Attributes:
        max_bid: the highest price; prices are whole numbers from 0.
        max_orders: K, open orders that an agent may have in one commodity.
    """

    max_bid: int = 10
    max_orders: int = 5

    def placed(self, setting: Setting) -> Component:
        """Raises `ValueError` for fewer than 2 agents, no price above 0, or no orders."""
        if self.max_bid < 1:
            raise ValueError(f"ContinuousDoubleAuction.max_bid must be at least 1: {self.max_bid}")
        market.empty(setting.agents, self.max_orders)
        return super().placed(setting)

    def agent_actions(self) -> tuple[Subspace, ...]:
        """For each commodity a price to buy at, and one to sell at."""
        prices = self.max_bid + 1
        return tuple(
            Subspace(f"{side}_{name}", prices) for name in COMMODITIES for side in ("Buy", "Sell")
        )

    def params(self) -> AuctionParams:
        """The package's numbers."""
        return AuctionParams()

    def check_params(self, params: AuctionParams) -> None:
        """Raises a `ValueError` that names a parameter beyond its limits."""
        check_limits(params, "ContinuousDoubleAuction", order_labor=(0, None), lifetime=(1, None))

    def reset(self, key: jax.Array, state: State, params: Any, before: Any = None) -> State:
        """No orders, no trades."""
        count = len(COMMODITIES)
        book = market.empty(self.where.agents, self.max_orders)
        own = AuctionState(
            book=jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), book),
            price_history=jnp.zeros((count, self.max_bid + 1), self.where.dtype),
            trades=jnp.zeros(count, jnp.int32),
        )
        return state.replace(own={**state.own, self.name: own})

    def step(self, state: State, turn: Turn, params: Any) -> tuple[State, market.Trades]:
        """New orders, trades, and orders that have grown too old; `info` has the trades [C, R]."""
        own = state.own[self.name]
        state, book = self._submit(state, own.book, turn.agents, params)
        # Agents who choose of each subspace may bid and ask in the same step.
        rounds = self.where.agents * (2 if self.where.simultaneous else 1)
        book, trades = jax.vmap(lambda book: market.match(book, rounds))(book)
        settled = jax.vmap(lambda trades: market.settle(trades, self.where.agents))(trades)
        lifetime = jnp.asarray(params.lifetime, jnp.int32)
        book, coin, units = jax.vmap(lambda book: market.expire(book, lifetime))(book)
        history = own.price_history * _HISTORY_DECAY + self._at_prices(
            trades.price, trades.happened
        ).astype(own.price_history.dtype)
        count = jnp.sum(trades.happened, axis=1, dtype=jnp.int32)
        dtype = state.coin.dtype
        returned = jnp.sum(coin + settled.coin, axis=0, dtype=jnp.int32).astype(dtype)
        after = state.replace(
            coin=state.coin + returned,
            coin_escrow=_coin_in_escrow(book).astype(dtype),
            units=state.units + units + settled.units,
            units_escrow=jax.vmap(lambda book: book.units_in_escrow)(book),
            own={**state.own, self.name: AuctionState(book, history, own.trades + count)},
        )
        return after, trades

    def observe(self, state: State, params: Any) -> Features:
        """Prices of the past, and open orders at each price: one's own, and those of others."""
        own = state.own[self.name]
        bids = self._at_prices(own.book.bid_price, own.book.bid_price >= 0)  # [C, N, prices]
        asks = self._at_prices(own.book.ask_price, own.book.ask_price >= 0)
        dtype = state.coin.dtype
        levels = jnp.arange(self.max_bid + 1, dtype=jnp.int32).astype(dtype)
        history = own.price_history
        traded = jnp.maximum(jnp.sum(history, axis=1), jnp.asarray(_FEWEST_TRADES, dtype))
        rate = jnp.sum(history * levels[None, :], axis=1) / traded
        agents: dict[str, jax.Array] = {}
        planner: dict[str, jax.Array] = {}
        everyone = (self.where.agents, self.max_bid + 1)
        for i, name in enumerate(COMMODITIES):
            all_bids = jnp.sum(bids[i], axis=0, dtype=jnp.int32)
            all_asks = jnp.sum(asks[i], axis=0, dtype=jnp.int32)
            shared = {
                f"market_rate-{name}": rate[i],
                f"price_history-{name}": history[i] * _HISTORY_SCALE,
            }
            planner |= shared | {
                f"full_asks-{name}": all_asks.astype(dtype),
                f"full_bids-{name}": all_bids.astype(dtype),
            }
            agents |= {
                f"market_rate-{name}": jnp.broadcast_to(rate[i], everyone[:1]),
                f"price_history-{name}": jnp.broadcast_to(
                    shared[f"price_history-{name}"], everyone
                ),
                f"available_asks-{name}": (all_asks[None, :] - asks[i]).astype(dtype),
                f"available_bids-{name}": (all_bids[None, :] - bids[i]).astype(dtype),
                f"my_asks-{name}": asks[i].astype(dtype),
                f"my_bids-{name}": bids[i].astype(dtype),
            }
        return Features(agents=agents, planner=planner)

    def agent_masks(self, state: State, params: Any) -> dict[str, jax.Array]:
        """Bids that can be paid and asks that can be met, where there is room for an order."""
        book = state.own[self.name].book
        room = jax.vmap(lambda book: book.open_orders)(book) < self.max_orders  # [C, N]
        levels = jnp.arange(self.max_bid + 1, dtype=jnp.int32).astype(state.coin.dtype)
        affordable = levels[None, :] <= state.coin[:, None]
        sells = room & (state.units > 0)
        masks = {}
        for i, name in enumerate(COMMODITIES):
            masks[f"Buy_{name}"] = room[i][:, None] & affordable
            masks[f"Sell_{name}"] = jnp.broadcast_to(sells[i][:, None], affordable.shape)
        return masks

    def _submit(
        self, state: State, book: market.Book, agents: Mapping[str, jax.Array], params: Any
    ) -> tuple[State, market.Book]:
        """New orders, commodity by commodity: what one bid takes is not there for the next."""
        coin, units, labor = state.coin, state.units, state.labor
        books = []
        for i, name in enumerate(COMMODITIES):
            bids, asks = agents[f"Buy_{name}"] - 1, agents[f"Sell_{name}"] - 1
            own = jax.tree.map(lambda x, i=i: x[i], book)
            own, bid_made, ask_made = market.submit(own, bids, asks, coin, units[i])
            coin = coin - jnp.where(bid_made, bids, 0).astype(coin.dtype)
            units = units.at[i].add(-ask_made.astype(jnp.int32))
            made = bid_made.astype(labor.dtype) + ask_made.astype(labor.dtype)
            labor = labor + made * params.order_labor
            books.append(own)
        book = jax.tree.map(lambda *x: jnp.stack(x), *books)
        return state.replace(coin=coin, units=units, labor=labor), book

    def _at_prices(self, price: jax.Array, counted: jax.Array) -> jax.Array:
        """How many of [..., K] are at each price, int32 [..., max_bid + 1]."""
        levels = jnp.arange(self.max_bid + 1, dtype=jnp.int32)
        shape = (1,) * price.ndim
        same = (price[..., None] == levels.reshape((*shape, -1))) & counted[..., None]
        return jnp.sum(same, axis=-2, dtype=jnp.int32)


def _coin_in_escrow(book: market.Book) -> jax.Array:
    """Over all commodities, int32 [N]."""
    return jnp.sum(jax.vmap(lambda book: book.coin_in_escrow)(book), axis=0, dtype=jnp.int32)
