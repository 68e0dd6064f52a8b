"""Random maps on which wood grows at the bottom and stone at the top, and random places.

Each commodity begins with single tiles, drawn with probabilities that fall off from its edge of the
map, and grows around them, with random 7 x 7 kernels, until it covers its share. A map on which a
share is too far off is drawn anew, up to 100 times. Wood is drawn first; stone does not grow where
wood does.

A fault of the package is kept: probabilities of stone's first tiles are scaled by the share of
wood.

Source: `ai-economist` 1.7.1, `uniform/simple_wood_and_stone`; the distribution is the same.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.economy.state import COMMODITIES

_ORDER = np.array([COMMODITIES.index(name) for name in ("Wood", "Stone")])  # of growth
_ATTEMPTS = 100
_OFF = 1.4  # a share that is off by more than this factor is rejected
_THIN = 0.1  # of the probabilities, at which tiles are tried first
_FADE = 0.9  # by which draws shrink until there are enough first tiles
_FADES = 201
_KERNEL = 7
_NOISE, _DECAY = 0.2, 0.25  # of growth, in sources
_ROUNDS = 10_000  # of growth in an attempt; the package has no bound


class _Growth(NamedTuple):
    """What is static of each commodity's growth, in the order in which they grow, [C, ...]."""

    chance: jax.Array  # float [C, H, W], of a tile to be among the first
    first: jax.Array  # int32 [C], how many tiles are to be drawn one by one
    enough: jax.Array  # int32 [C], at how many tiles growth ends
    acceptable: jax.Array  # bool [C, tiles + 1], which counts are near their aim


class _Drawing(NamedTuple):
    """A map that is being drawn."""

    key: jax.Array
    sources: jax.Array  # bool [C, H, W], in the order in which they grow
    growing: jax.Array  # int32 [], which commodity
    rounds: jax.Array  # int32 [], of its growth; the first draws single tiles
    attempts: jax.Array  # int32 [], maps that were completed
    accepted: jax.Array  # bool [], whether the last one was good


