"""Single steps in small worlds, with what comes out worked out by hand from the rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from tests.envs.crafter_oo.small_worlds import (
    X,
    Y,
    done,
    found,
    item,
    name_at,
    paid_play,
    play,
    world,
)

AHEAD = (X, Y + 1)


def inventory(state):
    amounts = np.asarray(state.player.items)
    return {name: int(n) for name, n in zip(c.ITEMS, amounts, strict=True) if n}


# --- the player


@pytest.mark.parametrize(
    ("material", "tool", "wins", "leaves"),
    [
        ("tree", None, "wood", "grass"),
        ("stone", "wood_pickaxe", "stone", "path"),
        ("coal", "wood_pickaxe", "coal", "path"),
        ("iron", "stone_pickaxe", "iron", "path"),
        ("diamond", "iron_pickaxe", "diamond", "path"),
    ],
)
def test_collecting_wants_the_tool(material, tool, wins, leaves):
    owned = {"sapling": 1} | ({tool: 1} if tool else {})
    with_tool, paid = paid_play(world(materials={AHEAD: material}, items=owned), "do")
    assert item(with_tool, wins) == 1 and name_at(with_tool, *AHEAD) == leaves
    assert done(with_tool) == {f"collect_{wins}": 1} and paid == 1
    if tool:
        others = {name: 1 for name in c.ITEMS if name.endswith(("pickaxe", "sword"))}
        del others[tool]
        without, paid = paid_play(world(materials={AHEAD: material}, items=others), "do")
        assert item(without, wins) == 0 and name_at(without, *AHEAD) == material
        assert done(without) == {} and paid == 0


def test_a_sapling_is_found_one_time_in_ten():
    lucky = play(world(), "do", collect=0.1)  # not above the probability
    unlucky = play(world(), "do", collect=0.101)
    assert (item(lucky, "sapling"), item(unlucky, "sapling")) == (1, 0)
    assert (done(lucky), done(unlucky)) == ({"collect_sapling": 1}, {})
    assert name_at(lucky, *AHEAD) == "grass"


def test_water_stays_and_quenches():
    state = world(materials={AHEAD: "water"}, items={"drink": 5}, thirst=19)
    after = play(state, "do")
    assert item(after, "drink") == 6 and name_at(after, *AHEAD) == "water"
    assert float(after.player.thirst) == 1  # from 0 again
    full = play(world(materials={AHEAD: "water"}), "do")
    assert item(full, "drink") == 9 and done(full) == {"collect_drink": 1}


@pytest.mark.parametrize("material", ["sand", "path", "lava", "table", "furnace"])
def test_nothing_else_can_be_collected(material):
    after = play(world(materials={AHEAD: material}, items={"iron_pickaxe": 1}), "do")
    assert done(after) == {} and name_at(after, *AHEAD) == material


def test_doing_beyond_the_edge_changes_nothing():
    state = world(at=(X, 23))
    after = play(state, "do")
    np.testing.assert_array_equal(after.materials, state.materials)
    assert done(after) == {}


ON_LAND = {"grass", "sand", "path"}
PLACES = {
    "stone": ({"stone": 1}, ON_LAND | {"water", "lava"}),
    "table": ({"wood": 2}, ON_LAND),
    "furnace": ({"stone": 4}, ON_LAND),
}


@pytest.mark.parametrize("thing", PLACES)
def test_placing_costs_and_wants_its_ground(thing):
    uses, grounds = PLACES[thing]
    for ground in c.MATERIALS[1:]:
        after = play(world(materials={AHEAD: ground}, items=uses), f"place_{thing}")
        placed = ground in grounds
        assert name_at(after, *AHEAD) == (thing if placed else ground), ground
        assert done(after) == ({f"place_{thing}": 1} if placed else {}), ground
        assert all(item(after, name) == (0 if placed else n) for name, n in uses.items())
    poor = {name: n - 1 for name, n in uses.items()}
    assert name_at(play(world(items=poor), f"place_{thing}"), *AHEAD) == "grass"
    taken = play(world([("plant", *AHEAD)], items=uses), f"place_{thing}")
    assert done(taken) == {} and name_at(taken, *AHEAD) == "grass"


def test_a_sapling_is_planted_on_grass_and_waits_a_step():
    after, paid = paid_play(world([("cow", 3, 3)], items={"sapling": 1}), "place_plant")
    assert found(after, "plant") == [AHEAD] and item(after, "sapling") == 0
    assert done(after) == {"place_plant": 1} and paid == 1
    slot = int(np.argmax(after.objects.kind == c.kind("plant")))
    row = [int(getattr(after.objects, name)[slot]) for name in ("id", "health", "counter")]
    assert row == [3, 1, 0] and int(after.next_id) == 4
    assert int(play(after).objects.counter[slot]) == 1
    sand = play(world(ground="sand", items={"sapling": 1}), "place_plant")
    assert found(sand, "plant") == [] and item(sand, "sapling") == 1


MAKES = {
    "wood_pickaxe": ({"wood": 1}, ("table",)),
    "stone_pickaxe": ({"wood": 1, "stone": 1}, ("table",)),
    "iron_pickaxe": ({"wood": 1, "coal": 1, "iron": 1}, ("table", "furnace")),
    "wood_sword": ({"wood": 1}, ("table",)),
    "stone_sword": ({"wood": 1, "stone": 1}, ("table",)),
    "iron_sword": ({"wood": 1, "coal": 1, "iron": 1}, ("table", "furnace")),
}


@pytest.mark.parametrize("tool", MAKES)
def test_making_costs_and_wants_what_is_nearby(tool):
    uses, stations = MAKES[tool]
    # A corner of the 3 x 3 cells around the player is nearby, two cells away is not.
    near = {(X - 1, Y - 1): "table", (X + 1, Y - 1): "furnace"}
    after, paid = paid_play(world(materials=near, items=uses), f"make_{tool}")
    assert inventory(after) == {"health": 9, "food": 9, "drink": 9, "energy": 9, tool: 1}
    assert done(after) == {f"make_{tool}": 1} and paid == 1
    for name in uses:
        poor = play(world(materials=near, items=uses | {name: 0}), f"make_{tool}")
        assert done(poor) == {}
    for station in stations:
        far = {cell: name for cell, name in near.items() if name != station} | {(X, Y - 2): station}
        assert done(play(world(materials=far, items=uses), f"make_{tool}")) == {}, station


def test_at_most_nine_of_an_item():
    after = play(world(materials={AHEAD: "tree"}, items={"wood": 9}), "do")
    assert item(after, "wood") == 9 and done(after) == {"collect_wood": 1}


@pytest.mark.parametrize(
    ("move", "dx", "dy"),
    [("move_left", -1, 0), ("move_right", 1, 0), ("move_up", 0, -1), ("move_down", 0, 1)],
)
def test_moves_and_what_stops_them(move, dx, dy):
    cell = (X + dx, Y + dy)
    free = play(world(facing=(c.action(move)) % 4), move)
    assert (int(free.player.x), int(free.player.y)) == cell
    assert int(free.player.facing) == c.action(move) - 1
    for blocked in (world(materials={cell: "water"}), world([("plant", *cell)])):
        stays = play(blocked, move)
        assert (int(stays.player.x), int(stays.player.y)) == (X, Y)
        assert int(stays.player.facing) == c.action(move) - 1


def test_the_map_ends():
    after = play(world(at=(0, 5)), "move_left")
    assert (int(after.player.x), int(after.player.y)) == (0, 5)


def test_lava_kills():
    after, paid = paid_play(world(materials={AHEAD: "lava"}), "move_down")
    assert int(after.player.health) == 0 and (int(after.player.y)) == Y + 1
    assert paid == pytest.approx(-0.9)


# --- needs and health


@pytest.mark.parametrize(
    ("counter", "limit", "need"), [("hunger", 25, "food"), ("thirst", 20, "drink")]
)
def test_needs_fall_once_a_counter_is_above_its_limit(counter, limit, need):
    below = play(world(**{counter: limit - 1}))
    assert item(below, need) == 9 and float(getattr(below.player, counter)) == limit
    above = play(below)
    assert item(above, need) == 8 and float(getattr(above.player, counter)) == 0
    # Asleep half as fast.
    asleep = play(world(items={"energy": 5}, sleeping=True, **{counter: limit - 0.5}))
    assert item(asleep, need) == 9 and float(getattr(asleep.player, counter)) == limit


def test_energy_falls_awake_and_rises_asleep():
    tired = play(world(fatigue=30))
    assert item(tired, "energy") == 8 and float(tired.player.fatigue) == 0
    rested = play(world(items={"energy": 5}, sleeping=True, fatigue=-10))
    assert item(rested, "energy") == 6 and float(rested.player.fatigue) == 0
    # Falling asleep forgets how tired the day was.
    falls = play(world(items={"energy": 5}, fatigue=29), "sleep")
    assert bool(falls.player.sleeping) and float(falls.player.fatigue) == 0


def test_health_follows_the_needs():
    assert item(play(world(items={"health": 5}, recover=25)), "health") == 6
    assert item(play(world(items={"health": 5}, recover=24)), "health") == 5
    asleep = world(items={"health": 5, "energy": 3}, sleeping=True, recover=24)
    assert item(play(asleep), "health") == 6  # counts twice
    for need in ("food", "drink", "energy"):
        starving = world(items={"health": 5, need: 0}, recover=-15)
        after, paid = paid_play(starving)
        assert item(after, "health") == 4 and paid == pytest.approx(-0.1), need
    # Who sleeps may be without energy, and declines half as fast.
    assert float(play(world(items={"energy": 0}, sleeping=True)).player.recover) == 2
    hungry = play(world(items={"food": 0, "energy": 1}, sleeping=True))
    assert float(hungry.player.recover) == -0.5


def test_sleep_lasts_until_rested():
    assert not bool(play(world(), "sleep").player.sleeping)  # not tired
    asleep = play(world(items={"energy": 8}), "sleep")
    assert bool(asleep.player.sleeping)
    still = play(asleep, "move_left")
    assert bool(still.player.sleeping) and int(still.player.x) == X
    assert int(still.player.action) == c.action("move_left")
    awake, paid = paid_play(world(sleeping=True), "move_left")
    assert not bool(awake.player.sleeping) and int(awake.player.x) == X - 1
    assert done(awake) == {"wake_up": 1} and paid == 1


def test_damage_wakes_one_step_later():
    state = world([("zombie", X + 1, Y)], items={"energy": 3}, sleeping=True)
    bitten = play(state)
    assert item(bitten, "health") == 2 and bool(bitten.player.sleeping)  # after its own turn
    woken = play(bitten)
    assert not bool(woken.player.sleeping) and done(woken) == {}


# --- fighting


@pytest.mark.parametrize(
    ("sword", "damage"), [(None, 1), ("wood_sword", 2), ("stone_sword", 3), ("iron_sword", 5)]
)
def test_swords(sword, damage):
    owned = {sword: 1} if sword else {}
    after = play(world([("zombie", *AHEAD, {"counter": 5})], items=owned), "do")
    if damage == 5:
        assert found(after, "zombie") == [] and done(after) == {"defeat_zombie": 1}
    else:
        assert int(after.objects.health[0]) == 5 - damage and done(after) == {}


def test_killing_feeds_or_counts():
    state = world([("cow", *AHEAD, {"health": 1})], items={"food": 2}, hunger=20)
    fed, paid = paid_play(state, "do")
    assert item(fed, "food") == 8 and float(fed.player.hunger) == 1
    assert found(fed, "cow") == [] and done(fed) == {"eat_cow": 1} and paid == 1
    shot = play(world([("skeleton", *AHEAD, {"health": 1})], ground="path"), "do")
    assert found(shot, "skeleton") == [] and done(shot) == {"defeat_skeleton": 1}


def test_a_ripe_plant_is_eaten_and_grows_again():
    ripe = world([("plant", *AHEAD, {"counter": 301})], items={"food": 2})
    after = play(ripe, "do")
    assert item(after, "food") == 6 and done(after) == {"eat_plant": 1}
    assert found(after, "plant") == [AHEAD] and int(after.objects.counter[0]) == 1
    unripe = play(world([("plant", *AHEAD, {"counter": 300})], items={"food": 2}), "do")
    assert item(unripe, "food") == 2 and done(unripe) == {}
    assert int(unripe.objects.counter[0]) == 301 and int(unripe.objects.health[0]) == 1


def test_a_zombie_bites_and_waits_five_steps():
    state = world([("zombie", X + 1, Y)])
    healths = []
    for _ in range(7):
        state = play(state)
        healths.append(item(state, "health"))
    assert healths == [7, 7, 7, 7, 7, 7, 5]


def test_the_cooldown_does_not_run_far_away():
    after = play(world([("zombie", X + 5, Y, {"counter": 3})]))
    assert int(after.objects.counter[0]) == 3 and found(after, "zombie") == [(X + 4, Y)]


def test_a_zombie_arrives_and_bites_in_one_step():
    assert item(play(world([("zombie", X + 2, Y)])), "health") == 7


def test_a_zombie_chases_along_the_longer_axis_mostly():
    zombie = [("zombie", X + 4, Y + 2)]
    assert found(play(world(zombie), axis=0.79), "zombie") == [(X + 3, Y + 2)]
    assert found(play(world(zombie), axis=0.81), "zombie") == [(X + 4, Y + 1)]
    # Not one time in ten, nor from afar: then at random.
    assert found(play(world(zombie), act=0.95, direction=c.DOWN), "zombie") == [(X + 4, Y + 3)]
    far = [("zombie", X + 9, Y)]
    assert found(play(world(far), direction=c.UP), "zombie") == [(X + 9, Y - 1)]


def test_a_skeleton_shoots_and_reloads():
    state = world([("skeleton", X, Y - 5)], ground="path")
    after = play(state, act=0.4)
    assert found(after, "arrow") == [(X, Y - 4)] and found(after, "skeleton") == [(X, Y - 5)]
    assert int(after.objects.counter[0]) == 4 and int(after.next_id) == 4
    arrow = int(np.argmax(after.objects.kind == c.kind("arrow")))
    assert int(after.objects.facing[arrow]) == c.DOWN
    reloading = play(world([("skeleton", X, Y - 5, {"counter": 2})], ground="path"), act=0.4)
    assert found(reloading, "arrow") == [] and int(reloading.objects.counter[0]) == 1
    assert found(play(state, act=0.6), "arrow") == []
    too_far = world([("skeleton", X, Y - 6)], ground="path")
    assert found(play(too_far, act=0.4), "arrow") == []


def test_a_skeleton_retreats_follows_and_wanders():
    near = world([("skeleton", X, Y - 3)], ground="path")
    assert found(play(near, retreat=0.5), "skeleton") == [(X, Y - 4)]
    # The other axis: no offset along x, so it stays and does not count as moved.
    cornered = play(near, retreat=0.7, act=0.4)
    assert found(cornered, "skeleton") == [(X, Y - 3)] and found(cornered, "arrow") == [(X, Y - 2)]
    middle = world([("skeleton", X + 1, Y - 6)], ground="path")
    assert found(play(middle, chase=0.2, axis=0.5), "skeleton") == [(X + 1, Y - 5)]
    assert found(play(middle, chase=0.2, axis=0.7), "skeleton") == [(X, Y - 6)]
    assert found(play(middle, wander=0.1, direction=c.UP), "skeleton") == [(X + 1, Y - 7)]
    assert found(play(middle, wander=0.3, direction=c.UP), "skeleton") == [(X + 1, Y - 6)]


UPWARDS = {"facing": c.UP}


def test_an_arrow_flies_over_water_and_lava():
    for ground in ("grass", "sand", "path", "water", "lava"):
        cells = {(5, 4): ground}
        assert found(play(world([("arrow", 5, 5, UPWARDS)], cells)), "arrow") == [(5, 4)], ground


@pytest.mark.parametrize(
    ("target", "becomes"),
    [("table", "path"), ("furnace", "path"), ("stone", "stone"), ("tree", "tree")],
)
def test_an_arrow_destroys_what_is_made(target, becomes):
    after = play(world([("arrow", 5, 5, UPWARDS)], {(5, 4): target}))
    assert found(after, "arrow") == [] and name_at(after, 5, 4) == becomes


def test_an_arrow_ends_at_the_edge():
    after = play(world([("arrow", 10, 0, UPWARDS)]))
    assert found(after, "arrow") == []


def test_an_arrow_hurts_whom_it_hits():
    hit = play(world([("arrow", X, Y + 1, UPWARDS)]))
    assert item(hit, "health") == 7 and found(hit, "arrow") == []
    # The zombie comes first and stands, boxed in by stone; then the arrow strikes it.
    box = {(4, 4): "stone", (6, 4): "stone", (5, 3): "stone"}
    zombie = play(world([("zombie", 5, 4), ("arrow", 5, 5, UPWARDS)], box))
    assert int(zombie.objects.health[0]) == 3 and found(zombie, "arrow") == []
    # A plant struck before its turn is gone in it, one struck after it in the next step.
    before = play(world([("arrow", 5, 5, UPWARDS), ("plant", 5, 4)]))
    assert found(before, "plant") == [] and found(before, "arrow") == []
    after = play(world([("plant", 5, 4), ("arrow", 5, 5, UPWARDS)]))
    assert found(after, "plant") == [(5, 4)] and int(after.objects.health[0]) == 0
    assert found(play(after), "plant") == []


@pytest.mark.parametrize("kind", ["cow", "zombie", "skeleton"])
def test_a_plant_beside_a_creature_is_trampled(kind):
    ground = "path" if kind == "skeleton" else "grass"
    cells = {(4, 5): "stone", (5, 4): "stone", (5, 6): "stone"}
    after = play(world([("plant", 6, 5), (kind, 5, 5)], cells, ground=ground))
    assert found(after, "plant") == []
    diagonal = play(world([("plant", 5, 5), ("plant", 6, 6)]))
    assert len(found(diagonal, "plant")) == 2


def test_the_player_does_not_trample():
    assert found(play(world([("plant", *AHEAD)])), "plant") == [AHEAD]


# --- who comes first


def test_of_two_that_want_a_cell_the_older_gets_it():
    cows = [("cow", 4, 5), ("cow", 6, 5)]
    directions = [c.RIGHT, c.LEFT]
    assert found(play(world(cows), act=0.1, direction=directions), "cow") == [(5, 5), (6, 5)]
    swapped = play(world(cows[::-1]), act=0.1, direction=directions[::-1])
    assert found(swapped, "cow") == [(5, 5), (4, 5)]


def test_a_chain_follows_if_its_head_moves_first():
    cells = [(9 - i, 5) for i in range(5)]
    chain = [("cow", *cell) for cell in cells]
    after = play(world(chain), act=0.1, direction=c.RIGHT)
    assert found(after, "cow") == [(x + 1, 5) for x, _ in cells]
    # From the other end only the last one, the head, has a free cell.
    after = play(world(chain[::-1]), act=0.1, direction=c.RIGHT)
    assert found(after, "cow") == [(5, 5), (6, 5), (7, 5), (8, 5), (10, 5)]


def test_who_is_far_from_the_player_waits():
    cows = [("cow", 0, 5), ("cow", 0, 4)]  # 17 and 18 steps from (10, 12)
    after = play(world(cows, at=(10, 12)), act=0.1, direction=c.RIGHT)
    assert found(after, "cow") == [(1, 5), (0, 4)]


# --- balance, time, chunks


def test_time_goes_on_and_the_action_is_kept():
    after = play(world(time=41), "make_iron_sword")
    assert int(after.time) == 42 and c.ACTIONS[int(after.player.action)] == "make_iron_sword"


def test_a_zombie_comes_at_night_in_the_tenth_step():
    # At 200 it is dark: 3.5 - 3 * daylight(200) is above 3, so fewer than 3 are too few. The cell
    # is number floor(0.5 * 144) = 72 of the chunk's 144: (6, 0).
    # A plant has opened the chunk.
    seed = [("plant", 11, 11)]
    drawn = {"balance": {(0, 0): (0.29, 0.5)}}
    after = play(world(seed, time=199), **drawn)
    assert found(after, "zombie") == [(6, 0)] and int(after.next_id) == 4
    assert int(after.objects.health[1]) == 5
    assert found(play(world(seed, time=198), **drawn), "zombie") == []
    assert found(play(world(seed, time=199), balance={(0, 0): (0.31, 0.5)}), "zombie") == []
    # Not in daylight, not on sand, not within 6 steps of the player, not where nobody ever was.
    assert found(play(world(seed, time=59), **drawn), "zombie") == []
    assert found(play(world(seed, time=199, ground="sand"), **drawn), "zombie") == []
    assert found(play(world(seed, time=199, at=(6, 5)), **drawn), "zombie") == []
    assert found(play(world(seed, time=199, at=(6, 6)), **drawn), "zombie") == [(6, 0)]
    assert found(play(world(seed, time=199), balance={(1, 0): (0.1, 0.5)}), "zombie") == []


def test_zombies_go_by_day():
    # At 60 daylight is 1: 3.5 - 3 leaves room for int(0.5) = 0 zombies.
    zombies = [("zombie", 1, 1), ("zombie", 1, 3)]
    walls = {cell: "water" for cell in [(0, 1), (2, 1), (1, 0), (1, 2), (0, 3), (2, 3), (1, 4)]}
    after = play(world(zombies, walls, time=59), balance={(0, 0): (0.39, 0.5)})
    assert found(after, "zombie") == [(1, 1)]  # number floor(0.5 * 2) = 1 is gone
    after = play(world(zombies, walls, time=59), balance={(0, 0): (0.41, 0.5)})
    assert len(found(after, "zombie")) == 2


def test_a_skeleton_comes_on_paths_and_a_cow_on_grass():
    seed = [("plant", 11, 11)]
    tunnel = {(x, 0): "path" for x in range(6)}
    after = play(world(seed, materials=tunnel, time=59), balance={(0, 1): (0.09, 0.99)})
    assert found(after, "skeleton") == [(5, 0)] and int(after.objects.health[1]) == 3
    short = {(x, 0): "path" for x in range(5)}
    assert (
        found(play(world(seed, materials=short, time=59), balance={(0, 1): (0.0, 0.5)}), "skeleton")
        == []
    )
    after = play(world(seed, time=59), balance={(0, 2): (0.009, 0.0)})
    assert found(after, "cow") == [(0, 0)]
    assert found(play(world(seed, time=59), balance={(0, 2): (0.011, 0.0)}), "cow") == []


def test_a_taken_cell_gets_nobody():
    state = world([("plant", 6, 0)], time=199)
    after = play(state, balance={(0, 0): (0.1, 0.5)})
    assert found(after, "zombie") == [] and int(after.next_id) == 3


def test_a_chunk_opens_when_somebody_enters_it():
    state = world(at=(X, 5))  # in chunk (1, 0); (0, 0) lies to the left
    assert np.asarray(state.chunk_order).tolist() == [[-1, -1], [0, -1]]
    after = play(state, "move_left")
    assert np.asarray(after.chunk_order).tolist() == [[1, -1], [0, -1]]
    cow = play(world([("cow", 5, 11)]), act=0.1, direction=c.DOWN)
    assert np.asarray(cow.chunk_order).tolist() == [[1, 2], [-1, 0]]


def test_no_slot_left_is_noted():
    things = [("plant", x, 0) for x in range(12)]
    after = play(world(things, items={"sapling": 1}), "place_plant")
    assert bool(after.overflow) and len(found(after, "plant")) == 12
    assert not bool(play(world(things[1:], items={"sapling": 1}), "place_plant").overflow)


def test_more_near_objects_than_can_act_are_noted():
    things = [("plant", x, 10) for x in range(6, 15)]
    assert bool(play(world(things)).overflow)
    assert not bool(play(world(things[1:])).overflow)


def test_a_step_is_a_function_of_its_arguments():
    state = world([("zombie", X + 3, Y)])
    before = jax.tree.map(np.asarray, state)
    jax.tree.map(np.testing.assert_array_equal, play(state), play(state))
    jax.tree.map(np.testing.assert_array_equal, state, before)
    assert all(isinstance(leaf, jnp.ndarray) for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("number", [len(c.ACTIONS), 100, 255])
def test_numbers_beyond_the_actions_do_nothing(number):
    rich = dict.fromkeys(("wood", "stone", "coal", "iron"), 5)
    start = world(materials={AHEAD: "table", (X + 1, Y): "furnace"}, items=rich)
    nothing, something = play(start, "noop"), play(start, number)
    assert inventory(nothing) == inventory(something) and done(something) == {}
    assert inventory(play(start, "make_iron_sword"))["iron_sword"] == 1
