"""The scenario: its actions, spaces and options, where agents begin, and what it refuses.

That it plays as the package does is `test_gather_trade_build_recorded`'s.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl.environment import strong
from jaxrl.envs.economy.components import Build, ContinuousDoubleAuction, Gather
from jaxrl.envs.economy.gather_trade_build import (
    GatherTradeBuild,
    OpenGatherTradeBuild,
    ranked_payments,
)
from jaxrl.envs.economy.layouts import parse
from jaxrl.envs.economy.uniform import UniformMaps
from jaxrl.spaces import contains
from tests.unoptimised import jit

FIELD = ".SS.;....;.W.W;...."  # 4 x 4, corners free
NAMES = ("Stone", "Wood")


def shapes(env, params=None):
    """Shapes of observations, without making one."""
    params = strong(env.default_params if params is None else params)
    obs = jax.eval_shape(lambda key: env.reset_env(key, params)[0], jax.random.key(0))
    return jax.tree.map(lambda x: x.shape, obs)


@pytest.fixture(scope="module")
def small():
    """The paper's scenario on a map of 16 tiles."""
    env = GatherTradeBuild(layout=FIELD, reach=1)
    params = strong(env.default_params.replace(starting_coin=20.0))
    obs, state = jit(env.reset_env)(jax.random.key(0), params)
    return env, params, obs, state, jit(env.transition)


# Actions


def test_the_fifty_actions_by_name():
    env, _ = jaxrl.make("GatherTradeBuild-v1")
    orders = [
        f"ContinuousDoubleAuction.{side}_{name}/{price}"
        for name in NAMES
        for side in ("Buy", "Sell")
        for price in range(11)
    ]
    names = ("nothing", "Build", *orders, *[f"Gather/{i}" for i in range(4)])
    assert env.agent_choices.names == names and len(names) == 50
    assert env.role_action_space("agents").n == 50
    assert env.role_action_space("planner").nvec == (22,) * 7
    brackets = ("000", "009", "039", "084", "160", "204", "510")
    assert env.planner_choices.names == tuple(
        f"PeriodicBracketTax.TaxIndexBracket_{bracket}" for bracket in brackets
    )


def test_every_action_does_what_its_name_says(small):
    """Of the first agent, the others idle; each has a unit of each commodity and 20 coin."""
    env, params, _, start, _ = small
    start = start.replace(
        location=jnp.int32([[1, 1], [3, 0], [3, 3], [0, 0]]), units=jnp.ones((2, 4), jnp.int32)
    )
    run = jit(jax.vmap(env.transition, in_axes=(None, None, 0, None)))
    actions = jnp.zeros((50, 4), jnp.int32).at[:, 0].set(jnp.arange(50, dtype=jnp.int32))
    planner = jnp.zeros((50, 7), jnp.int32)
    draws = env.draw(jax.random.key(0))
    # Stone lies above and wood below: who goes there takes a unit, perhaps two.
    after, _, _ = run(start, draws, {"agents": actions, "planner": planner}, params)
    after = jax.device_get(after)
    steps = dict(zip(range(46, 50), ((0, -1), (0, 1), (-1, 0), (1, 0)), strict=True))
    book = after.own["ContinuousDoubleAuction"].book
    for number, name in enumerate(env.agent_choices.names):
        assert (after.house[number] == 0).sum() == (name == "Build")
        place = np.add((1, 1), steps.get(number, (0, 0)))
        np.testing.assert_array_equal(after.location[number, 0], place)
        bids, asks = {}, {}
        for i, commodity in enumerate(NAMES):
            for made, side in ((bids, book.bid_price), (asks, book.ask_price)):
                if side[number, i, 0].max() >= 0:
                    made[commodity] = int(side[number, i, 0].max())
        expected = {"Buy": {}, "Sell": {}}
        if name.startswith("ContinuousDoubleAuction"):
            choice, price = name.removeprefix("ContinuousDoubleAuction.").split("/")
            side, commodity = choice.split("_")
            expected[side][commodity] = int(price)
        assert (bids, asks) == (expected["Buy"], expected["Sell"])
        assert after.coin_escrow[number, 0] == sum(bids.values())
        labor = {"n": 0, "B": 10, "C": 0.25, "G": 1}[name[0]] + (name in ("Gather/2", "Gather/3"))
        assert after.labor[number, 0] == np.float32(labor), name
        for field in (after.house[number] > 0, after.coin_escrow[number, 1:]):
            assert not field.any()


