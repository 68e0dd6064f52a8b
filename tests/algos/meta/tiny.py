"""The smallest trainings, for tests of what is made of many of them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxrl import parallel, registry
from jaxrl.algos.meta import generation, strategies, tasks
from jaxrl.algos.on_policy.types import Config
from jaxrl.config import RunConfig
from jaxrl.networks import NetworkConfig

CONFIG = Config(
    num_envs=4, num_steps=8, num_epochs=2, num_minibatches=2, network=NetworkConfig(hidden=(8,))
)
UPDATES = 4


def run_config(algorithm="lpo", env="CartPole-v1", config=CONFIG, updates=UPDATES, **hp):
    """Four updates of 32 steps, unless said otherwise."""
    return RunConfig(
        algorithm=algorithm,
        env=env,
        env_overrides=(),
        seeds=1,
        seed=0,
        total_steps=updates * config.batch_size,
        config=config,
        hp=registry.algorithm(algorithm).hyperparameters(**({"lr": 0.01} | hp)),
    )


def training_generation(mesh, group=2):
    """(a generation of four members with two trainings of LPO each, its state)."""
    task = tasks.make_task(run_config())
    learnt = registry.algorithm("lpo").learnt
    phi = learnt.start(jax.random.key(0), 4)
    weights = learnt.weights(phi)
    evolution = strategies.Evolution(population=4, sigma=0.3)
    programs = generation.make_generation(
        strategies.make_strategy(evolution, weights),
        lambda w: learnt.replace(phi, w),
        [tasks.make_fitness(task.setup, tasks.AUC, 4)],
        seeds=2,
        group=group,
        mesh=mesh,
    )
    state = programs.init(jax.random.key(3), weights, jnp.zeros(1), jnp.ones(1))
    if mesh is not None:
        state = parallel.place(state, NamedSharding(mesh, PartitionSpec()))
    return programs, state


def numbers(tree):
    """The leaves as NumPy arrays, keys too."""
    return [
        np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
        for x in jax.tree.leaves(tree)
    ]
