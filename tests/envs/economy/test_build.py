"""Houses: where, of what, for how much; by hand."""

import jax
import numpy as np
import pytest

from jaxrl.environment import strong
from jaxrl.envs.economy.components.build import Build, BuildParams, BuildState
from tests.envs.economy.small_worlds import floats, part_of, state_of, step

FIELD = ".@W.;....;S..."


def test_a_house_costs_a_unit_of_each_and_labour_and_pays_by_skill():
    component = part_of(Build(), 4)
    state = state_of(
        FIELD,
        [(0, 0), (1, 1), (1, 2), (2, 3)],
        coin=(1, 2, 3, 4),
        stone=(2, 1, 0, 5),
        wood=(1,) * 4,
    ).replace(own={"Build": BuildState(floats(11, 12, 13, 14), floats(1, 1, 1, 1))})
    mask = component.agent_masks(state, ())[""]
    assert mask.tolist() == [[True], [True], [False], [True]]  # 2 has no stone
    after, event = step(component, state, {"": (1, 1, 1, 0)}, params=BuildParams(labor=4.0))
    assert event["builds"].tolist() == [True, True, False, False]
    np.testing.assert_array_equal(event["income"], [11, 12, 0, 0])
    np.testing.assert_array_equal(after.coin, [12, 14, 3, 4])
    np.testing.assert_array_equal(after.labor, [4, 4, 0, 0])
    assert after.units.tolist() == [[1, 0, 0, 5], [0, 0, 1, 1]]
    assert after.house.tolist() == [[0, -1, -1, -1], [-1, 1, -1, -1], [-1] * 4]


def test_houses_stand_on_empty_tiles_only():
    component = part_of(Build(), 4)
    # A house of its own, a source of wood, one of stone that is empty, and a free tile.
    places = [(1, 1), (0, 2), (2, 0), (2, 3)]
    state = state_of(FIELD, places, stone=(1,) * 4, wood=(1,) * 4, houses={(1, 1): 0})
    state = state.replace(
        resources=state.resources.at[0, 2, 0].set(0),
        own={"Build": BuildState(floats(10, 10, 10, 10), floats(1, 1, 1, 1))},
    )
    assert component.agent_masks(state, ())[""].tolist() == [[False], [False], [False], [True]]
    after, _ = step(component, state, {"": (1, 1, 1, 1)})
    np.testing.assert_array_equal(after.coin, [0, 0, 0, 10])
    assert after.house.tolist() == [[-1] * 4, [-1, 0, -1, -1], [-1, -1, -1, 3]]
    assert after.units.tolist() == [[1, 1, 1, 0]] * 2


def test_what_is_in_escrow_does_not_build():
    component = part_of(Build(), 2)
    state = state_of(FIELD, [(0, 0), (1, 1)], stone=(1, 1), wood=(0, 1))
    state = state.replace(
        units_escrow=state.units_escrow.at[1, 0].set(1),
        own={"Build": BuildState(floats(10, 10), floats(1, 1))},
    )
    after, event = step(component, state, {"": (1, 1)})
    assert event["builds"].tolist() == [False, True] and after.units_escrow[1, 0] == 1


def test_skills_and_pay_are_as_they_are_distributed():
    """Pay is min(m, (m - 1) x + 1) x 10."""
    params, start = strong(BuildParams(max_multiplier=3.0)), state_of(FIELD, [(0, 0)])
    found = {}
    for skills in ("none", "pareto", "lognormal"):
        component = part_of(Build(skills=skills), 20_000)
        own = component.reset(jax.random.key(0), start, params).own["Build"]
        found[skills] = np.asarray(own.payment), np.asarray(own.skill)
        assert (own.payment >= 10).all() and (own.payment <= 30).all()
    assert (found["none"][0] == 10).all() and (found["none"][1] == 1).all()
    for pay, skill in (found["pareto"], found["lognormal"]):
        np.testing.assert_allclose(pay, 10 * np.minimum(3, 2 * skill + 1), rtol=1e-5)
    # P(x > 1) = 2^-4 are paid as much as can be.
    np.testing.assert_allclose((found["pareto"][0] == 30).mean(), 1 / 16, atol=0.006)
    np.testing.assert_allclose(np.log(found["lognormal"][1]).mean(), -1, atol=0.02)
    np.testing.assert_allclose(np.log(found["lognormal"][1]).std(), 0.5, atol=0.02)


def test_an_agent_sees_its_skill_and_pay():
    component = part_of(Build(payment=20.0), 2)
    state = state_of(FIELD, [(0, 0), (1, 1)])
    state = state.replace(own={"Build": BuildState(floats(20, 50), floats(0, 0.75))})
    seen = component.observe(state, ()).agents
    np.testing.assert_allclose(seen["build_payment"], [1, 2.5])
    np.testing.assert_allclose(seen["build_skill"], [0, 0.75])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Build(payment=0.0), "Build.payment must be positive, got 0.0"),
        (lambda: Build(payment=float("inf")), "Build.payment must be positive, got inf"),
        (lambda: Build(skills="best"), "Build.skills must be one of none, pareto, lognormal, got"),
    ],
)
def test_what_means_nothing_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        part_of(make(), 2)