def test_planners_choose_rates_by_bracket(small):
    env, params, obs, state, transition = small
    assert obs["planner"]["action_mask"].shape == (7, 22) and obs["planner"]["action_mask"].all()
    choice = jnp.int32([0, 1, 2, 3, 11, 20, 21])
    action = {"agents": jnp.zeros(4, jnp.int32), "planner": choice}
    after, _, events = transition(state, env.draw(jax.random.key(0)), action, params)
    rates = [0, 0, 0.05, 0.1, 0.5, 0.95, 1]
    np.testing.assert_allclose(after.own["PeriodicBracketTax"].rates, [rates], rtol=1e-6)
    np.testing.assert_allclose(events["PeriodicBracketTax"].rates, [rates], rtol=1e-6)


# Spaces and features


def test_shapes_and_features_of_the_paper():
    env, params = jaxrl.make("GatherTradeBuild-v1")
    assert env.name == "GatherTradeBuild-v1" and env.roles == {"agents": (4,), "planner": ()}
    found = shapes(env)
    assert found["agents"] == {
        "map": (4, 7, 11, 11),
        "idx_map": (4, 2, 11, 11),
        "flat": (4, 136),
        "action_mask": (4, 50),
    }
    assert found["planner"] == {"flat": (86,), "by_agent": (4, 6), "action_mask": (7, 22)}
    assert env.by_agent_features == (
        "PeriodicBracketTax-curr_marginal_rate",
        "PeriodicBracketTax-last_income",
        "PeriodicBracketTax-last_marginal_rate",
        "world-inventory-Coin",
        "world-inventory-Stone",
        "world-inventory-Wood",
    )
    widths = {}
    for name in env.agent_features:
        widths[name.split("/")[0]] = widths.get(name.split("/")[0], 0) + 1
    market = "ContinuousDoubleAuction-"
    kinds = ("available_asks", "available_bids", "my_asks", "my_bids", "price_history")
    assert widths == {
        "Build-build_payment": 1,
        "Build-build_skill": 1,
        "Gather-bonus_gather_prob": 1,
        **{f"{market}{kind}-{name}": 11 for kind in kinds for name in NAMES},
        **{f"{market}market_rate-{name}": 1 for name in NAMES},
        "PeriodicBracketTax-curr_rates": 7,
        "PeriodicBracketTax-is_first_day": 1,
        "PeriodicBracketTax-is_tax_day": 1,
        "PeriodicBracketTax-last_incomes": 4,
        "PeriodicBracketTax-marginal_rate": 1,
        "PeriodicBracketTax-tax_phase": 1,
        "time": 1,
        **{f"world-inventory-{name}": 1 for name in ("Coin", *NAMES)},
        "world-loc-col": 1,
        "world-loc-row": 1,
    }
    assert (len(env.agent_features), len(env.planner_features)) == (136, 86)
    assert params.max_steps_in_episode == 1000


