"""The meta-generalisation matrix: its numbers, its verdicts, and going on after an interruption."""

import contextlib
import dataclasses
import io
import json
import runpy
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import cli, driver, registry
from jaxrl.algorithm import train
from jaxrl.algos.meta import contenders, matrix, matrix_plot, matrix_report
from jaxrl.algos.meta.evaluate_command import evaluate_options, run_plan
from jaxrl.algos.on_policy import dpo, drift_files, lpo, ta_lpo
from jaxrl.algos.on_policy.learnt import random_drift
from jaxrl.algos.on_policy.objectives import DPOParameters
from jaxrl.config import ConfigError, RunConfig, encode
from jaxrl.evaluation import evaluate, random_act
from jaxrl.networks import NetworkConfig
from jaxrl.options import parse
from jaxrl.run_folder import RunFolderError
from tests.processes import ROOT, run_python

ENV, OTHER = "Probe-Continuous-v1", "CartPole-v1"
STEPS, EPISODES, SEEDS = 64, 6, 3


def record(env=ENV, **changes):
    """What a file says of an inner training: tiny, with a learning rate of its own."""
    preset = registry.algorithm("lpo").preset(env)
    config = dataclasses.replace(
        preset.config,
        num_envs=4,
        num_steps=8,
        num_epochs=2,
        num_minibatches=1,
        network=NetworkConfig(hidden=(8,)),
    )
    run = RunConfig("lpo", env, (), 1, 0, STEPS, config, preset.hp.replace(lr=0.03))
    kept = {name: run.to_json()[name] for name in ("env", "total_steps", "config", "hp")}
    return kept | changes


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two drifts: one trained on ENV, and one elsewhere, with discrete actions."""
    folder = tmp_path_factory.mktemp("drifts")
    for i, (name, env, kind) in enumerate(
        [("inside", ENV, "continuous"), ("outside", OTHER, "discrete")]
    ):
        phi = random_drift(jax.random.key(i), hidden=4, scale=2.0)
        task = record() if env == ENV else {"env": env}
        note = {"tasks": [task], "action_kind": kind}
        lpo.save(folder / f"{name}.npz", phi, note)
    return folder


@pytest.fixture(scope="module")
def words(files):
    phis = [str(files / "outside.npz"), str(files / "inside.npz")]
    sizes = ["--seeds", str(SEEDS), "--episodes", str(EPISODES), "--horizons", "1"]
    return ["meta-evaluate", *phis, "--envs", ENV, *sizes]


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    """(folder, what was printed) of a finished matrix, not to be changed."""
    folder = tmp_path_factory.mktemp("matrix") / "out"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert cli.main([*words, "--out", str(folder), "--no-progress"]) == 0
    return folder, out.getvalue()


def plan_of(files, env=ENV, **settings):
    phis = contenders.load([str(files / "outside.npz"), str(files / "inside.npz")])
    settings = dict(seeds=SEEDS, episodes=EPISODES, horizons=(1,)) | settings
    return matrix.make_plan(phis, [env], **settings)


def fill(plan, folder, returns, random=0.0):
    """Finished cells made up: the returns of the seeds, by (column, row)."""
    matrix.start(plan, folder, False)
    for i, env in enumerate(plan.envs):
        made = {"env": env, "return": random}
        (folder / "cells" / f"random_{i:03}.json").write_text(json.dumps(made))
    for (column, row), values in returns.items():
        cell = {"returns": values, "env_steps_per_seed": 64}
        (folder / "cells" / f"{column:03}_{row:03}.json").write_text(json.dumps(cell))
    return matrix_report.gather(folder, plan)


def test_a_cell_is_what_a_plain_loop_gives(files, whole):
    cells = {
        cell["objective"]: cell
        for cell in json.loads((whole[0] / "matrix.json").read_text())["cells"]
    }
    assert list(cells) == ["ppo", "dpo", "outside", "inside"]
    preset = registry.algorithm("lpo").preset(ENV)
    config = dataclasses.replace(
        preset.config, num_envs=4, num_steps=8, num_epochs=2, num_minibatches=1,
        network=NetworkConfig(hidden=(8,)),
    )  # fmt: skip
    hp = preset.hp.replace(lr=0.03, objective=lpo.load(files / "outside.npz"))
    setup = driver.set_up(RunConfig("lpo", ENV, (), 1, 0, STEPS, config, hp))
    run, means = jax.jit(train(setup.algorithm, 2)), []
    for seed in range(10_000, 10_000 + SEEDS):
        key = jax.random.key(seed)
        state, _ = run(key, setup.hp)
        key_play = jax.random.fold_in(jax.random.fold_in(key, 0x6576616C), 0)
        played = evaluate(
            setup.env, setup.hp.env, setup.algorithm.act, state.policy, key_play, EPISODES
        )
        means.append(float(np.mean(played.returns)))
    cell = cells["outside"]
    assert cell["seeds"] == [10_000, 10_001, 10_002] and cell["env_steps_per_seed"] == STEPS
    np.testing.assert_allclose(cell["returns"], means, rtol=1e-4)
    np.testing.assert_allclose(cell["mean"], np.mean(means), rtol=1e-4)
    draws = np.random.default_rng(0).integers(0, SEEDS, (2000, SEEDS))
    ends = np.quantile(np.array(means)[draws].mean(axis=1), [0.025, 0.975])
    np.testing.assert_allclose(cell["mean_95"], ends, rtol=1e-4)
    assert len(set(np.round(means, 6))) == SEEDS
    assert cells["inside"]["returns"] != cell["returns"] != cells["ppo"]["returns"]


def test_the_random_policy_is_played(whole):
    env, params = registry.make(ENV)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(10_000), 0x6576616C), 0)
    played = evaluate(env, params, random_act(env, params), (), key, EPISODES)
    found = json.loads((whole[0] / "matrix.json").read_text())["environments"][ENV]
    np.testing.assert_allclose(found["random"], np.mean(played.returns), rtol=1e-5)
    assert found["settings_are"] == "those that inside was trained with"
    assert found["hp"]["lr"] == 0.03 and found["config"]["num_envs"] == 4
    assert found["total_steps"] == {"1": STEPS}


def test_what_is_printed_and_written(whole):
    folder, printed = whole
    lines = printed.splitlines()
    assert max(map(len, lines[:-1])) <= 100
    # Three seeds: there is no verdict, only marks.
    assert any(line.startswith("    inside ") and line.endswith(" -*") for line in lines)
    assert any(line.startswith("    outside ") and line.endswith(" -^") for line in lines)
    assert "- no verdict: win, tie and loss need at least 5 seeds (--seeds)" in lines
    groups = [line.strip() for line in lines if "trained on C" in line or "trained on P" in line]
    assert groups == [f"trained on {OTHER}:", f"trained on {ENV}:"]
    assert "inside: nearest DPO alpha = " in printed and "rms" in printed
    assert lines[-1] == f"matrix folder: {folder}"
    found = json.loads((folder / "matrix.json").read_text())
    assert found["command"].startswith("jaxrl meta-evaluate ") and found["unfinished"] == []
    assert found["versions"]["jax"] == jax.__version__ and found["device"]["platform"] == "cpu"
    assert set(found["nearest_dpo"]) == {"inside", "outside"}
    (fit,) = found["nearest_dpo"]["inside"]
    assert fit["alpha"] > 0 and fit["negative"]["residual"]["rms"] >= 0
    for name in ("matrix.png", "drifts.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    text = (folder / "matrix.md").read_text()
    assert f"| outside | {OTHER} | " in text and "inside\\*" in text
    assert {(c["objective"], c["place"]) for c in found["cells"]} == {
        *(("ppo", "held_out"), ("dpo", "held_out"), ("outside", "held_out"), ("inside", "held_in"))
    }
    assert all(cell["against_ppo"] is None for cell in found["cells"])


def test_a_matrix_goes_on_where_it_was_killed(files, whole, words, tmp_path, capsys):
    """One cell is missing and one is damaged: these are computed again, and are the same."""
    folder = tmp_path / "out"
    shutil.copytree(whole[0], folder)
    (folder / "cells" / "000_002.json").unlink()
    (folder / "cells" / "000_003.json").write_text('{"returns": [1')
    (folder / "matrix.json").unlink()
    assert cli.main([*words, "--out", str(folder)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"3/4 {ENV} x1, outside",
        f"4/4 {ENV} x1, inside",
    ]
    for name in ("000_002.json", "000_003.json"):
        again, before = (
            json.loads((f / "cells" / name).read_text())["returns"] for f in (folder, whole[0])
        )
        np.testing.assert_allclose(again, before, rtol=1e-6)
    assert json.loads((folder / "matrix.json").read_text())["unfinished"] == []


def test_an_interruption_keeps_finished_cells(files, tmp_path, monkeypatch):
    plan, folder = plan_of(files), tmp_path / "out"

    def interrupted(*args):
        if args[2].name == "outside":
            raise KeyboardInterrupt
        return {"returns": [1.0] * SEEDS, "env_steps_per_seed": 1, "compile_s": 0, "run_s": 0}

    monkeypatch.setattr(matrix, "_train", interrupted)
    monkeypatch.setattr(matrix, "random_return", lambda *args: jnp.float32(0))
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, folder)
    assert set(matrix.read_cells(folder, plan)) == {(0, 0), (0, 1)}
    found = matrix_report.gather(folder, plan)
    matrix_report.write(folder, found, "")
    missing = json.loads((folder / "matrix.json").read_text())["unfinished"]
    assert [cell["objective"] for cell in missing] == ["outside", "inside"]
    assert any(line.startswith("    outside") for line in matrix_report.lines(found))


def test_another_matrix_is_refused(files, whole, tmp_path):
    for changed, name in ((dict(episodes=7), "episodes"), (dict(seed=20), "seeds")):
        with pytest.raises(RunFolderError, match=f"a matrix with other {name};"):
            matrix.check(plan_of(files, **changed), whole[0], False)
    matrix.check(plan_of(files), whole[0], False)
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(RunFolderError, match="not empty and has no plan.json"):
        matrix.check(plan_of(files), tmp_path, True)
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    (folder / "mine.txt").write_text("")
    matrix.check(plan_of(files, episodes=7), folder, True)
    matrix.start(plan_of(files, episodes=7), folder, True)
    assert sorted(path.name for path in folder.iterdir()) == [
        *(".lock", "cells", "mine.txt", "plan.json")
    ]
    assert not list((folder / "cells").iterdir())


def test_verdicts_and_scores_by_hand(files, tmp_path):
    """Intervals of equal numbers are points: above, below and within PPO's."""
    plan = plan_of(files, horizons=(1, 2), seeds=5)
    found = fill(
        plan,
        tmp_path,
        {
            (0, 0): [9.0, 9.0, 10.0, 11.0, 11.0],
            (0, 1): [12.0] * 5,
            (0, 2): [10.5] * 5,
            (0, 3): [4.0, 4.0, 4.0, 4.0, None],
            (1, 0): [1.0, 1.0, 1.0, 6.0, 6.0],
            (1, 1): [5.0] * 5,
            (1, 3): [12.0] * 5,
        },
        random=2.0,
    )
    ppo, dpo_cell, outside, inside = (found.cells[0, row] for row in range(4))
    assert (ppo.score, ppo.verdict) == (1.0, None)
    assert (dpo_cell.score, dpo_cell.verdict) == (10 / 8, "win")
    assert (outside.score, outside.verdict, outside.marks) == (8.5 / 8, "tie", "^")
    # The seed that diverged counts with the random policy's 2: mean (4 x 4 + 2) / 5.
    assert (inside.verdict, inside.diverged, inside.marks) == ("loss", 1, "*!")
    np.testing.assert_allclose([inside.mean, inside.score], [18 / 5, (18 / 5 - 2) / 8])
    # It was trained with the budget of the first column, not with that of the second.
    assert (found.cells[1, 3].place, found.cells[1, 3].marks) == ("other_horizon", "~")
    # PPO's interval, from 1 on, does not lie above the random policy: no scores there.
    assert found.cells[1, 1].score is None and found.cells[1, 1].verdict == "tie"
    assert matrix_report.tally(found) == {
        "dpo": _places(held_out=_counts(win=1, tie=1)),
        "outside": _places(held_out=_counts(tie=1)),
        "inside": _places(held_in=_counts(loss=1), other_horizon=_counts(win=1)),
    }
    text = "\n".join(matrix_report.lines(found))
    assert "12.0 (12.0 to 12.0)      1.25 win" in text and "! seeds diverged" in text
    assert "- win~" in text and "loss*!" in text and "no verdict" not in text
    assert "~ it was trained on this environment, with another budget" in text
    (line,) = (line for line in text.splitlines() if line.startswith("  inside ") and " - " in line)
    parts = ["inside", "held", "in", "0", "-", "0", "-", "1", "other", "horizon", "1", "-", "0"]
    assert line.split() == [*parts, *("-", "0", "held", "out", "-")]
    assert max(map(len, text.splitlines())) <= 100
    markdown = matrix_report.markdown(found)
    assert "| inside\\~ | 12.0 |" in markdown and "- win\\~ |" in markdown
    matrix_plot.draw(tmp_path / "matrix.png", found)
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")


