"""Which points share a program, and how many rows of one fit."""

import numpy as np
import pytest

from jaxrl import registry
from jaxrl.config import RunConfig
from jaxrl.sweep.groups import group
from jaxrl.sweep.memory import GIB, SweepMemoryError, budget, choose_rows, even
from jaxrl.sweep.names import kinds
from jaxrl.sweep.plan import Plan
from jaxrl.sweep.points import expand


def groups_of(env, grid):
    preset = registry.algorithm("ppo").preset(env)
    base = RunConfig("ppo", env, (), 2, 0, 100_000, preset.config, preset.hp, 1, 1)
    plan = Plan(base, tuple(expand(kinds(base), grid, {})), 1, False)
    return group(plan, range(len(plan.points)))


def test_numbers_share_a_program_and_static_settings_do_not():
    found = groups_of("CartPole-v1", {"config.num_envs": [4, 8], "hp.lr": [1e-4, 1e-3]})
    assert [g.indices for g in found] == [(0, 1), (2, 3)]
    assert [g.setup.run.config.num_envs for g in found] == [4, 8]
    for g in found:
        np.testing.assert_allclose(g.hps.lr, [1e-4, 1e-3])
        # The schedule of `jaxrl train`: the horizon is the number of updates.
        updates = 100_000 // (g.setup.run.config.num_envs * 64)
        np.testing.assert_array_equal(g.hps.horizon, [updates, updates])


def test_static_settings_that_leave_the_number_of_updates_are_programs_of_their_own():
    found = groups_of("CartPole-v1", {"config.network.activation": ["tanh", "relu"]})
    assert [g.indices for g in found] == [(0,), (1,)]


def test_environment_parameters_are_arguments_unless_the_policy_is_built_for_them():
    # The bounds of CartPole's observation follow x_threshold, but no network looks at them.
    (found,) = groups_of("CartPole-v1", {"hp.env.x_threshold": [1.0, 2.4]})
    np.testing.assert_allclose(found.hps.env.x_threshold, [1.0, 2.4])
    np.testing.assert_allclose(found.hps.env.gravity, [9.8, 9.8])
    # Pendulum's actions are scaled to max_torque; its gravity is physics.
    found = groups_of("Pendulum-v1", {"hp.env.max_torque": [1.0, 2.0], "hp.env.g": [5.0, 10.0]})
    assert [g.indices for g in found] == [(0, 1), (2, 3)]
    space = found[0].setup.env.action_space(found[0].setup.env_params)
    assert float(space.high) == 1.0


class Fake:
    """A program of `base` bytes and `each` bytes a row; remembers what was compiled."""

    def __init__(self, base, each):
        self.base, self.each, self.compiled = base, each, []

    def __call__(self, rows):
        if rows not in self.compiled:
            self.compiled.append(rows)
        return self.base + self.each * rows


@pytest.mark.parametrize(
    ("total", "unit", "limit", "rows", "compiled"),
    [
        # Everything fits: one program is compiled.
        (96, 8, 100 + 960, 96, [96]),
        # 95 rows fit: 11 points; 12 points in 2 calls are 6 and 6.
        (96, 8, 100 + 950, 48, [96, 1, 2, 48]),
        # 40 rows fit: 5 points; 12 points in 3 calls are 4 each.
        (96, 8, 100 + 400, 32, [96, 1, 2, 32]),
        # Not even one point of 8 seeds: 5 rows, 20 calls would be 5 each.
        (96, 8, 100 + 50, 5, [96, 1, 2, 5]),
        (96, 8, 100 + 10, 1, [96, 1, 2]),
        (1, 1, 110, 1, [1]),
    ],
)
def test_the_largest_equal_calls_that_fit_are_chosen(total, unit, limit, rows, compiled):
    measure = Fake(100, 10)
    assert choose_rows(total, unit, limit, measure) == rows
    assert measure(rows) <= limit
    assert measure.compiled == compiled


@pytest.mark.parametrize(
    ("total", "unit", "limit", "rows", "compiled"),
    [
        # Of 4 devices each has 100 bytes and 10 a row: 4 rows are 440 bytes, 8 are 480.
        (96, 8, 400 + 960, 96, [96]),
        # 23 rows a device fit, 92 in all, 11 points: 2 calls of 6.
        (96, 8, 400 + 959, 48, [96, 4, 8, 48]),
        # 10 rows a device fit, 5 points: 3 calls of 4.
        (96, 8, 400 + 400, 32, [96, 4, 8, 32]),
        # One row a device fits and that is not a point: 24 calls.
        (96, 8, 400 + 79, 4, [96, 4, 8]),
        (4, 4, 440, 4, [4]),
    ],
)
def test_rows_are_measured_by_the_number_of_devices_that_share_them(
    total, unit, limit, rows, compiled
):
    one_device = Fake(100, 10)

    def measure(count):
        seen.append(count) if count not in seen else None
        return 4 * one_device(-(-count // 4))

    seen = []
    assert choose_rows(total, unit, limit, measure, devices=4) == rows
    assert measure(rows) <= limit
    assert seen == compiled
    if total > 4:
        with pytest.raises(SweepMemoryError):
            choose_rows(total, unit, 439, measure, devices=4)


def test_a_program_larger_than_was_foreseen_is_halved():
    def measure(rows):
        return 10 * rows if rows <= 2 else 25 * rows

    # By one and two rows 50 would fit, 13 units of 2 in equal calls; in truth 20 do.
    rows = choose_rows(100, 2, 500, measure)
    assert rows % 2 == 0 and rows > 10 and measure(rows) <= 500


def test_one_row_that_does_not_fit_is_an_error_with_the_numbers():
    with pytest.raises(SweepMemoryError, match=r"takes 3 GiB and 2 GiB are free"):
        choose_rows(4, 2, 2 * GIB, Fake(2 * GIB, GIB))


def test_calls_are_equal_and_cover_everything():
    for total, unit in ((96, 8), (35, 7), (12, 1), (18, 9)):
        for most in range(1, total + 1):
            rows = even(total, most, unit)
            assert 1 <= rows <= most
            assert rows % unit == 0 or most < unit
            whole = most - most % unit if most >= unit else most
            # No more calls than the largest allowed size needs.
            assert -(-total // rows) == -(-total // whole)


def test_the_budget_is_what_is_given_or_what_the_host_has():
    assert budget(1.5) == 3 * GIB // 2
    assert GIB // 64 < budget() < 2**50
    with pytest.raises(ValueError, match="positive"):
        budget(0.0)
