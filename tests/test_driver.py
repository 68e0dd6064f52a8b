"""The driver: what a run folder holds, chunks that change nothing, and stops that lose nothing."""

import dataclasses
import json
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import checkpoint, chunks, driver, nonfinite, registry, run_folder
from jaxrl.algorithm import canonical
from jaxrl.config import ConfigError, RunConfig, load_config
from jaxrl.driver import NonFiniteError, Options
from jaxrl.logging import read_metrics
from jaxrl.run_folder import RunFolderError
from tests import fake_algorithm
from tests.processes import ROOT

pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")
QUIET = Options(progress=False)
FAULTS = ("nan_update", "nan_seed", "inf_weights")


def fake_run(**changes):
    """20 updates of 4 environment steps, two seeds."""
    hp = fake_algorithm.Hyperparameters(
        **{k: changes.pop(k) for k in (*FAULTS, "lr") if k in changes}
    )
    values: dict[str, Any] = dict(
        algorithm=fake_algorithm.NAME,
        env="CartPole-v1",
        env_overrides=(),
        seeds=2,
        seed=5,
        total_steps=80,
        config=fake_algorithm.Config(),
        hp=hp,
        log_every=2,
        checkpoint_every=4,
    )
    return RunConfig(**(values | changes))


def tiny_ppo(**changes):
    """Nine updates of PPO with everything that carries state switched on."""
    preset = registry.algorithm("ppo").preset("CartPole-v1")
    config = dataclasses.replace(
        preset.config,
        num_envs=4,
        num_steps=8,
        num_epochs=2,
        num_minibatches=2,
        normalize_observation=True,
        normalize_reward=True,
        network=dataclasses.replace(preset.config.network, hidden=(8,)),
    )
    values: dict[str, Any] = dict(
        algorithm="ppo",
        env="CartPole-v1",
        env_overrides=(("max_steps_in_episode", 20),),
        seeds=2,
        seed=0,
        total_steps=9 * 32,
        config=config,
        hp=preset.hp,
        log_every=3,
        checkpoint_every=3,
    )
    return RunConfig(**(values | changes))


def bits(tree):
    """Every leaf as (dtype, shape, bytes)."""
    leaves = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(tree)
    ]
    return [(str(x.dtype), x.shape, np.asarray(x).tobytes()) for x in leaves]


