"""Files of learnt objectives: npz archives with arrays, an architecture and their provenance.

`architecture` names what can train with the file (an algorithm's name), `provenance` is JSON: what
made it, on which environments, and how well it did. Nothing is ever unpickled.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.algos.on_policy import pretrained
from jaxrl.run_folder import write_whole

_ARCHITECTURE, _PROVENANCE = "architecture", "provenance"
_TEXTS = (_ARCHITECTURE, _PROVENANCE)

Arrays = dict[str, np.ndarray[Any, Any]]


def locate(path: str | Path) -> Path:
    """The file that `path` means: itself, or for `pretrained/NAME` a drift of the package.

    Raises:
        ValueError: it does not exist.
    """
    path = Path(path)
    if path.exists():
        return path
    if len(path.parts) == 2 and path.parts[0] == pretrained.PREFIX:
        return pretrained.path(path.name.removesuffix(".npz"))
    raise ValueError(f"cannot read drift weights from {path}: there is no such file")


def write(
    path: str | Path,
    architecture: str,
    arrays: Mapping[str, Any],
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Writes numbers as float32 arrays, and what they are; the file appears whole or not at all.

    Raises:
        WriteError: it cannot be written; an earlier file is as it was.
    """
    record: dict[str, Any] = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    note = json.dumps(provenance or {}, allow_nan=False)
    buffer = io.BytesIO()
    np.savez(buffer, **record, architecture=np.str_(architecture), provenance=np.str_(note))
    write_whole(Path(path), buffer.getvalue())


def read(path: str | Path, architecture: str) -> Arrays:
    """The arrays of a file, float32 and finite.

    Raises:
        ValueError: the file is missing, is not such a file, is of another architecture or holds
            numbers that are not finite.
    """
    found, arrays, _ = _contents(path)
    if found is not None and found != architecture:
        raise ValueError(
            f"{path} holds an objective of {found}, not of {architecture};"
            f" use it with: jaxrl train {found} ENV --phi {path}"
        )
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{path}: {name} must be finite")
    return arrays


def architecture(path: str | Path) -> str | None:
    """Which algorithm a file is for, None where it does not say; ValueError as of `read`."""
    return _contents(path)[0]


def provenance(path: str | Path) -> dict[str, Any]:
    """How a file was made, empty where it does not say; ValueError as of `read`."""
    return _contents(path)[2]


def _contents(path: str | Path) -> tuple[str | None, Arrays, dict[str, Any]]:
    place, failure = locate(path), f"cannot read drift weights from {path}"
    try:
        content = io.BytesIO(place.read_bytes())
    except OSError as error:
        raise ValueError(f"{failure}: {error.strerror or error}") from error
    try:
        with np.load(content, allow_pickle=False) as data:
            found = {name: np.asarray(data[name]) for name in data.files}
    # Damage can come out of the zip archive, the decompression or the parser of NumPy's headers as
    # almost any exception; and NumPy's own message may advise to unpickle.
    except Exception as error:
        raise ValueError(f"{failure}: it is not such an npz file, or is damaged") from error
    texts, arrays = {}, {}
    for name, array in found.items():
        wanted, kinds = ("a text", "U") if name in _TEXTS else ("numbers", "fiub")
        if array.dtype.kind not in kinds or (name in _TEXTS and array.ndim > 0):
            raise ValueError(f"{failure}: {name} must be {wanted}")
        if name in _TEXTS:
            texts[name] = str(array)
        else:
            with np.errstate(over="ignore"):  # becomes infinite, which `read` refuses
                arrays[name] = array.astype(np.float32)
    try:
        note = json.loads(texts.get(_PROVENANCE, "{}"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{failure}: its provenance is not JSON") from error
    if not isinstance(note, dict):
        raise ValueError(f"{failure}: its provenance is no object")
    return texts.get(_ARCHITECTURE), arrays, note
