"""The continuous double auction of one commodity: an order book of static shape, matched exactly.

N agents trade single units. A bid of p coin puts p coin in escrow, an ask one unit. An agent may
have up to K orders open, bids and asks together. In each step new orders are submitted, matched,
and what is left grows older by a step or expires.

Matching. Bids are served from the highest, asks from the lowest; of equal prices the older comes
first, and of equal ages that of the lower agent. The first bid that crosses an ask of somebody else
trades with the first of those asks, and so on until none does. The older order sets the price, of
equal ages the ask; what the buyer had offered beyond it is returned.

After matching no bid crosses an ask of another agent. So in the next step every trade takes one of
the orders that are new, and as many rounds as there are new orders find all trades. The order
(price, age, agent) is total as long as an agent submits at most one bid and one ask in a step.

All functions are pure and unbatched; callers vmap, over commodities too.

Source: Zheng et al. (2020), arXiv 2004.13332; `ai-economist` 1.7.1, `ContinuousDoubleAuction`.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

EMPTY = -1  # the price of a slot without an order, and of an order that nobody submits
_NONE = jnp.iinfo(jnp.int32).max
_UNROLLED = 8  # rounds of matching in one iteration of the loop


class Book(NamedTuple):
    """Open orders of one commodity, K slots for each agent's bids and for its asks.

    Attributes:
        bid_price: int32 [N, K], coin, `EMPTY` where there is none.
        bid_age: int32 [N, K], steps since the order was submitted.
        ask_price: int32 [N, K].
        ask_age: int32 [N, K].
    """

    bid_price: jax.Array
    bid_age: jax.Array
    ask_price: jax.Array
    ask_age: jax.Array

    @property
    def open_orders(self) -> jax.Array:
        """Bids and asks of each agent, int32 [N]."""
        present = (self.bid_price >= 0).astype(jnp.int32) + (self.ask_price >= 0).astype(jnp.int32)
        return jnp.sum(present, axis=1, dtype=jnp.int32)

    @property
    def coin_in_escrow(self) -> jax.Array:
        """What each agent's open bids offer, int32 [N]."""
        return jnp.sum(jnp.maximum(self.bid_price, 0), axis=1, dtype=jnp.int32)

    @property
    def units_in_escrow(self) -> jax.Array:
        """What each agent's open asks offer, int32 [N]."""
        return jnp.sum(self.ask_price >= 0, axis=1, dtype=jnp.int32)


class Trades(NamedTuple):
    """Trades in the order in which they were made, one for each of R rounds.

    Attributes:
        happened: bool [R]; where it is False the rest means nothing.
        buyer: int32 [R].
        seller: int32 [R].
        price: int32 [R], what the seller gets.
        bid: int32 [R], what the buyer had in escrow.
    """

    happened: jax.Array
    buyer: jax.Array
    seller: jax.Array
    price: jax.Array
    bid: jax.Array


class Settlement(NamedTuple):
    """What trades change, each int32 [N]; escrows lose what was offered.

    Attributes:
        coin: change of coin in inventories: income, and excess that is returned.
        units: change of the commodity in inventories.
    """

    coin: jax.Array
    units: jax.Array


def empty(agents: int, max_orders: int = 5) -> Book:
    """A book without orders.

    Raises:
        ValueError: fewer than 2 agents, who would have nobody to trade with, or no orders.
    """
    if agents < 2:
        raise ValueError(f"agents must be at least 2, got {agents}")
    if max_orders < 1:
        raise ValueError(f"max_orders must be at least 1, got {max_orders}")
    prices = jnp.full((agents, max_orders), EMPTY, jnp.int32)
    ages = jnp.zeros((agents, max_orders), jnp.int32)
    return Book(prices, ages, prices, ages)


def submit(
    book: Book, bids: jax.Array, asks: jax.Array, coin: jax.Array, units: jax.Array
) -> tuple[Book, jax.Array, jax.Array]:
    """New orders; one that an agent may not make, or cannot cover, is not made.

    Args:
        book: the book.
        bids: int32 [N], the price that each agent bids, or `EMPTY`.
        asks: int32 [N]; an agent's ask comes after its bid.
        coin: float32 [N], in inventories.
        units: int32 [N], of the commodity, in inventories.

    Returns:
        The book, and which bids and which asks were made, bool [N] each. What they offer,
        `bids` coin and one unit, goes from inventories to escrow.
    """
    room = book.bid_price.shape[1]
    bid_made = (bids >= 0) & (book.open_orders < room) & (coin >= bids.astype(coin.dtype))
    bid_price, bid_age = _insert(book.bid_price, book.bid_age, bids, bid_made)
    book = book._replace(bid_price=bid_price, bid_age=bid_age)
    ask_made = (asks >= 0) & (book.open_orders < room) & (units > 0)
    ask_price, ask_age = _insert(book.ask_price, book.ask_age, asks, ask_made)
    return book._replace(ask_price=ask_price, ask_age=ask_age), bid_made, ask_made


def match(book: Book, rounds: int | None = None) -> tuple[Book, Trades]:
    """All trades of a step.

    Args:
        book: in which no two orders cross that are both older than this step, but of one agent.
        rounds: R, how many trades to look for: the number of orders that can be new. By default N,
            for agents that make one order in a step at most; where they may both bid and ask, 2 N.

    Returns:
        The book without the orders that traded, and the trades.
    """
    chex.assert_equal_shape(list(book))
    agents = book.bid_price.shape[0]
    rounds = agents if rounds is None else rounds

    def trade(book: Book, _: None) -> tuple[Book, Trades]:
        return _round(book)

    return jax.lax.scan(trade, book, None, length=rounds, unroll=min(rounds, _UNROLLED))