def rows_but_time(rows):
    """Rows as text, without the time they were written."""
    return [json.dumps({k: v for k, v in row.items() if k != "wall_s"}) for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of the fake, not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    options = dataclasses.replace(QUIET, command="jaxrl train it")
    return driver.train(fake_run(), folder, options=options)


def reference_states(run, updates):
    """What a plain Python loop over seeds and updates computes."""
    setup = driver.set_up(run)
    step, finals = jax.jit(setup.algorithm.step), []
    for seed in run.seed_numbers:
        state = setup.algorithm.init(jax.random.key(seed), setup.hp)
        for _ in range(updates):
            state, _ = step(state, setup.hp)
        finals.append(state)
    return finals


def test_run_folder_holds_what_it_should(finished):
    names = {path.name for path in finished.folder.iterdir()}
    assert names - {".lock"} == {
        "config.json", "metrics.jsonl", "checkpoints", "curve.png", "summary.json",
    }  # fmt: skip
    assert load_config(finished.folder / "config.json") == fake_run()
    assert checkpoint.saved_updates(finished.folder / "checkpoints")[-1] == 20
    summary = json.loads((finished.folder / "summary.json").read_text())
    assert summary == finished.summary
    assert summary["command"] == "jaxrl train it" and summary["seeds"] == [5, 6]
    assert summary["updates"] == 20 and summary["env_steps_per_seed"] == 80
    assert summary["compile_s"] > 0 and summary["run_s"] > 0
    assert summary["env_steps_per_s"] == pytest.approx(160 / summary["run_s"], rel=1e-2)
    assert summary["versions"]["jax"] == jax.__version__
    in_checkout = (ROOT / ".git").exists()
    assert len(summary["commit"] or "") == (40 if in_checkout else 0)
    assert summary["versions"]["jaxrl"] == jaxrl.__version__ and summary["versions"]["brax"]
    assert summary["device"]["platform"] == "cpu"


def test_training_is_the_plain_loop_for_each_seed(finished):
    for i, state in enumerate(reference_states(fake_run(), 20)):
        mine = jax.tree.map(lambda x, i=i: x[i], finished.states)
        np.testing.assert_allclose(mine.policy.weights, state.policy.weights, rtol=1e-5)
        assert bits(mine.key) == bits(state.key) and int(mine.update) == 20


def test_rows_are_of_every_second_update_and_seed(finished):
    rows = read_metrics(finished.folder / "metrics.jsonl")
    assert [(r["update"], r["seed"], r["env_steps"]) for r in rows] == [
        (u, s, 4 * u) for u in range(2, 21, 2) for s in (5, 6)
    ]
    assert [list(r)[:4] for r in rows] == [["update", "seed", "env_steps", "wall_s"]] * 20
    assert chunks.FINITE not in rows[0]
    walls = [r["wall_s"] for r in rows]
    assert walls == sorted(walls) and walls[0] > 0
    # The first window: updates 1 and 2 with 1 and 2 episodes, return = -loss.
    state = reference_states(fake_run(), 0)[0]
    setup = driver.set_up(fake_run())
    losses = []
    for _ in range(2):
        state, metrics = jax.jit(setup.algorithm.step)(state, setup.hp)
        losses.append(float(metrics["loss"]))
    assert rows[0]["loss"] == pytest.approx(sum(losses) / 2, rel=1e-5)
    assert rows[0]["episodes"] == 3
    assert rows[0]["episode_return"] == pytest.approx(-(losses[0] + 2 * losses[1]) / 3, rel=1e-5)


def test_checkpoint_metric_is_the_mean_return_since_the_one_before(finished):
    manifest = checkpoint.read_manifest(finished.folder / "checkpoints" / "20")
    rows = [r for r in finished.rows if r["update"] > 16]
    means = []
    for seed in (5, 6):
        mine = [r for r in rows if r["seed"] == seed]
        total = sum(r["episode_return"] * r["episodes"] for r in mine)
        means.append(total / sum(r["episodes"] for r in mine))
    assert manifest.metric == pytest.approx(sum(means) / 2, rel=1e-5)
    assert manifest.fingerprint == fake_run().fingerprint()
    assert manifest.config == fake_run().to_json()


def test_seed_does_not_depend_on_its_company(tmp_path):
    alone = driver.train(fake_run(seeds=1, seed=6), tmp_path / "a", options=QUIET)
    both = driver.train(fake_run(), tmp_path / "b", options=QUIET)
    assert bits(jax.tree.map(lambda x: x[1:], both.states)) == bits(alone.states)


def test_chunks_change_no_bit(tmp_path):
    results = []
    for chunk in (1, 2, 5, None):
        run = fake_run(log_every=9, checkpoint_every=9)
        options = dataclasses.replace(QUIET, chunk=chunk)
        results.append(driver.train(run, tmp_path / str(chunk), options=options))
    first = results[0]
    assert len(first.rows) == 6
    for other in results[1:]:
        assert bits(other.states) == bits(first.states)
        assert rows_but_time(other.rows) == rows_but_time(first.rows)


def test_chunks_of_ppo_change_no_bit():
    setup = driver.set_up(tiny_ppo())
    keys = chunks.seed_keys(range(2))
    programs = chunks.lower(setup.algorithm, keys, setup.hp).compile()

    def run(counts):
        states, pieces = programs.init(keys, setup.hp), []
        for count in counts:
            states, metrics = programs.advance(states, setup.hp, jnp.int32(count))
            pieces.append(chunks.fetch(metrics, count))
        columns = {name: np.concatenate([p[name] for p in pieces]) for name in pieces[0]}
        return bits(states), bits(columns)

    whole = run([10])
    assert run([1] * 10) == run([2] * 5) == run([5, 5]) == whole
    assert {shape for _, shape, _ in whole[1]} == {(10, 2)}


def test_recording_changes_no_bit(finished, tmp_path):
    run = fake_run(log_every=1, checkpoint_every=7, keep_last=1)
    result = driver.train(run, tmp_path / "x", options=QUIET)
    assert bits(result.states) == bits(finished.states)
    assert 20 in checkpoint.saved_updates(tmp_path / "x" / "checkpoints")  # the last, though odd


def test_mapping_seeds_as_accelerators_do_gives_the_same(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "map_seeds", jax.vmap)
    result = driver.train(fake_run(), tmp_path / "x", options=QUIET)
    for mine, theirs in zip(result.rows, finished.rows, strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    weights = finished.states.policy.weights
    np.testing.assert_allclose(result.states.policy.weights, weights, rtol=1e-4)


def test_one_program_serves_every_chunk_and_hyperparameter():
    setup = driver.set_up(fake_run())
    keys = chunks.seed_keys(range(2))
    programs = chunks.lower(setup.algorithm, keys, setup.hp).compile()
    states = programs.init(keys, setup.hp)
    other = canonical(setup.hp.replace(lr=0.0))
    still, metrics = programs.advance(states, other, jnp.int32(3))
    fetched = chunks.fetch(metrics, 3)
    assert {values.shape for values in fetched.values()} == {(3, 2)}
    again = programs.init(keys, setup.hp)
    np.testing.assert_array_equal(still.policy.weights, again.policy.weights)


def test_environment_steps_pass_32_bits(tmp_path):
    config = fake_algorithm.Config(batch=2)
    run = fake_run(config=config, total_steps=12, log_every=1, checkpoint_every=1)
    setup = driver.set_up(run)._replace(steps_per_update=2**40)
    lowered = chunks.lower(setup.algorithm, chunks.seed_keys(run.seed_numbers), setup.hp)
    result = driver._train(setup, tmp_path, QUIET, lowered, 0, lambda: None)
    assert result.rows[-1]["env_steps"] == 6 * 2**40
    assert result.summary["env_steps_per_seed"] == 6 * 2**40


@pytest.mark.parametrize("chunk", [1, 4, None])
def test_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_checkpoint(tmp_path, chunk):
    folder, options = tmp_path / "run", dataclasses.replace(QUIET, chunk=chunk)
    with pytest.raises(NonFiniteError) as caught:
        driver.train(fake_run(nan_update=11.0), folder, options=options)
    assert "non-finite loss, episode_return at update 11, seed 5" in str(caught.value)
    assert str(folder / "checkpoints" / "8") in str(caught.value)
    path, _ = checkpoint.latest_good(folder / "checkpoints")
    assert path.name == "8"
    assert all(math.isfinite(row["loss"]) for row in read_metrics(folder / "metrics.jsonl"))
    assert (folder / "curve.png").exists() and not (folder / "summary.json").exists()


def test_parameters_that_are_not_finite_stop_the_run_though_no_metric_shows_it(tmp_path):
    with pytest.raises(NonFiniteError, match=r"parameters \(.weights\) at update 2, seed 5; no"):
        driver.train(fake_run(inf_weights=2.0, checkpoint_every=2), tmp_path / "r", options=QUIET)
    assert checkpoint.saved_updates(tmp_path / "r" / "checkpoints") == []


def test_the_seed_that_diverged_is_named():
    fine = {"loss": np.ones((3, 2)), chunks.FINITE: np.ones((3, 2), bool)}
    watch = nonfinite.Watch(fake_run(seed=7), run_folder.Path("nowhere"), print)
    assert list(watch(fine, 0, None)) == ["loss"]
    fine["loss"][1, 1] = np.inf
    fine["loss"][2, 0] = np.nan
    with pytest.raises(NonFiniteError, match="non-finite loss at update 42, seed 8"):
        watch(fine, 40, None)


@pytest.fixture
def nothing_compiled(monkeypatch):
    """Fails the test that compiles or even traces a program."""

    def forbidden(*_):
        raise AssertionError("got as far as tracing")

    monkeypatch.setattr(chunks, "lower", forbidden)


def ppo_with(**config):
    preset = registry.algorithm("ppo").preset("CartPole-v1")
    return dataclasses.replace(preset.config, **config)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fake_run(lr=-0.1), "hp.lr must be >= 0, got -0.1"),
        (lambda: fake_run(total_steps=3), "total_steps = 3 is less than the 4 environment steps"),
        (lambda: fake_run(algorithm="ppoo"), "unknown algorithm 'ppoo'; did you mean ppo"),
        (lambda: fake_run(env="CartPol-v1"), "unknown environment 'CartPol-v1'; did you mean Cart"),
        (lambda: fake_run(env_overrides=(("max_steps", 3),)), "no parameter 'max_steps'; nearest"),
        (lambda: tiny_ppo(config=ppo_with(num_minibatches=3)), "does not divide"),
        (lambda: tiny_ppo(hp=tiny_ppo().hp.replace(lr=-1.0)), "hp.lr must be >= 0"),
        (lambda: tiny_ppo(hp=tiny_ppo().hp.replace(lr=math.nan)), "hp.lr"),
    ],
)
def test_bad_configuration_writes_and_compiles_nothing(tmp_path, nothing_compiled, make, message):
    with pytest.raises(ValueError, match=message):
        driver.train(make(), tmp_path / "run", options=QUIET)
    assert not list(tmp_path.iterdir())


