"""The noise of the worlds, against the package `opensimplex` and facts of its lattice."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import opensimplex
import pytest

from jaxrl.envs.crafter_oo import noise
from tests.unoptimised import jit

# (area, z, scale of x, scale of y): along both axes, squeezed, fine, coarse, not square.
GRIDS = {
    "coarse": ((13, 9), 0.0, (1.0, 3.0), (1.0, 3.0)),
    "fine": ((17, 20), 3.0, (1.0, 15.0), (1.0, 15.0)),
    "stretched": ((12, 12), 7.0, (2.0, 3.0), (1.0, 5.0, 3.0)),
    "whole numbers": ((9, 10), 2.0, (1.0,), (1.0,)),
}


def points(size, scale):
    values = np.arange(size) * scale[0]
    for divisor in scale[1:]:
        values = values / divisor
    return values


def on_grid(grid, permutation, dtype):
    (numbers,) = noise.spread([grid], noise.hashes([grid], permutation))
    return noise.evaluate(grid, numbers, dtype)


def all_gradients():
    return np.stack(noise.gradients(jnp.arange(24, dtype=jnp.int32), jnp.float32), axis=-1)


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 2, 123456789])
def test_the_permutation_of_a_seed(seed):
    permutation = noise.permutation_of(seed)
    np.testing.assert_array_equal(permutation, opensimplex.OpenSimplex(seed)._perm)
    assert sorted(permutation.tolist()) == list(range(256))


@pytest.mark.parametrize("name", GRIDS)
def test_noise_is_that_of_the_package(name):
    area, z, x_scale, y_scale = GRIDS[name]
    grid = noise.make_grid(area, z, x_scale, y_scale)
    evaluate = jit(functools.partial(on_grid, grid), static_argnums=1)
    for seed in (3, 77):
        package = opensimplex.OpenSimplex(seed)
        xs, ys = points(area[0], x_scale), points(area[1], y_scale)
        truth = np.asarray([[package.noise3(x, y, z) for y in ys] for x in xs])
        permutation = jnp.asarray(noise.permutation_of(seed))
        with jax.enable_x64(True):
            exact = np.asarray(evaluate(permutation, jnp.float64))
        assert exact.dtype == np.float64 and exact.shape == area
        np.testing.assert_allclose(exact, truth, rtol=0, atol=1e-15)
        single = evaluate(permutation, jnp.float32)
        assert single.dtype == jnp.float32
        np.testing.assert_allclose(single, truth, rtol=0, atol=1e-6)
        assert np.abs(truth).max() > 0.3, "noise that is near 0 everywhere proves little"


def test_noise_is_nothing_at_a_vertex_and_smooth_beside_it():
    # (0, 0, 0) is a vertex: its own gradient counts nothing there, its neighbours are too far away.
    fine = noise.make_grid((4, 4), 0.0, (1.0, 1000.0), (1.0, 1000.0))
    permutation = jnp.asarray(noise.permutation_of(5))
    with jax.enable_x64(True):
        values = np.asarray(on_grid(fine, permutation, jnp.float64))
    assert abs(values[0, 0]) < 1e-30
    # Near the vertex 0 the noise is 2^4 / 103 (g . p), with g the gradient that the seed gives it.
    table = np.asarray(permutation).astype(int)
    index = table[table[table[0]]] % 24
    gradient = all_gradients()[index]
    for x, y in [(1, 0), (0, 1), (2, 3)]:
        linear = 16 / 103 * (gradient[0] * x + gradient[1] * y) / 1000
        assert values[x, y] == pytest.approx(linear, rel=0.02)


def test_gradients():
    gradients = all_gradients()
    assert len({tuple(row) for row in gradients.tolist()}) == 24
    assert (np.sort(np.abs(gradients), axis=1) == [4, 4, 11]).all()


def test_grids_share_one_hash():
    grids = [noise.make_grid(*GRIDS[name]) for name in list(GRIDS)[:2]]
    permutation = jnp.asarray(noise.permutation_of(9))
    together = noise.spread(grids, noise.hashes(grids, permutation))
    for grid, numbers in zip(grids, together, strict=True):
        (alone,) = noise.spread([grid], noise.hashes([grid], permutation))
        np.testing.assert_array_equal(numbers, alone)
