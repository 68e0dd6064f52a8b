"""Weights & Biases: off, lazy, one run a seed; against a small stand-in for wandb."""

import json
import math
import sys
import types

import pytest

from jaxrl import cli, driver, run_folder
from jaxrl.config import RunConfig, load_config
from jaxrl.wandb_sink import Wandb, WandbOptions
from tests import fake_algorithm
from tests.processes import run_python

pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")
WORDS = ["train", fake_algorithm.NAME, "CartPole-v1", "--seeds", "2", "--seed", "5"]
WORDS += ["--total-steps", "40", "--log-every", "5", "--no-progress"]


class Run:
    """Keeps what wandb's run is told; refuses what the real one refuses."""

    def __init__(self, settings):
        self.settings, self.rows, self.metrics, self.finished = settings, [], [], 0

    def define_metric(self, name, step_metric=None):
        self.metrics.append((name, step_metric))

    def log(self, row):
        assert not self.finished and all(isinstance(value, (int, float)) for value in row.values())
        self.rows.append(row)

    def finish(self):
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch):
    """A module `wandb` that knows what this package uses of it, and nothing else."""
    runs = []
    known = {"project", "group", "name", "id", "resume", "mode", "dir", "config", "reinit"}

    def init(**settings):
        assert settings.keys() == known
        json.dumps(settings["config"], allow_nan=False)
        if module.refuse_from is not None and len(runs) >= module.refuse_from:
            raise module.UsageError("api_key not configured\n(no-tty)")
        runs.append(Run(settings))
        return runs[-1]

    module = types.ModuleType("wandb")
    module.UsageError = type("UsageError", (Exception,), {})
    module.init, module.runs, module.refuse_from = init, runs, None
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_training_logs_a_run_for_each_seed_and_resume_continues_it(wandb, tmp_path, capsys):
    out = tmp_path / "study"
    options = ["--wandb", "--wandb-project", "mine", "--wandb-mode", "offline"]
    assert cli.main([*WORDS, *options, "--out", str(out)]) == 0
    assert [run.settings["name"] for run in wandb.runs] == ["study seed 5", "study seed 6"]
    for seed, run in zip((5, 6), wandb.runs, strict=True):
        settings = run.settings
        assert (settings["project"], settings["group"], settings["mode"]) == (
            "mine", "study", "offline",
        )  # fmt: skip
        assert (settings["resume"], settings["reinit"]) == ("allow", "create_new")
        assert settings["dir"] == str(out) and settings["config"]["this_seed"] == seed
        assert settings["config"]["env"] == "CartPole-v1"
        assert run.metrics == [("*", "env_steps")] and run.finished == 1
        assert [row["env_steps"] for row in run.rows] == [20, 40]
        logged = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        losses = [row["loss"] for row in logged if row["seed"] == seed]
        assert [row["loss"] for row in run.rows] == losses and "seed" not in run.rows[0]
    ids = [run.settings["id"] for run in wandb.runs]
    assert len(set(ids)) == 2
    assert json.loads((out / "wandb.json").read_text()) == dict(zip("56", ids, strict=True))

    # As if it had been stopped half way: the same runs go on.
    (out / "summary.json").unlink()
    checkpoints = sorted((out / "checkpoints").iterdir(), key=lambda path: int(path.name))
    for name in checkpoints[1:]:
        __import__("shutil").rmtree(name)
    assert cli.main(["resume", str(out), "--wandb", "--wandb-name", "n", "--no-progress"]) == 0
    assert [run.settings["id"] for run in wandb.runs[2:]] == ids
    assert wandb.runs[2].settings["mode"] is None and wandb.runs[2].settings["group"] == "n"
    (out / "wandb").mkdir()
    run_folder.clear(out)
    assert not list(out.glob("wandb*"))


def row(seed, **numbers):
    return {"update": 1, "seed": seed, "env_steps": 2**33, "wall_s": 1.0, **numbers}


@pytest.fixture
def run_config(tmp_path):
    return RunConfig(
        algorithm=fake_algorithm.NAME,
        env="CartPole-v1",
        env_overrides=(),
        seeds=2,
        seed=0,
        total_steps=8,
        config=fake_algorithm.Config(),
        hp=fake_algorithm.Hyperparameters(),
        log_every=1,
        checkpoint_every=1,
    )


def test_numbers_that_are_none_are_left_out(wandb, run_config, tmp_path):
    sink = Wandb(tmp_path, run_config, WandbOptions())
    sink.write([row(0, loss=0.5, episode_return=math.nan), row(1, loss=math.inf)])
    sink.close()
    first, second = (run.rows for run in wandb.runs)
    assert first == [{"update": 1, "env_steps": 2**33, "wall_s": 1.0, "loss": 0.5}]
    assert second == [{"update": 1, "env_steps": 2**33, "wall_s": 1.0}]


def test_refusal_is_one_line_and_finishes_what_had_begun(wandb, run_config, tmp_path):
    wandb.refuse_from = 1
    with pytest.raises(ValueError, match=r"^W&B cannot be used \(api_key not .*offline$") as caught:
        Wandb(tmp_path, run_config, WandbOptions())
    assert "\n" not in str(caught.value) and wandb.runs[0].finished == 1
    (tmp_path / "wandb.json").write_text("{")
    with pytest.raises(ValueError, match=r"wandb.json is damaged"):
        Wandb(tmp_path, run_config, WandbOptions())


@pytest.mark.parametrize(
    ("flag", "package"), [("--wandb", "wandb"), ("--tensorboard", "tensorboardX")]
)
def test_missing_package_is_named_before_an_earlier_run_is_lost(
    tmp_path, capsys, monkeypatch, flag, package
):
    out = tmp_path / "run"
    assert cli.main([*WORDS, "--out", str(out)]) == 0
    before = (out / "summary.json").read_bytes()
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(driver.chunks, "lower", None)  # nothing may be traced or compiled
    capsys.readouterr()
    assert cli.main([*WORDS, "--out", str(out), "--overwrite", "--seed", "9", flag]) == 1
    captured = capsys.readouterr()
    extra = flag.removeprefix("--")
    assert captured.err == f"error: {flag} needs {package}: pip install 'jaxrl[{extra}]'\n"
    assert cli.main(["resume", str(out), flag]) == 1
    assert (out / "summary.json").read_bytes() == before
    assert load_config(out / "config.json").seed == 5


def test_off_unless_asked_for(wandb, tmp_path):
    assert cli.main([*WORDS, "--out", str(tmp_path / "run")]) == 0
    assert wandb.runs == []
    done = run_python("import sys, jaxrl.driver, jaxrl.wandb_sink; print('wandb' in sys.modules)")
    assert done.stdout.strip() == "False"
