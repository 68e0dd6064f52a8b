"""gymnax's own environments under jaxrl's dtype rules.

gymnax 1.0.1 environments are nearly what `jaxrl.environment` asks for. `GymnaxAdapter` mends what
is missing and changes no rule of any environment:

- weakly typed leaves and Python scalars become strongly typed arrays, the same from reset and step;
- observations get the dtype of their space, rewards float32, `terminated` and `is_truncated` bool;
- observation spaces that their own environment leaves are replaced
  (`jaxrl.adapters.gymnax_spaces`, one entry and one reason each);
- the code runs under standard dtype promotion and with rank promotion allowed, because most of it
  fails under the strict settings jaxrl is tested with.

Where an environment terminates on its last allowed step (DeepSea always does), `terminated` and
`is_truncated` both hold; see `jaxrl.environment` for which wins.

Source: https://github.com/RobertTLange/gymnax (1.0.1).
"""

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.adapters.gymnax_spaces import corrected_space
from jaxrl.adapters.promotion import relaxed_promotion
from jaxrl.environment import Environment, strong, strong_like
from jaxrl.registry import load
from jaxrl.spaces import Space, dtypes

_MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


class GymnaxAdapter(Environment):
    """A gymnax environment with fixed strong dtypes and correct spaces.

    States and params are the inner environment's own types; `unwrapped` is the inner environment.
    """

    def __init__(self, env: Environment, name: str | None = None):
        """Wraps `env`; `name` is the id it was made under, its own name if None."""
        self._env = env
        self._name = name or env.name
        self._obs_dtypes = dtypes(self.observation_space(self.default_params))

    @property
    def unwrapped(self) -> Environment:
        """The gymnax environment itself."""
        return self._env

    @property
    def name(self) -> str:
        """The id under which the environment is registered."""
        return self._name

    @property
    def num_actions(self) -> int:
        """Number of actions, or of components of a continuous action."""
        return self._env.num_actions

    @property
    def default_params(self) -> Any:
        """The inner environment's parameters, every leaf a strongly typed array."""
        with relaxed_promotion():
            return strong(self._env.default_params)

    def reset_env(self, key: jax.Array, params: Any) -> tuple[Any, Any]:
        """Starts an episode: the first observation and the state."""
        with relaxed_promotion():
            obs, state = self._env.reset_env(key, params)
            return self._observation(obs), strong(state)

    def step_env(
        self, key: jax.Array, state: Any, action: Any, params: Any
    ) -> tuple[Any, Any, jax.Array, jax.Array, dict[str, Any]]:
        """One transition by the rules: (obs, state, reward f32 [], terminated bool [], info).

        Raises `TypeError` if the environment's state changes to a dtype it cannot be cast from.
        """
        with relaxed_promotion():
            obs, new_state, reward, terminated, info = self._env.step_env(
                key, state, action, params
            )
            return (
                self._observation(obs),
                strong_like(new_state, state),
                jnp.asarray(reward, jnp.float32),
                jnp.asarray(terminated, jnp.bool_),
                _info(info),
            )

    def is_truncated(self, state: Any, params: Any) -> jax.Array:
        """Whether the time limit is reached, bool []; also where the task terminated."""
        with relaxed_promotion():
            return jnp.asarray(self._env.is_truncated(state, params), jnp.bool_)

    def is_terminated(self, state: Any, params: Any) -> jax.Array:
        """Whether the task is over in `state` by gymnax's rules, bool []."""
        with relaxed_promotion():
            return jnp.asarray(self._env.is_terminated(state, params), jnp.bool_)

    def action_space(self, params: Any = None) -> Space:
        """The inner environment's action space."""
        with relaxed_promotion():
            return self._env.action_space(self.default_params if params is None else params)

    def observation_space(self, params: Any) -> Space:
        """The inner environment's observation space, corrected where it is wrong."""
        with relaxed_promotion():
            return corrected_space(self._env, params)

    def state_space(self, params: Any) -> Space:
        """The inner environment's state space, as gymnax states it."""
        with relaxed_promotion():
            return self._env.state_space(params)

    @property
    def supports_transition_gradients(self) -> bool:
        """Whether the inner environment implements differentiable transitions."""
        return self._env.supports_transition_gradients

    @property
    def transition_gradients_enabled(self) -> bool:
        """Whether transitions keep gradients."""
        return self._env.transition_gradients_enabled

    def with_transition_gradients(self) -> "GymnaxAdapter":
        """A copy whose transitions keep gradients; `ValueError` if the environment cannot."""
        configured = copy.copy(self)
        configured._env = self._env.with_transition_gradients()
        return configured

    def _observation(self, obs: Any) -> Any:
        return jax.tree.map(lambda leaf, dtype: jnp.asarray(leaf, dtype), obs, self._obs_dtypes)


def factory(env_id: str, target: str) -> Callable[..., GymnaxAdapter]:
    """Returns the constructor of the gymnax class `target` ("module:Class"), wrapped.

    It takes the class's own keywords. Imports gymnax.
    """
    constructor = load(target)
    needs_data = target.endswith(":MNISTBandit")

    @functools.wraps(constructor)
    def build(**kwargs: Any) -> GymnaxAdapter:
        explained = _explaining_missing_data(env_id) if needs_data else contextlib.nullcontext()
        with relaxed_promotion(), explained:
            return GymnaxAdapter(constructor(**kwargs), env_id)

    return build


@contextlib.contextmanager
def _explaining_missing_data(env_id: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError) as error:
        raise FileNotFoundError(
            f"{env_id} needs the MNIST files {', '.join(_MNIST_FILES)} in /tmp/mnist; gymnax "
            f"downloads them from https://storage.googleapis.com/cvdf-datasets/mnist/ and could "
            f"not: {error}"
        ) from error


def _info(info: dict[str, Any]) -> dict[str, Any]:
    info = strong(info)
    if "discount" in info:  # int32 in SpaceInvaders, float32 in the others
        info["discount"] = info["discount"].astype(jnp.float32)
    return info
