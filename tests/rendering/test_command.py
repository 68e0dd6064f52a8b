"""Files of frames, the page for Brax, and `jaxrl render`."""

import base64
import json
import os
import re
import subprocess
import zlib
from types import SimpleNamespace

import imageio_ffmpeg
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxrl
from jaxrl import cli, config, driver, registry, rendering
from jaxrl.rendering import brax as brax_page
from jaxrl.rendering import command, files
from jaxrl.rendering.episode import Episode
from tests import fake_algorithm

pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")
SEEDS = (5, 6)


def counting_frames(count, height=21, width=33):
    """Frames of one grey each, 10 more than the one before."""
    greys = (10 * np.arange(count, dtype=np.uint8))[:, None, None, None]
    return np.broadcast_to(greys, (count, height, width, 3))


def read_gif(path):
    """Frames [T, H, W, 3] and durations in milliseconds."""
    with Image.open(path) as image:
        frames, durations = [], []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
    return np.stack(frames), durations


def read_mp4(path, height, width):
    """Frames [T, H, W, 3] and seconds, by ffmpeg itself."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)]
    raw = [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(raw, capture_output=True, check=True)
    text = done.stderr.decode()
    assert "h264" in text and f", {width}x{height}" in text
    seconds = float(re.search(r"Duration: 00:00:([0-9.]+)", text)[1])
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3), seconds


def test_gif_has_the_frames_and_their_time(tmp_path):
    path = tmp_path / "a.gif"
    rendering.save(counting_frames(25), path, fps=30)
    frames, durations = read_gif(path)
    assert frames.shape == (25, 21, 33, 3)
    np.testing.assert_allclose(frames, counting_frames(25), atol=6)  # a palette of a few frames
    assert sum(durations) == 830 and set(durations) == {30, 40}  # 25 / 30 s, in hundredths
    assert [f.name for f in tmp_path.iterdir()] == ["a.gif"]
    # What stands still is one longer frame.
    rendering.save(np.zeros((5, 8, 8, 3), np.uint8), path, fps=10)
    assert read_gif(path)[1] == [500]


def test_mp4_has_the_frames(tmp_path):
    path = tmp_path / "a.mp4"
    rendering.save(counting_frames(12), path, fps=10)
    frames, seconds = read_mp4(path, 22, 34)  # even sides
    assert len(frames) == 12
    greys = frames.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(greys, 10 * np.arange(12), atol=4)
    assert seconds == pytest.approx(1.2, abs=0.01)
    assert [f.name for f in tmp_path.iterdir()] == ["a.mp4"]


def test_failed_writing_leaves_what_was_there(tmp_path, monkeypatch):
    class Broken(list):
        def __getitem__(self, index):
            if index > 2:
                raise RuntimeError("cannot draw")
            return counting_frames(5)[index]

    for name in ("a.gif", "a.mp4"):
        (tmp_path / name).write_text("old")
        with pytest.raises(RuntimeError, match="cannot draw"):
            rendering.save(Broken([0] * 5), tmp_path / name, fps=10)
        assert (tmp_path / name).read_text() == "old"
    monkeypatch.setattr(files, "_ffmpeg", lambda: "false")
    with pytest.raises(rendering.RenderError, match="ffmpeg could not write .a.writing.mp4: 1"):
        rendering.save(counting_frames(5), tmp_path / "a.mp4")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.gif", "a.mp4"]


def test_what_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    frames = counting_frames(2)
    (tmp_path / "folder.gif").mkdir()
    (tmp_path / "there.gif").write_text("")
    for path, fps, message in (
        ("a.png", 30, r"a.png must end in .gif or .mp4"),
        ("no/a.gif", 30, r"no is not a folder, so a.gif cannot be written there"),
        ("folder.gif", 30, "exists and is not a file"),
        ("there.gif", 30, "there.gif exists; choose another --out or add --overwrite"),
        ("a.gif", 51, "fps of a.gif must be above 0 and at most 50, got 51"),
        ("a.mp4", float("nan"), "at most 240, got nan"),
    ):
        with pytest.raises(rendering.RenderError, match=message):
            rendering.save(frames, tmp_path / path, fps=fps, overwrite=False)
    with pytest.raises(rendering.RenderError, match="no frames"):
        rendering.save(frames[:0], tmp_path / "a.gif")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(rendering.RenderError, match="is not writable"):
        rendering.save(frames, tmp_path / "a.gif")
    monkeypatch.undo()
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(rendering.RenderError, match=r"pip install 'jaxrl\[video\]'"):
        rendering.save(frames, tmp_path / "a.mp4")


def brax_episode(count=4):
    """A slide of the cart and a turn of the pole, made by hand."""
    positions = np.zeros((count, 2, 3), np.float32)
    positions[:, 0, 0] = np.arange(count)
    rotations = np.tile(np.array([1, 0, 0, 0], np.float32), (count, 2, 1))
    x = SimpleNamespace(pos=positions, rot=rotations)
    states = SimpleNamespace(brax=SimpleNamespace(pipeline_state=SimpleNamespace(x=x)))
    returns = np.arange(count, dtype=np.float32)
    return Episode(states, None, None, np.ones(count - 1), returns, 0, True, False)


def system_of(text):
    """The trajectory inside a page."""
    (data,) = re.findall(r'var system = "([^"]+)"', text)
    return json.loads(zlib.decompress(base64.b64decode(data)))


def test_page_holds_the_trajectory():
    env, _ = jaxrl.make("brax/inverted_pendulum")
    text = brax_page.page(env, [brax_episode(4), brax_episode(2)], "brax/<pendulum>")
    assert text.startswith("<!DOCTYPE html>") and "brax-viewer" in text
    caption = "brax/&lt;pendulum&gt; (generalized): 3 steps, terminated, return 3.0; 1 steps"
    assert f"<title>{caption}" in text and f">{caption}" in text.partition("<body>")[2]
    system = system_of(text)
    slides = [state["pos"][0][0] for state in system["states"]["x"]]
    assert slides == [0, 1, 2, 3, 0, 1]
    assert system["opt"]["timestep"] == pytest.approx(env.unwrapped.dt)
    assert set(system["geoms"]) >= {"cart", "pole"}


@pytest.fixture
def render(capsys, tmp_path, monkeypatch):
    """Runs `jaxrl render` in a folder of its own: (exit code, output, errors)."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = cli.main(["render", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def one_step(monkeypatch):
    """Episodes are not played but invented; what they would have been played with is kept."""
    calls = []

    def collect(env, params, act, policy, key, max_steps, greedy, carry):
        calls.append((env, params, act, policy, key, max_steps, greedy, carry))
        if "brax" in env.name:
            return brax_episode()
        obs, state = env.reset_env(key, params)
        pair = jax.tree.map(lambda x: np.stack([x, x]), (state, obs))
        return Episode(*pair, np.zeros(1), np.ones(1), np.array([0.0, 1]), 0, False, True)

    monkeypatch.setattr(command, "collect", collect)
    return calls


