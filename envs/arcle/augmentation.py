"""Augmentation of whole tasks on device, with its exact inverse.

An augmentation flips or rotates every grid of a task, renames the colours and changes the order of
the demonstrations; the same for all pairs, so that the task's rule goes along. `augment` draws one,
`invert` takes an answer to the augmented task back to the task's own frame.

Every function here is about one task or one grid on its canvas; callers vmap.

Source: the invertible transformations of tasks in Akyürek et al. (2024), "The Surprising
Effectiveness of Test-Time Training for Few-Shot Learning", arXiv 2411.07279.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.envs.arcle.geometry import (
    TRANSFORMS,
    compose_transforms,
    inverse_transform,
    transform,
)
from jaxrl.envs.arcle.tasks import NUM_COLORS, Pairs, Tasks
from jaxrl.grids import inside

ColorDraw = Callable[[jax.Array], jax.Array]  # key -> int8 [10]


class Augmentation(struct.PyTreeNode):
    """What is done to a task.

    Attributes:
        transform: int8 [], index into `TRANSFORMS`.
        colors: int8 [10], the new colour of each colour; a permutation.
        order: int8 [D], the former place of each demonstration; a permutation that leaves the
            places without demonstrations, behind the others, where they are.
    """

    transform: jax.Array
    colors: jax.Array
    order: jax.Array


def identity(num_demos: int) -> Augmentation:
    """The augmentation that changes nothing of a task with room for `num_demos`."""
    return Augmentation(
        jnp.int8(0), jnp.arange(NUM_COLORS, dtype=jnp.int8), jnp.arange(num_demos, dtype=jnp.int8)
    )


def all_but_black(key: jax.Array) -> jax.Array:
    """Colours 1 to 9 permuted and 0 kept, each such permutation equally likely: int8 [10]."""
    others = jax.random.permutation(key, jnp.arange(1, NUM_COLORS, dtype=jnp.int8))
    return jnp.concatenate([jnp.zeros(1, jnp.int8), others])


def all_colors(key: jax.Array) -> jax.Array:
    """All ten colours permuted, each permutation equally likely: int8 [10]."""
    return jax.random.permutation(key, jnp.arange(NUM_COLORS, dtype=jnp.int8))


def draw(
    key: jax.Array, count: jax.Array, num_demos: int, colors: ColorDraw = all_but_black
) -> Augmentation:
    """An augmentation of a task, each equally likely.

    Args:
        key: consumed.
        count: integer [], the task's demonstrations.
        num_demos: D, the room for demonstrations.
        colors: how colours are drawn: `all_but_black`, `all_colors`, or another function of a key.
    """
    key_transform, key_colors, key_order = jax.random.split(key, 3)
    index = jax.random.randint(key_transform, (), 0, len(TRANSFORMS), jnp.int8)
    places = jnp.arange(num_demos, dtype=jnp.int32)
    # Sorted by a random number; places without a demonstration come last, by their number.
    rank = jax.random.uniform(key_order, (num_demos,))
    rank = jnp.where(places < count.astype(jnp.int32), rank, 1 + places.astype(jnp.float32))
    return Augmentation(index, colors(key_colors), jnp.argsort(rank).astype(jnp.int8))


def augment(
    key: jax.Array, task: Tasks, colors: ColorDraw = all_but_black
) -> tuple[Tasks, Augmentation]:
    """A task, augmented, and what was done to it.

    Args:
        key: consumed.
        task: one task, without a leading axis, on a square canvas.
        colors: as in `draw`.
    """
    num_demos = task.demos.input.shape[0]
    augmentation = draw(key, task.demos.count, num_demos, colors)
    return apply_to_task(augmentation, task), augmentation


def apply_to_task(augmentation: Augmentation, task: Tasks) -> Tasks:
    """One task with every grid transformed and recoloured, the demonstrations in the new order."""
    order = augmentation.order.astype(jnp.int32)
    demos: Pairs = jax.tree.map(
        lambda leaf: leaf[order] if leaf.ndim else leaf, _apply_to_pairs(augmentation, task.demos)
    )
    return Tasks(demos, _apply_to_pairs(augmentation, task.tests))


def apply(
    augmentation: Augmentation, grid: jax.Array, dim: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A grid, transformed and recoloured.

    Args:
        augmentation: what to do; the order of demonstrations is of no account.
        grid: int8 [N, N], zero beyond `dim`.
        dim: int8 [2], rows and columns, 0 to N.

    Returns:
        The grid on its canvas, and its rows and columns, swapped if the transform transposes.
    """
    grid, dim = transform(augmentation.transform, grid, dim)
    return recolor(augmentation.colors, grid, dim), dim


def invert(
    augmentation: Augmentation, grid: jax.Array, dim: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Takes a grid of the augmented task, such as an answer, back; arguments as in `apply`."""
    return apply(inverse(augmentation), grid, dim)


def inverse(augmentation: Augmentation) -> Augmentation:
    """The augmentation that undoes this one."""
    return Augmentation(
        transform=inverse_transform(augmentation.transform),
        colors=jnp.argsort(augmentation.colors).astype(jnp.int8),
        order=jnp.argsort(augmentation.order).astype(jnp.int8),
    )


def compose(second: Augmentation, first: Augmentation) -> Augmentation:
    """The augmentation that does `first` and then `second`."""
    return Augmentation(
        transform=compose_transforms(second.transform, first.transform),
        colors=second.colors[first.colors.astype(jnp.int32)],
        order=first.order[second.order.astype(jnp.int32)],
    )


def recolor(colors: jax.Array, grid: jax.Array, dim: jax.Array) -> jax.Array:
    """A grid, int8 [H, W], with its colours renamed by `colors`, int8 [10]; zero beyond `dim`."""
    # A sum over the colours and not a look-up: this is a few passes over small integers.
    new = jnp.zeros_like(grid)
    for color in range(NUM_COLORS):
        new += jnp.where(grid == color, colors[color], jnp.int8(0))
    return jnp.where(inside(dim, *grid.shape), new, jnp.int8(0))


def _apply_to_pairs(augmentation: Augmentation, pairs: Pairs) -> Pairs:
    each = jax.vmap(apply, in_axes=(None, 0, 0))
    result: Pairs = Pairs(
        *each(augmentation, pairs.input, pairs.input_dim),
        *each(augmentation, pairs.output, pairs.output_dim),
        pairs.count,
    )
    return result
