"""The environments: arguments, rules by name, episodes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import episodes
from jaxrl.config import parse_overrides
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import limits
from jaxrl.envs.crafter_oo import rules as rule_sets
from tests.envs.crafter_oo.small_worlds import X, Y, world
from tests.unoptimised import jit

ID = "CrafterOO-Symbolic-v1"
SMALL = {"area": (24, 24), "capacity": 48, "near": 48}


@functools.cache
def small():
    """A small environment, and its compiled step over a batch of everything."""
    env, params = jaxrl.make(ID, **SMALL)
    return env, params, jit(jax.vmap(env.step_env)), jit(env.reset_env)


def repeated(tree, count):
    return jax.tree.map(lambda x: jnp.stack([x] * count), tree)


def batch(*states):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


@pytest.mark.parametrize(
    ("area", "capacity", "near"),
    [((64, 64), 192, 48), ((128, 128), 768, 48), ((9, 9), 48, 48), ((768, 768), 27_648, 48)],
)
def test_capacity_grows_with_the_area(area, capacity, near):
    env = jaxrl.make(ID, area=area)[0]
    assert (env.capacity, env.near) == (capacity, near)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"area": (8, 64)}, r"area: each side must be in 9\.\.768 cells, got \(8, 64\)"),
        ({"area": (64, 769)}, r"area: each side must be in 9\.\.768"),
        ({"area": (64.0, 64)}, "area must be two whole numbers"),
        ({"area": (64,)}, "area must be two whole numbers"),
        ({"area": 64}, "area must be two whole numbers"),
        ({"capacity": 169}, "capacity must be at least 170 for an area of 64 x 64"),
        ({"area": (24, 24), "capacity": 23}, "capacity must be at least 24 for an area of 24 x 24"),
        ({"area": (128, 128), "capacity": 192}, "capacity must be at least 682 for an area of 128"),
        ({"capacity": 192.5}, "capacity must be a whole number, got 192.5"),
        ({"capacity": "192"}, "capacity must be a whole number, got '192'"),
        ({"near": True}, "near must be a whole number, got True"),
        ({"preset": ["crafter"]}, "unknown rules"),
        ({"task": ["wake_up"]}, "unknown task"),
        ({"rules.creatures.zombie_health": 200}, "zombie_health is int8, which cannot hold 200"),
        ({"capacity": 32_001}, "capacity must be at most 32000"),
        ({"near": 0}, r"near must be in 1\.\.capacity = 192, got 0"),
        ({"near": 193}, r"near must be in 1\.\.capacity"),
        ({"preset": "craftax"}, "unknown rules 'craftax'; known are crafter, fixed"),
        ({"task": "collect_gold"}, "unknown task 'collect_gold'; known are all"),
        ({"zombies": 3}, "has no parameter 'zombies'"),
        ({"rules": 3}, "rules is a record of rules.quirks, rules.recipes"),
        ({"rules.creature.zombie_damage": 3}, "nearest to 'creature': creatures"),
        ({"rules.creatures.zombie_damag": 3}, "nearest to 'zombie_damag': zombie_damage"),
        ({"rules.creatures.zombie_damage": 2.5}, "zombie_damage is int16, which cannot hold 2.5"),
        ({"rules.creatures.zombie_damage": 70_000}, "zombie_damage is int16"),
        ({"rules.creatures.zombie_damage.x": 1}, "'zombie_damage' is a value"),
        (
            {"rules.creatures.zombie_damage": -1},
            r"rules\.creatures\.zombie_damage must be in 0\.\.127",
        ),
        ({"rules.balance.interval": 0}, r"rules\.balance\.interval must be at least 1, got 0"),
    ],
)
@pytest.mark.parametrize("env_id", [ID, "CrafterOO-OO-v1"])
def test_bad_arguments_are_one_line(env_id, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        jaxrl.make(env_id, **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"textures": "none"}, "textures"), ({"size": 8}, "size")],
)
def test_bad_arguments_of_pictures(arguments, message):
    with pytest.raises(ValueError, match=message):
        jaxrl.make("CrafterOO-Pixels-v1", **arguments)


def test_rules_by_name():
    _, params = jaxrl.make(ID, preset="fixed", **{"rules.creatures.zombie_damage": 4})
    assert params.rules.creatures.zombie_damage.dtype == jnp.int16
    assert int(params.rules.creatures.zombie_damage) == 4
    assert not bool(params.rules.quirks.dead_act)
    assert int(params.max_steps_in_episode) == 10_000
    np.testing.assert_array_equal(params.rules.life.sword_damage, [1, 2, 3, 5])


def test_rules_named():
    rules = rule_sets.named(rule_sets.crafter(), "creatures.zombie_damage", 4)
    assert int(rules.creatures.zombie_damage) == 4
    swords = rule_sets.named(rules, "life.sword_damage", [1, 1, 1, 1]).life.sword_damage
    assert swords.dtype == jnp.int8 and swords.tolist() == [1, 1, 1, 1]
    for path, value, message in [
        ("zombie.damage", 1, "zombie"),
        ("creatures.damage", 1, "damage"),
        ("creatures", 1, "creatures is a record of"),
        ("creatures.zombie_damage", 2.5, "int16"),
        ("creatures.zombie_damage", 70_000, "int16"),
        ("creatures.zombie_damage", "much", "int16"),
        ("life.sword_damage", [1, 2], r"life\.sword_damage is int8 \[4\]"),
        ("life.sword_damage", 3, r"life\.sword_damage is int8 \[4\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            rule_sets.named(rules, path, value)


ITEMS = np.full(16, 9, np.int8)
BEYOND = {
    "life.maximum": (
        np.where(np.arange(16) == c.item("wood"), 127, ITEMS),
        "127 of wood and 1 more",
    ),
    "life.initial": (
        np.where(np.arange(16) == c.item("food"), 122, ITEMS),
        "122 of food and 6 more",
    ),
    "life.eat_cow": (119, r"life\.maximum: 9 of food and 119 more in a step are more than 127"),
    "life.sword_damage": ([1, 2, -3, 5], r"must be in 0\.\.127, got -3"),
    "life.hunger": (np.nan, "float32, which cannot hold nan"),
    "recipes.make_gives": ([1, 1, 119, 1, 1, 1], "9 of iron_pickaxe and 119 more"),
    "recipes.collect_leaves": (np.full(13, 13), r"must be in 0\.\.12, got 13"),
    "creatures.update_distance": (-1, "must be at least 0, got -1"),
    "creatures.zombie_damage": (128, r"must be in 0\.\.127, got 128"),
    "creatures.zombie_damage_asleep": (-7, r"must be in 0\.\.127, got -7"),
    "creatures.cow_health": (-1, "must be at least 0, got -1"),
    "creatures.zombie_chase_probability": (1.5, r"must be in 0\.\.1, got 1.5"),
    "balance.interval": (-10, "must be at least 1, got -10"),
    "balance.material": ([2, 4, 0], r"must be in 1\.\.12, got 0"),
    "balance.spawn_probability": ([0.3, -0.1, 0.01], r"must be in 0\.\.1, got -0.1"),
    "balance.despawn_distance": ([0, -7, 5], "must be at least 0, got -7"),
    "balance.high": ([3.5, np.inf, 1.5], "must be finite, got inf"),
    "terrain.tree_probability": (np.inf, r"must be in 0\.\.1, got inf"),
    "terrain.cow_distance": (-3.0, "must be at least 0, got -3.0"),
}


@pytest.mark.parametrize("path", BEYOND)
def test_rules_beyond_their_limits_are_named(path):
    value, message = BEYOND[path]
    old, override = rule_sets.crafter(), {f"rules.{path}": value}
    for make in (
        lambda: rule_sets.named(old, path, value),
        lambda: jaxrl.make(ID, **override),
        lambda: jaxrl.make(ID, task="goal", **override),
    ):
        with pytest.raises(ValueError, match=message) as error:
            make()
        assert path in str(error.value) or "life.maximum" in str(error.value)
        assert "\n" not in str(error.value)


def test_what_is_no_number_is_within_no_limits():
    rules = rule_sets.crafter()
    terrain = rules.terrain.replace(water=jnp.float32(np.nan))
    with pytest.raises(ValueError, match=r"terrain\.water must be a number, got nan"):
        limits.check(rules.replace(terrain=terrain))


def test_what_is_at_the_limit_is_allowed():
    for path, value in {
        "life.maximum": np.full(16, 120, np.int8),  # a cow gives 6
        "life.hunger": np.inf,
        "creatures.zombie_damage": 127,
        "creatures.update_distance": 0,
        "balance.interval": 1,
        "balance.spawn_probability": [0.0, 1.0, 0.5],
        "balance.low": [-3.0, 0.0, 1e9],
        "terrain.mountain": np.inf,
    }.items():
        rule_sets.named(rule_sets.crafter(), path, value)
    env = jaxrl.make(ID, **{"rules.balance.interval": np.array([1, 10, 100])})[0]  # a batch
    assert env.name == ID
    with pytest.raises(ValueError, match="interval must be at least 1, got 0"):
        jaxrl.make(ID, **{"rules.balance.interval": np.array([1, 0, 100])})


def test_rules_are_named_under_a_transformation():
    def damage(rules, value):
        return rule_sets.named(rules, "creatures.zombie_damage", value).creatures.zombie_damage

    rules, values = rule_sets.crafter(), jnp.arange(3, dtype=jnp.int32)
    for mapped in (jax.vmap(damage, (None, 0)), jit(jax.vmap(damage, (None, 0)))):
        out = mapped(rules, values)
        assert out.dtype == jnp.int16 and out.tolist() == [0, 1, 2]
    assert int(jit(lambda rules: damage(rules, 4))(rules)) == 4
    with pytest.raises(ValueError, match="int16, which cannot hold"):
        jax.vmap(damage, (None, 0))(rules, values.astype(jnp.float32))
    with pytest.raises(ValueError, match=r"zombie_damage is int16 \[\]"):
        jax.vmap(damage, (None, 0))(rules, jnp.ones((3, 2), jnp.int16))


@pytest.mark.parametrize("task", ["all", "goal"])
def test_overflow_is_warned_of(task):
    env = jaxrl.make(ID, **SMALL, task=task)[0]
    means = dict.fromkeys(c.ACHIEVEMENTS, 50.0)
    assert episodes.warnings(env, means | {"overflow": 0.0}) == []
    assert episodes.warnings(env, {}) == []  # no episode ended
    assert episodes.warnings(env, means | {"overflow": 1 / 3}) == [
        "in 0.333% of the episodes objects were lost or did not act, for want of room: give a"
        " capacity above 48, or near above 48"
    ]


def test_the_area_of_a_command_line():
    env = jaxrl.make(ID, **dict(parse_overrides(["area=33,47", "rules.life.sword_damage=1,1,1,9"])))
    assert env[0].area == (33, 47)
    assert env[1].rules.life.sword_damage.tolist() == [1, 1, 1, 9]


def test_batches_of_worlds_with_different_rules_are_what_each_world_is_alone():
    env, _, step, _ = small()
    variants = [
        jaxrl.make(ID, **SMALL, **overrides)[1]
        for overrides in (
            {},
            {"rules.creatures.zombie_damage": 4},
            {"rules.life.initial": np.full(16, 3), "rules.creatures.update_distance": 0},
            {"preset": "fixed"},
        )
    ]
    # A zombie that dies in this step may bite in it, unless that quirk is mended.
    bitten = world([("zombie", X + 1, Y)], capacity=48)
    slain = world([("zombie", X, Y + 1, {"health": 1})], capacity=48)
    for state, action, healths in [(bitten, "noop", [7, 5, 9, 7]), (slain, "do", [7, 5, 9, 9])]:
        args = (
            jax.random.split(jax.random.key(0), 4),
            repeated(state, 4),
            jnp.full(4, c.action(action), jnp.int32),
            batch(*variants),
        )
        out = step(*args)
        assert out[1].player.health.tolist() == healths
        for index in range(4):
            alone = step(*jax.tree.map(lambda x, index=index: jnp.stack([x[index]] * 4), args))
            for got, want in zip(jax.tree.leaves(alone), jax.tree.leaves(out), strict=True):
                np.testing.assert_array_equal(got[0], want[index])


def test_info_and_the_end_of_an_episode():
    env, params, step, _ = small()
    lava = world(materials={(X, Y + 1): "lava"}, capacity=48)
    late = world(time=9_999, capacity=48)
    both = world(time=9_999, materials={(X, Y + 1): "lava"}, capacity=48)
    plants = [("plant", 1 + x, 1 + y) for x in range(8) for y in range(6)]  # in every slot
    crowd = world(plants, items={"sapling": 1}, capacity=48)
    states = batch(lava, late, both, crowd)
    actions = [c.action(name) for name in ("move_down", "noop", "move_down", "place_plant")]
    keys = jax.random.split(jax.random.key(0), 4)
    _, after, reward, terminated, info = step(
        keys, states, jnp.asarray(actions, jnp.int32), repeated(params, 4)
    )
    truncated = jax.vmap(env.is_truncated, (0, None))(after, params)
    assert terminated.tolist() == [True, False, True, False]
    assert truncated.tolist() == [False, True, True, False]
    assert info["discount"].tolist() == [0, 1, 0, 1]
    assert info["overflow"].tolist() == [False, False, False, True]
    achieved = np.zeros((4, 22), bool)
    achieved[3, c.achievement("place_plant")] = True
    np.testing.assert_array_equal(info["achievements"], achieved)
    np.testing.assert_allclose(reward, [-0.9, 0, -0.9, 1], atol=1e-6)
    assert set(info) == {"achievements", "discount", "overflow"}
    metrics = jax.vmap(env.episode_metrics)(info)
    assert set(metrics) == {*c.ACHIEVEMENTS, "overflow"}
    assert metrics["overflow"].tolist() == [0, 0, 0, 100]
    assert metrics["place_plant"].tolist() == [0, 0, 0, 100]
    assert metrics["wake_up"].tolist() == [0] * 4


def test_the_same_key_gives_the_same_run():
    _, params, step, reset = small()

    def run(seed):
        state = repeated(reset(jax.random.key(seed), params)[1], 4)
        for time in range(25):
            key = jax.random.fold_in(jax.random.key(seed), time)
            # Four times the same: rows do not look at each other.
            state = step(
                jnp.stack([key] * 4), state, jnp.full(4, time % 17, jnp.int32), repeated(params, 4)
            )[1]
        return jax.device_get(state)

    one, again, other = run(1), run(1), run(2)
    jax.tree.map(np.testing.assert_array_equal, one, again)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True))
    assert all((leaf == leaf[:1]).all() for leaf in jax.tree.leaves(one))


def test_a_new_world_has_what_the_rules_give():
    env, params, _, reset = small()
    items = np.full(16, 3, np.int8)
    changed = params.replace(rules=rule_sets.named(params.rules, "life.initial", items))
    assert reset(jax.random.key(0), changed)[1].player.items.tolist() == items.tolist()
    state = reset(jax.random.key(0), params)[1]
    assert state.player.items.tolist() == [9, 9, 9, 9, *[0] * 12] and state.area == (24, 24)