def test_observations_are_in_their_spaces_and_say_what_is_so(small):
    env, params, obs, state, _ = small
    assert bool(contains(env.observation_space(params), obs))
    seen = dict(zip(env.agent_features, obs["agents"]["flat"].T, strict=True))
    np.testing.assert_allclose(seen["world-inventory-Coin"], 0.2, rtol=1e-6)
    assert not seen["time"].any()
    np.testing.assert_allclose(
        seen["Build-build_payment"], state.own["Build"].payment / 10, rtol=1e-6
    )
    later = state.replace(time=jnp.int32(250))
    seen = env.observe(jax.random.key(0), later, None, params)
    for role, names in (("agents", env.agent_features), ("planner", env.planner_features)):
        np.testing.assert_allclose(seen[role]["flat"][..., names.index("time")], 0.25)


@pytest.mark.parametrize(
    ("options", "roles"),
    [
        ({"tax": "us-federal"}, {"agents": (4,)}),
        ({"tax": "none"}, {"agents": (4,)}),
        ({"tax": "saez"}, {"agents": (4,)}),
        ({"tax": "fixed", "fixed_rates": (0.1,) * 7}, {"agents": (4,)}),
        ({"planners": 2}, {"agents": (4,), "planner": (2,)}),
        ({"planners": 3, "agents": 7}, {"agents": (7,), "planner": (3,)}),
        ({"planner_maps": True, "size": 15}, {"agents": (4,), "planner": ()}),
        ({"layout": "uniform", "size": 9, "agents": 2}, {"agents": (2,), "planner": ()}),
        ({"layout": UniformMaps((8, 13))}, {"agents": (4,), "planner": ()}),
        ({"simultaneous": True}, {"agents": (4,), "planner": ()}),
        ({"components": ("Build", "Gather"), "start": "random"}, {"agents": (4,)}),
        ({"cutoffs": (0, 5, 10), "rate_step": 0.1}, {"agents": (4,), "planner": ()}),
    ],
)
def test_options_make_games_whose_observations_are_in_their_spaces(options, roles):
    env = GatherTradeBuild(**{"layout": FIELD, "reach": 1, **options})
    if "size" in options and "layout" not in options:
        env = GatherTradeBuild(reach=1, **options)
        assert env.world.shape == (15, 15)
    assert env.roles == roles and env.planners == sum(roles.get("planner", (1,)) or (1,)) * (
        "planner" in roles
    )
    space, found = env.observation_space(), shapes(env)
    assert set(space.spaces) == set(found) == set(roles)
    for role, leaves in found.items():
        assert {name: child.shape for name, child in space.spaces[role].spaces.items()} == leaves
    if options.get("layout"):
        assert env.start_from == "random"
        assert found["agents"]["map"][1] == 6  # no water there


def test_cutoffs_of_ones_own_and_a_step_of_a_tenth():
    env = GatherTradeBuild(layout=FIELD, cutoffs=(0, 5, 10), rate_step=0.1)
    assert env.role_action_space("planner").nvec == (12,) * 3
    assert shapes(env)["planner"]["action_mask"] == (3, 12)


def test_two_planners_have_every_second_agent():
    env = GatherTradeBuild(layout=FIELD, planners=2)
    assert env.setting.groups == (0, 1, 0, 1)
    found = shapes(env)["planner"]
    assert found["flat"] == (2, 86) and found["by_agent"] == (2, 4, 6)
    assert found["action_mask"] == (2, 7, 22)


def test_together_agents_choose_for_each_component():
    env = GatherTradeBuild(layout=FIELD, simultaneous=True)
    assert env.role_action_space("agents").nvec == (2, 12, 12, 12, 12, 5)
    assert shapes(env)["agents"]["action_mask"] == (4, 6, 12)
    assert shapes(env)["agents"]["flat"] == (4, 136)


