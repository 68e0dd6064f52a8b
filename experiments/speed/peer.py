"""PureJaxRL's own PPO, unchanged, from a clone of its repository, under current JAX and gymnax.

Its `ppo.py` is imported as it is. Three things that it imports are not what they were when it was
written, and are put in place here, doing the same work:

- distrax, which needs a nightly TensorFlow Probability: its Categorical's sample, log_prob and
  entropy;
- navix, which only another of its scripts uses;
- gymnax 1.0, whose `step` separates termination from truncation, as the older five values.
"""

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnax
import jax
import jax.numpy as jnp

CLONE = "git clone https://github.com/luchris429/purejaxrl"


class _Categorical:
    """distrax.Categorical as far as PPO uses it."""

    def __init__(self, logits: jax.Array):
        self.logits = jax.nn.log_softmax(logits)

    def sample(self, seed: jax.Array) -> jax.Array:
        return jax.random.categorical(seed, self.logits)

    def log_prob(self, action: jax.Array) -> jax.Array:
        return jnp.take_along_axis(self.logits, action[..., None], axis=-1)[..., 0]

    def entropy(self) -> jax.Array:
        return -jnp.sum(jnp.exp(self.logits) * self.logits, axis=-1)


class _FiveValues:
    """A gymnax 1.0 environment with gymnax's older step."""

    def __init__(self, env: Any):
        self._env = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def step(self, key: jax.Array, state: Any, action: Any, params: Any = None) -> Any:
        obs, state, reward, terminated, truncated, info = self._env.step(key, state, action, params)
        return obs, state, reward, terminated | truncated, info


def load(clone: Path) -> Callable[[dict[str, Any]], Callable]:
    """PureJaxRL's `make_train` of ppo.py.

    Raises:
        FileNotFoundError: `clone` is not a clone of PureJaxRL.
    """
    folder = clone / "purejaxrl"
    if not (folder / "ppo.py").exists():
        raise FileNotFoundError(f"{clone} is not a clone of PureJaxRL; make one with: {CLONE}")
    distrax = types.ModuleType("distrax")
    distrax.Categorical = _Categorical  # type: ignore[attr-defined]
    sys.modules["distrax"] = distrax
    sys.modules["navix"] = types.ModuleType("navix")
    make = gymnax.make

    def old_make(env_id: str, **overrides: Any) -> Any:
        env, params = make(env_id, **overrides)
        return _FiveValues(env), params

    gymnax.make = old_make
    sys.path.insert(0, str(folder))
    import ppo  # the peer's module

    return ppo.make_train
