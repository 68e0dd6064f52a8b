"""Objectives against hand-computed numbers and the axioms of mirror learning."""

import errno
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.algos.on_policy import dpo as dpo_method
from jaxrl.algos.on_policy import drift_files, learnt
from jaxrl.algos.on_policy import lpo as lpo_method
from jaxrl.algos.on_policy import objectives as ob
from jaxrl.algos.on_policy import ta_lpo as ta_lpo_method
from jaxrl.algos.on_policy.types import Sample
from jaxrl.distributions import Categorical
from jaxrl.run_folder import WriteError

RATIO = np.exp(np.linspace(-3, 3, 121)).astype(np.float32)
ADVANTAGE = np.concatenate([-np.geomspace(0.01, 5, 12), [0.0], np.geomspace(0.01, 5, 12)])
GRID = [x.ravel() for x in np.meshgrid(np.log(RATIO), ADVANTAGE.astype(np.float32))]

DRIFTS = {
    "ppo": lambda log_r, a: ob.ppo_drift(log_r, a, 0.2),
    "dpo": lambda log_r, a: ob.dpo_drift(log_r, a, ob.DPOParameters()),
    "lpo-zero": lambda log_r, a: learnt.lpo_drift(log_r, a, learnt.zero_drift()),
    "lpo-random": lambda log_r, a: learnt.lpo_drift(
        log_r, a, learnt.random_drift(jax.random.key(3), scale=2.0)
    ),
    "ta-lpo-random": lambda log_r, a: learnt.ta_lpo_drift(
        log_r, a, learnt.random_drift(jax.random.key(4), 16, scale=2.0), jnp.float32(0.7)
    ),
}


def _sample(ratio, advantage, kl=0.0):
    arrays = [np.atleast_1d(np.asarray(x, np.float32)) for x in (np.log(ratio), advantage, kl)]
    log_ratio, advantage, kl = (jnp.asarray(x) for x in arrays)
    old = jnp.full_like(log_ratio, -1.0)
    return Sample(old + log_ratio, old, advantage, kl, jnp.zeros_like(old), jnp.float32(0))


@pytest.mark.parametrize("name", DRIFTS)
def test_axiom_1_drift_is_not_negative(name):
    assert np.min(DRIFTS[name](*GRID)) >= 0.0


@pytest.mark.parametrize("name", DRIFTS)
def test_axiom_2_drift_vanishes_at_the_old_policy(name):
    advantage = jnp.asarray(ADVANTAGE, jnp.float32)
    drift = DRIFTS[name](jnp.zeros_like(advantage), advantage)
    np.testing.assert_array_equal(drift, np.zeros_like(drift))


@pytest.mark.parametrize("name", DRIFTS)
def test_axiom_3_slope_vanishes_at_the_old_policy(name):
    """D f / d r = d f / d log r at r = 1."""
    slope = jax.vmap(jax.grad(DRIFTS[name]))(
        jnp.zeros(len(ADVANTAGE)), jnp.asarray(ADVANTAGE, jnp.float32)
    )
    np.testing.assert_array_equal(slope, np.zeros_like(slope))


def test_drifts_are_not_trivially_zero():
    for name, drift in DRIFTS.items():
        assert np.max(drift(*GRID)) > 0.1, name


def test_kl_penalty_obeys_the_axioms_in_the_policy():
    """KL(old || new) >= 0, and value and slope vanish at new = old."""
    old = Categorical(jnp.asarray([0.3, -0.4, 1.0]))
    for seed in range(20):
        other = Categorical(jax.random.normal(jax.random.key(seed), (3,)))
        assert old.kl(other) > 0
    value, slope = jax.value_and_grad(lambda x: old.kl(Categorical(x)))(old.logits)
    assert value == 0.0
    np.testing.assert_allclose(slope, np.zeros(3), atol=1e-7)


