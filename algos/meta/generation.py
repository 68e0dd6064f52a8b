"""One generation of evolution as a pure function: ask, train everybody, tell."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import Mesh

from jaxrl.algos.meta.population import Fitness, on_mesh, score
from jaxrl.algos.meta.strategies import Strategy
from jaxrl.dtypes import strong


class MetaState(struct.PyTreeNode):
    """Everything a meta-training is: a checkpoint of it goes on bit for bit.

    Attributes:
        strategy: of the evolution strategy, its optimiser included.
        key: of the next generation.
        generation: int32 [], generations done.
        random: what the random policy scores on each task, float32 [T].
        baseline: what PPO scores there, float32 [T].
    """

    strategy: Any
    key: jax.Array
    generation: jax.Array
    random: jax.Array
    baseline: jax.Array


class Generation(NamedTuple):
    """The programs of a meta-training.

    Attributes:
        init: (key, weights, random [T], baseline [T]) -> state.
        step: state -> (state, metrics), jitted: one generation without a word to the host.
            Metrics: `fitness` [P] (1 is PPO, 0 the random policy; NaN where it failed), `returns`
            [T] (means over members and seeds), `failed`, `sigma`, `weight_norm`, `step_norm`.
    """

    init: Callable[..., MetaState]
    step: Callable[[MetaState], tuple[MetaState, dict[str, jax.Array]]]


def make_generation(
    strategy: Strategy,
    replace: Callable[[Any], Any],
    tasks: Sequence[Fitness],
    seeds: int,
    group: int,
    mesh: Mesh | None = None,
) -> Generation:
    """The programs for a strategy and its tasks.

    Args:
        strategy: over the weights.
        replace: weights -> phi.
        tasks: what members are judged by.
        seeds: S, trainings of each member on each task. All members have the same keys.
        group: see `jaxrl.algos.meta.population`.
        mesh: devices with an axis `population`, or None.
    """

    def init(key: jax.Array, weights: Any, random: jax.Array, baseline: jax.Array) -> MetaState:
        key_strategy, key = jax.random.split(key)
        state = MetaState(strategy.init(key_strategy, weights), key, jnp.int32(0), random, baseline)
        return strong(state)

    def step(state: MetaState) -> tuple[MetaState, dict[str, jax.Array]]:
        key_ask, key_tell, key_inner, key = jax.random.split(state.key, 4)
        population, asked = strategy.ask(key_ask, state.strategy)
        keys = jax.random.split(key_inner, (len(tasks), seeds))
        scores = score(tasks, jax.vmap(replace)(population), keys, group, mesh)
        fitness = normalised(scores, state.random, state.baseline)
        told = strategy.tell(key_tell, population, fitness, asked)
        before, after = strategy.mean(state.strategy), strategy.mean(told)
        metrics = {
            "fitness": fitness,
            "returns": jnp.nanmean(scores, axis=(1, 2)),
            "failed": jnp.sum(~jnp.isfinite(fitness), dtype=jnp.int32),
            "sigma": strategy.sigma(asked),
            "weight_norm": optax.tree.norm(after),
            "step_norm": optax.tree.norm(jax.tree.map(jnp.subtract, after, before)),
        }
        done = state.replace(strategy=told, key=key, generation=state.generation + 1)
        return strong(done), metrics

    return Generation(init, on_mesh(step, mesh))


def normalised(scores: jax.Array, random: jax.Array, baseline: jax.Array) -> jax.Array:
    """Fitness [P]: mean over tasks and seeds of (score - random) / (PPO's - random).

    `scores` is [T, P, S]. A member one of whose trainings failed is NaN as a whole.
    """
    scale = (baseline - random)[:, None, None]
    return jnp.mean((scores - random[:, None, None]) / scale, axis=(0, 2))
