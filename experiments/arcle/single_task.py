"""One agent for one ARC task, from scratch: trained on its demonstrations, asked for its tests.

    python experiments/arcle/single_task.py [--tasks ID ...] [--seeds 2] [--updates 200]

For each of eight named training tasks of ARC-AGI-1, recurrent PPO with the operations on objects,
Submit and boxes (the box given the operation) on the smallest canvas. Episodes are demonstrations,
the reward is the change of the share of right cells, and 1 for the right submission, which ends an
episode. The agent sees what is selected and how large the grids are, but neither colours nor an
answer: with two to four demonstrations whose cells it could see (`--observe`) it learns these by
heart, while what makes these tasks is one rule for the whole grid. Then the greedy policy works on
the tests, with hidden answers and one submission, and the sampled policy with three.

Writes results/single_task.json.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxrl
from jaxrl.algos.on_policy.ppo import SPEC, PPOHyperparameters
from jaxrl.algos.on_policy.types import Config
from jaxrl.benchmark import write_record
from jaxrl.envs.arcle.datasets import load
from jaxrl.envs.arcle.evaluation import pass_at_k
from jaxrl.envs.arcle.operations import OBJECT_OPERATIONS
from jaxrl.envs.arcle.tasks import select
from jaxrl.networks import NetworkConfig

RESULTS = Path(__file__).parent / "results"
# What makes the output of the input.
TASKS = {
    "25ff71a9": "a move down by one cell",
    "3c9b0459": "half a turn",
    "6150a2bd": "half a turn",
    "67a3c6ac": "a flip left-right",
    "68b16354": "a flip up-down",
    "74dd1130": "a transposition",
    "9dfd6313": "a transposition",
    "ed36ccf7": "a quarter turn",
}
OPERATIONS = (*OBJECT_OPERATIONS, "Submit")
SOLVED = 99.5  # percent of the last 20 updates' episodes, at which training stops
OBSERVED = "input_dim,grid_dim,selected,active,object_dim,object_pos"


def make(task: str, args: argparse.Namespace, **options: Any) -> Any:
    """The environment of one task and its parameters."""
    only = select(load("arc1-training"), ids=[task])
    return jaxrl.make(
        "ARCLE-O2ARC-v2",
        dataset=only,
        canvas=only.tasks[0].size,
        observe=args.observe,
        operations=OPERATIONS,
        max_steps_in_episode=10,
        **options,
    )


def study(task: str, args: argparse.Namespace) -> dict[str, Any]:
    """Trains the seeds one after the other and evaluates each."""
    env, params = make(task, args, augment="colors", reward=args.reward)
    config = Config(
        num_envs=args.envs,
        num_steps=args.steps,
        num_epochs=4,
        num_minibatches=8,
        network=NetworkConfig(
            hidden=(args.width,),
            activation="relu",
            multi_discrete="conditional",
            recurrent="gru",
            recurrent_size=args.width,
        ),
    )
    algorithm = SPEC.make(env, params, config)
    hp = jaxrl.canonical(
        PPOHyperparameters(
            lr=args.lr,
            lr_final=0.1,
            horizon=args.updates,
            gamma=0.9,
            entropy_coef=args.entropy,
            env=params,
        )
    )
    init, step = jax.jit(algorithm.init), jax.jit(algorithm.step)
    seeds = []
    for seed in range(args.seeds):
        started = time.perf_counter()
        state, submitted = init(jax.random.key(seed), hp), []
        for update in range(args.updates):
            state, metrics = step(state, hp)
            submitted.append(float(metrics["episode/correct"]))
            recent = float(np.nanmean(submitted[-20:])) if any(submitted) else 0.0
            if update % 50 == 49:
                print(f"{task} seed {seed} update {update + 1}: {recent:.1f}% right", flush=True)
            if recent >= SOLVED and update >= 20:
                break
        seeds.append(
            {
                "updates": len(submitted),
                "training_percent_right": recent,
                "seconds": time.perf_counter() - started,
                **evaluate(task, args, algorithm, state.policy, seed),
            }
        )
        print(task, seed, seeds[-1], flush=True)
    return {"rule": TASKS.get(task, ""), "canvas": env.canvas, "seeds": seeds}


def evaluate(
    task: str, args: argparse.Namespace, algorithm: Any, policy: Any, seed: int
) -> dict[str, Any]:
    """What of the tests is solved: greedily at once, and sampled with three trials."""
    env, params = make(task, args, protocol="test")
    key = jax.random.key(1000 + seed)
    carry = algorithm.initial_carry(int(env.source.params.tests.count.sum()))
    greedy = pass_at_k(env, params, algorithm.act, policy, key, 1, carry, greedy=True)
    sampled = pass_at_k(env, params, algorithm.act, policy, key, 3, carry)
    return {
        "tests": len(greedy.ids),
        "greedy_pass_at_1": greedy.score(1)["tests"],
        "greedy_steps": greedy.steps.tolist(),
        "sampled_pass_at_3": sampled.score(3)["tests"],
    }


def main() -> None:
    """Runs the tasks asked for and writes what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--envs", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--entropy", type=float, default=0.003)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--observe", default=OBSERVED)
    parser.add_argument("--reward", default="progress")
    parser.add_argument("--out", type=Path, default=RESULTS / "single_task.json")
    args = parser.parse_args()
    results = {task: study(task, args) for task in args.tasks}
    solved = {
        task: sum(seed["greedy_pass_at_1"] == 1 for seed in result["seeds"])
        for task, result in results.items()
    }
    settings = {key: value for key, value in vars(args).items() if key not in ("tasks", "out")}
    given = " ".join(f"--{key} {value}" for key, value in settings.items())
    command = f"python experiments/arcle/single_task.py --tasks {' '.join(args.tasks)} {given}"
    write_record(
        args.out, command, {"seeds_that_solve_all_tests": solved, **results}, settings=settings
    )


if __name__ == "__main__":
    main()
