"""Evaluation of a run: whole episodes of every seed's policy, apart from training.

Two checkpoints are played, and named: `last`, the newest good one, and `best`, the one whose
training return was highest, averaged over seeds since the checkpoint before it. A maximum of noisy
numbers is too high; so what chose `best` is reported beside what it does in episodes of its own.

The same evaluation seed e plays the same episodes. The key of a training seed s is
`fold_in(fold_in(key(s), EVALUATION_STREAM), e)`; how episodes follow from it is `evaluate`'s.
`fold_in(key(s), i)` alone for a small i would be one of the keys that training splits off `key(s)`.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl import checkpoint, chunks, driver, nonfinite, run_folder
from jaxrl.evaluation import evaluate, evaluation_key
from jaxrl.parallel import map_seeds
from jaxrl.statistics import bootstrap_interval
from jaxrl.summary import commit, describe_over_seeds, device, over_seeds, versions

CHECKPOINTS = ("last", "best")
_KEYS = "fold_in(fold_in(jax.random.key(seed), 0x6576616c), evaluation_seed)"
_BEST = "highest training return, mean over seeds not frozen, since the checkpoint before"
_FRESH = "the episodes here are fresh: none of them took part in choosing best"


def evaluate_run(
    folder: Path,
    episodes: int,
    *,
    greedy: bool = False,
    seed: int = 0,
    which: str = "both",
    max_steps: int = 100_000,
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Plays `episodes` episodes of every seed's policy; writes what came of them.

    evaluation.json summarises, evaluation_episodes.json has the return and length of every
    episode and how it ended.

    Args:
        folder: of the run.
        episodes: of each seed and checkpoint, at least 1.
        greedy: the likeliest action instead of a draw.
        seed: of the episodes; the same one gives the same episodes.
        which: "last", "best" or "both"; both are played once where they are one checkpoint.
        max_steps: an episode still running after this many steps is counted as unfinished, and
            its return is in no mean.
        say: takes a line for what could not be used: a damaged checkpoint, no best one.

    Returns:
        The record of evaluation.json. Under `checkpoints`, by name: for each seed the mean return
        of its finished episodes with a 95% bootstrap interval over them; over seeds the mean, and
        the interquartile mean with a 95% interval. A frozen seed plays its last finite policy and
        is counted like any other.

    Raises:
        ValueError: not a run folder, no good checkpoint, or a count is not positive.
    """
    if episodes < 1 or max_steps < 1:
        name, value = ("episodes", episodes) if episodes < 1 else ("max_steps", max_steps)
        raise ValueError(f"{name} must be at least 1, got {value}")
    setup = driver.load(folder)
    paths = _choose(folder / run_folder.CHECKPOINTS, which, say)
    play = _player(setup, episodes, greedy, seed, max_steps)
    played: dict[Path, tuple[Any, dict[int, int]]] = {}
    for path in paths.values():
        if path not in played:
            states, hp = driver.restore(setup, path)
            frozen = nonfinite.frozen_seeds(states, setup.run.seed_numbers)
            played[path] = (jax.device_get(play(states.policy, hp.env)), frozen)
    common = {
        "algorithm": setup.run.algorithm,
        "env": setup.run.env,
        "episodes_per_seed": episodes,
        "actions": "greedy" if greedy else "sampled",
        "evaluation_seed": seed,
        "keys": _KEYS,
        "max_steps": max_steps,
    }
    reports = {
        name: _checkpoint_report(name, path, setup.run.seed_numbers, *played[path])
        for name, path in paths.items()
    }
    record = {
        **common,
        "selection": _FRESH,
        "checkpoints": reports,
        "commit": commit(),
        "device": device(),
        "versions": versions(),
    }
    kept = {
        name: {
            "update": int(path.name),
            "seeds": _every_episode(played[path][0], setup.run.seed_numbers),
        }
        for name, path in paths.items()
    }
    run_folder.write_json(folder / run_folder.EPISODES, {**common, "checkpoints": kept})
    run_folder.write_json(folder / run_folder.EVALUATION, record)
    return record


def describe(record: dict[str, Any]) -> Iterator[str]:
    """The record of `evaluate_run` in lines for a reader."""
    yield (
        f"{record['algorithm']} on {record['env']}: {record['episodes_per_seed']} episodes of"
        f" each seed, {record['actions']} actions, evaluation seed {record['evaluation_seed']}"
    )
    reports = record["checkpoints"]
    same = len(reports) == 2 and reports["last"]["update"] == reports["best"]["update"]
    for name, report in reports.items():
        if same and name == "best":
            yield f"best checkpoint: the same ({report['is']}: {report['training_return']:.4g})"
            continue
        trained = report["training_return"]
        by = "" if name == "last" or trained is None else f": {trained:.4g}"
        yield f"{name} checkpoint, update {report['update']} ({report['is']}{by})"
        yield from map(_seed_line, report["seeds"])
        yield from ("  " + line for line in describe_over_seeds(report["over_seeds"]))
    if "best" in reports:
        yield record["selection"]


