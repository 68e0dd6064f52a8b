"""Every random draw of a live `crafter.Env`, recorded with who draws it and what for.

A recorded episode, played again with the same draws through `transition`, must give the same states
bit for bit; so must `worldgen.generate` with the recorded draws of a world.

The package draws everything from one stream and in the order in which things happen. The recorder
gives each object a handle of its own on that stream, so that who draws is known, and finds the
purpose from the kind of object and what it has drawn in this step so far. Two things that are no
rules of the game are taken out: rendering, which draws from the same stream at night, and the order
of Python sets, in which creatures of a chunk are numbered (here: the order of ids).

Needs the extra `reference`.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.draws import BalanceDraws, ObjectDraws, TapeDraws, WorldDraws
from jaxrl.envs.crafter_oo.noise import permutation_of
from jaxrl.envs.crafter_oo.reference import check_reference
from jaxrl.envs.crafter_oo.state import chunk_grid

# The reference's classes, along the last axis of `BalanceDraws`.
BALANCED = tuple(name.capitalize() for name in c.BALANCED)
UNDRAWN = 0.5


class StepTape(NamedTuple):
    """What one step drew; what was not drawn is missing.

    Attributes:
        collect: the player's draw.
        objects: id -> field of `ObjectDraws` -> number.
        balance: (flat index of a chunk, index into `BALANCED`) -> field of `BalanceDraws` ->
            number.
    """

    collect: float | None
    objects: dict[int, dict[str, float]]
    balance: dict[tuple[int, int], dict[str, float]]

    def draws(self, ids: np.ndarray, num_chunks: int) -> TapeDraws:
        """The same draws by slot, what is missing filled up.

        Args:
            ids: int [N], the id in each slot before the step, 0 if empty.
            num_chunks: of the map.

        Raises:
            ValueError: an object that drew is in none of the slots.
        """
        missing = set(self.objects) - {int(number) for number in ids if number}
        if missing:
            raise ValueError(f"objects {sorted(missing)} drew but are in no slot")
        by_slot = _filled(ObjectDraws._fields, len(ids))
        for slot, number in enumerate(ids):
            for name, value in self.objects.get(int(number), {}).items():
                by_slot[name][slot] = value
        by_slot["direction"] = by_slot["direction"].astype(np.uint8)
        balanced = _filled(BalanceDraws._fields, num_chunks, len(BALANCED))
        for index, drawn in self.balance.items():
            for name, value in drawn.items():
                balanced[name][index] = value
        collected: Any = np.float32(UNDRAWN if self.collect is None else self.collect)
        return TapeDraws(collected, ObjectDraws(**by_slot), BalanceDraws(**balanced))


class Recorder:
    """Steps a `crafter.Env` and records what it draws.

    Takes the environment over: it no longer renders (observations are None), its info has no
    semantic map, and copies of it are of no use. `env.reset()` ends the recording.
    """

    def __init__(self, env: Any):
        """`env` is a `crafter.Env` that was reset, in any state.

        Raises:
            ValueError: not a `crafter.Env`, not reset yet, or recorded already.
        """
        check_reference(env)
        if isinstance(env._world.random, _BalanceStream):
            raise ValueError("another Recorder has taken over this crafter.Env, or what it copies")
        self.env = env
        self._stream = env._world.random
        self._collect: float | None = None
        self._objects: dict[int, dict[str, float]] = {}
        self._balance: dict[tuple[int, int], dict[str, float]] = {}
        self._balanced: tuple[int, int] | None = None
        no_rendering(env)
        self._take_over(env._world)

    def step(self, action: int) -> tuple[StepTape, float, bool]:
        """One step: what was drawn, the reward, and whether the episode ended."""
        self._collect, self._objects, self._balance = None, {}, {}
        _, reward, done, _ = self.env.step(action)
        return StepTape(self._collect, self._objects, self._balance), float(reward), bool(done)

    def _take_over(self, world: Any) -> None:
        numbers: dict[Any, int] = {}

        class InOrder(set):
            """A set of objects that is iterated over in the order of ids."""

            def __iter__(self) -> Iterator[Any]:
                return iter(sorted(set.__iter__(self), key=numbers.__getitem__))

        def adopt(obj: Any, number: int) -> None:
            numbers[obj] = number
            obj.random = _ObjectStream(self, obj, number)

        def add(obj: Any) -> None:
            type(world).add(world, obj)
            adopt(obj, len(world._objects) - 1)

        for number, obj in enumerate(world._objects):
            if obj:
                adopt(obj, number)
        chunks: dict[Any, InOrder] = defaultdict(InOrder)
        chunks.update({key: InOrder(objs) for key, objs in world._chunks.items()})
        world._chunks = chunks
        world.add = add
        world.random = _BalanceStream(self)
        columns = chunk_grid(world.area)[1]
        balance_object = self.env._balance_object

        def balance(chunk: Any, objs: Any, cls: Any, *args: Any) -> None:
            flat = int(chunk[0]) // c.CHUNK * columns + int(chunk[2]) // c.CHUNK
            self._balanced = flat, BALANCED.index(cls.__name__)
            balance_object(chunk, objs, cls, *args)
            self._balanced = None

        self.env._balance_object = balance

    def uniform(self) -> float:
        """The stream's next uniform number."""
        return float(self._stream.uniform())

    def index(self, stop: int) -> int:
        """The stream's next index below `stop`."""
        return int(self._stream.randint(0, stop))

    def note_collect(self, value: float) -> None:
        """Notes the player's draw."""
        self._collect = value

    def note_object(self, number: int) -> dict[str, float]:
        """What object `number` has drawn in this step, to be added to."""
        return self._objects.setdefault(number, {})

    def note_balance(self) -> dict[str, float]:
        """What the balancing under way has drawn, to be added to."""
        if self._balanced is None:
            raise RuntimeError("the world's stream was drawn from outside balancing")
        return self._balance.setdefault(self._balanced, {})


