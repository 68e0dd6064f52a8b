"""The observations, against states made by hand and crowds of objects."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.observations import (
    CHANNELS,
    SYMBOLIC,
    SYMBOLIC_SIZE,
    decode_symbolic,
    structured,
    structured_space,
    symbolic,
    symbolic_space,
)
from jaxrl.envs.crafter_oo.view import ENTITIES, GRID, local_view
from jaxrl.spaces import contains
from tests.envs.crafter_oo.small_worlds import X, Y, world
from tests.envs.crafter_oo.test_creatures_rounds import AREA, CAPACITY, arena, as_arrays
from tests.unoptimised import jit

RULES = rule_sets.crafter()
see = jit(lambda state: symbolic(state, RULES))
look = jit(lambda state: structured(state, RULES))
NUM = 60


def crowds():
    """60 dense random worlds with random players, batched."""
    rng = np.random.default_rng(5)
    states = []
    for _ in range(NUM):
        state = as_arrays(arena(rng, int(rng.integers(1, 40))), rng)[0]
        player = state.player.replace(
            items=rng.integers(0, 10, 16).astype(np.int8),
            facing=np.uint8(rng.integers(4)),
            sleeping=np.bool_(rng.integers(2)),
        )
        objects = state.objects
        ripe = np.where(objects.kind == c.kind("plant"), rng.integers(299, 303, CAPACITY), 0)
        objects = objects.replace(counter=(objects.counter + ripe).astype(np.int16))
        time = np.int32(rng.integers(0, 600))
        states.append(state.replace(player=player, objects=objects, time=time))
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *states)


def seen_by_hand(state):
    """Materials and entities of the visible cells, one cell after the other."""
    materials, entities = np.zeros((2, *GRID), int)
    player, objects = state.player, state.objects
    for i, j in np.ndindex(*GRID):
        x, y = int(player.x) + i - 4, int(player.y) + j - 3
        if 0 <= x < AREA[0] and 0 <= y < AREA[1]:
            materials[i, j] = state.materials[x, y]
        for slot in np.flatnonzero(objects.kind):
            if (objects.x[slot], objects.y[slot]) == (x, y):
                name = c.KINDS[objects.kind[slot]]
                if name == "arrow":
                    name += "-" + ("left", "right", "up", "down")[objects.facing[slot]]
                if name == "plant" and objects.counter[slot] > 300:
                    name = "plant-ripe"
                entities[i, j] = ENTITIES.index(name)
    facing = ("left", "right", "up", "down")[int(player.facing)]
    entities[4, 3] = ENTITIES.index("player-" + ("sleep" if player.sleeping else facing))
    return materials, entities


def test_the_layout():
    state = world(
        [("zombie", X - 4, Y + 3), ("plant", X + 1, Y, {"counter": 301}), ("cow", X + 5, Y)],
        materials={(X + 4, Y - 3): "diamond"},
        items={"health": 3, "iron_sword": 1, "wood": 9},
        facing=c.LEFT,
        time=60,
    )
    obs = np.asarray(see(state))
    assert obs.shape == (SYMBOLIC_SIZE,) == (1723,) and obs.dtype == np.float32
    stops = [0] + [part.stop for part in SYMBOLIC.values()]
    assert [part.start for part in SYMBOLIC.values()] == stops[:-1] and stops[-1] == 1723
    cells = np.moveaxis(obs[SYMBOLIC["map"]].reshape(CHANNELS, 9, 7), 0, -1)
    expected = np.zeros((9, 7, CHANNELS))
    expected[..., c.material("grass")] = 1
    expected[8, 0, c.material("grass")], expected[8, 0, c.material("diamond")] = 0, 1
    first = len(c.MATERIALS) - 1  # "none" has no channel
    expected[4, 3, first + ENTITIES.index("player-left")] = 1
    expected[0, 6, first + ENTITIES.index("zombie")] = 1
    expected[5, 3, first + ENTITIES.index("plant-ripe")] = 1
    np.testing.assert_array_equal(cells, expected)
    inventory = np.zeros(16)
    inventory[[0, 1, 2, 3, c.item("wood"), c.item("iron_sword")]] = [3, 9, 9, 9, 9, 1]
    np.testing.assert_allclose(obs[SYMBOLIC["inventory"]], inventory / 9, rtol=1e-6)
    np.testing.assert_array_equal(obs[SYMBOLIC["facing"]], [1, 0, 0, 0])
    np.testing.assert_array_equal(obs[SYMBOLIC["sleeping"]], [0])
    # cos(pi (60 / 300 + 0.3)) = cos(pi / 2) = 0: noon.
    np.testing.assert_allclose(obs[SYMBOLIC["daylight"]], [1], atol=1e-6)


def test_what_lies_outside_the_map():
    obs = see(world(at=(0, 23)))
    materials = np.asarray(obs[SYMBOLIC["map"]]).reshape(CHANNELS, 9, 7)
    outside = np.zeros((9, 7), bool)
    outside[:4], outside[:, 4:] = True, True
    np.testing.assert_array_equal(materials[0] == 1, outside)
    np.testing.assert_array_equal(materials[c.material("grass")] == 0, outside)


def test_reading_back_loses_nothing():
    states = crowds()
    obs = jit(jax.vmap(lambda state: symbolic(state, RULES)))(states)
    seen = jax.device_get(jit(jax.vmap(decode_symbolic))(obs))
    view = jax.device_get(jit(jax.vmap(lambda state: local_view(state, RULES)))(states))
    jax.tree.map(np.testing.assert_array_equal, seen.view, view)
    player = states.player
    for name in ("items", "facing", "sleeping"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(player, name))
        assert getattr(seen, name).dtype == getattr(player, name).dtype
    daylight = 1 - np.abs(np.cos(np.pi * (np.asarray(states.time) / 300 % 1 + 0.3))) ** 3
    np.testing.assert_allclose(seen.daylight, daylight, atol=1e-6)
    assert jax.vmap(lambda x: contains(symbolic_space(), x))(obs).all()
    host = jax.device_get(states)
    for index in range(NUM):
        materials, entities = seen_by_hand(jax.tree.map(lambda x, i=index: x[i], host))
        np.testing.assert_array_equal(view.materials[index], materials)
        np.testing.assert_array_equal(view.entities[index], entities)
    assert len(np.unique(view.entities)) == len(ENTITIES), "something never came into view"


def test_the_structured_view():
    state = world(
        [("zombie", X - 4, Y + 3, {"counter": 4}), ("plant", X + 1, Y, {"counter": 299})],
        items={"wood": 2},
        hunger=3.5,
        fatigue=-2,
        sleeping=True,
    )
    obs = jax.device_get(look(state))
    assert bool(contains(structured_space(), jax.tree.map(jnp.asarray, obs)))
    kind, health, counter = np.zeros((3, 9, 7), int)
    kind[0, 6], health[0, 6], counter[0, 6] = c.kind("zombie"), 5, 4
    kind[5, 3], health[5, 3], counter[5, 3] = c.kind("plant"), 1, 299
    for name, plane in (("kind", kind), ("health", health), ("counter", counter)):
        np.testing.assert_array_equal(obs["objects"][name], plane)
    view = jax.device_get(local_view(state, RULES))
    np.testing.assert_array_equal(obs["materials"], view.materials)
    np.testing.assert_array_equal(obs["entities"], view.entities)
    player = obs["player"]
    assert (player["hunger"], player["fatigue"], player["sleeping"]) == (3.5, -2, 1)
    assert player["inventory"][c.item("wood")] == 2 and player["facing"] == c.DOWN
    assert not player["achievements"].any() and obs["daylight"].shape == ()
