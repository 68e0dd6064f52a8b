"""Crafter: survive, gather and craft in an open world seen from above.

Observation: by id.
    `CrafterOO-Symbolic-v1`  float32 [1723], `observations.SYMBOLIC`
    `CrafterOO-Pixels-v1`    uint8 [64, 64, 3], the 9 x 7 cells around the player and the inventory
    `CrafterOO-OO-v1`        the visible cells and the player as a pytree
Action: `Discrete(17)`, `constants.ACTIONS`.
Reward: a tenth of the change of health, plus 1 when something of the 22 `ACHIEVEMENTS` is achieved
    for the first time in the episode; other tasks: `tasks`.
Termination: health 0. Truncation: 10,000 steps.

Source: Hafner (2021), arXiv 2109.06780; the rules are those of the package `crafter` 1.8.3.
"""

import abc
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.environment import Environment, EnvParams
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import observations, pixels
from jaxrl.envs.crafter_oo.draws import KeyDraws, draw_world
from jaxrl.envs.crafter_oo.limits import check
from jaxrl.envs.crafter_oo.rules import Rules, crafter
from jaxrl.envs.crafter_oo.rules import preset as rules_of
from jaxrl.envs.crafter_oo.score import PUBLISHED, score
from jaxrl.envs.crafter_oo.state import LARGEST_SIDE, WorldState
from jaxrl.envs.crafter_oo.tasks import EVERYTHING, make_task
from jaxrl.envs.crafter_oo.transition import CAPACITY, NEAR, transition
from jaxrl.envs.crafter_oo.worldgen import generate
from jaxrl.spaces import Box, Discrete, Space

_OVERFLOW = "overflow"
_SMALLEST = 9  # cells along a side of a map
_PICTURE = 3  # a child of the step's key that no draw takes, see `KeyDraws`


@struct.dataclass
class Params(EnvParams):
    """Parameters of Crafter.

    Attributes:
        max_steps_in_episode: the time limit.
        rules: all numbers of the game.
    """

    max_steps_in_episode: int = 10_000
    rules: Rules = struct.field(default_factory=crafter)


