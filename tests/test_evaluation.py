"""Evaluation plays exactly one whole episode an environment."""

import jax
import numpy as np
import pytest

from jaxrl.algorithm import canonical
from jaxrl.evaluation import evaluate, random_act
from tests.toy_envs import CostlyReset, CounterParams

ENV = CostlyReset(cost=1)
PARAMS = canonical(CounterParams(3, 6, 1000))
ACT = random_act(ENV, PARAMS)


def _play(params=PARAMS, episodes=50, **options):
    played = evaluate(ENV, params, ACT, (), jax.random.key(0), episodes, **options)
    return jax.tree.map(np.asarray, played)


def test_episodes_are_whole_and_counted_once():
    """A toy episode of k steps pays 1 + 2 + ... + k; lengths 3 to 6 are equally likely."""
    played = _play()
    k = played.lengths
    np.testing.assert_array_equal(played.returns, k * (k + 1) / 2)
    assert played.terminated.all() and not played.truncated.any()
    assert set(k) == {3, 4, 5, 6}
    # Were the first 50 episodes to finish taken instead, short ones would be over-represented.
    assert abs(k.mean() - 4.5) < 0.5


def test_time_limits_are_reported_apart():
    played = _play(canonical(CounterParams(3, 6, 4)))
    np.testing.assert_array_equal(played.truncated, ~played.terminated)
    assert (played.lengths[played.truncated] == 4).all() and played.truncated.any()
    assert (played.lengths[played.terminated] <= 4).all() and played.terminated.any()


def test_unfinished_episodes_are_visible():
    played = _play(max_steps=4)
    unfinished = ~played.terminated & ~played.truncated
    assert unfinished.any() and (played.lengths[unfinished] == 4).all()
    assert (played.returns[unfinished] == 10).all()


def test_bad_counts_are_refused():
    with pytest.raises(ValueError, match="num_episodes"):
        _play(episodes=0)
    with pytest.raises(ValueError, match="no greedy action"):
        _play(greedy=True)
