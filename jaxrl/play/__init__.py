"""Playing an environment by hand: `jaxrl play`, in the terminal or in a local web page.

What an environment needs for it: discrete actions, or a number and a box of cells (`Board`), a
frame (`jaxrl.rendering`), and, to be played with keys that say something, `Controls`:

- `register_controls(pattern, make)`, where `pattern` is an id, or has * and ?, and `make(env,
  params)` gives the `Controls`.

Any other environment of at most 34 discrete actions is played with digits and letters.
"""

from jaxrl.play.board import Board, Pad
from jaxrl.play.controls import Controls, Entry, PlayError, Section, register_controls
from jaxrl.play.game import Game

__all__ = ["Board", "Controls", "Entry", "Game", "Pad", "PlayError", "Section", "register_controls"]
