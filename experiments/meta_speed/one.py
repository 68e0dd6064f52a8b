"""One measurement of run.py, in a process of its own: prints a line of JSON.

A fresh process per side, so that neither shares compiled programs or threads with the other.
"""

import argparse
import dataclasses
import json
import time
from functools import partial

from jaxrl import parallel, registry
from jaxrl.config import RunConfig

STEPS, POPULATION = 200_000, 32
# The CartPole of PureJaxRL, whose kernels are small, and our preset of larger minibatches.
SETTINGS = {
    "small": dict(num_envs=4, num_steps=128, num_epochs=4, num_minibatches=4),
    "preset": {},
}


def task_run(setting: str, steps: int) -> RunConfig:
    """The inner training."""
    import jax

    spec, preset = registry.preset("lpo", "CartPole-v1")
    objective = spec.learnt.start(jax.random.key(0))
    return RunConfig(
        algorithm="lpo",
        env="CartPole-v1",
        env_overrides=(),
        seeds=1,
        seed=0,
        total_steps=steps,
        config=dataclasses.replace(preset.config, **SETTINGS[setting]),
        hp=preset.hp.replace(objective=objective),
    )


def main() -> None:
    """Times what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", choices=("loop", "generation"))
    parser.add_argument("--setting", choices=SETTINGS, default="small")
    parser.add_argument("--group", type=int, default=4)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    if args.side == "generation":
        parallel.use_cpu_cores()  # as `jaxrl meta-train` does
    import jax

    run = task_run(args.setting, args.steps)
    measure = {"loop": loop, "generation": generation}[args.side]
    call, compile_s, env_steps = measure(run, args.group)
    seconds = []
    for _ in range(args.repeats):
        start = time.perf_counter()
        value = jax.block_until_ready(call())
        seconds.append(round(time.perf_counter() - start, 3))
    best = max(float(x) for x in jax.numpy.ravel(jax.numpy.asarray(value)))
    record = {"side": args.side, "setting": args.setting, "group": args.group,
              "compile_s": round(compile_s, 2), "run_s": seconds, "env_steps": env_steps,
              "devices": jax.device_count(), "best": best}  # fmt: skip
    print(json.dumps(record))


def _setup(run: RunConfig, group: int):
    from jaxrl.algos.meta.config import MetaConfig
    from jaxrl.algos.meta.programs import set_up
    from jaxrl.algos.meta.strategies import Evolution

    evolution = Evolution(population=POPULATION)
    return set_up(MetaConfig((run,), evolution, generations=1, group=group))


def loop(run: RunConfig, group: int):
    """A Python loop over 32 calls of one jitted training: a population with what anybody has."""
    import jax

    from jaxrl.algos.meta.tasks import make_fitness

    setup = _setup(run, group)
    fitness = make_fitness(setup.tasks[0].setup, "auc", 1)
    key = jax.random.key(1)
    population, _ = setup.strategy.ask(
        jax.random.key(2), setup.strategy.init(key, setup.config.learnt.weights(setup.start))
    )
    phis = jax.vmap(partial(setup.config.learnt.replace, setup.start))(population)
    members = [jax.tree.map(lambda leaf, i=i: leaf[i], phis) for i in range(POPULATION)]
    start = time.perf_counter()
    program = jax.jit(fitness).lower(key, members[0]).compile()
    compile_s = time.perf_counter() - start
    return lambda: [program(key, phi) for phi in members], compile_s, setup.env_steps


def generation(run: RunConfig, group: int):
    """One generation as `jaxrl meta-train` computes it, evolution included."""
    import jax.numpy as jnp

    from jaxrl.algos.meta.programs import compile_generation, start_state

    setup = _setup(run, group)
    reference = {"tasks": [{"random": 0.0, "ppo": 500.0}]}
    compiled = compile_generation(setup)
    state = compiled.place(start_state(setup, reference))

    def call():
        metrics = compiled.step(state)[1]
        return jnp.asarray(metrics["fitness"]) * 500.0

    return call, compiled.compile_s, setup.env_steps


if __name__ == "__main__":
    main()
