"""How close do learned schedules come to the best there is, in the one-step economy?

    python experiments/economy/one_step.py [--parts search planner together]

Agents' best responses to taxes are known in closed form there, so that the best of the planner's
21^7 schedules can be searched for: rates of two brackets at a time, all 21 x 21 of them at once,
until no pair of brackets gains, from several random schedules. `planner` is PPO on the planner's
problem against these responses, `together` is `ippo`, where agents learn as well; what its planner
has learned is put before the best responses too. Of each seed the greedy schedule counts. Seeds
are others than those that the settings were chosen with.

Source: Zheng et al. (2021), arXiv 2108.02755; the settings of `OneStepEconomy-Planner-v1`.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxrl
from jaxrl import registry
from jaxrl.benchmark import write_record
from jaxrl.envs.economy.tax_planner import TaxPlanner
from jaxrl.evaluation import evaluate
from jaxrl.summary import over_seeds

OUT = Path(__file__).parent / "results" / "one_step.json"
PARTS = ("search", "planner", "together")
PLANNER, GAME = "OneStepEconomy-Planner-v1", "OneStepEconomy-v1"
ECONOMY = {"labor_exponent": 3.5, "labor_cost": 0.0005, "max_multiplier": 20.0}
EPISODES = 512  # of the sampled policies


def search(starts: int) -> dict[str, Any]:
    """The best schedule that ascents from random schedules find."""
    planner, params = _planner()
    brackets, rates = planner.num_actions, len(planner.economy.rate_choices)
    grid = jnp.stack(jnp.meshgrid(*2 * [jnp.arange(1, rates + 1)], indexing="ij"), -1)
    grid = grid.reshape(-1, 2)

    @jax.jit
    def of_pair(schedule: jax.Array, pair: jax.Array) -> tuple[jax.Array, jax.Array]:
        tried = jax.vmap(lambda two: schedule.at[pair].set(two))(grid)
        found = jax.vmap(lambda one: welfare(planner, params, one))(tried)
        best = jnp.argmax(found)
        return tried[best], found[best]

    pairs = [jnp.asarray(pair) for pair in itertools.combinations(range(brackets), 2)]
    ends = []
    for start in range(starts):
        schedule = jax.random.randint(jax.random.key(start), (brackets,), 1, rates + 1)
        value, gained = -np.inf, True
        while gained:
            gained = False
            for pair in pairs:
                tried, found = of_pair(schedule, pair)
                if float(found) > value:
                    schedule, value, gained = tried, float(found), True
        ends.append((value, np.asarray(schedule)))
        print("start", start, round(value, 3), _rates(planner, ends[-1][1]), flush=True)
    value, schedule = max(ends, key=lambda end: end[0])
    no_taxes = float(jax.jit(lambda x: welfare(planner, params, x))(jnp.ones(brackets, jnp.int32)))
    return {
        "best": value,
        "rates": _rates(planner, schedule),
        "without_taxes": no_taxes,
        "ends": [end[0] for end in ends],
    }


def learn_planner(seeds: list[int]) -> dict[str, Any]:
    """PPO against best responses: the welfare of each seed's greedy schedule."""
    planner, params = _planner()
    spec, preset = registry.preset("ppo", PLANNER)
    config = _with(preset.config, num_envs=64, num_steps=16, normalize_reward=True)
    updates = 200_000 // spec.steps_per_update(config)
    hp = preset.hp.replace(env=params, horizon=float(updates), entropy_coef=0.01, lr=0.001)
    algorithm = spec.make(planner, params, config)

    def chosen(policy: Any) -> tuple[jax.Array, dict[str, Any]]:
        obs = planner.reset_env(jax.random.key(0), params)[0]
        batch = jax.tree.map(lambda x: x[None], obs)
        return algorithm.act(policy, batch, (), None)[0][0], {}

    return _runs(algorithm, hp, updates, seeds, chosen)


def learn_together(seeds: list[int]) -> dict[str, Any]:
    """Agents and planner learning together: each seed's greedy schedule, before best responses."""
    env, params = jaxrl.make(GAME, **ECONOMY)
    spec, preset = registry.preset("ippo", GAME)
    updates = preset.total_steps // spec.steps_per_update(preset.config)
    hp = preset.hp.replace(env=params, horizon=float(updates))
    algorithm = spec.make(env, params, preset.config)

    def chosen(policy: Any) -> tuple[jax.Array, dict[str, Any]]:
        obs = env.reset_env(jax.random.key(0), params)[0]
        batch = jax.tree.map(lambda x: x[None], obs)
        schedule = algorithm.act(policy, batch, (), None)[0]["planner"][0]
        own = {}
        for name, episodes in (("greedy", 1), ("sampled", EPISODES)):
            key = jax.random.key(1)
            played = evaluate(
                env, params, algorithm.act, policy, key, episodes, greedy=name == "greedy"
            )
            own[f"welfare_with_learned_agents_{name}"] = float(
                played.metrics["social_welfare"].mean()
            )
        return schedule, own

    return _runs(algorithm, hp, updates, seeds, chosen)


