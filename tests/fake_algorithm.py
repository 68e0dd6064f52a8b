"""An algorithm in miniature for tests of what surrounds algorithms: it compiles in no time.

Linear regression by stochastic gradient descent with momentum. It has all that a real one has that
could be forgotten by a checkpoint (a typed key, an optimiser state, running statistics), reports
episodes in some updates only, and can be made to diverge in a given update and seed.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl import registry
from jaxrl.algorithm import Algorithm, AlgorithmSpec, Preset

NAME = "fake-regression"
TRUE_WEIGHTS = (1.0, -2.0, 0.5)


@dataclasses.dataclass(frozen=True)
class Config:
    """What decides shapes.

    Attributes:
        batch: samples of an update.
        widths: of nothing.
    """

    batch: int = 4
    widths: tuple[int, ...] = (2, 3)


@struct.dataclass
class Objective:
    """Weight of the squared error."""

    weight: float = 1.0


@struct.dataclass
class Hyperparameters:
    """Hyperparameters.

    Attributes:
        lr: step size.
        nan_update: update whose loss is NaN.
        nan_seed: the only seed that diverges; all of them if negative.
        inf_weights: update after which the weights are infinite but no metric shows it.
        horizon: unused.
    """

    lr: float = 0.1
    nan_update: float = -1.0
    nan_seed: float = -1.0
    inf_weights: float = -1.0
    horizon: float = math.inf
    objective: Objective = Objective()
    env: Any = None


@struct.dataclass
class Policy:
    """Weights [3] and the running mean of inputs [3]."""

    weights: jax.Array
    mean: jax.Array


@struct.dataclass
class State:
    """All that a run is."""

    policy: Policy
    optimizer: jax.Array
    key: jax.Array
    update: jax.Array
    seed: jax.Array


def make(env: Any, env_params: Any, config: Config, network: Any = None) -> Algorithm:
    """The algorithm; the environment is not looked at."""

    def init(key: jax.Array, hp: Hyperparameters) -> State:
        seed = jax.random.key_data(key)[-1].astype(jnp.int32)
        key_weights, key = jax.random.split(key)
        policy = Policy(jax.random.normal(key_weights, (3,)), jnp.zeros(3))
        return State(policy, jnp.zeros(3), key, jnp.int32(0), seed)

    def loss_of(weights: jax.Array, x: jax.Array, hp: Hyperparameters) -> jax.Array:
        error = x @ weights - x @ jnp.array(TRUE_WEIGHTS)
        return hp.objective.weight * jnp.mean(jnp.square(error))

    def step(state: State, hp: Hyperparameters) -> tuple[State, dict[str, jax.Array]]:
        key_batch, key = jax.random.split(state.key)
        x = jax.random.normal(key_batch, (config.batch, 3))
        loss, grad = jax.value_and_grad(loss_of)(state.policy.weights, x, hp)
        momentum = 0.9 * state.optimizer + grad
        weights = state.policy.weights - hp.lr * momentum
        mean = 0.99 * state.policy.mean + 0.01 * jnp.mean(x, axis=0)
        update = state.update + 1
        now = update.astype(jnp.float32)
        sick = (hp.nan_seed < 0) | (hp.nan_seed == state.seed.astype(jnp.float32))
        loss = jnp.where(sick & (now == hp.nan_update), jnp.nan, loss)
        weights = jnp.where(sick & (now == hp.inf_weights), jnp.inf, weights)
        episodes = update % 3
        metrics = {
            "loss": loss,
            "episodes": episodes,
            "episode_return": jnp.where(episodes > 0, -loss, jnp.nan),
            "episode_length": jnp.where(episodes > 0, 7.0, jnp.nan),
        }
        return State(Policy(weights, mean), momentum, key, update, state.seed), metrics

    def act(policy: Policy, obs: jax.Array, carry: Any, key: jax.Array | None) -> Any:
        return obs @ policy.weights, carry

    return Algorithm(init, step, act)


def validate(config: Config, hp: Hyperparameters) -> None:
    """Raises ValueError for a negative step size."""
    if not hp.lr >= 0:
        raise ValueError(f"hp.lr must be >= 0, got {hp.lr}")


SPEC = AlgorithmSpec(
    name=NAME,
    summary="Linear regression",
    config=Config,
    hyperparameters=Hyperparameters,
    make=make,
    validate=validate,
    steps_per_update=lambda config: config.batch,
    preset=lambda env_id: Preset(Config(), Hyperparameters(), 80),
)


def register() -> None:
    """Makes the algorithm known by its name, once."""
    if NAME not in registry.algorithms():
        registry.register_algorithm(NAME, SPEC)
