"""The auction against an order book of Python lists, by hand, and what it conserves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.economy import market
from tests.envs.economy.record_reference import LIFETIME
from tests.envs.economy.reference import under
from tests.unoptimised import jit

ORDERS, STEPS = 5, 60


class PlainBook:
    """The same auction with lists, sorted and searched anew for every trade."""

    def __init__(self, agents):
        self.bids, self.asks, self.agents = [], [], agents

    def count(self, agent):
        return sum(order["agent"] == agent for order in self.bids + self.asks)

    def submit(self, bids, asks, coin, units):
        made = np.zeros((2, self.agents), bool)
        for agent in range(self.agents):
            for side, book, price in ((0, self.bids, bids[agent]), (1, self.asks, asks[agent])):
                covered = units[agent] > 0 if side else coin[agent] >= price
                if price >= 0 and covered and self.count(agent) < ORDERS:
                    book.append({"agent": agent, "price": int(price), "age": 0})
                    made[side, agent] = True
        return made

    def match(self):
        trades = []
        while True:
            pairs = [
                ((-b["price"], -b["age"], b["agent"], a["price"], -a["age"], a["agent"]), b, a)
                for b in self.bids
                for a in self.asks
                if b["agent"] != a["agent"] and b["price"] >= a["price"]
            ]
            if not pairs:
                return trades
            _, bid, ask = min(pairs, key=lambda pair: pair[0])
            price = bid["price"] if bid["age"] > ask["age"] else ask["price"]
            trades.append((bid["agent"], ask["agent"], price, bid["price"]))
            self.bids.remove(bid)
            self.asks.remove(ask)

    def expire(self):
        back = np.zeros((2, self.agents), int)
        for side, name in enumerate(("bids", "asks")):
            kept = []
            for order in getattr(self, name):
                order["age"] += 1
                if order["age"] > LIFETIME:
                    back[side, order["agent"]] += 1 if side else order["price"]
                else:
                    kept.append(order)
            setattr(self, name, kept)
        return back


def orders(price, age):
    """Orders of an array as sorted (agent, price, age)."""
    price, age = np.asarray(price), np.asarray(age)
    where = np.argwhere(price >= 0)
    return sorted((int(i), int(price[i, k]), int(age[i, k])) for i, k in where)


@jit
def step(book, bids, asks, coin, units):
    book, bid_made, ask_made = market.submit(book, bids, asks, coin, units)
    book, trades = market.match(book, 2 * bids.shape[0])
    settled = market.settle(trades, bids.shape[0])
    book, coin_back, units_back = market.expire(book, LIFETIME)
    return book, (bid_made, ask_made), trades, settled, (coin_back, units_back)


@pytest.mark.parametrize(("agents", "prices"), [(4, 11), (4, 3), (7, 5)])
def test_a_market_is_that_of_plain_lists_and_conserves_coin_and_units(agents, prices):
    random = np.random.default_rng(agents * prices)
    book, plain = market.empty(agents, ORDERS), PlainBook(agents)
    coin, units = np.full(agents, 30), np.full(agents, 8)
    traded = expired = refused = 0
    for _ in range(STEPS):
        bids, asks = (
            np.where(random.random(agents) < 0.6, random.integers(0, prices, agents), -1)
            for _ in range(2)
        )
        arrays = [jnp.asarray(x, jnp.int32) for x in (bids, asks, coin, units)]
        book, made, trades, settled, back = jax.device_get(step(book, *arrays))

        expected_made = plain.submit(bids, asks, coin, units)
        np.testing.assert_array_equal(made, expected_made)
        refused += ((bids >= 0) & ~made[0]).sum()
        coin, units = coin - bids * made[0], units - made[1]
        expected = plain.match()
        found = np.stack([trades.buyer, trades.seller, trades.price, trades.bid], axis=1)
        assert [tuple(row) for row in found[trades.happened]] == expected
        assert not trades.happened[len(expected) :].any()
        np.testing.assert_array_equal(back, plain.expire())
        for side in ("bid", "ask"):
            ours = orders(getattr(book, f"{side}_price"), getattr(book, f"{side}_age"))
            listed = [(o["agent"], o["price"], o["age"]) for o in getattr(plain, f"{side}s")]
            assert ours == sorted(listed)

        for buyer, seller, price, bid in expected:
            coin[seller] += price
            coin[buyer] += bid - price
            units[buyer] += 1
            np.testing.assert_array_less(price, bid + 1)
        coin, units = coin + back[0], units + back[1]
        book = market.Book(*map(jnp.asarray, book))
        assert (coin + book.coin_in_escrow).sum() == 30 * agents
        assert (units + book.units_in_escrow).sum() == 8 * agents
        assert (coin >= 0).all() and (units >= 0).all()
        traded, expired = traded + len(expected), expired + sum(x.sum() for x in back)
        assert settled.coin.sum() == sum(bid for *_, bid in expected)
    assert traded > 20 and expired > 5 and refused > 5


def test_a_market_is_that_of_the_package():
    known = under("market/")
    book, coin, units = market.empty(4, ORDERS), np.full(4, 30), np.full(4, 8)
    for time, (bids, asks) in enumerate(zip(known["bids"], known["asks"], strict=True)):
        arrays = [jnp.asarray(x, jnp.int32) for x in (bids, asks, coin, units)]
        book, made, trades, settled, back = jax.device_get(step(book, *arrays))
        found = np.stack([trades.buyer, trades.seller, trades.price, trades.bid], axis=1)
        expected = known["trades"][time]
        np.testing.assert_array_equal(found[trades.happened], expected[expected[:, 0] >= 0])
        coin = coin - bids * made[0] + settled.coin + back[0]
        units = units - made[1] + settled.units + back[1]
        book = market.Book(*map(jnp.asarray, book))
        held = [coin, units, book.coin_in_escrow, book.units_in_escrow]
        np.testing.assert_array_equal(held, known["held"][time], err_msg=f"step {time}")
    assert (known["trades"][..., 0] >= 0).sum() > 50


def test_one_order_a_step_needs_as_many_rounds_as_agents():
    """With one order by agent N rounds find what 3 N rounds do."""
    random = np.random.default_rng(5)
    book = market.empty(4)
    few, many = (jit(lambda book, r=r: market.match(book, r)) for r in (None, 12))
    coin, units = jnp.full(4, 99, jnp.int32), jnp.full(4, 99, jnp.int32)
    total = 0
    for _ in range(40):
        price, buys = random.integers(0, 4, 4), random.random(4) < 0.5
        bids, asks = (jnp.asarray(np.where(x, price, -1), jnp.int32) for x in (buys, ~buys))
        book = market.submit(book, bids, asks, coin, units)[0]
        after, trades = few(book)
        again, more = many(book)
        np.testing.assert_array_equal(after.bid_price, again.bid_price)
        np.testing.assert_array_equal(after.ask_price, again.ask_price)
        assert trades.happened.sum() == more.happened.sum()
        total += int(trades.happened.sum())
        book = market.expire(after)[0]
    assert total > 20


def _book(bids, asks):
    """A book of three agents and two slots from (agent, price, age)."""
    sides = []
    for listed in (bids, asks):
        price, age = np.full((3, 2), -1), np.zeros((3, 2), int)
        for agent, its_price, its_age in listed:
            slot = 0 if price[agent, 0] < 0 else 1
            price[agent, slot], age[agent, slot] = its_price, its_age
        sides += [jnp.asarray(price, jnp.int32), jnp.asarray(age, jnp.int32)]
    return market.Book(*sides)


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        # The older sets the price; of equal ages the ask.
        ([(0, 7, 3)], [(1, 4, 0)], [(0, 1, 7, 7)]),
        ([(0, 7, 0)], [(1, 4, 3)], [(0, 1, 4, 7)]),
        ([(0, 7, 0)], [(1, 4, 0)], [(0, 1, 4, 7)]),
        # Nobody trades with itself: the next ask, or none.
        ([(0, 7, 0)], [(0, 1, 0), (1, 5, 2)], [(0, 1, 5, 7)]),
        ([(0, 7, 0)], [(0, 1, 0)], []),
        ([(0, 7, 0), (2, 5, 0)], [(0, 1, 0)], [(2, 0, 1, 5)]),
        # The highest bid first, then the older, then the lower agent; likewise the lowest ask.
        ([(0, 6, 0), (1, 7, 0)], [(2, 3, 1)], [(1, 2, 3, 7)]),
        ([(0, 7, 0), (1, 7, 2)], [(2, 3, 0)], [(1, 2, 7, 7)]),
        ([(0, 7, 0), (1, 7, 0)], [(2, 3, 0)], [(0, 2, 3, 7)]),
        ([(2, 7, 0)], [(0, 4, 0), (1, 3, 0)], [(2, 1, 3, 7)]),
        ([(2, 7, 0)], [(0, 4, 1), (1, 4, 5)], [(2, 1, 4, 7)]),
        # Prices of 0 are prices.
        ([(0, 0, 0)], [(1, 0, 0)], [(0, 1, 0, 0)]),
        ([(0, 3, 0)], [(1, 4, 0)], []),
    ],
)
def test_trades_by_hand(bids, asks, expected):
    after, trades = _match(_book(bids, asks))
    found = np.stack([trades.buyer, trades.seller, trades.price, trades.bid], axis=1)
    assert [tuple(row) for row in found[np.asarray(trades.happened)]] == expected
    assert after.open_orders.sum() == len(bids) + len(asks) - 2 * len(expected)


_match = jit(market.match)


def test_a_book_of_nobody_is_refused():
    with pytest.raises(ValueError, match="agents must be at least 2, got 1"):
        market.empty(1)
    with pytest.raises(ValueError, match="max_orders must be at least 1, got 0"):
        market.empty(4, 0)
