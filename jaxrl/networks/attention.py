"""Pre-norm attention blocks without dropout (Vaswani et al. 2017; Xiong et al. 2020)."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp


class Attention(nn.Module):
    """Multi-head attention of queries to a context.

    Attributes:
        heads: number of heads; divides the width D.
    """

    heads: int

    @nn.compact
    def __call__(
        self, x: jax.Array, context: jax.Array, mask: jax.Array, bias: jax.Array | None = None
    ) -> jax.Array:
        """What the queries read.

        Args:
            x: queries, float32 [B, Q, D].
            context: float32 [B, L, D].
            mask: tokens of the context that may be read, bool [B, L], at least one.
            bias: added to the logits of the attention, float32 [B, heads, Q, L].

        Returns:
            float32 [B, Q, D].

        Raises:
            ValueError: the heads do not divide the width.
        """
        width = x.shape[-1]
        if width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {width}")
        size = width // self.heads
        query = nn.Dense(width, use_bias=False, name="query")(x) * (1.0 / math.sqrt(size))
        keys = nn.Dense(2 * width, use_bias=False, name="key_value")(context)
        query = query.reshape((*x.shape[:-1], self.heads, size))
        keys = keys.reshape((*context.shape[:-1], 2, self.heads, size))
        key, value = keys[..., 0, :, :], keys[..., 1, :, :]
        logits = jnp.einsum("bqhd,bkhd->bhqk", query, key)
        if bias is not None:
            logits = logits + bias
        logits = jnp.where(mask[:, None, None, :], logits, jnp.finfo(jnp.float32).min)
        read = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits), value)
        return nn.Dense(width, name="output")(read.reshape(x.shape))


class Block(nn.Module):
    """x + attention(norm(x), norm(context)), then x + mlp(norm(x)).

    Attributes:
        heads: heads of the attention.
        widening: width of the MLP's hidden layer in units of D.
    """

    heads: int
    widening: int

    @nn.compact
    def __call__(
        self, x: jax.Array, context: jax.Array, mask: jax.Array, bias: jax.Array | None = None
    ) -> jax.Array:
        """Tokens float32 [B, Q, D] after the block; arguments as of `Attention`."""
        # Queries that are part of the context are normalised as the context is.
        norm = nn.LayerNorm(name="norm")
        x = x + Attention(self.heads, name="attention")(norm(x), norm(context), mask, bias)
        hidden = nn.Dense(self.widening * x.shape[-1], name="hidden")(nn.LayerNorm()(x))
        return x + nn.Dense(x.shape[-1], name="back")(nn.gelu(hidden))
