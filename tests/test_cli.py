"""The command line: what it does, and that every mistake is one line with an exit code."""

import dataclasses
import json
import shutil
from typing import Any

import jax
import numpy as np
import pytest

from jaxrl import checkpoint, cli, driver, listing, options, registry, run_evaluation
from jaxrl.algos.on_policy import lpo
from jaxrl.algos.on_policy.learnt import random_drift
from jaxrl.config import load_config
from jaxrl.evaluation import evaluate
from tests import fake_algorithm

pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")

TRAIN = ["train", "ppo", "CartPole-v1"]
TINY = [
    *("--seeds", "2", "--total-steps", "2e2", "--env-overrides", "max_steps_in_episode=20"),
    *("--config.num-envs", "4", "--config.num-steps", "8", "--config.num-epochs", "1"),
    *("--config.network.hidden", "8", "--hp.lr", "2e-3", "--hp.objective.clip", "0.1"),
]
# Evaluation must see a policy through the guard, too.
QUIET = ["--no-progress", "--on-nonfinite", "freeze-seed"]
FAKE = ["train", fake_algorithm.NAME, "CartPole-v1", "--total-steps", "40", "--no-progress"]


@pytest.fixture
def jaxrl(capsys):
    """Runs a command line; returns (exit code, standard output, standard error)."""

    def run(*words):
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder made by the command line, not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert cli.main([*TRAIN, *TINY, "--seed", "3", "--out", str(folder), *QUIET]) == 0
    return folder