def _player(
    setup: driver.Setup, episodes: int, greedy: bool, seed: int, max_steps: int
) -> Callable[[Any, Any], Any]:
    """(policies of all seeds, environment parameters) -> `Episodes`, leaves [S, E]."""

    def play(policies: Any, env_params: Any) -> Any:
        def one(policy: Any, key: jax.Array) -> Any:
            algorithm = setup.algorithm
            return evaluate(
                setup.env,
                env_params,
                algorithm.act,
                policy,
                key,
                episodes,
                greedy,
                max_steps,
                initial_carry=algorithm.initial_carry,
            )

        return map_seeds(one)(policies, evaluation_keys(setup.run.seed_numbers, seed))

    return jax.jit(play)


def evaluation_keys(seeds: range, evaluation_seed: int) -> jax.Array:
    """The key of each seed's episodes, [S]; see the module's docstring."""
    return jax.vmap(lambda key: evaluation_key(key, evaluation_seed))(chunks.seed_keys(seeds))


def _choose(checkpoints: Path, which: str, say: Callable[[str], Any]) -> dict[str, Path]:
    """The checkpoints to play, by name."""
    if which not in ("both", *CHECKPOINTS):
        raise ValueError(f"which must be last, best or both, got {which!r}")
    chosen: dict[str, Path] = {}
    if which != "best":
        chosen["last"] = checkpoint.latest_good(checkpoints, say)[0]
    if which != "last":
        update = checkpoint.best(checkpoints)
        if update is not None:
            chosen["best"] = checkpoints / str(update)
        elif which == "best":
            raise checkpoint.CheckpointError(f"{checkpoints}: no checkpoint has a return")
        else:
            say("no best checkpoint: no episode ended in training before any of them")
    return chosen


def _checkpoint_report(
    name: str, path: Path, seeds: range, played: Any, frozen: dict[int, int]
) -> dict[str, Any]:
    entries = [_of_seed(played, i, number, frozen) for i, number in enumerate(seeds)]
    means = [math.nan if e["mean_return"] is None else e["mean_return"] for e in entries]
    return {
        "update": int(path.name),
        "is": "the newest good one" if name == "last" else _BEST,
        "training_return": checkpoint.read_manifest(path).metric,
        "seeds": entries,
        "over_seeds": over_seeds(means),
    }


def _of_seed(played: Any, index: int, number: int, frozen: dict[int, int]) -> dict[str, Any]:
    finished = played.terminated[index] | played.truncated[index]
    returns = np.asarray(played.returns[index], np.float64)[finished]
    lengths = np.asarray(played.lengths[index], np.float64)[finished]
    # A return that is not finite makes the mean one: it is not left out silently.
    known = len(returns) > 0 and bool(np.isfinite(returns).all())
    return {
        "seed": number,
        "frozen_at": frozen.get(number),
        "finished_episodes": int(finished.sum()),
        "unfinished_episodes": int((~finished).sum()),
        "nonfinite_returns": int((~np.isfinite(returns)).sum()),
        "mean_return": float(returns.mean()) if known else None,
        "mean_return_95": list(bootstrap_interval(returns, np.mean)) if known else None,
        "min_return": float(returns.min()) if known else None,
        "max_return": float(returns.max()) if known else None,
        "mean_length": float(lengths.mean()) if len(lengths) else None,
    }


def _every_episode(played: Any, seeds: range) -> list[dict[str, Any]]:
    """Returns and lengths of every episode, in the order of their keys, and how each ended."""
    return [
        {
            "seed": number,
            "returns": [float(x) if np.isfinite(x) else None for x in played.returns[i]],
            "lengths": [int(x) for x in played.lengths[i]],
            "ended": [
                "terminated" if terminated else "truncated" if truncated else "unfinished"
                for terminated, truncated in zip(
                    played.terminated[i], played.truncated[i], strict=True
                )
            ],
        }
        for i, number in enumerate(seeds)
    ]


def _seed_line(entry: dict[str, Any]) -> str:
    unfinished, bad = entry["unfinished_episodes"], entry["nonfinite_returns"]
    notes = f"; {unfinished} unfinished and in no mean" if unfinished else ""
    notes += f"; {bad} returns are not finite" if bad else ""
    if entry["frozen_at"] is not None:
        notes += f"; frozen since update {entry['frozen_at']}, the policy before it"
    if entry["mean_return"] is None:
        return f"  seed {entry['seed']}: no mean return{notes}"
    low, high = entry["mean_return_95"]
    return (
        f"  seed {entry['seed']}: mean return {entry['mean_return']:.4g}"
        f" (95% {low:.4g} to {high:.4g}), mean length {entry['mean_length']:.4g}{notes}"
    )
