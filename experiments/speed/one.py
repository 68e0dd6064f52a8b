"""One measurement: `one.py jaxrl|purejaxrl ENV SEEDS PEER` prints seconds and the last return."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from run import NUM_EPOCHS, NUM_STEPS, STUDIES

import jaxrl

import jax  # isort: skip


def ours(env_id: str, seeds: int) -> tuple[Callable, Any, Callable]:
    """(program, its argument, metrics -> last return) of this package."""
    from jaxrl.algorithm import canonical, train
    from jaxrl.parallel import make_mesh, map_seeds

    study = STUDIES[env_id]
    spec = jaxrl.registry.algorithm("ppo")
    env, env_params = jaxrl.make(env_id)
    config = study.config(spec)
    updates = study.steps(seeds) // config.batch_size
    hp = spec.hyperparameters(
        lr=study.lr,
        lr_final=0.0,
        horizon=float(updates),
        entropy_coef=0.01,
        value_clip=0.2,
        env=env_params,
    )
    run = train(spec.make(env, env_params, config), updates)
    hp = canonical(hp)
    return (
        map_seeds(lambda key: run(key, hp)[1], mesh=make_mesh(seeds)),
        jax.random.split(jax.random.key(0), seeds),
        lambda metrics: np.nanmean(np.asarray(metrics["episode_return"])[:, -10:]),
    )


def theirs(env_id: str, seeds: int, clone: Path) -> tuple[Callable, Any, Callable]:
    """(program, its argument, metrics -> last return) of PureJaxRL."""
    import peer  # imports gymnax, which starts JAX

    study = STUDIES[env_id]
    config = {
        "LR": study.lr,
        "NUM_ENVS": study.num_envs,
        "NUM_STEPS": NUM_STEPS,
        "TOTAL_TIMESTEPS": study.steps(seeds),
        "UPDATE_EPOCHS": NUM_EPOCHS,
        "NUM_MINIBATCHES": study.num_minibatches,
        "GAMMA": 0.99,
        "GAE_LAMBDA": 0.95,
        "CLIP_EPS": 0.2,
        "ENT_COEF": 0.01,
        "VF_COEF": 0.5,
        "MAX_GRAD_NORM": 0.5,
        "ACTIVATION": study.activation,
        "ENV_NAME": env_id,
        "ANNEAL_LR": True,
        "DEBUG": False,
    }
    make_train = peer.load(clone)

    def last_return(out: Any) -> np.floating:
        info = {name: np.asarray(out["metrics"][name])[:, -10:] for name in _EPISODE}
        return np.mean(info["returned_episode_returns"][info["returned_episode"]])

    train = make_train(config)
    return jax.vmap(train), jax.random.split(jax.random.PRNGKey(0), seeds), last_return


_EPISODE = ("returned_episode", "returned_episode_returns")


def main() -> None:
    """Measures one side."""
    side, env_id, seeds, clone = sys.argv[1:]
    if side == "jaxrl":
        jaxrl.parallel.use_cpu_cores()  # as the command line does
    count = int(seeds)
    made = ours(env_id, count) if side == "jaxrl" else theirs(env_id, count, Path(clone))
    program, keys, last_return = made
    start = time.perf_counter()
    lowered = jax.jit(program).lower(keys)
    traced = time.perf_counter()
    compiled = lowered.compile()
    ready = time.perf_counter()
    out = jax.block_until_ready(compiled(keys))
    done = time.perf_counter()
    seconds = {"trace_s": traced - start, "compile_s": ready - traced, "run_s": done - ready}
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    wall = {"wall_s": round(done - start, 3)}
    print(json.dumps(rounded | wall | {"last_return": round(float(last_return(out)), 2)}))


if __name__ == "__main__":
    main()
