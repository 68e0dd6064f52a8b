"""Drifts that were trained here and ship with the package, one npz file each.

`jaxrl train lpo ENV --phi pretrained/NAME` uses one; `names` lists them, and each file says how it
was made (`jaxrl.algos.on_policy.drift_files.provenance`).
"""

from pathlib import Path

PREFIX = "pretrained"
_FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The shipped drifts, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.npz")))


def path(name: str) -> Path:
    """The file of a shipped drift.

    Raises:
        ValueError: there is none of that name; the message names those there are.
    """
    if name not in names():
        there = ", ".join(names()) or "none"
        raise ValueError(f"no drift {name!r} ships with jaxrl; there are: {there}")
    return _FOLDER / f"{name}.npz"
