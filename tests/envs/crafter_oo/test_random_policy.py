"""Random actions achieve what the published random agent does, within sampling error.

A sample of `experiments/crafter_oo/random_policy.py`.
"""

import jax
import numpy as np
import pytest

from jaxrl.envs.crafter_oo import constants as c
from tests.envs.crafter_oo.random_play import compare, play_randomly, wilson


@pytest.fixture(scope="module")
def play():
    return play_randomly(jax.random.key(1), 192)


def test_random_actions_achieve_what_they_achieve_in_crafter(play):
    # Eight intervals of 4 standard errors: all hold with a probability of 0.9995, and one that is
    # missed means, for example, that waking up is off by 7 points or planting by 14.
    table = compare(play, z=4.0)
    assert {name: row for name, row in table.items() if not row["inside"]} == {}
    assert table["wake_up"]["high"] - table["wake_up"]["low"] < 18


def test_nothing_is_achieved_out_of_turn(play):
    got = dict(zip(c.ACHIEVEMENTS, play.unlocked.T, strict=True))
    for later, earlier in {
        "place_plant": "collect_sapling",
        "place_table": "collect_wood",
        "make_wood_pickaxe": "place_table",
        "collect_stone": "make_wood_pickaxe",
    }.items():
        assert not (got[later] & ~got[earlier]).any(), later
    assert not play.overflow.any()
    # Whoever does not drink dies of thirst: 9 units for 21 steps each, then 9 of health.
    assert play.length.max() < 1000 and (play.length > 30).all()


def test_wilsons_interval_is_that_of_the_textbook():
    # Wilson (1927); 10 of 20 at 95%: 0.299 to 0.701.
    np.testing.assert_allclose(wilson(10, 20, 1.959964), (29.93, 70.07), atol=0.01)
    low, high = wilson(0, 50, 1.959964)
    np.testing.assert_allclose((low, high), (0, 7.13), atol=0.01)
