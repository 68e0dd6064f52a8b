"""How fast Gather-Trade-Build is here, in `ai-economist`, and beside EconoJax, in one run.

    python experiments/economy/speed.py REFERENCE [--econojax FOLDER --econojax-python PYTHON]

REFERENCE is the unpacked wheel of `ai-economist` 1.7.1 (see tests/envs/economy). Every measurement
is a process of its own, without a compile cache, and the sides take turns. The package steps one
environment on one core, which is all it does; ours is `jaxrl bench env` on all cores, with exact
resets. Both compute all observations and masks and take random actions of all there are.

EconoJax (github.com/ponseko/econojax) is measured in its own setting, 12 agents and a government,
and ours with 12 agents beside it. It has no map: no movement, no depletion, no houses. Other rows
are of ours alone. The machine should do nothing else.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BATCH = ["--batch", "1024", "--steps", "200", "--repeats", "3"]
OURS = {
    "4 agents": ["GatherTradeBuild-v1", *BATCH],
    "12 agents": ["GatherTradeBuild-v1", *BATCH, "--env-overrides", "agents=12"],
    "4 agents, free market": ["GatherTradeBuild-Open-v1", *BATCH],
    "4 agents, uniform maps": ["GatherTradeBuild-v1", *BATCH, "--env-overrides", "layout=uniform"],
}
RATIOS = {
    "4 agents / ai-economist": ("4 agents", "ai-economist", 100),
    "12 agents / EconoJax": ("12 agents", "EconoJax", None),
}


def package(folder: str, steps: int = 3000) -> dict[str, Any]:
    """Steps a second of one environment of the package; runs in its own process."""
    import numpy as np

    root = HERE.parents[1]
    sys.path.insert(0, str(root))
    from tests.envs.economy.record_reference import load

    foundation = load(folder)
    env = foundation.make_env_instance(
        scenario_name="layout_from_file/simple_wood_and_stone",
        components=[
            ("Build", {"skill_dist": "pareto", "payment_max_skill_multiplier": 3}),
            ("ContinuousDoubleAuction", {"max_num_orders": 5}),
            ("Gather", {"skill_dist": "pareto"}),
            ("PeriodicBracketTax", {}),
        ],
        n_agents=4,
        world_size=[25, 25],
        episode_length=1000,
        fixed_four_skill_and_loc=True,
        planner_gets_spatial_info=False,
        multi_action_mode_agents=False,
        multi_action_mode_planner=True,
        flatten_observations=True,
        flatten_masks=True,
    )
    random = np.random.default_rng(0)
    agents, planner = random.integers(0, 50, (steps, 4)), random.integers(0, 22, (steps, 7))
    rates = []
    for _ in range(3):
        env.reset()
        started = time.perf_counter()
        for step in range(steps):
            action = {str(i): int(agents[step, i]) for i in range(4)}
            _, _, done, _ = env.step({**action, "p": planner[step].tolist()})
            if done["__all__"]:
                env.reset()
        rates.append(steps / (time.perf_counter() - started))
    return {"median": statistics.median(rates), "all": rates}


def econojax(folder: str, batch: int = 1024, steps: int = 200) -> dict[str, Any]:
    """Steps a second of EconoJax's default economy, vmapped; runs in its own process."""
    sys.path.insert(0, folder)
    import jax
    from econojax import EconoJax

    env = EconoJax()
    space = env.action_space

    def sample(key: Any) -> Any:
        keys = jax.random.split(key, len(space))
        return {name: one.sample(k) for k, (name, one) in zip(keys, space.items(), strict=True)}

    def step(state: Any, key: Any) -> tuple[Any, Any]:
        key_act, key_env = jax.random.split(key)
        actions = jax.vmap(sample)(jax.random.split(key_act, batch))
        found, state = jax.vmap(env.step)(jax.random.split(key_env, batch), state, actions)
        total = sum(jax.numpy.sum(x) for x in jax.tree.leaves(found))
        return state, total

    run = jax.jit(lambda state, key: jax.lax.scan(step, state, jax.random.split(key, steps)))
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), batch))[1]
    started = time.perf_counter()
    jax.block_until_ready(run(state, jax.random.key(0)))
    first, rates = time.perf_counter() - started, []
    for i in range(3):
        started = time.perf_counter()
        jax.block_until_ready(run(state, jax.random.key(i)))
        rates.append(batch * steps / (time.perf_counter() - started))
    return {"median": statistics.median(rates), "all": rates, "first_call_s": first}


def main() -> None:
    """Measures in turns and writes results/speed.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", help="folder with ai_economist")
    parser.add_argument("--rounds", type=int, default=3, help="turns of all measurements")
    parser.add_argument("--econojax", help="folder of its repository")
    parser.add_argument("--econojax-python", default=sys.executable)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "speed.json")
    parser.add_argument("--only", choices=("package", "econojax"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        rates = package(args.reference) if args.only == "package" else econojax(args.econojax)
        print(json.dumps(rates))
        return
    this = [__file__, args.reference]
    from jaxrl import peers
    from jaxrl.benchmark import write_record

    ours = [sys.executable, "-m", "jaxrl", "bench", "env"]
    commands = {"ai-economist": [sys.executable, *this, "--only", "package"]}
    if args.econojax:
        other = [args.econojax_python, *this, "--econojax", args.econojax]
        commands["EconoJax"] = [*other, "--only", "econojax"]
    commands |= {name: [*ours, *words, "--no-cache"] for name, words in OURS.items()}
    found = peers.in_turns(commands, args.rounds)
    medians = peers.medians(found)
    ratios = {
        name: {"ratio": medians[mine] / medians[other], "asked": asked}
        for name, (mine, other, asked) in RATIOS.items()
        if other in medians
    }
    command = f"python experiments/economy/speed.py REFERENCE --rounds {args.rounds}"
    if args.econojax:
        command += " --econojax FOLDER --econojax-python PYTHON"
    results = {"ratios": ratios, "medians": medians}
    write_record(args.out, command, results, rounds=args.rounds, measurements=found)


if __name__ == "__main__":
    main()