def test_no_verdict_of_few_seeds(files, tmp_path):
    """The worst case: four seeds of each, far apart, are still no win."""
    plan = plan_of(files, seeds=4)
    found = fill(plan, tmp_path, {(0, 0): [1.0] * 4, (0, 1): [9.0] * 4})
    assert found.cells[0, 1].verdict is None and found.cells[0, 1].score == 9.0
    assert matrix_report.tally(found)["dpo"] == _places()
    assert "need at least 5 seeds" in "\n".join(matrix_report.lines(found))
    assert "need at least 5 seeds" in matrix_report.markdown(found)


def test_held_in_is_environment_and_budget():
    tasks = [{"env": "A", "total_steps": 10}, {"env": "A", "total_steps": 30}, {"env": "B"}]
    contender = contenders.Contender("x", "lpo", None, "x.npz", {"tasks": tasks})
    asked = [("A", 10), ("A", 30), ("A", 20), ("B", 7), ("C", 10)]
    assert [contender.place(*place) for place in asked] == [
        *("held_in", "held_in", "other_horizon", "held_in", "held_out")
    ]


def _places(**counts):
    return {place: _counts() for place in ("held_in", "other_horizon", "held_out")} | counts


def _counts(win=0, tie=0, loss=0):
    return {"win": win, "tie": tie, "loss": loss}


