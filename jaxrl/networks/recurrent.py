"""Recurrent layers: memory that runs along time and begins anew where an episode begins.

A layer is a linen module with two methods:

- `initial(batch) -> carry`, leaves [B, ...], what a layer remembers at the start of an episode;
- `layer(carry, x [T, B, F], start bool [T, B]) -> (carry, y [T, B, size])`, a sequence. Where
  `start[t]` is set, step t sees the initial carry and nothing of what came before: exactly, also in
  its gradient. One step is a sequence of length 1, so the two can not disagree.

`GRU` steps along time with `lax.scan`. `LRU` is linear in its state, so that a sequence is an
associative scan of logarithmic depth, and it can remember over thousands of steps.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.networks.initializers import orthogonal

# LRU: moduli and largest phase of the eigenvalues at the start (Orvieto et al. 2023, sec. 3).
MODULI = (0.9, 0.999)
MAX_PHASE = math.pi / 10


def reset_where(ended: jax.Array, initial: Any, carry: Any) -> Any:
    """`carry` with the rows of `initial` where `ended`, bool [B]; leaves [B, ...] each."""

    def select(fresh: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(ended.reshape((-1, *(1,) * (old.ndim - 1))), fresh, old)

    return jax.tree.map(select, initial, carry)


class GRU(nn.Module):
    """A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078).

    r = sigmoid(W_r x + U_r h + b_r), z = sigmoid(W_z x + U_z h + b_z),
    n = tanh(W_n x + b_n + r (U_n h + c_n)), h' = (1 - z) n + z h; the output is h'.

    The products with x, of all steps at once, stand before the scan.

    Attributes:
        size: H, width of state and output.
    """

    size: int

    @nn.nowrap
    def initial(self, batch: int) -> jax.Array:
        """h = 0, float32 [B, H]."""
        return jnp.zeros((batch, self.size), jnp.float32)

    @nn.compact
    def __call__(
        self, carry: jax.Array, x: jax.Array, start: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The carry after the sequence and all outputs, see the module's docstring."""
        size = self.size
        inputs = nn.Dense(3 * size, name="input")(x)
        kernel = self.param("recurrent", _orthogonal_gates, (size, 3 * size), jnp.float32)
        bias = self.param("candidate_bias", nn.initializers.zeros, (size,), jnp.float32)
        fresh = self.initial(x.shape[1])

        def step(h: jax.Array, at_t: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            input_t, start_t = at_t
            h = reset_where(start_t, fresh, h)
            input_gates, input_n = jnp.split(input_t, [2 * size], axis=-1)
            state_gates, state_n = jnp.split(h @ kernel, [2 * size], axis=-1)
            r, z = jnp.split(nn.sigmoid(input_gates + state_gates), 2, axis=-1)
            n = jnp.tanh(input_n + r * (state_n + bias[None]))
            h = (1.0 - z) * n + z * h
            return h, h

        return jax.lax.scan(step, carry, (inputs, start))


def _orthogonal_gates(key: jax.Array, shape: tuple[int, int], dtype: Any) -> jax.Array:
    """An orthogonal matrix for each gate, side by side."""
    size, width = shape
    init = orthogonal()
    keys = jax.random.split(key, width // size)
    return jnp.concatenate([init(k, (size, size), dtype) for k in keys], axis=1)


class LRU(nn.Module):
    """A block with a linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349).

    u = norm(x), s_t = lambda s_{t-1} + gamma B u_t, v = gelu(Re(C s) + D u),
    y = x + (W v + w) sigmoid(V v + b), with a complex diagonal lambda inside the unit disc,
    |lambda| = exp(-exp(nu)), and gamma = sqrt(1 - |lambda|^2), which keeps the state's variance at
    that of its input. Gated output and skip are those of S5 (Smith et al. 2023, arXiv 2208.04933).

    Where an episode starts lambda is 0 in the associative scan, which cuts all products across the
    boundary (in effect Lu et al. 2023, arXiv 2303.03982, eq. 3).

    Deviations: gamma follows lambda instead of being learnt on its own (as in De et al. 2024,
    arXiv 2402.19427). Arithmetic is real, complex numbers are pairs of float32 on an axis of their
    own: TPUs lack fast complex products, and optimisers and checkpoints need know nothing of them.

    Attributes:
        size: H, width of the output and number of complex states.
    """

    size: int

    @nn.nowrap
    def initial(self, batch: int) -> jax.Array:
        """s = 0, float32 [B, 2, H]: real and imaginary part."""
        return jnp.zeros((batch, 2, self.size), jnp.float32)

    @nn.compact
    def __call__(
        self, carry: jax.Array, x: jax.Array, start: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The carry after the sequence and all outputs, see the module's docstring."""
        size = self.size
        if x.shape[-1] != size:
            x = nn.Dense(size, name="encoder")(x)
        nu = self.param("nu", _init_nu, (size,), jnp.float32)
        theta = self.param("theta", _init_theta, (size,), jnp.float32)
        modulus, gamma = jnp.exp(-jnp.exp(nu)), jnp.sqrt(-jnp.expm1(-2.0 * jnp.exp(nu)))
        eigenvalue = jnp.stack([modulus * jnp.cos(theta), modulus * jnp.sin(theta)])

        u = nn.LayerNorm(name="norm")(x)
        normal = nn.initializers.variance_scaling(0.5, "fan_in", "normal")
        b = nn.Dense(2 * size, use_bias=False, kernel_init=normal, name="B")(u)
        b = b.reshape((*b.shape[:-1], 2, size)) * gamma[None, None, None]
        s = linear_recurrence(eigenvalue, b, carry, start)
        c = nn.Dense(size, use_bias=False, name="C")(s.reshape((*s.shape[:-2], 2 * size)))
        d = self.param("D", nn.initializers.normal(1.0), (size,), jnp.float32)
        v = nn.gelu(c + d[None, None] * u)
        gated = nn.Dense(size, name="W")(v) * nn.sigmoid(nn.Dense(size, name="V")(v))
        return s[-1], x + gated


def linear_recurrence(
    eigenvalue: jax.Array, b: jax.Array, carry: jax.Array, start: jax.Array
) -> jax.Array:
    """s_t = lambda s_{t-1} + b_t, s_t = b_t where an episode starts; an associative scan.

    Args:
        eigenvalue: lambda, float32 [2, P], real and imaginary part.
        b: float32 [T, B, 2, P].
        carry: s before the first step, float32 [B, 2, P].
        start: bool [T, B].

    Returns:
        s, float32 [T, B, 2, P].
    """
    a = jnp.where(start[:, :, None, None], jnp.float32(0), eigenvalue[None, None])
    b = b.at[0].add(_product(a[0], carry))
    return jax.lax.associative_scan(_compose, (a, b))[1]


def _product(x: jax.Array, y: jax.Array) -> jax.Array:
    """Complex x y, [..., 2, P]."""
    x_re, x_im, y_re, y_im = x[..., 0, :], x[..., 1, :], y[..., 0, :], y[..., 1, :]
    return jnp.stack([x_re * y_re - x_im * y_im, x_re * y_im + x_im * y_re], axis=-2)


def _compose(
    first: tuple[jax.Array, jax.Array], second: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """The map s -> a s + b of `second` after that of `first`."""
    (a_1, b_1), (a_2, b_2) = first, second
    return _product(a_2, a_1), _product(a_2, b_1) + b_2


def _init_nu(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Eigenvalues uniform on the ring between the `MODULI`."""
    low, high = (modulus**2 for modulus in MODULI)
    squared = jax.random.uniform(key, shape, dtype, low, high)
    return jnp.log(-0.5 * jnp.log(squared))


def _init_theta(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Phases uniform in [0, MAX_PHASE]: small ones remember, large ones oscillate."""
    return jax.random.uniform(key, shape, dtype, 0.0, MAX_PHASE)


class Stack(nn.Module):
    """Layers one after another; the carry is the tuple of theirs.

    Attributes:
        layers: as the module's docstring says.
    """

    layers: Sequence[Any]

    @nn.nowrap
    def initial(self, batch: int) -> tuple[Any, ...]:
        """What every layer begins with."""
        return tuple(layer.initial(batch) for layer in self.layers)

    @nn.compact
    def __call__(
        self, carry: tuple[Any, ...], x: jax.Array, start: jax.Array
    ) -> tuple[tuple[Any, ...], jax.Array]:
        """The carries after the sequence and the outputs of the last layer."""
        carries = []
        for layer, layer_carry in zip(self.layers, carry, strict=True):
            layer_carry, x = layer(layer_carry, x, start)
            carries.append(layer_carry)
        return tuple(carries), x


CELLS: dict[str, Callable[[int], Any]] = {"gru": GRU, "lru": LRU}


def stack(cell: str, size: int, num_layers: int) -> Stack:
    """`num_layers` layers of one of `CELLS`, each of width `size`."""
    return Stack([CELLS[cell](size) for _ in range(num_layers)])
