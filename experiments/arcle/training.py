"""The paper's simplified setting: which policy paints a given answer, and how soon.

    python experiments/arcle/training.py [--variants ...] [--size 3] [--seeds 2] [--updates 150]

Grids of size x size cells with random colours; the agent sees the grid and the answer and paints
boxes with one of the ten colours (or the first `--colors`). Episodes have `--horizon` steps, the
reward after each is [solved] - the share of wrong cells; success is that the grid was the answer at
some step. `--data arc` takes the pairs of ARC-AGI-1's training tasks that fit instead.

    plain            operation and box at once, PPO alone
    aux              the same with the three auxiliary losses
    conditional      the box given the operation, PPO alone
    conditional+aux  with the auxiliary losses (the paper's sequential policy)
    equivariant+aux  with colours that no weight belongs to

Writes results/training_<data>_<size>.json and a picture of success over environment steps, after
each variant; those that are there with the same settings are kept.

Source: Lee et al. (2024), arXiv 2407.20806, sec. 4; hyperparameters of its public code are gamma
0.9, lambda 0.95, clip 0.1, 16 epochs, learning rate 3e-5. Here the learning rate is larger and the
epochs are fewer, for a budget of minutes on a CPU.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxrl
from jaxrl.algos.on_policy.grid_losses import next_grid, previous_reward, reward
from jaxrl.algos.on_policy.ppo import PPOHyperparameters, ppo_with
from jaxrl.algos.on_policy.types import Config
from jaxrl.benchmark import write_record
from jaxrl.networks import NetworkConfig
from jaxrl.networks.cells import CellActorCritic, Grid, Operation
from jaxrl.summary import over_seeds

RESULTS = Path(__file__).parent / "results"
OBSERVED = "grid,grid_dim,answer,answer_dim"
MEASURED = ("episode/solved", "episode/right_share", "episode_return", "entropy")


class Variant(NamedTuple):
    """A policy and what is learnt besides."""

    conditional: bool = False
    equivariant: bool = False
    auxiliary: bool = False


VARIANTS = {
    "plain": Variant(),
    "aux": Variant(auxiliary=True),
    "conditional": Variant(conditional=True),
    "conditional+aux": Variant(conditional=True, auxiliary=True),
    "equivariant+aux": Variant(conditional=True, equivariant=True, auxiliary=True),
}


def build(args: argparse.Namespace, variant: Variant) -> tuple[Any, Any]:
    """The algorithm and its hyperparameters."""
    options: dict[str, Any] = {"dataset": "random", "canvas": args.size}
    if args.data == "arc":
        options |= {"dataset": "arc1-training", "max_size": args.size}
    env, params = jaxrl.make(
        "ARCLE-O2ARC-v2",
        **options,
        operations=[f"Color{color}" for color in range(args.colors)],
        observe=OBSERVED,
        reward="mismatch",
        max_steps_in_episode=args.horizon,
    )
    if args.data == "random":
        # Black is a colour too.
        params = params.replace(tasks=params.tasks.replace(colors=jnp.int32(args.colors - 1)))
    auxiliary = (previous_reward(), reward(), next_grid(size="grid_dim"))
    terms = auxiliary if variant.auxiliary else ()
    network = CellActorCritic(
        choices=env.action_space(params).nvec,
        grids=(Grid("grid", "grid_dim"), Grid("answer", "answer_dim")),
        conditional=variant.conditional,
        equivariant=variant.equivariant,
        operations=tuple(Operation(0, color) for color in range(args.colors)),
        predicts=tuple(term.name for term in terms),
        dim=args.dim,
        layers=args.layers,
    )
    config = Config(
        num_envs=args.envs,
        num_steps=args.steps,
        num_epochs=args.epochs,
        num_minibatches=args.minibatches,
        normalize_reward=True,
        network=NetworkConfig(
            multi_discrete="conditional" if variant.conditional else "independent"
        ),
    )
    hp = PPOHyperparameters(
        lr=args.lr,
        lr_final=0.1,
        horizon=args.updates,
        gamma=0.9,
        gae_lambda=0.95,
        entropy_coef=args.entropy,
        auxiliary={term.name: args.weight for term in terms},
        env=params,
    )
    algorithm = ppo_with(terms).make(env, params, config, network)
    return algorithm, jaxrl.canonical(hp)


def train(args: argparse.Namespace, name: str) -> dict[str, Any]:
    """Success and return by update for each seed, and the time taken."""
    algorithm, hp = build(args, VARIANTS[name])
    init, step = jax.jit(algorithm.init), jax.jit(algorithm.step)
    curves, took = [], []
    for seed in range(args.seeds):
        state = init(jax.random.key(seed), hp)
        curve = []
        state, metrics = step(state, hp)
        started = time.perf_counter()
        for update in range(1, args.updates):
            state, metrics = step(state, hp)
            curve.append([float(metrics[name]) for name in MEASURED])
            if update % 25 == 0:
                recent = np.nanmean(np.asarray(curve[-25:]), axis=0)
                print(name, f"seed {seed}", f"update {update}", recent.round(3), flush=True)
        took.append(time.perf_counter() - started)
        curves.append(curve)
    solved = np.asarray(curves)[:, :, 0]
    last = max(1, args.updates // 20)
    smooth = [_smoothed(row, last) for row in solved]
    return {
        "solved_percent_last": over_seeds([float(np.nanmean(row[-last:])) for row in solved]),
        "solved_percent_last_by_seed": [float(np.nanmean(row[-last:])) for row in solved],
        "solved_percent_peak_by_seed": [float(np.nanmax(row)) for row in smooth],
        "seconds_by_seed": took,
        "curve_by_seed": [[round(float(x), 2) for x in row] for row in smooth],
    }


def _smoothed(row: np.ndarray, width: int) -> np.ndarray:
    """Running means over `width` updates, those without an ended episode left out."""
    there = np.isfinite(row)
    kernel = np.ones(width)
    total = np.convolve(np.where(there, row, 0), kernel, "valid")
    return total / np.maximum(np.convolve(there, kernel, "valid"), 1)


def draw(record: dict[str, Any], args: argparse.Namespace, path: Path) -> None:
    """Success over environment steps, mean and range over seeds."""
    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    for name, result in record.items():
        curves = np.asarray(result["curve_by_seed"])
        offset = args.updates - curves.shape[1]
        steps = (np.arange(curves.shape[1]) + offset) * args.envs * args.steps
        (line,) = axes.plot(steps, curves.mean(axis=0), label=name)
        axes.fill_between(
            steps, curves.min(axis=0), curves.max(axis=0), alpha=0.2, color=line.get_color()
        )
    axes.set(xlabel="environment steps", ylabel="episodes solved, %", ylim=(0, 100))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    """Trains the variants asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--data", choices=("random", "arc"), default="random")
    parser.add_argument("--size", type=int, default=3)
    parser.add_argument("--colors", type=int, default=10)
    parser.add_argument("--horizon", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--envs", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--minibatches", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--entropy", type=float, default=0.01)
    parser.add_argument("--dim", type=int, default=64, help="width of the tokens")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--weight", type=float, default=1.0, help="of each auxiliary loss")
    args = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    settings = {key: value for key, value in vars(args).items() if key != "variants"}
    path = RESULTS / f"training_{args.data}_{args.size}.json"
    given = " ".join(f"--{key} {value}" for key, value in settings.items())
    for name in args.variants:
        result = train(args, name)
        # Another process may have added its own in the meantime.
        record = {**_known(path, settings), name: result}
        ordered = {variant: record[variant] for variant in VARIANTS if variant in record}
        command = f"python experiments/arcle/training.py --variants {' '.join(ordered)} {given}"
        write_record(path, command, ordered, settings=settings)
        draw(ordered, args, path.with_suffix(".png"))
        print(name, result["solved_percent_last_by_seed"], result["solved_percent_peak_by_seed"])


def _known(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What a file has of these settings."""
    if not path.exists():
        return {}
    record = json.loads(path.read_text())
    return record["results"] if record["settings"] == settings else {}


if __name__ == "__main__":
    main()
