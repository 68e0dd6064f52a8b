"""Every scenario does what its name says, and what then happens is possible by the oracle."""

import jax
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.evaluation import arena
from jaxrl.envs.crafter_oo.evaluation.canonical import fingerprint
from jaxrl.envs.crafter_oo.evaluation.exact import Transitions
from jaxrl.envs.crafter_oo.evaluation.scenarios import GROUPS, names, scenario, select
from jaxrl.envs.crafter_oo.evaluation.truth import true_step
from jaxrl.registry import UnknownIdError

RULES = rule_sets.crafter()
# The 23 names of the paper's appendix.
PAPER = {
    *(f"craft_{m}_{t}" for m in ("wooden", "stone", "iron") for t in ("pickaxe", "sword")),
    *(f"collect_{m}" for m in ("coal", "diamond", "drink", "iron", "stone", "wood")),
    *(f"place_{m}" for m in ("furnace", "plant", "stone", "table")),
    *("eat_plant", "eat_cow", "zombie_defeat", "defeat_skeleton"),
    *("cow_movement", "random_movement", "wake_up"),
}
# name: (achievement, changes of the inventory), from the package's data.yaml.
SUCCESS = {
    "craft_wooden_pickaxe": ("make_wood_pickaxe", {"wood": -1, "wood_pickaxe": 1}),
    "craft_stone_pickaxe": ("make_stone_pickaxe", {"wood": -1, "stone": -1, "stone_pickaxe": 1}),
    "craft_iron_pickaxe": (
        "make_iron_pickaxe",
        {"wood": -1, "coal": -1, "iron": -1, "iron_pickaxe": 1},
    ),
    "craft_wooden_sword": ("make_wood_sword", {"wood": -1, "wood_sword": 1}),
    "craft_stone_sword": ("make_stone_sword", {"wood": -1, "stone": -1, "stone_sword": 1}),
    "craft_iron_sword": ("make_iron_sword", {"wood": -1, "coal": -1, "iron": -1, "iron_sword": 1}),
    **{f"collect_{m}": (f"collect_{m}", {m: 1}) for m in ("coal", "diamond", "iron", "stone")},
    "collect_drink": ("collect_drink", {"drink": 1}),
    "collect_wood": ("collect_wood", {"wood": 1}),
    "place_furnace": ("place_furnace", {"stone": -4}),
    "place_plant": ("place_plant", {"sapling": -1}),
    "place_stone": ("place_stone", {"stone": -1}),
    "place_table": ("place_table", {"wood": -2}),
    "eat_plant": ("eat_plant", {"food": 4}),
    "eat_cow": ("eat_cow", {"food": 6}),
    "zombie_defeat": ("defeat_zombie", {}),
    "defeat_skeleton": ("defeat_skeleton", {}),
    "wake_up": ("wake_up", {"energy": 1}),
    "place_stone_on_water": ("place_stone", {"stone": -1}),
}
FAILING = [s.name for s in GROUPS["published"] if s.name not in PAPER]


@pytest.fixture(scope="module")
def played():
    """scenario -> the states of one trial."""
    found = {}
    for name in names():
        state, actions = scenario(name).build(jax.random.key(0))
        states = [state]
        for step, action in enumerate(actions.tolist()):
            key = jax.random.fold_in(jax.random.key(1), step)
            states.append(true_step(key, states[-1], action, RULES))
        found[name] = states
    return found


def item(state, name):
    return int(state.player.items[c.item(name)])


def kinds(state):
    return sorted(c.KINDS[kind] for kind in state.objects.kind if kind)


def changes(first, last):
    """(achievements, changes of the inventory) between two states."""
    gained = np.flatnonzero(last.player.unlocked > first.player.unlocked)
    items = {name: item(last, name) - item(first, name) for name in c.ITEMS}
    return [c.ACHIEVEMENTS[i] for i in gained], {n: d for n, d in items.items() if d}


def test_the_published_ones_with_their_variants():
    assert {s.published for s in GROUPS["published"]} == PAPER
    assert len(GROUPS["published"]) == 38
    assert len(FAILING) == 15
    assert all(s.name.startswith(s.published) for s in GROUPS["published"])
    assert all(s.published is None for s in GROUPS["further"])
    assert len(set(names())) == len(names()) == len(GROUPS["all"])


@pytest.mark.parametrize("name", SUCCESS)
def test_success(played, name):
    achievement, items = SUCCESS[name]
    assert changes(played[name][0], played[name][-1]) == ([achievement], items)


@pytest.mark.parametrize("name", FAILING)
def test_failing_variant_changes_nothing(played, name):
    first, last = played[name]
    assert changes(first, last) == ([], {})
    assert (first.materials == last.materials).all()
    assert kinds(first) == kinds(last)