class CrafterOO(Environment, abc.ABC):
    """Crafter with one task; a subclass says how states are shown."""

    shows: str  # as in the id

    def __init__(
        self,
        task: str = EVERYTHING,
        preset: str = "crafter",
        area: tuple[int, int] = (64, 64),
        capacity: int | None = None,
        near: int | None = None,
    ):
        """A world of `area` cells.

        Args:
            task: "all" or one of `ACHIEVEMENTS`, see `tasks`; "goal" only in `jaxrl.make`, see
                `goals`.
            preset: the default rules, one of `rules.PRESETS`.
            area: (W, H), at least 9 each.
            capacity: number of object slots; by default 192 for 64 x 64 cells and in proportion.
            near: how many objects can be near enough to the player to matter; 48 by default.

        Raises:
            ValueError: unknown rules or task, an area too small or too large, capacities that are
                too small for it.
        """
        super().__init__()
        self.task, self.task_name = make_task(task), task
        self._default_rules = rules_of(preset)
        self.area = _checked_area(area)
        self.capacity, self.near = _checked_capacity(self.area, capacity, near)

    @property
    def name(self) -> str:
        """The id under which the environment is registered."""
        return f"CrafterOO-{self.shows}-v1"

    @property
    def num_actions(self) -> int:
        """17."""
        return len(c.ACTIONS)

    @property
    def default_params(self) -> Params:
        """A limit of 10,000 steps and the rules of the constructor."""
        return Params(rules=self._default_rules)

    def check_params(self, params: Params) -> None:
        """Raises a `ValueError` that names the rule for one beyond its limits, see `limits`."""
        check(params.rules, "rules.")

    def reset_env(self, key: jax.Array, params: Params) -> tuple[Any, WorldState]:
        """A new world: the first observation and the state."""
        key_world, key_observe = jax.random.split(key)
        draws = draw_world(key_world, self.area)
        state = generate(draws, self.area, self.capacity, params.rules)
        return self.observe(key_observe, state, None, params), state

    def step_env(
        self, key: jax.Array, state: WorldState, action: jax.Array, params: Params
    ) -> tuple[Any, WorldState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """One step.

        `info`: `achievements` bool [22], what was achieved in the episode; `discount` float32 [],
        0 if the episode terminated; `overflow` bool [], see `WorldState`.
        """
        after = transition(KeyDraws(key), state, action, params.rules, self.near)
        terminated = self.task.terminated(after)
        info = {
            "achievements": after.player.unlocked > 0,
            "discount": jnp.where(terminated, jnp.float32(0), jnp.float32(1)),
            "overflow": after.overflow,
        }
        reward = self.task.reward(state, after, params.rules)
        return self.observe(key, after, action, params), after, reward, terminated, info

    def episode_metrics(self, info: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Percent of the episode, 0 or 100, by achievement: of many, how often each was unlocked.

        And `overflow`: of many, in how many the state had no room, see `WorldState`. `info` is that
        of the episode's last step.
        """
        happened = jnp.append(info["achievements"], info["overflow"])
        percent = jnp.float32(100) * happened.astype(jnp.float32)
        return {name: percent[i] for i, name in enumerate((*c.ACHIEVEMENTS, _OVERFLOW))}

    def episode_summary(self, means: Mapping[str, float]) -> dict[str, float]:
        """The score of episodes whose mean `episode_metrics` are `means`, see `score.score`.

        Of Crafter's own task only: others end before much can be achieved.
        """
        if self.task_name != EVERYTHING:
            return {}
        return {"score": float(score([means[name] for name in c.ACHIEVEMENTS]))}

    def episode_warnings(self, means: Mapping[str, float]) -> list[str]:
        """A line if there was no room for all objects in some of the episodes."""
        share = means[_OVERFLOW]
        if not share > 0:
            return []
        return [
            f"in {share:.3g}% of the episodes objects were lost or did not act, for want of room:"
            f" give a capacity above {self.capacity}, or near above {self.near}"
        ]

    def episode_references(self) -> dict[str, dict[str, float]]:
        """What is published, of all episodes of a training of 1e6 steps; see `score.PUBLISHED`."""
        if self.task_name != EVERYTHING:
            return {}
        return {
            name: {**(known.success or {}), "score": known.score}
            for name, known in PUBLISHED.items()
        }

    @abc.abstractmethod
    def observe(self, key: jax.Array, state: WorldState, action: Any, params: Params) -> Any:
        """The observation of a state.

        `key` is for what is drawn at random in a picture; it has no part in what happens.
        """

    @staticmethod
    def reset_chunk(num_envs: int) -> int:
        """How many worlds to generate at once where some of N episodes ended.

        One on a CPU, where several at once are no faster and those not needed cost as much.
        """
        return 1 if jax.default_backend() == "cpu" else min(num_envs, max(4, num_envs // 256))

    def is_truncated(self, state: WorldState, params: Params) -> jax.Array:
        """Whether the time limit is reached."""
        return state.time >= params.max_steps_in_episode

    def action_space(self, params: Params | None = None) -> Discrete:
        """`Discrete(17)`."""
        return Discrete(len(c.ACTIONS))


class Symbolic(CrafterOO):
    """`CrafterOO-Symbolic-v1`: a vector, float32 [1723], laid out as `observations.SYMBOLIC`."""

    shows = "Symbolic"

    def observe(self, key: jax.Array, state: WorldState, action: Any, params: Params) -> jax.Array:
        """The symbolic observation of a state."""
        return observations.symbolic(state, params.rules)

    def observation_space(self, params: Params | None = None) -> Space:
        """float32 [1723]."""
        return observations.symbolic_space()


class Structured(CrafterOO):
    """`CrafterOO-OO-v1`: the visible cells and the player as a pytree."""

    shows = "OO"

    def observe(self, key: jax.Array, state: WorldState, action: Any, params: Params) -> Any:
        """The structured observation of a state."""
        return observations.structured(state, params.rules)

    def observation_space(self, params: Params | None = None) -> Space:
        """A `Dict`, see `observations.structured_space`."""
        return observations.structured_space()


class Pixels(CrafterOO):
    """`CrafterOO-Pixels-v1`: a picture, uint8 [size, size, 3]."""

    shows = "Pixels"

    def __init__(
        self,
        textures: str = "own",
        size: int = 64,
        task: str = EVERYTHING,
        preset: str = "crafter",
        area: tuple[int, int] = (64, 64),
        capacity: int | None = None,
        near: int | None = None,
    ):
        """A world and how it looks.

        Args:
            textures: "own", or "reference" for those of the installed package `crafter`.
            size: pixels along a side.
            task: as of `CrafterOO`, like all that follow.
            preset: the default rules.
            area: (W, H).
            capacity: number of object slots.
            near: how many objects can be near enough to the player to matter.

        Raises:
            ValueError: as `CrafterOO`; unknown textures, the package is missing, a size too small.
        """
        super().__init__(task, preset, area, capacity, near)
        self.textures, self.size = textures, size
        self._tiles = pixels.make_tiles(textures, size)

    def observe(self, key: jax.Array, state: WorldState, action: Any, params: Params) -> jax.Array:
        """The picture of a state."""
        return pixels.render(jax.random.fold_in(key, _PICTURE), state, params.rules, self._tiles)

    def observation_space(self, params: Params | None = None) -> Box:
        """uint8 [size, size, 3]."""
        return Box(0, 255, (self.size, self.size, 3), jnp.uint8)


def _checked_area(area: Any) -> tuple[int, int]:
    sides = tuple(area) if isinstance(area, list | tuple) else ()
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        raise ValueError(f"area must be two whole numbers (width, height), got {area!r}")
    # Positions are int16, and so are the numbers of chunks times the kinds of creatures.
    if not all(_SMALLEST <= side <= LARGEST_SIDE for side in sides):
        limits = f"{_SMALLEST}..{LARGEST_SIDE}"
        raise ValueError(f"area: each side must be in {limits} cells, got {area!r}")
    return sides[0], sides[1]


def _checked_capacity(
    area: tuple[int, int], capacity: int | None, near: int | None
) -> tuple[int, int]:
    cells = area[0] * area[1]
    if capacity is None:  # as many for each cell as on a map of 64 x 64, and some on a small one
        capacity = max(NEAR, -(-CAPACITY * cells // 64**2))
    for name, value in (("capacity", capacity), ("near", NEAR if near is None else near)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{name} must be a whole number, got {value!r}")
    near = min(NEAR, capacity) if near is None else near
    # Every chunk may hold three zombies, a skeleton and two cows.
    needed = cells // 24
    if capacity < needed:
        raise ValueError(
            f"capacity must be at least {needed} for an area of {area[0]} x {area[1]} cells,"
            f" got {capacity}"
        )
    if capacity > 32_000:
        raise ValueError(f"capacity must be at most 32000, got {capacity}")
    if not 1 <= near <= capacity:
        raise ValueError(f"near must be in 1..capacity = {capacity}, got {near}")
    return capacity, near
