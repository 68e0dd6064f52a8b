"""From a `MetaConfig` to compiled programs: references, and a generation that fits into memory."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrl import hosts, parallel
from jaxrl.algos.meta.config import MetaConfig
from jaxrl.algos.meta.generation import Generation, MetaState, make_generation
from jaxrl.algos.meta.strategies import Strategy, make_strategy
from jaxrl.algos.meta.tasks import (
    Task,
    baseline,
    check_action_kinds,
    make_fitness,
    make_task,
    random_return,
)
from jaxrl.config import ConfigError
from jaxrl.memory import program_bytes
from jaxrl.statistics import bootstrap_interval
from jaxrl.sweep import memory

# Rows that are vectorised on a CPU, see experiments/meta_speed.
CPU_GROUP = 4
# Episodes of the random policy.
_RANDOM_EPISODES = 256
# Numbers that no split of a key reaches.
_RANDOM_STREAM, _BASELINE_STREAM = 0x72616E64, 0x70706F


class MetaSetup(NamedTuple):
    """What a `MetaConfig` stands for; nothing is compiled.

    Attributes:
        config: the configuration.
        tasks: its inner trainings.
        action_kind: of all tasks.
        start: phi where evolution starts, arrays.
        strategy: over the weights of phi.
    """

    config: MetaConfig
    tasks: tuple[Task, ...]
    action_kind: str
    start: Any
    strategy: Strategy

    @property
    def env_steps(self) -> int:
        """Environment steps of a generation's trainings, over all members, tasks and seeds."""
        each = sum(task.setup.num_updates * task.setup.steps_per_update for task in self.tasks)
        return each * self.config.evolution.population * self.config.seeds

    def phi(self, state: MetaState) -> Any:
        """The mean of the population."""
        return self.config.learnt.replace(self.start, self.strategy.mean(state.strategy))


class Compiled(NamedTuple):
    """The program of a generation.

    Attributes:
        step: state -> (state, metrics), see `Generation`.
        place: a state from anywhere, put where `step` wants it.
        compile_s: seconds of tracing and compiling.
        bytes: memory it takes, 0 where the backend does not tell.
        devices: that share it.
    """

    step: Callable[[MetaState], tuple[MetaState, dict[str, jax.Array]]]
    place: Callable[[MetaState], MetaState]
    compile_s: float
    bytes: int
    devices: int


def set_up(config: MetaConfig) -> MetaSetup:
    """Makes environments and algorithms.

    Raises:
        ValueError: whatever is wrong with the configuration, in one line.
    """
    tasks = tuple(make_task(run) for run in config.tasks)
    kind = check_action_kinds(list(tasks))
    start = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), config.start)
    strategy = make_strategy(config.evolution, config.learnt.weights(start))
    return MetaSetup(config, tasks, kind, start, strategy)


def references(setup: MetaSetup, devices: int | None = None) -> dict[str, Any]:
    """What the random policy and PPO score on each task, as JSON values.

    PPO has the same settings, inner budget and kind of fitness.

    Raises:
        ConfigError: PPO is not clearly better than the random policy: nothing can be normalised.
    """
    config = setup.config
    key = jax.random.key(config.seed)
    records = []
    for number, task in enumerate(setup.tasks):
        key_task = jax.random.fold_in(key, number)
        key_random = jax.random.fold_in(key_task, _RANDOM_STREAM)
        keys = jax.random.split(
            jax.random.fold_in(key_task, _BASELINE_STREAM), config.baseline_seeds
        )
        mesh = parallel.make_mesh(config.baseline_seeds, devices=devices)
        trained = make_task(baseline(task.run), learns=False)
        fitness = make_fitness(trained.setup, config.fitness, config.episodes)
        objective = trained.setup.hp.objective
        program = jax.jit(parallel.map_seeds(lambda k, f=fitness, o=objective: f(k, o), mesh=mesh))
        if mesh is not None:
            keys = parallel.place(keys, NamedSharding(mesh, PartitionSpec()))
        scores = np.asarray(parallel.gather(program(keys)), np.float64)
        random = float(random_return(task, key_random, _RANDOM_EPISODES))
        records.append(
            {"env": task.run.env, "random": random, "ppo": float(scores.mean()),
             "ppo_seeds": scores.tolist()}
        )  # fmt: skip
        _check_reference(task, records[-1])
    return {"fitness": config.fitness, "tasks": records}


