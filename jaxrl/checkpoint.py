"""Checkpoints: exactly `(state, hp, config)`, written whole or not at all.

A checkpoint is the folder `<checkpoints>/<update>`: the arrays of `state` and `hp` in orbax's
format under `arrays/`, and `manifest.json` with the update number, the metric, the configuration
and its fingerprint, every leaf's path, dtype and shape, and the SHA-256 of every file. There is no
pickle anywhere.

- Atomic: everything is written into a hidden temporary folder, flushed to the disk, and renamed.
  A save that fails removes it; one that is killed leaves a hidden folder that nobody reads and
  that the next save removes.
- Checked: `latest_good` compares every file with the manifest, names what is damaged, and takes
  the one before.
- Bit-exact: arrays keep their dtype and bits; typed PRNG keys travel as `jax.random.key_data` and
  the name of their algorithm.

Orbax is imported when a checkpoint is written or read, not before.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import logging
import math
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.dtypes import is_key
from jaxrl.run_folder import writing

SCHEMA = 1
MANIFEST = "manifest.json"
_ARRAYS = "arrays"
_HIDDEN = (".saving-", ".replaced-")


class CheckpointError(ValueError):
    """A checkpoint is absent, damaged, or of another configuration."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a checkpoint says about itself.

    Attributes:
        update: updates done.
        metric: what keep-best compares (higher is better), None where it was not measured.
        fingerprint: of the configuration.
        config: the configuration, as JSON values.
        leaves: path -> [dtype, shape, PRNG algorithm or None]; a key's dtype and shape are those
            of its data.
        files: path inside the checkpoint -> SHA-256.
        interim: None in a regular checkpoint. One that was saved because the process had to stop
            holds here, as JSON values, what its successor needs besides the arrays; the next save
            removes such a checkpoint.
        schema: version of this record.
    """

    update: int
    metric: float | None
    fingerprint: str
    config: Mapping[str, Any]
    leaves: Mapping[str, list[Any]]
    files: Mapping[str, str]
    interim: Mapping[str, Any] | None = None
    schema: int = SCHEMA


def save(
    folder: str | os.PathLike[str],
    state: Any,
    hp: Any,
    config: Mapping[str, Any],
    *,
    update: int,
    fingerprint: str,
    metric: float | None = None,
    keep_last: int = 3,
    interim: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `<folder>/<update>` atomically, then prunes.

    Leftovers of killed saves are removed first. A checkpoint of the same update is replaced.

    Args:
        folder: holds the checkpoints of one run; made if need be, but not the folder it is in:
            a run that was deleted does not come back.
        state: pytree of arrays.
        hp: pytree of arrays.
        config: JSON values.
        update: updates done.
        fingerprint: of the configuration; `restore` asks for the same.
        metric: higher is better; None or a non-finite number counts as not measured.
        keep_last: this many newest checkpoints are kept, and the one with the highest metric
            (the later of two equals) is never pruned.
        interim: see `Manifest`; interim checkpoints do not count for `keep_last`.

    Returns:
        The checkpoint's path.

    Raises:
        WriteError: it cannot be written; the checkpoints that were there are as they were.
    """
    if keep_last < 1:
        raise ValueError(f"keep_last must be at least 1, not {keep_last}")
    folder = Path(folder)
    arrays, leaves = _flatten(state, hp)
    known = float(metric) if metric is not None and math.isfinite(metric) else None
    # The sums of the files come when they are written.
    manifest = Manifest(int(update), known, fingerprint, config, leaves, {}, interim)
    temporary = folder / f"{_HIDDEN[0]}{update}"
    path = folder / str(update)
    with writing(path):
        folder.mkdir(exist_ok=True)
        for leftover in folder.iterdir():
            if leftover.name.startswith(_HIDDEN):
                shutil.rmtree(leftover)
        with _new_folder(temporary):
            _write(temporary, arrays, manifest)
        _publish(temporary, path)
        _prune(folder, keep_last)
    return path


def saved_updates(folder: str | os.PathLike[str]) -> list[int]:
    """Updates of the finished checkpoints in `folder`, ascending; damaged ones are included."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    return sorted(
        int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal() and entry.is_dir()
    )


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest of one checkpoint.

    Raises:
        CheckpointError: it is missing, unreadable or was changed.
    """
    path = Path(path)
    try:
        record = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        seal = record.pop("sha256")
        manifest = Manifest(**record)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: {MANIFEST} is missing") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: {MANIFEST} cannot be read ({type(error).__name__}: {error})"
        ) from None
    if seal != _digest(record):
        raise CheckpointError(f"{path}: {MANIFEST} was changed after it was written")
    if manifest.schema != SCHEMA:
        raise CheckpointError(
            f"{path}: written with schema {manifest.schema}, this version reads {SCHEMA}"
        )
    return manifest