class _ObjectStream:
    """An object's handle on the stream."""

    def __init__(self, recorder: Recorder, obj: Any, number: int):
        self._recorder, self._obj, self._number = recorder, obj, number
        self._kind = type(obj).__name__
        self._distance = 0

    def uniform(self) -> float:
        value = self._recorder.uniform()
        if self._kind == "Player":
            self._recorder.note_collect(value)
            return value
        drawn = self._recorder.note_object(self._number)
        name = self._skeleton(drawn) if self._kind == "Skeleton" else ("act", "axis")[len(drawn)]
        drawn[name] = value
        return value

    def randint(self, low: int, stop: int) -> int:
        if (low, stop) != (0, len(c.DIRECTIONS)):
            raise RuntimeError(f"{self._kind} drew an index below {stop}")
        value = self._recorder.index(stop)
        self._recorder.note_object(self._number)["direction"] = value
        return value

    def _skeleton(self, drawn: dict[str, float]) -> str:
        """What a skeleton draws next.

        The nearer the player, the earlier in this order it begins; a chase ends in an axis.
        """
        if not drawn:
            self._distance = self._obj.distance(self._obj.player)
        order = [("retreat", 3), ("act", 5), ("chase", 8)]
        for name, limit in order:
            if self._distance <= limit and name not in drawn:
                return name
        return "axis" if drawn.get("chase", 1.0) < 0.3 else "wander"


class _BalanceStream:
    """The world's own handle on the stream, which balancing uses."""

    def __init__(self, recorder: Recorder):
        self._recorder = recorder

    def uniform(self) -> float:
        drawn = self._recorder.note_balance()
        drawn["event"] = self._recorder.uniform()
        return drawn["event"]

    def randint(self, low: int, stop: int) -> int:
        index = self._recorder.index(stop)
        # The middle of what gives this index of so many.
        self._recorder.note_balance()["pick"] = (index + 0.5) / stop
        return index


