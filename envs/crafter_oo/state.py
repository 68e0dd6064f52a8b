"""The whole state of a Crafter world, as arrays of fixed shapes with typed views on top.

`WorldState` holds everything that the next step depends on, so that a transition is a pure function
of it. Objects live in a fixed number of slots, a struct of arrays; slots are in the order of ids,
with holes where an object is gone, and that is the order in which objects act. The player is always
object 1 and has a record of its own.

Source: OneLife (arXiv 2510.12088) for the object-oriented form; the package `crafter` 1.8.3 for
what belongs to it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.daylight import daylight
from jaxrl.selection import for_each_true

LARGEST_SIDE = 768  # cells along a side of a map: numbers of objects and of chunks are int16


class Named(Mapping):
    """A view of an array's last axis by name: `inventory["wood"]`."""

    def __init__(self, names: tuple[str, ...], values: jax.Array):
        """`values` is [..., len(names)]."""
        self._names = names
        self.values_array = values

    def __getitem__(self, name: str) -> jax.Array:
        """The entry of that name, [...]."""
        if name not in self._names:
            raise KeyError(f"{name!r} is none of {', '.join(self._names)}")
        return self.values_array[..., self._names.index(name)]

    def __iter__(self) -> Any:
        """Iterates over the names."""
        return iter(self._names)

    def __len__(self) -> int:
        """The number of names."""
        return len(self._names)


class Player(struct.PyTreeNode):
    """The player.

    Attributes:
        x, y: int16 [], the cell; x grows to the right, y downwards.
        facing: uint8 [], index into `DIRECTIONS`.
        action: uint8 [], the action chosen last, index into `ACTIONS`.
        sleeping: bool [].
        items: int8 [16], how many of each of `ITEMS`, health and the other needs included.
        unlocked: int32 [22], how often each of `ACHIEVEMENTS` was achieved in the episode.
        hunger, thirst: float32 [], steps towards the next loss of food or drink (half a step while
            asleep).
        fatigue, recover: float32 [], steps towards a change of energy, of health; negative
            towards the other one.
        last_health: int8 [], health at the end of the player's last update.
    """

    x: jax.Array
    y: jax.Array
    facing: jax.Array
    action: jax.Array
    sleeping: jax.Array
    items: jax.Array
    unlocked: jax.Array
    hunger: jax.Array
    thirst: jax.Array
    fatigue: jax.Array
    recover: jax.Array
    last_health: jax.Array

    @property
    def inventory(self) -> Named:
        """Number of each item by name."""
        return Named(c.ITEMS, self.items)

    @property
    def achievements(self) -> Named:
        """How often each achievement was achieved, by name."""
        return Named(c.ACHIEVEMENTS, self.unlocked)

    @property
    def health(self) -> jax.Array:
        """Health, int8 []."""
        return self.items[..., 0]

    @property
    def position(self) -> jax.Array:
        """(x, y), int16 [2]."""
        return jnp.stack([self.x, self.y], axis=-1)


class Objects(struct.PyTreeNode):
    """N slots for everything that lives on the map but the player, in the order of ids.

    Attributes:
        id: int32 [N], the object's number in its world, from 2; 0 in an empty slot.
        kind: uint8 [N], index into `KINDS`; 0 in an empty slot.
        x, y: int16 [N], the cell.
        health: int8 [N].
        counter: int16 [N], a zombie's cooldown, a skeleton's reload time or how long a plant has
            grown; 0 for others.
        facing: uint8 [N], an arrow's direction, index into `DIRECTIONS`; 0 for others.

    Empty slots are zero in every field.
    """

    id: jax.Array
    kind: jax.Array
    x: jax.Array
    y: jax.Array
    health: jax.Array
    counter: jax.Array
    facing: jax.Array

    @property
    def capacity(self) -> int:
        """N."""
        return self.id.shape[-1]


