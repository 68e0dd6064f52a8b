"""All scenarios by name."""

from collections.abc import Iterable

from jaxrl.envs.crafter_oo.evaluation.further import FURTHER
from jaxrl.envs.crafter_oo.evaluation.published import PUBLISHED
from jaxrl.envs.crafter_oo.evaluation.scenario import Scenario
from jaxrl.registry import UnknownIdError, nearest

# Groups of scenarios by name, for the command line.
GROUPS = {"published": PUBLISHED, "further": FURTHER, "all": (*PUBLISHED, *FURTHER)}
_BY_NAME = {scenario.name: scenario for scenario in GROUPS["all"]}


def names() -> tuple[str, ...]:
    """The names of all scenarios, the published ones first."""
    return tuple(_BY_NAME)


def scenario(name: str) -> Scenario:
    """The scenario of that name; `UnknownIdError`, naming the nearest, for an unknown one."""
    if name not in _BY_NAME:
        near = nearest(name, (*_BY_NAME, *GROUPS))
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(_BY_NAME)}"
        raise UnknownIdError(f"unknown scenario {name!r}; {hint}")
    return _BY_NAME[name]


def select(wanted: Iterable[str]) -> tuple[Scenario, ...]:
    """The scenarios of these names and groups (`published`, `further`, `all`), each once."""
    chosen: dict[str, Scenario] = {}
    for name in wanted:
        for found in GROUPS.get(name) or (scenario(name),):
            chosen[found.name] = found
    return tuple(chosen.values())