def settle(trades: Trades, agents: int) -> Settlement:
    """What trades change for each of N agents.

    Coin in inventories and escrow together is conserved, and so is the commodity.
    """
    who = jnp.arange(agents, dtype=jnp.int32)[:, None]
    buys = ((trades.buyer[None, :] == who) & trades.happened[None, :]).astype(jnp.int32)
    sells = ((trades.seller[None, :] == who) & trades.happened[None, :]).astype(jnp.int32)
    coin = sells * trades.price[None, :] + buys * (trades.bid - trades.price)[None, :]
    return Settlement(
        coin=jnp.sum(coin, axis=1, dtype=jnp.int32),
        units=jnp.sum(buys, axis=1, dtype=jnp.int32),
    )


def expire(book: Book, lifetime: int | jax.Array = 50) -> tuple[Book, jax.Array, jax.Array]:
    """A step passes: all orders are a step older, and those older than `lifetime` are withdrawn.

    Returns:
        The book, coin and units that go back to inventories, int32 [N] each.
    """
    bid_age, ask_age = book.bid_age + 1, book.ask_age + 1
    coin, units = book.coin_in_escrow, book.units_in_escrow
    book = Book(
        bid_price=jnp.where(bid_age > lifetime, EMPTY, book.bid_price),
        bid_age=bid_age,
        ask_price=jnp.where(ask_age > lifetime, EMPTY, book.ask_price),
        ask_age=ask_age,
    )
    return book, coin - book.coin_in_escrow, units - book.units_in_escrow


def _insert(
    prices: jax.Array, ages: jax.Array, price: jax.Array, made: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Each agent's new order, int32 [N], in its first free slot, where `made`."""
    free = prices < 0
    slots = jnp.arange(prices.shape[1], dtype=jnp.int32)
    first = jnp.min(jnp.where(free, slots[None, :], prices.shape[1]), axis=1)
    here = made[:, None] & (slots[None, :] == first[:, None])
    return jnp.where(here, price[:, None], prices), jnp.where(here, 0, ages)


def _round(book: Book) -> tuple[Book, Trades]:
    """The trade that comes first, if there is one."""
    agents = book.bid_price.shape[0]
    who = jnp.arange(agents, dtype=jnp.int32)
    # An agent's foremost order, [N]: its price, and of orders at that price the oldest.
    bid = jnp.max(book.bid_price, axis=1)
    bid_age = _oldest(book.bid_price, book.bid_age, bid)
    asked = jnp.where(book.ask_price >= 0, book.ask_price, _NONE)
    ask = jnp.min(asked, axis=1)
    ask_age = _oldest(asked, book.ask_age, ask)

    seller = _first(ask, ask_age, ask < _NONE)
    second = _first(ask, ask_age, (ask < _NONE) & (who != seller))
    partner = jnp.where(who == seller, second, seller)  # of each buyer, [N]
    offered = jnp.where(partner < agents, _at(ask, partner), _NONE)
    crosses = (bid >= 0) & (bid >= offered)
    buyer = _first(-bid, bid_age, crosses)
    happened = buyer < agents
    partner = _at(partner, buyer)

    paid, its_age = _at(bid, buyer), _at(bid_age, buyer)
    wanted, other_age = _at(ask, partner), _at(ask_age, partner)
    price = jnp.where(its_age <= other_age, wanted, paid)
    taken_bid = (who[:, None] == buyer) & (book.bid_price == paid) & (book.bid_age == its_age)
    taken_ask = (who[:, None] == partner) & (book.ask_price == wanted) & (book.ask_age == other_age)
    after = book._replace(
        bid_price=jnp.where(happened & taken_bid, EMPTY, book.bid_price),
        ask_price=jnp.where(happened & taken_ask, EMPTY, book.ask_price),
    )
    return after, Trades(happened, buyer, partner, price, paid)


def _oldest(prices: jax.Array, ages: jax.Array, price: jax.Array) -> jax.Array:
    """The highest age of each agent's orders at its price, int32 [N]."""
    return jnp.max(jnp.where(prices == price[:, None], ages, -1), axis=1)


def _first(price: jax.Array, age: jax.Array, candidate: jax.Array) -> jax.Array:
    """The agent with the lowest price, of those the highest age, of those the first; or N."""
    size = price.shape[0]
    lowest = candidate & (price == jnp.min(jnp.where(candidate, price, _NONE)))
    oldest = lowest & (age == jnp.max(jnp.where(lowest, age, -1)))
    who = jnp.arange(size, dtype=jnp.int32)
    return jnp.min(jnp.where(oldest, who, size)).astype(jnp.int32)


def _at(values: jax.Array, index: jax.Array) -> jax.Array:
    """values[index] by masks, for an index [] or [M]; 0 where it is N."""
    who = jnp.arange(values.shape[0], dtype=jnp.int32)
    here = index[..., None] == who.reshape((1,) * index.ndim + (-1,))
    return jnp.sum(jnp.where(here, values, 0), axis=-1, dtype=jnp.int32)
