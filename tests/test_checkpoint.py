"""Checkpoints: bit-exact, atomic, pruned as told, and damage is found and named."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import checkpoint
from jaxrl.checkpoint import CheckpointError


def make_state():
    """Every kind of leaf a state may have."""
    nan_with_payload = np.array([0x7FC01234, 0xFFC00001], np.uint32).view(np.float32)
    return {
        "params": [jnp.arange(6.0).reshape(2, 3), jnp.asarray(nan_with_payload)],
        "half": jnp.array([1.5, -0.0, jnp.inf], jnp.bfloat16),
        "count": jnp.int32(-7),
        "pixels": jnp.arange(5, dtype=jnp.uint8),
        "flags": jnp.array([[True], [False]]),
        "nothing": (jnp.zeros((0, 3)), ()),
        "key": jax.random.key(3),
        "keys": {"a/b.c": jax.random.split(jax.random.key(5, impl="rbg"), 2)},
    }


HP = {"lr": jnp.float32(1e-3)}


def save(folder, update, state=None, metric=None, **kwargs):
    state = make_state() if state is None else state
    return checkpoint.save(
        folder, state, HP, {"n": 1}, update=update, fingerprint="print", metric=metric, **kwargs
    )


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A folder with the checkpoints 10, 20 and 30, not to be changed."""
    folder = tmp_path_factory.mktemp("three")
    for update in (10, 20, 30):
        save(folder, update)
    return folder


@pytest.fixture
def copied(three, tmp_path):
    """A copy that may be damaged."""
    return Path(shutil.copytree(three, tmp_path / "checkpoints"))


