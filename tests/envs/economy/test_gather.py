"""Moves in turn, collisions, and what is taken of tiles, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.economy.components.gather import Gather, GatherParams, GatherState
from tests.envs.economy.small_worlds import floats, part_of, state_of, step, whole

STAY, LEFT, RIGHT, UP, DOWN = range(5)
FIELD = ".@W.;....;S..."


def moved(places, actions, order=None, layout=FIELD, params=None, probability=0.0, bonus=1.0, **of):
    """A step of as many agents as there are places; state and what happened."""
    agents = len(places)
    component = part_of(Gather(), agents)
    state = state_of(layout, places, **of)
    state = state.replace(own={"Gather": GatherState(jnp.full(agents, probability, jnp.float32))})
    draws = {
        "order": whole(*(order or range(agents))),
        "bonus": jnp.broadcast_to(jnp.asarray(bonus, jnp.float32), (2, agents)),
    }
    return step(component, state, {"": actions}, draws=draws, params=params)


@pytest.mark.parametrize(
    ("order", "columns"), [((0, 1, 2), (0, 1, 3)), ((2, 1, 0), (1, 2, 3)), ((1, 2, 0), (0, 1, 3))]
)
def test_in_a_row_each_waits_for_the_one_before_it(order, columns):
    after, event = moved([(1, 0), (1, 1), (1, 2)], (RIGHT,) * 3, order)
    assert after.location.tolist() == [[1, column] for column in columns]
    went = [new != old for new, old in zip(columns, (0, 1, 2), strict=True)]
    assert event["moved"].tolist() == went
    np.testing.assert_array_equal(after.labor, np.array(went, np.float32))


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_who_want_a_tile_the_first_gets_it(first):
    places = [(1, 0), (1, 2), (2, 3)]
    after, _ = moved(places, (RIGHT, LEFT, STAY), (first, 2, 1 - first))
    expected = np.array(places)
    expected[first] = (1, 1)
    np.testing.assert_array_equal(after.location, expected)


def test_two_do_not_change_places_and_a_circle_is_open_only_from_its_last():
    after, event = moved([(1, 0), (1, 1), (2, 3)], (RIGHT, LEFT, STAY))
    assert not event["moved"].any() and not after.labor.any()
    # 2 leaves first, 1 takes its tile, 0 that of 1.
    after, _ = moved([(1, 1), (1, 2), (2, 2)], (RIGHT, DOWN, LEFT), (2, 1, 0))
    assert after.location.tolist() == [[1, 2], [2, 2], [2, 1]]


def test_the_edges_of_the_map_are_not_left():
    corners = [(0, 0), (0, 3), (2, 1), (1, 0)]
    after, event = moved(corners, (UP, RIGHT, DOWN, LEFT))
    assert after.location.tolist() == [list(place) for place in corners]
    assert not event["moved"].any() and not after.labor.any()


def test_water_and_houses_of_others_are_not_entered():
    places, houses = [(0, 0), (1, 1), (2, 2)], {(1, 0): 2, (1, 2): 2, (2, 3): 0}
    after, _ = moved(places, (RIGHT, UP, RIGHT), houses=houses)  # water, water, the house of 0
    assert after.location.tolist() == [list(place) for place in places]
    after, _ = moved(places, (DOWN, RIGHT, UP), houses=houses)  # only 2 goes to its own
    assert after.location.tolist() == [[0, 0], [1, 1], [1, 2]]


def test_what_lies_on_a_tile_is_taken_by_who_comes_and_by_who_stays():
    # 0 stands on stone, 1 steps on wood, 2 on nothing.
    places = [(2, 0), (1, 2), (2, 3)]
    params = GatherParams(move_labor=0.5, collect_labor=2.0)
    after, event = moved(places, (STAY, UP, LEFT), params=params)
    assert after.location.tolist() == [[2, 0], [0, 2], [2, 2]]
    assert after.units.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert event["gathered"].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert not after.resources.any() and after.sources.sum() == 2
    np.testing.assert_allclose(after.labor, [2.0, 2.5, 0.5])


def test_who_is_refused_takes_what_lies_where_it_is():
    after, event = moved([(2, 0), (1, 1)], (LEFT, STAY))
    assert not event["moved"].any() and after.units.tolist() == [[1, 0], [0, 0]]
    np.testing.assert_allclose(after.labor, [1, 0])


@pytest.mark.parametrize(("draw", "units"), [(0.24, 2), (0.25, 1), (0.9, 1)])
def test_a_second_unit_by_skill_costs_the_tile_one_and_no_labour(draw, units):
    component = part_of(Gather(skills="pareto"), 2)
    state = state_of(FIELD, [(2, 0), (1, 1)])
    state = state.replace(
        resources=state.resources * jnp.int8(2), own={"Gather": GatherState(floats(0.25, 1.0))}
    )
    draws = {"order": whole(0, 1), "bonus": jnp.full((2, 2), draw, jnp.float32)}
    after, _ = step(component, state, {"": (STAY, STAY)}, draws=draws)
    assert after.units.tolist() == [[units, 0], [0, 0]]
    assert after.resources[0, 2, 0] == 1
    np.testing.assert_allclose(after.labor, [1, 0])


def test_masks_are_of_tiles_that_are_free_now():
    component = part_of(Gather(), 3)
    state = state_of(FIELD, [(1, 1), (1, 2), (2, 3)], houses={(1, 0): 0, (1, 3): 0, (2, 2): 1})
    mask = component.agent_masks(state, ())[""]
    assert mask.tolist() == [
        [True, False, False, True],  # its house, agent 1, water, stone's neighbour
        [False, False, True, True],  # agent 0, the house of 0, wood, its house
        [False, False, False, False],  # another's house, the edge, another's house, the edge
    ]


def test_skills_are_as_they_are_distributed():
    found = {}
    for skills in ("none", "pareto", "lognormal"):
        component = part_of(Gather(skills=skills), 20_000)
        state = component.reset(jax.random.key(0), state_of(FIELD, [(0, 0)]), ())
        found[skills] = np.asarray(state.own["Gather"].bonus_probability)
        assert (found[skills] >= 0).all() and (found[skills] <= 1).all()
    assert not found["none"].any()
    # P(min(2, x) / 2 > 1/2) of a Lomax x with parameter 3 is 2^-3; that it is 1, 3^-3.
    np.testing.assert_allclose((found["pareto"] > 0.5).mean(), 1 / 8, atol=0.01)
    np.testing.assert_allclose((found["pareto"] == 1).mean(), 1 / 27, atol=0.005)
    np.testing.assert_allclose(np.median(found["lognormal"]), np.exp(-2.022) / 2, rtol=0.03)
    np.testing.assert_allclose(np.log(2 * found["lognormal"]).std(), 0.938, rtol=0.05)


def test_unknown_skills_are_refused():
    with pytest.raises(ValueError, match=r"Gather\.skills must be one of none, pareto, lognormal"):
        part_of(Gather(skills="uniform"), 2)
