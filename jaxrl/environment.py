"""The environment contract: gymnax 1.0's base class, and the dtype rules jaxrl adds to it.

Every environment that `jaxrl.make` returns is a `gymnax.environments.environment.Environment`:

    reset_env(key, params) -> (obs, state)
    step_env(key, state, action, params) -> (obs, state, reward, terminated, info)
    is_truncated(state, params) -> bool []
    observation_space(params), action_space(params), default_params, name

- The functions are pure and unbatched; callers `jax.vmap` them. `key` is a typed key.
- `step_env` is the rules alone: no auto-reset, no time limit. `obs` belongs to the state it
  returns, also when that state has ended.
- `reward` is float32 [], `terminated` bool []: the task itself ended. The time limit is
  `is_truncated`; where both hold `terminated` wins (`jaxrl.vector.VecEnv` reports
  `truncated & ~terminated`).
- Every leaf of `obs` and `state` has one strong dtype, the same from `reset_env` and `step_env`,
  so a state can be carried by `jax.lax.scan`; the dtypes of `obs` are those of its space.
- `State` and `Params` are `flax.struct` dataclasses. `Params` has `max_steps_in_episode`, and
  every leaf of it may be swept, randomised or mapped over.
- A mask of legal actions is the key "action_mask" of a `Dict` observation, bool [n] for
  `Discrete(n)` and bool [K, max n] for `MultiDiscrete`.

Source of the base class: gymnax 1.0 (Lange 2022), https://github.com/RobertTLange/gymnax.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments.environment import Environment, EnvParams, EnvState

__all__ = ["EnvParams", "EnvState", "Environment", "strong", "strong_like"]

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


def _strong_leaf(leaf: Any) -> jax.Array:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
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
