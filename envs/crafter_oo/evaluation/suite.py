"""The suite: every scenario, some trials each, ranks and edit distances of several models.

A trial plays a scenario's actions by the true rules. In each step a model's sample is compared with
the true next state (fidelity), and both are ranked among ten distractors by the model's
log-probability (ranking). Steps of a trial, trials of a scenario and scenarios of a total count
alike. All models meet the same states, true next states and distractors, drawn from the seed.

The ceiling is the oracle's line: where a step is a matter of chance, nobody can know better. (The
protocol leaves one loophole: a model with good log-probabilities but absurd samples has one rival
less than the oracle, whose sample is as likely as the truth.)

Source: OneLife (arXiv 2510.12088).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxrl.config import check_seeds
from jaxrl.envs.crafter_oo.evaluation.canonical import conform, fingerprint
from jaxrl.envs.crafter_oo.evaluation.fidelity import fidelity
from jaxrl.envs.crafter_oo.evaluation.models import Model
from jaxrl.envs.crafter_oo.evaluation.mutators import distractors
from jaxrl.envs.crafter_oo.evaluation.ranking import rank
from jaxrl.envs.crafter_oo.evaluation.scenario import Scenario
from jaxrl.envs.crafter_oo.evaluation.truth import true_step
from jaxrl.envs.crafter_oo.rules import Rules
from jaxrl.envs.crafter_oo.state import WorldState

TRIALS = 5


class Score(NamedTuple):
    """Means over steps, trials or scenarios.

    Attributes:
        rank_at_1: how often the true next state comes first, 0..1.
        mrr: mean reciprocal rank, in (0, 1].
        edits: operations that mend the model's sample.
        edits_normalised: these over the leaves of the true state.
    """

    rank_at_1: float
    mrr: float
    edits: float
    edits_normalised: float


# model -> scenario -> score
Results = dict[str, dict[str, Score]]


def evaluate(
    models: Mapping[str, Model],
    scenarios: Sequence[Scenario],
    rules: Rules,
    *,
    seed: int = 0,
    trials: int = TRIALS,
    say: Callable[[str], None] = lambda line: None,
) -> Results:
    """Scores of models in scenarios.

    Args:
        models: by name.
        scenarios: see `scenarios.select`.
        rules: the rules of the true world.
        seed: of all that is drawn; with another set of scenarios or models the rest stays the same.
        trials: of each scenario.
        say: takes a line for each scenario.

    Raises:
        ValueError: no model, scenario or trial, no such seed, or a model's state or log-probability
            is none.
        IntractableError: from the oracle, see `exact`.
    """
    if not models or not scenarios or trials < 1:
        raise ValueError("at least one model, one scenario and one trial are needed")
    check_seeds(seed, name="seed")
    results: Results = {name: {} for name in models}
    for done, scenario in enumerate(scenarios, 1):
        say(f"{done} of {len(scenarios)}: {scenario.name}")
        scores: dict[str, list[Score]] = {name: [] for name in models}
        for trial in range(trials):
            key = _key(seed, scenario.name, trial)
            for name, score in _trial(models, scenario, rules, key).items():
                scores[name].append(score)
        for name, found in scores.items():
            results[name][scenario.name] = mean(found)
    return results


def mean(scores: Sequence[Score]) -> Score:
    """The mean of each number."""
    return Score(*np.mean(np.asarray(scores, np.float64), axis=0).tolist())


def totals(results: Results) -> dict[str, Score]:
    """The mean over scenarios, for each model."""
    return {name: mean(list(scores.values())) for name, scores in results.items()}


def wins(results: Results, first: str, second: str) -> tuple[int, int]:
    """On how many scenarios the first model is better, and on how many it is worse.

    Better is a higher mean reciprocal rank or, where those are equal, fewer edits.
    """
    pairs = [
        [(round(s.mrr, 9), -round(s.edits, 9)) for s in (results[first][n], results[second][n])]
        for n in results[first]
    ]
    return sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)


def _key(seed: int, name: str, trial: int) -> jax.Array:
    """A key of a trial that depends on nothing but these."""
    key = jax.random.key(seed)
    for number in name.encode():
        key = jax.random.fold_in(key, number)
    return jax.random.fold_in(key, trial)


def _trial(
    models: Mapping[str, Model], scenario: Scenario, rules: Rules, key: jax.Array
) -> dict[str, Score]:
    key_build, key_steps = jax.random.split(key)
    state, actions = scenario.build(key_build)
    scores: dict[str, list[Score]] = {name: [] for name in models}
    for step, action in enumerate(actions.tolist()):
        keys = jax.random.split(jax.random.fold_in(key_steps, step), 3)
        key_true, key_wrong, key_sample = keys[0], keys[1], keys[2]
        truth = true_step(key_true, state, action, rules)
        wrong = distractors(key_wrong, state, action, rules)
        for name, model in models.items():
            scores[name].append(_step(model, key_sample, state, action, truth, wrong))
        state = truth
    return {name: mean(found) for name, found in scores.items()}


def _step(
    model: Model,
    key: jax.Array,
    state: WorldState,
    action: int,
    truth: WorldState,
    wrong: Sequence[WorldState],
) -> Score:
    sample = conform(model.sample(key, state, action), truth)
    others = [sample, *wrong]
    digest = fingerprint(truth)
    equal = [fingerprint(other) == digest for other in others]
    true_score = float(model.log_prob(state, action, truth))
    # Asked once for equal states: that is the same question.
    scores = [
        true_score if copy else float(model.log_prob(state, action, other))
        for other, copy in zip(others, equal, strict=True)
    ]
    place = rank(true_score, scores, equal)
    return Score(place.first, place.reciprocal, *fidelity(sample, truth))
