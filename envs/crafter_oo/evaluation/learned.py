"""A small learned model: counts of what changed, in local contexts, in one life.

Every label of `factored.walk` has a categorical distribution for each of its contexts c_1 (general)
to c_k (special), each smoothed towards the one before, the first towards even odds:

    p_0 = 1 / options,      p_j(l) = (n_j(l) + p_{j-1}(l)) / (n_j + 1),

where n_j(l) is how often label l was seen in context c_j, over the options of this walk. It knows
no rule of the game; what it never saw is unlikely, but not impossible.

Source: Laplace smoothing with back-off, as in n-gram models; the protocol's "one life" is OneLife's
(arXiv 2510.12088).
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import jax
import numpy as np

from jaxrl.envs.crafter_oo.evaluation.canonical import canonical, check_action, conform
from jaxrl.envs.crafter_oo.evaluation.factored import walk
from jaxrl.envs.crafter_oo.evaluation.mutators import generator
from jaxrl.envs.crafter_oo.state import WorldState


class FactoredModel:
    """A model of independent labels, evenly likely until `fit` has counted some."""

    def __init__(self) -> None:
        self._counts: dict[Hashable, Counter[Hashable]] = {}

    def fit(self, steps: Iterable[tuple[WorldState, int, WorldState]]) -> "FactoredModel":
        """Counts the labels of steps (state, action, next state); returns itself.

        A step that is beyond the options (for example an edit of two distant cells) is left out.
        """

        def count(
            contexts: Sequence[Hashable], options: Sequence[Hashable], label: Hashable | None
        ) -> Hashable:
            del options
            counted.append((contexts, label))
            return label

        for state, action, next_state in steps:
            counted: list[tuple[Sequence[Hashable], Hashable]] = []
            if walk(canonical(state), check_action(action), count, canonical(next_state)) is None:
                continue
            for contexts, label in counted:
                for context in contexts:
                    self._counts.setdefault(context, Counter())[label] += 1
        return self

    def sample(self, key: jax.Array, state: WorldState, action: int) -> WorldState:
        """A next state drawn from the model."""
        random = generator(key)

        def draw(
            contexts: Sequence[Hashable], options: Sequence[Hashable], label: Hashable | None
        ) -> Hashable:
            del label
            return options[random.choice(len(options), p=self._probabilities(contexts, options))]

        drawn = walk(canonical(state), check_action(action), draw)
        assert drawn is not None  # only a given next state can be beyond the options
        return drawn

    def log_prob(self, state: WorldState, action: int, next_state: WorldState) -> float:
        """The logarithm of a next state's probability, -inf beyond the options."""
        total = 0.0

        def score(
            contexts: Sequence[Hashable], options: Sequence[Hashable], label: Hashable | None
        ) -> Hashable:
            nonlocal total
            index = options.index(label)
            total += math.log(self._probabilities(contexts, options)[index])
            return label

        state = canonical(state)
        if walk(state, check_action(action), score, conform(next_state, state)) is None:
            return -math.inf
        return total

    def _probabilities(
        self, contexts: Sequence[Hashable], options: Sequence[Hashable]
    ) -> np.ndarray:
        probabilities = np.full(len(options), 1 / len(options))
        for context in contexts:
            counts = self._counts.get(context)
            if counts is None:
                continue
            seen = np.asarray([counts[option] for option in options], np.float64)
            probabilities = (seen + probabilities) / (seen.sum() + 1)
        return probabilities
