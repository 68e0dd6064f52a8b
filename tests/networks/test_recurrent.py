"""Recurrent layers against NumPy loops, step by step, and cut exactly where episodes begin."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks import GRU, LRU, NetworkConfig, make_net, reset_where
from jaxrl.networks.recurrent import linear_recurrence, stack
from jaxrl.spaces import Box, Dict, Discrete

B, F, H = 3, 4, 5
LAYERS = {"gru": GRU(H), "lru": LRU(H), "two": stack("lru", H, 2)}


def _sequence(layer, length, seed=0):
    """Parameters, a carry that is not the initial one, inputs, starts."""
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.normal(size=(length, B, F)), jnp.float32)
    start = jnp.asarray(rng.random((length, B)) < 0.2)
    fresh = layer.initial(B)
    params = jax.jit(layer.init)(jax.random.key(seed), fresh, x[:1], start[:1])
    # Biases begin as zeros, where a mistake could hide.
    params = jax.tree.map(lambda p: p + jnp.asarray(rng.normal(0, 0.1, p.shape), p.dtype), params)
    carry = jax.tree.map(lambda c: jnp.asarray(rng.normal(size=c.shape), c.dtype), fresh)
    return params, carry, x, start


def _double(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _numpy_gru(p, h, x, start):
    """Gate by gate, in double precision."""
    w_r, w_z, w_n = np.split(p["input"]["kernel"], 3, axis=1)
    b_r, b_z, b_n = np.split(p["input"]["bias"], 3)
    u_r, u_z, u_n = np.split(p["recurrent"], 3, axis=1)
    outputs = []
    for x_t, start_t in zip(x, start, strict=True):
        h = np.where(start_t[:, None], 0.0, h)
        r = _sigmoid(x_t @ w_r + b_r + h @ u_r)
        z = _sigmoid(x_t @ w_z + b_z + h @ u_z)
        n = np.tanh(x_t @ w_n + b_n + r * (h @ u_n + p["candidate_bias"]))
        h = (1 - z) * n + z * h
        outputs.append(h)
    return h, np.stack(outputs)


def _numpy_lru(p, state, x, start):
    """With complex numbers, in double precision."""
    x = x @ p["encoder"]["kernel"] + p["encoder"]["bias"]
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    u = (x - mean) / np.sqrt(var + 1e-6) * p["norm"]["scale"] + p["norm"]["bias"]
    eigenvalue = np.exp(-np.exp(p["nu"]) + 1j * p["theta"])
    b = p["B"]["kernel"][:, :H] + 1j * p["B"]["kernel"][:, H:]
    c = p["C"]["kernel"][:H] - 1j * p["C"]["kernel"][H:]  # Re(C s) = Re C Re s - Im C Im s
    s = state[:, 0] + 1j * state[:, 1]
    outputs = []
    for x_t, u_t, start_t in zip(x, u, start, strict=True):
        s = np.where(start_t[:, None], 0.0, s)
        s = eigenvalue * s + np.sqrt(1 - np.abs(eigenvalue) ** 2) * (u_t @ b)
        v = (s @ c).real + p["D"] * u_t
        v = v / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3)))
        gate = _sigmoid(v @ p["V"]["kernel"] + p["V"]["bias"])
        outputs.append(x_t + (v @ p["W"]["kernel"] + p["W"]["bias"]) * gate)
    return np.stack([s.real, s.imag], axis=1), np.stack(outputs)


@pytest.mark.parametrize(("name", "reference"), [("gru", _numpy_gru), ("lru", _numpy_lru)])
def test_a_sequence_of_several_episodes_against_numpy(name, reference):
    layer = LAYERS[name]
    params, carry, x, start = _sequence(layer, 40)
    assert start.sum() > 3 and not start[0].all()
    ours = jax.jit(layer.apply)(params, carry, x, start)
    inputs = (*_double((params["params"], carry, x)), np.asarray(start))
    for mine, expected in zip(ours, reference(*inputs), strict=True):
        assert mine.dtype == jnp.float32
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_long_sequence_equals_its_steps(name):
    """600 steps at once and one by one, each carry put back by hand where an episode starts."""
    layer = LAYERS[name]
    params, carry, x, start = _sequence(layer, 600)
    start = start & (jnp.arange(600) % 97 == 5)[:, None]  # episodes of hundreds of steps
    nowhere = jnp.zeros((1, B), jnp.bool_)

    def step(carry, at_t):
        x_t, start_t = at_t
        carry = reset_where(start_t, layer.initial(B), carry)
        carry, y = layer.apply(params, carry, x_t[None], nowhere)
        return carry, y[0]

    by_step = jax.jit(lambda: jax.lax.scan(step, carry, (x, start)))()
    at_once = jax.jit(layer.apply)(params, carry, x, start)
    pairs = zip(jax.tree.leaves(by_step), jax.tree.leaves(at_once), strict=True)
    for one_by_one, together in pairs:
        np.testing.assert_allclose(one_by_one, together, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_nothing_crosses_the_start_of_an_episode(name):
    """The Jacobian is exactly zero for what came before, and for the carry; elsewhere it is not."""
    layer = LAYERS[name]
    params, carry, x, _ = _sequence(layer, 6)
    start = jnp.zeros((6, B), jnp.bool_).at[2].set(True).at[5, 0].set(True)

    def outputs(carry, x):
        return layer.apply(params, carry, x, start)[1]

    by_carry, by_x = jax.jit(jax.jacobian(outputs, argnums=(0, 1)))(carry, x)
    flows = np.abs(np.asarray(by_x)).max(axis=(2, 5))  # [t, row, s, row]
    for row in range(B):
        first = [0, 0, 2, 2, 2, 5 if row == 0 else 2]
        expected = np.array([[first[t] <= s <= t for s in range(6)] for t in range(6)])
        np.testing.assert_array_equal(flows[:, row, :, row] > 0, expected)
        others = [other for other in range(B) if other != row]
        assert (flows[:, row][:, :, others] == 0).all()
    for leaf in jax.tree.leaves(by_carry):
        reaches = np.abs(np.asarray(leaf)).reshape((6, -1)).max(axis=1) > 0
        np.testing.assert_array_equal(reaches, [True, True, False, False, False, False])


def test_outputs_after_a_start_are_those_of_a_fresh_episode_bit_for_bit():
    for layer in LAYERS.values():
        params, carry, x, _ = _sequence(layer, 7)
        run = jax.jit(layer.apply)
        start = jnp.zeros((7, B), jnp.bool_).at[3].set(True)
        mixed = run(params, carry, x, start)[1]
        other = jax.tree.map(lambda c: 7.0 * c + 1.0, carry)
        changed = run(params, other, x.at[:3].add(100.0), start)[1]
        np.testing.assert_array_equal(mixed[3:], changed[3:])
        assert not np.allclose(mixed[:3], changed[:3], atol=0.1)


def test_the_linear_recurrence_remembers_as_its_powers_say():
    """An impulse at step 0: s_t = lambda^t, also after 2000 steps; after a start it is gone."""
    modulus, phase = np.array([0.9, 0.99, 0.999]), np.array([0.3, 0.1, 0.01])
    eigenvalue = jnp.asarray([modulus * np.cos(phase), modulus * np.sin(phase)], jnp.float32)
    b = jnp.zeros((2001, 2, 2, 3)).at[0, :, 0].set(1.0)
    start = jnp.zeros((2001, 2), jnp.bool_).at[1500, 1].set(True)
    s = jax.jit(linear_recurrence)(eigenvalue, b, jnp.zeros((2, 2, 3)), start)
    exact = (modulus * np.exp(1j * phase)) ** np.arange(2001)[:, None]
    np.testing.assert_allclose(s[:, 0, 0], exact.real, atol=2e-4)
    np.testing.assert_allclose(s[:, 0, 1], exact.imag, atol=2e-4)
    assert 0.1 < np.abs(exact[2000, 2]) < 0.2
    np.testing.assert_array_equal(s[1500:, 1], np.zeros((501, 2, 3)))
    np.testing.assert_array_equal(s[:1500, 1], s[:1500, 0])


def test_eigenvalues_begin_on_the_ring():
    layer = LRU(400)
    inputs = (layer.initial(1), jnp.zeros((1, 1, 400)), jnp.zeros((1, 1), jnp.bool_))
    params = jax.jit(layer.init)(jax.random.key(0), *inputs)["params"]
    modulus = np.exp(-np.exp(_double(params["nu"])))
    assert modulus.min() >= 0.9 - 1e-6 and modulus.max() <= 0.999 + 1e-6
    # Uniform in area: half of the mass within the mean of the squares.
    assert abs((modulus**2 < (0.9**2 + 0.999**2) / 2).mean() - 0.5) < 0.1
    assert params["theta"].min() >= 0 and params["theta"].max() <= np.pi / 10


SPACE = Dict({"action_mask": Box(0, 1, (4,), jnp.bool_), "x": Box(-1.0, 1.0, (3,))})


def _observations(length):
    rng = np.random.default_rng(1)
    return {
        "action_mask": jnp.asarray(rng.random((length, B, 4)) < 0.7).at[..., 0].set(True),
        "x": jnp.asarray(rng.normal(size=(length, B, 3)), jnp.float32),
    }


@pytest.mark.parametrize("recurrent", ["", "gru", "lru"])
def test_a_network_unrolled_equals_its_steps(recurrent):
    config = NetworkConfig(hidden=(8,), recurrent=recurrent, recurrent_size=5, recurrent_layers=2)
    net = make_net(SPACE, Discrete(4), config)
    assert net.recurrent is bool(recurrent)
    params, obs, fresh = jax.jit(net.init)(jax.random.key(0)), _observations(6), net.initial(B)
    unroll, apply = jax.jit(net.unroll), jax.jit(net.apply)
    start = jnp.zeros((6, B), jnp.bool_).at[3, 1].set(True)
    policies, values = unroll(params, obs, fresh, start)
    assert policies.logits.shape == (6, B, 4) and values.shape == (6, B)
    carry = fresh
    for t in range(6):
        carry = reset_where(start[t], fresh, carry)
        policy, value, carry = apply(params, jax.tree.map(lambda x, t=t: x[t], obs), carry)
        np.testing.assert_allclose(policies.logits[t], policy.logits, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(values[t], value, rtol=1e-5, atol=1e-6)
    again = unroll(params, obs, fresh, jnp.zeros_like(start))[1]
    changed = np.abs(np.asarray(again - values)).max(axis=0) > 1e-4
    np.testing.assert_array_equal(changed, [False, bool(recurrent), False])


def test_parameters_of_a_recurrent_network_by_hand():
    """One torso 3*8+8; GRU 8*15+15, 5*15, 5; heads 5*4+4 and 5+1."""
    config = NetworkConfig(hidden=(8,), recurrent="gru", recurrent_size=5)
    net = make_net(SPACE, Discrete(4), config)
    shapes = jax.eval_shape(net.init, jax.random.key(0))
    count = sum(x.size for x in jax.tree.leaves(shapes))
    assert count == 32 + (8 * 15 + 15 + 5 * 15 + 5) + 24 + 6
    assert [x.shape for x in jax.tree.leaves(net.initial(7))] == [(7, 5)]


class _Features(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Dense(9, name="own")(x["x"]))


class _Pair(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(x["x"]), nn.Dense(1)(x["x"])[..., 0]


def test_memory_stands_behind_a_users_module_of_features_only():
    config = NetworkConfig(recurrent="lru", recurrent_size=5)
    net = make_net(SPACE, Discrete(4), config, _Features())
    params = jax.eval_shape(net.init, jax.random.key(0))["params"]
    assert params["torso"]["own"]["kernel"].shape == (3, 9)
    with pytest.raises(ValueError, match="must return features"):
        make_net(SPACE, Discrete(4), config, _Pair())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"recurrent": "lstm"}, "unknown network.recurrent 'lstm'; one of gru, lru"),
        ({"recurrent_size": 0}, "network.recurrent_size must be at least 1"),
        ({"recurrent_layers": 0}, "network.recurrent_layers must be at least 1"),
    ],
)
def test_bad_memories_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**bad)