class View(NamedTuple):
    """The objects of one kind: arrays over all slots, of which `alive` says where they are.

    Attributes: alive bool [N], id int32 [N], x and y int16 [N], health int8 [N], and, named as the
    kind names it, the counter or the direction in `extra`.
    """

    alive: jax.Array
    id: jax.Array
    x: jax.Array
    y: jax.Array
    health: jax.Array
    extra: Mapping[str, jax.Array]

    def __getattr__(self, name: str) -> jax.Array:
        """`view.cooldown`, `view.reload`, `view.facing`, `view.grown`."""
        try:
            return self.extra[name]
        except KeyError:
            raise AttributeError(f"these objects have no {name!r}") from None


class WorldState(struct.PyTreeNode):
    """Everything a step depends on.

    Attributes:
        time: int32 [], steps taken in the episode.
        materials: uint8 [W, H], index into `MATERIALS` of cell (x, y).
        player: the player.
        objects: the other objects.
        next_id: int32 [], the id of the next object to come.
        chunk_order: int16 [ceil(W / 12), ceil(H / 12)], when the square of cells first held an
            object, counted in squares; -1 for those that never did, which are not balanced.
        overflow: bool [], an object was lost, or did not act, for want of capacity.
    """

    time: jax.Array
    materials: jax.Array
    player: Player
    objects: Objects
    next_id: jax.Array
    chunk_order: jax.Array
    overflow: jax.Array

    @property
    def area(self) -> tuple[int, int]:
        """(W, H), the size of the map in cells."""
        width, height = self.materials.shape[-2:]
        return width, height

    @property
    def daylight(self) -> jax.Array:
        """float32 [] in 0..1, below 0.5 it is dark."""
        return daylight(self.time)

    def _view(self, kind: str, **extra: jax.Array) -> View:
        objects = self.objects
        alive = objects.kind == c.kind(kind)
        return View(alive, objects.id, objects.x, objects.y, objects.health, extra)

    @property
    def cows(self) -> View:
        """The cows."""
        return self._view("cow")

    @property
    def zombies(self) -> View:
        """The zombies; `cooldown` int16 [N] counts the steps near the player until a bite."""
        return self._view("zombie", cooldown=self.objects.counter)

    @property
    def skeletons(self) -> View:
        """The skeletons; `reload` int16 [N] is the number of steps until one can shoot."""
        return self._view("skeleton", reload=self.objects.counter)

    @property
    def arrows(self) -> View:
        """The arrows; `facing` uint8 [N] is an index into `DIRECTIONS`."""
        return self._view("arrow", facing=self.objects.facing)

    @property
    def plants(self) -> View:
        """The plants; `grown` int16 [N] counts steps."""
        return self._view("plant", grown=self.objects.counter)


def empty_objects(capacity: int) -> Objects:
    """`capacity` empty slots."""
    return Objects(
        id=jnp.zeros(capacity, jnp.int32),
        kind=jnp.zeros(capacity, jnp.uint8),
        x=jnp.zeros(capacity, jnp.int16),
        y=jnp.zeros(capacity, jnp.int16),
        health=jnp.zeros(capacity, jnp.int8),
        counter=jnp.zeros(capacity, jnp.int16),
        facing=jnp.zeros(capacity, jnp.uint8),
    )


