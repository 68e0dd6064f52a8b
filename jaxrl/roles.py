"""What can be asked of the roles of a game (`jaxrl.multi_agent`), given any environment.

Imports nothing, so that what reads metrics and logs does not load environments.
"""

import math
from collections.abc import Mapping
from typing import Any

Shape = tuple[int, ...]


def is_game(env: Any) -> bool:
    """Whether an environment is for several agents."""
    return isinstance(getattr(env, "roles", None), Mapping)


def require_single(env: Any, what: str, instead: str) -> None:
    """Raises ValueError where something for a single agent is given a game.

    Args:
        env: an environment.
        what: is for one agent.
        instead: what a game's user should do.
    """
    if is_game(env):
        raise ValueError(
            f"{env.name} is a game of several agents ({', '.join(env.roles)}) and {what} is for"
            f" one: {instead}"
        )


def leading_role(env: Any) -> str:
    """The role whose mean return stands for that of the game where one number is wanted."""
    return next(iter(env.roles))


def members(shape: Shape) -> int:
    """How many act in a role of this shape."""
    return math.prod(shape)
