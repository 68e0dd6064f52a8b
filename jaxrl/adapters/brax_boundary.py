"""What has to be silenced or mended around Brax 0.14.2, and nothing else.

Using Brax prints that the optional package `warp` is missing, warns that JAXopt and Brax's own
environments are no longer actively maintained, and reads fields of MuJoCo's data that have moved.
MuJoCo writes its warnings to stderr and to a file MUJOCO_LOG.TXT in the working folder. Each of
these is dropped by its text; any other output passes.
"""

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.adapters.promotion import relaxed_promotion
from jaxrl.registry import load

_PRINTED = ("Failed to import warp", "Failed to import mujoco_warp")
_WARNED = (
    "JAXopt is no longer maintained",
    "Brax System, pip",
    "Accessing `.*` directly from `Data` is deprecated",
)
_MUJOCO_WARNED = "compiler attribute 'settotalmass' is deprecated"


@contextlib.contextmanager
def boundary() -> Iterator[None]:
    """Runs Brax under relaxed promotion and without the warnings it gives on every use."""
    with relaxed_promotion(), warnings.catch_warnings():
        for message in _WARNED:
            warnings.filterwarnings("ignore", message=message)
        yield


def load_class(target: str) -> Any:
    """Imports the Brax class `target`, "module:Class"."""
    with boundary(), _without_warp_notice():
        constructor = load(target)
        _mend_fluid()
    return constructor


@contextlib.contextmanager
def mujoco_warnings() -> Iterator[None]:
    """Turns MuJoCo's warnings into Python's, but for the one about half_cheetah.xml."""
    import mujoco

    messages: list[str] = []
    previous = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(messages.append)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(previous)
    for message in messages:
        if not message.startswith(_MUJOCO_WARNED):
            warnings.warn(message, RuntimeWarning, stacklevel=4)


@contextlib.contextmanager
def _without_warp_notice() -> Iterator[None]:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines(keepends=True):
            if not line.startswith(_PRINTED):
                sys.stdout.write(line)


class _Numpy:
    """jax.numpy whose `clip` still takes the keywords that JAX has removed."""

    @staticmethod
    def clip(x: Any, a_min: Any = None, a_max: Any = None) -> jax.Array:
        return jnp.clip(x, a_min, a_max)

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


def _mend_fluid() -> None:
    """Lets `brax/swimmer` run: brax/fluid.py calls `jnp.clip(a_min=...)`, gone from JAX."""
    from brax import fluid

    fluid.jp = _Numpy()