def chunk_grid(area: tuple[int, int]) -> tuple[int, int]:
    """How many chunks a map of (W, H) cells has along each side."""
    return -(-area[0] // c.CHUNK), -(-area[1] // c.CHUNK)


def chunk_of(x: jax.Array, y: jax.Array, area: tuple[int, int]) -> jax.Array:
    """The flat index of a cell's chunk, int16, of the shape of `x`."""
    return (x // c.CHUNK) * chunk_grid(area)[1] + y // c.CHUNK


def offsets(direction: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(dx, dy) of directions, indices into `DIRECTIONS`: int16 of their shape.

    Without a table, since arithmetic vectorises and lookups do not.
    """
    sign = jnp.where((direction & 1) == 1, jnp.int16(1), jnp.int16(-1))
    vertical, zero = direction >= 2, jnp.int16(0)
    return jnp.where(vertical, zero, sign), jnp.where(vertical, sign, zero)


def material_at(materials: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """The material of cells, uint8 of the shape of `x`; 0 outside the map."""
    width, height = materials.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = jnp.where(inside, x.astype(jnp.int32) * height + y.astype(jnp.int32), 0)
    found = jnp.reshape(materials, -1).at[index].get(mode="promise_in_bounds")
    return jnp.where(inside, found, jnp.uint8(0))


def standing_on(objects: Objects, x: jax.Array, y: jax.Array) -> jax.Array:
    """Whether each slot's object stands on the cell (x, y), int16 []: bool [N]."""
    return (objects.kind != 0) & (objects.x == x) & (objects.y == y)


class Population(NamedTuple):
    """The part of a state that changes when objects come and go.

    Loops carry this and not the state: vmapped, they copy what they carry in every turn.
    """

    objects: Objects
    next_id: jax.Array
    overflow: jax.Array

    @classmethod
    def of(cls, state: WorldState) -> "Population":
        """That of a state."""
        return cls(state.objects, state.next_id, state.overflow)

    def put(self, state: WorldState) -> WorldState:
        """The state with this population."""
        result: WorldState = state.replace(**self._asdict())
        return result

    def add(self, wanted: jax.Array, new: Objects) -> "Population":
        """Puts a new object behind the last one where `wanted`, or notes that there was no slot.

        Args:
            wanted: bool [].
            new: one object, fields []; its id is not read. Its cell must be free.
        """
        objects = self.objects
        slots = jnp.arange(objects.capacity, dtype=jnp.int16)
        used = jnp.max(jnp.where(objects.kind != 0, slots + 1, 0), initial=0).astype(jnp.int16)
        here = (slots == used) & wanted
        new = new.replace(id=self.next_id)
        return Population(
            jax.tree.map(lambda old, value: jnp.where(here, value, old), objects, new),
            self.next_id + wanted.astype(jnp.int32),
            self.overflow | (wanted & (used >= objects.capacity)),
        )

    def remove(self, gone: jax.Array) -> "Population":
        """Empties the slots `gone`, bool [N]."""
        return self._replace(
            objects=jax.tree.map(lambda x: jnp.where(gone, jnp.zeros_like(x), x), self.objects)
        )


def new_object(
    kind: int | jax.Array,
    x: jax.Array,
    y: jax.Array,
    health: jax.Array,
    facing: int | jax.Array = 0,
) -> Objects:
    """One object without an id yet, fields []."""
    zero = jnp.int16(0)
    return Objects(
        jnp.int32(0),
        jnp.asarray(kind, jnp.uint8),
        x.astype(jnp.int16),
        y.astype(jnp.int16),
        health.astype(jnp.int8),
        zero,
        jnp.asarray(facing, jnp.uint8),
    )


def open_chunks(chunk_order: jax.Array, entered: jax.Array) -> jax.Array:
    """Notes the chunks that objects entered for the first time, in the order of `entered`.

    Args:
        chunk_order: int16 [CX, CY], see `WorldState`.
        entered: int16 [E], flat indices of chunks, -1 where nothing was entered.

    Returns:
        The new `chunk_order`.
    """
    flat = jnp.reshape(chunk_order, -1)
    chunks = jnp.arange(flat.size, dtype=jnp.int16)
    known = flat.at[jnp.maximum(entered, 0)].get(mode="promise_in_bounds") >= 0

    def enter(flat: jax.Array, index: jax.Array) -> jax.Array:
        new = (chunks == entered[index]) & (flat < 0)
        return jnp.where(new, jnp.sum(flat >= 0, dtype=jnp.int16), flat)

    flat = for_each_true((entered >= 0) & ~known, enter, flat)
    return jnp.reshape(flat, chunk_order.shape)
