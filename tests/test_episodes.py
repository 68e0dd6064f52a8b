"""What an environment measures of episodes besides their return: in training and in evaluation."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import episodes, logging
from jaxrl.algorithm import canonical
from jaxrl.algos.on_policy import ppo
from jaxrl.algos.on_policy.types import Config
from jaxrl.evaluation import evaluate, random_act
from jaxrl.networks import NetworkConfig
from jaxrl.run_evaluation import _metric_lines, _own_metrics
from jaxrl.summary import describe_training_episodes
from tests.toy_envs import CostlyReset, CounterParams


class Measured(CostlyReset):
    """Measures the square of an episode's length."""

    def step_env(self, key, state, action, params):
        obs, state, reward, terminated, _ = super().step_env(key, state, action, params)
        return obs, state, reward, terminated, {"time": state.time}

    def episode_metrics(self, info):
        return {"square": jnp.square(info["time"])}

    def episode_summary(self, means):
        return {"root": math.sqrt(means["square"])}

    def episode_warnings(self, means):
        return ["long"] if means["square"] > 20 else []

    def episode_references(self):
        return {"human": {"root": 7.0}, "nobody": {}}


ENV = Measured(cost=1)
PARAMS = canonical(CounterParams(3, 6, 5))


def test_evaluation_measures_the_last_step_of_the_one_episode():
    played = evaluate(ENV, PARAMS, random_act(ENV, PARAMS), (), jax.random.key(0), 40)
    assert played.metrics.keys() == {"square"} and played.metrics["square"].dtype == jnp.float32
    # Environments play on after their episode: had that counted, most would differ.
    np.testing.assert_array_equal(played.metrics["square"], np.square(played.lengths))
    plain = CostlyReset(cost=1)
    assert (
        evaluate(plain, PARAMS, random_act(plain, PARAMS), (), jax.random.key(0), 2).metrics == {}
    )


def _train(env, shards=1):
    network = NetworkConfig(hidden=(4,))
    config = Config(num_envs=6, num_steps=8, num_minibatches=1, env_shards=shards, network=network)
    algorithm = ppo.SPEC.make(env, PARAMS, config)
    hp = canonical(ppo.PPOHyperparameters(env=PARAMS))
    step = jax.jit(algorithm.step)
    state, rows = algorithm.init(jax.random.key(0), hp), []
    for _ in range(3):
        state, metrics = step(state, hp)
        rows.append({name: float(value) for name, value in metrics.items()})
    return rows


@pytest.mark.parametrize("shards", [1, 2])
def test_training_logs_means_over_the_episodes_that_ended(shards):
    # Of k steps an episode pays k (k + 1) / 2: the return says what the mean square must be.
    for row in _train(ENV, shards):
        expected = 2 * row["episode_return"] - row["episode_length"]
        assert row["episode/square"] == pytest.approx(expected, rel=1e-6)
    if shards == 1:
        assert not any(name.startswith(episodes.PREFIX) for name in _train(CostlyReset(cost=1))[0])


def test_rows_weight_by_episodes():
    window = logging.Window()
    window.add(
        {
            "episodes": np.asarray([[1], [0], [3]], np.int32),
            "episode/square": np.asarray([[9.0], [np.nan], [25.0]]),
        }
    )
    assert window.summary() == [{"episodes": 4, "episode/square": 21.0}]
    assert episodes.is_episode_metric("episode_length") and not episodes.is_episode_metric("loss")


def test_all_training_episodes_by_hand():
    rows = [
        {"seed": 0, "episodes": 1, "episode_return": 2.0, "episode/square": 9.0},
        {"seed": 1, "episodes": 0, "episode_return": math.nan, "episode/square": math.nan},
        {"seed": 0, "episodes": 3, "episode_return": 6.0, "episode/square": 25.0},
        {"seed": 1, "episodes": 0, "episode_return": math.nan, "episode/square": math.nan},
    ]
    record = episodes.of_training(ENV, rows)
    assert record["0"] == {
        "episodes": 4,
        "mean_return": 5.0,
        "metrics": {"square": 21.0},
        "summary": {"root": math.sqrt(21)},
        "warnings": ["long"],
    }
    assert record["1"] == {"episodes": 0, "mean_return": None, "metrics": {}, "summary": {}}
    lines = list(describe_training_episodes({"training_episodes": {"are": "all", **record}}))
    assert lines == ["seed 0, all 4 training episodes: root 4.583", "warning, seed 0: long"]
    short = episodes.of_training(ENV, [{**rows[0], "seed": 0}])
    assert "warnings" not in short["0"]
    assert episodes.of_training(CostlyReset(), [{"seed": 0, "episodes": 1}]) == {}
    assert episodes.of_training(ENV, []) == {}


def test_evaluation_reports_finished_episodes_beside_references():
    finished = np.asarray([True, False, True])
    entry = _own_metrics(ENV, {"square": np.asarray([[9.0, 400.0, 16.0]])}, 0, finished)
    assert entry == {"metrics": {"square": 12.5}, "summary": {"root": math.sqrt(12.5)}}
    assert _own_metrics(ENV, {"square": np.ones((1, 3))}, 0, np.zeros(3, bool)) == {}
    long = _own_metrics(ENV, {"square": np.asarray([[9.0, 4.0, 36.0]])}, 0, finished)
    assert long["warnings"] == ["long"]
    other = {"metrics": {"square": 7.5}, "summary": {"root": 0.5}, "warnings": ["long"], "seed": 2}
    lines = list(_metric_lines([entry, {}, other], episodes.references(ENV)))
    assert lines == [
        "  square: 10 (by seed: 12.5, 7.5)",
        "  root: 2.018 (by seed: 3.536, 0.5); human 7",
        "  warning, seed 2: long",
    ]
    assert list(_metric_lines([{}], {})) == []