def _check_reference(task: Task, record: dict[str, Any]) -> None:
    """Raises ConfigError unless PPO's 95% interval over seeds lies above the random policy."""
    random, ppo, seeds = record["random"], record["ppo"], np.asarray(record["ppo_seeds"])
    known = bool(np.isfinite(seeds).all())
    low, high = bootstrap_interval(seeds, np.mean) if known else (math.nan, math.nan)
    if not low > random:
        raise ConfigError(
            f"PPO scores {ppo:.4g} ({low:.4g} to {high:.4g}) on {task.run.env} in"
            f" {task.run.total_steps} steps and the random policy {random:.4g}:"
            " fitness cannot be normalised; give it more steps"
        )


def start_state(setup: MetaSetup, reference: dict[str, Any]) -> MetaState:
    """The state before the first generation."""
    known = [(task["random"], task["ppo"]) for task in reference["tasks"]]
    random, ppo = (jnp.asarray(values, jnp.float32) for values in zip(*known, strict=True))
    weights = setup.config.learnt.weights(setup.start)
    init = _generation(setup, 1, None).init
    return init(jax.random.key(setup.config.seed), weights, random, ppo)


def abstract_state(setup: MetaSetup) -> MetaState:
    """Shapes and dtypes of a state, without computing it."""
    numbers = jax.ShapeDtypeStruct((len(setup.tasks),), jnp.float32)
    weights = setup.config.learnt.weights(setup.start)
    init = _generation(setup, 1, None).init
    state: MetaState = jax.eval_shape(init, jax.random.key(0), weights, numbers, numbers)
    return state


def compile_generation(setup: MetaSetup, devices: int | None = None) -> Compiled:
    """Compiles the program of a generation.

    Args:
        setup: what to run; its `group` is what is vectorised.
        devices: of each process; all if None.
    """
    config = setup.config
    groups = -(-config.evolution.population * config.seeds // config.group)
    mesh = parallel.make_population_mesh(groups, devices)
    start = time.perf_counter()
    program = _lowered(setup, config.group, mesh).compile()
    seconds = time.perf_counter() - start

    def place(state: MetaState) -> MetaState:
        if mesh is None:
            return jax.device_put(state, jax.devices()[0])
        return parallel.place(state, NamedSharding(mesh, PartitionSpec()))

    used = 1 if mesh is None else mesh.size
    return Compiled(program, place, seconds, program_bytes(program) or 0, used)


def choose_group(setup: MetaSetup, memory_gib: float | None, devices: int | None = None) -> int:
    """How many rows to vectorise: a few on a CPU, on an accelerator as many as fit into memory.

    Args:
        setup: its `group` is not looked at.
        memory_gib: that a program may use; by default 80% of what is free.
        devices: of each process; all if None.

    Raises:
        SweepMemoryError: not even one row fits.
    """
    total = setup.config.evolution.population * setup.config.seeds
    count = (devices or jax.local_device_count()) * jax.process_count()
    sharing = count if jax.default_backend() == "cpu" else 1
    each = -(-total // count)
    most = min(CPU_GROUP, each) if jax.default_backend() == "cpu" else each

    def measure(rows: int) -> int:
        mesh = parallel.make_population_mesh(-(-total // rows), devices)
        return sharing * (program_bytes(_lowered(setup, rows, mesh).compile()) or 0)

    # Hosts differ in memory, their group must not: the one with the least decides.
    limit = min(hosts.from_all(memory.budget(memory_gib) // 2**20)) * 2**20
    return memory.choose_rows(most, 1, limit, measure)


def _lowered(setup: MetaSetup, group: int, mesh: Mesh | None) -> Any:
    return _generation(setup, group, mesh).step.lower(abstract_state(setup))  # type: ignore[attr-defined]


def _generation(setup: MetaSetup, group: int, mesh: Mesh | None) -> Generation:
    config = setup.config
    tasks = [make_fitness(task.setup, config.fitness, config.episodes) for task in setup.tasks]
    replace = partial(config.learnt.replace, setup.start)
    return make_generation(setup.strategy, replace, tasks, config.seeds, group, mesh)