def test_a2c_breaks_the_first_axiom_and_keeps_the_others():
    """Its drift (r - 1 - log r) A is negative where A < 0."""

    def objective(log_r, a):
        old = jnp.float32(-1.0)
        return -ob.a2c(None, Sample(old + log_r, old, a, old, old, old))

    def drift(log_r, a):
        return jnp.expm1(log_r) * a - (objective(log_r, a) - objective(jnp.float32(0), a))

    np.testing.assert_allclose(drift(jnp.float32(1.0), jnp.float32(1.0)), math.e - 2, rtol=1e-6)
    assert drift(jnp.float32(1.0), jnp.float32(-1.0)) < -0.5
    np.testing.assert_allclose(drift(jnp.float32(0.0), jnp.float32(-1.0)), 0.0, atol=1e-6)
    np.testing.assert_allclose(jax.grad(drift)(jnp.float32(0.0), jnp.float32(-1.0)), 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.5, 2.0, -2.4),  # clipped above: min(3, 1.2 * 2)
        (0.5, 2.0, -1.0),  # not clipped: min(1, 0.8 * 2)
        (1.5, -2.0, 3.0),  # not clipped: min(-3, -2.4)
        (0.5, -2.0, 1.6),  # clipped below: min(-1, -1.6)
        (1.0, 3.0, -3.0),
    ],
)
def test_ppo_clip_by_hand(ratio, advantage, expected):
    loss = ob.ppo_clip(ob.ClipParameters(clip=0.2), _sample(ratio, advantage))
    np.testing.assert_allclose(loss, [expected], rtol=1e-6)


def test_ppo_clip_equals_its_drift_form():
    log_ratio, advantage = GRID
    clipped = ob.ppo_clip(ob.ClipParameters(), _sample(np.exp(log_ratio), advantage))
    mirror = ob.mirror_loss(log_ratio, advantage, DRIFTS["ppo"](log_ratio, advantage))
    np.testing.assert_allclose(clipped, mirror, rtol=1e-5, atol=1e-5)


def test_kl_penalty_by_hand():
    """-(1.5 * 2 - 0.5 * 0.3) = -2.85."""
    loss = ob.ppo_kl(0.5, _sample(1.5, 2.0, kl=0.3))
    np.testing.assert_allclose(loss, [-2.85], rtol=1e-6)


@pytest.mark.parametrize(
    ("kl", "expected"), [(0.02, 8.0), (0.014, 4.0), (0.007, 4.0), (0.005, 2.0)]
)
def test_adaptive_weight_by_hand(kl, expected):
    """Target 0.01: doubled above 0.015, halved below 0.00667, else kept."""
    phi = ob.KLParameters(target=0.01)
    assert ob.adapt_kl_weight(phi, jnp.float32(4.0), jnp.float32(kl)) == expected


@pytest.mark.parametrize(
    ("ratio", "advantage", "drift"),
    [
        (2.0, 3.0, 3.0 - 2 * math.tanh(1.5)),
        (0.5, 2.0, 0.0),  # relu(-1 + 2 tanh(0.5)) = relu(-0.076)
        (2.0, -1.0, 0.0),  # relu(-log 2 + 0.6 tanh(log 2 / 0.6)) = relu(-0.199)
        (0.5, -1.0, math.log(2) - 0.6 * math.tanh(math.log(2) / 0.6)),
    ],
)
def test_dpo_by_hand(ratio, advantage, drift):
    sample = _sample(ratio, advantage)
    np.testing.assert_allclose(
        ob.dpo(ob.DPOParameters(), sample), [drift - ratio * advantage], rtol=1e-5
    )


def test_lpo_inputs_and_drift_by_hand():
    """R = e, A = 2: x = [1, 1, 1-e, (1-e)^2] and twice that; one hidden unit."""
    e = math.e
    x = np.asarray([1, 1, 1 - e, (1 - e) ** 2])
    inputs = np.concatenate([x, 2 * x])
    ours = learnt.lpo_inputs(jnp.float32(1.0), jnp.float32(2.0))
    np.testing.assert_allclose(ours, inputs, rtol=1e-6)
    weights = 0.1 * np.arange(1, 9, dtype=np.float32)
    output = jnp.asarray([0.7], jnp.float32)
    phi = learnt.DriftNetwork(jnp.asarray(weights)[:, None], output, 0.2, 100.0)
    expected = (e - 1.2) * 2 + 0.7 * math.tanh(float(weights @ inputs)) - 1e-4
    drift = learnt.lpo_drift(jnp.float32(1.0), jnp.float32(2.0), phi)
    np.testing.assert_allclose(drift, expected, rtol=1e-5)
    negative = phi.replace(output=jnp.asarray([-100.0], jnp.float32))
    assert learnt.lpo_drift(jnp.float32(1.0), jnp.float32(2.0), negative) == 0.0
    loss = learnt.lpo(phi, _sample(e, 2.0))
    np.testing.assert_allclose(loss, [expected - 2 * e], rtol=1e-5)
    # With the default bound 2: [1, 1, 1-e, 2, 2, 2, -2, 2].
    bounded = 0.7 * math.tanh(float(weights @ np.clip(inputs, -2, 2)))
    drift = learnt.lpo_drift(jnp.float32(1.0), jnp.float32(2.0), phi.replace(input_bound=2.0))
    np.testing.assert_allclose(drift, (e - 1.2) * 2 + bounded - 1e-4, rtol=1e-5)