def test_environment_with_random_actions(render, tmp_path):
    code, out, err = render("CartPole-v1", "--seed", "4", "--env-overrides", "length=1.0")
    assert (code, err) == (0, "")
    steps = int(re.search(r"(\d+) steps, return \d+, terminated", out)[1])
    assert "CartPole-v1, random actions" in out and "written: CartPole-v1.gif" in out
    frames, durations = read_gif(tmp_path / "CartPole-v1.gif")
    assert len(frames) == steps + 1
    assert sum(durations) == 10 * round(100 * (steps + 1) / 30)
    env, params = jaxrl.make("CartPole-v1", length=1.0)
    key = jax.random.fold_in(jax.random.key(4), 0)
    act = jaxrl.evaluation.random_act(env, params)
    expected = rendering.collect(env, params, act, None, key)
    assert expected.length == steps
    drawn = np.stack(list(rendering.Frames(env, params, expected)))
    assert np.abs(drawn.astype(int) - frames).mean() < 3
    assert render("CartPole-v1")[0] == 1
    assert render("CartPole-v1", "--overwrite", "--max-steps", "2", "--fps", "50")[0] == 0
    assert read_gif(tmp_path / "CartPole-v1.gif")[1] == [20, 20, 20]


def test_episodes_one_after_the_other(render, one_step, tmp_path):
    code, out, _ = render("Catch-bsuite", "--episodes", "3", "--out", "c.mp4", "--max-steps", "9")
    assert code == 0 and out.count("1 steps, return 1, truncated") == 3
    assert len(read_mp4(tmp_path / "c.mp4", 346, 320)[0]) == 6
    keys = [jax.random.key_data(call[4]) for call in one_step]
    expected = [jax.random.fold_in(jax.random.key(0), i) for i in range(3)]
    np.testing.assert_array_equal(keys, [jax.random.key_data(key) for key in expected])
    assert {call[5] for call in one_step} == {9}


def test_brax_environment_becomes_a_page(render, one_step, tmp_path):
    code, out, _ = render("brax/inverted_pendulum")
    assert code == 0 and "written: brax-inverted_pendulum.html" in out
    page = (tmp_path / "brax-inverted_pendulum.html").read_text()
    assert len(system_of(page)["states"]["x"]) == 4


def tiny_run(**changes):
    """Two seeds, 20 updates, episodes of 3 steps."""
    settings = {
        "algorithm": fake_algorithm.NAME,
        "env": "Pendulum-v1",
        "env_overrides": (("max_steps_in_episode", 3),),
        "seeds": len(SEEDS),
        "seed": SEEDS[0],
        "total_steps": 80,
        "config": fake_algorithm.Config(),
        "hp": fake_algorithm.Hyperparameters(),
        "log_every": 5,
        "checkpoint_every": 5,
    }
    return config.RunConfig(**{**settings, **changes})


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of the fake algorithm, two seeds, 20 updates; its best is not its last."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    driver.train(tiny_run(), folder, options=driver.Options(progress=False))
    return folder


