"""State fidelity: how much of a predicted state has to be mended to get the true one.

The raw edit distance is the number of operations (add, remove, replace; RFC 6902) of a JSON patch
that turns one state's JSON tree into the other's, lists compared by position; normalised, it is
divided by the number of leaves of the true state's tree. A state holds no randomness, so that there
is none to leave out. Objects are members named by their id, so that a missing one does not displace
the others, and one that comes or goes is one operation.

Source: OneLife (arXiv 2510.12088), RFC 6902.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.evaluation.canonical import HostState, canonical
from jaxrl.envs.crafter_oo.state import WorldState


def state_tree(state: WorldState) -> dict[str, Any]:
    """A state as nested dicts and lists of numbers, names and booleans."""
    host = canonical(state)
    player = host.player
    body = ("x", "y", "sleeping", "hunger", "thirst", "fatigue", "recover", "last_health")
    return {
        "time": host.time.item(),
        "materials": [[c.MATERIALS[cell] for cell in column] for column in host.materials],
        "player": {
            **{name: getattr(player, name).item() for name in body},
            "facing": int(player.facing),
            "action": c.ACTIONS[player.action],
            "inventory": dict(zip(c.ITEMS, player.items.tolist(), strict=True)),
            "achievements": dict(zip(c.ACHIEVEMENTS, player.unlocked.tolist(), strict=True)),
        },
        "objects": _objects(host),
        "next_id": host.next_id.item(),
        "chunk_order": host.chunk_order.tolist(),
        "overflow": host.overflow.item(),
    }


def edit_distance(predicted: Any, true: Any) -> int:
    """Operations of a JSON patch from one tree to the other; lists are compared by position."""
    if isinstance(predicted, Mapping) and isinstance(true, Mapping):
        shared = predicted.keys() & true.keys()
        alone = len(predicted.keys() ^ true.keys())
        return alone + sum(edit_distance(predicted[name], true[name]) for name in shared)
    if _is_list(predicted) and _is_list(true):
        pairs = zip(predicted, true, strict=False)
        surplus = abs(len(predicted) - len(true))
        return surplus + sum(edit_distance(first, second) for first, second in pairs)
    # In JSON a number is no truth value.
    alike = isinstance(predicted, bool) == isinstance(true, bool) and predicted == true
    return 0 if alike else 1


def leaves(tree: Any) -> int:
    """The number of leaves of a tree; an empty dict or list has none."""
    if isinstance(tree, Mapping):
        return sum(map(leaves, tree.values()))
    if _is_list(tree):
        return sum(map(leaves, tree))
    return 1


def fidelity(predicted: WorldState, true: WorldState) -> tuple[int, float]:
    """(raw, normalised) edit distance of a predicted state."""
    goal = state_tree(true)
    raw = edit_distance(state_tree(predicted), goal)
    return raw, raw / leaves(goal)


def _objects(state: HostState) -> dict[str, Any]:
    objects = state.objects
    tree = {}
    for slot in np.flatnonzero(objects.kind):
        kind = c.KINDS[objects.kind[slot]]
        record: dict[str, Any] = {"kind": kind}
        record |= {name: int(getattr(objects, name)[slot]) for name in ("x", "y", "health")}
        if kind in c.COUNTERS:
            record[c.COUNTERS[kind]] = int(objects.counter[slot])
        if kind == "arrow":
            record["facing"] = int(objects.facing[slot])
        tree[str(int(objects.id[slot]))] = record
    return tree


def _is_list(tree: Any) -> bool:
    return isinstance(tree, Sequence) and not isinstance(tree, str)
