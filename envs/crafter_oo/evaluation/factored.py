"""A next state chosen attribute by attribute: what sampling, scoring and counting have in common.

`walk` goes through all that can change in a step, in a fixed order, and asks for one label of a
few options at a time; later options depend on labels chosen before (nobody moves onto a cell that
is taken). A model is then nothing but probabilities for labels: sampling draws them, scoring
follows the labels of a given next state and adds their log-probabilities, fitting counts them. As
the walk is the same, a model's `log_prob` is that of its `sample`.

Labels are relative (a change, a direction), so that what is learnt in one place holds in another.
Contexts are local features, from general to special, see `features`.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.evaluation import features as f
from jaxrl.envs.crafter_oo.evaluation.arena import visit_chunks
from jaxrl.envs.crafter_oo.evaluation.canonical import HostState, canonical, fingerprint, ticked
from jaxrl.envs.crafter_oo.evaluation.mutators import occupied

# (factor's contexts from general to special, options, label in the given next state or None) ->
# the label chosen.
Choose = Callable[[Sequence[Hashable], Sequence[Hashable], Hashable | None], Hashable]

_STAY, _GONE = "stay", "gone"
_NEEDS = ("hunger", "thirst", "fatigue", "recover")
_CHANGES = (-1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
_RESETS = (0.0, 0.5, 1.0)  # what a need may be set to
_COUNTERS = {-1: "less", 0: "same", 1: "more"}
_FULL = (0, 1, 4, 5)  # what a counter may be set to
_MOST_NEW = 2  # objects that can appear in a step
_AMOUNTS = range(10)


class _Impossible(Exception):
    """The given next state has a label that is no option."""


def walk(
    state: HostState, action: int, choose: Choose, target: HostState | None = None
) -> HostState | None:
    """A next state of labels that `choose` chose.

    Args:
        state: the world, canonical.
        action: index into `ACTIONS`.
        choose: see `Choose`.
        target: a next state, canonical, whose labels are to be followed.

    Returns:
        The next state, canonical; with a `target`, the target, or None if it is beyond the options.
    """
    try:
        result = canonical(_Walk(state, action, choose, target).run())
    except _Impossible:
        return None
    return result if target is None or fingerprint(result) == fingerprint(target) else None


class _Walk:
    """One walk; the methods are its parts, in order."""

    def __init__(self, state: HostState, action: int, choose: Choose, target: HostState | None):
        self.state, self.target, self.choose = state, target, choose
        self.seen = f.observe(state, action)
        self.next = ticked(state, action)
        self.taken = occupied(state)

    def run(self) -> HostState:
        self._player()
        self._inventory()
        self._needs()
        self._materials()
        slots = np.flatnonzero(self.state.objects.kind)
        self.fields = {name: np.array(field) for name, field in vars(self.state.objects).items()}
        for slot in slots:
            self._object(int(slot))
        self._new_objects()
        objects = self.state.objects.replace(**self.fields)
        return visit_chunks(self.next.replace(objects=objects))

    def _pick(
        self, contexts: Sequence[Hashable], options: Sequence[Hashable], label: Any = None
    ) -> Any:
        if self.target is not None and label not in options:
            raise _Impossible
        return self.choose(contexts, options, label)

    def _set(self, **fields: Any) -> None:
        player = self.next.player
        typed = {
            name: value
            if isinstance(value, np.ndarray)
            else getattr(player, name).dtype.type(value)
            for name, value in fields.items()
        }
        self.next = self.next.replace(player=player.replace(**typed))

    def _player(self) -> None:
        old, goal, seen = self.state.player, self.target and self.target.player, self.seen
        cell = int(old.x), int(old.y)
        moves = self._moves(cell)
        label = goal and _label(moves, (int(goal.x), int(goal.y)))
        x, y = self._go(cell, moves, self._pick(f.of_move(seen), list(moves), label))
        facing = self._pick(f.of_facing(seen), range(4), goal and int(goal.facing))
        asleep = self._pick(f.of_sleep(seen), (False, True), goal and bool(goal.sleeping))
        self._set(x=x, y=y, facing=facing, sleeping=asleep)

    def _inventory(self) -> None:
        old, goal = self.state.player, self.target and self.target.player
        items, unlocked = np.array(old.items), np.array(old.unlocked)
        for index, name in enumerate(c.ITEMS):
            have = int(items[index])
            options = [amount - have for amount in _AMOUNTS]
            label = goal and int(goal.items[index]) - have
            items[index] = have + self._pick(f.of_item(self.seen, name), options, label)
        for index, name in enumerate(c.ACHIEVEMENTS):
            label = goal and int(goal.unlocked[index] - unlocked[index])
            unlocked[index] += self._pick(f.of_achievement(self.seen, name), (0, 1), label)
        self._set(items=items, unlocked=unlocked)

    def _needs(self) -> None:
        old, goal = self.state.player, self.target and self.target.player
        for name in _NEEDS:
            value = float(getattr(old, name))
            # What a change leads to is a change, not a reset.
            values: dict[float, Hashable] = {reset: ("to", reset) for reset in _RESETS}
            values |= {value + change: change for change in _CHANGES}
            options = {label: new for new, label in values.items()}
            label = goal and values.get(float(getattr(goal, name)))
            self._set(**{name: options[self._pick(f.of_need(self.seen, name), [*options], label)]})
        health = int(self.next.player.items[0])
        changes = [amount - health for amount in _AMOUNTS]
        label = goal and int(goal.last_health) - health
        self._set(last_health=health + self._pick(f.alone("last_health"), changes, label))

    def _materials(self) -> None:
        materials = np.array(self.state.materials)
        wanted = None if self.target is None else self.target.materials
        if self.seen.front_cell is not None:
            label = None if wanted is None else int(wanted[self.seen.front_cell])
            options = range(1, len(c.MATERIALS))
            materials[self.seen.front_cell] = self._pick(f.of_front(self.seen), options, label)
        rest = [] if wanted is None else np.argwhere(materials != wanted).tolist()
        if self._pick(f.alone("other_cell"), (False, True), bool(rest)):
            # Not the one in front, which had its turn: each state is to come about in one way.
            everywhere = (divmod(i, materials.shape[1]) for i in range(materials.size))
            cells = [cell for cell in everywhere if cell != self.seen.front_cell]
            cell = self._pick(f.alone(), cells, tuple(rest[0]) if rest else None)
            others = [m for m in range(1, len(c.MATERIALS)) if m != materials[cell]]
            label = None if wanted is None else int(wanted[cell])
            materials[cell] = self._pick(f.alone("other_material"), others, label)
        self.next = self.next.replace(materials=materials)

    def _object(self, slot: int) -> None:
        fields, goal = self.fields, self._goal(int(self.state.objects.id[slot]))
        seen = f.observe_object(self.seen, slot)
        cell = int(fields["x"][slot]), int(fields["y"][slot])
        moves = self._moves(cell)
        label: Any = None
        if self.target is not None:
            label = _GONE if goal is None else _label(moves, (goal["x"], goal["y"]))
        chosen = self._pick(f.of_object_move(seen), [*moves, _GONE], label)
        if chosen == _GONE:
            self.taken[cell] = False
            for field in fields.values():
                field[slot] = 0
            return
        fields["x"][slot], fields["y"][slot] = self._go(cell, moves, chosen)
        health = int(fields["health"][slot])
        changes = [amount - health for amount in _AMOUNTS]
        label = goal and goal["health"] - health
        fields["health"][slot] = health + self._pick(f.of_object_health(seen), changes, label)
        counter = int(fields["counter"][slot])
        values: dict[int, Hashable] = {full: ("to", full) for full in _FULL}
        values |= {counter + step: name for step, name in _COUNTERS.items() if counter + step >= 0}
        options = {name: value for value, name in values.items()}
        label = goal and values.get(goal["counter"])
        picked = self._pick(f.of_object_counter(seen), [*options], label)
        fields["counter"][slot] = options[picked]

    def _new_objects(self) -> None:
        number = int(self.state.next_id)
        for _ in range(_MOST_NEW):
            goal = self._goal(number)
            label = None if self.target is None else (goal["kind"] if goal else 0)
            slot = np.flatnonzero(self.fields["kind"] == 0)
            kinds = range(len(c.KINDS)) if len(slot) else (0,)
            kind = self._pick(f.of_new(self.seen), kinds, label)
            if kind == 0:
                break
            self._add(slot[0], number, int(kind), goal)
            number += 1
        self.next = self.next.replace(next_id=np.int32(number))

    def _add(self, slot: int, number: int, kind: int, goal: Any) -> None:
        cell: Any = goal and (goal["x"], goal["y"])
        front = self.seen.front_cell
        places = [False] if front is None or self.taken[front] else [False, True]
        if self._pick(f.alone("new_in_front", kind), places, goal and cell == front):
            cell = front
        else:
            everywhere = (tuple(place) for place in np.argwhere(~self.taken).tolist())
            free = [place for place in everywhere if place != front]
            cell = self._pick(f.alone(), free, cell)
        health = self._pick(f.alone("new_health", kind), _AMOUNTS, goal and goal["health"])
        directions = range(4) if c.KINDS[kind] == "arrow" else (0,)
        facing = self._pick(f.alone("new_facing", kind), directions, goal and goal["facing"])
        self.taken[cell] = True
        values = (number, kind, *cell, health, 0, facing)
        for field, value in zip(self.fields.values(), values, strict=True):
            field[slot] = value

    def _goal(self, number: int) -> Any:
        """The record of the object with this id in the target, a dict; None if there is none."""
        if self.target is None:
            return None
        objects = self.target.objects
        slots = np.flatnonzero((objects.id == number) & (objects.kind != 0))
        if not len(slots):
            return None
        return {name: int(field[slots[0]]) for name, field in vars(objects).items()}

    def _moves(self, cell: tuple[int, int]) -> dict[Hashable, tuple[int, int]]:
        """Where something on a cell can go: staying, and the free cells beside it.

        A label holds the material gone to, so that a model can learn where nobody goes.
        """
        moves: dict[Hashable, tuple[int, int]] = {_STAY: cell}
        width, height = self.state.area
        for direction, (dx, dy) in enumerate(c.DIRECTIONS.tolist()):
            x, y = cell[0] + dx, cell[1] + dy
            if 0 <= x < width and 0 <= y < height and not self.taken[x, y]:
                moves[direction, int(self.state.materials[x, y])] = (x, y)
        return moves

    def _go(
        self, cell: tuple[int, int], moves: dict[Hashable, tuple[int, int]], label: Hashable
    ) -> tuple[int, int]:
        self.taken[cell] = False
        self.taken[moves[label]] = True
        return moves[label]


def _label(moves: dict[Hashable, tuple[int, int]], cell: tuple[int, int]) -> Hashable:
    return next((label for label, there in moves.items() if there == cell), None)