def no_rendering(env: Any) -> None:
    """Keeps a `crafter.Env` from rendering, which would draw from the world's stream at night."""
    env._obs = lambda: None
    env._sem_view = lambda: None


def record_world(env: Any) -> WorldDraws:
    """Resets a `crafter.Env` and returns what the generation of its world drew.

    NumPy arrays in float64, 0.5 where a cell drew nothing. Patches functions of the package while
    it runs: not for several threads at once.

    Raises:
        ImportError: the package `crafter` is not installed.
        ValueError: not a `crafter.Env`.
    """
    check_reference(env, reset=False)
    from crafter import worldgen

    no_rendering(env)
    tape = _WorldTape(env)
    with tape.patched(worldgen):
        env.reset()
    permutation: Any = permutation_of(tape.seed)
    return WorldDraws(permutation, **tape.fields)


class _WorldTape:
    """Notes which cell draws, and what for."""

    def __init__(self, env: Any):
        self._env = env
        self.seed = 0
        names = [name for name in WorldDraws._fields if name != "permutation"]
        self.fields: dict[str, Any] = {name: np.full(env._world.area, UNDRAWN) for name in names}
        self._cell = (0, 0)
        self._names: list[str] = []

    @contextmanager
    def patched(self, worldgen: Any) -> Iterator[None]:
        """Listens to the package's generation within the context."""
        names = ("generate_world", "_set_material", "_set_object", "_simplex")
        plain = {name: getattr(worldgen, name) for name in names}

        def generate_world(world: Any, player: Any) -> None:
            stream = world.random
            world.random = _WorldStream(self, stream)
            plain["generate_world"](world, player)
            world.random = stream
            for obj in world.objects:
                obj.random = stream

        def set_material(world: Any, pos: Any, *args: Any) -> None:
            self._cell = pos
            plain["_set_material"](world, pos, *args)

        def set_object(world: Any, pos: Any, player: Any, tunnels: Any) -> None:
            self._cell = pos
            self._names = _creatures(world, pos, player, tunnels)
            plain["_set_object"](world, pos, player, tunnels)

        def simplex(noise: Any, x: float, y: float, z: int, *args: Any) -> float:
            value: float = plain["_simplex"](noise, x, y, z, *args)
            # Which layer of noise was asked for last tells what is drawn next.
            if z in (1, 5):
                self._names = ["coal" if z == 1 else "tree"]
            elif z == 2:
                self._names = ["iron", "diamond"] if value > 0.4 else ["diamond"]
            return value

        patches = (generate_world, set_material, set_object, simplex)
        try:
            for name, patch in zip(names, patches, strict=True):
                setattr(worldgen, name, patch)
            yield
        finally:
            for name, function in plain.items():
                setattr(worldgen, name, function)

    def note(self, value: float) -> None:
        """Notes a draw of the current cell."""
        self.fields[self._names.pop(0)][self._cell] = value


def _creatures(world: Any, pos: tuple[int, int], player: Any, tunnels: Any) -> list[str]:
    """What a cell asks for in turn until one of them comes: all that can be there."""
    material = world[pos][0]
    distance = np.sqrt((pos[0] - player.pos[0]) ** 2 + (pos[1] - player.pos[1]) ** 2)
    possible = {
        "cow": material == "grass" and distance > 3,
        "zombie": distance > 10,
        "skeleton": material == "path" and tunnels[pos],
    }
    return [name for name, there in possible.items() if there]


class _WorldStream:
    """The world's stream during its generation."""

    def __init__(self, tape: _WorldTape, stream: Any):
        self._tape, self._stream = tape, stream

    def uniform(self) -> float:
        value = float(self._stream.uniform())
        self._tape.note(value)
        return value

    def randint(self, low: int, stop: int) -> int:
        self._tape.seed = int(self._stream.randint(low, stop))
        return self._tape.seed


def _filled(names: tuple[str, ...], *shape: int) -> dict[str, Any]:
    return {
        name: np.full(shape, 0 if name == "direction" else UNDRAWN, np.float32) for name in names
    }
