"""Random actions that reach what uniform ones seldom do.

An episode is made of segments, each of one kind: uniform operations on boxes; one object that is
moved, turned and flipped without a new selection; a march off the grid and back, beyond the range
of int8; copies and pastes at the edges; paint and floods; the task's solution and submits.
"""

import numpy as np

from jaxrl.envs.arcle.operations import OperationSet
from tests.envs.arcle.lockstep import Task

_MOVES = ("MoveUp", "MoveDown", "MoveRight", "MoveLeft")
_TURNS = ("RotateCCW", "RotateCW", "FlipLR", "FlipUD")


class Generator:
    """Draws the actions of an episode.

    Args:
        operations: what the numbers of actions mean.
        task: some selections are taken from its grids.
        side: of the canvas.
        rng: where the draws come from.
    """

    def __init__(self, operations: OperationSet, task: Task, side: int, rng: np.random.Generator):
        self.operations, self.task, self.side, self.rng = operations, task, side, rng

    def episode(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Operations int32 [length] and masks bool [length, side, side]."""
        actions: list[tuple[str, np.ndarray]] = []
        kinds, weights = zip(*self._kinds(), strict=True)
        chances = np.asarray(weights) / sum(weights)
        while len(actions) < length:
            actions += kinds[self.rng.choice(len(kinds), p=chances)]()
        names, masks = zip(*actions[:length], strict=True)
        numbers = [self.operations.number(name) for name in names]
        return np.asarray(numbers, np.int32), np.stack(masks)

    def mask(self) -> np.ndarray:
        """A selection: nothing, a cell, a box in the grid or beyond it, or scattered cells."""
        rng, side = self.rng, self.side
        kind = rng.integers(8)
        if kind == 0:
            return np.zeros((side, side), bool)
        reach = (side, side) if kind < 3 else tuple(min(side, n + 2) for n in self._dim())
        x, y = rng.integers(reach[0]), rng.integers(reach[1])
        if kind == 1:
            return self.box(x, y, 1, 1)
        h = rng.integers(1, max(2, reach[0] - x + 1))
        w = rng.integers(1, max(2, reach[1] - y + 1))
        if kind < 6:
            h, w = min(h, rng.integers(1, 8)), min(w, rng.integers(1, 8))
        box = self.box(x, y, h, w)
        if kind in (5, 7):
            box &= rng.random((side, side)) < rng.choice([0.2, 0.7])
        return box

    def box(self, x: int, y: int, h: int, w: int) -> np.ndarray:
        """The mask of `h` rows and `w` columns from (x, y) on."""
        mask = np.zeros((self.side, self.side), bool)
        mask[x : x + h, y : y + w] = True
        return mask

    def _dim(self) -> tuple[int, int]:
        return (self.task.input, self.task.answer)[self.rng.integers(2)].shape

    def _kinds(self) -> list:
        kinds = [(self._uniform, 3), (self._paint, 1), (self._solve, 0.15), (self._submits, 0.25)]
        if self.operations.floods:
            kinds += [(self._floods, 1)]
        if self.operations.clipboard:
            kinds += [(self._clips, 2)]
        if self.operations.objects:
            kinds += [(self._handles, 4), (self._marches, 0.5), (self._odd_turns, 2)]
        return kinds

    def _none(self) -> np.ndarray:
        return np.zeros((self.side, self.side), bool)

    def _pick(self, *names: str) -> str:
        return names[self.rng.integers(len(names))]

    def _uniform(self) -> list:
        return [(self._pick(*self.operations.names), self.mask()) for _ in range(8)]

    def _paint(self) -> list:
        return [(f"Color{self.rng.integers(10)}", self.mask()) for _ in range(3)]

    def _floods(self) -> list:
        cells = [self.rng.integers(self.side if i == 2 else 10, size=2) for i in range(3)]
        return [(f"FloodFill{self.rng.integers(10)}", self.box(x, y, 1, 1)) for x, y in cells]

    def _clips(self) -> list:
        rng, (h, w) = self.rng, self._dim()
        # The last row and column of the copied box lie around the edge of the grid.
        x, y = rng.integers(h + 1), rng.integers(w + 1)
        x, y = min(x, self.side - 1), min(y, self.side - 1)
        edge = self.box(x, y, h - x + rng.integers(-1, 2), w - y + rng.integers(-1, 2))
        masks = [self.mask(), edge][rng.integers(2)]
        copy = (self._pick("CopyI", "CopyO"), masks)
        pastes = [("Paste", self.mask()) for _ in range(2)]
        x, y = rng.integers(self.side, size=2)
        return [copy, *pastes, ("Paste", self.box(x, y, 1, 1))]

    def _handles(self) -> list:
        start = [(self._pick(*_MOVES, *_TURNS), self.mask())]
        count = self.rng.integers(2, 12)
        return start + [(self._pick(*_MOVES, *_TURNS, *_TURNS), self._none()) for _ in range(count)]

    def _odd_turns(self) -> list:
        h = self.rng.integers(1, 6)
        w = h + self.rng.choice([1, 3])
        h, w = (h, w) if self.rng.random() < 0.5 else (w, h)
        h, w = min(h, self.side), min(w, self.side)
        x, y = self.rng.integers(self.side - h + 1), self.rng.integers(self.side - w + 1)
        turns = [(self._pick("RotateCCW", "RotateCW"), self._none()) for _ in range(7)]
        return [(self._pick("RotateCCW", "RotateCW"), self.box(x, y, h, w)), *turns]

    def _marches(self) -> list:
        there, back = self._pick("01", "10", "23", "32")
        count = self.rng.choice([12, 40, 70, 135])
        start = [(_MOVES[int(there)], self.mask())]
        out = [(_MOVES[int(there)], self._none())] * count
        if there in "03":  # the package raises an exception for most turns beyond position 63
            out += [(self._pick(*_TURNS), self._none()) for _ in range(self.rng.integers(4))]
        return start + out + [(_MOVES[int(back)], self._none())] * count

    def _solve(self) -> list:
        answer = self.task.answer
        whole = self.box(0, 0, *answer.shape)
        if "ResizeGrid" in self.operations.names:
            actions = [("ResizeGrid", whole)]
        else:
            actions = [("ResizeToAnswer", whole)]
        for colour in np.unique(answer):
            mask = self._none()
            mask[: answer.shape[0], : answer.shape[1]] = answer == colour
            actions.append((f"Color{colour}", mask))
        return [*actions, ("Submit", self._none()), ("Submit", self.mask())]

    def _submits(self) -> list:
        count = 1 if self.rng.random() < 0.9 else 260
        return [("Submit", self.mask())] * count
