"""The objects' rounds, all at once, against a plain loop over the objects in the order of ids.

The loop is written from the rules in the order in which the reference applies them; the arenas are
crowded, so that many stand in each other's way.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.creatures import update_objects
from jaxrl.envs.crafter_oo.draws import BalanceDraws, ObjectDraws, TapeDraws
from jaxrl.envs.crafter_oo.state import chunk_grid
from tests.envs.crafter_oo.small_worlds import world
from tests.unoptimised import jit

AREA, CAPACITY, NEAR, BATCH = (30, 14), 52, 40, 256
DRAWN = ObjectDraws._fields
STEPS = [tuple(int(x) for x in step) for step in c.DIRECTIONS]
MOBS = ("cow", "zombie", "skeleton")
WALKABLE = ("grass", "path", "sand")


class Arena:
    """A world as Python objects, one after the other taking its turn."""

    def __init__(self, case):
        self.case, self.player = case, dict(case["player"])
        self.map = {cell: c.MATERIALS[m] for cell, m in np.ndenumerate(case["materials"])}
        self.objects = {row["id"]: dict(row) for row in case["objects"]}
        self.cells = {(row["x"], row["y"]): row["id"] for row in case["objects"]}
        self.cells[self.player["x"], self.player["y"]] = c.PLAYER_ID
        self.next_id = case["next_id"]
        self.chunks = [tuple(chunk) for chunk in case["chunks"]]

    def play(self):
        for row in list(self.objects.values()):
            if row["id"] < self.case["first_new"] and self.distance(row) < 18:
                self.draw = self.case["draws"][row["id"]]
                getattr(self, c.KINDS[row["kind"]])(row)
        return self

    def distance(self, row):
        return abs(row["x"] - self.player["x"]) + abs(row["y"] - self.player["y"])

    def free(self, cell, materials=WALKABLE):
        return cell not in self.cells and self.map.get(cell) in materials

    def enter(self, cell):
        chunk = cell[0] // c.CHUNK, cell[1] // c.CHUNK
        if chunk not in self.chunks:
            self.chunks.append(chunk)

    def move(self, row, step, materials=WALKABLE):
        cell = row["x"] + step[0], row["y"] + step[1]
        if not self.free(cell, materials):
            return False
        if row["id"] in self.objects:
            self.cells[cell] = self.cells.pop((row["x"], row["y"]))
            row["x"], row["y"] = cell
            self.enter(cell)
        return True

    def remove(self, row):
        del self.objects[row["id"]], self.cells[row["x"], row["y"]]

    def dies(self, row):
        """Whether it is dead and does nothing more."""
        if row["health"] > 0:
            return False
        self.remove(row)
        return not self.case["dead_act"]

    def toward(self, row, long_axis):
        dx, dy = self.player["x"] - row["x"], self.player["y"] - row["y"]
        horizontal = abs(dx) > abs(dy) if long_axis else abs(dx) <= abs(dy)
        return (int(np.sign(dx)), 0) if horizontal else (0, int(np.sign(dy)))

    def cow(self, row):
        if not self.dies(row) and self.draw["act"] < 0.5:
            self.move(row, STEPS[self.draw["direction"]])

    def zombie(self, row):
        if self.dies(row):
            return
        if self.distance(row) <= 8 and self.draw["act"] < 0.9:
            self.move(row, self.toward(row, self.draw["axis"] < 0.8))
        else:
            self.move(row, STEPS[self.draw["direction"]])
        if self.distance(row) <= 1:
            if row["counter"]:
                row["counter"] -= 1
            else:
                self.hurt_player(7 if self.player["sleeping"] else 2)
                row["counter"] = 5

    def skeleton(self, row):
        if self.dies(row):
            return
        row["counter"] = max(0, row["counter"] - 1)
        distance = self.distance(row)
        if distance <= 3:
            dx, dy = self.toward(row, self.draw["retreat"] < 0.6)
            if self.move(row, (-dx, -dy)):
                return
        if distance <= 5 and self.draw["act"] < 0.5:
            self.shoot(row, self.toward(row, True))
        elif distance <= 8 and self.draw["chase"] < 0.3:
            self.move(row, self.toward(row, self.draw["axis"] < 0.6))
        elif self.draw["wander"] < 0.2:
            self.move(row, STEPS[self.draw["direction"]])

    def shoot(self, row, step):
        cell = row["x"] + step[0], row["y"] + step[1]
        if row["counter"] == 0 and self.free(cell, (*WALKABLE, "water", "lava")):
            self.objects[self.next_id] = {
                "id": self.next_id,
                "kind": c.kind("arrow"),
                "x": cell[0],
                "y": cell[1],
                "health": 0,
                "counter": 0,
                "facing": STEPS.index(step),
            }
            self.cells[cell] = self.next_id
            self.next_id += 1
            self.enter(cell)
            row["counter"] = 4

    def arrow(self, row):
        step = STEPS[row["facing"]]
        cell = row["x"] + step[0], row["y"] + step[1]
        struck = self.cells.get(cell)
        if struck == c.PLAYER_ID:
            self.hurt_player(2)
            self.remove(row)
        elif struck:
            self.objects[struck]["health"] = max(0, self.objects[struck]["health"] - 2)
            self.remove(row)
        elif self.map.get(cell) not in (*WALKABLE, "water", "lava"):
            self.remove(row)
            if self.map.get(cell) in ("table", "furnace"):
                self.map[cell] = "path"
        else:
            self.move(row, step, (*WALKABLE, "water", "lava"))

    def plant(self, row):
        row["counter"] += 1
        beside = (self.cells.get((row["x"] + dx, row["y"] + dy)) for dx, dy in STEPS)
        kinds = [c.KINDS[self.objects[n]["kind"]] for n in beside if n and n != c.PLAYER_ID]
        if set(kinds) & set(MOBS):
            row["health"] = max(0, row["health"] - 1)
        if row["health"] <= 0:
            self.remove(row)

    def hurt_player(self, damage):
        self.player["health"] = max(0, self.player["health"] - damage)


def arena(rng, count):
    """A case with `count` objects, most of them close together around the player."""
    x, y = int(rng.integers(1, AREA[0] - 1)), int(rng.integers(1, AREA[1] - 1))
    cells = [cell for cell in np.ndindex(*AREA) if cell != (x, y)]
    distance = np.asarray([abs(cx - x) + abs(cy - y) for cx, cy in cells])
    spread = rng.choice([3.0, 5.0, 12.0])
    weights = np.exp(-distance / spread)
    chosen = rng.choice(len(cells), count, replace=False, p=weights / weights.sum())
    common = rng.choice([*c.MATERIALS[1:]], 3)
    materials = rng.choice(["grass", "path", "sand", *common, "table", "water"], AREA)
    numbers = np.vectorize(c.MATERIALS.index)(materials).astype(np.uint8)
    next_id = 2 + 2 * count
    ids = np.sort(rng.choice(np.arange(2, next_id), count, replace=False))
    kinds = rng.choice(np.arange(1, len(c.KINDS)), count, p=(0.2, 0.2, 0.25, 0.2, 0.15))
    objects, drawn = [], {}
    for number, index, kind in zip(ids, chosen, kinds, strict=True):
        name = c.KINDS[kind]
        health = 0 if name == "arrow" else int(rng.integers(0, 6 if name == "zombie" else 4))
        objects.append(
            {
                "id": int(number),
                "kind": int(kind),
                "x": cells[index][0],
                "y": cells[index][1],
                "health": health,
                "counter": 0 if name in ("cow", "arrow") else int(rng.integers(0, 3)),
                "facing": int(rng.integers(4)) if name == "arrow" else 0,
            }
        )
        numbers_drawn = dict(zip(DRAWN, rng.uniform(size=5).astype(np.float32), strict=False))
        drawn[int(number)] = numbers_drawn | {"direction": int(rng.integers(4))}
    opened = {(cx // c.CHUNK, cy // c.CHUNK) for cx, cy in [(x, y), *(cells[i] for i in chosen)]}
    return {
        "materials": numbers,
        "objects": objects,
        "draws": drawn,
        "player": {"x": x, "y": y, "health": 9, "sleeping": bool(rng.integers(2))},
        "next_id": next_id,
        "first_new": int(ids[-1]) + int(rng.integers(2)),
        "chunks": sorted(opened),
        "dead_act": bool(rng.integers(2)),
    }


def as_arrays(case, rng):
    """The case as (state, draws, first_new, rules); holes between the slots."""
    state = jax.device_get(
        world(
            area=AREA,
            capacity=CAPACITY,
            at=(case["player"]["x"], case["player"]["y"]),
            sleeping=case["player"]["sleeping"],
        )
    )
    slots = np.sort(rng.choice(CAPACITY - 8, len(case["objects"]), replace=False))
    order = np.full(chunk_grid(AREA), -1, np.int16)
    for rank, chunk in enumerate(case["chunks"]):
        order[chunk] = rank
    drawn = {name: np.full(CAPACITY, 0.5, np.float32) for name in DRAWN}
    objects = jax.tree.map(np.array, state.objects)
    for slot, row in zip(slots, case["objects"], strict=True):
        for name, value in row.items():
            getattr(objects, name)[slot] = value
        for name, value in case["draws"][row["id"]].items():
            drawn[name][slot] = value
    drawn["direction"] = drawn["direction"].astype(np.uint8)
    state = state.replace(
        materials=case["materials"],
        objects=objects,
        next_id=np.int32(case["next_id"]),
        chunk_order=order,
    )
    unused = np.zeros((order.size, 3), np.float32)
    draws = TapeDraws(np.float32(0), ObjectDraws(**drawn), BalanceDraws(unused, unused))
    return state, draws, np.int32(case["first_new"]), np.bool_(case["dead_act"])


@pytest.fixture(scope="module")
def update():
    """The batch of worlds after the objects' turns."""
    rules = rule_sets.crafter()

    def one(state, draws, first_new, dead_act):
        rule = rules.replace(quirks=rules.quirks.replace(dead_act=dead_act))
        return update_objects(state, draws, first_new, NEAR, rule)

    return jit(jax.vmap(one))