def test_all_objectives_have_the_recorded_settings(files):
    plan = plan_of(files, horizons=(1, 4))
    assert [column.run.total_steps for column in plan.columns] == [STEPS, 4 * STEPS]
    for column in plan.columns:
        for contender in plan.contenders:
            setup = matrix.set_up(column, contender)
            assert (setup.run.hp.lr, setup.run.config.num_steps) == (0.03, 8)
            # The learning rate's schedule is that of the whole run: 64 or 256 steps of 32.
            assert setup.hp.horizon == setup.num_updates == 2 * column.multiple
            assert setup.run.algorithm == contender.algorithm
    drift = matrix.set_up(plan.columns[0], plan.contenders[3]).hp.objective
    np.testing.assert_array_equal(drift.hidden, lpo.load(files / "inside.npz").hidden)
    elsewhere = plan_of(files, OTHER, total_steps=(4096,)).columns[0]
    preset = registry.algorithm("ppo").preset(OTHER)
    assert elsewhere.settings == "the preset's" and elsewhere.run.total_steps == 4096
    assert elsewhere.run.config == preset.config and elsewhere.kind == "discrete"
    phis = contenders.load([str(files / "inside.npz")])
    sizes = dict(seeds=SEEDS, horizons=(1, 2), total_steps=(64, 4096))
    columns = matrix.make_plan(phis, [ENV, OTHER], **sizes).columns
    assert [column.run.total_steps for column in columns] == [64, 128, 4096, 8192]


