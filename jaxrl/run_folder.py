"""The folder of a run: what is in it, who may write into it, and files that appear whole.

config.json      the configuration, written first; a folder with one is a run folder
metrics.jsonl    one line for each logged update and seed
checkpoints/     one folder for each checkpoint, named by its update
curve.png        learning curve
summary.json     versions, device, compile and run seconds, final returns
evaluation.json  the last `jaxrl evaluate`
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONFIG = "config.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
CURVE = "curve.png"
SUMMARY = "summary.json"
EVALUATION = "evaluation.json"
TENSORBOARD = "tensorboard"
WANDB = "wandb"
WANDB_IDS = "wandb.json"
_LOCK = ".lock"
_OURS = (
    CONFIG,
    METRICS,
    CHECKPOINTS,
    CURVE,
    SUMMARY,
    EVALUATION,
    TENSORBOARD,
    WANDB,
    WANDB_IDS,
    _LOCK,
)


class RunFolderError(ValueError):
    """A folder that cannot be used as asked; the message is one line."""


def check_free(folder: Path, overwrite: bool) -> None:
    """Raises RunFolderError unless a new run may be written to `folder`; changes nothing.

    It may when the folder does not exist or is empty, or with `overwrite` when it is a run folder.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is a file, not a folder")
    if not any(folder.iterdir()):
        return
    if not overwrite:
        raise RunFolderError(
            f"{folder} exists and is not empty; choose another --out, add --overwrite,"
            f" or continue it with: jaxrl resume {folder}"
        )
    if not (folder / CONFIG).is_file():
        raise RunFolderError(
            f"{folder} is not a run folder (it has no {CONFIG}), so --overwrite leaves it alone"
        )


def clear(folder: Path) -> None:
    """Makes `folder`, or removes what an earlier run wrote into it and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    # The configuration goes last: a removal that is interrupted still leaves a run folder.
    for name in reversed(_OURS):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif name != _LOCK:
            path.unlink(missing_ok=True)


def require_run(folder: Path) -> None:
    """Raises RunFolderError unless `folder` is a run folder."""
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is not a folder")
    if not (folder / CONFIG).is_file():
        raise RunFolderError(f"{folder} is not a run folder (it has no {CONFIG})")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds `folder` for this process; RunFolderError if another process trains in it.

    The lock goes with the process, also when it is killed.
    """
    with (folder / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(f"another process is training in {folder}") from None
        yield


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that it is there with all of `content`, or is as it was before."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.writing")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path: Path, record: Any) -> None:
    """`write_whole` of strict, indented JSON."""
    write_whole(path, json.dumps(record, indent=2, allow_nan=False) + "\n")