def verify(path: str | os.PathLike[str]) -> Manifest:
    """Compares every file of one checkpoint with its manifest.

    Raises:
        CheckpointError: names the first file that is missing, truncated or changed.
    """
    path = Path(path)
    manifest = read_manifest(path)
    for name, expected in manifest.files.items():
        try:
            found = _sha256(path / name)
        except OSError:
            raise CheckpointError(f"{path}: {name} is missing or unreadable") from None
        if found != expected:
            raise CheckpointError(f"{path}: {name} is truncated or was changed")
    return manifest


def latest_good(
    folder: str | os.PathLike[str], warn: Callable[[str], None] = warnings.warn
) -> tuple[Path, Manifest]:
    """The newest checkpoint whose files are all as they were written.

    Args:
        folder: holds the checkpoints of one run.
        warn: called with a line that names each damaged checkpoint on the way.

    Raises:
        CheckpointError: there is no checkpoint, or none is good.
    """
    folder = Path(folder)
    updates = saved_updates(folder)
    if not updates:
        raise CheckpointError(f"{folder}: no checkpoint")
    for update in reversed(updates):
        path = folder / str(update)
        try:
            return path, verify(path)
        except CheckpointError as error:
            warn(f"damaged checkpoint passed over: {error}")
    raise CheckpointError(
        f"{folder}: all {len(updates)} checkpoints are damaged ({', '.join(map(str, updates))})"
    )


def best(folder: str | os.PathLike[str]) -> int | None:
    """Update of the checkpoint with the highest metric (the later of equals), if any has one."""
    scores: list[tuple[float, int]] = []
    for update in saved_updates(folder):
        try:
            metric = read_manifest(Path(folder) / str(update)).metric
        except CheckpointError:
            continue
        if metric is not None:
            scores.append((metric, update))
    return max(scores)[1] if scores else None


def best_good(folder: str | os.PathLike[str]) -> tuple[Path, Manifest]:
    """The checkpoint of `best`, every file of which is as it was written.

    Raises:
        CheckpointError: no checkpoint has a metric, or the best one is damaged: the one with the
            second highest metric is not what was asked for.
    """
    update = best(folder)
    if update is None:
        raise CheckpointError(f"{folder}: no checkpoint has a return to compare")
    path = Path(folder) / str(update)
    return path, verify(path)


def restore(
    path: str | os.PathLike[str], state: Any, hp: Any, *, fingerprint: str
) -> tuple[Any, Any]:
    """Reads one checkpoint, bit for bit as it was saved.

    Args:
        path: the checkpoint.
        state: the structure to fill; may be abstract (`jax.eval_shape` of `init`).
        hp: likewise.
        fingerprint: of the configuration it must have.

    Returns:
        (state, hp).

    Raises:
        CheckpointError: a file is damaged, the configuration is another one, or paths, shapes or
            dtypes differ; the first differences are named.
    """
    path = Path(path)
    manifest = verify(path)
    if manifest.fingerprint != fingerprint:
        raise CheckpointError(
            f"{path} is a checkpoint of another configuration"
            f" (fingerprint {manifest.fingerprint[:12]}, this run has {fingerprint[:12]})"
        )
    wanted = _describe(state, hp)
    _compare(path, wanted, manifest.leaves)
    arrays = _read_arrays(path / _ARRAYS)
    leaves = [_decode(path, name, spec, arrays) for name, spec in wanted.items()]
    treedef = jax.tree.structure((state, hp))
    return jax.tree.unflatten(treedef, leaves)


def _named_leaves(state: Any, hp: Any) -> list[tuple[str, Any]]:
    trees = (("state", state), ("hp", hp))
    return [
        (root + jax.tree_util.keystr(path), leaf)
        for root, tree in trees
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


def _describe(state: Any, hp: Any) -> dict[str, list[Any]]:
    """`Manifest.leaves` of concrete or abstract trees."""
    specs: dict[str, list[Any]] = {}
    for name, leaf in _named_leaves(state, hp):
        if is_key(leaf):
            data = jax.eval_shape(jax.random.key_data, leaf)
            specs[name] = [str(data.dtype), list(data.shape), _implementation(leaf)]
        else:
            array = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
            specs[name] = [str(array.dtype), list(array.shape), None]
    return specs


def _implementation(key: Any) -> str:
    """Name of a key's algorithm; an abstract key has one only inside a trace."""
    names: list[str] = []
    jax.eval_shape(lambda traced: names.append(str(jax.random.key_impl(traced))), key)
    return names[0]


def _flatten(state: Any, hp: Any) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, list[Any]]]:
    named = [
        (name, jax.random.key_data(x) if is_key(x) else x) for name, x in _named_leaves(state, hp)
    ]
    values = jax.device_get([value for _, value in named])
    arrays = {name: np.asarray(value) for (name, _), value in zip(named, values, strict=True)}
    return arrays, _describe(state, hp)


