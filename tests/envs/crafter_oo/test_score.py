"""The score of Crafter, by hand and against the published numbers."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import episodes
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo.score import PUBLISHED, score


def test_score_by_hand():
    assert score(np.zeros(22)) == 0.0
    assert score(np.full(22, 100.0)) == pytest.approx(100.0, rel=1e-5)
    # exp((11 ln 101 + 11 ln 1) / 22) - 1 = sqrt(101) - 1
    half = np.repeat([100.0, 0.0], 11)
    assert score(half) == pytest.approx(math.sqrt(101) - 1, rel=1e-5)
    # One achievement at 1%: 2 ** (1 / 22) - 1; at 100% it is worth only 6.7 times as much.
    assert score(np.eye(22)[3]) == pytest.approx(2 ** (1 / 22) - 1, rel=1e-4)
    np.testing.assert_allclose(score(np.stack([half, np.zeros(22)])), [9.04988, 0.0], rtol=1e-5)


@pytest.mark.parametrize("shape", [(), (21,), (22, 1)])
def test_rates_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="one number for each of 22 achievements"):
        score(np.zeros(shape))


def test_published_rates_have_the_published_scores():
    for published in PUBLISHED.values():
        if published.success is not None:
            assert published.success.keys() == set(c.ACHIEVEMENTS)

    def of(name):
        return float(score([PUBLISHED[name].success[a] for a in c.ACHIEVEMENTS]))

    # Published are means of every seed's (person's) score; the rates here are means over them, so
    # those of people, who differ, score somewhat higher: 50.5 +- 6.8 is published.
    assert of("random") == pytest.approx(PUBLISHED["random"].score, abs=0.06)
    assert of("human") == pytest.approx(PUBLISHED["human"].score, abs=2)


def test_environment_measures_what_was_unlocked():
    env, _ = jaxrl.make("CrafterOO-Symbolic-v1")
    unlocked = np.zeros((2, 22), bool)
    unlocked[0, [c.achievement("wake_up"), c.achievement("collect_wood")]] = True
    info = {"achievements": jnp.asarray(unlocked), "overflow": jnp.zeros(2, jnp.bool_)}
    measured = episodes.measured(env, info)
    assert set(measured) == {*c.ACHIEVEMENTS, "overflow"}
    rates = {name: value.tolist() for name, value in measured.items() if value.any()}
    assert rates == {"wake_up": [100.0, 0.0], "collect_wood": [100.0, 0.0]}
    means = {name: float(value.mean()) for name, value in measured.items()}
    # Two achievements at 50%: 51 ** (2 / 22) - 1.
    assert episodes.summary(env, means) == {"score": pytest.approx(51 ** (1 / 11) - 1, rel=1e-4)}
    assert episodes.references(env)["human"]["collect_diamond"] == 12.0
    assert episodes.references(env)["PPO"] == {"score": 4.6}