def welfare(planner: TaxPlanner, params: Any, choices: jax.Array) -> jax.Array:
    """Social welfare where agents respond optimally to a schedule, int [B]; float32 []."""
    key = jax.random.key(0)
    state = planner.reset_env(key, params)[1]
    return planner.step_env(key, state, choices, params)[2]


def _runs(
    algorithm: Any,
    hp: Any,
    updates: int,
    seeds: list[int],
    chosen: Callable[[Any], tuple[jax.Array, dict[str, Any]]],
) -> dict[str, Any]:
    """Trains each seed; `chosen(policy)` is its schedule and what else is known of it."""
    planner, params = _planner()
    value = jax.jit(lambda schedule: welfare(planner, params, schedule))
    train = jax.jit(lambda key, hp: jaxrl.train(algorithm, updates)(key, hp)[0].policy)
    hp = jaxrl.canonical(hp)
    runs = {}
    for seed in seeds:
        started = time.perf_counter()
        policy = jax.block_until_ready(train(jax.random.key(seed), hp))
        schedule, own = chosen(policy)
        runs[str(seed)] = {
            "welfare": float(value(schedule)),
            "rates": _rates(planner, np.asarray(schedule)),
            **own,
            "seconds": round(time.perf_counter() - started, 1),
        }
        print("seed", seed, runs[str(seed)], flush=True)
    return {"updates": updates, "runs": runs}


def _planner() -> tuple[TaxPlanner, Any]:
    planner: Any
    planner, params = jaxrl.make(PLANNER)
    return planner, params


def _rates(planner: TaxPlanner, choices: np.ndarray) -> list[float]:
    """The schedule of choices; what is kept is the rate of the beginning, 0."""
    rates = np.asarray(planner.economy.rate_choices)[np.maximum(choices - 1, 0)]
    return [round(float(rate), 3) for rate in rates * (choices > 0)]


def _with(config: Any, **changes: Any) -> Any:
    return type(config)(**{**vars(config), **changes})


def _below(runs: dict[str, Any], best: float) -> dict[str, Any]:
    """Welfare over seeds, and by how many percent it is below the best.

    Each run is told what the best change of one bracket alone would bring.
    """
    planner, params = _planner()
    choices = np.asarray(planner.economy.rate_choices)
    of_all = jax.jit(jax.vmap(lambda schedule: welfare(planner, params, schedule)))
    for run in runs.values():
        schedule = 1 + np.abs(np.asarray(run["rates"])[:, None] - choices).argmin(axis=1)
        near = np.tile(schedule, (len(schedule), len(choices), 1))
        for bracket in range(len(schedule)):
            near[bracket, :, bracket] = 1 + np.arange(len(choices))
        changed = of_all(jnp.asarray(near.reshape(-1, len(schedule)), jnp.int32))
        run["welfare_one_bracket_changed"] = float(changed.max())
    values = [run["welfare"] for run in runs.values()]
    return {
        "welfare": over_seeds(values),
        "percent_below_best": over_seeds([100 * (1 - value / best) for value in values]),
    }


def main() -> None:
    """Does the parts that are asked for; other parts, and seeds, that are on record stay."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--starts", type=int, default=16, help="of the search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[4, 5, 6, 7], help="of planner")
    parser.add_argument(
        "--game-seeds", type=int, nargs="+", default=[4, 5, 6, 7], help="of together"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    found: dict[str, Any] = {}
    if args.out.is_file():
        found = json.loads(args.out.read_text(encoding="utf-8"))["results"]
    if "search" not in args.parts and "search" not in found:
        parser.error("what is learned is compared with the best: run the part 'search' first")
    learning = {
        "planner": (learn_planner, args.seeds),
        "together": (learn_together, args.game_seeds),
    }
    for part in (name for name in PARTS if name in args.parts):
        if part == "search":
            found[part] = search(args.starts)
        else:
            learn, seeds = learning[part]
            known = found.get(part, {}).get("runs", {})
            found[part] = learn([seed for seed in seeds if str(seed) not in known])
            found[part]["runs"] = known | found[part]["runs"]
        for name in PARTS[1:]:
            if name in found:
                found[name] |= _below(found[name]["runs"], found["search"]["best"])
        numbers = " ".join(map(str, args.seeds)), " ".join(map(str, args.game_seeds))
        command = "python experiments/economy/one_step.py"
        command += f" --starts {args.starts} --seeds {numbers[0]} --game-seeds {numbers[1]}"
        write_record(args.out, command, found)


if __name__ == "__main__":
    main()
