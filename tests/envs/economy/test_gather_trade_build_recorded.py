"""Gather-Trade-Build against episodes of the package, step by step.

`record_gather_trade_build.py` says how they were recorded, `gather_trade_build_cases.py` of what.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.envs.economy.gather_trade_build_cases import CASES, SAMPLE
from tests.envs.economy.record_gather_trade_build import EPISODES, LENGTH
from tests.envs.economy.record_reference import samples
from tests.envs.economy.replay_gather_trade_build import (
    Replay,
    differences,
    make,
    without_rounded_incomes,
)
from tests.unoptimised import jit

with np.load(Path(__file__).with_name("recorded_gather_trade_build.npz")) as archive:
    RECORDED = {name: archive[name] for name in archive.files}


def under(prefix):
    return {k.removeprefix(prefix): v for k, v in RECORDED.items() if k.startswith(prefix)}


def episodes_of(name):
    record = {k: v for k, v in under(f"{name}/").items() if not k.startswith("features/")}
    return [{key: value[number] for key, value in record.items()} for number in range(EPISODES)]


@pytest.mark.parametrize("name", SAMPLE)
def test_episodes_are_those_of_the_package(name):
    replay = Replay(name, LENGTH, jit=jit)
    rates = samples(np.random.default_rng(5)) if CASES[name].get("samples") else None
    state, found = None, {}
    for number, record in enumerate(episodes_of(name)):
        state, ours, _ = replay(record, state, rates if number == 0 else None)
        record = without_rounded_incomes(record, ours, replay.env)
        for key, first in differences(record, ours, rtol=1e-5, atol=2e-5).items():
            found[f"episode {number}, {key}"] = first
    assert found == {}

    for role in ("agents", "planner", "by_agent"):
        names = {"agents": "agent_features", "planner": "planner_features"}
        ours = getattr(replay.env, names.get(role, "by_agent_features"))
        assert list(ours) == under(f"{name}/")[f"features/{role}"].tolist()


def test_much_happens_in_what_was_recorded():
    """So that what is compared is not an idle economy."""
    happened = {name: under(f"{name}/")["tally"].sum(axis=(0, 1)) for name in SAMPLE}
    total = np.sum(list(happened.values()), axis=0)
    assert (total > (500, 50, 150, 200)).all()
    assert all(
        gathered > 0 and built > 0 and traded > 0
        for gathered, built, traded, _ in happened.values()
    )


@pytest.mark.parametrize("name", ["small", "crowd"])
def test_corners_and_pay_by_rank_are_those_of_the_package(name):
    env, _ = make(name, LENGTH)
    places, payments = env.corners
    for record in episodes_of(name):
        rank = np.argsort(record["build/payment"][0])
        np.testing.assert_array_equal(record["state/location"][0][rank], places)
        np.testing.assert_allclose(record["build/payment"][0][rank], payments, rtol=1e-6)