def test_ta_lpo_inputs_by_hand():
    x = learnt.lpo_inputs(jnp.asarray([0.3, -1.0]), jnp.asarray([2.0, -0.5]))
    ours = learnt.ta_lpo_inputs(
        jnp.asarray([0.3, -1.0]), jnp.asarray([2.0, -0.5]), jnp.float32(0.25)
    )
    np.testing.assert_array_equal(ours, np.concatenate([x, 0.25 * np.asarray(x)], axis=-1))


def test_ta_lpo_without_weights_on_progress_is_lpo():
    phi = learnt.random_drift(jax.random.key(5))
    wider = phi.replace(hidden=jnp.concatenate([phi.hidden, jnp.zeros_like(phi.hidden)]))
    sample = _sample(np.exp(GRID[0]), GRID[1])._replace(progress=jnp.float32(0.6))
    np.testing.assert_allclose(
        learnt.ta_lpo(wider, sample), learnt.lpo(phi, sample), rtol=1e-5, atol=1e-6
    )


def test_losses_of_networks_equal_their_drift_form():
    sample = _sample(np.exp(GRID[0]), GRID[1])._replace(progress=jnp.float32(0.7))
    phi = learnt.random_drift(jax.random.key(3), scale=2.0)
    mirror = ob.mirror_loss(sample.log_ratio, sample.advantage, DRIFTS["lpo-random"](*GRID))
    np.testing.assert_allclose(learnt.lpo(phi, sample), mirror, rtol=1e-4, atol=1e-4)
    phi = learnt.random_drift(jax.random.key(4), 16, scale=2.0)
    mirror = ob.mirror_loss(sample.log_ratio, sample.advantage, DRIFTS["ta-lpo-random"](*GRID))
    np.testing.assert_allclose(learnt.ta_lpo(phi, sample), mirror, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("inputs", [8, 16])
def test_slope_of_a_networks_loss_at_the_old_policy_is_that_of_the_gain(inputs):
    """The third axiom in the form that is trained: d loss / d log r = -A at r = 1."""
    objective = {8: learnt.lpo, 16: learnt.ta_lpo}[inputs]
    phi = learnt.random_drift(jax.random.key(6), inputs, scale=3.0)
    advantage = jnp.asarray(ADVANTAGE, jnp.float32)
    old = jnp.zeros_like(advantage)

    def total(log_prob):
        return jnp.sum(objective(phi, Sample(log_prob, old, advantage, old, old, jnp.float32(1))))

    np.testing.assert_array_equal(jax.grad(total)(old), -advantage)


@pytest.mark.parametrize("inputs", [8, 16])
def test_a_network_of_zeros_is_ppo_to_the_last_bit(inputs):
    """Loss and slope, also at ratios just past the clipping range."""
    edges = np.log([1.2, 0.8]) + np.linspace(-2e-4, 2e-4, 41)[:, None]
    log_ratio = np.concatenate([GRID[0], edges.ravel(), edges.ravel()]).astype(np.float32)
    advantage = np.concatenate([GRID[1], np.ones(82), -np.ones(82)]).astype(np.float32)
    old = jnp.zeros_like(log_ratio)
    objective = {8: learnt.lpo, 16: learnt.ta_lpo}[inputs]
    start = learnt.ppo_start(jax.random.key(0), inputs)

    def loss_and_slope(loss, phi):
        def total(log_prob):
            sample = Sample(log_prob, old, jnp.asarray(advantage), old, old, jnp.float32(0.3))
            loss_b = loss(phi, sample)
            return jnp.sum(loss_b), loss_b

        slope, loss_b = jax.jit(jax.grad(total, has_aux=True))(jnp.asarray(log_ratio))
        return np.asarray(loss_b), np.asarray(slope)

    expected = loss_and_slope(ob.ppo_clip, ob.ClipParameters())
    assert (expected[1] == 0).any() and (expected[1] != 0).any()
    for phi in (learnt.zero_drift(inputs), start):
        for ours, theirs in zip(loss_and_slope(objective, phi), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_lpo_has_the_published_number_of_parameters():
    phi = learnt.zero_drift()
    assert phi.hidden.size + phi.output.size == 1152


@pytest.mark.parametrize(("module", "inputs"), [(lpo_method, 8), (ta_lpo_method, 16)])
def test_drift_weights_round_trip(tmp_path, module, inputs):
    phi = learnt.random_drift(jax.random.key(0), inputs).replace(input_bound=3.5)
    module.save(tmp_path / "phi", phi, {"environments": ["CartPole-v1"]})
    loaded = module.load(tmp_path / "phi")
    np.testing.assert_array_equal(loaded.hidden, phi.hidden)
    np.testing.assert_array_equal(loaded.output, phi.output)
    assert loaded.clip == np.float32(0.2) and loaded.input_bound == 3.5
    assert drift_files.provenance(tmp_path / "phi") == {"environments": ["CartPole-v1"]}


def test_dpo_weights_round_trip(tmp_path):
    dpo_method.save(tmp_path / "phi.npz", ob.DPOParameters(1.5, 0.25))
    loaded = dpo_method.load(tmp_path / "phi.npz")
    assert (loaded.alpha, loaded.beta) == (1.5, 0.25)
    drift_files.write(tmp_path / "bad.npz", "dpo", {"alpha": 1.0, "beta": -1.0})
    with pytest.raises(ValueError, match="positive number 'beta'"):
        dpo_method.load(tmp_path / "bad.npz")


def test_files_of_another_architecture_are_refused(tmp_path):
    lpo_method.save(tmp_path / "lpo.npz", learnt.zero_drift())
    for module in (ta_lpo_method, dpo_method):
        with pytest.raises(ValueError, match="holds an objective of lpo, not of"):
            module.load(tmp_path / "lpo.npz")


def test_unknown_pretrained_drifts_are_named():
    with pytest.raises(ValueError, match="no drift 'nothing' ships"):
        lpo_method.load("pretrained/nothing")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "no such file"),
        ({"a": np.zeros(3)}, "no arrays 'hidden' and 'output'"),
        ({"hidden": np.zeros((7, 4)), "output": np.zeros(4)}, "wants hidden"),
        ({"hidden": np.full((8, 4), np.nan), "output": np.zeros(4)}, "finite"),
        ({"hidden": np.asarray([None]), "output": np.zeros(4)}, "cannot read drift weights"),
        ({"hidden": np.zeros((8, 4)), "output": np.zeros(4), "clip": -1.0}, "clip must be"),
        ({"hidden": np.zeros((8, 4)), "output": np.zeros(4), "provenance": "{"}, "cannot read"),
    ],
)
def test_bad_drift_files_are_refused(tmp_path, arrays, message):
    path = tmp_path / "phi.npz"
    if arrays is not None:
        np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message):
        lpo_method.load(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"hidden": np.asarray([None])}, "it is not such an npz file, or is damaged"),
        ({"hidden": np.zeros((8, 4), complex)}, "hidden must be numbers"),
        ({"hidden": np.asarray("x")}, "hidden must be numbers"),
        ({"architecture": np.zeros(2)}, "architecture must be a text"),
        ({"provenance": np.asarray(["{}", "{}"])}, "provenance must be a text"),
        ({"provenance": np.asarray("{")}, "its provenance is not JSON"),
        ({"provenance": np.asarray("[" * 100_000)}, "its provenance is not JSON"),
        ({"provenance": np.asarray("[]")}, "its provenance is no object"),
    ],
)
def test_strange_contents_are_one_line_without_numpys_advice(tmp_path, arrays, message):
    path = tmp_path / "phi.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="cannot read drift weights from .*: " + message) as found:
        drift_files.read(path, "lpo")
    assert "\n" not in str(found.value) and "pickle" not in str(found.value)


def test_any_damaged_byte_is_a_value_error(tmp_path):
    """Each byte of the archive's and the arrays' headers is changed, with two patterns."""
    whole, path = tmp_path / "whole.npz", tmp_path / "phi.npz"
    drift_files.write(whole, "dpo", {"alpha": 1.0}, {"tasks": []})
    content, refused = whole.read_bytes(), set()
    for place in range(len(content)):
        for flip in (0x01, 0x80):
            damaged = bytearray(content)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            try:
                drift_files.read(path, "dpo")
            except ValueError as error:
                assert "\n" not in str(error) and "pickle" not in str(error)
                refused.add(type(error.__cause__).__name__)
    assert {"NotImplementedError", "BadZipFile"} <= refused


def test_a_drift_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "phi.npz"
    drift_files.write(path, "dpo", {"alpha": 1.0})
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WriteError, match="phi.npz: No space left on device"):
        drift_files.write(path, "dpo", {"alpha": 2.0})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
