"""The score of Crafter, and what others reached.

A score is of a set of episodes. The published ones count all episodes of a training of 1e6 steps,
the first random ones included; the score of a trained policy, over fresh episodes, is another
number and usually a higher one.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxrl.envs.crafter_oo import constants as c


def score(success: Any) -> Any:
    """The score of success rates: exp(mean of ln(1 + s)) - 1 over the achievements.

    Hafner (2021), arXiv 2109.06780, its evaluation protocol. The logarithm makes the first percent
    of a hard achievement worth more than the last percent of an easy one.

    Args:
        success: percent of the episodes in which each achievement was unlocked, [..., 22].

    Returns:
        float32 [...], in percent.

    Raises:
        ValueError: not one number for each achievement.
    """
    success = jnp.asarray(success, jnp.float32)
    if success.shape[-1:] != (len(c.ACHIEVEMENTS),):
        raise ValueError(
            f"success must have one number for each of {len(c.ACHIEVEMENTS)} achievements as its"
            f" last axis, got shape {success.shape}"
        )
    return jnp.expm1(jnp.mean(jnp.log1p(success), axis=-1))


class Published(NamedTuple):
    """What somebody reached in 1e6 steps (five people: in 20 episodes each).

    Attributes:
        score: percent, as published: the mean of each seed's, or person's, own score. That of the
            mean success rates below may differ a little; people's is 52.0.
        mean_return: as published.
        source: the paper; score and return are as in the table of the package's own README.
        success: percent of the episodes by achievement, where published with the environment: from
            the episodes in `scores/` of its repository.
    """

    score: float
    mean_return: float
    source: str
    success: Mapping[str, float] | None = None


_HAFNER = "Hafner 2021, arXiv 2109.06780"
_MOON = "Moon et al. 2023, arXiv 2307.03486"

PUBLISHED = {
    "human": Published(
        50.5,
        14.3,
        _HAFNER,
        {
            "collect_coal": 86.0,
            "collect_diamond": 12.0,
            "collect_drink": 92.0,
            "collect_iron": 53.0,
            "collect_sapling": 67.0,
            "collect_stone": 100.0,
            "collect_wood": 100.0,
            "defeat_skeleton": 31.0,
            "defeat_zombie": 84.0,
            "eat_cow": 89.0,
            "eat_plant": 8.0,
            "make_iron_pickaxe": 26.0,
            "make_iron_sword": 22.0,
            "make_stone_pickaxe": 78.0,
            "make_stone_sword": 78.0,
            "make_wood_pickaxe": 100.0,
            "make_wood_sword": 45.0,
            "place_furnace": 32.0,
            "place_plant": 24.0,
            "place_stone": 90.0,
            "place_table": 100.0,
            "wake_up": 73.0,
        },
    ),
    "Achievement Distillation": Published(21.8, 12.6, _MOON),
    "PPO-ResNet": Published(15.6, 10.3, _MOON),
    "DreamerV3": Published(14.5, 11.7, "Hafner et al. 2023, arXiv 2301.04104"),
    "PPO": Published(4.6, 4.2, _HAFNER),
    "Rainbow": Published(4.3, 6.0, _HAFNER),
    "random": Published(
        1.6,
        2.1,
        _HAFNER,
        dict.fromkeys(c.ACHIEVEMENTS, 0.0)
        | {
            "collect_drink": 9.3,
            "collect_sapling": 50.2,
            "collect_wood": 24.4,
            "defeat_zombie": 0.1,
            "eat_cow": 0.4,
            "make_wood_pickaxe": 0.3,
            "make_wood_sword": 0.3,
            "place_plant": 44.6,
            "place_table": 4.4,
            "wake_up": 93.6,
        },
    ),
}
