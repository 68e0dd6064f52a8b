"""Benchmarks: all the work is done, on keys of its own, and one line of JSON says so."""

import json
import statistics
from functools import partial

import jax
import pytest

from jaxrl import benchmark, chunks, cli
from jaxrl.algorithm import canonical
from tests import fake_algorithm
from tests.toy_envs import CostlyReset, CounterParams

pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")

# Every episode has three steps and pays 1 + 2 + 3.
PARAMS = canonical(CounterParams(3, 3, 1000))


@pytest.mark.parametrize("actions", [benchmark.random_actions, benchmark.fixed_actions])
def test_rollout_does_all_the_steps_and_exactly_the_resets(actions):
    resets = []
    env = CostlyReset(cost=1, on_reset=lambda key: resets.append(1))
    run = partial(benchmark.rollout, benchmark.exact_resets, actions, 4, 7, env)
    program, compile_s = benchmark.compiled(run, PARAMS, jax.random.key(0))
    assert compile_s > 0 and resets == []
    for call in (1, 2):
        _, rewards, running = program(PARAMS, jax.random.key(call))
        jax.effects_barrier()
        assert len(resets) == call * (4 + 2 * 4)
        assert (float(rewards), float(running)) == (4 * (6 + 6 + 1), 4 * 1)


def test_rollout_without_resets_goes_on_past_the_end():
    env = CostlyReset(cost=1)
    _, rewards, _ = benchmark.rollout(
        benchmark.no_resets, benchmark.fixed_actions, 4, 7, env, PARAMS, jax.random.key(0)
    )
    assert float(rewards) == 4 * sum(range(1, 8))


def test_programs_take_turns_and_the_first_round_warms_up():
    calls = []
    programs = {name: partial(lambda n, x: calls.append((n, x)), name) for name in "ab"}
    times = benchmark.seconds_in_turn(programs, [(0,), (1,), (2,)])
    assert calls == [(name, x) for x in range(3) for name in "ab"]
    assert {name: len(values) for name, values in times.items()} == {"a": 2, "b": 2}


def bench(capsys, *words):
    capsys.readouterr()
    assert cli.main(["bench", *words]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    record = json.loads(out)
    rates = record["steps_per_s_all"]
    assert len(rates) == len(set(rates)) == record["repeats"] == 3
    assert record["steps_per_s"] == statistics.median(rates) and min(rates) > 0
    assert record["compile_s"] > 0 and record["device"]["platform"] == "cpu"
    assert record["versions"]["jax"] == jax.__version__
    memory = record["peak_memory"]
    assert 0 < memory["largest_program_bytes"] < memory["process_peak_rss_bytes"]
    return record


def test_bench_env_is_one_line(capsys, monkeypatch):
    seen = []
    timed = benchmark.seconds_in_turn

    def watched(programs, inputs):
        print("a library that talks")
        seen.extend(inputs)
        return timed(programs, inputs)

    monkeypatch.setattr(benchmark, "seconds_in_turn", watched)
    words = ("--batch", "8", "--steps", "16", "--repeats", "3")
    record = bench(capsys, "env", "CartPole-v1", *words, "--env-overrides", "gravity=5.0")
    assert (record["env"], record["batch"], record["steps"]) == ("CartPole-v1", 8, 16)
    assert record["env_overrides"] == {"gravity": 5.0} and record["reset_cost"]["ratio"] > 0
    assert float(seen[0][0].gravity) == 5.0
    keys = {tuple(jax.random.key_data(key).tolist()) for _, key in seen}
    assert len(seen) == len(keys) == 4


def test_bench_train_is_one_line(capsys, monkeypatch):
    trained = []
    seed_keys = chunks.seed_keys
    monkeypatch.setattr(chunks, "seed_keys", lambda s: trained.append(list(s)) or seed_keys(s))
    words = ("--seeds", "2", "--repeats", "3", "--seed", "5", "--config.batch", "2")
    record = bench(capsys, "train", fake_algorithm.NAME, "CartPole-v1", *words)
    # The first keys are traced with, and warm up; every repeat has others.
    assert trained == [[5, 6], [5, 6], [7, 8], [9, 10], [11, 12]]
    assert (record["updates"], record["env_steps_per_seed"]) == (64, 128)
    assert record["config"]["batch"] == 2 and record["seeds"] == 2
    words = (*words, "--total-steps", "300")
    record = bench(capsys, "train", fake_algorithm.NAME, "CartPole-v1", *words)
    assert (record["updates"], record["env_steps_per_seed"]) == (150, 300)


def test_rate_is_steps_over_seconds(monkeypatch):
    found = benchmark._rates("steps_per_s", 100, [0.5, 0.25, 1.0])
    assert found == {"steps_per_s": 200.0, "steps_per_s_all": [200.0, 400.0, 100.0]}
    cost = benchmark._reset_cost({"exact": [2.0, 3.0, 9.0], "none": [2.0, 2.0, 1.0]})
    assert cost["ratio"] == 1.5


def test_memory_is_the_device_s_where_it_tells(monkeypatch):
    class Device:
        def memory_stats(self):
            return {"peak_bytes_in_use": 7}

    monkeypatch.setattr(benchmark.jax, "devices", lambda: [Device()])
    assert benchmark._peak_memory([]) == {"device_peak_bytes_in_use": 7}
