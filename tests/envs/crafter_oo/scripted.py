"""A player of the reference that sees everything and goes for all there is to do in Crafter."""

import heapq
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxrl.envs.crafter_oo import constants as c

Cell = tuple[int, int]
Actions = Iterator[int]

WALKABLE = {"grass", "sand", "path"}
MOVES = {(-1, 0): "move_left", (1, 0): "move_right", (0, -1): "move_up", (0, 1): "move_down"}
_AROUND = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
SOLID = ("stone", "coal", "iron", "diamond", "tree", "table", "furnace", "water")
DEFENDS = 0.9  # how often it hits back
CAREFUL = 0.8  # in how many episodes it looks for a shelter before it sleeps


def scripted_policy(env: Any, rng: np.random.RandomState) -> Actions:
    """Tools up to iron, a diamond, a plant, meals, fights, sleep; in the end it walks into lava."""
    return Player(env, rng).play()


class Player:
    """The script. Everything is planned anew at each step, since the world moves."""

    def __init__(self, env: Any, rng: np.random.RandomState):
        """`env` is a live `crafter.Env`, which is only read."""
        self.env, self.rng = env, rng
        self.world, self.player = env._world, env._player
        self.plant: Cell | None = None
        self.careful = rng.uniform() < CAREFUL

    def play(self) -> Actions:
        """All goals in turn, each given up after a while; then sleep, then lava."""
        yield from self.plant_sapling()
        yield from self.gather("tree", "wood", 9)
        yield from self.build("place_table")
        yield from self.make("make_wood_pickaxe", "table")
        yield from self.make("make_wood_sword", "table")
        yield from self.gather("stone", "stone", 3)
        yield from self.fence_plant()
        yield from self.gather("stone", "stone", 8)
        yield from self.make("make_stone_pickaxe", "table")
        yield from self.make("make_stone_sword", "table")
        yield from self.gather("coal", "coal", 2)
        yield from self.gather("iron", "iron", 2)
        yield from self.gather("stone", "stone", 5)
        yield from self.build("place_furnace", "table")
        yield from self.make("make_iron_pickaxe", "table", "furnace")
        yield from self.make("make_iron_sword", "table", "furnace")
        yield from self.gather("diamond", "diamond", 1)
        yield from self.hunt("Skeleton", "defeat_skeleton")
        yield from self.live_on()
        yield from self.hunt("Zombie", "defeat_zombie")
        yield from self.eat_plant()
        yield from self.walk_into_lava()
        while True:
            yield from self.act(c.ACTIONS[self.rng.randint(len(c.ACTIONS))])

    # ---- what it sees

    @property
    def pos(self) -> Cell:
        """Where it is."""
        return int(self.player.pos[0]), int(self.player.pos[1])

    @property
    def ahead(self) -> Cell:
        """The cell it looks at."""
        return self._beside(self.pos, self.player.facing)

    def has(self, item: str) -> int:
        """How many of an item."""
        return int(self.player.inventory[item])

    def is_free(self, cell: Cell) -> bool:
        """Whether it can walk there, lava apart."""
        material, obj = self.world[cell]
        return obj is None and material in WALKABLE

    def cells(self, material: str) -> list[Cell]:
        """All cells of a material."""
        number = c.material(material)
        return [(int(x), int(y)) for x, y in np.argwhere(self.world._mat_map == number)]

    def creatures(self, kind: str) -> list[Cell]:
        """Where creatures of a kind are."""
        return [
            (int(obj.pos[0]), int(obj.pos[1]))
            for obj in self.world.objects
            if type(obj).__name__ == kind
        ]

    @staticmethod
    def _beside(cell: Cell, step: Any) -> Cell:
        return cell[0] + int(step[0]), cell[1] + int(step[1])

    # ---- single actions

    def act(self, name: str) -> Actions:
        """The action, or a blow at a creature beside that attacks."""
        yield c.action(self._defence() or name)

    def _defence(self) -> str | None:
        if self.player.sleeping or self.rng.uniform() > DEFENDS:
            return None
        for step, move in MOVES.items():
            obj = self.world[self._beside(self.pos, step)][1]
            if type(obj).__name__ in ("Zombie", "Skeleton"):
                return "do" if tuple(self.player.facing) == step else move
        return None

    def wander(self) -> Actions:
        """A step somewhere, but not into lava."""
        steps = [s for s in MOVES if self.world[self._beside(self.pos, s)][0] != "lava"]
        yield from self.act(MOVES[steps[self.rng.randint(len(steps))]])

    def approach(self, targets: list[Cell]) -> str | None:
        """The next action on the way to hitting one of these cells; None if there is no way."""
        if self.ahead in targets:
            return "do"
        return self._route(set(targets), beside=True)

    def go_to(self, target: Cell) -> str | None:
        """The next action on the way into a cell."""
        return self._route({target}, beside=False)

    def _route(self, wanted: set[Cell], beside: bool) -> str | None:
        start, seen = self.pos, set()
        queue: list[tuple[int, Cell, Cell | None]] = [(0, start, None)]
        while queue:
            cost, cell, first = heapq.heappop(queue)
            if cell in seen:
                continue
            seen.add(cell)
            if not beside and cell in wanted and first is not None:
                return self._enter(first)
            for step in MOVES:
                after, way = self._beside(cell, step), step if first is None else first
                if beside and after in wanted:
                    return self._enter(way)
                price = 1 if self.is_free(after) else 4 if self._can_dig(after) else None
                if price and after not in seen:
                    heapq.heappush(queue, (cost + price, after, way))
        return None

    def _can_dig(self, cell: Cell) -> bool:
        material, obj = self.world[cell]
        return obj is None and material == "stone" and self.has("wood_pickaxe") > 0

    def _enter(self, step: Cell) -> str:
        """Moves that way, turns that way, or digs."""
        beside = self._beside(self.pos, step)
        if tuple(self.player.facing) == step and not self.is_free(beside):
            return "do"
        return MOVES[step]

    # ---- goals

    def until(
        self, done: Callable[[], bool], plan: Callable[[], str | None], budget: int
    ) -> Actions:
        """Follows a plan until something is the case; wanders where the plan has nothing."""
        for _ in range(budget):
            if done():
                return
            name = plan()
            if name is None:
                yield from self.wander()
            else:
                yield from self.act(name)

    def gather(self, material: str, item: str, amount: int) -> Actions:
        """Collects a material until it has that many."""
        yield from self.care()
        yield from self.until(
            lambda: self.has(item) >= amount, lambda: self.approach(self.spare(material)), 120
        )

    def spare(self, material: str) -> list[Cell]:
        """The cells of a material that do not guard the plant."""
        cells = self.cells(material)
        if self.plant is None:
            return cells
        return [
            cell
            for cell in cells
            if abs(cell[0] - self.plant[0]) + abs(cell[1] - self.plant[1]) > 1
        ]

    def is_near(self, cell: Cell, *materials: str) -> bool:
        """Whether all these materials are within a step of a cell, diagonals included."""
        (x, y), seen = cell, self.world._mat_map
        around = seen[max(x - 1, 0) : x + 2, max(y - 1, 0) : y + 2]
        return all((around == c.material(name)).any() for name in materials)

    def visit(self, *materials: str) -> Actions:
        """Walks to where all these materials are near."""
        first = [(x + dx, y + dy) for x, y in self.cells(materials[0]) for dx, dy in _AROUND]
        good = {cell for cell in first if self.is_free(cell) and self.is_near(cell, *materials)}
        yield from self.until(
            lambda: self.is_near(self.pos, *materials),
            lambda: self._route(good, beside=False) if good else None,
            80 if good else 0,
        )

    def make(self, name: str, *beside: str) -> Actions:
        """Makes a tool where a table, and a furnace, are near, if it can."""
        for _ in range(3):
            yield from self.visit(*beside)
            if not self.has(name[len("make_") :]):
                yield from self.act(name)

    def build(self, name: str, *beside: str) -> Actions:
        """Places a table or furnace ahead, where there is room, near something else."""
        before = self.player.achievements[name]
        for _ in range(30):
            if self.player.achievements[name] > before:
                return
            yield from self.visit(*beside) if beside else ()
            if self.is_free(self.ahead) and self.is_near(self.pos, *beside):
                yield from self.act(name)
            else:
                yield from self.wander()

    def plant_sapling(self) -> Actions:
        """Finds a sapling in the grass and plants it, in a niche if there is one."""
        for _ in range(120):
            if self.has("sapling"):
                break
            if self.world[self.ahead][0] == "grass" and self.is_free(self.ahead):
                yield from self.act("do")
            else:
                yield from self.wander()
        entry = self.niche_entry()
        if entry is not None:
            below = entry[0], entry[1] + 1
            yield from self.until(lambda: self.pos == below, lambda: self.go_to(below), 60)
            yield from self.act("move_up")
        for _ in range(20):
            material, obj = self.world[self.ahead]
            if self.has("sapling") and material == "grass" and obj is None:
                cell = self.ahead
                yield from self.act("place_plant")
                if type(self.world[cell][1]).__name__ == "Plant":
                    self.plant = cell
                    return
            else:
                yield from self.wander()

    def niche_entry(self) -> Cell | None:
        """A cell below a grass cell that is walled in on its other three sides."""
        number = self.world._mat_map
        walls = np.isin(number, [c.material("stone"), c.material("water"), c.material("table")])
        for x, y in self.cells("grass"):
            if not (0 < x < number.shape[0] - 1 and 0 < y < number.shape[1] - 3):
                continue
            if walls[x - 1, y] and walls[x + 1, y] and walls[x, y - 1]:
                near = abs(x - self.pos[0]) + abs(y - self.pos[1]) < 20
                if near and self.is_free((x, y)) and self.is_free((x, y + 2)):
                    return x, y + 1
        return None

    def fence_plant(self) -> Actions:
        """Closes the niche: a stone between the plant and the way to it."""
        if self.plant is None or not self.has("stone"):
            return
        entry = self.plant[0], self.plant[1] + 1
        below = entry[0], entry[1] + 1
        yield from self.until(lambda: self.pos == below, lambda: self.go_to(below), 60)
        for name in ("move_down", "move_up"):
            yield from self.act(name)
        if self.pos == below and self.ahead == entry:
            yield from self.act("place_stone")

    def hunt(self, kind: str, achievement: str) -> Actions:
        """Kills a creature of a kind."""
        before = self.player.achievements[achievement]
        yield from self.until(
            lambda: self.player.achievements[achievement] > before,
            lambda: self.approach(self.creatures(kind)),
            80,
        )

    def care(self) -> Actions:
        """Drinks, eats and sleeps if need be."""
        if self.has("drink") < 5:
            yield from self.until(
                lambda: self.has("drink") >= 9, lambda: self.approach(self.cells("water")), 50
            )
        if self.has("food") < 5:
            yield from self.hunt("Cow", "eat_cow")
        dark = self.world.daylight < 0.5 and self.careful
        if self.has("energy") < 4 or self.has("health") < 5 or (dark and self.has("energy") < 9):
            yield from self.rest()

    def shelter(self) -> tuple[Cell, Cell] | None:
        """A free cell beside rock, and the direction in which to dig two cells deep."""
        solid = np.isin(self.world._mat_map, [c.material(name) for name in SOLID])
        stone = self.world._mat_map == c.material("stone")
        width, height = stone.shape
        x, y = self.pos
        near = sorted(
            ((x + dx, y + dy) for dx in range(-15, 16) for dy in range(-15, 16)),
            key=lambda cell: abs(cell[0] - x) + abs(cell[1] - y),
        )
        for cell in near:
            for step in MOVES:
                one, two, three = (
                    (cell[0] + n * step[0], cell[1] + n * step[1]) for n in (1, 2, 3)
                )
                if not all(0 < x < width - 1 and 0 < y < height - 1 for x, y in (cell, three)):
                    continue
                sides = [(step[1], step[0]), (-step[1], -step[0])]
                walls = [three, *(self._beside(at, side) for at in (one, two) for side in sides)]
                walled = stone[one] and stone[two] and all(solid[wall] for wall in walls)
                if walled and self.is_free(cell):
                    return cell, step
        return None

    def hide(self) -> Actions:
        """Digs itself in: two cells deep, one back, and a stone in front."""
        found = self.shelter() if self.has("wood_pickaxe") else None
        if found is None:
            return
        cell, step = found
        back = MOVES[-step[0], -step[1]]
        yield from self.until(lambda: self.pos == cell, lambda: self.go_to(cell), 40)
        if self.pos == cell:
            for name in (*(MOVES[step], "do", MOVES[step]), *("do", MOVES[step], back)):
                yield from self.act(name)
            yield from self.act("place_stone")

    def rest(self) -> Actions:
        """Sleeps until it wakes up, in a shelter if it is careful, and stays until it is well."""
        if self.careful:
            yield from self.hide()
        for _ in range(150):
            yield from self.act("sleep")
            if not self.player.sleeping and self.has("energy") >= 9:
                break
        yield from self.until(lambda: self.has("health") >= 6, lambda: "noop", 50)

    def live_on(self) -> Actions:
        """Stays around until the plant is ripe, through a night; most of it asleep."""
        for _ in range(60):
            thing = None if self.plant is None else self.world[self.plant][1]
            if thing is None or getattr(thing, "ripe", True):
                return
            yield from self.care()
            if self.has("energy") < 9 and self.rng.uniform() < 0.5:
                yield from self.rest()
            else:
                yield from self.until(lambda: False, lambda: "noop", 10)

    def eat_plant(self) -> Actions:
        """Eats the plant."""
        if self.plant is None:
            return
        yield from self.until(
            lambda: self.player.achievements["eat_plant"] > 0,
            lambda: self.approach([self.plant]),
            60,
        )

    def walk_into_lava(self) -> Actions:
        """Goes next to lava, and on."""
        for _ in range(80):
            name = self.approach(self.cells("lava"))
            if name is None:
                return
            step = tuple(int(v) for v in self.player.facing)
            yield from self.act(MOVES[step] if name == "do" else name)