def test_existing_folder_is_left_alone(finished, nothing_compiled):
    before = (finished.folder / "metrics.jsonl").read_bytes()
    with pytest.raises(RunFolderError, match="exists and is not empty.*--overwrite.*jaxrl resume"):
        driver.train(fake_run(), finished.folder, options=QUIET)
    assert (finished.folder / "metrics.jsonl").read_bytes() == before


def test_overwrite_replaces_a_run_and_only_what_a_run_wrote(tmp_path):
    driver.train(fake_run(), tmp_path, options=QUIET)
    films = [tmp_path / f"episode{ending}" for ending in (".gif", ".mp4", ".html")]
    for file in (tmp_path / "notes.txt", *films):
        file.write_text("mine")
    driver.train(fake_run(seed=9), tmp_path, overwrite=True, options=QUIET)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not any(film.exists() for film in films)
    assert load_config(tmp_path / "config.json").seed == 9
    assert {row["seed"] for row in read_metrics(tmp_path / "metrics.jsonl")} == {9, 10}


def test_bad_configuration_overwrites_nothing(tmp_path):
    driver.train(fake_run(), tmp_path, options=QUIET)
    with pytest.raises(ValueError, match="hp.lr"):
        driver.train(fake_run(lr=-1.0), tmp_path, overwrite=True, options=QUIET)
    assert (tmp_path / "summary.json").exists()