def test_what_lies_ahead_afterwards(played):
    ahead = {name: c.MATERIALS[played[name][-1].materials[arena.FRONT]] for name in played}
    assert [ahead[f"collect_{m}"] for m in ("coal", "diamond", "iron", "stone")] == ["path"] * 4
    assert (ahead["collect_wood"], ahead["collect_drink"]) == ("grass", "water")
    assert (ahead["place_table"], ahead["place_furnace"]) == ("table", "furnace")
    assert (ahead["place_stone"], ahead["place_stone_on_water"]) == ("stone", "stone")
    assert kinds(played["place_plant"][-1]) == ["plant"]
    for name in ("eat_cow", "zombie_defeat", "defeat_skeleton"):
        assert len(kinds(played[name][0])) == 1
        assert kinds(played[name][-1]) == []


def test_cows_move_and_the_player_does_not(played):
    states = played["cow_movement"]
    for before, after in zip(states, states[1:], strict=False):
        way = abs(before.objects.x - after.objects.x) + abs(before.objects.y - after.objects.y)
        assert way.max() <= 1
        # Water on three sides of where the second one began.
        assert after.objects.x[1] == 11 or after.objects.y[1] > 5
        assert (after.player.x, after.player.y) == arena.CENTRE


def test_random_moves_depend_on_the_key():
    build = scenario("random_movement").build
    drawn = {tuple(build(jax.random.key(seed))[1].tolist()) for seed in range(6)}
    assert len(drawn) > 1
    assert {action for actions in drawn for action in actions} <= {1, 2, 3, 4}
    assert build(jax.random.key(1))[1].tolist() == build(jax.random.key(1))[1].tolist()


def test_deaths(played):
    assert item(played["death_by_lava"][-1], "health") == 0
    assert item(played["death_by_hunger"][-1], "health") == 0
    assert item(played["lava_survived"][-1], "health") == 1
    assert item(played["death_by_zombie"][-1], "health") in (0, 2)


def test_arrows(played):
    assert int(played["arrow_flies"][-1].objects.x[0]) == 7
    assert item(played["arrow_hits_player"][-1], "health") == 7
    assert len(kinds(played["arrow_hits_player"][-1])) == 1
    broken = played["arrow_breaks_table"][-1]
    assert c.MATERIALS[broken.materials[10, 6]] == "path"
    assert kinds(broken) == []
    cow = played["arrow_hits_cow"][-1]
    assert (kinds(cow), int(cow.objects.health[0])) == (["cow"], 1)


def test_plants_times_and_ways(played):
    assert int(played["plant_ripens"][-1].objects.counter[0]) == 301
    assert kinds(played["plant_damaged"][-1]) == ["cow"]
    assert [float(played["zombie_spawns_at_night"][i].daylight < 0.5) for i in (0, 1)] == [1, 1]
    assert bool(played["falls_asleep"][-1].player.sleeping)
    first, last = played["needs_decline"]
    assert changes(first, last)[1] == {"food": -1, "drink": -1, "energy": -1}
    far = played["far_away_nothing_acts"]
    assert {(int(s.objects.x[0]), int(s.objects.y[0])) for s in far} == {(14, 13)}
    walk = played["walk_into_obstacles"]
    assert {(int(s.player.x), int(s.player.y)) for s in walk} == {arena.CENTRE}
    assert [int(s.player.facing) for s in walk[1:]] == [c.LEFT, c.RIGHT, c.UP, c.DOWN]


def test_what_happens_is_possible(played):
    exact = Transitions(RULES)
    for name, states in played.items():
        actions = scenario(name).build(jax.random.key(0))[1].tolist()
        for before, action, after in zip(states, actions, states[1:], strict=False):
            assert -20 < exact.log_prob(before, action, after) <= 1e-9, name


def test_shapes_are_the_same_everywhere(played):
    shapes = {
        tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(states[0]))
        for states in played.values()
    }
    assert len(shapes) == 1
    for name in names():
        state, actions = scenario(name).build(jax.random.key(2))
        assert actions.dtype == np.int32
        assert len(actions) >= 1
        again, _ = scenario(name).build(jax.random.key(2))
        assert fingerprint(state) == fingerprint(again)


def test_selection():
    assert [s.name for s in select(["eat_cow", "wake_up", "eat_cow"])] == ["eat_cow", "wake_up"]
    assert len(select(["published", "eat_cow"])) == 38
    with pytest.raises(UnknownIdError, match="unknown scenario 'eat_cows'; did you mean eat_cow"):
        select(["eat_cows"])


def test_an_arena_refuses_what_does_not_fit():
    for cell in ((16, 0), (0, -1)):
        with pytest.raises(ValueError, match="outside the map"):
            arena.built([arena.thing("cow", cell)])
        with pytest.raises(ValueError, match="outside the map"):
            arena.built([arena.cells("stone", cell)])
    with pytest.raises(ValueError, match="taken"):
        arena.built([arena.thing("cow", arena.CENTRE)])
    with pytest.raises(ValueError, match=r"wood must be in 0\.\.9, got 10"):
        arena.built([arena.items(wood=10)])
    many = [arena.thing("cow", (x, 0)) for x in range(16)]
    with pytest.raises(ValueError, match="all 16 slots"):
        arena.built([*many, arena.thing("cow", (0, 1))])
