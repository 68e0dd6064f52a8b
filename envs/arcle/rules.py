"""What the package `arcle` 0.2.6 does that is plainly a bug, to be kept or mended.

Two presets: `reference` does what the package does, `fixed` mends what `QUIRKS` lists and nothing
else.

Where the package raises an exception there is nothing to keep. Both presets then do this:
- FloodFill of a region so large that Python's recursion limit is met: it is filled.
- Rotate to a position beyond int8: the position wraps under `reference`, as it does in a move.
- The 27 operations, whose environment cannot be constructed: it does what its operations would do
  in one whose list ends with Submit.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl.dtypes import strong

UNLIMITED = -1
_MOST_TRIALS = 127  # what the reference can count

# A field of `Quirks` -> what the reference does, and what `fixed` does instead.
QUIRKS = {
    "trials_underflow": (
        "Unlimited trials are counted down from -1 in int8: they pass from -128 to 127 and end the"
        " episode at the 255th submit. Fixed: they stay unlimited."
    ),
    "repeated_reward": (
        "Every submit of the right answer pays 1, also when the episode has ended or no trial is"
        " left. Fixed: a submit counts and pays only in a running episode with a trial left."
    ),
    "forgetful_reset": (
        "With `reset_on_submit` a submit starts the episode anew, before it is rewarded: a right"
        " answer neither pays nor ends the episode (with the 12 raw operations it pays and is"
        " reported as the end, but the state does not say so), a task whose answer is its input"
        " pays for any submit, and used trials come back. Fixed: the right answer pays and ends"
        " the episode; a wrong one resets all but the trials, and the last one ends the episode."
    ),
    "position_wrap": (
        "Positions of objects, and sums of them, are int8: an object moved off at 127 comes back"
        " at -128, and one rotated beyond 63 is thrown elsewhere. Fixed: int32."
    ),
    "colours_off_grid": (
        "Color and Paste also paint canvas cells outside of the grid, where colours persist and"
        " can be lifted or copied into it. Fixed: only cells of the grid are painted, so that all"
        " others are always 0."
    ),
    "copy_bounds": (
        "Copy accepts a selection that reaches one row or column beyond the grid it copies from."
        " Fixed: it does nothing then, as for one that reaches further."
    ),
}


class Quirks(struct.PyTreeNode):
    """Which of `QUIRKS` are kept, bool [] each."""

    trials_underflow: jax.Array
    repeated_reward: jax.Array
    forgetful_reset: jax.Array
    position_wrap: jax.Array
    colours_off_grid: jax.Array
    copy_bounds: jax.Array


class Rules(struct.PyTreeNode):
    """What may differ between episodes that have the same operations.

    Attributes:
        quirks: which of the reference's bugs are kept.
        max_trials: int32 [], submits in an episode, -1 for any number.
        reset_on_submit: bool [], whether a submit makes the grid the input again.
    """

    quirks: Quirks
    max_trials: jax.Array
    reset_on_submit: jax.Array


def reference(max_trials: int = UNLIMITED, reset_on_submit: bool = False) -> Rules:
    """The rules of the package `arcle` 0.2.6, quirks included; arguments as in `preset`."""
    return _rules(True, max_trials, reset_on_submit)


def fixed(max_trials: int = UNLIMITED, reset_on_submit: bool = False) -> Rules:
    """The rules with every quirk of `QUIRKS` mended; arguments as in `preset`."""
    return _rules(False, max_trials, reset_on_submit)


PRESETS: dict[str, Callable[..., Rules]] = {"reference": reference, "fixed": fixed}


def preset(name: str, max_trials: int = UNLIMITED, reset_on_submit: bool = False) -> Rules:
    """The rules of that name.

    Args:
        name: one of `PRESETS`.
        max_trials: submits in an episode, 1 to 127, or -1 for any number.
        reset_on_submit: whether a submit makes the grid the input again.

    Raises:
        ValueError: an unknown name (the message names the presets), or no number of trials.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"unknown rules {name!r}; known are {', '.join(PRESETS)}")
    return PRESETS[name](max_trials, reset_on_submit)


def check_trials(max_trials: Any) -> None:
    """Raises ValueError unless it is -1 or from 1 to 127, in every entry of an array."""
    values = np.asarray(max_trials)
    whole = values.dtype.kind in "iu"
    if not whole or not np.all((values == UNLIMITED) | ((values >= 1) & (values <= _MOST_TRIALS))):
        raise ValueError(f"max_trials is -1 or from 1 to {_MOST_TRIALS}, got {max_trials!r}")


def _rules(quirks: bool, max_trials: int, reset_on_submit: bool) -> Rules:
    check_trials(max_trials)
    each: dict[str, Any] = {name: jnp.bool_(quirks) for name in QUIRKS}
    result: Rules = strong(
        Rules(
            quirks=Quirks(**each),
            max_trials=jnp.int32(max_trials),
            reset_on_submit=jnp.bool_(reset_on_submit),
        )
    )
    return result
