"""What a drift is judged by: whole trainings on one or several environments."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl import driver, registry
from jaxrl.algorithm import train
from jaxrl.chunks import all_finite
from jaxrl.config import ConfigError, RunConfig
from jaxrl.evaluation import evaluate, evaluation_key, random_act
from jaxrl.spaces import Discrete, MultiDiscrete

FINAL, AUC = "final", "auc"
BASELINE = "ppo"


class Task(NamedTuple):
    """An inner training.

    Attributes:
        run: its settings; `hp.objective` is where learning begins.
        setup: what they stand for.
    """

    run: RunConfig
    setup: driver.Setup


def make_task(run: RunConfig, learns: bool = True) -> Task:
    """The task of a `RunConfig`; ValueError where it cannot be run or `learns` no objective."""
    if learns and registry.algorithm(run.algorithm).learnt is None:
        raise ConfigError(f"{run.algorithm} has no learnt objective")
    return Task(run, driver.set_up(run))


def baseline(run: RunConfig) -> RunConfig:
    """The same training with PPO's objective, and the clipping range of its phi if it has one."""
    spec = registry.algorithm(BASELINE)
    theirs = {f.name: getattr(run.hp, f.name) for f in dataclasses.fields(run.hp)}
    phi = theirs.pop("objective")
    hp = spec.hyperparameters(**theirs)
    if hasattr(phi, "clip"):
        hp = hp.replace(objective=hp.objective.replace(clip=float(phi.clip)))
    return dataclasses.replace(run, algorithm=BASELINE, hp=hp)


def action_kind(task: Task) -> str:
    """`discrete` or `continuous`, as the policies of a task act."""
    space = task.setup.env.action_space(task.setup.env_params)
    return "discrete" if isinstance(space, Discrete | MultiDiscrete) else "continuous"


def check_action_kinds(tasks: list[Task], wanted: str | None = None) -> str:
    """The one kind of action of all tasks; ConfigError where they differ.

    Ratios of densities and of probabilities are distributed differently, so a population is for
    one of them.

    Args:
        tasks: at least one.
        wanted: the kind that the population was started with; that of the first task if None.
    """
    kind = wanted or action_kind(tasks[0])
    for task in tasks:
        if action_kind(task) != kind:
            raise ConfigError(
                f"{task.run.env} has {action_kind(task)} actions, the population was started with"
                f" {kind} ones"
            )
    return kind


def make_fitness(
    setup: driver.Setup, kind: str, episodes: int
) -> Callable[[jax.Array, Any], jax.Array]:
    """A training and its return as a pure function.

    Args:
        setup: of the training.
        kind: `final`, mean return of `episodes` whole episodes of the final policy, or `auc`, the
            area under the learning curve: the mean over updates of the mean return of the episodes
            that ended last. Updates before any episode ended do not count.
        episodes: whole episodes, see `final`.

    Returns:
        (key, phi) -> float32 []; NaN where a parameter is no longer finite or, for `auc`, where no
        episode ended.
    """
    if kind not in (FINAL, AUC):
        raise ConfigError(f"fitness must be {FINAL} or {AUC}, got {kind!r}")
    run, algorithm = train(setup.algorithm, setup.num_updates), setup.algorithm

    def fitness(key: jax.Array, phi: Any) -> jax.Array:
        hp = setup.hp.replace(objective=phi)
        state, metrics = run(key, hp)
        if kind == AUC:
            value = area_under_curve(metrics["episode_return"])
        else:
            key_play = evaluation_key(key, 0)
            carry = algorithm.initial_carry
            played = evaluate(
                setup.env, hp.env, algorithm.act, state.policy, key_play, episodes,
                initial_carry=carry,
            )  # fmt: skip
            value = jnp.mean(played.returns)
        learnt = (state.policy, getattr(state, "optimizer", ()))
        return jnp.where(all_finite(learnt), value, jnp.nan)

    return fitness


def area_under_curve(returns: jax.Array) -> jax.Array:
    """Mean of [N] values, where NaN stands for the value before it; NaN if all are."""

    def step(last: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
        known = jnp.where(jnp.isnan(value), last, value)
        return known, known

    _, curve = jax.lax.scan(step, jnp.float32(jnp.nan), returns)
    return jnp.nanmean(curve)


def random_return(task: Task, key: jax.Array, episodes: int) -> jax.Array:
    """Mean return of `episodes` episodes of the uniform policy, []."""
    env, params = task.setup.env, task.setup.hp.env
    act = random_act(env, params)
    return jnp.mean(evaluate(env, params, act, (), key, episodes).returns)
