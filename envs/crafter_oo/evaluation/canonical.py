"""When two states are the same: NumPy arrays, the objects in order of their ids without holes.

Which slot holds an object is no fact about the world, so that states are compared in this form.
"""

import hashlib
from typing import Any

import jax
import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.state import WorldState

# A `WorldState` of NumPy arrays; its fields are declared as JAX arrays.
HostState = Any


def canonical(state: WorldState) -> HostState:
    """The state as NumPy arrays, its objects in the first slots, in the order of their ids."""
    host: HostState = jax.tree.map(np.asarray, state)
    objects = host.objects
    # Stable, so that the empty slots, which are alike, stay behind.
    order = np.argsort(np.where(objects.kind != 0, objects.id, np.iinfo(np.int32).max), axis=-1)
    return host.replace(
        objects=jax.tree.map(lambda field: np.take_along_axis(field, order, -1), objects)
    )


def conform(state: Any, like: WorldState) -> HostState:
    """A model's state in canonical form, with the dtypes of `like`.

    Raises:
        ValueError: not a `WorldState`, or a field of another shape or with values that its dtype
            cannot hold; names the field.
    """
    if not isinstance(state, WorldState):
        raise ValueError(f"a model's state must be a WorldState, got {type(state).__name__}")

    def convert(path: Any, value: Any, old: Any) -> np.ndarray:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        old = np.asarray(old)
        array = np.asarray(value)
        if array.shape != old.shape:
            raise ValueError(f"a model's {name} is {list(old.shape)}, got {list(array.shape)}")
        with np.errstate(invalid="ignore"):
            new = array.astype(old.dtype)
        if old.dtype.kind != "f" and not np.array_equal(new, array):
            raise ValueError(f"a model's {name} is {old.dtype}, which cannot hold {array.tolist()}")
        if old.dtype.kind == "f" and not np.isfinite(new).all():
            raise ValueError(f"a model's {name} is not finite")
        return new

    return canonical(jax.tree_util.tree_map_with_path(convert, state, like))


def fingerprints(states: HostState) -> list[bytes]:
    """One digest for each of B canonical states, leaves [B, ...]; equal states share it."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(states)]
    # Adding zero makes -0.0 and 0.0 one.
    parts = [
        np.ascontiguousarray(leaf + 0 if leaf.dtype.kind == "f" else leaf).reshape(len(leaf), -1)
        for leaf in leaves
    ]
    rows = np.concatenate([part.view(np.uint8).reshape(len(part), -1) for part in parts], axis=1)
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def fingerprint(state: WorldState) -> bytes:
    """The digest of one state."""
    return fingerprints(jax.tree.map(lambda leaf: np.asarray(leaf)[None], canonical(state)))[0]


def same(first: WorldState, second: WorldState) -> bool:
    """Whether two states are the same world."""
    return fingerprint(first) == fingerprint(second)


def ticked(state: HostState, action: int) -> HostState:
    """The state a step later as far as the clock goes: `time` and the player's last action."""
    return state.replace(
        time=np.int32(state.time + 1),
        player=state.player.replace(action=np.uint8(int(action))),
    )


def check_action(action: int) -> int:
    """The action as a number; `ValueError` if there is none such."""
    number = int(action)
    if not 0 <= number < len(c.ACTIONS):
        raise ValueError(f"action must be in 0..{len(c.ACTIONS) - 1}, got {number}")
    return number
