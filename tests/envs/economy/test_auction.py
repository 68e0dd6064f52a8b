"""The auction as a component: escrow, labour, prices, expiry and what is seen, by hand.

How orders are matched is `test_market`'s.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.environment import strong
from jaxrl.envs.economy.components.auction import AuctionParams, ContinuousDoubleAuction
from tests.envs.economy.small_worlds import part_of, state_of, step

NAMES = ("Buy_Stone", "Sell_Stone", "Buy_Wood", "Sell_Wood")
PLACES = [(0, 0), (1, 1), (1, 2)]
FIELD = "....;....;...."


class Market:
    """A market of three agents, step by step."""

    def __init__(self, params=None, simultaneous=False, max_orders=5, max_bid=10, **state):
        component = ContinuousDoubleAuction(max_orders=max_orders, max_bid=max_bid)
        self.component = part_of(component, 3, simultaneous=simultaneous)
        self.params = AuctionParams() if params is None else params
        self.state = self.component.reset(None, state_of(FIELD, PLACES, **state), ())

    def __call__(self, **orders):
        """Orders as Buy_Wood=(agent, price), several as a list."""
        actions = {name: [0, 0, 0] for name in NAMES}
        for name, pairs in orders.items():
            for agent, price in [pairs] if isinstance(pairs, tuple) else pairs:
                actions[name][agent] = price + 1
        self.state, trades = step(self.component, self.state, actions, params=self.params)
        happened = np.asarray(trades.happened)
        table = np.stack([trades.buyer, trades.seller, trades.price], axis=-1)
        return [[tuple(row) for row in table[i][happened[i]].tolist()] for i in range(2)]

    def seen(self):
        return self.component.observe(self.state, self.params)

    def masks(self):
        return self.component.agent_masks(self.state, self.params)

    def check(self, coin, escrow, stone=(0, 0, 0), wood=(0, 0, 0), offered=(0, 0, 0)):
        """`offered` is wood in escrow."""
        np.testing.assert_array_equal(self.state.coin, np.float32(coin))
        np.testing.assert_array_equal(self.state.coin_escrow, np.float32(escrow))
        assert self.state.units.tolist() == [list(stone), list(wood)]
        assert self.state.units_escrow.tolist() == [[0, 0, 0], list(offered)]


def test_offers_go_to_escrow_and_the_older_order_sets_the_price():
    market = Market(coin=(10, 0, 5), wood=(0, 2, 0))
    assert market(Buy_Wood=(0, 4)) == [[], []]
    market.check((6, 0, 5), (4, 0, 0), wood=(0, 2, 0))
    assert market(Sell_Wood=(1, 2)) == [[], [(0, 1, 4)]]  # the bid is older
    market.check((6, 4, 5), (0, 0, 0), wood=(1, 1, 0))
    assert market(Sell_Wood=(1, 2)) == [[], []]
    market.check((6, 4, 5), (0, 0, 0), wood=(1, 0, 0), offered=(0, 1, 0))
    assert market(Buy_Wood=(2, 5)) == [[], [(2, 1, 2)]]  # the ask is older: 3 come back
    market.check((6, 6, 3), (0, 0, 0), wood=(1, 0, 1))
    assert market.state.own["ContinuousDoubleAuction"].trades.tolist() == [0, 2]
    np.testing.assert_array_equal(market.state.labor, [0.25, 0.5, 0.25])


def test_the_history_fades_and_gives_the_rate():
    market = Market(coin=(10, 0, 5), wood=(0, 2, 0))
    np.testing.assert_array_equal(market.seen().planner["market_rate-Wood"], 0)
    market(Buy_Wood=(0, 4))
    market(Sell_Wood=(1, 2))
    market(Sell_Wood=(1, 2))
    market(Buy_Wood=(2, 5))
    history = np.zeros(11)
    history[[2, 4]] = 1, 0.995**2
    seen = market.seen()
    for table, shape in ((seen.agents, (3, 11)), (seen.planner, (11,))):
        found = table["price_history-Wood"]
        np.testing.assert_allclose(found, np.broadcast_to(0.01 * history, shape), rtol=1e-6)
        rate = (2 + 4 * 0.995**2) / (1 + 0.995**2)
        np.testing.assert_allclose(
            table["market_rate-Wood"], np.broadcast_to(rate, shape[:-1]), rtol=1e-6
        )
        assert not table["price_history-Stone"].any() and not table["market_rate-Stone"].any()


def test_own_orders_are_not_among_those_available():
    market = Market(coin=(10, 10, 0), wood=(0, 0, 2))
    market(Buy_Wood=[(0, 3), (1, 3)])
    market(Buy_Wood=(0, 3), Sell_Wood=(2, 9))
    seen = market.seen()
    column = {
        name: np.asarray(value)[:, 3].tolist()
        for name, value in seen.agents.items()
        if name in ("my_bids-Wood", "available_bids-Wood")
    }
    assert column == {"my_bids-Wood": [2, 1, 0], "available_bids-Wood": [1, 2, 3]}
    asks = {
        name: np.asarray(seen.agents[name])[:, 9].tolist()
        for name in ("my_asks-Wood", "available_asks-Wood")
    }
    assert asks == {"my_asks-Wood": [0, 0, 1], "available_asks-Wood": [1, 1, 0]}
    assert seen.planner["full_bids-Wood"].tolist() == [0, 0, 0, 3, *[0] * 7]
    assert seen.planner["full_asks-Wood"].tolist() == [*[0] * 9, 1, 0]
    for name in ("my_bids-Stone", "available_bids-Stone", "my_asks-Stone", "available_asks-Stone"):
        assert not seen.agents[name].any()


def test_orders_expire_and_give_back():
    market = Market(AuctionParams(lifetime=2, order_labor=1.0), coin=(5, 0, 0), wood=(0, 1, 0))
    market(Buy_Wood=(0, 3), Sell_Wood=(1, 7))
    market()
    market.check((2, 0, 0), (3, 0, 0), offered=(0, 1, 0))
    market()
    market.check((5, 0, 0), (0, 0, 0), wood=(0, 1, 0))
    np.testing.assert_array_equal(market.state.labor, [1, 1, 0])


def test_what_cannot_be_covered_is_not_made_and_costs_nothing():
    market = Market(coin=(3, 0, 0), stone=(0, 1, 0), max_orders=1)
    market(Buy_Wood=(0, 4), Sell_Wood=(1, 1))
    market.check((3, 0, 0), (0, 0, 0), stone=(0, 1, 0))
    assert not market.state.labor.any()
    market(Buy_Wood=(0, 1))
    market(Buy_Wood=(0, 1))  # there is room for one
    market.check((2, 0, 0), (1, 0, 0), stone=(0, 1, 0))
    np.testing.assert_array_equal(market.state.labor, [0.25, 0, 0])
    market(Buy_Stone=(0, 2))  # the other book has room
    market.check((0, 0, 0), (3, 0, 0), stone=(0, 1, 0))


def test_nobody_trades_with_itself():
    market = Market(coin=(9, 0, 0), wood=(1, 0, 0))
    market(Sell_Wood=(0, 2))
    assert market(Buy_Wood=(0, 9)) == [[], []]
    market.check((0, 0, 0), (9, 0, 0), offered=(1, 0, 0))


def test_masks_are_of_what_can_be_covered():
    market = Market(coin=(3.5, 10, 20), stone=(0, 1, 0), wood=(2, 0, 0), max_orders=1, max_bid=4)
    market(Buy_Stone=(2, 4))
    masks = market.masks()
    assert [len(masks[name][0]) for name in NAMES] == [5] * 4
    assert masks["Buy_Wood"].tolist() == [[True] * 4 + [False], [True] * 5, [True] * 5]
    assert masks["Buy_Stone"].tolist() == [[True] * 4 + [False], [True] * 5, [False] * 5]
    assert masks["Sell_Stone"].tolist() == [[False] * 5, [True] * 5, [False] * 5]
    assert masks["Sell_Wood"].tolist() == [[True] * 5, [False] * 5, [False] * 5]


def test_together_stone_is_ordered_before_wood_and_bids_before_asks():
    market = Market(simultaneous=True, max_orders=1, coin=(5, 5, 0), stone=(0, 1, 0))
    market(Buy_Stone=[(0, 4), (1, 2)], Buy_Wood=[(0, 2), (1, 3)], Sell_Stone=(1, 1))
    # 0 has 1 left after Stone; 1 may have one order in Stone, its bid.
    market.check((1, 0, 0), (4, 5, 0), stone=(0, 1, 0))


def test_together_there_may_be_more_trades_than_agents():
    market = Market(simultaneous=True, coin=(13, 10, 10), wood=(1, 2, 1))
    market(Buy_Wood=(0, 3), Sell_Wood=(1, 6))
    orders = [(agent, 10) for agent in range(3)], [(agent, 0) for agent in range(3)]
    # The third's bid and ask find the older orders: its own it does not trade with.
    trades = market(Buy_Wood=orders[0], Sell_Wood=orders[1])[1]
    assert trades == [(0, 1, 0), (1, 0, 0), (2, 1, 6), (0, 2, 3)]
    market.check((10, 16, 7), (0, 0, 0), wood=(2, 1, 1))


def test_a_new_episode_has_no_orders():
    market = Market(coin=(5, 5, 5))
    market(Buy_Wood=(0, 3))
    own = market.state.own["ContinuousDoubleAuction"]
    fresh = market.component.reset(None, market.state, (), own).own["ContinuousDoubleAuction"]
    assert (fresh.book.bid_price == -1).all() and not fresh.trades.any()
    assert not fresh.price_history.any() and fresh.book.bid_price.shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("options", "agents", "message"),
    [
        ({"max_bid": 0}, 3, "ContinuousDoubleAuction.max_bid must be at least 1: 0"),
        ({"max_orders": 0}, 3, "max_orders must be at least 1, got 0"),
        ({}, 1, "agents must be at least 2, got 1"),
    ],
)
def test_what_is_no_market_is_refused(options, agents, message):
    with pytest.raises(ValueError, match=message):
        part_of(ContinuousDoubleAuction(**options), agents)


def test_a_lifetime_below_a_step_is_refused():
    component = part_of(ContinuousDoubleAuction(), 3)
    params = strong(AuctionParams(lifetime=0))
    with pytest.raises(ValueError, match=r"ContinuousDoubleAuction\.lifetime must be at least 1"):
        component.check_params(params)
    component.check_params(params.replace(lifetime=jnp.arange(1, 4)))
