"""Who acts in a game, by name: roles stacked as in `jaxrl.multi_agent`, dictionaries as elsewhere.

The members of a stacked role "agents" are "agents_0", "agents_1", ...; who stands alone in a role
is called as it is.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxrl.roles import is_game
from jaxrl.spaces import Dict, Space

MASK = "action_mask"


class Agents:
    """The names of all who act in a game, and values by them.

    Attributes:
        names: of all, role after role.
        roles: the role of each, by its name.
    """

    def __init__(self, env: Any) -> None:
        """Names whoever acts in `env`.

        Raises:
            ValueError: not a game, a role of more than one axis, or two of one name.
        """
        if not is_game(env):
            name = getattr(env, "name", type(env).__name__)
            raise ValueError(f"{name} is not a game: it has no roles")
        self._members: dict[str, tuple[str, ...]] = {}
        self._alone: set[str] = set()
        self.roles: dict[str, str] = {}
        for role, shape in env.roles.items():
            if len(shape) > 1:
                raise ValueError(f"the role {role} has the shape {shape}; only one axis has names")
            members = tuple(f"{role}_{i}" for i in range(*shape)) if shape else (role,)
            if not shape:
                self._alone.add(role)
            for name in members:
                if name in self.roles:
                    raise ValueError(f"{name} would be somebody of two roles")
                self.roles[name] = role
            self._members[role] = members
        self.names = tuple(self.roles)

    def apart(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values by name of pytrees by role, whose leaves begin with the role's shape."""
        by_name = {}
        for role, members in self._members.items():
            for i, name in enumerate(members):
                whole = role in self._alone
                by_name[name] = values[role] if whole else _row(values[role], i)
        return by_name

    def together(
        self, values: Mapping[str, Any], stack: Callable[[list[Any]], Any]
    ) -> dict[str, Any]:
        """Values by role of pytrees by name; `stack` is `jnp.stack` or `np.stack`.

        Raises:
            ValueError: somebody's is missing, or there is one of somebody who is not in the game.
        """
        self.check(values)
        return {
            role: values[role]
            if role in self._alone
            else jax.tree.map(lambda *rows: stack(list(rows)), *[values[name] for name in members])
            for role, members in self._members.items()
        }

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises a `ValueError` unless there is an action for each, and for nobody else."""
        if not isinstance(values, Mapping):
            raise ValueError(f"actions must be a dict by agent, got a {type(values).__name__}")
        unknown = sorted(map(str, set(values) - set(self.names)))
        if unknown:
            known = ", ".join(self.names)
            raise ValueError(f"nobody is called {', '.join(unknown)}; the agents are {known}")
        missing = [name for name in self.names if name not in values]
        if missing:
            raise ValueError(f"no action for {', '.join(missing)}")

    def role(self, name: str) -> str:
        """The role of an agent; a `ValueError` that names all agents for one who is unknown."""
        if name not in self.roles:
            raise ValueError(f"nobody is called {name}; the agents are {', '.join(self.names)}")
        return self.roles[name]


def _row(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def has_mask(space: Space) -> bool:
    """Whether observations of this space have a mask of legal actions."""
    return isinstance(space, Dict) and MASK in space.spaces


def unmasked(obs: Any) -> Any:
    """An observation without its mask: the array itself where it is a single one, else a dict.

    What is no dictionary is as it is.
    """
    return _rest(obs) if isinstance(obs, Mapping) else obs


def unmasked_space(space: Space) -> Space:
    """The space of what `unmasked` gives."""
    if not isinstance(space, Dict):
        return space
    rest = _rest(space.spaces)
    return Dict(rest) if isinstance(rest, dict) else rest


def _rest(entries: Mapping[str, Any]) -> Any:
    rest = {name: value for name, value in entries.items() if name != MASK}
    return next(iter(rest.values())) if len(rest) == 1 else rest