def _decode(path: Path, name: str, spec: list[Any], arrays: Mapping[str, Any]) -> Any:
    dtype, shape, implementation = spec
    array = arrays.get(name, np.zeros(shape, dtype) if 0 in shape else None)
    if array is None:
        raise CheckpointError(f"{path}: the array {name} is not in the file that should hold it")
    value = jnp.asarray(array)
    if [str(value.dtype), list(value.shape)] != [dtype, shape]:
        raise CheckpointError(
            f"{path}: {name} was read as {value.dtype}{list(value.shape)}, not {dtype}{shape}"
        )
    return value if implementation is None else jax.random.wrap_key_data(value, impl=implementation)


def _compare(path: Path, wanted: Mapping[str, list[Any]], saved: Mapping[str, list[Any]]) -> None:
    differences = []
    for name in sorted(wanted.keys() | saved.keys()):
        if name not in saved:
            differences.append(f"{name} is not in the checkpoint")
        elif name not in wanted:
            differences.append(f"{name} is only in the checkpoint")
        elif wanted[name] != saved[name]:
            differences.append(
                f"{name} is {_spec(saved[name])} in the checkpoint, expected {_spec(wanted[name])}"
            )
    if differences:
        more = f" (and {len(differences) - 3} more)" if len(differences) > 3 else ""
        raise CheckpointError(f"{path} does not fit: {'; '.join(differences[:3])}{more}")


def _spec(spec: list[Any]) -> str:
    dtype, shape, implementation = spec
    return f"{dtype}{shape}" + (f" key<{implementation}>" if implementation else "")


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[None]:
    """Makes a folder, which goes again if what is written into it fails.

    Orbax makes the folders that it misses: where a run was deleted meanwhile, its folder would come
    back with nothing but a checkpoint in it. Only what is empty is removed of the folders above.
    """
    try:
        path.mkdir()
        # Held open, so that no other folder can get its number.
        made = os.open(path, os.O_RDONLY)
        try:
            yield
            if not os.path.samestat(os.fstat(made), path.stat()):
                raise FileNotFoundError(errno.ENOENT, "the folder was deleted meanwhile")
        finally:
            os.close(made)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()
            path.parent.parent.rmdir()
        raise


def _write(folder: Path, arrays: Mapping[str, np.ndarray[Any, Any]], manifest: Manifest) -> None:
    """Writes what a checkpoint holds, the sums of its files into the manifest, and flushes it."""
    _write_arrays(folder / _ARRAYS, arrays)
    sums = {name: _sha256(folder / name) for name in _files(folder)}
    sealed = _sealed(dataclasses.replace(manifest, files=sums))
    (folder / MANIFEST).write_text(sealed, encoding="utf-8")
    _sync(folder)


def _write_arrays(folder: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    import orbax.checkpoint as ocp

    # Orbax refuses arrays without elements; their shape in the manifest says all there is to say.
    filled = {name: array for name, array in arrays.items() if array.size}
    try:
        with _quiet(), _checkpointer() as writer:
            writer.save(folder.absolute(), args=ocp.args.PyTreeSave(filled))
    except OSError:
        raise
    except Exception as error:
        # What orbax's storage says of a full disk is a ValueError that names the system's error.
        code = re.search(r"(?:os_error_code='|OS error )(\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1]))) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Orbax's threads log the traceback of an error that is raised here as well."""
    logger = logging.getLogger("absl")

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def _read_arrays(folder: Path) -> Mapping[str, Any]:
    with _checkpointer() as reader:
        arrays: Mapping[str, Any] = reader.restore(folder.absolute())
    return arrays


def _checkpointer() -> Any:
    """Orbax for this process alone: it would wait for the others, which do not come."""
    import orbax.checkpoint as ocp

    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(primary_host=me, active_processes={me})
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def _files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(record: Mapping[str, Any]) -> str:
    text = json.dumps(record, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _sealed(manifest: Manifest) -> str:
    # Through JSON once, so that what is sealed is what a reader gets back (tuples become lists).
    record = json.loads(json.dumps(dataclasses.asdict(manifest), allow_nan=False))
    return json.dumps({**record, "sha256": _digest(record)}, indent=1, allow_nan=False) + "\n"


def _sync(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _publish(temporary: Path, path: Path) -> None:
    replaced = path.with_name(f"{_HIDDEN[1]}{path.name}")
    if path.exists():
        os.rename(path, replaced)
    os.rename(temporary, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if replaced.exists():
        shutil.rmtree(replaced)


def _prune(folder: Path, keep_last: int) -> None:
    updates = saved_updates(folder)
    regular = [update for update in updates if not _is_interim(folder / str(update))]
    kept = {*regular[-keep_last:], *updates[-1:], best(folder)}
    for update in updates:
        if update not in kept:
            # Renamed first: a prune that is killed half-way leaves no half checkpoint behind.
            condemned = folder / f"{_HIDDEN[1]}{update}"
            os.rename(folder / str(update), condemned)
            shutil.rmtree(condemned)


def _is_interim(path: Path) -> bool:
    try:
        return read_manifest(path).interim is not None
    except CheckpointError:
        return False