@dataclasses.dataclass(frozen=True)
class UniformMaps:
    """Draws sources of a map of H x W tiles without water.

    Attributes:
        shape: H, at least 2, and W.
        stone_coverage: share of tiles on which stone grows, or, from 1, how many tiles.
        wood_coverage: the same of wood.
        stone_clumpiness: share of the tiles that grow around others, in 0..1.
        wood_clumpiness: the same of wood.
        gradient_steepness: how steeply probabilities fall off from the edges, at least 1; the
            power of the distance from the other edge.
        checkered: whether only every second tile is a source, as on a chessboard.

    Raises:
        ValueError: an option beyond its limits, or both shares together a half or more.
    """

    shape: tuple[int, int]
    stone_coverage: float = 0.025
    wood_coverage: float = 0.025
    stone_clumpiness: float = 0.5
    wood_clumpiness: float = 0.35
    gradient_steepness: float = 8.0
    checkered: bool = False

    def __post_init__(self) -> None:
        """Checks the options."""
        height, width = self.shape
        if height < 2 or width < 1:
            raise ValueError(f"shape must be at least (2, 1), got {self.shape}")
        for name in ("stone_coverage", "wood_coverage"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value}")
        for name in ("stone_clumpiness", "wood_clumpiness"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be in 0..1, got {value}")
        if not 1 <= self.gradient_steepness < math.inf:
            raise ValueError(
                f"gradient_steepness must be finite and at least 1, got {self.gradient_steepness}"
            )
        stone, wood = self._shares()
        if not stone + wood < 0.5:
            raise ValueError(
                f"stone and wood must cover less than half of the map, got {stone:g} and {wood:g}"
            )

    @property
    def coverages(self) -> tuple[float, float]:
        """Shares of the map that are grown, of each of `COMMODITIES`, before any chequering."""
        stone, wood = self._shares()
        return (2 * stone, 2 * wood) if self.checkered else (stone, wood)

    @property
    def probabilities(self) -> np.ndarray:
        """How likely each tile is to be a source at first, up to a factor, float64 [C, H, W]."""
        height, width = self.shape
        rows = (np.arange(height) / (height - 1)) ** self.gradient_steepness
        wood = np.repeat((rows / rows.mean())[:, None], width, axis=1) * self.coverages[1]
        return np.stack([wood[::-1], wood])

    def __call__(self, key: jax.Array) -> jax.Array:
        """Draws a map: its sources, bool [C, H, W]."""
        growth = self._growth()

        def unfinished(drawing: _Drawing) -> jax.Array:
            return ~drawing.accepted & (drawing.attempts < _ATTEMPTS)

        # One loop over the rounds of all commodities and attempts: in a batch, maps that take many
        # rounds in one of them do not wait for each other in each.
        start = _Drawing(
            key=key,
            sources=jnp.zeros(growth.chance.shape, jnp.bool_),
            growing=jnp.int32(0),
            rounds=jnp.int32(0),
            attempts=jnp.int32(0),
            accepted=jnp.bool_(False),
        )
        drawn = jax.lax.while_loop(unfinished, lambda drawing: _round(drawing, growth), start)
        sources = drawn.sources[np.argsort(_ORDER)]
        if self.checkered:
            row, column = np.indices(self.shape)
            sources = sources & jnp.asarray((row + column) % 2 == 1)[None]
        return sources

    def _growth(self) -> _Growth:
        # What are too few is compared in float64, where the package rounds as well.
        tiles = self.shape[0] * self.shape[1]
        shares = np.arange(tiles + 1) / tiles
        clumpiness = np.array([self.stone_clumpiness, self.wood_clumpiness])[_ORDER]
        alone = 1 - np.clip(clumpiness, 0, 0.99)  # share of tiles that are drawn one by one
        coverages = np.array(self.coverages)[_ORDER]
        quotients = shares / coverages[:, None]
        return _Growth(
            chance=jnp.asarray(
                self.probabilities[_ORDER] * _THIN * alone[:, None, None], jnp.float32
            ),
            first=jnp.asarray((shares < (coverages * alone)[:, None]).sum(axis=1), jnp.int32),
            enough=jnp.asarray((shares < coverages[:, None]).sum(axis=1), jnp.int32),
            acceptable=jnp.asarray((quotients >= 1 / _OFF) & (quotients <= _OFF)),
        )

    def _shares(self) -> tuple[float, float]:
        tiles = self.shape[0] * self.shape[1]
        stone, wood = (
            share / tiles if share >= 1 else float(share)
            for share in (self.stone_coverage, self.wood_coverage)
        )
        return stone, wood


def random_places(key: jax.Array, free: jax.Array, agents: int) -> jax.Array:
    """Distinct tiles, every choice of them equally likely.

    Args:
        key: of the draw.
        free: bool [H, W], tiles to choose from; must be at least N.
        agents: N.

    Returns:
        int32 [N, 2], rows and columns.

    Raises:
        ValueError: no agents, or fewer tiles on the map than agents.
    """
    if not 1 <= agents <= free.size:
        raise ValueError(f"agents must be in 1..{free.size} on {free.shape} tiles, got {agents}")
    rank = jax.random.uniform(key, free.shape, jnp.float32)
    _, tile = jax.lax.top_k(jnp.where(free, rank, -1).ravel(), agents)
    width = jnp.int32(free.shape[1])
    return jnp.stack([tile // width, tile % width], axis=1).astype(jnp.int32)


def _round(drawing: _Drawing, growth: _Growth) -> _Drawing:
    """One round of growth of the commodity that is growing, and what follows if it was the last."""
    key, key_first, key_grow = jax.random.split(drawing.key, 3)
    index = jnp.arange(drawing.sources.shape[0], dtype=jnp.int32)
    here = (index == drawing.growing)[:, None, None]
    empty = ~jnp.any(drawing.sources & (index < drawing.growing)[:, None, None], axis=0)
    old = jnp.any(drawing.sources & here, axis=0)
    new = jnp.where(
        drawing.rounds == 0,
        _first_tiles(
            key_first, empty, growth.chance[drawing.growing], growth.first[drawing.growing]
        ),
        _grown(key_grow, empty, old),
    )
    sources = jnp.where(here, new, drawing.sources)
    counts = jnp.sum(sources, axis=(1, 2), dtype=jnp.int32)

    rounds = drawing.rounds + 1
    ended = (counts[drawing.growing] >= growth.enough[drawing.growing]) | (rounds > _ROUNDS)
    whole = ended & (drawing.growing == index[-1])
    good = jnp.all(jnp.take_along_axis(growth.acceptable, counts[:, None], axis=1))
    return _Drawing(
        key=key,
        sources=sources,
        growing=jnp.where(whole, 0, drawing.growing + ended.astype(jnp.int32)),
        rounds=jnp.where(ended, 0, rounds),
        attempts=drawing.attempts + whole.astype(jnp.int32),
        accepted=whole & good,
    )


def _first_tiles(
    key: jax.Array, empty: jax.Array, chance: jax.Array, wanted: jax.Array
) -> jax.Array:
    """Single tiles, bool [H, W]: those that are drawn once draws have shrunk far enough.

    How often they must shrink is looked for by halving, as more of it never means fewer tiles.
    """
    draws = jax.random.uniform(key, empty.shape, jnp.float32)

    def tiles(fades: jax.Array) -> jax.Array:
        return (draws * jnp.float32(_FADE) ** fades.astype(jnp.float32) < chance) & empty

    fades = jnp.int32(0)  # the most by which there are too few
    for bit in reversed(range(_FADES.bit_length())):
        more = fades + jnp.int32(2**bit)
        few = jnp.sum(tiles(more - 1), dtype=jnp.int32) < wanted
        fades = jnp.where(few & (more <= _FADES), more, fades)
    return tiles(fades)


def _grown(key: jax.Array, empty: jax.Array, sources: jax.Array) -> jax.Array:
    """Sources and what grows around them in a round, bool [H, W]."""
    key_kernel, key_noise = jax.random.split(key)
    kernel = jax.random.bernoulli(key_kernel, shape=(_KERNEL, _KERNEL))
    noise = _NOISE * jax.random.normal(key_noise, sources.shape, jnp.float32)
    pull = _convolved(sources.astype(jnp.float32) + noise - _DECAY, kernel)
    return (sources | (pull > 0)) & empty


def _convolved(values: jax.Array, kernel: jax.Array) -> jax.Array:
    """Sums of values [H, W] around each tile where the kernel, bool [K, K], is; 0 off the map."""
    height, width = values.shape
    padded = jnp.pad(values, _KERNEL // 2)
    total = jnp.zeros_like(values)
    for row in range(_KERNEL):
        for column in range(_KERNEL):
            window = padded[row : row + height, column : column + width]
            total += jnp.where(kernel[row, column], window, 0)
    return total
