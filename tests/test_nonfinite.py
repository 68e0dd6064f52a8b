"""freeze-seed: a seed that diverges is kept as it was, and the others never notice."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest

from jaxrl import checkpoint, chunks, driver, nonfinite
from jaxrl.algorithm import train
from jaxrl.config import ConfigError, load_config
from jaxrl.logging import read_metrics
from jaxrl.nonfinite import NonFiniteError
from jaxrl.plotting import _average
from jaxrl.summary import final_returns
from tests.test_driver import bits, fake_run, rows_but_time, tiny_ppo
from tests.test_resume import assert_equal_runs, lines, resume, stop_after

__all__ = ["lines"]  # a fixture
pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")

SICK = dict(seeds=3, nan_update=11.0, nan_seed=6.0)
TOLD = (
    "seed 6 is frozen as it was before update 11: non-finite loss, episode_return;"
    " the other seeds go on"
)


def frozen_run(**changes):
    """Seeds 5, 6, 7 over 20 updates; the loss of seed 6 is NaN in update 11."""
    return fake_run(**{**SICK, "on_nonfinite": "freeze-seed", **changes})


def seed_of(states, index):
    return jax.tree.map(lambda x: x[index], states)


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    """The finished run with a sick seed, and what it said."""
    said = []
    options = driver.Options(progress=False, say=said.append)
    folder = tmp_path_factory.mktemp("sick") / "run"
    return driver.train(frozen_run(), folder, options=options), said


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """The same without the sickness."""
    folder = tmp_path_factory.mktemp("healthy") / "run"
    run = frozen_run(nan_update=-1.0)
    return driver.train(run, folder, options=driver.Options(progress=False))


def test_healthy_seeds_are_the_same_bit_for_bit(sick, healthy):
    for index in (0, 2):
        assert bits(seed_of(sick[0].states, index)) == bits(seed_of(healthy.states, index))
    mine, theirs = (
        rows_but_time(row for row in rows if row["seed"] != 6)
        for rows in (sick[0].rows, healthy.rows)
    )
    assert mine == theirs and len(mine) == 20


def test_frozen_seed_keeps_its_last_finite_state(sick, tmp_path, lines):
    before = driver.train(frozen_run(total_steps=40), tmp_path / "x", options=lines.options())
    kept, expected = sick[0].states, before.states
    assert kept.frozen_at.tolist() == [-1, 11, -1] and expected.frozen_at.tolist() == [-1] * 3
    assert bits(seed_of(kept.inner, 1)) == bits(seed_of(expected.inner, 1))
    assert int(kept.inner.update[1]) == 10 and lines == []


def test_user_is_told_once_and_rows_say_so(sick):
    result, said = sick
    assert said == [TOLD]
    rows = [row for row in read_metrics(result.folder / "metrics.jsonl") if row["seed"] == 6]
    assert [row["update"] for row in rows] == list(range(2, 21, 2))
    assert [row.get("frozen_at") for row in rows] == [None] * 5 + [11] * 5
    assert all(math.isfinite(row["loss"]) for row in rows[:5])
    assert all(math.isnan(row["loss"]) and row["episodes"] == 0 for row in rows[6:])
    # Update 12 closes a window with the undone update 11: neither counts.
    assert math.isnan(rows[5]["loss"]) and math.isnan(rows[5]["episode_return"])
    assert (rows[4]["episodes"], rows[5]["episodes"]) == (1, 0)


def test_summary_and_curve_leave_it_out_and_say_so(sick):
    result = sick[0]
    summary = json.loads((result.folder / "summary.json").read_text())
    assert summary["frozen"] == {"6": 11}
    assert summary["final_return"]["6"] is None and "left out" in summary["final_return_is"]
    aggregate = summary["final_return_over_seeds"]
    assert (aggregate["seeds_counted"], aggregate["seeds_left_out"]) == (2, 1)
    healthy = [summary["final_return"][seed] for seed in ("5", "7")]
    assert aggregate["mean"] == pytest.approx(sum(healthy) / 2)
    last = {row["seed"]: row["episode_return"] for row in result.rows if row["update"] == 20}
    assert _average(result.rows)[1][-1] == pytest.approx((last[5] + last[7]) / 2)


def test_seed_frozen_at_the_very_end_has_no_final_return():
    """Its episodes of the last tenth ended before it was frozen: it would count by accident."""
    row = {"update": 20, "env_steps": 80, "episodes": 2, "episode_return": 3.0}
    rows = [{**row, "seed": 1}, {**row, "seed": 2, "frozen_at": 20, "episode_return": 9.0}]
    found = final_returns(rows)
    assert found[1] == 3.0 and math.isnan(found[2])


def test_interrupted_while_frozen(sick, monkeypatch, tmp_path, lines):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(patch, 13)
        with pytest.raises(KeyboardInterrupt):
            driver.train(frozen_run(), folder, options=lines.options(chunk=1))
    assert checkpoint.saved_updates(folder / "checkpoints") == [4, 8, 12]
    result = resume(folder, lines.options())
    assert_equal_runs(folder, result.states, sick[0])
    assert lines == [TOLD, "seed 6 stays frozen: update 11 was not finite"]


def test_run_that_stopped_goes_on_without_the_seed(sick, tmp_path, lines):
    folder = tmp_path / "run"
    stopping = dataclasses.replace(frozen_run(), on_nonfinite="stop")
    with pytest.raises(NonFiniteError, match="loss, episode_return at update 11, seed 6; the last"):
        driver.train(stopping, folder, options=lines.options())
    result = driver.resume(folder, lines.options(), on_nonfinite="freeze-seed")
    assert result.summary["resumed_from_update"] == 8 and lines == [TOLD]
    assert_equal_runs(folder, result.states, sick[0])
    assert load_config(folder / "config.json").on_nonfinite == "freeze-seed"
    (folder / "summary.json").unlink()
    with pytest.raises(ConfigError, match="seed 6 is frozen since update 11 cannot go on under"):
        driver.resume(folder, lines.options(), on_nonfinite="stop")
    assert load_config(folder / "config.json").on_nonfinite == "freeze-seed"


def test_frozen_run_without_frozen_seeds_may_go_back_to_stopping(healthy):
    run = dataclasses.replace(frozen_run(nan_update=-1.0), on_nonfinite="stop")
    states, _ = driver.restore(driver.set_up(run), healthy.folder / "checkpoints" / "20")
    assert bits(states) == bits(healthy.states.inner)


def test_no_seed_left_is_an_error(tmp_path, lines):
    run = frozen_run(nan_seed=-1.0, seeds=2)
    with pytest.raises(NonFiniteError) as caught:
        driver.train(run, tmp_path / "run", options=lines.options())
    assert "no seed is left, seed 5 is frozen since update 11, seed 6 is frozen" in str(
        caught.value
    )
    assert str(tmp_path / "run" / "checkpoints" / "8") in str(caught.value) and len(lines) == 2


def test_parameters_that_are_not_finite_freeze_too(tmp_path, lines):
    run = frozen_run(nan_update=-1.0, inf_weights=3.0)
    result = driver.train(run, tmp_path / "run", options=lines.options())
    assert len(lines) == 1 and "before update 3: non-finite parameters;" in lines[0]
    assert np.isfinite(result.states.policy.weights).all()


def test_mapping_seeds_as_accelerators_do_freezes_the_same(sick, tmp_path, lines, monkeypatch):
    monkeypatch.setattr(chunks, "map_seeds", jax.vmap)
    result = driver.train(frozen_run(), tmp_path / "x", options=lines.options())
    assert result.states.frozen_at.tolist() == [-1, 11, -1] and lines == [TOLD]
    weights = sick[0].states.policy.weights
    np.testing.assert_allclose(result.states.policy.weights, weights, rtol=1e-4)


def test_wrapped_algorithm_trains_in_the_plain_loop_and_is_silent_in_its_metrics():
    setup = driver.set_up(frozen_run())
    state, metrics = jax.jit(train(setup.algorithm, 14))(jax.random.key(6), setup.hp)
    assert metrics["frozen_at"].tolist() == [-1] * 10 + [11] * 4
    assert np.isnan(metrics["loss"][10:]).all() and np.isfinite(metrics["loss"][:10]).all()
    assert int(state.update) == 10


def test_ppo_computes_the_same_bits_with_and_without_the_guard():
    """Two programs, so XLA might round differently; what is promised to a resume is that not."""
    finals = []
    for policy in ("stop", "freeze-seed"):
        setup = driver.set_up(tiny_ppo(on_nonfinite=policy))
        keys = chunks.seed_keys(range(2))
        programs = chunks.lower(setup.algorithm, keys, setup.hp).compile()
        states, columns = programs.advance(programs.init(keys, setup.hp), setup.hp, np.int32(4))
        fetched = chunks.fetch(columns, 4)
        finals.append((nonfinite.convert(states, policy, "stop", range(2)), fetched["loss"]))
    assert bits(finals[0][0]) == bits(finals[1][0])
    assert bits(finals[0][1]) == bits(finals[1][1])


def test_unknown_policy_is_refused():
    with pytest.raises(ConfigError, match="on_nonfinite must be stop or freeze-seed, got 'skip'"):
        fake_run(on_nonfinite="skip")