def prepare(env: Any, rng: np.random.RandomState) -> None:
    """Rebuilds the surroundings of the start of a new world, so that all there is, is near."""
    from crafter import objects as things

    world, player = env._world, env._player
    cx, cy = (int(v) for v in player.pos)
    flip = 1 if rng.uniform() < 0.5 else -1

    def put(material: str, xs: range, ys: range) -> None:
        for dx in xs:
            for dy in ys:
                world[cx + flip * dx, cy + dy] = material

    for obj in world.objects:
        if obj is not player and np.abs(obj.pos - player.pos).max() <= 12:
            world.remove(obj)
    put("grass", range(-12, 13), range(-12, 13))
    put("tree", range(2, 4), range(-8, -2))
    put("water", range(-1, 2), range(-6, -3))
    put("grass", range(0, 1), range(-5, -3))
    put("stone", range(4, 12), range(-8, -2))
    for material, dx, dy in (
        *(("coal", 5, -3), ("coal", 6, -3), ("coal", 7, -6)),
        *(("iron", 8, -3), ("iron", 8, -4), ("iron", 5, -6)),
        *(("diamond", 9, -5), ("diamond", 10, -5)),
    ):
        world[cx + flip * dx, cy + dy] = material
    put("water", range(-6, -3), range(0, 3))
    put("lava", range(-2, 1), range(9, 11))
    put("stone", range(4, 13), range(2, 9))
    put("path", range(5, 12), range(3, 8))
    put("path", range(4, 5), range(5, 6))
    for dx, dy in ((10, 4), (11, 6)):
        world.add(things.Skeleton(world, (cx + flip * dx, cy + dy), player))
    for dx, dy in ((-4, 3), (-3, 7), (2, 8), (-8, 9)):
        world.add(things.Cow(world, (cx + flip * dx, cy + dy)))
