"""What played episodes reached: in how many steps each case occurred."""

from collections import Counter

import numpy as np

from jaxrl.envs.arcle.operations import OperationSet
from tests.envs.arcle.lockstep import Episode, flat


def operation_counts(operations: OperationSet, episodes: list[Episode]) -> dict[str, int]:
    """Steps with each operation."""
    counts: Counter[int] = Counter()
    for episode in episodes:
        counts.update(episode.operations[: episode.length].tolist())
    return {name: counts[number] for number, name in enumerate(operations.names)}


def case_counts(operations: OperationSet, episodes: list[Episode]) -> dict[str, int]:
    """Steps in which something happened that is easily got wrong."""
    counts: Counter[str] = Counter()
    for episode in episodes:
        for name, happened in _cases(operations, episode).items():
            counts[name] += int(np.sum(happened))
    counts["exceptions of the reference"] = sum(bool(episode.raised) for episode in episodes)
    return dict(counts)


def _cases(operations: OperationSet, episode: Episode) -> dict[str, np.ndarray]:
    n = episode.length
    if n < 2:
        return {}
    states = flat(episode.states)
    after = {name: leaf[1:] for name, leaf in states.items()}
    before = {name: leaf[:-1] for name, leaf in states.items()}
    numbers, masks = episode.operations[1:n], episode.masks[1:n]
    names = np.asarray(operations.names)[numbers]
    some = masks.any(axis=(1, 2))
    h, w = before["grid_dim"].T
    side = np.arange(episode.side)
    outside = (side[None, :, None] >= h[:, None, None]) | (side[None, None, :] >= w[:, None, None])
    found = {
        "no selection": ~some,
        "selection beyond the grid": (masks & outside).any(axis=(1, 2)),
        "colours outside of the grid": ((after["grid"] != 0) & outside).any(axis=(1, 2)),
        "the grid changed": (after["grid"] != before["grid"]).any(axis=(1, 2)),
        "rewarded": episode.rewards[1:n] > 0,
        "after the end": episode.terminated[: n - 1],
        "restarted by a submit": np.char.equal(names, "Submit")
        & episode.reset_on_submit
        & (np.diff(episode.submit_counts) > 0),
        "trials passed from -128 to 127": (before["trials_remain"][:, 0] == -128)
        & (after["trials_remain"][:, 0] == 127),
    }
    if operations.floods:
        fills = np.char.startswith(names, "FloodFill")
        changed = (after["grid"] != before["grid"]).sum(axis=(1, 2))
        found |= {
            "flood of 2 cells or more": fills & (changed > 1),
            "flood of 100 cells or more": fills & (changed >= 100),
        }
    if operations.clipboard:
        found |= _clipboard_cases(episode, names, some, before)
    if operations.objects:
        found |= _object_cases(names, some, before, after)
    return found


def _clipboard_cases(
    episode: Episode, names: np.ndarray, some: np.ndarray, before: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    masks = episode.masks[1 : episode.length]
    rows, columns = masks.any(axis=2), masks.any(axis=1)
    first = np.stack([rows.argmax(axis=1), columns.argmax(axis=1)], axis=1)
    last = episode.side - 1 - np.stack([r[:, ::-1].argmax(axis=1) for r in (rows, columns)], axis=1)
    pastes = (names == "Paste") & some & (before["clip_dim"][:, 0] > 0)
    end = first + before["clip_dim"]
    dim = np.where((names == "CopyI")[:, None], before["input_dim"], before["grid_dim"])
    copies = np.isin(names, ["CopyI", "CopyO"]) & some
    beyond = (last - dim + 1).max(axis=1)
    return {
        "paste": pastes,
        "paste beyond the grid": pastes & (end > before["grid_dim"]).any(axis=1),
        "paste cut at the canvas": pastes & (end > episode.side).any(axis=1),
        "copy": copies & (beyond <= 0),
        "copy that reaches one beyond": copies & (beyond == 1),
        "copy refused": copies & (beyond > 1),
    }


def _object_cases(
    names: np.ndarray,
    some: np.ndarray,
    before: dict[str, np.ndarray],
    after: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    handles = np.char.startswith(names, "Move") | np.char.startswith(names, "Flip")
    rotates = np.char.startswith(names, "Rotate")
    acts = (handles | rotates) & (after["active"][:, 0] == 1)
    goes_on = acts & ~some
    pos, dim = after["object_pos"].astype(int), after["object_dim"].astype(int)
    shown = after["grid_dim"].astype(int)
    off = (pos < 0) | (pos + dim > shown)
    away = (pos + dim <= 0) | (pos >= shown)
    odd = rotates & acts & (dim[:, 0] % 2 != dim[:, 1] % 2)
    jump = np.abs(pos - before["object_pos"]).max(axis=1)
    return {
        "object lifted": acts & some,
        "object handled again": goes_on,
        "object partly off the grid": acts & off.any(axis=1) & ~away.any(axis=1),
        "object entirely off the grid": acts & away.any(axis=1),
        "object back from off the grid": goes_on
        & ~away.any(axis=1)
        & (
            (before["object_pos"] + before["object_dim"].astype(int) <= 0)
            | (before["object_pos"] >= shown)
        ).any(axis=1),
        "rotation of sides of different parity": odd,
        "the same, without a new selection": odd & ~some,
        "rotation where sums of positions wrap": rotates
        & goes_on
        & (np.abs(before["object_pos"] + 0.5) > 64).any(axis=1),
        "position wrapped": goes_on & handles & (jump > 100),
        "object with black cells": acts
        & ((after["object_sel"] != 0) & (after["object"] == 0)).any(axis=(1, 2)),
        "object operation without an object": (handles | rotates) & ~acts,
    }
