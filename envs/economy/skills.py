"""What an hour of an agent's labour earns."""

import numpy as np

_DRAWS = 1000


def pareto_skills(
    agents: int, max_multiplier: float = 3.0, pareto: float = 4.0, seed: int = 0
) -> np.ndarray:
    """Skills of N agents by rank: means of ranked draws from a Pareto distribution.

    A draw is min(m, (m - 1) x + 1), x from the Lomax distribution with parameter a. The i-th skill
    is the mean, over 1000 populations, of the i-th smallest of N draws. In the package a is always
    4, whatever it is given.

    Args:
        agents: N.
        max_multiplier: m, the highest skill; at least 1.
        pareto: a, positive.
        seed: of the draws.

    Returns:
        float64 [N], ascending, in 1..m, coin an hour.

    Raises:
        ValueError: no agents, m below 1, or a not positive.
    """
    if agents < 1:
        raise ValueError(f"agents must be at least 1, got {agents}")
    if not 1 <= max_multiplier < np.inf:
        raise ValueError(f"max_multiplier must be finite and at least 1, got {max_multiplier}")
    if not 0 < pareto < np.inf:
        raise ValueError(f"pareto must be finite and positive, got {pareto}")
    draws = np.random.default_rng(seed).pareto(pareto, (_DRAWS, agents))
    clipped = np.minimum(max_multiplier, (max_multiplier - 1) * draws + 1)
    return np.sort(clipped, axis=1).mean(axis=0)