@pytest.mark.parametrize("seed", SEEDS)
def test_run_plays_the_policy_of_the_seed(render, one_step, run_folder, seed, tmp_path):
    target = ("--which-seed", seed, "--checkpoint", "best", "--greedy", "--out", "x.gif")
    code, out, _ = render(run_folder, *target)
    best = rendering.command.checkpoint.best(run_folder / "checkpoints")
    label = f"Pendulum-v1, {fake_algorithm.NAME}, seed {seed}, checkpoint {best}\n"
    assert code == 0 and out.startswith(label)
    ((_, params, act, policy, _, _, greedy, carry),) = one_step
    assert int(params.max_steps_in_episode) == 3 and greedy and carry == ()
    states, _ = driver.restore(driver.load(run_folder), run_folder / "checkpoints" / str(best))
    row = SEEDS.index(seed)
    np.testing.assert_array_equal(policy.weights, states.policy.weights[row])
    assert (tmp_path / "x.gif").exists()
    obs = jnp.ones((1, 3))
    np.testing.assert_allclose(act(policy, obs, (), None)[0][0], policy.weights.sum(), rtol=1e-5)


def test_run_by_default_is_the_first_seed_and_newest_checkpoint(render, run_folder):
    code, out, _ = render(run_folder)
    assert code == 0 and "seed 5, checkpoint 20\n3 steps" in out and "truncated" in out
    assert out.endswith(f"written: {run_folder / 'episode.gif'}\n")
    code, out, _ = render(run_folder, "--policy", "random", "--overwrite")
    assert code == 0 and out.startswith("Pendulum-v1, random actions\n3 steps")


def test_policy_with_memory_begins_with_its_own_carry(tmp_path, monkeypatch):
    """Its torque is its memory, which starts at 0.5 and doubles with every action."""

    def make(*args):
        def act(policy, obs, carry, key):
            return carry, 2 * carry

        algorithm = fake_algorithm.make(*args)
        return algorithm._replace(act=act, initial_carry=lambda batch: jnp.full((batch, 1), 0.5))

    spec = fake_algorithm.SPEC._replace(name="fake-memory", make=make)
    monkeypatch.setitem(registry._ALGORITHMS, spec.name, spec)
    run = tiny_run(algorithm=spec.name, seeds=1, total_steps=4, log_every=1, checkpoint_every=1)
    driver.train(run, tmp_path / "run", options=driver.Options(progress=False))
    done = command.render(command.Request(str(tmp_path / "run")))
    (episode,) = done.episodes
    np.testing.assert_array_equal(episode.actions, [[0.5], [1], [2]])
    assert done.path.name == "episode.gif" and len(read_gif(done.path)[0]) == 4


MISTAKES = [
    (["Cartpol"], 2, "'Cartpol'; did you mean CartPole-v1? (nor is there a run folder)"),
    (["."], 1, ". is neither a run folder (it has no config.json) nor the id of an environment"),
    (["CartPole-v1", "--out", "a.html"], 1, "only Brax has a page; a.html must end in .gif"),
    (["CartPole-v1", "--out", "a.png"], 1, "a.png must end in .gif or .mp4"),
    (["CartPole-v1", "--out", "no/a.gif"], 1, "no is not a folder"),
    (["brax/ant", "--out", "a.gif"], 1, "brax/ant is drawn as a page"),
    (["brax/ant", "--fps", "3"], 1, "takes no --fps"),
    (["CartPole-v1", "--fps", "99"], 1, "at most 50, got 99"),
    (["CartPole-v1", "--fps", "-1"], 1, "above 0"),
    (["CartPole-v1", "--fps", "0"], 1, "above 0"),
    (["CartPole-v1", "--episodes", "0"], 1, "episodes must be at least 1, got 0"),
    (["CartPole-v1", "--max-steps", "0"], 1, "max_steps must be at least 1, got 0"),
    (["CartPole-v1", "--greedy"], 1, "random actions have no greedy form"),
    (["CartPole-v1", "--policy", "trained"], 1, "only a run has a trained policy"),
    (["CartPole-v1", "--which-seed", "1"], 1, "belong to no seed and no checkpoint"),
    (["CartPole-v1", "--checkpoint", "best"], 1, "belong to no seed and no checkpoint"),
    (["CartPole-v1", "--env-overrides", "lenght=1"], 1, "no parameter 'lenght'"),
    (["CartPole-v1", "--policy", "greedy"], 2, "policy"),
    (["CartPole-v1", "--speed", "2"], 2, "unknown option --speed"),
    ([], 2, "RUN|ENV"),
]


@pytest.mark.parametrize(("words", "code", "message"), MISTAKES)
def test_mistake_is_one_line_and_nothing_is_played(
    render, one_step, tmp_path, words, code, message
):
    found, out, err = render(*words)
    assert (found, out) == (code, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert one_step == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--which-seed", "7"], "has the seeds 5..6, not 7"),
        (["--env-overrides", "g=1"], "a run has the parameters it was trained with"),
        (["--policy", "random", "--which-seed", "5"], "belong to no seed"),
    ],
)
def test_mistake_about_a_run(render, one_step, run_folder, words, message):
    code, out, err = render(run_folder, *words)
    assert (code, out) == (1, "") and message in err and err.count("\n") == 1
    assert one_step == []
