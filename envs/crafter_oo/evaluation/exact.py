"""Exact probabilities of a step: how likely is this next state, by the true rules?

A step draws finitely many things: whether collecting gives something, a few thresholds and a
direction for each creature, and in every tenth step which creatures come and go. Draws on the same
side of every threshold have the same outcome, so that a step has a finite tree of outcomes, each
with a representative `TapeDraws` and a probability. All representatives go through the real
`transition`; no rule is written down a second time but which draw is compared with which threshold.

The tree is walked in the order in which things happen: the player, the objects in the order of
their ids, then chunk by chunk zombies, skeletons and cows. After each level

- outcomes of the same parent that led to the same world are merged. With the later draws held
  fixed this is exact: what an object did (moved, shot, counted, went) is not undone by those after
  it, so equal results mean equal deeds;
- where a next state is asked for, outcomes that contradict it in something final are dropped: the
  player's record but its health after the player's turn, an object's cell and counter after its
  own, the creatures of a kind in a chunk after their balance.

The result is exact: a sum of products in float64 of the rules' probabilities. Numbers from a key
are multiples of 2^-24, so that frequencies under keys differ from it by about 1e-7. If more than
`limit` branches stay open, `IntractableError` is raised; nothing is ever approximated. Asked for
one next state, that takes many creatures that vanish in one step; all next states of a crowd are
intractable soon.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.draws import BalanceDraws, ObjectDraws, TapeDraws
from jaxrl.envs.crafter_oo.evaluation.canonical import (
    HostState,
    canonical,
    check_action,
    conform,
    fingerprints,
)
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState, chunk_grid
from jaxrl.envs.crafter_oo.transition import NEAR, transition

LIMIT = 4096
_LANES = 128  # outcomes that go through the transition at once
_ABOVE = np.float32(np.inf)  # on the far side of every threshold, also of probability 1


# These hold NumPy arrays here, and are declared to hold JAX arrays.
_Tape: Any = TapeDraws
_ObjectDraws: Any = ObjectDraws
_BalanceDraws: Any = BalanceDraws


class IntractableError(RuntimeError):
    """A step has too many outcomes to enumerate."""


class _Tree(NamedTuple):
    """B open branches: their draws, [B, ...], probabilities, float64 [B], and what they lead to."""

    draws: Any
    probability: np.ndarray
    results: HostState


class _Level(NamedTuple):
    """M outcomes of one thing that is drawn: new draws for all B branches, and probabilities.

    `put` writes outcome m's values into draws [B * M, ...], of which m = index % M.
    """

    probability: np.ndarray
    put: Callable[[Any, np.ndarray], Any]


class Transitions:
    """The distribution over next states under `rules`.

    Example: `Transitions(rules.crafter()).log_prob(state, action, next_state)`.
    """

    def __init__(self, rules: Rules, limit: int = LIMIT):
        """`limit` is the number of branches that may be open at once."""
        if limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        self.rules, self.limit = rules, limit
        self._host = jax.tree.map(np.asarray, rules)

    def log_prob(self, state: WorldState, action: int, next_state: WorldState) -> float:
        """The natural logarithm of the probability of `next_state`; -inf if it is impossible.

        Raises:
            IntractableError: more than `limit` branches were open.
            ValueError: no such action, or a next state of other shapes.
        """
        goal = conform(next_state, jax.tree.map(np.asarray, state))
        tree = self._walk(canonical(state), check_action(action), goal)
        if not len(tree.probability):
            return -math.inf
        target = fingerprints(_one(goal))[0]
        found = [digest == target for digest in fingerprints(tree.results)]
        probability = math.fsum(tree.probability[np.asarray(found, np.bool_)].tolist())
        return math.log(probability) if probability > 0 else -math.inf

    def outcomes(self, state: WorldState, action: int) -> list[tuple[float, WorldState]]:
        """Every next state that can follow, with its probability, the likeliest first.

        Raises:
            IntractableError: more than `limit` branches were open.
            ValueError: no such action.
        """
        tree = self._walk(canonical(state), check_action(action), None)
        merged = _merge(tree, np.zeros(len(tree.probability), np.int64))
        order = np.argsort(-merged.probability, kind="stable")
        return [(float(merged.probability[i]), _rows(merged.results, i)) for i in order]

    def _walk(self, state: HostState, action: int, goal: HostState | None) -> _Tree:
        """All branches to the end; those that lead to `goal` only, if there is one."""
        draws = _quiet(state)
        tree = _Tree(draws, np.ones(1), self._run(draws, state, action))
        chance = float(
            np.max(self._host.recipes.collect_probability * (self._ahead(state, action)))
        )
        if chance > 0:
            tree = self._grow(tree, _collecting(chance), state, action)
        if goal is not None:
            tree = _rows(tree, _agrees_on_player(tree.results, goal))
        due = (int(state.time) + 1) % int(self._host.balance.interval) == 0
        for slot in np.flatnonzero(state.objects.kind).tolist():
            level = self._acting(state, slot)
            if level is None or not len(tree.probability):
                continue
            tree = self._grow(tree, level, state, action)
            if goal is not None:
                tree = _rows(tree, _agrees_on_object(tree.results, goal, state, slot, due))
        return self._balance(tree, state, action, goal) if due and len(tree.probability) else tree

    def _ahead(self, state: HostState, action: int) -> np.ndarray:
        """Which material the player could collect in this step: bool [13]."""
        if c.ACTIONS[action] != "do":
            return np.zeros(len(c.MATERIALS), np.bool_)
        x, y = np.asarray(c.DIRECTIONS[state.player.facing]) + (state.player.x, state.player.y)
        width, height = state.area
        inside = 0 <= x < width and 0 <= y < height
        return np.arange(len(c.MATERIALS)) == (state.materials[x, y] if inside else 0)

    def _acting(self, state: HostState, slot: int) -> _Level | None:
        """The outcomes of what an object draws; None if it draws nothing."""
        rule = self._host.creatures
        thresholds: dict[str, Any] = {
            "cow": {"act": rule.cow_move_probability},
            "zombie": {
                "act": rule.zombie_chase_probability,
                "axis": rule.zombie_long_axis_probability,
            },
            "skeleton": {
                "act": rule.skeleton_shoot_probability,
                "axis": rule.skeleton_long_axis_probability,
                "retreat": rule.skeleton_long_axis_probability,
                "chase": rule.skeleton_chase_probability,
                "wander": rule.skeleton_move_probability,
            },
        }.get(c.KINDS[state.objects.kind[slot]], {})
        return _object_level(thresholds, slot) if thresholds else None

    def _balance(self, tree: _Tree, state: HostState, action: int, goal: HostState | None) -> _Tree:
        visited = tree.results.chunk_order.reshape(len(tree.probability), -1) >= 0
        chunks = np.flatnonzero(visited.any(axis=0)).tolist()
        for chunk in chunks:
            for which, kind in enumerate(c.BALANCED):
                parts = [
                    self._grow(_only(tree, i), self._coming(tree, i, chunk, which), state, action)
                    for i in range(len(tree.probability))
                ]
                if not parts:
                    return tree
                tree = _join(parts)
                if goal is not None:
                    tree = _rows(tree, _agrees_on_chunk(tree.results, goal, chunk, kind))
                self._check(len(tree.probability))
        return tree

    def _coming(self, tree: _Tree, branch: int, chunk: int, which: int) -> _Level:
        """The outcomes of what one kind of creature draws in a chunk.

        One number says which of n cells a creature comes to, or which of m creatures goes. In
        n * m equal parts it is constant for either, whatever the rules decide on.
        """
        rule = self._host.balance
        here = _rows(tree.results, branch)
        left, top = (c.CHUNK * part for part in divmod(chunk, chunk_grid(here.area)[1]))
        region = here.materials[left : left + c.CHUNK, top : top + c.CHUNK]
        num_cells = int(np.sum(region == rule.material[which]))
        inside = _in_chunk(here, chunk) & (here.objects.kind == c.kind(c.BALANCED[which]))
        parts = max(num_cells, 1) * max(int(np.sum(inside)), 1)
        picks = ((np.arange(parts) + 0.5) / parts).astype(np.float32)
        # Below both thresholds, between them, above both.
        low, high = sorted(
            float(np.clip(p[which], 0, 1))
            for p in (rule.spawn_probability, rule.despawn_probability)
        )
        bands = [(0.0, low), ((low + high) / 2, high - low)]
        bands = [(event, mass) for event, mass in bands if mass > 0]
        events = np.asarray([*np.repeat([e for e, _ in bands], parts), _ABOVE], np.float32)
        masses = [*np.repeat([mass / parts for _, mass in bands], parts), 1 - high]
        pick = np.asarray([*np.tile(picks, len(bands)), 0], np.float32)

        def put(draws: Any, index: np.ndarray) -> Any:
            event_all, pick_all = (np.array(field) for field in draws.balanced)
            event_all[:, chunk, which], pick_all[:, chunk, which] = events[index], pick[index]
            return draws.replace(balanced=_BalanceDraws(event_all, pick_all))

        return _Level(np.asarray(masses, np.float64), put)

    def _grow(self, tree: _Tree, level: _Level, state: HostState, action: int) -> _Tree:
        """Every branch with every outcome of a level; equal ones of one parent are merged."""
        branches, outcomes = len(tree.probability), len(level.probability)
        parent, index = np.divmod(np.arange(branches * outcomes), outcomes)
        probability = tree.probability[parent] * level.probability[index]
        possible = probability > 0
        parent, index = parent[possible], index[possible]
        draws = level.put(jax.tree.map(lambda x: x[parent], tree.draws), index)
        grown = _Tree(draws, probability[possible], self._run(draws, state, action))
        merged = _merge(grown, parent)
        self._check(len(merged.probability))
        return merged

    def _check(self, branches: int) -> None:
        if branches > self.limit:
            raise IntractableError(
                f"more than {self.limit} ways in which a step can go are open at once"
            )

    def _run(self, draws: Any, state: HostState, action: int) -> HostState:
        """The next states of B draws, in canonical form, leaves [B, ...]."""
        count = len(draws.collected)
        near = min(NEAR, state.objects.capacity)
        results = []
        for start in range(0, count, _LANES):
            rows = np.minimum(np.arange(start, start + _LANES), count - 1)
            lanes = jax.tree.map(lambda x, rows=rows: x[rows], draws)
            results.append(_many(lanes, state, np.int32(action), self.rules, near))
        joined = jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *map(_host, results))
        return canonical(joined)


@partial(jax.jit, static_argnames="near")
def _many(
    draws: TapeDraws, state: WorldState, action: jax.Array, rules: Rules, near: int
) -> WorldState:
    def one(draws: TapeDraws) -> WorldState:
        return transition(draws, state, action, rules, near)

    return jax.vmap(one)(draws)


def _host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _quiet(state: HostState) -> Any:
    """Draws in which nothing happens that need not, for one branch: leaves [1, ...]."""
    slots = state.objects.capacity
    above = np.full((1, slots), _ABOVE, np.float32)
    chunks = np.full((1, state.chunk_order.size, len(c.BALANCED)), _ABOVE, np.float32)
    direction = np.zeros((1, slots), np.uint8)
    return _Tape(
        collected=np.full(1, _ABOVE, np.float32),
        by_slot=_ObjectDraws(*(above for _ in ObjectDraws._fields[:-1]), direction=direction),
        balanced=_BalanceDraws(chunks, np.zeros_like(chunks)),
    )


def _collecting(chance: float) -> _Level:
    values = np.asarray([0, _ABOVE], np.float32)

    def put(draws: Any, index: np.ndarray) -> Any:
        return draws.replace(collected=values[index])

    return _Level(np.asarray([chance, 1 - chance]), put)


def _object_level(thresholds: dict[str, Any], slot: int) -> _Level:
    """Every combination of sides of the thresholds, times four directions."""
    names = list(thresholds)
    sides = np.stack(np.meshgrid(*[[0, 1]] * len(names), np.arange(4), indexing="ij"), axis=-1)
    sides = sides.reshape(-1, len(names) + 1)
    chances = np.clip(np.asarray([thresholds[name] for name in names], np.float64), 0, 1)
    each = np.where(sides[:, :-1] == 0, chances, 1 - chances)
    fields = {name: np.where(sides[:, i] == 0, 0, _ABOVE) for i, name in enumerate(names)}
    fields["direction"] = sides[:, -1]

    def put(draws: Any, index: np.ndarray) -> Any:
        changed = {}
        for name, values in fields.items():
            column = np.array(getattr(draws.by_slot, name))
            column[:, slot] = values[index]
            changed[name] = column
        return draws.replace(by_slot=draws.by_slot._replace(**changed))

    return _Level(np.prod(each, axis=1) / 4, put)


def _merge(tree: _Tree, parent: np.ndarray) -> _Tree:
    """One branch for all that have the same parent and the same result."""
    first: dict[tuple[int, bytes], int] = {}
    digests = fingerprints(tree.results)
    group = np.asarray(
        [
            first.setdefault((int(p), digest), i)
            for i, (p, digest) in enumerate(zip(parent, digests, strict=True))
        ],
        np.int64,
    )
    sums = np.zeros(len(group))
    np.add.at(sums, group, tree.probability)
    kept = np.unique(group)
    return _Tree(_rows(tree.draws, kept), sums[kept], _rows(tree.results, kept))


def _only(tree: _Tree, branch: int) -> _Tree:
    return _rows(tree, np.asarray([branch]))


def _join(parts: list[_Tree]) -> _Tree:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _rows(tree: Any, rows: np.ndarray | int) -> Any:
    """The branches, or the branch, that `rows` selects: a mask, indices or one index."""
    return jax.tree.map(lambda x: x[rows], tree)


def _one(state: HostState) -> HostState:
    return jax.tree.map(lambda x: np.asarray(x)[None], state)


def _agrees_on_player(results: HostState, goal: HostState) -> np.ndarray:
    """Whether the player's records, but for health, are those of the goal: bool [B]."""
    agrees = results.time == goal.time
    for name, value in vars(goal.player).items():
        got = getattr(results.player, name)
        if name == "items":
            got, value = got[:, 1:], value[1:]
        agrees &= (got == value).reshape(len(got), -1).all(axis=1)
    return agrees


