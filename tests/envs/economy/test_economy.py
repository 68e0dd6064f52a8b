"""An economy with a user's own component, its episodes, rewards and spaces; by hand."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxrl.envs.economy.components import Gather, PeriodicBracketTax, WealthRedistribution
from jaxrl.envs.economy.components.component import Component, Features, Subspace
from jaxrl.envs.economy.layouts import Layout
from jaxrl.envs.economy.limits import check_limits
from jaxrl.envs.economy.uniform import UniformMaps
from jaxrl.envs.economy.world import fixed_world, random_world
from jaxrl.spaces import contains
from tests.envs.economy.small_worlds import economy
from tests.unoptimised import jit


class WagesParams(struct.PyTreeNode):
    """Coin for each of the two jobs."""

    wage: float = 2.0


class WagesState(struct.PyTreeNode):
    """Work in this episode, and the bonus of those before, which grows by 1 an episode."""

    worked: jax.Array
    bonus: jax.Array


@dataclasses.dataclass(frozen=True)
class Wages(Component):
    """Two jobs, the second of which is paid double; planners add 0 to 2 coin to all wages."""

    advised: bool = True

    def agent_actions(self):
        return (Subspace("job", 2), Subspace("rest", 1))

    def planner_actions(self):
        return (Subspace("extra", 2),)

    def params(self):
        return WagesParams()

    def check_params(self, params):
        check_limits(params, "Wages", wage=(0, None))

    def reset(self, key, state, params, before=None):
        bonus = jnp.float32(0) if before is None else before.bonus + jnp.float32(1)
        own = WagesState(jnp.zeros(self.where.agents, jnp.int32), bonus)
        return state.replace(own={**state.own, self.name: own})

    def draw(self, key):
        return jax.random.uniform(key, (self.where.agents,), jnp.float32)

    def step(self, state, turn, params):
        own, job = state.own[self.name], turn.agents["job"]
        extra = turn.planners["extra"][jnp.asarray(self.where.groups)]
        paid = job.astype(jnp.float32) * params.wage + extra.astype(jnp.float32) + own.bonus
        paid = jnp.where(job > 0, paid, 0)
        labor = jnp.where(turn.agents["rest"] > 0, jnp.float32(0), state.labor + 1)
        own = own.replace(worked=own.worked + (job > 0).astype(jnp.int32))
        return (
            state.replace(coin=state.coin + paid, labor=labor, own={**state.own, self.name: own}),
            {"paid": paid},
        )

    def observe(self, state, params):
        own = state.own[self.name]
        everyone = self.where.agents
        planners = jnp.arange(self.where.planners, dtype=jnp.float32)
        return Features(
            agents={"worked": own.worked.astype(jnp.float32)},
            planner={"wage": jnp.asarray(params.wage), "number": planners, "pair": jnp.ones(2)},
            by_agent={"grid": jnp.broadcast_to(jnp.arange(3.0), (everyone, 3))},
            per_planner=("number",),
        )

    def agent_masks(self, state, params):
        if not self.advised:
            return super().agent_masks(state, params)
        tired = state.own[self.name].worked >= 2
        job = jnp.stack([~tired, jnp.ones_like(tired)], axis=1)
        return {"job": job, "rest": tired[:, None]}


def transition(env, state, action, params, key=0):
    return jit(env.transition)(state, env.draw(jax.random.key(key)), action, params)


@pytest.fixture(scope="module")
def wages():
    """Gather first, so that its actions are 1 to 4 and those of Wages 5 to 7."""
    env, params = economy(Gather(), Wages())
    obs, state = jit(env.reset_env)(jax.random.key(0), params)
    return env, params, obs, state, jit(env.transition), jit(env.observe)


def test_own_actions_follow_in_the_order_of_components(wages):
    env, _, _, _, _, _ = wages
    assert env.agent_choices.names == (
        "nothing",
        *[f"Gather/{i}" for i in range(4)],
        "Wages.job/0",
        "Wages.job/1",
        "Wages.rest",
    )
    assert env.planner_choices.names == ("Wages.extra",)
    assert env.role_action_space("agents").n == 8
    np.testing.assert_array_equal(env.role_action_space("planner").nvec, [3])
    assert env.roles == {"agents": (2,), "planner": ()}
    assert env.default_params.rules["Wages"].wage == 2.0


def test_own_actions_reach_the_component(wages):
    env, params, _, state, step, _ = wages
    for actions, extra, paid in (((5, 6), 2, (4, 6)), ((7, 0), 1, (0, 0)), ((6, 1), 0, (4, 0))):
        action = {"agents": jnp.asarray(actions), "planner": jnp.asarray([extra])}
        after, rewards, events = step(state, env.draw(jax.random.key(0)), action, params)
        np.testing.assert_array_equal(events["Wages"]["paid"], paid)
        np.testing.assert_array_equal(after.coin, paid)
        assert after.own["Wages"].worked.tolist() == [int(p > 0) for p in paid]
        labor = np.array([0 if a == 7 else 1 for a in actions]) + np.asarray(
            events["Gather"]["moved"], np.float32
        )
        coin = np.array(paid, float)
        utility = (coin**0.77 - 1) / 0.77 - 0.21 * np.where(np.array(actions) == 7, 0, labor)
        np.testing.assert_allclose(rewards["agents"], utility - (-1 / 0.77), rtol=1e-5)
        # Two agents: equality is 1 - |a - b| / (a + b); times productivity over 2.
        share = 1 - abs(coin[0] - coin[1]) / coin.sum() if coin.sum() else 1
        np.testing.assert_allclose(rewards["planner"], share * coin.sum() / 2, atol=1e-5)


def test_own_features_and_masks_are_seen(wages):
    env, params, obs, state, _, observe = wages
    assert "Wages-worked" in env.agent_features
    assert [n for n in env.planner_features if n.startswith("Wages")] == [
        "Wages-number",
        "Wages-pair/0",
        "Wages-pair/1",
        "Wages-wage",
    ]
    assert [n for n in env.by_agent_features if n.startswith("Wages")] == [
        f"Wages-grid/{i}" for i in range(3)
    ]
    assert obs["agents"]["action_mask"][:, 5:].tolist() == [[True, True, False]] * 2
    own = state.own["Wages"].replace(worked=jnp.int32([0, 3]))
    obs = observe(jax.random.key(0), state.replace(own={**state.own, "Wages": own}), None, params)
    assert obs["agents"]["action_mask"][:, 5:].tolist() == [
        [True, True, False],
        [False, True, True],
    ]
    assert obs["agents"]["action_mask"][:, 0].all()
    column = env.agent_features.index("Wages-worked")
    np.testing.assert_array_equal(obs["agents"]["flat"][:, column], [0, 3])
    first = env.by_agent_features.index("Wages-grid/0")
    np.testing.assert_array_equal(obs["planner"]["by_agent"][:, first : first + 3], [[0, 1, 2]] * 2)
    assert obs["planner"]["flat"][env.planner_features.index("Wages-wage")] == 2
    # The planner's mask was not given: it may choose all.
    assert obs["planner"]["action_mask"].tolist() == [[True, True, True]]
    for names, leaf in (
        (env.agent_features, obs["agents"]["flat"]),
        (env.planner_features, obs["planner"]["flat"]),
        (env.by_agent_features, obs["planner"]["by_agent"]),
    ):
        assert leaf.shape[-1] == len(names) and list(names) == sorted(names)


def test_a_component_that_gives_no_masks_allows_everything():
    env, params = economy(Wages(advised=False))
    obs, _ = env.reset_env(jax.random.key(0), params)
    assert obs["agents"]["action_mask"].tolist() == [[True] * 4] * 2


def test_own_state_goes_on_and_the_rest_is_fresh():
    env, params = economy(Gather(), Wages(), PeriodicBracketTax(system="saez", buffer=12))
    params = params.replace(starting_coin=jnp.float32(3))
    _, state = jit(env.reset_env)(jax.random.key(0), params)
    step, begin = jit(env.transition), jit(env.next_episode)
    action = {"agents": jnp.int32([6, 6]), "planner": jnp.int32([0])}
    for _ in range(3):
        state, _, _ = step(state, env.draw(jax.random.key(1)), action, params)
    taxes = state.own["PeriodicBracketTax"]
    learned = taxes.saez.replace(average_rates=jnp.full((1, 7), 0.25), count=jnp.int32([5]))
    taxes = taxes.replace(saez=learned, last_income=jnp.float32([1, 2]), position=jnp.int32(9))
    state = state.replace(own={**state.own, "PeriodicBracketTax": taxes})
    obs, after = begin(jax.random.key(2), state, params)
    assert (after.completions, after.positive_steps, after.time) == (1, state.positive_steps, 0)
    assert state.positive_steps == 3 and after.own["Wages"].bonus == 1
    assert not after.own["Wages"].worked.any() and not after.labor.any()
    np.testing.assert_array_equal(after.coin, [3, 3])
    now = after.own["PeriodicBracketTax"]
    np.testing.assert_array_equal(now.rates, np.full((1, 7), 0.25))
    np.testing.assert_array_equal(now.saez.count, [5])
    assert now.position == 1 and not now.last_income.any()
    np.testing.assert_array_equal(now.last_coin, [3, 3])
    assert bool(contains(env.observation_space(params), obs))
    # A reset forgets everything.
    _, fresh = env.reset_env(jax.random.key(2), params)
    assert (fresh.completions, fresh.positive_steps, fresh.own["Wages"].bonus) == (0, 0, 0)


@pytest.mark.parametrize("annealing", ["episodes", "positive_steps"])
def test_the_cost_of_labour_grows_with_progress(annealing):
    env, params = economy(Wages(), annealing=annealing)
    params = params.replace(labor_annealing=jnp.float32(5))
    _, state = env.reset_env(jax.random.key(0), params)
    state = state.replace(
        labor=jnp.float32([10, 0]), completions=jnp.int32(2), positive_steps=jnp.int32(7)
    )
    progress = 2 if annealing == "episodes" else 7
    utility, _ = env.objectives(state, params)
    cost = 0.21 * (1 - np.exp(-progress / 5)) * 10
    np.testing.assert_allclose(utility, [-1 / 0.77 - cost, -1 / 0.77], rtol=1e-5)


def test_steps_count_as_positive_by_the_mean_reward():
    env, params = economy(Wages())
    _, state = env.reset_env(jax.random.key(0), params)
    run = jit(env.transition)
    draws = env.draw(jax.random.key(0))
    # One earns, and both work for it; then both only work; then nobody has worked.
    for actions, count in (((2, 0), 1), ((0, 0), 1), ((3, 3), 2)):
        action = {"agents": jnp.int32(actions), "planner": jnp.int32([0])}
        state, rewards, _ = run(state, draws, action, params)
        assert state.positive_steps == count, rewards
    assert state.time == 3 and state.completions == 0


def test_planners_judge_their_own_agents_apart():
    welfares = {
        "coin_eq_times_productivity": lambda coin, utility: (
            (1 - abs(coin[0] - coin[1]) / coin.sum()) * coin.sum() / 2
        ),
        "inv_income_weighted_coin_endowments": lambda coin, utility: (
            (coin / np.maximum(coin, 1)).sum() / (1 / np.maximum(coin, 1)).sum()
        ),
        "inv_income_weighted_utility": lambda coin, utility: (
            (utility / np.maximum(coin, 1)).sum() / (1 / np.maximum(coin, 1)).sum()
        ),
    }
    coin = np.array([1.0, 4.0, 2.0, 6.0])
    for name, by_hand in welfares.items():
        env, params = economy(Wages(), agents=4, groups=[0, 1, 1, 0], welfare=name)
        assert env.planners == 2 and env.roles["planner"] == (2,)
        _, state = env.reset_env(jax.random.key(0), params)
        state = state.replace(coin=jnp.asarray(coin, jnp.float32))
        utility, welfare = env.objectives(state, params)
        expected = [by_hand(coin[[0, 3]], np.asarray(utility)[[0, 3]])]
        expected.append(by_hand(coin[[1, 2]], np.asarray(utility)[[1, 2]]))
        np.testing.assert_allclose(welfare, expected, rtol=1e-5)
    # Each chooses for its own, and sees what is its own.
    action = {"agents": jnp.full(4, 1, jnp.int32), "planner": jnp.int32([[2], [0]])}
    after, rewards, events = transition(env, state, action, params)
    np.testing.assert_array_equal(events["Wages"]["paid"], [4, 2, 2, 4])
    assert rewards["planner"].shape == (2,)
    obs = env.observe(jax.random.key(0), after, None, params)
    assert bool(contains(env.observation_space(params), obs))
    number = env.planner_features.index("Wages-number")
    np.testing.assert_array_equal(obs["planner"]["flat"][:, number], [0, 1])


def test_an_equality_weight_of_half():
    env, params = economy(Wages())
    params = params.replace(equality_weight=jnp.float32(0.5))
    _, state = env.reset_env(jax.random.key(0), params)
    _, welfare = env.objectives(state.replace(coin=jnp.float32([1, 3])), params)
    np.testing.assert_allclose(welfare, [(0.5 * 0.5 + 0.5) * 4 / 2], rtol=1e-6)


def test_what_is_measured():
    env, params = economy(Wages())
    _, state = env.reset_env(jax.random.key(0), params)
    state = state.replace(
        coin=jnp.float32([1, 2]),
        coin_escrow=jnp.float32([0, 1]),
        labor=jnp.float32([2, 5]),
        utility=jnp.float32([1, 4]),
        house=state.house.at[0, 0].set(1).at[1, 3].set(0),
    )
    found = {name: float(value) for name, value in env.measures(state).items()}
    expected = {"equality": 0.5, "productivity": 4, "equality_times_productivity": 1}
    assert found == pytest.approx({**expected, "utility": 2.5, "labor": 3.5, "houses": 2})
    assert env.episode_metrics({**env.measures(state), "Wages": {}}).keys() == found.keys()


# Actions that are chosen together


def test_one_of_each_choice_at_once():
    env, params = economy(Gather(), Wages(), simultaneous=True)
    assert env.agent_choices.names == ("Gather", "Wages.job", "Wages.rest")
    np.testing.assert_array_equal(env.role_action_space("agents").nvec, [5, 3, 2])
    obs, state = env.reset_env(jax.random.key(0), params)
    assert obs["agents"]["action_mask"].shape == (2, 3, 5)
    assert obs["agents"]["action_mask"][0, 1].tolist() == [True, True, True, False, False]
    state = state.replace(location=jnp.int32([[1, 1], [2, 2]]))
    # What is beyond the choices is nothing.
    action = {"agents": jnp.int32([[2, 2, 1], [-1, 3, 9]]), "planner": jnp.int32([3])}
    after, _, events = transition(env, state, action, params)
    assert after.location.tolist() == [[1, 2], [2, 2]]
    np.testing.assert_array_equal(events["Wages"]["paid"], [4, 0])
    np.testing.assert_array_equal(after.labor, [0, 1])


def test_the_same_key_gives_the_same_episode_alone_and_in_a_batch():
    env, params = economy(Gather(skills="pareto"), Wages(), PeriodicBracketTax(system="none"))
    space = env.action_space(params)

    def episode(key):
        key_reset, key_steps = jax.random.split(key)

        def step(state, key):
            key_act, key_step = jax.random.split(key)
            obs, state, reward, done, info = env.step_env(
                key_step, state, space.sample(key_act), params
            )
            return state, (obs, reward, done, info)

        obs, state = env.reset_env(key_reset, params)
        return obs, jax.lax.scan(step, state, jax.random.split(key_steps, 12))

    keys = jax.random.split(jax.random.key(5), 3)
    alone, batch = jit(episode), jit(jax.vmap(episode))
    found = batch(keys)
    for number in range(3):
        first, again = alone(keys[number]), alone(keys[number])
        one = jax.tree.map(lambda x, number=number: x[number], found)
        triples = zip(*(jax.tree.leaves(x) for x in (first, again, one)), strict=True)
        for x, y, z in triples:
            np.testing.assert_array_equal(x, y)
            if x.dtype == jnp.float32:
                np.testing.assert_allclose(x, z, rtol=1e-6, atol=1e-6)
            else:
                np.testing.assert_array_equal(x, z)
    assert not np.array_equal(found[1][0].location[0], found[1][0].location[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: economy(Gather(), agents=1), "agents must be a whole number of at least 2, got 1"),
        (lambda: economy(Gather(), agents=2.0), "agents must be a whole number .* got 2.0"),
        (lambda: economy(Gather(), agents=126), "agents must be at most 125, got 126"),
        (lambda: economy(Gather(), agents=12), "12 agents do not find as many tiles without water"),
        (
            lambda: economy(Gather(), agents=9, world=random_world(UniformMaps((2, 4)))),
            "9 agents do not find as many tiles",
        ),
        (lambda: economy(), "must have different names and be at least one, got"),
        (lambda: economy(Gather(), Gather(skills="pareto")), "different names .*Gather.*Gather"),
        (lambda: economy("Gather"), "components must be `Component`s, got 'Gather'"),
        (lambda: economy(WealthRedistribution()), "no component has actions for agents"),
        (lambda: economy(Gather(), groups=3), "groups must be a sequence, got 3"),
        (lambda: economy(Gather(), simultaneous="no"), "simultaneous must be True or False, got"),
        (lambda: economy(Gather(), groups=[0]), "groups must give each of 2 agents a planner"),
        (lambda: economy(Gather(), groups=[0, 1]), "with at least 2 agents each, got"),
        (lambda: economy(Gather(), agents=4, groups=[0, 0, 2, 2]), "numbered from 0"),
        (lambda: economy(Gather(), groups=[0, 0.5]), "a planner in groups must be a whole number"),
        (lambda: economy(Gather(), reach=-1), "reach must be a whole number of at least 0, got -1"),
        (lambda: economy(Gather(), welfare="gdp"), "welfare must be one of coin_eq_times"),
        (lambda: economy(Gather(), annealing="time"), "annealing must be one of episodes, pos"),
        (lambda: economy(Gather(), regrowth_reach=(1,)), "regrowth_reach needs one number for"),
        (lambda: economy(Gather(), regrowth_reach=(1, 4)), "regrowth_reach must be at most 3"),
        (
            lambda: fixed_world(Layout(np.ones((2, 1, 1), bool), np.zeros((1, 1), bool))),
            "a tile of a layout is one thing",
        ),
        (lambda: economy(_Choices("a", "a")), "choices of _Choices must have different names"),
        (lambda: economy(_Choices("a", size=0)), "the size of _Choices.a must be a whole number"),
    ],
)
def test_what_is_no_economy_is_refused(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"eta": 1.5}, "eta must be at least 0 and at most 1, got 1.5"),
        ({"labor_cost": -1.0}, "labor_cost must be at least 0, got -1.0"),
        ({"labor_cost": np.inf}, "labor_cost must be at least 0 and finite, got inf"),
        ({"starting_coin": np.nan}, "starting_coin must be at least 0, got nan"),
        ({"equality_weight": 2.0}, "equality_weight must be at least 0 and at most 1"),
        ({"regrowth": jnp.float32([0.5, 1.5])}, "regrowth must be at least 0 and at most 1, got"),
        ({"regrowth": jnp.float32([0.5])}, "regrowth needs one number for each of"),
        ({"max_units": jnp.int32([0, 1])}, "max_units must be at least 1 and at most 100, got 0"),
        ({"max_units": jnp.int32(1)}, "max_units needs one number"),
        ({"max_steps_in_episode": 0}, "max_steps_in_episode must be at least 1"),
        ({"rules": {"Wages": WagesParams(wage=-2.0)}}, r"Wages\.wage must be at least 0, got -2"),
        ({"eta": np.array([0.1, -0.1])}, "eta must be at least 0 .* got -0.1"),
    ],
)
def test_numbers_beyond_their_limits_are_refused(numbers, message):
    env, params = economy(Wages())
    env.check_params(params)
    with pytest.raises(ValueError, match=message):
        env.check_params(params.replace(**numbers))


@dataclasses.dataclass(frozen=True)
class _ChoicesOf(Component):
    given: Any = ()

    @property
    def name(self):
        return "_Choices"

    def agent_actions(self):
        return self.given


def _Choices(*names, size=2):  # noqa: N802
    return _ChoicesOf(tuple(Subspace(name, size) for name in names))
