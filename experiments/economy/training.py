"""Agents and planner learning together: tax systems, and what they do to an economy.

    python experiments/economy/training.py [--seeds 0 1 2 3] [--systems none saez learned ...]

Phase 1: agents learn in the free market while the cost of labour grows, with the episodes, from
nothing to 92% of it. Phase 2: from the same agents, all systems get the same further steps, with
the full cost of labour, and the highest rate opens with the episodes, as in the paper. The planner
of "learned" learns from the beginning of phase 2. That of "learned-later" first draws its rates at
random, so that agents learn what to do at any rates before it learns what they do; the paper has a
bonus for entropy that falls to this end. Everything else is the paper's scenario: 25 x 25 tiles in
quadrants, 4 agents of fixed skills, 1,000 steps, tax periods of 100.

Equality, productivity (all coin at the end) and their product are means over the episodes that
ended in the last part of phase 2. Writes results/training.json and pictures after each run; runs
that are there with the same settings are kept.

Source: Zheng et al. (2020), arXiv 2004.13332; there phase 1 takes 25 million steps and phase 2 up
to 400 million.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxrl
from jaxrl import registry
from jaxrl.algos.multi_agent.types import RoleConfig, RoleHyperparameters, records_of
from jaxrl.benchmark import write_record
from jaxrl.networks import NetworkConfig
from jaxrl.summary import over_seeds

RESULTS = Path(__file__).parent / "results"
SYSTEMS = ("none", "us-federal", "saez", "learned", "learned-later")
LATER = 3 / 8  # part of phase 2 before which the planner of "learned-later" draws rates at random
MEASURED = ("equality", "productivity", "equality_times_productivity", "utility", "labor")
ALSO = ("houses", "trades")
TAXES = "PeriodicBracketTax"


def build(args: argparse.Namespace, system: str, phase: int) -> tuple[Any, Any, Any]:
    """The environment, the algorithm and its hyperparameters."""
    env, params = jaxrl.make(
        "GatherTradeBuild-v1",
        tax=system.removesuffix("-later"),
        annealing="episodes",
        labor_annealing=args.annealing if phase == 1 else 0.0,
    )
    if phase == 2 and args.tax_annealing:
        taxes = params.rules[TAXES].replace(
            annealing_warmup=-1.0, annealing_slope=args.tax_annealing
        )
        params = params.replace(rules={**params.rules, TAXES: taxes})
    updates = args.phase1 if phase == 1 else args.phase2
    roles = tuple(env.roles)
    make_config, make_hp = records_of(roles)
    agents = RoleConfig(
        num_epochs=args.epochs if phase == 1 else args.epochs2,
        num_minibatches=args.minibatches,
        normalize_observation=True,
        normalize_reward=True,
        network=NetworkConfig(hidden=(128, 128), activation="relu", shared_torso=True),
    )
    planner = RoleConfig(
        num_epochs=6,
        num_minibatches=1,  # 32 decisions
        normalize_observation=True,
        normalize_reward=True,
        network=NetworkConfig(hidden=(64, 64)),
    )
    lr = args.lr if phase == 1 else args.lr2
    hps = {
        "agents": RoleHyperparameters(
            lr=lr, lr_final=0.3, gamma=0.995, gae_lambda=0.95, entropy_coef=args.entropy
        ),
        "planner": RoleHyperparameters(
            lr=args.planner_lr,
            lr_final=0.3,
            gamma=0.999,  # taxes come 100 steps after their rates
            gae_lambda=0.999,
            entropy_coef=0.01,
            start_update=round(LATER * updates) if system == "learned-later" else 0,
        ),
    }
    configs = {"agents": agents, "planner": planner}
    config = make_config(
        num_envs=args.envs, num_steps=args.steps, **{role: configs[role] for role in roles}
    )
    hp = make_hp(horizon=updates, env=params, **{role: hps[role] for role in roles})
    algorithm = registry.algorithm("ippo").make(env, params, config)
    return env, algorithm, jaxrl.canonical(hp)


class Training:
    """Trainings of one system, compiled once for all seeds."""

    def __init__(self, args: argparse.Namespace, system: str, phase: int):
        """Builds it; nothing is compiled yet."""
        self.system, self.phase = system, phase
        self.updates = args.phase1 if phase == 1 else args.phase2
        self.last = max(1, round(self.updates * args.last))
        _, algorithm, self.hp = build(args, system, phase)
        self.init = jax.jit(algorithm.init)

        def step(state: Any, hp: Any) -> tuple[Any, Any]:
            state, metrics = algorithm.step(state, hp)
            return state, {**metrics, "rates": _rates(state)}

        self.step = jax.jit(step)

    def run(self, seed: int, agents: Any = None) -> tuple[Any, dict[str, Any]]:
        """Trains; from the agents of phase 1, a policy, if there are any."""
        state = _staggered(self.init(jax.random.key(1000 * self.phase + seed), self.hp), self.hp)
        if agents is not None:
            state = state.replace(policy={**state.policy, "agents": agents})
        curve, rates = [], []
        started = time.perf_counter()
        for update in range(self.updates):
            state, metrics = self.step(state, self.hp)
            curve.append([float(metrics[f"episode/{name}"]) for name in (*MEASURED, *ALSO)])
            rates.append(np.asarray(metrics["rates"]))
            if update % 25 == 24:
                recent = np.nanmean(np.asarray(curve[-25:]), axis=0).round(2)
                print(self.system, f"seed {seed} update {update + 1}", recent, flush=True)
        ended = np.asarray(curve[-self.last :])
        return state.policy["agents"], {
            **dict(zip((*MEASURED, *ALSO), np.nanmean(ended, axis=0).tolist(), strict=True)),
            "rates": np.mean(rates[-self.last :], axis=0).tolist(),
            "curve": _every(np.asarray(curve), 10),
            "seconds": time.perf_counter() - started,
        }


def _staggered(state: Any, hp: Any) -> Any:
    """First episodes that are shorter by whole tax periods, so that later ones do not coincide.

    Else an update would see the same tenth of the episode in all environments, and learning would
    go from one tenth to the next.
    """
    world = state.env.env_state
    period = hp.env.rules[TAXES].period
    periods = hp.env.max_steps_in_episode // period
    number = jnp.arange(world.time.shape[0], dtype=jnp.int32)
    world = world.replace(time=number % periods * period)
    return state.replace(env=state.env.replace(env_state=world))


def _rates(state: Any) -> jax.Array:
    """Mean rates in force, by bracket."""
    own = state.env.env_state.own[TAXES]
    return jnp.mean(own.shown_rates[:, 0], axis=0)


def _every(curve: np.ndarray, width: int) -> list[list[float | None]]:
    """Means over `width` updates."""
    parts = [curve[i : i + width] for i in range(0, len(curve), width)]
    there = [np.isfinite(part).any() for part in parts]
    means = [np.nanmean(part, axis=0) for part, some in zip(parts, there, strict=True) if some]
    return [[round(float(x), 3) for x in row] for row in means]


def summary(runs: dict[str, Any]) -> dict[str, Any]:
    """Means and intervals over seeds by system, and how far each is above Saez, seed by seed."""
    found: dict[str, Any] = {}
    product = "equality_times_productivity"
    for system, by_seed in runs.items():
        rows = list(by_seed.values())
        found[system] = {
            name: over_seeds([row[name] for row in rows]) for name in (*MEASURED, *ALSO)
        }
        found[system]["rates"] = np.mean([row["rates"] for row in rows], axis=0).round(3).tolist()
        base = runs.get("saez", {})
        if system in SYSTEMS and set(by_seed) <= set(base):
            ratios = [
                row[product] / base[seed][product] - 1 if base[seed][product] else math.nan
                for seed, row in by_seed.items()
            ]
            found[system]["over_saez"] = over_seeds(ratios)
    return found


def draw(runs: dict[str, Any], path: Path) -> None:
    """Equality against productivity, a point a seed, and rates by bracket."""
    figure = Figure(figsize=(9, 4), dpi=110, layout="constrained")
    front, schedule = figure.subplots(1, 2)
    for system, by_seed in runs.items():
        rows = list(by_seed.values())
        x, y = ([row[name] for row in rows] for name in ("productivity", "equality"))
        points = front.scatter(x, y, label=system, alpha=0.7)
        mean = np.mean([row["rates"] for row in rows], axis=0)
        color = points.get_facecolor()[0]
        schedule.step(range(len(mean) + 1), [*mean, mean[-1]], where="post", color=color)
    front.set(xlabel="productivity (coin of all)", ylabel="equality")
    schedule.set(xlabel="bracket", ylabel="mean marginal rate", ylim=(-0.02, 1.02))
    front.legend(frameon=False)
    for axes in (front, schedule):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    """Trains what is asked for, one run after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--phase1", type=int, default=400, help="updates")
    parser.add_argument("--phase2", type=int, default=320, help="updates")
    parser.add_argument("--envs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--epochs2", type=int, default=2, help="of agents in phase 2")
    parser.add_argument("--minibatches", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--lr2", type=float, default=5e-4, help="of agents in phase 2")
    parser.add_argument("--planner-lr", type=float, default=2e-3)
    parser.add_argument("--entropy", type=float, default=0.02)
    parser.add_argument("--annealing", type=float, default=16.0, help="episodes, of phase 1")
    parser.add_argument(
        "--tax-annealing",
        type=float,
        default=0.1,
        help="the highest rate grows by it with an episode of phase 2; 0: it is 1 at once",
    )
    parser.add_argument("--last", type=float, default=0.25, help="part of phase 2 measured")
    parser.add_argument("--out", type=Path, default=RESULTS / "training.json")
    args = parser.parse_args()
    settings = {
        key: value for key, value in vars(args).items() if key not in ("systems", "out", "seeds")
    }
    args.out.parent.mkdir(exist_ok=True)
    first = Training(args, "none", 1)
    systems = {system: Training(args, system, 2) for system in args.systems}
    for seed in args.seeds:
        missing = [
            s for s in args.systems if str(seed) not in _known(args.out, settings).get(s, {})
        ]
        if not missing:
            continue
        agents, learned = first.run(seed)
        record = {"phase 1": {str(seed): learned}}
        for system in missing:
            record[system] = {str(seed): systems[system].run(seed, agents)[1]}
            # Another process may have added its own seeds in the meantime.
            runs = _known(args.out, settings)
            for name, by_seed in record.items():
                runs[name] = dict(sorted({**runs.get(name, {}), **by_seed}.items()))
            _write(args.out, runs, settings)
    _write(args.out, _known(args.out, settings), settings)


def _write(path: Path, runs: dict[str, Any], settings: dict[str, Any]) -> None:
    given = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in settings.items())
    command = f"python experiments/economy/training.py {given}"
    write_record(path, command, {"summary": summary(runs), "runs": runs}, settings=settings)
    draw({name: runs[name] for name in SYSTEMS if name in runs}, path.with_suffix(".png"))


def _known(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The runs that are there; ends the program if they have other settings."""
    if not path.is_file():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["settings"] != settings:
        raise SystemExit(f"{path} has runs with other settings: choose another --out")
    known: dict[str, Any] = record["results"]["runs"]
    return known


if __name__ == "__main__":
    main()