def test_files_say_what_they_are(tmp_path, files):
    """Without an architecture the shape decides; names are the shortest that differ."""
    wide, narrow = (random_drift(jax.random.key(0), inputs, 3) for inputs in (16, 8))
    for name, phi in (("a/wide.npz", wide), ("a/x.npz", narrow), ("b/x.npz", narrow)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.savez(tmp_path / name, hidden=phi.hidden, output=phi.output)
    ta_lpo.save(tmp_path / "b" / "ppo.npz", wide, {"tasks": [{"env": OTHER}]})
    dpo.save(tmp_path / "two.npz", DPOParameters(1.0, 2.0))
    names = ("b/ppo.npz", "a/wide.npz", "a/x.npz", "b/x.npz", "two.npz")
    found = contenders.load([str(tmp_path / name) for name in names])
    assert [(c.name, c.algorithm) for c in found] == [
        ("b/ppo", "ta-lpo"), ("wide", "ta-lpo"), ("a/x", "lpo"), ("b/x", "lpo"), ("two", "dpo")
    ]  # fmt: skip
    assert found[0].trained_on == (OTHER,) and found[1].trained_on == ()
    assert found[2].digest == found[3].digest != found[1].digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--envs", "CartPole"], "unknown environment 'CartPole'; did you mean CartPole-v1?"),
        (["--horizons", "0"], "a horizon is a positive multiple"),
        (["--total-steps", "31"], "total_steps = 31 is less than the 32 environment steps"),
        (["--horizons", "1", "1"], "the horizon 1.0 is given twice"),
        (["--episodes", "0"], "episodes must be at least 1"),
        (["--seeds", "1"], "seeds must be at least 2"),
        (
            ["--total-steps", "64", "64"],
            "--total-steps takes one number or one for each of 1 environments, got 2",
        ),
        (["--processes", "2"], "meta-evaluate runs in a single process"),
        (["--coordinator", "localhost:1"], "meta-evaluate runs in a single process"),
        (["--process-id", "0"], "meta-evaluate runs in a single process"),
        (["--distributed"], "meta-evaluate runs in a single process"),
        (["--envz", "x"], "unknown option --envz; did you mean --envs"),
    ],
)
def test_bad_command_lines_are_one_line(words, tmp_path, capsys, changes, message):
    out = tmp_path / "out"
    assert cli.main([*words, *changes, "--out", str(out)]) in (1, 2)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (None, "there is no such file"),
        (lambda path: path.write_bytes(b"PK"), "cannot read drift weights"),
        (lambda path: drift_files.write(path, "mpo", {"hidden": 1.0}), "an objective of 'mpo'"),
        (lambda path: drift_files.write(path, "ppo", {"clip": 1.0}), "an objective of 'ppo'"),
        (lambda path: drift_files.write(path, "lpo", {"hidden": 1.0}), "no arrays"),
        (lambda path: _saved(path, [ENV]), "must be a list of objects"),
        (lambda path: _saved(path, 3), "must be a list of objects"),
        (lambda path: _saved(path, None), "must be a list of objects"),
        (lambda path: _saved(path, [{"env": 3}]), "must name its env"),
        (lambda path: _saved(path, [record(OTHER, total_steps="x")]), "must be a positive integer"),
        (lambda path: _saved(path, [record(OTHER, total_steps=None)]), "got None"),
        (lambda path: _saved(path, [record(total_steps=True)]), "must be a positive integer"),
        (lambda path: _saved(path, [record(env_overrides=[1])]), "env_overrides must be an object"),
        (lambda path: _saved(path, [], action_kind=["discrete"]), "discrete or continuous, got ['"),
        (lambda path: _saved(path, [record(hp={"lr": 1.0})]), "cannot be used: hp lacks the key"),
        (lambda path: _saved(path, [record(config=3)]), "cannot be used: config must be an object"),
    ],
)
def test_bad_files_are_one_line(tmp_path, capsys, write, message):
    path, out = tmp_path / "phi.npz", tmp_path / "out"
    if write is not None:
        write(path)
    assert cli.main(["meta-evaluate", str(path), "--envs", ENV, "--out", str(out)]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and message in captured.err
    assert not out.exists()


def _saved(path, tasks, **more):
    lpo.save(path, random_drift(jax.random.key(0), hidden=2), {"tasks": tasks, **more})


def test_devices_are_made_before_jax_starts():
    """In a new process, with warnings as errors: the environment is looked up after that."""
    words = ["meta-evaluate", "pretrained/lpo-cartpole", "--envs", "CartPol", "--devices", "2"]
    code = f"""
import warnings
warnings.simplefilter("error", RuntimeWarning)
from jaxrl import cli
code = cli.main({words!r})
import jax
print(code, jax.device_count())
"""
    assert run_python(code, env={"JAX_PLATFORMS": "cpu"}).stdout.split() == ["2", "2"]


def test_a_file_given_twice_is_refused(files):
    path = files / "inside.npz"
    with pytest.raises(ConfigError, match="given twice"):
        contenders.load([str(path), str(path.parent / "." / path.name)])


def test_help_is_quick_and_names_everything(capsys):
    assert cli.main(["meta-evaluate", "--help"]) == 0
    assert "usage: jaxrl meta-evaluate PHI" in capsys.readouterr().out
    assert cli.main(["--help"]) == 0
    assert "jaxrl meta-evaluate PHI" in capsys.readouterr().out
    assert cli.main(["meta-evaluate", "x.npz"]) == 2


def test_recorded_settings_survive_json():
    """What `record` gives goes through JSON as in a file, weights and all."""
    task = json.loads(json.dumps(record()))
    contender = contenders.Contender("x", "lpo", None, "x.npz", {"tasks": [task]})
    run = contenders.settings_of(contender, ENV)
    assert run is not None and encode(run.config) == task["config"]
    assert (run.algorithm, run.total_steps, run.hp.objective.clip) == ("ppo", STEPS, 0.2)
    assert contenders.settings_of(contender, OTHER) is None


def test_the_experiments_matrix_and_what_diverged():
    """A seed that diverged counts with the random policy's return; every ENV has its budget."""
    script = runpy.run_path(str(ROOT / "experiments" / "meta_training" / "run.py"))
    found = script["summary"](np.array([4.0, 4.0, np.nan, 4.0]), 2.0)
    assert (found["mean"], found["diverged"]) == (3.5, 1)
    assert found["seeds"] == [4.0, 4.0, None, 4.0]
    assert 2.0 <= found["interval_95"][0] < 3.5 < found["interval_95"][1] == 4.0
    for command in script["MATRICES"].values():
        words = command.format(phis="phi.npz").split()[1:]
        options = parse(evaluate_options(), words, "jaxrl meta-evaluate", "")
        assert dict(zip(options.envs, options.total_steps, strict=True))["CartPole-v1"] == 30_000