def test_the_free_market():
    env, params = jaxrl.make("GatherTradeBuild-Open-v1", layout=FIELD, reach=1)
    assert isinstance(env, OpenGatherTradeBuild) and env.name == "GatherTradeBuild-Open-v1"
    assert env.roles == {"agents": (4,)} and env.planners == 0
    obs, state = jit(env.reset_env)(jax.random.key(0), params)
    assert set(obs) == set(env.observation_space(params).spaces) == {"agents"}
    # Agents observe what they would under taxes.
    assert env.agent_features == GatherTradeBuild(layout=FIELD).agent_features
    state = state.replace(coin=jnp.float32([100, 0, 0, 0]))
    taxes = state.own["PeriodicBracketTax"].replace(position=jnp.int32(100))
    state = state.replace(own={**state.own, "PeriodicBracketTax": taxes})
    action = {"agents": jnp.zeros(4, jnp.int32)}
    _, after, reward, terminated, info = jit(env.step_env)(jax.random.key(0), state, action, params)
    np.testing.assert_array_equal(after.coin, [100, 0, 0, 0])
    np.testing.assert_array_equal(info["PeriodicBracketTax"].income, [100, 0, 0, 0])
    assert set(reward) == {"agents"} and not terminated
    assert "planner" not in env.action_space(params).spaces
    with_taxes = OpenGatherTradeBuild(layout=FIELD, tax="us-federal")
    assert with_taxes.components[3].system == "us-federal"


# Where agents begin


def test_agents_begin_in_corners_by_skill():
    """Payments are those that the paper states."""
    env = GatherTradeBuild(layout=FIELD)
    params = strong(env.default_params)
    states = jit(jax.vmap(lambda key: env.reset_env(key, params)[1]))(
        jax.random.split(jax.random.key(0), 30)
    )
    payment = np.asarray(states.own["Build"].payment)
    rank = np.argsort(np.argsort(payment, axis=1), axis=1)
    np.testing.assert_allclose(payment, np.array([11.33, 13.27, 16.47, 22.25])[rank], atol=0.01)
    corners = np.array([(0, 3), (3, 0), (0, 0), (3, 3)])  # the least skilled first
    np.testing.assert_array_equal(states.location, corners[rank])
    assert len({tuple(row) for row in rank.tolist()}) > 10
    # The skill that is shown was drawn apart.
    assert (states.own["Build"].skill.std(axis=0) > 0.05).all()


def test_ranked_payments():
    np.testing.assert_allclose(
        ranked_payments(4, 3.0, 10.0), [11.33, 13.27, 16.47, 22.25], atol=0.005
    )
    np.testing.assert_allclose(ranked_payments(3, 1.0, 20.0), [20] * 3)
    pay = ranked_payments(9, 2.0, 1.0)
    assert (np.diff(pay) > 0).all() and pay[0] >= 1 and pay[-1] <= 2


def test_random_starts_are_paid_as_drawn():
    env = GatherTradeBuild(layout=FIELD, start="random", max_multiplier=2.0)
    params = strong(env.default_params)
    assert params.rules["Build"].max_multiplier == 2
    _, state = jit(env.reset_env)(jax.random.key(1), params)
    own = state.own["Build"]
    np.testing.assert_allclose(own.payment, 10 * np.minimum(2, own.skill + 1), rtol=1e-5)
    params = params.replace(
        rules={**params.rules, "Build": params.rules["Build"].replace(max_multiplier=1.0)}
    )
    _, state = jit(env.reset_env)(jax.random.key(1), params)
    np.testing.assert_allclose(state.own["Build"].payment, 10)


def test_a_builder_of_ones_own():
    """A subclass is ranked under its own name, and any other component may be called Build."""

    @dataclasses.dataclass(frozen=True)
    class Mason(Build):
        pass

    env = GatherTradeBuild(layout=FIELD, components=(Mason(skills="pareto"), Gather()))
    params = strong(env.default_params)
    _, state = jit(env.reset_env)(jax.random.key(0), params)
    np.testing.assert_allclose(
        np.sort(state.own["Mason"].payment), [11.33, 13.27, 16.47, 22.25], atol=0.01
    )
    assert params.rules["Mason"].max_multiplier == 3

    @dataclasses.dataclass(frozen=True)
    class Called(Gather):
        @property
        def name(self):
            return "Build"

    env = GatherTradeBuild(layout=FIELD, components=(Called(),), start="random")
    assert env.default_params.rules["Build"].move_labor == 1


