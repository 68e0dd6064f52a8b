"""A sweep trains and evaluates PPO as `jaxrl train` and `jaxrl evaluate` do."""

import dataclasses
import json

import numpy as np
import pytest

from jaxrl import cli, driver
from jaxrl.run_evaluation import evaluate_run
from jaxrl.sweep import plan as plans

SWEEP = [
    *("sweep", "ppo", "CartPole-v1", "--seeds", "2", "--seed", "3", "--total-steps", "2e2"),
    *("--grid", "hp.lr=1e-3,2e-2", "--grid", "hp.env.gravity=9.8", "--episodes", "5"),
    *("--env-overrides", "max_steps_in_episode=20", "--config.num-envs", "4"),
    *("--config.num-steps", "8", "--config.num-epochs", "1", "--config.network.hidden", "8"),
]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Output and folder of a sweep by the command line."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("swept") / "sweep"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main([*SWEEP, "--out", str(folder), "--no-progress"]) == 0
    return out.getvalue(), folder


def test_training_and_evaluation_are_those_of_the_driver(swept, tmp_path):
    folder = swept[1]
    record = json.loads((folder / "points" / "0001.json").read_text())
    assert record["values"] == {"hp.lr": 2e-2, "hp.env.gravity": 9.8}
    run = dataclasses.replace(plans.load(folder).run(1), checkpoint_every=6)
    trained = driver.train(run, tmp_path / "run", options=driver.Options(progress=False))
    for i, seed in enumerate((3, 4)):
        rows = [row for row in trained.rows if row["seed"] == seed]
        # lr_final is 0 in the preset, so a wrong horizon would show.
        got = np.array(record["curve"]["return"][i], np.float64)
        np.testing.assert_allclose(got, [row["episode_return"] for row in rows], rtol=1e-4)
        assert record["curve"]["env_steps"] == [row["env_steps"] for row in rows]
    evaluated = evaluate_run(tmp_path / "run", 5)
    want = [entry["mean_return"] for entry in evaluated["checkpoints"]["last"]["seeds"]]
    np.testing.assert_allclose(record["score"], want, rtol=1e-4)
    assert [len(e["returns"]) for e in record["evaluation"]] == [5, 5]
    assert record["score"] == [np.mean(e["returns"]) for e in record["evaluation"]]


def test_the_command_prints_the_table_and_how_to_train_the_best(swept):
    out, folder = swept
    lines = out.splitlines()
    assert lines[0].split() == [
        *("rank", "hp.lr", "hp.env.gravity", "IQM", "95%", "interval", "mean", "seeds"),
        "diverged",
    ]
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    (command,) = [line for line in lines if line.startswith("train it")]
    words = command.split(": ", 1)[1].split()
    assert words[:8] == ["jaxrl", "train", "ppo", "CartPole-v1", "--seeds", "2", "--seed", "5"]
    # The command is the point's own run, but for its seeds.
    best = json.loads((folder / "table.json").read_text())["points"][0]["point"]
    assert _run_of(words[1:]) == dataclasses.replace(
        plans.load(folder).run(best), seed=5, log_every=1, checkpoint_every=1
    )


def _run_of(words):
    from jaxrl import registry
    from jaxrl.options import parse, train_options

    spec = registry.algorithm(words[1])
    preset = spec.preset(words[2])
    options = parse(
        train_options(preset.config, preset.hp, preset.total_steps), words[3:], "jaxrl", ""
    )
    run = cli._run_config(spec, words[2], preset, options)
    return dataclasses.replace(run, log_every=1, checkpoint_every=1)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--grid", "hp.lrr=1"], 2, "did you mean hp.lr?"),
        ([], 2, "nothing to sweep"),
        (["--grid", "hp.lr=-1"], 1, "hp.lr must be >= 0"),
        (["--grid", "hp.lr=1", "--tasks", "2"], 2, "--tasks needs --launcher"),
        (["--grid", "hp.lr=1", "--merge", "--overwrite"], 2, "--overwrite would remove it"),
        (["--grid", "hp.lr=1", "--env-overrides", "env_id=3"], 1, "has no parameter 'env_id'"),
        (["--gird", "hp.lr=1"], 2, "did you mean --grid"),
        (["--grid", "hp.lr=1", "--total-steps", "1"], 1, "total_steps = 1 is less than"),
        (["--grid", "hp.lr=1", "--points-per-chunk", "0"], 1, "points_per_chunk must be"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(capsys, tmp_path, words, code, message):
    out = tmp_path / "sweep"
    assert cli.main(["sweep", "ppo", "CartPole-v1", *words, "--out", str(out)]) == code
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err
    assert not out.exists()


def test_help_tells_of_every_option(capsys):
    assert cli.main(["sweep", "--help"]) == 0
    assert "--grid NAME=V1,V2" in capsys.readouterr().out
    assert cli.main(["sweep", "ppo", "CartPole-v1", "--help"]) == 0
    out = capsys.readouterr().out
    for name in ("--grid", "--random", "--samples", "--launcher", "--memory-gib", "--hp.lr"):
        assert name in out
