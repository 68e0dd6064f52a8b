"""Records of the on-policy loop: configuration, hyperparameters, trajectory, sample, state."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.networks import NetworkConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """What decides shapes and structure; changing any of it compiles anew.

    Attributes:
        num_envs: N, environments stepped together.
        num_steps: T, steps of a rollout.
        num_epochs: passes over a rollout.
        num_minibatches: minibatches of a pass; must divide N * T, and N where the network is
            recurrent.
        normalize_observation: standardise float observations by running moments.
        normalize_reward: divide rewards by the running deviation of discounted reward sums.
        reset_chunk: initial states computed at once; 0 chooses.
        env_shards: parts into which the environments are divided, so that up to as many devices
            can share a run. Each draws for itself; gradients, moments and metrics are of all.
        network: shape of the default network.
    """

    num_envs: int = 64
    num_steps: int = 128
    num_epochs: int = 4
    num_minibatches: int = 4
    normalize_observation: bool = False
    normalize_reward: bool = False
    reset_chunk: int = 0
    env_shards: int = 1
    network: NetworkConfig = NetworkConfig()

    @property
    def batch_size(self) -> int:
        """Environment steps of one update, N * T."""
        return self.num_envs * self.num_steps

    @property
    def shard_envs(self) -> int:
        """Environments of a shard."""
        return self.num_envs // self.env_shards

    @property
    def shard_batch(self) -> int:
        """Environment steps of a shard in one update."""
        return self.shard_envs * self.num_steps

    def __post_init__(self):
        """Raises ValueError for sizes that cannot be run."""
        counts = ("num_envs", "num_steps", "num_epochs", "num_minibatches", "env_shards")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"config.{name} must be at least 1, got {getattr(self, name)}")
        if self.batch_size % self.num_minibatches:
            raise ValueError(
                f"a batch of num_envs * num_steps = {self.num_envs} * {self.num_steps} = "
                f"{self.batch_size} does not divide into num_minibatches = {self.num_minibatches}"
            )
        if self.num_envs % self.env_shards:
            raise ValueError(
                f"num_envs = {self.num_envs} does not divide into env_shards = {self.env_shards}"
            )
        if self.shard_batch % self.num_minibatches:
            raise ValueError(
                f"a shard of {self.shard_envs} environments and num_steps = {self.num_steps}"
                f" does not divide into num_minibatches = {self.num_minibatches}"
            )
        if not 0 <= self.reset_chunk <= self.shard_envs:
            raise ValueError(
                f"config.reset_chunk must be in [0, num_envs / env_shards], got {self.reset_chunk}"
            )


class Hyperparameters(struct.PyTreeNode):
    """What can be swept without compiling anew; an argument of `train`.

    Attributes:
        lr: learning rate at the start.
        lr_final: learning rate at `horizon` as a fraction of `lr`, linear in between.
        horizon: number of updates over which `lr` falls; infinite keeps it, but `jaxrl train` then
            takes the number of updates of the run.
        gamma: discount per step, in [0, 1].
        gae_lambda: lambda of generalised advantage estimation, in [0, 1].
        entropy_coef: weight of the entropy bonus.
        value_coef: weight of the value loss.
        value_clip: largest change of a value prediction that is rewarded; infinite is off.
        max_grad_norm: global norm to which gradients are clipped; infinite is off.
        objective: phi, parameters of the objective.
        auxiliary: weights of auxiliary losses by their names, where there are any.
        env: environment parameters.
    """

    lr: float = 2.5e-4
    lr_final: float = 1.0
    horizon: float = math.inf
    gamma: float = 0.99
    gae_lambda: float = 0.95
    entropy_coef: float = 0.0
    value_coef: float = 0.5
    value_clip: float = math.inf
    max_grad_norm: float = 0.5
    objective: Any = ()
    auxiliary: Any = ()
    env: Any = None


class Trajectory(NamedTuple):
    """A rollout, leaves [T, N, ...].

    Attributes:
        obs: o_t, as the environment gave it.
        action: raw action.
        log_prob: its log-probability when drawn.
        value: v(o_t).
        v_tp1: value of what the transition led to: 0 where terminated, the value of the final
            observation where truncated.
        reward: r_t, normalised if so configured.
        ended: terminated or truncated.
        distribution: the policy it was drawn from.
        carry: what the network remembered before o_0, leaves [N, ...]; () without memory.
    """

    obs: Any
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    v_tp1: jax.Array
    reward: jax.Array
    ended: jax.Array
    distribution: Any
    carry: Any = ()


class Sample(NamedTuple):
    """What an objective sees, leaves [B].

    Attributes:
        log_prob: of the action under the policy being trained.
        old_log_prob: under the policy that drew it.
        advantage: A, normalised per minibatch where the algorithm does so.
        kl: KL(old policy || policy) at the observation.
        entropy: of the policy at the observation.
        progress: n / N, updates done over the horizon, 0 for an infinite one; [].
    """

    log_prob: jax.Array
    old_log_prob: jax.Array
    advantage: jax.Array
    kl: jax.Array
    entropy: jax.Array
    progress: jax.Array

    @property
    def log_ratio(self) -> jax.Array:
        """Log r, float32 [B]."""
        return self.log_prob - self.old_log_prob


class Objective(NamedTuple):
    """A policy objective, possibly with a state of its own.

    Attributes:
        loss: (phi, state, sample) -> loss to minimise, float32 [B].
        init: phi -> state.
        update: (phi, state, mean KL of the last epoch) -> state, once an update.
    """

    loss: Callable[[Any, Any, Sample], jax.Array]
    init: Callable[[Any], Any] = lambda phi: ()
    update: Callable[[Any, Any, jax.Array], Any] = lambda phi, state, kl: state


def stateless(loss: Callable[[Any, Sample], jax.Array]) -> Objective:
    """An objective (phi, sample) -> loss [B] as a record."""
    return Objective(lambda phi, state, sample: loss(phi, sample))


class Policy(struct.PyTreeNode):
    """What acting needs.

    Attributes:
        params: network parameters.
        observation: moments of the observations, or () where they are not normalised.
    """

    params: Any
    observation: Any


class State(struct.PyTreeNode):
    """Everything a run is: a checkpoint of it resumes bit for bit.

    With `config.env_shards` = E > 1 what belongs to the environments has a leading axis E and
    N / E environments in each, see `layout`.

    Attributes:
        policy: network parameters and observation moments.
        optimizer: optax state.
        objective: state of the objective.
        reward: (moments, running sums [N]) of discounted rewards, or ().
        env: state of the environments.
        obs: what to act on next, [N, ...].
        carry: what a recurrent network remembers of the running episodes, leaves [N, ...].
        key: of the next update.
        update: int32 [], updates done. Environment steps are counted outside, in Python
            integers: they pass 2^31.
    """

    policy: Policy
    optimizer: Any
    objective: Any
    reward: Any
    env: Any
    obs: Any
    carry: Any
    key: jax.Array
    update: jax.Array


def layout(config: Config, shared: Any, divided: Any) -> State:
    """A prefix of `State`: what env shards share, and what each has of its own."""
    return State(
        policy=shared,
        optimizer=shared,
        objective=shared,
        reward=(shared, divided) if config.normalize_reward else (),
        env=divided,
        obs=divided,
        carry=divided,
        key=shared,
        update=shared,
    )


def progress(update: jax.Array, horizon: jax.Array | float) -> jax.Array:
    """N / N in [0, 1]; 0 for an infinite horizon."""
    return jnp.clip(update.astype(jnp.float32) / horizon, 0.0, 1.0)


def validate(config: Config, hp: Hyperparameters) -> None:
    """Raises ValueError, in one line, for hyperparameters outside their range."""
    del config  # checked when it was made
    unit = ("gamma", "gae_lambda", "lr_final")
    nonnegative = ("lr", "entropy_coef", "value_coef")
    positive = ("horizon", "value_clip", "max_grad_norm")
    for name in (*unit, *nonnegative, *positive):
        value = float(getattr(hp, name))
        low_ok = value > 0 if name in positive else value >= 0
        high_ok = value <= 1 if name in unit else True
        if not (low_ok and high_ok):
            wanted = "in [0, 1]" if name in unit else "positive" if name in positive else ">= 0"
            raise ValueError(f"hp.{name} must be {wanted}, got {value}")
        if math.isinf(value) and name in nonnegative:
            raise ValueError(f"hp.{name} must be finite, got {value}")
