"""The actor-critic networks: torso(s), memory if wanted, a policy head and a value head."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.networks.heads import check_multi_discrete
from jaxrl.networks.recurrent import CELLS, Stack, stack
from jaxrl.networks.torsos import ACTIVATIONS, SpaceEncoder, dense


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Shape of the default network.

    Attributes:
        hidden: widths of the dense layers.
        channels: output channels of the 3x3 convolutions over image observations [H, W, C];
            empty flattens images into the dense layers.
        strides: stride of each convolution; 1 everywhere if empty.
        activation: tanh, relu, silu or gelu.
        shared_torso: one torso for policy and value instead of two.
        continuous: distribution of continuous actions, tanh-normal or clipped-normal.
        multi_discrete: distribution of several discrete choices, independent or conditional: the
            others given the first.
        initial_log_std: log standard deviation at the start, in units in which the action
            bounds are [-1, 1].
        recurrent: memory between torso and heads, gru or lru; none if empty. Policy and value then
            share torso and memory, whatever `shared_torso` is.
        recurrent_size: width of each recurrent layer.
        recurrent_layers: number of recurrent layers.
    """

    hidden: tuple[int, ...] = (64, 64)
    channels: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    activation: str = "tanh"
    shared_torso: bool = False
    continuous: str = "tanh-normal"
    multi_discrete: str = "independent"
    initial_log_std: float = 0.0
    recurrent: str = ""
    recurrent_size: int = 64
    recurrent_layers: int = 1

    def __post_init__(self):
        """Raises ValueError for a shape that cannot be built."""
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"network.hidden needs positive widths, got {self.hidden}")
        if any(c < 1 for c in self.channels):
            raise ValueError(f"network.channels must be positive, got {self.channels}")
        if self.strides and len(self.strides) != len(self.channels):
            raise ValueError("network.strides needs one entry for each of network.channels")
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"unknown network.activation {self.activation!r}; one of {known}")
        if self.recurrent and self.recurrent not in CELLS:
            known = ", ".join(CELLS)
            raise ValueError(f"unknown network.recurrent {self.recurrent!r}; one of {known}")
        check_multi_discrete(self.multi_discrete)
        for name in ("recurrent_size", "recurrent_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"network.{name} must be at least 1, got {getattr(self, name)}")

    def torso(self) -> SpaceEncoder:
        """The torso of this shape."""
        return SpaceEncoder(self.hidden, self.channels, self.strides, ACTIVATIONS[self.activation])

    def memory(self) -> Stack:
        """The recurrent layers of this shape; `recurrent` must not be empty."""
        return stack(self.recurrent, self.recurrent_size, self.recurrent_layers)


class ActorCritic(nn.Module):
    """Torsos with heads: features(obs) -> policy outputs, free parameters, value.

    Attributes:
        actor: torso of the policy, [B, ...] -> [B, F].
        critic: torso of the value; None shares the policy's.
        num_outputs: width of the policy head.
        num_free: number of free parameters (log standard deviations).
        initial_free: their initial value.
    """

    actor: nn.Module
    critic: nn.Module | None
    num_outputs: int
    num_free: int = 0
    initial_free: float = 0.0

    @nn.compact
    def __call__(self, obs: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Policy outputs [B, num_outputs], free parameters [num_free] and values [B]."""
        features = self.actor(obs)
        outputs = dense(self.num_outputs, 0.01, name="policy")(features)
        value_features = features if self.critic is None else self.critic(obs)
        value = dense(1, 1.0, name="value")(value_features)
        free = self.param(
            "free", nn.initializers.constant(self.initial_free), (self.num_free,), jnp.float32
        )
        return outputs, free, value[..., 0]


class RecurrentActorCritic(nn.Module):
    """A torso, memory behind it, and heads for policy and value behind the memory.

    Attributes:
        torso: [B, ...] -> [B, F].
        memory: recurrent layers, see `jaxrl.networks.recurrent`.
        num_outputs: width of the policy head.
        num_free: number of free parameters (log standard deviations).
        initial_free: their initial value.
    """

    torso: nn.Module
    memory: Stack
    num_outputs: int
    num_free: int = 0
    initial_free: float = 0.0

    @nn.compact
    def __call__(
        self, obs: Any, carry: Any, start: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array, Any]:
        """A sequence of T steps.

        Args:
            obs: features of the observations, time and batch merged, [T * B, ...].
            carry: of the memory, leaves [B, ...].
            start: bool [T, B], where an episode starts.

        Returns:
            Policy outputs [T * B, num_outputs], free parameters [num_free], values [T * B] and
            the carry after the last step.
        """
        features = self.torso(obs)
        features = features.reshape((*start.shape, -1))
        carry, features = self.memory(carry, features, start)
        features = features.reshape((-1, features.shape[-1]))
        outputs = dense(self.num_outputs, 0.01, name="policy")(features)
        value = dense(1, 1.0, name="value")(features)
        free = self.param(
            "free", nn.initializers.constant(self.initial_free), (self.num_free,), jnp.float32
        )
        return outputs, free, value[..., 0], carry
