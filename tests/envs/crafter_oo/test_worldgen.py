"""Worlds of other sizes: their fields fit together, and what does not fit in is noted."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.draws import draw_world
from jaxrl.envs.crafter_oo.worldgen import generate
from tests.unoptimised import jit

AREAS = {(9, 9): 8, (32, 48): 80, (100, 70): 300}
NUM = 6


@functools.cache
def worlds(area, capacity):
    """6 worlds of that area, on the host."""

    @jit
    @jax.vmap
    def make(key):
        return generate(draw_world(key, area), area, capacity, rule_sets.crafter())

    batch = jax.device_get(make(jax.random.split(jax.random.key(1), NUM)))
    return [jax.tree.map(lambda x, i=i: x[i], batch) for i in range(NUM)]


def of(state, name):
    return c.MATERIALS.index(name) == state.materials


@pytest.mark.parametrize("area", AREAS)
def test_fields_fit_together(area):
    for state in worlds(area, AREAS[area]):
        objects, player = state.objects, state.player
        middle = area[0] // 2, area[1] // 2
        assert state.area == area and not state.overflow and state.time == 0
        assert (player.x, player.y) == middle and player.facing == c.DOWN
        assert player.items.tolist() == [9, 9, 9, 9, *[0] * 12] and player.last_health == 9
        assert not player.unlocked.any() and not player.sleeping
        # No table, no furnace, nothing outside; the player starts on grass.
        assert set(np.unique(state.materials)) <= set(range(1, c.material("table")))
        assert state.materials[middle] == c.material("grass")
        count = int((objects.kind > 0).sum())
        assert objects.id.tolist() == [*range(2, count + 2), *[0] * (AREAS[area] - count)]
        assert int(state.next_id) == count + 2
        cells = list(zip(objects.x[:count].tolist(), objects.y[:count].tolist(), strict=True))
        assert cells == sorted(cells) and len({*cells, middle}) == count + 1
        for slot, cell in enumerate(cells):
            kind, ground = c.KINDS[objects.kind[slot]], c.MATERIALS[state.materials[cell]]
            distance = np.hypot(cell[0] - middle[0], cell[1] - middle[1])
            assert (kind, int(objects.health[slot])) in {("cow", 3), ("zombie", 5), ("skeleton", 3)}
            assert ground in {"cow": ["grass"], "skeleton": ["path"]}.get(
                kind, ["grass", "sand", "path"]
            )
            assert distance > {"cow": 3, "zombie": 10, "skeleton": 0}[kind]
        for field in jax.tree.leaves(objects):
            assert not field[count:].any()
        assert not objects.counter.any() and not objects.facing.any()


@pytest.mark.parametrize("area", AREAS)
def test_chunks_are_in_the_order_of_their_first_object(area):
    for state in worlds(area, AREAS[area]):
        objects, middle = state.objects, (area[0] // 2, area[1] // 2)
        opened = [(middle[0] // 12, middle[1] // 12)]
        for x, y in zip(objects.x[objects.kind > 0], objects.y[objects.kind > 0], strict=True):
            if (x // 12, y // 12) not in opened:
                opened.append((x // 12, y // 12))
        assert state.chunk_order.shape == (-(-area[0] // 12), -(-area[1] // 12))
        expected = np.full(state.chunk_order.shape, -1)
        for rank, chunk in enumerate(opened):
            expected[chunk] = rank
        np.testing.assert_array_equal(state.chunk_order, expected)


def test_worlds_have_everything_and_differ():
    states = worlds((100, 70), AREAS[100, 70])
    shares = {
        name: np.mean([of(state, name).mean() for state in states]) for name in c.MATERIALS[1:11]
    }
    assert all(share > 0 for share in shares.values()), shares
    assert shares["grass"] > 0.2 and shares["diamond"] < 0.01
    kinds = np.concatenate([state.objects.kind for state in states])
    assert {"cow", "zombie", "skeleton"} <= {c.KINDS[kind] for kind in kinds}
    differ = [(states[0].materials != state.materials).mean() for state in states[1:]]
    assert min(differ) > 0.2


def test_objects_without_a_slot_are_noted():
    for few, all_of_them in zip(worlds((32, 48), 4), worlds((32, 48), 80), strict=True):
        assert all_of_them.next_id - 2 > 4, "the case is too small to show anything"
        assert few.overflow and few.next_id == all_of_them.next_id
        first = jax.tree.map(lambda x: x[:4], all_of_them.objects)
        jax.tree.map(np.testing.assert_array_equal, few.objects, first)


def test_rules_make_other_worlds():
    rules = rule_sets.named(rule_sets.crafter(), "terrain.cow_probability", 0.0)
    rules = rule_sets.named(rules, "terrain.tree_probability", 1.0)
    area, draws = (32, 48), draw_world(jax.random.split(jax.random.key(1), NUM)[0], (32, 48))
    changed = jit(lambda draws, rules: generate(draws, area, 80, rules))(draws, rules)
    plain = worlds(area, 80)[0]
    assert not (changed.objects.kind == c.kind("cow")).any()
    assert (plain.objects.kind == c.kind("cow")).any()
    trees, before = of(changed, "tree"), of(plain, "tree")
    assert trees.sum() > 2 * before.sum() and bool(jnp.all(trees | ~before))
