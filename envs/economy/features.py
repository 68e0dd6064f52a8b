"""Flat features: what components and the world show, by name, as columns in the order of names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.economy.components.component import Features
from jaxrl.envs.economy.state import COMMODITIES, State

Table = dict[str, jax.Array]
_SCALE = 0.01  # at which inventories are observed


class Columns(NamedTuple):
    """Features of the members of a role.

    Attributes:
        by_name: float [M] or [M, K] by name, in order.
        values: float [M, F], all of them side by side.
    """

    by_name: Table
    values: jax.Array


class Tables(NamedTuple):
    """All flat features.

    Attributes:
        agents: of each agent, N rows.
        planner: of each planner, P rows.
        by_agent: what planners see of each agent, N rows.
    """

    agents: Columns
    planner: Columns
    by_agent: Columns


def gather_features(economy: Any, state: Any, params: Any) -> Tables:
    """What an `economy.Economy` shows of a state; names are "Component-feature"."""
    agents, planner, by_agent = world_features(economy, state, params)
    planners = economy.setting.planners
    planner = {name: _repeated(value, planners) for name, value in planner.items()}
    for component in economy.components:
        shown: Features = component.observe(state, params.rules[component.name])
        prefix = f"{component.name}-"
        agents |= {prefix + name: value for name, value in shown.agents.items()}
        by_agent |= {prefix + name: value for name, value in shown.by_agent.items()}
        for name, value in shown.planner.items():
            own = name in shown.per_planner
            planner[prefix + name] = value if own else _repeated(value, planners)
    return Tables(
        _columns(agents, economy.agents, economy.dtype),
        _columns(planner, planners, economy.dtype),
        _columns(by_agent, economy.agents, economy.dtype),
    )


def world_features(economy: Any, state: State, params: Any) -> tuple[Table, Table, Table]:
    """What the world itself shows to agents, to planners, and to planners about agents."""
    dtype = economy.dtype
    goods = {"Coin": state.coin} | {
        name: state.units[i].astype(dtype) for i, name in enumerate(COMMODITIES)
    }
    owned = {f"world-inventory-{name}": value * _SCALE for name, value in goods.items()}
    height, width = economy.world.shape
    place = state.location.astype(dtype)
    where = {"world-loc-row": place[:, 0] / height, "world-loc-col": place[:, 1] / width}
    time = state.time.astype(dtype) / jnp.asarray(params.max_steps_in_episode, dtype)
    # A planner owns nothing, and the package says so.
    nothing = {name: jnp.zeros((), dtype) for name in owned}
    if economy.full_observability:
        # Nor does the package tell planners of agents that see everything what they own.
        agents, by_agent = owned, {}
    else:
        agents, by_agent = owned | where, owned | (where if economy.planner_maps else {})
    return (
        {**agents, "time": jnp.broadcast_to(time, (economy.agents,))},
        {**nothing, "time": time},
        by_agent,
    )


def column_names(table: Mapping[str, Any]) -> tuple[str, ...]:
    """A name for each column: that of the feature, with an index where it has several."""
    names = []
    for name in sorted(table):
        shape = table[name].shape
        names += [name] if len(shape) == 1 else [f"{name}/{i}" for i in range(shape[1])]
    return tuple(names)


def _columns(table: Table, rows: int, dtype: Any) -> Columns:
    ordered = {name: table[name] for name in sorted(table)}
    parts = [value[:, None] if value.ndim == 1 else value for value in ordered.values()]
    none = jnp.zeros((rows, 0), dtype)
    return Columns(ordered, jnp.concatenate([none, *parts], axis=1))


def _repeated(value: jax.Array, times: int) -> jax.Array:
    return jnp.broadcast_to(value, (times, *value.shape))
