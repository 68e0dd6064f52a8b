"""The folder of a run: what is in it, who may write into it, and files that appear whole.

config.json               the configuration, written first; a folder with one is a run folder
metrics.jsonl             one line for each logged update and seed
checkpoints/              one folder for each checkpoint, named by its update
curve.png                 learning curve
summary.json              versions, device, compile and run seconds, final returns
evaluation.json           the last `jaxrl evaluate`: what came of it
evaluation_episodes.json  and every episode that it played
episode.gif, .mp4, .html  the last `jaxrl render`, where no other file was asked for
tensorboard/              event files, with --tensorboard
phi.npz, drift.png        of a meta-training: the drift and its picture
references.json           and what its fitness is measured by
wandb/, wandb.json        what W&B keeps, and the ids of its runs, with --wandb
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

CONFIG = "config.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
CURVE = "curve.png"
SUMMARY = "summary.json"
EVALUATION = "evaluation.json"
EPISODES = "evaluation_episodes.json"
FILM = "episode"
TENSORBOARD = "tensorboard"
PHI = "phi.npz"
DRIFT = "drift.png"
REFERENCES = "references.json"
# What config.json says it is, where it is not that of a training.
META_TRAINING = "meta-training"
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
    EPISODES,
    *(f"{FILM}{ending}" for ending in (".gif", ".mp4", ".html")),
    TENSORBOARD,
    PHI,
    DRIFT,
    REFERENCES,
    WANDB,
    WANDB_IDS,
    _LOCK,
)
_WRITING = ".writing"


class RunFolderError(ValueError):
    """A folder that cannot be used as asked; the message is one line."""


class WriteError(OSError):
    """A file of a run cannot be written; says which one and why in one line."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError into a WriteError that names `path`."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        failure = WriteError(f"cannot write {path}: {error.strerror or error}")
        failure.errno = error.errno
        raise failure from error


def as_name(env_id: str) -> str:
    """The id of an environment as part of a file's name: `/` and `:` become `-`."""
    return env_id.replace("/", "-").replace(":", "-")


def check_free(folder: Path, overwrite: bool) -> None:
    """Raises RunFolderError unless a new run may be written to `folder`; changes nothing.

    It may when the folder does not exist or is empty, or with `overwrite` when it is a run folder.
    What a run leaves that could not even write its configuration counts as nothing.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is a file, not a folder")
    if is_empty(folder, CONFIG):
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


def is_empty(folder: Path, first: str) -> bool:
    """Whether nothing is in `folder`, but for a lock and what became of writing the file `first`.

    Args:
        folder: a folder.
        first: name of the file that is written first; where it is whole the folder is not empty.
    """
    leftovers = (_LOCK, _temporary(folder / first).name)
    return all(entry.name in leftovers for entry in folder.iterdir())


def clear(folder: Path) -> None:
    """Makes `folder`, or removes what an earlier run wrote into it and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    remove(folder, [name for name in _OURS if name != _LOCK])


def remove(folder: Path, names: Sequence[str]) -> None:
    """Removes files and folders of these names, the first of them last.

    The first is what makes `folder` what it is, so that a removal that is interrupted leaves a
    folder that can still be told from somebody else's.
    """
    for name in reversed(names):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def require_run(folder: Path) -> None:
    """Raises RunFolderError unless `folder` is a run folder."""
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is not a folder")
    if not (folder / CONFIG).is_file():
        raise RunFolderError(f"{folder} is not a run folder (it has no {CONFIG})")


def kind(folder: Path) -> str | None:
    """META_TRAINING, or None for a training; RunFolderError unless `folder` is a run folder."""
    require_run(folder)
    try:
        record = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # whoever reads it next says what is wrong with it
    found = record.get("kind") if isinstance(record, dict) else None
    return found if isinstance(found, str) else None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Callable[[], None]]:
    """Holds `folder` for this process; RunFolderError if another process trains in it.

    The lock goes with the process, also when it is killed. Yields a function that raises
    RunFolderError where the folder is not the one that was locked any more: deleted, moved away
    or replaced. An open file would go on taking lines that nobody will ever see.
    """
    path = folder / _LOCK
    with contextlib.ExitStack() as stack:
        with writing(path):
            file = stack.enter_context(path.open("w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(f"another process is training in {folder}") from None

        def check() -> None:
            try:
                same = os.path.samestat(os.stat(path), os.fstat(file.fileno()))
            except FileNotFoundError:
                same = False
            if not same:
                raise RunFolderError(f"stopped: {folder} was deleted or replaced while training")

        yield check


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that it is there with all of `content`, or is as it was before.

    Raises:
        WriteError: it cannot be written; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = _temporary(path)
    with writing(path):
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}{_WRITING}")


def write_json(path: Path, record: Any) -> None:
    """`write_whole` of strict, indented JSON."""
    write_whole(path, json.dumps(record, indent=2, allow_nan=False) + "\n")
