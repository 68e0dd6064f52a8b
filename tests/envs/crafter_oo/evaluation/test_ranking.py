"""Ranks, by hand and by enumerating orders."""

import itertools
import math
from fractions import Fraction

import pytest

from jaxrl.envs.crafter_oo.evaluation.ranking import rank

INF = math.inf


def test_the_likeliest_is_first():
    assert rank(-1.0, [-2.0, -INF, -3.0], [False] * 3) == (1.0, 1.0)


def test_two_above_make_it_third():
    assert rank(-1.0, [0.0, -0.5, -3.0], [False] * 3) == (0.0, pytest.approx(1 / 3))


def test_a_copy_of_the_true_state_shares_its_rank():
    assert rank(-1.0, [-1.0, -2.0], [True, False]) == (1.0, 1.0)


def test_another_state_level_with_it_is_a_coin():
    # First or second, one half each: (1 + 1/2) / 2.
    assert rank(-1.0, [-1.0, -2.0], [False, False]) == (0.5, 0.75)


def test_impossible_everywhere_is_a_guess():
    guess = rank(-INF, [-INF] * 11, [False] * 11)
    assert guess.first == pytest.approx(1 / 12)
    assert guess.reciprocal == pytest.approx(sum(1 / n for n in range(1, 13)) / 12)


@pytest.mark.parametrize(("above", "level"), [(0, 3), (2, 2), (1, 0)])
def test_ties_are_the_mean_over_all_orders(above, level):
    firsts, reciprocals = [], []
    for order in itertools.permutations(["true", *"abcd"[:level]]):
        place = above + 1 + order.index("true")
        firsts.append(Fraction(int(place == 1)))
        reciprocals.append(Fraction(1, place))
    got = rank(-1.0, [0.0] * above + [-1.0] * level, [False] * (above + level))
    assert got.first == pytest.approx(float(sum(firsts) / len(firsts)))
    assert got.reciprocal == pytest.approx(float(sum(reciprocals) / len(reciprocals)))


@pytest.mark.parametrize("bad", [math.nan, INF])
def test_what_is_no_log_probability_is_refused(bad):
    with pytest.raises(ValueError, match="below inf"):
        rank(bad, [-1.0], [False])
    with pytest.raises(ValueError, match="below inf"):
        rank(-1.0, [bad], [False])


def test_one_state_has_one_log_probability():
    with pytest.raises(ValueError, match="one and the same state"):
        rank(-1.0, [-2.0], [True])