def test_train_leaves_a_run_folder(trained):
    run = load_config(trained / "config.json")
    assert (run.algorithm, run.env, run.seeds, run.seed) == ("ppo", "CartPole-v1", 2, 3)
    assert run.total_steps == 200 and run.env_overrides == (("max_steps_in_episode", 20),)
    assert (run.config.num_envs, run.config.network.hidden) == (4, (8,))
    assert (run.hp.lr, run.hp.objective.clip) == (2e-3, 0.1)
    preset = registry.algorithm("ppo").preset("CartPole-v1")
    assert run.hp.gamma == preset.hp.gamma and run.config.num_minibatches == 4
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["updates"] == 6 and summary["env_steps_per_seed"] == 192
    assert summary["command"].startswith("jaxrl train ppo CartPole-v1 --seeds 2 --total-steps 2e2")
    assert (trained / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert checkpoint.saved_updates(trained / "checkpoints")[-1] == 6


def test_train_again_is_refused_and_resume_says_it_is_finished(jaxrl, trained):
    code, out, err = jaxrl(*TRAIN, *TINY, "--out", trained)
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert err.startswith("error: ") and f"jaxrl resume {trained}" in err
    assert jaxrl("resume", trained) == (0, f"{trained} is finished: nothing to do\n", "")


def test_evaluate_names_both_checkpoints_and_how_sure(jaxrl, trained):
    code, out, err = jaxrl("evaluate", trained, "--episodes", "5", "--greedy")
    assert (code, err) == (0, "")
    record = json.loads((trained / "evaluation.json").read_text())
    kept = json.loads((trained / "evaluation_episodes.json").read_text())
    best = checkpoint.best(trained / "checkpoints")
    updates = {name: report["update"] for name, report in record["checkpoints"].items()}
    assert updates == {"last": 6, "best": best} and record["actions"] == "greedy"
    assert "5 episodes of each seed, greedy actions" in out and record["selection"] in out
    assert "last checkpoint, update 6 (the newest good one)" in out
    trained_return = checkpoint.read_manifest(trained / "checkpoints" / str(best)).metric
    assert record["checkpoints"]["best"]["training_return"] == trained_return
    setup = driver.load(trained)
    for name, update in updates.items():
        states, hp = driver.restore(setup, trained / "checkpoints" / str(update))
        means = []
        for i, entry in enumerate(record["checkpoints"][name]["seeds"]):
            assert (entry["seed"], entry["finished_episodes"]) == (3 + i, 5)
            assert entry["unfinished_episodes"] == 0 and entry["frozen_at"] is None
            policy = jax.tree.map(lambda x, i=i: x[i], states.policy)
            key = jax.random.fold_in(jax.random.fold_in(jax.random.key(3 + i), 0x6576616C), 0)
            played = evaluate(setup.env, hp.env, setup.algorithm.act, policy, key, 5, True)
            episodes = kept["checkpoints"][name]["seeds"][i]
            assert episodes["returns"] == pytest.approx(np.asarray(played.returns).tolist())
            assert episodes["lengths"] == np.asarray(played.lengths).tolist()
            assert set(episodes["ended"]) <= {"terminated", "truncated"}
            assert entry["mean_return"] == pytest.approx(float(np.mean(played.returns)))
            low, high = entry["mean_return_95"]
            assert low <= entry["mean_return"] <= high
            means.append(entry["mean_return"])
        over_seeds = record["checkpoints"][name]["over_seeds"]
        assert over_seeds["mean"] == pytest.approx(np.mean(means))
        assert (over_seeds["seeds_counted"], over_seeds["seeds_left_out"]) == (2, 0)


def test_evaluate_keeps_unfinished_episodes_apart(jaxrl, trained):
    words = ("--episodes", "8", "--checkpoint", "last", "--max-steps", "15")
    code, out, _ = jaxrl("evaluate", trained, *words)
    assert code == 0 and "sampled actions" in out and "best" not in out
    record = json.loads((trained / "evaluation.json").read_text())
    kept = json.loads((trained / "evaluation_episodes.json").read_text())
    assert list(record["checkpoints"]) == ["last"] and record["max_steps"] == 15
    unfinished = 0
    for entry, episodes in zip(
        record["checkpoints"]["last"]["seeds"],
        kept["checkpoints"]["last"]["seeds"],
        strict=True,
    ):
        pairs = list(zip(episodes["returns"], episodes["ended"], strict=True))
        finished = [value for value, ended in pairs if ended != "unfinished"]
        assert entry["finished_episodes"] == len(finished)
        assert entry["unfinished_episodes"] == 8 - len(finished)
        # A pole that still stands after 15 steps has the highest return; it is in no mean.
        assert all(value == 15 for value, ended in pairs if ended == "unfinished")
        assert entry["mean_return"] == (pytest.approx(np.mean(finished)) if finished else None)
        unfinished += entry["unfinished_episodes"]
    assert 0 < unfinished < 16 and "unfinished and in no mean" in out


def test_evaluate_best_alone_and_the_same_checkpoint_once(jaxrl, trained, monkeypatch):
    best = checkpoint.best(trained / "checkpoints")
    code, out, _ = jaxrl("evaluate", trained, "--episodes", "3", "--checkpoint", "best")
    assert code == 0 and f"best checkpoint, update {best} (highest training return" in out
    assert "last checkpoint" not in out
    restored = []
    restore = driver.restore
    monkeypatch.setattr(driver, "restore", lambda *args: restored.append(args) or restore(*args))
    monkeypatch.setattr(checkpoint, "best", lambda folder: 6)
    code, out, _ = jaxrl("evaluate", trained, "--episodes", "3")
    assert code == 0 and "best checkpoint: the same (highest training return" in out
    assert len(restored) == 1
    code, _, err = jaxrl("evaluate", trained, "--episodes", "0")
    assert (code, err) == (1, "error: episodes must be at least 1, got 0\n")


def test_damaged_best_checkpoint_is_left_out_by_name(jaxrl, trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained, tmp_path / "run")
    update = checkpoint.saved_updates(folder / "checkpoints")[-2]
    path = folder / "checkpoints" / str(update)
    files = [file for file in (path / "arrays").rglob("*") if file.is_file()]
    damaged = max(files, key=lambda file: file.stat().st_size)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    monkeypatch.setattr(checkpoint, "best", lambda folder: update)
    code, out, err = jaxrl("evaluate", folder, "--episodes", "3")
    reason = f"{path}: {damaged.relative_to(path)} is truncated or was changed\n"
    assert (code, err) == (0, f"best checkpoint left out: {reason}")
    assert "last checkpoint, update 6" in out
    record = json.loads((folder / "evaluation.json").read_text())
    assert list(record["checkpoints"]) == ["last"]
    monkeypatch.setattr(driver, "restore", None)  # an error comes before anything is played
    for command in ("evaluate", "render"):
        code, out, err = jaxrl(command, folder, "--checkpoint", "best")
        assert (code, out, err) == (1, "", f"error: {reason}")
    monkeypatch.setattr(checkpoint, "best", lambda folder: None)
    code, _, err = jaxrl("evaluate", folder, "--checkpoint", "best")
    assert code == 1 and err.endswith("no checkpoint has a return to compare\n")


def test_keys_of_evaluation_are_no_keys_of_training():
    """Splitting a key folds in 0, 1, ...: evaluation with seed e must not repeat them."""
    for evaluation_seed in (0, 1, 2):
        (key,) = run_evaluation.evaluation_keys(range(7, 8), evaluation_seed)
        data = jax.random.key_data(key).tolist()
        root = jax.random.key(7)
        families = [root, *jax.random.split(root, 3)]
        others = [k for parent in families for k in jax.random.split(parent, 64)]
        assert data not in [jax.random.key_data(k).tolist() for k in others]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["trian"], 2, "unknown command 'trian'; did you mean train or meta-train?"),
        (["--versoin"], 2, "unknown option '--versoin'; did you mean --version?"),
        (["train", "pppo", "CartPole-v1"], 2, "unknown algorithm 'pppo'; did you mean ppo"),
        (
            ["train", "ppo", "CartPol"],
            2,
            "unknown environment 'CartPol'; did you mean CartPole-v1?",
        ),
        (["train", "ppo"], 2, "expected: jaxrl train ALGO ENV"),
        (["train", "--seeds", "2", "ppo", "CartPole-v1"], 2, "expected: jaxrl train ALGO ENV"),
        ([*TRAIN, "--sedes", "2"], 2, "unknown option --sedes; did you mean --seeds"),
        ([*TRAIN, "--hp.lrr=2"], 2, "unknown option --hp.lrr; did you mean --hp.lr"),
        ([*TRAIN, "--hp.objective.eps", "2"], 2, "unknown option --hp.objective.eps"),
        ([*TRAIN, "extra"], 2, "unexpected argument 'extra'"),
        ([*TRAIN, "--seeds", "many"], 2, "--seeds: invalid literal for int() with base 10: 'many'"),
        ([*TRAIN, "--seeds"], 2, "Missing value for argument '--seeds'"),
        ([*TRAIN, "--total-steps", "1.5"], 2, "1.5 is not a whole number"),
        ([*TRAIN, "--total-steps", "10"], 1, "total_steps = 10 is less than the 1024"),
        ([*TRAIN, "--seeds", "0"], 1, "seeds must be at least 1, got 0"),
        ([*TRAIN, "--hp.lr", "-1"], 1, "hp.lr must be >= 0, got -1.0"),
        ([*TRAIN, "--hp.lr", "nan"], 1, "hp.lr must be"),
        ([*TRAIN, "--config.num-minibatches", "3"], 1, "does not divide into num_minibatches = 3"),
        ([*TRAIN, "--config.network.activation", "tan"], 1, "unknown network.activation 'tan'"),
        ([*TRAIN, "--env-overrides", "gravty=1"], 1, "no parameter 'gravty'; nearest: gravity"),
        ([*TRAIN, "--env-overrides", "gravity"], 1, "override is key=value, got 'gravity'"),
        ([*TRAIN, "--env-overrides", "env_id=2"], 1, "env_id"),
        ([*TRAIN, "--env-overrides", "gravity=9,8"], 1, "gravity is float32 [], which (9, 8) is"),
        (
            ["train", "ppo", "CrafterOO-Symbolic-v1", "--env-overrides", "area=33,47,9"],
            1,
            "area must be two whole numbers (width, height), got (33, 47, 9)",
        ),
        ([*TRAIN, "--phi", "weights.npz"], 2, "ppo has no learnt objective"),
        (["train", "lpo", "CartPole-v1", "--phi", "absent.npz"], 1, "absent.npz"),
        ([*TRAIN, "--log-every", "4", "--checkpoint-every", "6"], 1, "a multiple of log_every"),
        (["resume", "absent"], 1, "absent is not a folder"),
        (["resume"], 2, "RUN"),
        (["evaluate", "."], 1, "is not a run folder"),
        *[
            ([*command, "--seed", str(seed)], 1, f"must be within 0..2147483647, got {seed}")
            for command in (
                TRAIN,
                ["evaluate", "."],
                ["render", "CartPole-v1"],
                ["play", "CartPole-v1", "--web"],
                ["evaluate-model", "no-change"],
                ["bench", "env", "CartPole-v1"],
                ["bench", "train", "ppo", "CartPole-v1"],
                ["sweep", "ppo", "CartPole-v1", "--grid", "hp.lr=1,2"],
            )
            for seed in (-1, 2**31)
        ],
        (
            ["sweep", "ppo", "CartPole-v1", "--grid", "hp.lr=1,2", "--sample-seed", "-1"],
            1,
            "sample_seed must be within 0..2147483647, got -1",
        ),
        (["evaluate", ".", "--checkpoint", "newest"], 2, "last"),
        ([*TRAIN, "--on-nonfinite", "skip"], 2, "freeze-seed"),
        (["bench", "ppo", "CartPole-v1"], 2, "expected: jaxrl bench env ENV"),
        (["bench", "train", "ppo"], 2, "expected: jaxrl bench env ENV"),
        (["bench", "env", "CartPol"], 2, "did you mean CartPole-v1"),
        (["bench", "train", "ppo", "CartPol"], 2, "did you mean CartPole-v1"),
        (["bench", "env", "CartPole-v1", "--batch", "0"], 1, "batch must be at least 1, got 0"),
        (["bench", "env", "CartPole-v1", "--bach", "2"], 2, "did you mean --batch"),
        (["bench", "train", "ppo", "CartPole-v1", "--repeats", "0"], 1, "repeats must be at least"),
        (["envs", "cartpoll"], 2, "no environment matches 'cartpoll'; did you mean CartPole-v1?"),
        (["algorithms", "ppo"], 2, "unexpected argument 'ppo'"),
    ],
)
def test_mistake_is_one_line(jaxrl, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(driver.chunks, "lower", None)  # nothing may be traced or compiled
    found, out, err = jaxrl(*words)
    assert (found, out) == (code, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert not list(tmp_path.iterdir())


def test_divergence_is_one_line(jaxrl, tmp_path):
    code, _, err = jaxrl(*FAKE, "--hp.nan-update", "3", "--out", tmp_path / "run")
    assert code == 1 and err.count("\n") == 1
    assert err.startswith("error: stopped: non-finite loss") and "at update 3, seed 0" in err


def test_corrupt_config_is_one_line(jaxrl, tmp_path):
    (tmp_path / "config.json").write_text("{")
    for command in ("resume", "evaluate"):
        code, _, err = jaxrl(command, tmp_path)
        assert code == 1 and err.count("\n") == 1 and "config.json is not JSON" in err


def test_default_folder_and_overwrite(jaxrl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert jaxrl(*FAKE)[0] == 0
    folder = tmp_path / "runs" / f"{fake_algorithm.NAME}_CartPole-v1"
    assert load_config(folder / "config.json").seed == 0
    assert jaxrl(*FAKE, "--seed", "7")[0] == 1
    assert jaxrl(*FAKE, "--seed", "7", "--overwrite")[0] == 0
    assert load_config(folder / "config.json").seed == 7


def test_interrupt_says_how_to_go_on(jaxrl, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(driver.chunks, "fetch", interrupt)
        for words in (
            [*FAKE, "--out", tmp_path / "r"],
            ["resume", tmp_path / "r", "--no-progress"],
        ):
            code, _, err = jaxrl(*words)
            assert code == 130 and "Traceback" not in err
            assert f"interrupted; continue with: jaxrl resume {tmp_path / 'r'}\n" in err
    code, out, _ = jaxrl("resume", tmp_path / "r", "--no-progress")
    assert code == 0 and "final return by seed: 0: " in out


def test_error_of_other_code_keeps_its_traceback(monkeypatch):
    def broken(*_):
        json.loads("{")

    monkeypatch.setitem(cli._COMMANDS, "envs", broken)
    with pytest.raises(json.JSONDecodeError):
        cli.main(["envs"])


def test_compile_cache_is_on_unless_switched_off(jaxrl, tmp_path):
    before = jax.config.values["jax_compilation_cache_dir"]
    try:
        assert jaxrl(*FAKE, "--out", tmp_path / "a", "--no-cache")[0] == 0
        assert jax.config.values["jax_compilation_cache_dir"] is None
        assert jaxrl(*FAKE, "--out", tmp_path / "b")[0] == 0
        assert jax.config.values["jax_compilation_cache_dir"] is not None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.parametrize(
    ("words", "phrases"),
    [
        (["--help"], ["jaxrl train ALGO ENV", "jaxrl resume RUN", "jaxrl envs [PATTERN]"]),
        (["train", "--help"], ["jaxrl train ppo CartPole-v1 --help"]),
        (
            [*TRAIN, "--help"],
            ["--hp.objective.clip FLOAT", "epsilon", "--config.num-envs INT", "(default: 16)"],
        ),
        (["resume", "--help"], ["RUN", "--no-cache"]),
        (["bench", "--help"], ["jaxrl bench train ALGO ENV"]),
        (["bench", "env", "CartPole-v1", "--help"], ["--batch INT", "(default: 2048)"]),
        (["evaluate", "--help"], ["--episodes INT", "(default: 128)", "{both,last,best}"]),
        (["envs", "--help"], ["PATTERN"]),
        (["--version"], ["jaxrl 0."]),
        (["algorithms"], [f"{name}  " for name in ("ppo", "a2c", "dpo", "lpo")]),
    ],
)
def test_help_and_lists(jaxrl, monkeypatch, words, phrases):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = jaxrl(*words)
    assert (code, err) == (0, "")
    for phrase in phrases:
        assert phrase.replace("  ", "") in out


def test_nothing_given_is_help_and_an_error(jaxrl):
    assert jaxrl()[0] == 2
    assert "usage: jaxrl" in jaxrl("train")[1]


def test_envs_lists_spaces(jaxrl):
    code, out, err = jaxrl("envs", "cartpole")
    assert (code, err) == (0, "")
    assert out == "CartPole-v1  observation float32[4] in [-inf, inf]  action Discrete(2)\n"
    ids = [line.split()[0] for line in jaxrl("envs", "M*tain*v0")[1].splitlines()]
    assert ids == ["MountainCar-v0", "MountainCarContinuous-v0"]


def test_environment_that_cannot_be_made_is_listed_with_the_reason(monkeypatch):
    def no_data(env_id):
        raise FileNotFoundError("needs files\nthat are not here")

    monkeypatch.setattr(listing.registry, "make", no_data)
    (line,) = listing.describe_environments("MNIST")
    assert line == "MNISTBandit-bsuite  cannot be made here: needs files that are not here"


def test_spaces_in_words():
    from gymnax.environments import spaces

    from jaxrl.spaces import MultiDiscrete, Repeated

    box = spaces.Box(0, 1, (10, 10, 4), np.float32)
    assert listing.describe_space(box) == "float32[10, 10, 4] in [0, 1]"
    mask = spaces.Box(False, True, (3,), np.bool_)
    nested = spaces.Dict({"grid": box, "action_mask": mask})
    text = "{grid: float32[10, 10, 4] in [0, 1], action_mask: bool[3]}"
    assert listing.describe_space(nested) == text
    pair = spaces.Tuple((spaces.Discrete(2), MultiDiscrete((2, 3))))
    assert listing.describe_space(pair) == "(Discrete(2), MultiDiscrete([2, 3]))"
    repeated = Repeated(MultiDiscrete((2, 3)), (4,))
    assert listing.describe_space(repeated) == "4 x MultiDiscrete([2, 3])"


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Breakout-MinAtar", "Pendulum-v1", "brax/ant"])
@pytest.mark.parametrize("name", registry.algorithms())
def test_options_default_to_the_preset(name, env_id):
    preset = registry.algorithm(name).preset(env_id)
    record = options.train_options(preset.config, preset.hp, preset.total_steps)
    parsed = options.parse(record, [], "x", "")
    assert options.apply(preset.config, parsed.config) == preset.config
    hp = options.apply(preset.hp, parsed.hp)
    assert jax.tree.all(jax.tree.map(np.array_equal, hp, preset.hp))
    assert parsed.total_steps == preset.total_steps


def test_every_option_is_parsed_and_named():
    preset = registry.algorithm("ppo").preset("brax/ant")
    record = options.train_options(preset.config, preset.hp, 1)
    names = list(options.option_names(record))
    assert {"--seeds", "--no-cache", "--hp.gae-lambda", "--config.network.hidden"} < set(names)
    words = ["--config.no-normalize-reward", "--config.network.hidden", "3", "4", "--hp.lr", "1"]
    parsed = options.parse(record, [*words, "--hp.value_clip=0.5", "--overwrite"], "x", "")
    config, hp = options.apply(preset.config, parsed.config), options.apply(preset.hp, parsed.hp)
    assert preset.config.normalize_reward and not config.normalize_reward
    assert config.network == dataclasses.replace(preset.config.network, hidden=(3, 4))
    assert (hp.lr, hp.value_clip, parsed.overwrite) == (1.0, 0.5, True)


@dataclasses.dataclass(frozen=True)
class Kinds:
    """Kinds of fields an option can be made of, or not."""

    whole: float = 1
    maybe: int | None = None
    free: Any = 2
    array: Any = dataclasses.field(default_factory=lambda: np.zeros(3))
    nothing: Any = None


def test_kinds_of_options():
    mirrored = options.mirror(Kinds(), "Mirror")
    assert [field.name for field in dataclasses.fields(mirrored)] == ["whole", "maybe", "free"]
    parsed = options.parse(mirrored, ["--whole", "0.5", "--maybe", "3", "--free", "4"], "x", "")
    applied = options.apply(Kinds(), parsed)
    assert (applied.whole, applied.maybe, applied.free) == (0.5, 3, 4)
    assert options.apply(Kinds(), options.parse(mirrored, [], "x", "")).maybe is None


def test_learnt_weights_go_into_the_configuration(tmp_path):
    phi = random_drift(jax.random.key(1), hidden=5)
    lpo.save(tmp_path / "phi.npz", phi)
    spec = registry.algorithm("lpo")
    preset = spec.preset("CartPole-v1")
    record = options.train_options(preset.config, preset.hp, preset.total_steps)
    words = ["--phi", str(tmp_path / "phi.npz"), "--hp.gamma", "0.9"]
    run = cli._run_config(spec, "CartPole-v1", preset, options.parse(record, words, "x", ""))
    np.testing.assert_array_equal(run.hp.objective.hidden, phi.hidden)
    assert run.hp.gamma == 0.9
    driver.set_up(run)


def test_help_texts_come_from_the_docstrings():
    docs = options.attribute_docs(type(registry.algorithm("ppo").preset("x").hp))
    assert docs["gamma"] == "discount per step, in [0, 1]."
    assert (
        docs["lr_final"].startswith("learning rate at `horizon`") and "\n" not in docs["lr_final"]
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((488, None, None), (2, 50)),
        ((100, None, None), (1, 10)),
        ((3, None, None), (1, 1)),
        ((100_000, None, None), (400, 10_000)),
        ((488, None, 7), (1, 7)),
        ((488, None, 10), (2, 10)),
        ((488, 30, None), (30, 60)),
        ((10, 30, None), (30, 30)),
    ],
)
def test_rows_and_checkpoints_of_a_run(given, expected):
    assert cli.recording(*given) == expected


def test_unboxed_message_is_what_stands_in_the_frame():
    text = (
        "╭─ Value error ─╮\n│ Error parsing │\n│ --seeds: no   │\n│ ───────────── │\n│ help │\n╰──╯"
    )
    assert options._unboxed(text) == "Error parsing --seeds: no"
    assert options._unboxed("") == "the command line cannot be understood"
