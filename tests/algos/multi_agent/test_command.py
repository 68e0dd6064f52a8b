"""Games from the command line: options by role, a run folder, evaluation, resuming bit for bit."""

import json
import shutil

import jax
import numpy as np
import pytest

from jaxrl import cli, driver, registry
from jaxrl.config import RunConfig, load_config

ENV = "OneStepEconomy-v1"
TINY = [
    *("--total-steps", "192", "--config.num-envs", "4", "--config.num-steps", "4"),
    *("--config.agents.num-epochs", "1", "--config.agents.network.hidden", "8"),
    *("--config.planner.num-minibatches", "2", "--hp.planner.lr", "2e-3"),
    *("--hp.planner.start-update", "2", "--hp.agents.objective.clip", "0.1"),
    *("--env-overrides", "agents=2", "labor_exponent=3.5", "max_multiplier=20.0"),
    *("--log-every", "3", "--checkpoint-every", "6", "--no-progress"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder of 12 updates, not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert cli.main(["train", "ippo", ENV, *TINY, "--out", str(folder)]) == 0
    return folder


def test_options_by_role_reach_the_run(trained):
    run = load_config(trained / "config.json")
    assert (run.algorithm, run.env) == ("ippo", ENV)
    assert (run.config.agents.num_epochs, run.config.agents.network.hidden) == (1, (8,))
    assert run.config.planner.num_minibatches == 2
    preset = registry.algorithm("ippo").preset(ENV)
    assert run.config.planner.num_epochs == preset.config.planner.num_epochs
    assert (run.hp.planner.lr, run.hp.planner.start_update) == (2e-3, 2)
    assert (run.hp.agents.objective.clip, run.hp.agents.lr) == (0.1, preset.hp.agents.lr)
    assert RunConfig.from_json(json.loads(json.dumps(run.to_json()))) == run
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and [row["planner/learnt"] for row in rows] == [
        pytest.approx(1 / 3),
        *[1.0] * 3,
    ]
    for row in rows:
        assert row["episodes"] == 3 * 8 and np.isfinite(row["agents/loss"])
        np.testing.assert_allclose(row["episode_return"], row["episode/agents/return"], rtol=1e-6)


def test_evaluation_reports_roles(trained, capsys):
    assert cli.main(["evaluate", str(trained), "--episodes", "4", "--checkpoint", "last"]) == 0
    assert "planner/return" in capsys.readouterr().out
    record = json.loads((trained / "evaluation.json").read_text())
    (entry,) = record["checkpoints"]["last"]["seeds"]
    means = entry["metrics"]
    np.testing.assert_allclose(means["agents/return"], entry["mean_return"], rtol=1e-5)
    np.testing.assert_allclose(means["planner/return"], means["social_welfare"], rtol=1e-4)


def test_a_run_goes_on_bit_for_bit(trained, tmp_path):
    """Without its last checkpoint it is resumed from the one before, and ends in the same state."""
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    shutil.rmtree(folder / "checkpoints" / "12")
    (folder / "summary.json").unlink()
    assert load_config(folder / "config.json") == driver.load(trained).run
    result = driver.resume(folder, driver.Options(progress=False, chunk=1))
    assert result is not None
    last, _ = driver.restore(driver.load(trained), trained / "checkpoints" / "12")

    def same(x, y):
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)

    jax.tree.map(same, result.states, last)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ppo", ENV], "is a game of several agents (agents, planner) and ppo is for one"),
        (["ippo", "CartPole-v1"], "CartPole-v1 is for one agent and ippo is for games"),
        (["ippo", ENV, "--hp.agents.gamma", "2"], "agents: hp.gamma must be in [0, 1]"),
        (["ippo", ENV, "--hp.planner.update-every", "0"], "hp.planner.update_every must be"),
        (["ippo", ENV, "--config.agents.num-minibatches", "7"], "agents: a batch of num_envs"),
        (["ippo", ENV, "--hp.agent.lr", "1"], "did you mean --hp.agents.lr"),
    ],
)
def test_mistakes_are_one_line(words, message, tmp_path, capsys):
    assert cli.main(["train", *words, "--out", str(tmp_path / "run"), "--no-progress"]) in (1, 2)
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()
