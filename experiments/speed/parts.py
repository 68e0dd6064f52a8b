"""Where an update's time goes: milliseconds of the rollout, of the epochs, of shuffling alone.

    python experiments/speed/parts.py

Each part is a compiled loop over many updates by itself, so the parts need not add up to the whole.
"""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from run import NUM_EPOCHS, STUDIES

import jaxrl
from jaxrl.benchmark import compiled, seconds_in_turn, write_record

import jax  # isort: skip
import jax.numpy as jnp  # isort: skip

UPDATES = {"CartPole-v1": 300, "Breakout-MinAtar": 30}
REPEATS = 5


def parts(env_id: str) -> tuple[dict[str, Callable], Any]:
    """Name -> (state, hp, key) -> what one update does of it, and the first arguments."""
    from jaxrl.algos.on_policy import loop, optimise, rollout
    from jaxrl.algos.on_policy.objectives import ppo_clip
    from jaxrl.algos.on_policy.types import stateless
    from jaxrl.networks import make_net
    from jaxrl.permutation import permutations

    study = STUDIES[env_id]
    spec = jaxrl.registry.algorithm("ppo")
    env, params = jaxrl.make(env_id)
    config = study.config(spec)
    hp = jaxrl.canonical(spec.hyperparameters(lr=study.lr, entropy_coef=0.01, env=params))
    algorithm = spec.make(env, params, config)
    net = make_net(env.observation_space(params), env.action_space(params), config.network)
    collect = rollout.make_rollout(jaxrl.VecEnv(env, config.num_envs), net, config)
    scale = loop.standardize_minibatch
    learn = optimise.make_optimise(net, stateless(ppo_clip), scale, optimise.adam, config)
    state = jax.jit(algorithm.init)(jax.random.key(0), hp)
    _, trajectory, _ = jax.jit(collect)(jax.random.key(1), state, hp)

    def epochs(state: Any, hp: Any, key: jax.Array) -> Any:
        return learn(key, state, trajectory, *loop.gae(trajectory, hp), hp)

    def shuffled(order: jax.Array, state: Any) -> Any:
        return state.replace(update=state.update + order[0, -1]), ()

    def by_pairs(state: Any, hp: Any, key: jax.Array) -> Any:
        keys = jax.random.split(key, NUM_EPOCHS)
        draw = jax.vmap(lambda key: jax.random.permutation(key, config.batch_size))
        return shuffled(draw(keys), state)

    def by_numbers(state: Any, hp: Any, key: jax.Array) -> Any:
        return shuffled(permutations(key, NUM_EPOCHS, config.batch_size), state)

    named = {
        "whole update": lambda state, hp, key: algorithm.step(state, hp),
        "rollout": lambda state, hp, key: collect(key, state, hp)[::2],
        "epochs": epochs,
        "shuffling": by_numbers,
        "shuffling by jax.random.permutation": by_pairs,
    }
    return named, (state, hp)


def measure(env_id: str) -> dict[str, float]:
    """Milliseconds an update of each part, medians."""
    named, (state, hp) = parts(env_id)

    def repeated(part: Callable) -> Callable:
        def run(state: Any, hp: Any, key: jax.Array) -> Any:
            keys = jax.random.split(key, UPDATES[env_id])
            state, metrics = jax.lax.scan(lambda s, k: part(s, hp, k), state, keys)
            return jax.tree.map(jnp.sum, (state.policy, state.update)), metrics

        return run

    first = (state, hp, jax.random.key(2))
    programs = {name: compiled(repeated(part), *first)[0] for name, part in named.items()}
    inputs = [(state, hp, jax.random.key(3 + i)) for i in range(REPEATS + 1)]
    times = seconds_in_turn(programs, inputs)
    return {
        name: round(1000 * statistics.median(values) / UPDATES[env_id], 3)
        for name, values in times.items()
    }


if __name__ == "__main__":
    path = Path(__file__).parent / "results" / "parts.json"
    results = {env_id: measure(env_id) for env_id in STUDIES}
    write_record(path, "python experiments/speed/parts.py", results, unit="ms an update")
