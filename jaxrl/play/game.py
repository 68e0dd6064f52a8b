"""A game: one environment, played step by step.

The same seed and the same moves give the same game, whoever asks for pictures in between.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl import registry
from jaxrl.config import check_seeds
from jaxrl.play.board import Pad, Point
from jaxrl.play.controls import HELP, NEW, QUIT, PlayError, Section, find_controls
from jaxrl.play.record import Action, Move, Record, Recorder, same_reward
from jaxrl.rendering.draw import Frame
from jaxrl.rendering.episode import moment_only, on_host
from jaxrl.rendering.frames import Moment, find_renderer


class Game:
    """An environment between two moves.

    Attributes:
        name: id of the environment.
        controls: what its keys do.
        pad: what is selected, where there is a board to select from.
        state: the environment's state.
        step: steps taken in the episode.
        total: sum of the episode's rewards.
        reward: the last step's.
        action: the last step's, None at the start.
        ending: "terminated", "truncated", or "" while the episode goes on.
        recorder: is told every move, if there is one.
    """

    pad: Pad
    state: Any
    step: int
    total: float
    reward: float
    action: Action | None
    ending: str
    recorder: Recorder | None = None

    def __init__(self, name: str, env_overrides: Mapping[str, Any] | None = None, seed: int = 0):
        """Begins the first episode.

        Raises:
            ValueError: no such environment or seed, overrides that do not fit, or it cannot be
                played.
        """
        check_seeds(seed, name="seed")
        self.name = name
        self.env, self.params = registry.make(name, **dict(env_overrides or {}))
        self.controls = find_controls(self.env, self.params, name)
        self._renderer = find_renderer(self.env, name)
        self._reset = jax.jit(self.env.reset_env)
        self._advance = jax.jit(self._stepped)
        self._key, self._episode = jax.random.key(seed), 0
        self._begin()

    def prepare(self) -> None:
        """Compiles what a move needs, so that the first key is answered as quickly as any other."""
        board = self.controls.board
        first = self._encoded(0 if board is None else (0, *self.pad.corners))
        jax.block_until_ready(self._advance(self._key_steps, self.state, first, self.params))
        self.frame()

    def press(self, key: str) -> bool:
        """Does what a key does; whether anything was done. `QUIT` and `HELP` are not its own."""
        if key == NEW:
            self.new_episode()
            return True
        if self.ending or key in (QUIT, HELP):
            return False
        board = self.controls.board
        pad = None if board is None else board.pressed(self.pad, key)
        if pad is not None:
            self.pad = pad
            return True
        number = self.controls.keys_at(self.pad).get(key)
        if number is None:
            return False
        self.act(number if board is None else (number, *self.pad.corners))
        if board is not None:
            self.pad = board.after(number, self.state, self.pad)
        return True

    def point(self, start: Point, end: Point) -> None:
        """Selects what a pointer was drawn over, in shares of the picture's sides.

        Raises:
            PlayError: there is nothing to select.
        """
        if self.controls.board is None:
            raise PlayError(f"{self.name} is played by keys, it has no cells to select")
        self.pad = self.controls.board.dragged(self.pad, start, end)

    def act(self, action: Action) -> None:
        """Takes a step.

        Raises:
            PlayError: the episode has ended, or there is no such action.
        """
        if self.ending:
            raise PlayError(f"the episode has {self.ending}")
        encoded = self._encoded(action)
        key = jax.random.fold_in(self._key_steps, self.step)
        result = self._advance(key, self.state, encoded, self.params)
        self._observation, self.state, reward, terminated, truncated = result
        self.step, self.action, self.reward = self.step + 1, action, float(reward)
        self.total += self.reward
        self.ending = "terminated" if terminated else "truncated" if truncated else ""
        self._record(Move(action, self.reward))

    def new_episode(self) -> None:
        """Leaves the episode and begins the next."""
        self._episode += 1
        self._begin()
        self._record(Move(None))

    def replay(self, record: Record) -> None:
        """Makes the moves of a record.

        Raises:
            PlayError: a move is impossible, or was paid otherwise when it was recorded.
        """
        for number, move in enumerate(record.moves, start=1):
            if move.action is None:
                self.new_episode()
                continue
            self.act(move.action)
            if not same_reward(self.reward, move.reward):
                raise PlayError(
                    f"move {number} was paid {move.reward:g} when it was recorded and"
                    f" {self.reward:g} now: the environment has changed"
                )

    def frame(self) -> Frame:
        """The picture, uint8 [H, W, 3]."""
        frame = np.asarray(self._renderer.draw(self._moment()))
        board = self.controls.board
        return frame if board is None else board.drawn(frame, self.pad)

    def coarse(self, columns: int) -> Frame | None:
        """A picture of one pixel a cell, at most `columns` wide if possible; None without one."""
        board = self.controls.board
        if board is None or board.coarse is None:
            return None
        return board.coarse(self._moment(), columns, self.pad.corners)

    def caption(self) -> list[str]:
        """The step, the return and the last action in a few lines."""
        lines = [f"step {self.step}   return {self.total:.4g}"]
        if self.action is not None:
            number = self.action if isinstance(self.action, int) else self.action[0]
            done = self.controls.actions[number].replace("_", " ")
            lines.append(f"{done}   reward {self.reward:+.4g}")
        if self.controls.board is not None:
            lines.append(self.controls.board.caption(self.pad))
        if self.ending:
            lines.append(f"{self.ending}: press {NEW} for a new episode")
        return lines

    def sections(self) -> tuple[Section, ...]:
        """What is told beside the picture."""
        return self.controls.status(self.state)

    def _begin(self) -> None:
        key_episode = jax.random.fold_in(self._key, self._episode)
        key_reset, self._key_steps = jax.random.split(key_episode)
        self._observation, self.state = self._reset(key_reset, self.params)
        self.step, self.total, self.reward = 0, 0.0, 0.0
        self.action, self.ending, self.pad = None, "", Pad()

    def _moment(self) -> Moment:
        episode = moment_only(self.state, self._observation, self.step, self.total)
        return Moment(self.env, on_host(self.params), self.name, episode, 0)

    def _encoded(self, action: Action) -> Any:
        """The environment's action; PlayError if there is no such one."""
        board, several = self.controls.board, isinstance(action, tuple)
        number = action[0] if isinstance(action, tuple) and action else action
        if several != (board is not None):
            kind = "a number and the corners of a box" if board else "a number"
            raise PlayError(f"an action of {self.name} is {kind}, got {action}")
        if not isinstance(number, int) or not 0 <= number < len(self.controls.actions):
            raise PlayError(f"{self.name} has {len(self.controls.actions)} actions, got {number}")
        if board is None:
            return jnp.int32(number)
        assert isinstance(action, tuple)
        try:
            board.check(action[1:])
        except ValueError as error:
            raise PlayError(f"{self.name}: {error}") from None
        return board.encode(action)

    def _stepped(self, key: jax.Array, state: Any, action: jax.Array, params: Any) -> tuple:
        observation, state, reward, terminated, _ = self.env.step_env(key, state, action, params)
        return observation, state, reward, terminated, self.env.is_truncated(state, params)

    def _record(self, move: Move) -> None:
        if self.recorder is not None:
            self.recorder.add(move)