def _agrees_on_object(
    results: HostState, goal: HostState, state: HostState, slot: int, due: bool
) -> np.ndarray:
    """Whether the object of a slot of `state` is where it is in the goal: bool [B].

    One that is gone there may have been anywhere if creatures came and went in this step.
    """
    number = state.objects.id[slot]
    ours = (results.objects.id == number) & (results.objects.kind != 0)
    there = np.flatnonzero((goal.objects.id == number) & (goal.objects.kind != 0))
    if not len(there):
        return np.ones(len(ours), np.bool_) if due else ~ours.any(axis=1)
    agrees = ours
    for name in ("kind", "x", "y", "counter", "facing"):
        agrees = agrees & (getattr(results.objects, name) == getattr(goal.objects, name)[there[0]])
    return agrees.any(axis=1)


def _agrees_on_chunk(results: HostState, goal: HostState, chunk: int, kind: str) -> np.ndarray:
    """Whether a chunk's creatures of a kind are those of the goal: bool [B]."""
    wanted = _records(goal, chunk, kind)
    count = len(results.time)
    return np.asarray([_records(_rows(results, i), chunk, kind) == wanted for i in range(count)])


def _records(state: HostState, chunk: int, kind: str) -> set[tuple[int, ...]]:
    """What is known of them but the ids, which depend on what comes in other chunks."""
    objects = state.objects
    inside = _in_chunk(state, chunk) & (objects.kind == c.kind(kind))
    fields = (objects.x, objects.y, objects.health, objects.counter)
    return set(zip(*(field[inside].tolist() for field in fields), strict=True))


def _in_chunk(state: HostState, chunk: int) -> np.ndarray:
    objects = state.objects
    down = chunk_grid(state.area)[1]
    return (objects.x // c.CHUNK) * down + objects.y // c.CHUNK == chunk
