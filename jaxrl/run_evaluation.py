"""Evaluation of a run: whole episodes of every seed's policy, apart from training.

Two checkpoints are played, and named: `last`, the newest good one, and `best`, the one whose
training return was highest, averaged over seeds since the checkpoint before it. A maximum of noisy
numbers is too high; so what chose `best` is reported beside what it does in episodes of its own.

The same evaluation seed e plays the same episodes. The key of a training seed s is
`fold_in(fold_in(key(s), EVALUATION_STREAM), e)`; how episodes follow from it is `evaluate`'s.
`fold_in(key(s), i)` alone for a small i would be one of the keys that training splits off `key(s)`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl import checkpoint, chunks, driver, nonfinite, run_folder
from jaxrl import episodes as measures
from jaxrl.config import check_seeds
from jaxrl.evaluation import evaluate, evaluation_key
from jaxrl.parallel import map_seeds
from jaxrl.statistics import bootstrap_interval
from jaxrl.summary import commit, describe_over_seeds, device, over_seeds, versions

CHECKPOINTS = ("last", "best")
_KEYS = "fold_in(fold_in(jax.random.key(seed), 0x6576616c), evaluation_seed)"
_BEST = "highest training return, mean over seeds not frozen, since the checkpoint before"
_FRESH = "the episodes here are fresh: none of them took part in choosing best"


class _Played(NamedTuple):
    """What the policies of a checkpoint did.

    Attributes:
        episodes: `jaxrl.evaluation.Episodes`, leaves [S, E].
        frozen: update at which each frozen seed was frozen.
    """

    episodes: Any
    frozen: dict[int, int]


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
        the interquartile mean with a 95% interval. Where the environment measures more of an
        episode (`jaxrl.episodes`), the means of that and what follows from them, by seed. A frozen
        seed plays its last finite policy and is counted like any other.

    Raises:
        ValueError: not a run folder, no good checkpoint, no such seed, or a count is not positive.
    """
    for name, value in (("episodes", episodes), ("max_steps", max_steps)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    check_seeds(seed, name="seed")
    setup = driver.load(folder)
    paths = _choose(folder / run_folder.CHECKPOINTS, which, say)
    play = _player(setup, episodes, greedy, seed, max_steps)
    played = {path: _play(setup, path, play) for path in dict.fromkeys(paths.values())}
    common = {
        "algorithm": setup.run.algorithm,
        "env": setup.run.env,
        "episodes_per_seed": episodes,
        "actions": "greedy" if greedy else "sampled",
        "evaluation_seed": seed,
        "keys": _KEYS,
        "max_steps": max_steps,
    }
    seeds = setup.run.seed_numbers
    _write_episodes(folder, common, paths, played, seeds)
    return _write_evaluation(setup, folder, common, paths, played)


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
        yield from _metric_lines(report["seeds"], record.get("references", {}))
        yield from ("  " + line for line in describe_over_seeds(report["over_seeds"]))
    if "best" in reports:
        yield record["selection"]


def _player(
    setup: driver.Setup, episodes: int, greedy: bool, seed: int, max_steps: int
) -> Callable[[Any, Any, Any], Any]:
    """(policies of all seeds, environments before, parameters) -> `Episodes`, leaves [S, E]."""

    def play(policies: Any, before: Any, env_params: Any) -> Any:
        def one(policy: Any, before: Any, key: jax.Array) -> Any:
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
                before=before,
            )

        return map_seeds(one)(policies, before, evaluation_keys(setup.run.seed_numbers, seed))

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
        try:
            chosen["best"] = checkpoint.best_good(checkpoints)[0]
        except checkpoint.CheckpointError as error:
            if which == "best":
                raise
            say(f"best checkpoint left out: {error}")
    return chosen


def _play(setup: driver.Setup, path: Path, play: Callable[[Any, Any, Any], Any]) -> _Played:
    states, hp = driver.restore(setup, path)
    frozen = nonfinite.frozen_seeds(states, setup.run.seed_numbers)
    # What persists over episodes goes on from training.
    before = states.env.env_state if hasattr(setup.env, "next_episode") else None
    return _Played(jax.device_get(play(states.policy, before, hp.env)), frozen)


def _write_episodes(
    folder: Path,
    common: Mapping[str, Any],
    paths: Mapping[str, Path],
    played: Mapping[Path, _Played],
    seeds: range,
) -> None:
    kept = {
        name: {"update": int(path.name), "seeds": _every_episode(played[path].episodes, seeds)}
        for name, path in paths.items()
    }
    run_folder.write_json(folder / run_folder.EPISODES, {**common, "checkpoints": kept})


def _write_evaluation(
    setup: driver.Setup,
    folder: Path,
    common: Mapping[str, Any],
    paths: Mapping[str, Path],
    played: Mapping[Path, _Played],
) -> dict[str, Any]:
    references = measures.references(setup.env)
    record = {
        **common,
        "selection": _FRESH,
        **({"references": references} if references else {}),
        "checkpoints": {
            name: _checkpoint_report(setup, name, path, played[path])
            for name, path in paths.items()
        },
        "commit": commit(),
        "device": device(),
        "versions": versions(),
    }
    run_folder.write_json(folder / run_folder.EVALUATION, record)
    return record


def _checkpoint_report(
    setup: driver.Setup, name: str, path: Path, played: _Played
) -> dict[str, Any]:
    seeds = setup.run.seed_numbers
    entries = [_of_seed(setup.env, *played, i, number) for i, number in enumerate(seeds)]
    means = [math.nan if e["mean_return"] is None else e["mean_return"] for e in entries]
    return {
        "update": int(path.name),
        "is": "the newest good one" if name == "last" else _BEST,
        "training_return": checkpoint.read_manifest(path).metric,
        "seeds": entries,
        "over_seeds": over_seeds(means),
    }


def _of_seed(
    env: Any, played: Any, frozen: dict[int, int], index: int, number: int
) -> dict[str, Any]:
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
        **_own_metrics(env, played.metrics, index, finished),
    }


def _own_metrics(env: Any, metrics: Mapping[str, Any], index: int, finished: Any) -> dict[str, Any]:
    """Means of the environment's own metrics over a seed's finished episodes, and what follows."""
    if not metrics or not finished.any():
        return {}
    means = {
        name: float(np.asarray(values[index], np.float64)[finished].mean())
        for name, values in metrics.items()
    }
    found = measures.warnings(env, means)
    return {
        "metrics": means,
        "summary": measures.summary(env, means),
        **({"warnings": found} if found else {}),
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


def _metric_lines(
    entries: list[dict[str, Any]], references: Mapping[str, Mapping[str, float]]
) -> Iterator[str]:
    """The environment's own metrics: mean over seeds, every seed's, and what others reached."""
    known = [entry for entry in entries if "metrics" in entry]
    for kind in ("metrics", "summary"):
        for name in known[0][kind] if known else ():
            values = [entry[kind][name] for entry in known if name in entry[kind]]
            by_seed = f" (by seed: {', '.join(f'{v:.4g}' for v in values)})" * (len(values) > 1)
            others = [f"{who} {row[name]:.4g}" for who, row in references.items() if name in row]
            beside = f"; {', '.join(others)}" if others else ""
            yield f"  {name}: {np.mean(values):.4g}{by_seed}{beside}"
    for entry in known:
        yield from (
            f"  warning, seed {entry['seed']}: {line}" for line in entry.get("warnings", ())
        )


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