def batch_of(seed, counts):
    rng = np.random.default_rng(seed)
    cases = [arena(rng, int(rng.integers(*counts))) for _ in range(BATCH)]
    arrays = jax.tree.map(lambda *leaves: np.stack(leaves), *(as_arrays(x, rng) for x in cases))
    return cases, jax.tree.map(jnp.asarray, arrays)


def near(case):
    return sum(Arena(case).distance(row) <= 18 for row in case["objects"])


def assert_same(after, case, label):
    truth = Arena(case).play()
    live = np.nonzero(after.objects.kind)[0]
    fields = ("id", "kind", "x", "y", "health", "counter", "facing")
    rows = [{name: int(getattr(after.objects, name)[slot]) for name in fields} for slot in live]
    want = [truth.objects[number] for number in sorted(truth.objects)]
    assert rows == want, label
    assert int(after.player.health) == truth.player["health"], label
    cells = np.vectorize(c.MATERIALS.index)([truth.map[cell] for cell in np.ndindex(*AREA)])
    np.testing.assert_array_equal(after.materials.reshape(-1), cells, err_msg=label)
    assert int(after.next_id) == truth.next_id, label
    opened = sorted(truth.chunks, key=lambda chunk: after.chunk_order[chunk])
    assert opened == truth.chunks and (after.chunk_order >= 0).sum() == len(opened), label
    assert not after.overflow, label
    return truth


