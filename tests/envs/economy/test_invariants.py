"""What holds in every Gather-Trade-Build, whatever agents do.

Random actions, most of them against the masks, on a crowded map, under two planners with short tax
periods; how much of each is done, prices of houses, wealth and regrowth are drawn by hypothesis.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrl.environment import strong
from jaxrl.envs.economy.components.auction import ContinuousDoubleAuction
from jaxrl.envs.economy.components.bracket_tax import PeriodicBracketTax
from jaxrl.envs.economy.components.build import Build
from jaxrl.envs.economy.components.gather import Gather
from jaxrl.envs.economy.economy import Economy
from jaxrl.envs.economy.layouts import parse
from jaxrl.envs.economy.world import fixed_world

FIELD = "W.S.W.;S@W.S.;.W@S.W;S.W@.S;.W.S@.;S.W.S."
AGENTS, STEPS, LIFETIME, PERIOD = 4, 100, 5, 4
GROUPS = np.array([0, 1, 1, 0])
KINDS = 6  # nothing, build, buy or sell either commodity (4 subspaces as one), 4 moves as one, any
PROPERTIES = settings(max_examples=25, deadline=None)


@functools.cache
def economy():
    components = (
        Build(skills="pareto"),
        ContinuousDoubleAuction(max_orders=2),
        Gather(),
        PeriodicBracketTax(),
    )
    return Economy(components, fixed_world(parse(FIELD)), AGENTS, groups=GROUPS.tolist(), reach=1)


@functools.cache
def program():
    """(key, weights of kinds, starting coin, regrowth) -> states [T + 1] and events [T]."""
    env = economy()
    rules = env.default_params.rules
    rules = {
        **rules,
        "Build": rules["Build"].replace(max_multiplier=3.0),
        "ContinuousDoubleAuction": rules["ContinuousDoubleAuction"].replace(lifetime=LIFETIME),
        "PeriodicBracketTax": rules["PeriodicBracketTax"].replace(period=PERIOD),
    }
    params = strong(env.default_params.replace(rules=rules, max_steps_in_episode=STEPS))

    def actions(key, weights):
        key_kind, key_any, key_rate = jax.random.split(key, 3)
        kind = jax.random.categorical(key_kind, weights, shape=(AGENTS,))
        low = jnp.array([0, 1, 2, 24, 46, 0])[kind]
        high = jnp.array([1, 2, 24, 46, 50, 50])[kind]
        return {
            "agents": jax.random.randint(key_any, (AGENTS,), low, high),
            "planner": jax.random.randint(key_rate, (2, 7), 0, 22),
        }

    @jax.jit
    def run(key, weights, coin, regrowth):
        now = params.replace(starting_coin=coin, regrowth=jnp.stack([regrowth, regrowth]))
        key_reset, key_steps = jax.random.split(key)
        _, first = env.reset_env(key_reset, now)

        def step(state, key):
            key_act, key_draw = jax.random.split(key)
            action = actions(key_act, weights)
            state, _, events = env.transition(state, env.draw(key_draw), action, now)
            return state, (state, events["PeriodicBracketTax"])

        _, (states, taxes) = jax.lax.scan(step, first, jax.random.split(key_steps, STEPS))
        states = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, states)
        return states, taxes

    return run


@st.composite
def episodes(draw):
    """An episode: its states [T + 1, ...], tax days [T, ...] and the regrowth in it."""
    weight = st.floats(-3, 2, width=32)
    weights = draw(st.lists(weight, min_size=KINDS, max_size=KINDS))
    coin = draw(st.floats(0, 40, width=32))
    regrowth = draw(st.sampled_from([0.0, 0.25]))
    key = jax.random.key(draw(st.integers(0, 2**31 - 1)))
    numbers = (jnp.asarray(x, jnp.float32) for x in (weights, coin, regrowth))
    states, taxes = jax.tree.map(np.asarray, program()(key, *numbers))
    return states, taxes, regrowth


def houses_of(states):
    """Houses of each agent, [T + 1, N]."""
    return np.stack([(states.house == agent).sum(axis=(1, 2)) for agent in range(AGENTS)], axis=1)


@PROPERTIES
@given(episodes())
def test_coin_comes_from_houses_alone(episode):
    states, _, _ = episode
    built = np.diff(houses_of(states), axis=0)
    paid = (built * states.own["Build"].payment[0]).sum(axis=1)
    change = np.diff(states.total_coin.astype(float).sum(axis=1))
    np.testing.assert_allclose(change, paid, atol=1e-3)
    assert (built >= 0).all() and (states.coin >= -1e-5).all()


@PROPERTIES
@given(episodes())
def test_units_are_gathered_traded_and_built_with_but_never_lost(episode):
    states, _, regrowth = episode
    houses = (states.house >= 0).sum(axis=(1, 2))
    units = states.total_units.sum(axis=2) + states.resources.sum(axis=(2, 3)) + houses[:, None]
    change = np.diff(units, axis=0)
    assert (change >= 0).all() if regrowth else (change == 0).all()
    assert (states.units >= 0).all() and (states.resources >= 0).all()
    assert (states.resources <= states.sources).all()


@PROPERTIES
@given(episodes())
def test_escrow_is_what_the_book_offers(episode):
    states, _, _ = episode
    book = states.own["ContinuousDoubleAuction"].book
    bids = np.maximum(book.bid_price, 0).sum(axis=(1, 3))
    np.testing.assert_array_equal(states.coin_escrow, bids)
    np.testing.assert_array_equal(states.units_escrow, (book.ask_price >= 0).sum(axis=3))
    count = (book.bid_price >= 0).sum(axis=3) + (book.ask_price >= 0).sum(axis=3)
    assert count.max() <= 2
    for price, age in ((book.bid_price, book.bid_age), (book.ask_price, book.ask_age)):
        assert (age[price >= 0] <= LIFETIME).all() and (age[price >= 0] >= 1).all()


@PROPERTIES
@given(episodes())
def test_no_two_agents_are_left_with_orders_that_cross(episode):
    states, _, _ = episode
    book = states.own["ContinuousDoubleAuction"].book
    best_bid = book.bid_price.max(axis=3)
    best_ask = np.where(book.ask_price < 0, 99, book.ask_price).min(axis=3)
    crossing = best_bid[..., :, None] >= best_ask[..., None, :]
    assert not (crossing & ~np.eye(AGENTS, dtype=bool)).any()


@PROPERTIES
@given(episodes())
def test_each_planner_gives_what_it_takes(episode):
    states, taxes, _ = episode
    last_day = np.arange(1, STEPS + 1) % PERIOD == 0
    assert not taxes.paid[~last_day].any() and not taxes.received[~last_day].any()
    for planner in range(2):
        mine = planner == GROUPS
        paid, received = taxes.paid[:, mine], taxes.received[:, mine]
        np.testing.assert_allclose(paid.sum(axis=1), received.sum(axis=1), atol=1e-4)
        np.testing.assert_allclose(received[:, 0], received[:, 1])
    assert (taxes.paid >= 0).all()
    assert (taxes.paid <= np.maximum(taxes.income, 0) + 1e-4).all()


@PROPERTIES
@given(episodes())
def test_agents_stand_apart_on_land_and_in_no_house_of_another(episode):
    states, _, _ = episode
    row, column = states.location[..., 0], states.location[..., 1]
    assert (states.location >= 0).all() and (states.location < 6).all()
    tile = np.sort(row * 6 + column, axis=1)
    assert (np.diff(tile, axis=1) > 0).all()
    time = np.arange(STEPS + 1)[:, None]
    assert not states.water[time, row, column].any()
    owner = states.house[time, row, column]
    assert ((owner == -1) | (owner == np.arange(AGENTS))).all()
    assert not (states.sources.any(axis=1) & (states.house >= 0)).any()
    # At most one tile a step, and houses stay.
    assert (np.abs(np.diff(states.location, axis=0)).sum(axis=-1) <= 1).all()
    before, after = states.house[:-1], states.house[1:]
    assert (after[before >= 0] == before[before >= 0]).all()


def test_much_happens():
    """So that none of this is about an idle economy."""
    weights = jnp.asarray([-2, 1, 0, 0, 2, 0], jnp.float32)
    states, taxes = program()(jax.random.key(0), weights, jnp.float32(20), jnp.float32(0.25))
    assert houses_of(states)[-1].sum() >= 3
    assert np.asarray(states.own["ContinuousDoubleAuction"].trades[-1]).sum() >= 3
    assert taxes.paid.sum() > 10
