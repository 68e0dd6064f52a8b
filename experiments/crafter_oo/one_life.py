"""The OneLife suite for the four baselines: what a model fitted to one life predicts.

    python experiments/crafter_oo/one_life.py [--trials N] [--lives N]

All scenarios, five trials each, for the oracle, the random world, the model without change and the
learned one. The last is fitted to one life; several lives are tried, with means for each of them
and, scenario by scenario, the mean over them. Writes results/one_life.json.
"""

import argparse
import time
from pathlib import Path

import jaxrl
from jaxrl.benchmark import write_record
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.evaluation import models, scenarios, suite
from jaxrl.envs.crafter_oo.evaluation.exploration import one_life
from jaxrl.envs.crafter_oo.evaluation.learned import FactoredModel

import jax  # isort: skip

BASELINES = ("oracle", "random", "no-change")


def live(rules, seed):
    """A model fitted to one life, and what happened in it."""
    steps = list(one_life(jax.random.key(seed), rules))
    unlocked = steps[-1][2].player.unlocked
    told = {
        "steps": len(steps),
        "achievements": {
            name: int(count) for name, count in zip(c.ACHIEVEMENTS, unlocked, strict=True) if count
        },
    }
    return FactoredModel().fit(steps), told


def rounded(score):
    """A score as it is written."""
    return {name: round(value, 4) for name, value in score._asdict().items()}


def evaluate(made, group, rules, trials):
    """Means, wins over each baseline, and seconds, for one group of scenarios."""
    begin = time.perf_counter()
    results = suite.evaluate(made, scenarios.select([group]), rules, trials=trials)
    seconds = time.perf_counter() - begin
    learned = [name for name in made if name not in BASELINES]
    return {
        "scenarios": len(scenarios.select([group])),
        "seconds": round(seconds, 1),
        "mean": {name: rounded(score) for name, score in suite.totals(results).items()},
        "wins_and_losses": {
            name: {other: suite.wins(results, name, other) for other in BASELINES}
            for name in learned
        },
        "by_scenario": {
            scenario: {
                **{name: rounded(results[name][scenario]) for name in BASELINES},
                "learned": rounded(suite.mean([results[name][scenario] for name in learned])),
            }
            for scenario in results["oracle"]
        },
    }


def main():
    """Evaluates and writes results/one_life.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=suite.TRIALS)
    parser.add_argument("--lives", type=int, default=5)
    options = parser.parse_args()
    rules = rule_sets.crafter()
    made = {name: models.make(name, rules, jax.random.key(0)) for name in BASELINES}
    lives = {}
    for seed in range(options.lives):
        made[f"learned-{seed}"], lives[f"learned-{seed}"] = live(rules, seed)
    groups = {
        group: evaluate(made, group, rules, options.trials) for group in ("published", "further")
    }
    write_record(
        Path(__file__).parent / "results" / "one_life.json",
        f"python experiments/crafter_oo/one_life.py --trials {options.trials}"
        f" --lives {options.lives}",
        {"lives": lives, **groups},
        jaxrl=jaxrl.__version__,
    )


if __name__ == "__main__":
    main()