def test_overwrite_refuses_a_folder_that_is_no_run(tmp_path, nothing_compiled):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match="not a run folder.*--overwrite leaves it alone"):
        driver.train(fake_run(), tmp_path, overwrite=True, options=QUIET)
    file = tmp_path / "thesis.tex"
    with pytest.raises(RunFolderError, match="is a file"):
        driver.train(fake_run(), file, overwrite=True, options=QUIET)
    assert file.read_text() == "years of work"


def test_empty_folder_may_be_used(tmp_path):
    assert driver.train(fake_run(), tmp_path, options=QUIET).folder == tmp_path


def test_two_processes_cannot_train_in_one_folder(finished):
    with run_folder.locked(finished.folder):
        with pytest.raises(RunFolderError, match="another process is training"):
            driver.train(fake_run(), finished.folder, overwrite=True, options=QUIET)
        with pytest.raises(RunFolderError, match="another process is training"):
            driver.resume(finished.folder, QUIET)


def test_tensorboard_and_progress_are_sinks(tmp_path, capsys):
    driver.train(fake_run(), tmp_path / "r", options=Options(tensorboard=True))
    assert {p.name for p in (tmp_path / "r" / "tensorboard").iterdir()} == {"seed_5", "seed_6"}
    assert "20/20 updates" in capsys.readouterr().err


def test_horizon_is_the_length_of_the_run_unless_it_is_given():
    assert float(driver.set_up(fake_run()).hp.horizon) == 20.0
    hp = fake_algorithm.Hyperparameters(horizon=7.0)
    assert float(driver.set_up(fake_run(hp=hp)).hp.horizon) == 7.0


def test_updates_that_fit():
    assert driver.num_updates(500_000, 1024) == 488
    with pytest.raises(ConfigError):
        driver.num_updates(1023, 1024)


def test_metric_that_is_no_scalar_is_named():
    setup = driver.set_up(fake_run())

    def step(state, hp):
        state, metrics = setup.algorithm.step(state, hp)
        return state, metrics | {"loss": jnp.zeros(3)}

    with pytest.raises(ValueError, match=r"metric loss must be a scalar, it has shape \(3,\)"):
        chunks.lower(setup.algorithm._replace(step=step), chunks.seed_keys(range(1)), setup.hp)


def test_environment_steps_pass_the_range_of_int32(tmp_path, monkeypatch):
    """Five updates of 2^30 steps each: the third is past 2^31 - 1."""
    spec = fake_algorithm.SPEC._replace(steps_per_update=lambda config: 2**30)
    monkeypatch.setitem(registry._ALGORITHMS, fake_algorithm.NAME, spec)
    run = fake_run(total_steps=5 * 2**30, log_every=1, checkpoint_every=5)
    result = driver.train(run, tmp_path / "run", options=QUIET)
    steps = [row["env_steps"] for row in read_metrics(result.folder / "metrics.jsonl")]
    assert sorted(set(steps)) == [2**30 * update for update in range(1, 6)]
    assert result.summary["env_steps_per_seed"] == 5 * 2**30
