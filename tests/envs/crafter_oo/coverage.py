"""What happened in an episode of the reference, by name, to say what was compared."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.daylight import _LIGHT, DAY
from jaxrl.envs.crafter_oo.state import WorldState
from tests.envs.crafter_oo.lockstep import Episode

_COOLDOWN = 5
_FULL = {"zombie": 5, "skeleton": 3, "cow": 3}  # health
# Every name that `events` can give beside the achievements.
EVENTS = (
    *("night", "asleep at night", "woken by harm", "bitten", "bitten asleep", "shot"),
    *("health lost by need", "health won", "no food", "no drink", "no energy"),
    *("lava", "lava survived", "death", "plant destroyed", "arrow broke a table"),
    *("arrow flew", "arrow gone", "creature hit by an arrow"),
    *(f"{kind} {what}" for kind in ("zombie", "skeleton", "cow") for what in ("came", "went")),
    *("chunk opened", "killed creature acted"),
)


def coverage(episodes: Iterable[Episode]) -> dict[str, int]:
    """In how many episodes each achievement and each of `EVENTS` occurred."""
    count = Counter(name for episode in episodes for name in events(episode))
    return {name: count[name] for name in (*c.ACHIEVEMENTS, *EVENTS)}


def events(episode: Episode) -> set[str]:
    """The achievements unlocked and the events that occurred."""
    unlocked = episode.states[-1].player.unlocked
    found = {name for name, times in zip(c.ACHIEVEMENTS, unlocked, strict=True) if times}
    for before, after, tape in zip(
        episode.states[:-1], episode.states[1:], episode.tapes, strict=True
    ):
        found |= _of_player(before, after)
        found |= _of_objects(before, after)
        gone = set(tape.objects) - set(after.objects.id.tolist())
        if gone and not tape.balance:
            found.add("killed creature acted")
    return found


def _of_player(before: WorldState, after: WorldState) -> set[str]:
    old, new = before.player, after.player
    woke = old.sleeping and not new.sleeping
    wake_up = c.achievement("wake_up")
    dark = _LIGHT[int(after.time) % DAY] < 0.5
    on_lava = after.materials[new.x, new.y] == c.material("lava")
    table = (before.materials == c.material("table")) & (after.materials == c.material("path"))
    happened = {
        "night": dark,
        "asleep at night": dark and new.sleeping,
        "woken by harm": woke and new.unlocked[wake_up] == old.unlocked[wake_up],
        "health lost by need": old.recover < -14 and new.recover == 0,
        "health won": old.recover > 23 and new.recover == 0,
        "no food": new.items[c.item("food")] == 0,
        "no drink": new.items[c.item("drink")] == 0,
        "no energy": new.items[c.item("energy")] == 0,
        "lava": on_lava,
        "lava survived": on_lava and new.items[0] > 0,
        "death": new.items[0] == 0,
        "arrow broke a table": table.any(),
        "chunk opened": (after.chunk_order >= 0).sum() > (before.chunk_order >= 0).sum(),
    }
    return {name for name, did in happened.items() if did}


def _of_objects(before: WorldState, after: WorldState) -> set[str]:
    found = set()
    old = {int(row[0]): row for row in _rows(before)}
    new = {int(row[0]): row for row in _rows(after)}
    player = after.player
    for number, (_, kind, x, y, health, counter, facing) in old.items():
        name = c.KINDS[kind]
        now = new.get(number)
        if name == "zombie" and now is not None and counter == 0 and now[5] == _COOLDOWN:
            found |= {"bitten", "bitten asleep"} if before.player.sleeping else {"bitten"}
        if name == "arrow" and now is not None and (now[2], now[3]) != (x, y):
            found.add("arrow flew")
        if name == "arrow" and now is None:
            dx, dy = c.DIRECTIONS[facing]
            hit = (x + dx, y + dy) == (player.x, player.y)
            found.add("shot" if hit else "arrow gone")
        if name == "plant" and now is None:
            found.add("plant destroyed")
        if name in _FULL and now is None and after.time % 10 == 0 and health == _FULL[name]:
            found.add(f"{name} went")
        ahead = tuple(c.DIRECTIONS[before.player.facing] + (player.x, player.y))
        if name in _FULL and now is not None and now[4] == health - 2 and ahead != (x, y):
            found.add("creature hit by an arrow")
    for number in new.keys() - old.keys():
        name = c.KINDS[new[number][1]]
        if name in _FULL:
            found.add(f"{name} came")
    return found


def _rows(state: WorldState) -> np.ndarray:
    """Id, kind, x, y, health, counter, facing of each object, int [M, 7]."""
    fields = (getattr(state.objects, name) for name in _FIELDS)
    rows = np.stack([np.asarray(field, np.int64) for field in fields], axis=1)
    return rows[state.objects.id > 0]


_FIELDS = ("id", "kind", "x", "y", "health", "counter", "facing")
