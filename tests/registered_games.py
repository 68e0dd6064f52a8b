"""Which of the registered environments are games."""

import jaxrl
from jaxrl import registry
from jaxrl.roles import is_game

# Those of other packages, and of families for a single agent, cost time to make.
_SINGLE = ("CrafterOO-", "ARCLE-", "Probe-", "brax/")


def _ours(env_id: str) -> bool:
    target = registry._ENVIRONMENTS[env_id].target
    return isinstance(target, str) and target.startswith("jaxrl.envs.")


GAMES = tuple(
    env_id
    for env_id in registry.environments()
    if _ours(env_id) and not env_id.startswith(_SINGLE) and is_game(jaxrl.make(env_id)[0])
)
