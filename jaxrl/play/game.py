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
from jaxrl.play.controls import HELP, NEW, QUIT, PlayError, Section, find_controls
from jaxrl.play.record import Move, Record, Recorder, same_reward
from jaxrl.rendering.draw import Frame
from jaxrl.rendering.episode import moment_only, on_host
from jaxrl.rendering.frames import Moment, find_renderer


class Game:
    """An environment between two moves.

    Attributes:
        name: id of the environment.
        controls: what its keys do.
        state: the environment's state.
        step: steps taken in the episode.
        total: sum of the episode's rewards.
        reward: the last step's.
        action: the last step's, None at the start.
        ending: "terminated", "truncated", or "" while the episode goes on.
        recorder: is told every move, if there is one.
    """

    state: Any
    step: int
    total: float
    reward: float
    action: int | None
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
        jax.block_until_ready(self._advance(self._key_steps, self.state, jnp.int32(0), self.params))
        self.frame()

    def press(self, key: str) -> bool:
        """Does what a key does; whether anything was done. `QUIT` and `HELP` are not its own."""
        if key == NEW:
            self.new_episode()
            return True
        if self.ending or key in (QUIT, HELP) or key not in self.controls.keys:
            return False
        self.act(self.controls.keys[key])
        return True

    def act(self, action: int) -> None:
        """Takes a step.

        Raises:
            PlayError: the episode has ended, or there is no such action.
        """
        if self.ending:
            raise PlayError(f"the episode has {self.ending}")
        if not 0 <= action < len(self.controls.actions):
            raise PlayError(f"{self.name} has {len(self.controls.actions)} actions, got {action}")
        key = jax.random.fold_in(self._key_steps, self.step)
        result = self._advance(key, self.state, jnp.int32(action), self.params)
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
        moment = moment_only(self.state, self._observation, self.step, self.total)
        return np.asarray(
            self._renderer.draw(Moment(self.env, on_host(self.params), self.name, moment, 0))
        )

    def caption(self) -> list[str]:
        """The step, the return and the last action in a few lines."""
        lines = [f"step {self.step}   return {self.total:.4g}"]
        if self.action is not None:
            done = self.controls.actions[self.action].replace("_", " ")
            lines.append(f"{done}   reward {self.reward:+.4g}")
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
        self.action, self.ending = None, ""

    def _stepped(self, key: jax.Array, state: Any, action: jax.Array, params: Any) -> tuple:
        observation, state, reward, terminated, _ = self.env.step_env(key, state, action, params)
        return observation, state, reward, terminated, self.env.is_truncated(state, params)

    def _record(self, move: Move) -> None:
        if self.recorder is not None:
            self.recorder.add(move)
