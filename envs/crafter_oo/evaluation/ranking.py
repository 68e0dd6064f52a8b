"""State ranking: does a model hold the true next state for likelier than wrong ones?

The candidates of a step are the true next state, one sample of the model and ten distractors, in
the order of the model's log-probability.

Ranks: states that equal the true one do not compete with it, they share its rank. Other states of
the very same log-probability do; they stand in an order drawn at random, of which the scores are
the exact expectation: with g candidates above the true state and e different ones level with it,

    Rank@1 = [g = 0] / (1 + e),      MRR = 1 / (1 + e) * sum_{j=0..e} 1 / (1 + g + j).

So a model to which everything is alike, or impossible (-inf everywhere), scores what guessing does,
and no model gains by rounding.

Source: OneLife (arXiv 2510.12088) for candidates and scores; ties are our definition.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Rank(NamedTuple):
    """Where the true state stands.

    Attributes:
        first: probability that it is first, 0..1.
        reciprocal: expectation of 1 / rank, in (0, 1].
    """

    first: float
    reciprocal: float


def rank(true: float, others: Sequence[float], equal: Sequence[bool]) -> Rank:
    """Where the true state stands among candidates.

    Args:
        true: its log-probability; -inf is impossible.
        others: those of the other candidates.
        equal: which of the others are the true state again.

    Raises:
        ValueError: a NaN or +inf, or two copies of the true state that differ in log-probability.
    """
    for value in (true, *others):
        if math.isnan(value) or value == math.inf:
            raise ValueError(f"a log-probability must be a number below inf, got {value}")
    if any(value != true for value, copy in zip(others, equal, strict=True) if copy):
        raise ValueError("the model gives two log-probabilities to one and the same state")
    rivals = [value for value, copy in zip(others, equal, strict=True) if not copy]
    above = sum(value > true for value in rivals)
    level = sum(value == true for value in rivals)
    places = range(1 + above, 2 + above + level)
    return Rank(
        first=(above == 0) / (1 + level),
        reciprocal=sum(1 / place for place in places) / len(places),
    )
