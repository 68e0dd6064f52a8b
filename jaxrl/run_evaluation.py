"""Evaluation of a run: whole episodes of every seed's policy from one checkpoint."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl import checkpoint, chunks, driver, run_folder
from jaxrl.evaluation import evaluate
from jaxrl.parallel import map_seeds
from jaxrl.statistics import bootstrap_interval
from jaxrl.summary import device, over_seeds, versions


def evaluate_run(
    folder: Path,
    episodes: int,
    *,
    greedy: bool = False,
    seed: int = 0,
    best: bool = False,
    say: Any = print,
) -> dict[str, Any]:
    """Plays `episodes` episodes of every seed's policy and writes evaluation.json.

    Args:
        folder: of the run.
        episodes: of each seed, at least 1.
        greedy: the likeliest action instead of a draw.
        seed: of the episodes; the same one gives the same episodes.
        best: the checkpoint with the highest training return instead of the newest good one.
        say: takes a line for each damaged checkpoint passed over.

    Returns:
        The record of evaluation.json: for each seed the mean return with a 95% bootstrap interval
        over episodes; over seeds the mean, and the interquartile mean with a 95% interval.

    Raises:
        ValueError: not a run folder, no good checkpoint, or `episodes` is not positive.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    setup = driver.load(folder)
    path = _choose(folder / run_folder.CHECKPOINTS, best, say)
    states, hp = driver.restore(setup, path)

    def play(policy: Any, key: jax.Array) -> Any:
        algorithm = setup.algorithm
        return evaluate(
            setup.env,
            hp.env,
            algorithm.act,
            policy,
            key,
            episodes,
            greedy,
            initial_carry=algorithm.initial_carry,
        )

    keys = jax.vmap(lambda key: jax.random.fold_in(key, seed))(
        chunks.seed_keys(setup.run.seed_numbers)
    )
    played = jax.device_get(jax.jit(map_seeds(play))(states.policy, keys))
    seeds = [_of_seed(played, i, number) for i, number in enumerate(setup.run.seed_numbers)]
    record = {
        "algorithm": setup.run.algorithm,
        "env": setup.run.env,
        "checkpoint": path.name,
        "checkpoint_is": "best by training return" if best else "newest good",
        "episodes_per_seed": episodes,
        "actions": "greedy" if greedy else "sampled",
        "evaluation_seed": seed,
        "seeds": seeds,
        "over_seeds": over_seeds([entry["mean_return"] for entry in seeds]),
        "device": device(),
        "versions": versions(),
    }
    run_folder.write_json(folder / run_folder.EVALUATION, record)
    return record


def _choose(checkpoints: Path, best: bool, say: Any) -> Path:
    if not best:
        return checkpoint.latest_good(checkpoints, say)[0]
    update = checkpoint.best(checkpoints)
    if update is None:
        raise checkpoint.CheckpointError(f"{checkpoints}: no checkpoint has a return to compare")
    return checkpoints / str(update)


def _of_seed(played: Any, index: int, number: int) -> dict[str, Any]:
    returns = np.asarray(played.returns[index], np.float64)
    finished = played.terminated[index] | played.truncated[index]
    return {
        "seed": number,
        "mean_return": float(returns.mean()),
        "mean_return_95": list(bootstrap_interval(returns, np.mean)),
        "min_return": float(returns.min()),
        "max_return": float(returns.max()),
        "mean_length": float(np.asarray(played.lengths[index]).mean()),
        "unfinished_episodes": int((~finished).sum()),
    }
