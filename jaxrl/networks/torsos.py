"""Torsos: observation [B, ...] -> features [B, F]."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.networks.initializers import orthogonal

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": nn.tanh,
    "relu": nn.relu,
    "silu": nn.silu,
    "gelu": nn.gelu,
}


def dense(features: int, scale: float = math.sqrt(2), name: str | None = None) -> nn.Dense:
    """A Dense layer with orthogonal weights of the given gain and zero bias."""
    return nn.Dense(features, kernel_init=orthogonal(scale), name=name)


class MLP(nn.Module):
    """Dense layers: [B, D] -> [B, hidden[-1]].

    Attributes:
        hidden: widths.
        activation: applied after every layer.
    """

    hidden: Sequence[int] = (64, 64)
    activation: Callable[[jax.Array], jax.Array] = nn.tanh

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Features float32 [B, hidden[-1]] of vectors float32 [B, D]."""
        for width in self.hidden:
            x = self.activation(dense(width)(x))
        return x


class CNN(nn.Module):
    """3x3 convolutions with stride 1, then dense layers: [B, H, W, C] -> [B, hidden[-1]].

    Suits MinAtar's 10x10 boards. Larger images want strides: `strides` has one an entry of
    `channels`.

    Attributes:
        channels: output channels of each convolution.
        strides: stride of each convolution; 1 everywhere if empty.
        hidden: widths of the dense layers after flattening.
        activation: applied after every layer.
    """

    channels: Sequence[int] = (16,)
    strides: Sequence[int] = ()
    hidden: Sequence[int] = (64,)
    activation: Callable[[jax.Array], jax.Array] = nn.relu

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Features float32 [B, hidden[-1]] of images float32 [B, H, W, C]."""
        strides = self.strides or (1,) * len(self.channels)
        for channels, stride in zip(self.channels, strides, strict=True):
            init = orthogonal(math.sqrt(2))
            x = nn.Conv(channels, (3, 3), (stride, stride), padding="VALID", kernel_init=init)(x)
            x = self.activation(x)
        x = x.reshape((x.shape[0], -1))
        return MLP(self.hidden, self.activation)(x)


class SpaceEncoder(nn.Module):
    """Encodes any observation pytree: images by a CNN, the rest by an MLP, side by side.

    Integer leaves that came from a Discrete space arrive one-hot encoded (see `net.featurize`),
    so every leaf is float32 here. Without an image leaf the network is the plain MLP of the
    concatenated vectors; with images and vectors both, a last dense layer mixes them.

    Attributes:
        hidden: widths of the dense layers.
        channels: output channels of the convolutions; empty flattens images instead.
        strides: strides of the convolutions; 1 everywhere if empty.
        activation: applied after every layer.
    """

    hidden: Sequence[int] = (64, 64)
    channels: Sequence[int] = ()
    strides: Sequence[int] = ()
    activation: Callable[[jax.Array], jax.Array] = nn.tanh

    @nn.compact
    def __call__(self, obs: Any) -> jax.Array:
        """Features float32 [B, hidden[-1]] of a pytree of float32 [B, ...]."""
        leaves = jax.tree.leaves(obs)
        images = [x for x in leaves if x.ndim == 4 and self.channels]
        vectors = [x.reshape((x.shape[0], -1)) for x in leaves if not (x.ndim == 4 and images)]
        features = [
            CNN(self.channels, self.strides, self.hidden, self.activation)(x) for x in images
        ]
        if vectors:
            flat = jnp.concatenate(vectors, axis=-1) if len(vectors) > 1 else vectors[0]
            features.append(MLP(self.hidden, self.activation)(flat))
        if len(features) == 1:
            return features[0]
        mixed = dense(self.hidden[-1])(jnp.concatenate(features, axis=-1))
        return self.activation(mixed)
