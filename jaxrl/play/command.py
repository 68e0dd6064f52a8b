"""What `jaxrl play` does."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tyro

from jaxrl import registry
from jaxrl.config import parse_overrides
from jaxrl.options import CACHE, ENV_OVERRIDES, Flag, UsageError, option, parse
from jaxrl.play import terminal, web
from jaxrl.play.controls import PlayError
from jaxrl.play.game import Game
from jaxrl.play.record import Record, Recorder, read_record

_Positional: Any = tyro.conf.Positional
_PORT = 8000


def options() -> type:
    """The options of `jaxrl play`."""
    record = "write the seed and every move, as JSON lines"
    replay = "first make the moves of a recorded game; ENV and the seed are the file's"
    fields: list[Any] = [
        ("env", _Positional[option(str, "id of an environment", "ENV")], ""),
        ("web", option(Flag, "in a web page that only this machine can open"), False),
        ("port", option(int | None, f"of the page, 0 for any; by default {_PORT}", "INT"), None),
        ("seed", option(int | None, "seed of the game; by default 0", "INT"), None),
        ("record", option(Path | None, record, "FILE"), None),
        ("overwrite", option(Flag, "replace the FILE of --record"), False),
        ("replay", option(Path | None, replay, "FILE"), None),
        ENV_OVERRIDES,
        CACHE,
    ]
    return dataclasses.make_dataclass("Play", fields, frozen=True)


def play(
    args: Sequence[str], compile_cache: Callable[[bool], None], say: Callable[[str], None]
) -> int:
    """Plays as the words of a command line say; returns the exit code.

    Raises:
        ValueError: in one line, what of it cannot be done.
    """
    asked = parse(options(), args, "jaxrl play", "Plays an environment by hand.")
    _check(asked)
    if not asked.web:
        terminal.check()
    compile_cache(not asked.no_cache)
    past = None if asked.replay is None else read_record(asked.replay)
    name, overrides, seed = _what(asked, past)
    game = Game(name, overrides, seed)
    server = web.Server(game, _PORT if asked.port is None else asked.port) if asked.web else None
    # Not before now: what cannot be played leaves no file.
    if asked.record is not None:
        game.recorder = Recorder(asked.record, name, overrides, seed, asked.overwrite)
    say(f"compiling {name}; what was compiled before is quick")
    game.prepare()
    if past is not None:
        game.replay(past)
    if server is None:
        terminal.play(game)
    else:
        web.play(server, say)
    print(f"{name}: step {game.step}, return {game.total:.4g}")
    if game.recorder is not None:
        game.recorder.close()
        print(f"written: {asked.record}")
    return 0


def _check(asked: Any) -> None:
    """What can be said before anything is read or made."""
    if asked.port is not None and not asked.web:
        raise UsageError("--port is for --web")
    if asked.overwrite and asked.record is None:
        raise UsageError("--overwrite is for --record")
    if asked.replay is None and not asked.env:
        raise UsageError("expected: jaxrl play ENV [options]; jaxrl envs lists what ENV can be")
    if asked.replay is not None and (asked.env_overrides or asked.seed is not None):
        raise UsageError("a replay has the seed and the parameters of its file")
    if asked.record is not None and asked.record == asked.replay:
        raise UsageError("--record and --replay name the same file")


def _what(asked: Any, past: Record | None) -> tuple[str, dict[str, Any], int]:
    """Environment, overrides and seed."""
    if past is None:
        return asked.env, dict(parse_overrides(asked.env_overrides)), asked.seed or 0
    if asked.env and asked.env != past.env:
        raise PlayError(f"{asked.replay} is a game of {past.env}, not of {asked.env}")
    # "module:attribute" imports and calls whatever it names, which a file must not choose.
    if not asked.env and past.env not in registry.environments():
        raise PlayError(
            f"{asked.replay} is a game of {past.env!r}, which is not one of ours: name it as ENV if"
            " its code may run"
        )
    return past.env, dict(past.env_overrides), past.seed
