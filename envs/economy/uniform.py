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

_ATTEMPTS = 100
_OFF = 1.4  # a share that is off by more than this factor is rejected
_THIN = 0.1  # of the probabilities, at which tiles are tried first
_FADE = 0.9  # by which draws shrink until there are enough first tiles
_FADES = 201
_KERNEL = 7
_NOISE, _DECAY = 0.2, 0.25  # of growth, in sources
_ROUNDS = 10_000  # of growth in an attempt; the package has no bound


class _Growing(NamedTuple):
    key: jax.Array
    sources: jax.Array
    rounds: jax.Array


class _Attempt(NamedTuple):
    key: jax.Array
    sources: jax.Array
    attempts: jax.Array
    accepted: jax.Array


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
        quotients = self._shares_of_counts / np.array(self.coverages)[:, None]
        acceptable = jnp.asarray((quotients >= 1 / _OFF) & (quotients <= _OFF))  # [C, tiles + 1]

        def rejected(attempt: _Attempt) -> jax.Array:
            return ~attempt.accepted & (attempt.attempts < _ATTEMPTS)

        def redraw(attempt: _Attempt) -> _Attempt:
            key, key_stone, key_wood = jax.random.split(attempt.key, 3)
            nothing = jnp.zeros(self.shape, jnp.bool_)
            wood = self._grown(key_wood, COMMODITIES.index("Wood"), ~nothing)
            stone = self._grown(key_stone, COMMODITIES.index("Stone"), ~wood)
            sources = jnp.stack([stone, wood])
            counts = jnp.sum(sources, axis=(1, 2), dtype=jnp.int32)
            accepted = jnp.all(jnp.take_along_axis(acceptable, counts[:, None], axis=1))
            return _Attempt(key, sources, attempt.attempts + 1, accepted)

        start = _Attempt(
            key=key,
            sources=jnp.zeros((len(COMMODITIES), *self.shape), jnp.bool_),
            attempts=jnp.int32(0),
            accepted=jnp.bool_(False),
        )
        sources = jax.lax.while_loop(rejected, redraw, start).sources
        if self.checkered:
            row, column = np.indices(self.shape)
            sources = sources & jnp.asarray((row + column) % 2 == 1)[None]
        return sources

    def _shares(self) -> tuple[float, float]:
        tiles = self.shape[0] * self.shape[1]
        stone, wood = (
            share / tiles if share >= 1 else float(share)
            for share in (self.stone_coverage, self.wood_coverage)
        )
        return stone, wood

    @property
    def _shares_of_counts(self) -> np.ndarray:
        tiles = self.shape[0] * self.shape[1]
        return np.arange(tiles + 1) / tiles

    def _grown(self, key: jax.Array, commodity: int, empty: jax.Array) -> jax.Array:
        """Sources of one commodity on tiles that are empty, bool [H, W]."""
        clumpiness = (self.stone_clumpiness, self.wood_clumpiness)[commodity]
        alone = 1 - min(clumpiness, 0.99)  # share of tiles that are drawn one by one
        # How many counts are too few: compared in float64, where the package rounds as well.
        target = self.coverages[commodity]
        first = jnp.int32(np.count_nonzero(self._shares_of_counts < target * alone))
        enough = jnp.int32(np.count_nonzero(self._shares_of_counts < target))
        chance = jnp.asarray(self.probabilities[commodity] * _THIN * alone, jnp.float32)
        key_first, key_grow = jax.random.split(key)
        draws = jax.random.uniform(key_first, self.shape, jnp.float32)

        def too_few(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
            draws, fades = carry
            return (_count((draws < chance) & empty) < first) & (fades < _FADES)

        def fade(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            return carry[0] * jnp.float32(_FADE), carry[1] + 1

        draws, _ = jax.lax.while_loop(too_few, fade, (draws, jnp.int32(0)))

        def small(growing: _Growing) -> jax.Array:
            return (_count(growing.sources) < enough) & (growing.rounds < _ROUNDS)

        def grow(growing: _Growing) -> _Growing:
            key, key_kernel, key_noise = jax.random.split(growing.key, 3)
            kernel = jax.random.bernoulli(key_kernel, shape=(_KERNEL, _KERNEL))
            noise = _NOISE * jax.random.normal(key_noise, self.shape, jnp.float32)
            pull = _convolved(growing.sources.astype(jnp.float32) + noise - _DECAY, kernel)
            sources = (growing.sources | (pull > 0)) & empty
            return _Growing(key, sources, growing.rounds + 1)

        start = _Growing(key_grow, (draws < chance) & empty, jnp.int32(0))
        return jax.lax.while_loop(small, grow, start).sources


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


def _count(tiles: jax.Array) -> jax.Array:
    return jnp.sum(tiles, dtype=jnp.int32)


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
