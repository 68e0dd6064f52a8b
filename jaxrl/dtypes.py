"""Strong dtypes: what keeps a program's types the same from one call to the next.

JAX types Python numbers, and what is computed from them alone, weakly. A weak leaf becomes strong
in a checkpoint or a scan's carry, and the program then no longer fits or compiles anew.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_PYTHON_DTYPES = {bool: np.bool_, int: np.int32, float: np.float32}


def strong(tree: Any) -> Any:
    """Returns `tree` with every leaf a strongly typed array.

    Python scalars become bool, int32 or float32 arrays of shape []; arrays and typed keys keep
    shape and dtype.
    """
    return jax.tree.map(_strong_leaf, tree)


def strong_like(tree: Any, template: Any) -> Any:
    """Returns `tree` with every leaf of the dtype that the same leaf of `template` has.

    Raises `TypeError` where that would lose information (float to int, anything to bool), and
    `ValueError` where the two trees differ in structure.
    """
    return jax.tree.map(_leaf_like, tree, template)


def is_key(leaf: Any) -> bool:
    """Whether a leaf, concrete or abstract, is an array of typed PRNG keys."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _strong_leaf(leaf: Any) -> jax.Array:
    if is_key(leaf):
        return leaf
    dtype = _PYTHON_DTYPES.get(type(leaf))
    array = jnp.asarray(leaf, dtype=dtype)
    return jax.lax.convert_element_type(array, array.dtype)


def _leaf_like(leaf: Any, template: jax.Array) -> jax.Array:
    array = _strong_leaf(leaf)
    if array.dtype == template.dtype:
        return array
    if not np.can_cast(array.dtype, template.dtype, "same_kind"):
        raise TypeError(
            f"a leaf of dtype {array.dtype} cannot become {template.dtype} without loss"
        )
    return array.astype(template.dtype)