def test_names_of_components_stand_for_their_defaults():
    env = GatherTradeBuild(
        layout=FIELD, components=("ContinuousDoubleAuction", "Gather"), start="random",
        simultaneous=True,
    )  # fmt: skip
    assert env.components[0].where.simultaneous
    assert [c.name for c in env.components] == ["ContinuousDoubleAuction", "Gather"]


# Layouts


def test_layouts_by_text_file_and_row(tmp_path):
    path = tmp_path / "field.txt"
    path.write_text(FIELD.replace(";", "\n") + "\n", encoding="utf-8")
    made = [
        GatherTradeBuild(layout=layout).world.layout
        for layout in (FIELD, FIELD.replace(";", "\n"), str(path), parse(FIELD))
    ]
    for layout in made:
        np.testing.assert_array_equal(layout.sources, parse(FIELD).sources)
    row = GatherTradeBuild(layout="W.S..@", start="random").world
    assert row.shape == (1, 6) and row.layout.water.tolist() == [[False] * 5 + [True]]


# Parameters that are swept


def test_parameters_may_be_mapped_over():
    env, params = jaxrl.make(
        "GatherTradeBuild-v1",
        layout=FIELD,
        reach=1,
        tax="fixed",
        fixed_rates=(0.5,) * 7,
        starting_coin=30.0,
    )
    batch = {
        "labor_cost": [0.1, 0.4],
        "eta": [0.0, 0.5],
        "starting_coin": [30.0, 12.0],
        "regrowth": [[0.0, 0.0], [1.0, 1.0]],
        "max_units": [[1, 1], [2, 3]],
        "max_steps_in_episode": [5, 1],
        "rules.PeriodicBracketTax.period": [1, 2],
        "rules.PeriodicBracketTax.rates": [[0.0] * 7, [1.0] * 7],
        "rules.Build.labor": [10.0, 4.0],
        "rules.Gather.move_labor": [1.0, 0.5],
        "rules.ContinuousDoubleAuction.order_labor": [0.25, 1.0],
        "rules.ContinuousDoubleAuction.lifetime": [1, 50],
    }
    many = params
    for name, values in batch.items():
        many = jaxrl.registry.replaced(many, name, values)
    env.check_params(many)
    axes = jax.tree.map(lambda x, y: 0 if jnp.shape(x) != jnp.shape(y) else None, many, params)

    def play(params):
        obs, state = env.reset_env(jax.random.key(3), params)
        builds = {"agents": jnp.int32([1, 2 + 4, 0, 0])}  # 0 builds, 1 bids 4 for stone
        state = state.replace(units=jnp.ones((2, 4), jnp.int32))
        obs, state, reward, terminated, _ = env.step_env(jax.random.key(4), state, builds, params)
        return obs, state, reward, terminated

    found = jit(jax.vmap(play, in_axes=(axes,)))(many)
    for index in range(2):
        single = params
        for name, values in batch.items():
            single = jaxrl.registry.replaced(single, name, values[index])
        alone = jit(play)(single)
        one = jax.tree.map(lambda x, index=index: x[index], found)
        for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(
                np.asarray(x, float), np.asarray(y, float), rtol=1e-5, atol=1e-5
            )
    _, state, _, terminated = found
    assert terminated.tolist() == [False, True]
    np.testing.assert_allclose(state.labor[:, :2], [[10, 0.25], [4, 1]])
    assert state.resources[1].max() == 2 and state.resources[0].max() == 1


# Parts


def test_a_market_for_agents_who_do_two_things_at_once_is_told_so():
    market = ContinuousDoubleAuction()
    env = GatherTradeBuild(layout=FIELD, components=(Build(skills="pareto"), market))
    assert not env.components[1].where.simultaneous