def bits(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return (str(leaf.dtype), np.asarray(jax.random.key_data(leaf)).tobytes(), leaf.shape)
    return (str(leaf.dtype), np.asarray(leaf).tobytes(), leaf.shape)


def test_round_trip_is_bit_exact_onto_an_abstract_template(three):
    state = make_state()
    template = jax.eval_shape(make_state)
    restored, hp = checkpoint.restore(three / "20", template, HP, fingerprint="print")
    assert str(jax.tree.structure(restored)) == str(jax.tree.structure(state))
    assert [bits(x) for x in jax.tree.leaves(restored)] == [bits(x) for x in jax.tree.leaves(state)]
    assert bits(hp["lr"]) == bits(HP["lr"])
    assert jax.random.key_impl(restored["keys"]["a/b.c"]) == jax.random.key_impl(
        state["keys"]["a/b.c"]
    )
    assert jax.random.bits(restored["key"]) == jax.random.bits(state["key"])


def test_manifest_says_what_was_saved_and_hashes_every_file(tmp_path):
    path = save(tmp_path, 12, metric=-3.5)
    record = json.loads((path / "manifest.json").read_text())
    assert (record["update"], record["metric"], record["fingerprint"]) == (12, -3.5, "print")
    assert record["config"] == {"n": 1} and record["schema"] == 1
    assert record["leaves"]["state['params'][0]"] == ["float32", [2, 3], None]
    assert record["leaves"]["state['keys']['a/b.c']"] == ["uint32", [2, 4], "rbg"]
    files = {str(f.relative_to(path)) for f in path.rglob("*") if f.is_file()}
    assert set(record["files"]) == files - {"manifest.json"}
    for name, digest in record["files"].items():
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest


def test_metric_that_is_not_finite_counts_as_not_measured(tmp_path):
    assert checkpoint.read_manifest(save(tmp_path, 1, metric=float("nan"))).metric is None
    assert checkpoint.best(tmp_path) is None


def test_last_ones_and_the_best_are_kept(tmp_path):
    kept = []
    small = {"x": jnp.int32(1)}
    for update, metric in ((1, 1.0), (2, 9.0), (3, None), (4, 2.0), (5, 9.0), (6, 0.0), (7, 0.0)):
        save(tmp_path, update, small, metric, keep_last=2)
        kept.append(checkpoint.saved_updates(tmp_path))
    assert kept == [[1], [1, 2], [2, 3], [2, 3, 4], [4, 5], [5, 6], [5, 6, 7]]
    assert checkpoint.best(tmp_path) == 5  # the later of two equals
    assert sorted(os.listdir(tmp_path)) == ["5", "6", "7"]
    with pytest.raises(ValueError, match="keep_last must be at least 1"):
        save(tmp_path, 8, small, keep_last=0)


def test_same_update_is_replaced(tmp_path):
    for value in (1, 2):
        path = save(tmp_path, 4, {"x": jnp.int32(value)})
    state, _ = checkpoint.restore(path, {"x": jnp.int32(0)}, HP, fingerprint="print")
    assert int(state["x"]) == 2
    assert os.listdir(tmp_path) == ["4"]


def _largest_file(path):
    return max(
        (f for f in (path / "arrays").rglob("*") if f.is_file()), key=lambda f: f.stat().st_size
    )


def _truncate(path):
    file = _largest_file(path)
    file.write_bytes(file.read_bytes()[:-1])
    return str(file.relative_to(path))


def _flip(path):
    file = _largest_file(path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    return str(file.relative_to(path))


def _remove(path):
    file = _largest_file(path)
    file.unlink()
    return str(file.relative_to(path))


def _remove_arrays(path):
    shutil.rmtree(path / "arrays")
    return "arrays"


def _remove_manifest(path):
    (path / "manifest.json").unlink()
    return "manifest.json is missing"


def _truncate_manifest(path):
    file = path / "manifest.json"
    file.write_bytes(file.read_bytes()[:100])
    return "manifest.json cannot be read"


def _edit_manifest(path):
    file = path / "manifest.json"
    file.write_text(file.read_text().replace('"update": 30', '"update": 31'))
    return "manifest.json was changed"


def _empty_manifest(path):
    (path / "manifest.json").write_text("[]")
    return "manifest.json cannot be read"


DAMAGES = [
    _truncate,
    _flip,
    _remove,
    _remove_arrays,
    _remove_manifest,
    _truncate_manifest,
    _edit_manifest,
    _empty_manifest,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_newest_is_named_and_the_one_before_is_used(copied, damage):
    what = damage(copied / "30")
    warned: list[str] = []
    path, manifest = checkpoint.latest_good(copied, warned.append)
    assert path == copied / "20" and manifest.update == 20
    assert len(warned) == 1 and str(copied / "30") in warned[0] and what in warned[0]
    with pytest.raises(CheckpointError, match="30"):
        checkpoint.restore(copied / "30", make_state(), HP, fingerprint="print")


def test_damage_is_a_warning_by_default(copied):
    _remove(copied / "30")
    with pytest.warns(UserWarning, match="damaged checkpoint passed over"):
        checkpoint.latest_good(copied)


def test_all_damaged_and_none_at_all_are_errors(copied, tmp_path):
    for update in (10, 20, 30):
        _remove_manifest(copied / str(update))
    warned: list[str] = []
    with pytest.raises(CheckpointError, match=r"all 3 checkpoints are damaged \(10, 20, 30\)"):
        checkpoint.latest_good(copied, warned.append)
    assert len(warned) == 3
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.latest_good(tmp_path / "absent")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("count"), r"state\['count'\] is only in the checkpoint"),
        (lambda s: s.update(more=jnp.zeros(2)), r"state\['more'\] is not in the checkpoint"),
        (
            lambda s: s.update(pixels=jnp.zeros(4, jnp.uint8)),
            r"state\['pixels'\] is uint8\[5\] in the checkpoint, expected uint8\[4\]",
        ),
        (
            lambda s: s.update(count=jnp.float32(0)),
            r"state\['count'\] is int32\[\] in the checkpoint, expected float32\[\]",
        ),
        (lambda s: s.update(key=jax.random.key(0, impl="rbg")), "expected uint32.* key<rbg>"),
        (lambda s: s.update(key=jnp.zeros(2, jnp.uint32)), r"key<threefry2x32> in the checkpoint"),
        (
            lambda s: [s.pop(name) for name in ("count", "pixels", "flags", "half", "key")],
            r"and 2 more",
        ),
    ],
)
def test_a_template_that_differs_is_named(three, change, message):
    template = make_state()
    change(template)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.restore(three / "10", template, HP, fingerprint="print")


def test_another_configuration_is_refused(three):
    with pytest.raises(CheckpointError, match="checkpoint of another configuration"):
        checkpoint.restore(three / "10", make_state(), HP, fingerprint="other")


def test_interrupted_save_changes_nothing_and_the_next_one_cleans_up(copied, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "rename", fail)
        with pytest.raises(KeyboardInterrupt):
            save(copied, 40)
    assert sorted(os.listdir(copied)) == ["10", "20", "30"]
    (copied / ".saving-40").mkdir()  # what a process leaves that is killed at that moment
    assert checkpoint.saved_updates(copied) == [10, 20, 30]
    assert checkpoint.latest_good(copied)[0] == copied / "30"
    save(copied, 40)
    assert sorted(os.listdir(copied)) == ["20", "30", "40"]
