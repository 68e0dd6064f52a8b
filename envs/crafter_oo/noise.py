"""OpenSimplex noise in three dimensions on a fixed grid of points, as a matrix product.

The noise at a point is a sum over the nearby vertices v of a lattice, (2 - |d|^2)^4 (d . g_v) / 103
where 2 > |d|^2, with d the offset from the vertex and g_v one of 24 gradients, which a permutation
of 0..255, the seed, assigns to it. On a fixed grid the offsets are known beforehand and only the
gradients depend on the seed, so the noise is linear in them: the weights are computed once, in
NumPy and float64, and a world costs one small matrix product for each square of the grid.

Of the vertices beyond those of its own cell OpenSimplex counts two at each point, chosen by a rule
that now and then passes over one that is near enough; `_extras_low` and the two functions after it
are that rule.

Source: K. Spencer's OpenSimplex noise (2014), public domain, in the form of the package
`opensimplex` 0.4.5: the same sum, computed in another way.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_SQUISH = 1 / 3  # a lattice vertex (i, j, k) lies at (i, j, k) + (i + j + k) / 3
_NORM = 103.0
_NUM_GRADIENTS = 24
_BITS = 2**64
_MULTIPLIER, _INCREMENT = 6364136223846793005, 1442695040888963407


class Grid(NamedTuple):
    """What of the noise on a grid does not depend on the seed.

    Attributes:
        area: (W, H), the points.
        block: the side of the squares into which they are cut.
        vertices: int32 [V, 3], all lattice vertices that matter.
        members: int32 [B, M], for each square the vertices that matter there, padded with 0.
        weights: float64 [B, block * block, 3 * M], of the first components of the vertices'
            gradients, then of the second, then of the third; 0 for padding.
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
    points = np.stack(np.broadcast_arrays(xs[:, None], ys[None, :], np.float64(z)), axis=-1)
    vertices, weights = _contributions(points.reshape(-1, 3))
    # One that does not reach the point gives way to one that does, so that fewer are hashed.
    reaches = weights.any(axis=-1)
    reached = np.argmax(reaches, axis=1)
    vertices[~reaches] = vertices[np.arange(len(vertices)), reached][np.nonzero(~reaches)[0]]
    vertices, where = np.unique(vertices.reshape(-1, 3), axis=0, return_inverse=True)
    # Larger squares waste weights, smaller ones calls.
    block = 4 if max(xs[1] - xs[0], ys[1] - ys[0]) > 0.25 else 8
    across, down = (-(-side // block) for side in area)
    vertex = where.reshape(*area, -1)
    weights = weights.reshape(*area, -1, 3)
    squares = [
        (slice(x * block, (x + 1) * block), slice(y * block, (y + 1) * block))
        for x in range(across)
        for y in range(down)
    ]
    local = [np.unique(vertex[square][weights[square].any(axis=-1)]) for square in squares]
    most = max(len(found) for found in local)
    members = np.zeros((len(squares), most), np.int32)
    table = np.zeros((len(squares), block, block, most, 3))
    for index, (square, found) in enumerate(zip(squares, local, strict=True)):
        members[index, : len(found)] = found
        column = np.minimum(np.searchsorted(found, vertex[square]), len(found) - 1)
        rows, columns, _ = np.indices(column.shape)
        np.add.at(table[index], (rows, columns, column), weights[square])
    return Grid(
        area,
        block,
        vertices.astype(np.int32),
        members,
        np.swapaxes(table, 3, 4).reshape(len(squares), block * block, 3 * most),
    )


def hashes(grids: Sequence[Grid], permutation: jax.Array) -> jax.Array:
    """For all lattice vertices of some grids in turn what the seed makes of them: uint8 [V].

    Args:
        grids: V vertices in all.
        permutation: uint8 [256], the seed.
    """
    vertices = np.concatenate([grid.vertices for grid in grids])
    table = permutation.astype(jnp.int32)
    index = jnp.zeros(len(vertices), jnp.int32)
    for axis in range(3):
        index = table[(index + vertices[:, axis]) & 255]
    return (index % _NUM_GRADIENTS).astype(jnp.uint8)


def spread(grids: Sequence[Grid], hashes: jax.Array) -> list[jax.Array]:
    """For each grid the number of the gradient of each member: uint8 [B, M]."""
    starts = np.cumsum([0, *(len(grid.vertices) for grid in grids)])
    members = [
        (grid.members + start).reshape(-1) for grid, start in zip(grids, starts[:-1], strict=True)
    ]
    found = hashes[np.concatenate(members)]
    ends = np.cumsum([len(part) for part in members])
    return [
        part.reshape(grid.members.shape)
        for part, grid in zip(jnp.split(found, ends[:-1]), grids, strict=True)
    ]


def evaluate(grid: Grid, numbers: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """The noise on a grid, [W, H], of its members' gradients, uint8 [B, M]; about -0.86..0.86."""
    x, y, z = gradients(numbers.astype(jnp.int32), dtype)
    local = jnp.concatenate([x, y, z], axis=-1)
    weights = grid.weights
    if dtype == jnp.float32:
        # Weights that are nothing but rounding (see `_contributions`) would vanish in float32.
        weights = np.where(np.abs(weights) < 1e-30, weights * 1e35, weights)
    values = jnp.einsum(
        "bcm,bm->bc", jnp.asarray(weights, dtype), local, precision=jax.lax.Precision.HIGHEST
    )
    across, down = (-(-side // grid.block) for side in grid.area)
    shape = (across, down, grid.block, grid.block)
    padded = values.reshape(shape).transpose(0, 2, 1, 3)
    padded = padded.reshape(across * grid.block, down * grid.block)
    return padded[: grid.area[0], : grid.area[1]]


def gradients(number: jax.Array, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The components of gradients, of the shape of `number`, int32 in 0..23.

    One component is +-11 and two are +-4. Computed, for arithmetic is faster than a table.
    """
    axis, signs = number % 3, number // 3
    negative = ((signs & 1) == 0, (signs & 2) != 0, (signs & 4) != 0)
    sizes = (jnp.where(axis == i, 11, 4) for i in range(3))
    x, y, z = (
        jnp.where(minus, -size, size).astype(dtype)
        for minus, size in zip(negative, sizes, strict=True)
    )
    return x, y, z


def _scaled(size: int, scale: Sequence[float]) -> np.ndarray:
    values = np.arange(size) * scale[0]
    for divisor in scale[1:]:
        values = values / divisor
    return np.asarray(values, np.float64)


def _contributions(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices that count at each point, int [P, 10, 3], with weights, [P, 10, 3].

    A weight is what the components of a vertex's gradient are multiplied with.
    """
    stretched = points + points.sum(axis=1, keepdims=True) * (-1.0 / 6)
    base = np.floor(stretched).astype(np.int64)
    inside = stretched - base
    total = inside[:, 0] + inside[:, 1] + inside[:, 2]
    # The cell is cut into a tetrahedron at (0, 0, 0), one at (1, 1, 1) and an octahedron between.
    low, high = total <= 1, total >= 2
    axes = np.eye(3, dtype=np.int64)
    zero, one = np.zeros((1, 3), np.int64), np.ones((1, 3), np.int64)
    corners = np.concatenate([zero, axes, 1 - axes, one])
    counts = np.asarray([0, 1, 1, 1, 2, 2, 2, 3])
    own = np.where(low[:, None], counts <= 1, np.where(high[:, None], counts >= 2, True))
    own &= low[:, None] | high[:, None] | ((counts >= 1) & (counts <= 2))
    extras = np.where(
        low[:, None, None],
        _extras_low(inside),
        np.where(high[:, None, None], _extras_high(inside), _extras_middle(inside)),
    )
    relative = np.concatenate([np.broadcast_to(corners, (len(points), 8, 3)), extras], axis=1)
    vertices = base[:, None] + relative
    # In the reference's order, for the sake of the last bit: at a lattice vertex the noise is all
    # rounding, about 1e-66, and its sign decides whether a tree may grow there.
    origin = points - (base + base.sum(axis=1, keepdims=True) * _SQUISH)
    offset = origin[:, None] - relative - relative.sum(axis=-1, keepdims=True) * _SQUISH
    dx, dy, dz = np.moveaxis(offset, -1, 0)
    kernel = np.maximum(2 - dx * dx - dy * dy - dz * dz, 0)
    kernel = (kernel * kernel) ** 2
    kernel *= np.concatenate([own, np.ones((len(points), 2), bool)], axis=1)
    return vertices, kernel[..., None] * offset / _NORM


def _extras_low(inside: np.ndarray) -> np.ndarray:
    """The two further vertices of points in the tetrahedron at (0, 0, 0): int [P, 2, 3]."""
    axes = np.eye(3, dtype=np.int64)
    x, y, z = inside.T
    origin = 1 - (x + y + z)
    second_is_z = (x >= y) & (z > y)
    first_is_z = (x < y) & (z > x)
    a, score_a = np.where(first_is_z, 2, 0), np.where(first_is_z, z, x)
    b, score_b = np.where(second_is_z, 2, 1), np.where(second_is_z, z, y)
    near = np.where(score_b > score_a, b, a)
    others = np.asarray([(1, 2), (0, 2), (0, 1)])[near]
    beside_origin = axes[near][:, None] - axes[others]
    both = axes[a] + axes[b]
    beyond = np.stack([both, both - (1 - both)], axis=1)
    return np.where(((origin > score_a) | (origin > score_b))[:, None, None], beside_origin, beyond)


def _extras_high(inside: np.ndarray) -> np.ndarray:
    """The two further vertices of points in the tetrahedron at (1, 1, 1): int [P, 2, 3]."""
    axes = np.eye(3, dtype=np.int64)
    x, y, z = inside.T
    corner = 3 - (x + y + z)
    second_is_z = (x <= y) & (z < y)
    first_is_z = (x > y) & (z < x)
    # Each stands for the vertex that lacks this axis.
    a, score_a = np.where(first_is_z, 2, 0), np.where(first_is_z, z, x)
    b, score_b = np.where(second_is_z, 2, 1), np.where(second_is_z, z, y)
    missing = np.where(score_b < score_a, b, a)
    others = np.asarray([(1, 2), (0, 2), (0, 1)])[missing]
    beside_corner = (1 - axes[missing])[:, None] + axes[others]
    shared = 1 - axes[a] - axes[b]
    beyond = np.stack([shared, 2 * shared], axis=1)
    return np.where(((corner < score_a) | (corner < score_b))[:, None, None], beside_corner, beyond)


def _extras_middle(inside: np.ndarray) -> np.ndarray:
    """The two further vertices of points in the octahedron: int [P, 2, 3]."""
    axes = np.eye(3, dtype=np.int64)
    x, y, z = inside.T
    # Three pairs of opposite vertices: one of two ones, `far`, and the axis that it lacks.
    excess = np.stack([x + y - 1, x + z - 1, y + z - 1])
    far, score = excess > 0, np.abs(excess)
    lacks = np.asarray([2, 1, 0])
    replaces_a = (score[0] <= score[1]) & (score[0] < score[2])
    replaces_b = (score[0] > score[1]) & (score[1] < score[2])
    a, b = np.where(replaces_a, 2, 0), np.where(replaces_b, 2, 1)
    points = np.arange(inside.shape[0])
    far_a, far_b = far[a, points], far[b, points]
    axis_a, axis_b = axes[lacks[a]], axes[lacks[b]]
    third = 1 - axis_a - axis_b
    both_far = np.stack([np.ones_like(third), 2 * third], axis=1)
    both_near = np.stack([np.zeros_like(third), 1 - 2 * third], axis=1)
    of_far = np.where(far_a[:, None], axis_a, axis_b)
    of_near = np.where(far_a[:, None], axis_b, axis_a)
    mixed = np.stack([1 - 2 * of_far, 2 * of_near], axis=1)
    one_side = np.where(far_a[:, None, None], both_far, both_near)
    return np.where((far_a == far_b)[:, None, None], one_side, mixed)
