"""What an environment measures of an episode besides its return.

An environment says so by an optional method `episode_metrics(info) -> dict`, float32 [] by name,
of the `info` of the last step of an episode. Training logs the mean of each over the episodes that
ended as the metric "episode/NAME"; evaluation reports it over the episodes it played. What follows
from such means (a benchmark's score) is the optional `episode_summary(means) -> dict`, and what
others reached is the optional `episode_references() -> dict`, numbers by name and by metric. What
a reader must know before believing in such means is the optional `episode_warnings(means) -> list`
of lines.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.roles import is_game, leading_role

PREFIX = "episode/"
# Means over the episodes that ended; NaN in an update in which none did.
_ALWAYS = ("episode_return", "episode_length")


def is_episode_metric(name: str) -> bool:
    """Whether a metric is a mean over ended episodes, and NaN where none ended."""
    return name in _ALWAYS or name.startswith(PREFIX)


def measured(env: Any, info: Any) -> dict[str, jax.Array]:
    """The environment's own metrics of N episodes, float32 [N] each; empty where it has none.

    Args:
        env: an environment as of `jaxrl.make`.
        info: its own info of one step, leaves [N, ...] (`info["env"]` of `VecEnv.step`).
    """
    measure = getattr(env, "episode_metrics", None)
    if measure is None:
        return {}
    return {name: x.astype(jnp.float32) for name, x in jax.vmap(measure)(info).items()}


def by_role(env: Any, returns: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The returns of N episodes as one number each, and by role where there are roles.

    Args:
        env: an environment as of `jaxrl.make`.
        returns: float32 [N]; of a game by role, float32 [N, *role shape].

    Returns:
        Float32 [N], of a game the mean over the members of its first role, and for each role
        "ROLE/return", the mean over its members, float32 [N].
    """
    if not is_game(env):
        return returns, {}
    rows = {role: x.reshape((x.shape[0], -1)) for role, x in returns.items()}
    means = {role: jnp.mean(rows[role], axis=1) for role in env.roles}
    return means[leading_role(env)], {f"{role}/return": x for role, x in means.items()}


def summary(env: Any, means: Mapping[str, float]) -> dict[str, float]:
    """What the environment makes of the means over episodes; empty where it makes nothing."""
    known = bool(means) and all(math.isfinite(mean) for mean in means.values())
    summarise = getattr(env, "episode_summary", None)
    return dict(summarise(means)) if known and summarise is not None else {}


def warnings(env: Any, means: Mapping[str, float]) -> list[str]:
    """What the environment warns of, given the means over episodes, a line each."""
    warn = getattr(env, "episode_warnings", None)
    return list(warn(means)) if means and warn is not None else []


def references(env: Any) -> dict[str, dict[str, float]]:
    """What others reached: name -> metric (own ones and those of the summary) -> number."""
    known = getattr(env, "episode_references", None)
    return {} if known is None else {name: dict(numbers) for name, numbers in known().items()}


def of_training(env: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over all episodes that ended in training, by seed; empty without own metrics.

    Under "warnings" what the environment warns of, where it does.

    Args:
        env: an environment as of `jaxrl.make`.
        rows: of metrics.jsonl.
    """
    names = [name for name in (rows[0] if rows else ()) if name.startswith(PREFIX)]
    record: dict[str, Any] = {}
    for seed in sorted({row["seed"] for row in rows}) if names else ():
        own = [row for row in rows if row["seed"] == seed and row["episodes"] > 0]
        weights = np.asarray([row["episodes"] for row in own], np.float64)

        def mean(name: str, own: Any = own, weights: Any = weights) -> float:
            values = np.asarray([row[name] for row in own], np.float64)
            return float(np.average(values, weights=weights)) if own else math.nan

        means = {name.removeprefix(PREFIX): mean(name) for name in names}
        record[str(seed)] = {
            "episodes": int(weights.sum()),
            "mean_return": mean("episode_return") if own else None,
            "metrics": means if own else {},
            "summary": summary(env, means),
        }
        if own and (found := warnings(env, means)):
            record[str(seed)]["warnings"] = found
    return record
