"""OpenSimplex noise in three dimensions on a fixed grid of points, as a matrix product.

The noise at a point is a sum over the nearby vertices v of a lattice, (2 - |d|^2)^4 (d . g_v) / 103
where 2 > |d|^2, with d the offset from the vertex and g_v one of 24 gradients, which a permutation
of 0..255, the seed, assigns to it. On a fixed grid the offsets are known beforehand and only the
gradients depend on the seed, so the noise is linear in them: the weights are computed once, in
NumPy and float64, and a world costs one small matrix product for each square of the grid.

Source: K. Spencer's OpenSimplex noise (2014), public domain, in the form of the package
`opensimplex` 0.4.5; the sum over vertices is the same, how it is computed is not.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_SQUISH = 1 / 3  # a lattice vertex (i, j, k) lies at (i, j, k) + (i + j + k) / 3
_NORM = 103.0
_BITS = 2**64
_MULTIPLIER, _INCREMENT = 6364136223846793005, 1442695040888963407
_SIGNS = ((-1, 1, 1), (1, 1, 1), (-1, -1, 1), (1, -1, 1)) + (
    (-1, 1, -1),
    (1, 1, -1),
    (-1, -1, -1),
    (1, -1, -1),
)
# Three gradients a sign: (11, 4, 4) with the large component first, second and third.
GRADIENTS = np.asarray(
    [np.asarray(sign) * np.roll((11, 4, 4), shift) for sign in _SIGNS for shift in range(3)],
    np.int32,
)


class Grid(NamedTuple):
    """What of the noise on a grid does not depend on the seed.

    Attributes:
        area: (W, H), the points.
        block: the side of the squares into which they are cut.
        vertices: int32 [V, 3], all lattice vertices that matter.
        members: int32 [B, M], for each square the vertices that matter there, padded with 0.
        weights: float64 [B, block * block, M * 3], of the vertices' gradients; 0 for padding.
    """

    area: tuple[int, int]
    block: int
    vertices: np.ndarray
    members: np.ndarray
    weights: np.ndarray


def permutation_of(seed: int) -> np.ndarray:
    """The permutation that OpenSimplex makes of a seed, uint8 [256].

    A shuffle by a linear congruential generator modulo 2^64, whose numbers count as signed.
    """
    source = list(range(256))
    permutation = np.zeros(256, np.uint8)
    for _ in range(3):
        seed = (seed * _MULTIPLIER + _INCREMENT) % _BITS
    for i in reversed(range(256)):
        seed = (seed * _MULTIPLIER + _INCREMENT) % _BITS
        signed = seed - _BITS if seed >= _BITS // 2 else seed
        # Python's remainder is never negative, which is how the reference mends C's.
        chosen = (signed + 31) % (i + 1)
        permutation[i] = source[chosen]
        source[chosen] = source[i]
    return permutation


@functools.lru_cache(maxsize=64)
def make_grid(
    area: tuple[int, int], z: float, x_scale: tuple[float, ...], y_scale: tuple[float, ...]
) -> Grid:
    """The noise at (x * a / b / c ..., y * ..., z) for all cells (x, y) of an area.

    Args:
        area: (W, H).
        z: the third coordinate.
        x_scale: what x is multiplied with first and then divided by, one after the other.
        y_scale: likewise for y.
    """
    xs, ys = _scaled(area[0], x_scale), _scaled(area[1], y_scale)
    # Squares of about two lattice units: larger ones waste weights, smaller ones calls.
    block = 4 if max(xs[1] - xs[0], ys[1] - ys[0]) > 0.25 else 8
    points = np.stack(np.broadcast_arrays(xs[:, None], ys[None, :], np.float64(z)), axis=-1)
    squares = [
        points[x : x + block, y : y + block].reshape(-1, 3)
        for x in range(0, area[0], block)
        for y in range(0, area[1], block)
    ]
    local = [_vertices_near(square) for square in squares]
    vertices, where = np.unique(np.concatenate(local), axis=0, return_inverse=True)
    most = max(len(found) for found in local)
    members = np.zeros((len(squares), most), np.int32)
    weights = np.zeros((len(squares), block * block, most, 3))
    start = 0
    for index, (square, found) in enumerate(zip(squares, local, strict=True)):
        members[index, : len(found)] = where.reshape(-1)[start : start + len(found)]
        start += len(found)
        offset, kernel = _kernel(square, found)
        rows = _rows_of(area, block, index)
        weights[index, rows, : len(found)] = kernel[..., None] * offset / _NORM
    flat = weights.reshape(len(squares), block * block, most * 3)
    return Grid(area, block, vertices.astype(np.int32), members, flat)


def evaluate(grid: Grid, permutation: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """The noise on a grid, [W, H], of a permutation uint8 [256]; about -0.86..0.86."""
    table = permutation.astype(jnp.int32)
    index = jnp.zeros(len(grid.vertices), jnp.int32)
    for axis in range(3):
        index = table[(index + grid.vertices[:, axis]) & 255]
    gradients = jnp.asarray(GRADIENTS, dtype)[index % len(GRADIENTS)]
    local = gradients[grid.members].reshape(len(grid.members), -1)
    values = jnp.einsum(
        "bcm,bm->bc", jnp.asarray(grid.weights, dtype), local, precision=jax.lax.Precision.HIGHEST
    )
    across, down = (-(-side // grid.block) for side in grid.area)
    shape = (across, down, grid.block, grid.block)
    padded = values.reshape(shape).transpose(0, 2, 1, 3)
    padded = padded.reshape(across * grid.block, down * grid.block)
    return padded[: grid.area[0], : grid.area[1]]


def _scaled(size: int, scale: Sequence[float]) -> np.ndarray:
    values = np.arange(size) * scale[0]
    for divisor in scale[1:]:
        values = values / divisor
    return np.asarray(values, np.float64)


def _kernel(points: np.ndarray, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets [P, V, 3] from vertices to points and the kernel (2 - |d|^2)^4 there [P, V]."""
    at = vertices + vertices.sum(axis=1, keepdims=True) * _SQUISH
    offset = points[:, None] - at[None]
    return offset, np.maximum(2 - (offset**2).sum(axis=-1), 0) ** 4


def _vertices_near(points: np.ndarray) -> np.ndarray:
    """All lattice vertices whose kernel reaches one of the points, int [V, 3]."""
    stretched = points - points.sum(axis=1, keepdims=True) / 6
    base = np.unique(np.floor(stretched).astype(np.int64), axis=0)
    around = np.asarray(list(itertools.product(range(-2, 4), repeat=3)))
    candidates = np.unique((base[:, None] + around[None]).reshape(-1, 3), axis=0)
    return candidates[(_kernel(points, candidates)[1] > 0).any(axis=0)]


def _rows_of(area: tuple[int, int], block: int, index: int) -> np.ndarray:
    """Where the points of a square, which the edge may cut, stand among its block * block."""
    down = -(-area[1] // block)
    width = min(block, area[0] - index // down * block)
    height = min(block, area[1] - index % down * block)
    return (np.arange(width)[:, None] * block + np.arange(height)[None, :]).reshape(-1)
