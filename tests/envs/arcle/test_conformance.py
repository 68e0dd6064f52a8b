"""The `reference` rules against the package `arcle` 0.2.6, on a sample of its tasks.

The full comparison is experiments/arcle/conformance.py.
"""

import numpy as np
import pytest

from jaxrl.envs.arcle.operations import operation_set
from tests.envs.arcle import lockstep
from tests.envs.arcle.coverage import case_counts, operation_counts
from tests.envs.arcle.random_actions import Generator

pytest.importorskip("pygame")
pytest.importorskip("arcle")

EPISODES, LENGTH = 40, 120


@pytest.fixture(scope="module")
def corpora():
    return lockstep.corpora()


def played(operations, pairs, seed):
    rng = np.random.default_rng(seed)
    for number in range(EPISODES):
        pair = pairs[rng.integers(len(pairs))]
        actions = Generator(operation_set(operations), pair, 30, rng).episode(LENGTH)
        yield lockstep.play(operations, pair, *actions, (-1, 1, 3)[number % 3], number % 4 == 0)


@pytest.mark.parametrize("operations", lockstep.SETS)
def test_every_state_reward_and_end_is_that_of_the_package(operations, corpora):
    episodes = list(played(operations, sum(corpora.values(), []), seed=0))
    assert lockstep.compare(operations, episodes) == []
    known = operation_set(operations)
    assert all(operation_counts(known, episodes).values())
    cases = case_counts(known, episodes)
    assert all(cases[name] for name in ("rewarded", "after the end", "colours outside of the grid"))
    if known.objects:
        assert cases["rotation of sides of different parity"] > 100
        assert cases["object entirely off the grid"] > 100
        assert cases["paste cut at the canvas"] > 10
        assert cases["copy that reaches one beyond"] > 0


def test_a_difference_is_found(corpora):
    (episode,) = [next(played("raw", corpora["Mini-ARC"], seed=1))]
    episode.states["grid"][7, 2, 2] += 1
    episode.rewards[9] += 1
    assert lockstep.compare("raw", [episode] * EPISODES)[0] == (0, 7, ["grid"])


def test_the_package_carries_all_tasks(corpora):
    assert {name: len({p.source for p in pairs}) for name, pairs in corpora.items()} == {
        "ARC training": 400,
        "ARC evaluation": 400,
        "Mini-ARC": 149,
    }
