"""The tasks: Crafter's own, each achievement alone, and with a goal in the state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import goals as goals_module
from jaxrl.envs.crafter_oo.environment import Symbolic
from jaxrl.envs.crafter_oo.goals import (
    GOAL_SLICE,
    GoalConditioned,
    GoalState,
    draw_goal,
    goal_of,
    with_goal,
    world_of,
)
from jaxrl.envs.crafter_oo.observations import SYMBOLIC_SIZE
from jaxrl.envs.crafter_oo.tasks import make_task
from jaxrl.play import crafter_oo as play
from jaxrl.spaces import contains
from tests.envs.crafter_oo.small_worlds import X, Y, world
from tests.unoptimised import jit

AHEAD = (X, Y + 1)
AREA, CAPACITY = (24, 24), 24
STATIONS = {(X - 1, Y): "table", (X + 1, Y): "furnace"}
RICH = dict.fromkeys(("sapling", "wood", "stone", "coal", "iron"), 4)
TOOLS = dict.fromkeys(("wood_pickaxe", "stone_pickaxe", "iron_pickaxe"), 1)
NUM = len(c.ACHIEVEMENTS)


def scene(achievement):
    """A world in which one action achieves it, and the action."""
    verb, thing = achievement.split("_", 1)
    if verb in ("make", "place"):
        return world(materials=STATIONS, items=RICH, capacity=CAPACITY), achievement
    if achievement == "wake_up":
        return world(sleeping=True, capacity=CAPACITY), "noop"
    if verb == "collect":
        material = {"drink": "water", "sapling": "grass", "wood": "tree"}.get(thing, thing)
        return world(materials={AHEAD: material}, items=TOOLS, capacity=CAPACITY), "do"
    full = {"counter": 301} if thing == "plant" else {"health": 1}
    return world([(thing, *AHEAD, full)], capacity=CAPACITY), "do"


@pytest.fixture(scope="module")
def goals():
    """A goal-conditioned environment whose grass always gives a sapling."""
    always = np.ones(len(c.MATERIALS), np.float32)
    overrides = {"rules.recipes.collect_probability": always}
    return jaxrl.make(
        "CrafterOO-Symbolic-v1", task="goal", area=AREA, capacity=CAPACITY, near=8, **overrides
    )


@pytest.fixture(scope="module")
def scenes():
    """The worlds of all 22 achievements, [22], and the actions."""
    states, actions = zip(*(scene(name) for name in c.ACHIEVEMENTS), strict=True)
    actions = jnp.asarray([c.action(name) for name in actions], jnp.int32)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states), actions


@pytest.fixture(scope="module")
def stepped(goals, scenes):
    """Each of the 22 worlds stepped under each of the 22 goals: [22, 22] of a transition."""
    env, params = goals
    step = jax.vmap(env.step_env, (None, GoalState(None, 0), None, None))
    step = jit(jax.vmap(step, (None, GoalState(0, None), 0, None)))
    states = GoalState(scenes[0], jnp.arange(NUM, dtype=jnp.int32))
    return jax.device_get(step(jax.random.key(0), states, scenes[1], params))


def test_a_goal_is_paid_and_ends_the_episode_when_it_is_achieved(stepped):
    obs, state, reward, terminated, info = stepped
    np.testing.assert_array_equal(reward, np.eye(NUM, dtype=np.float32))
    np.testing.assert_array_equal(terminated, np.eye(NUM, dtype=bool))
    np.testing.assert_array_equal(info["discount"], 1 - np.eye(NUM, dtype=np.float32))
    np.testing.assert_array_equal(state.goal, np.tile(np.arange(NUM), (NUM, 1)))
    assert obs.shape == (NUM, NUM, SYMBOLIC_SIZE + NUM)
    shown = np.broadcast_to(np.eye(NUM), (NUM, NUM, NUM))
    np.testing.assert_array_equal(obs[..., GOAL_SLICE], shown)


@pytest.mark.parametrize("name", c.ACHIEVEMENTS)
def test_an_achievement_is_a_task(name, stepped, scenes, goals):
    before, after, rules = scenes[0], stepped[1].world, goals[1].rules
    task, mine = make_task(name), np.arange(NUM) == c.achievement(name)
    after = jax.tree.map(lambda x: jnp.asarray(x[:, 0]), after)
    paid = jax.vmap(task.reward, (0, 0, None))(before, after, rules)
    np.testing.assert_array_equal(paid, mine.astype(np.float32))
    np.testing.assert_array_equal(jax.vmap(task.terminated)(after), mine)
    # What was achieved already is not paid again.
    assert not jax.vmap(task.reward, (0, 0, None))(after, after, rules).any()


def test_death_ends_every_task():
    alive, dead = world(), world(items={"health": 0})
    for name in ("all", *c.ACHIEVEMENTS):
        task = make_task(name)
        assert not bool(task.terminated(alive)) and bool(task.terminated(dead)), name


def test_the_standard_reward(goals):
    rules, task = goals[1].rules, make_task("all")
    before = world(items={"health": 5})
    for health, achieved, paid in [(5, [], 0.0), (6, [], 0.1), (3, [], -0.2), (3, [0, 21], 0.8)]:
        unlocked = jnp.zeros(NUM, jnp.int32).at[jnp.asarray(achieved, jnp.int32)].set(1)
        player = world(items={"health": health}).player.replace(unlocked=unlocked)
        after = before.replace(player=player)
        assert float(task.reward(before, after, rules)) == pytest.approx(paid)
        assert not bool(task.terminated(after))


def test_worlds_are_the_same_with_a_goal(goals):
    env, params = goals
    keys = jax.random.split(jax.random.key(3), 8)

    @jit
    @jax.vmap
    def both(key):
        return env.reset_env(key, params), env.unwrapped.reset_env(key, params)

    (obs, state), plain = both(keys)
    np.testing.assert_array_equal(obs[:, :SYMBOLIC_SIZE], plain[0])
    jax.tree.map(np.testing.assert_array_equal, state.world, plain[1])
    np.testing.assert_array_equal(np.argmax(obs[:, GOAL_SLICE], axis=1), state.goal)
    assert len(set(state.goal.tolist())) > 3


def test_no_key_is_used_for_a_goal_and_a_world():
    key = jax.random.key(0)
    for_world = jax.random.key_data(jax.random.split(key)).tolist()
    for_goal = jax.random.key_data(jax.random.fold_in(key, goals_module._GOAL)).tolist()
    assert for_goal not in for_world


def test_each_goal_is_as_likely_as_another():
    goal = jit(jax.vmap(draw_goal))(jax.random.split(jax.random.key(4), 4400))
    counts = np.bincount(goal, minlength=NUM)
    # 200 are expected; 21 degrees of freedom, 1 in 1000 above 46.8.
    assert len(counts) == NUM and ((counts - 200) ** 2 / 200).sum() < 46.8


def test_a_goal_can_be_set(goals):
    env, params = goals
    state = GoalState(world(capacity=CAPACITY), jnp.int32(3))
    assert goal_of(state) == "collect_iron" and int(state.time) == 0
    changed = with_goal(state, "wake_up")
    assert goal_of(changed) == "wake_up" and changed.goal.dtype == jnp.int32
    assert world_of(changed) is state.world and world_of(state.world) is state.world
    batch = with_goal(state.replace(goal=jnp.zeros(5, jnp.int32)), "eat_cow")
    assert batch.goal.tolist() == [c.achievement("eat_cow")] * 5
    with pytest.raises(ValueError, match="unknown goal 'win'; known are collect_coal"):
        with_goal(state, "win")


@pytest.mark.parametrize("name", ["Symbolic", "Pixels", "OO"])
def test_every_id_shows_the_goal(name):
    env, params = jaxrl.make(f"CrafterOO-{name}-v1", task="goal", area=AREA)
    assert isinstance(env, GoalConditioned) and env.name == f"CrafterOO-{name}-v1"
    assert env.num_actions == 17 and env.action_space(params).n == 17
    assert env.reset_chunk(512) == env.unwrapped.reset_chunk(512)
    state = GoalState(world(capacity=CAPACITY), jnp.int32(2))
    obs = jit(env.observe)(jax.random.key(0), state, jnp.int32(0), params)
    assert bool(contains(env.observation_space(params), obs))
    shown = obs[GOAL_SLICE] if name == "Symbolic" else obs["goal"]
    np.testing.assert_array_equal(shown, np.arange(NUM) == 2)
    if name == "Pixels":
        assert set(obs) == {"image", "goal"} and obs["image"].shape == (64, 64, 3)


def test_the_goal_is_told_when_played():
    state = GoalState(world(), jnp.int32(c.achievement("eat_cow")))
    title, entries = play.status(state)[0]
    assert title == "goal" and entries == (play.Entry("eat cow"),)
    assert [section.title for section in play.status(state.world)][0] == "inventory"


def test_unknown_tasks_name_all():
    with pytest.raises(ValueError, match="unknown task 'win'; known are all, goal, collect_coal"):
        jaxrl.make("CrafterOO-Symbolic-v1", task="win")
    with pytest.raises(ValueError, match=r"GoalConditioned\(env\)"):
        Symbolic(task="goal")
