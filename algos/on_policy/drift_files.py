"""Files of learnt objectives: npz archives with arrays, an architecture and their provenance.

`architecture` names what can train with the file (an algorithm's name), `provenance` is JSON: what
made it, on which environments, and how well it did. Nothing is ever unpickled.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.algos.on_policy import pretrained

_ARCHITECTURE, _PROVENANCE = "architecture", "provenance"

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
    """Writes numbers as float32 arrays, and what they are."""
    record: dict[str, Any] = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    note = json.dumps(provenance or {}, allow_nan=False)
    # An open file: numpy would add .npz to a name without it.
    with Path(path).open("wb") as file:
        np.savez(file, **record, architecture=np.str_(architecture), provenance=np.str_(note))


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
    try:
        with np.load(locate(path), allow_pickle=False) as data:
            texts = {
                name: str(data[name]) for name in (_ARCHITECTURE, _PROVENANCE) if name in data.files
            }
            arrays = {
                name: np.asarray(data[name], np.float32) for name in data.files if name not in texts
            }
        note = json.loads(texts.get(_PROVENANCE, "{}"))
    except (OSError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise ValueError(f"cannot read drift weights from {path}: {error}") from error
    except ValueError as error:
        if str(error).startswith(("cannot read", "no drift")):
            raise
        raise ValueError(f"cannot read drift weights from {path}: not such an npz file") from error
    if not isinstance(note, dict):
        raise ValueError(f"cannot read drift weights from {path}: its provenance is no object")
    return texts.get(_ARCHITECTURE), arrays, note