# More than 24 near objects leave the short way, and more than 40 do not fit.
@pytest.mark.parametrize(("seed", "counts"), [(0, (1, 12)), (1, (12, 30)), (2, (26, 41))])
@pytest.mark.parametrize("part", range(3))
def test_all_at_once_is_one_after_the_other(update, part, seed, counts):
    cases, arrays = batch_of(10 * part + seed, counts)
    after = jax.device_get(update(*arrays))
    moved = removed = shot = hurt = 0
    for index, case in enumerate(cases):
        one = jax.tree.map(lambda x, index=index: x[index], after)
        truth = assert_same(one, case, f"case {index} of seed {10 * part + seed}")
        before = {row["id"]: row for row in case["objects"]}
        moved += sum(
            (row["x"], row["y"]) != (before[n]["x"], before[n]["y"])
            for n, row in truth.objects.items()
            if n in before
        )
        removed += len(before.keys() - truth.objects.keys())
        shot += truth.next_id - case["next_id"]
        hurt += truth.player["health"] < 9
    # The arenas are not dull.
    assert min(moved, removed) > BATCH and min(shot, hurt) >= 4


def test_more_near_objects_than_fit_are_noted(update):
    cases, arrays = batch_of(7, (36, 44))
    after = jax.device_get(update(*arrays))
    crowded = np.asarray([near(case) > NEAR for case in cases])
    np.testing.assert_array_equal(after.overflow, crowded)
    assert 20 < crowded.sum() < BATCH - 20
