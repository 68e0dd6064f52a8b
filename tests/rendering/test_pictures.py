"""What is drawn where: geometry by trigonometry, colours of known cells."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import rendering
from jaxrl.evaluation import random_act
from jaxrl.rendering import classic, draw, frames, generic, minatar
from jaxrl.rendering.episode import Episode


def moment(name, state=None, observations=None, index=0, **params):
    """A moment of an episode of one state, or of as many as there are observations."""
    count = 1 if observations is None else len(observations)
    states = SimpleNamespace(**(state or {}))
    episode = Episode(
        states=np.zeros(count),
        observations=observations,
        actions=np.arange(count - 1.0),
        rewards=np.ones(count - 1, np.float32),
        returns=np.arange(count, dtype=np.float32),
        first_step=0,
        terminated=True,
        truncated=False,
    )

    class Fixed(frames.Moment):
        state = states

    return Fixed(None, SimpleNamespace(**params), name, episode, index)


def pixels_of(frame, colour):
    """(x, y) of every pixel of exactly this colour, float [n, 2]."""
    rows, columns = np.nonzero((frame == draw.rgb(colour)).all(axis=2))
    return np.stack([columns, rows], axis=1) + 0.5


def angle_and_reach(points, origin):
    """Mean direction, counted from upright to the right, and largest distance from `origin`."""
    x, y = (points - np.asarray(origin)).T
    return np.arctan2(x.mean(), -y.mean()), np.hypot(x, y).max()


@pytest.mark.parametrize(("x", "theta", "half_length"), [(0, 0.3, 0.5), (1.5, -0.2, 0.25)])
def test_cartpole(x, theta, half_length):
    params = {"x_threshold": np.float32(2.4), "length": np.float32(half_length)}
    frame = classic.cartpole(moment("CartPole-v1", {"x": x, "theta": theta}, **params))
    assert frame.shape == (300, 480, 3) and frame.dtype == np.uint8
    scale = 480 / (2.25 * 2.4)
    axle = (240 + scale * x, 200)
    angle, reach = angle_and_reach(pixels_of(frame, draw.ORANGE), axle)
    assert angle == pytest.approx(theta, abs=0.03)
    # Half the width of the line, 4.5, is beyond the tip.
    assert reach == pytest.approx(2 * half_length * scale + 4.5, abs=1.5)
    assert pixels_of(frame, draw.BLUE)[:, 0].mean() == pytest.approx(axle[0], abs=1.5)
    ticks = sorted(set(pixels_of(frame, draw.RED)[:, 0]))
    assert ticks[0] == pytest.approx(240 - 2.4 * scale, abs=1.5)
    assert ticks[-1] == pytest.approx(240 + 2.4 * scale, abs=1.5)


def test_acrobot():
    state = {"joint_angle1": 0.5, "joint_angle2": 0.7}
    lengths = {"link_length_1": 1.0, "link_length_2": 1.5}
    frame = classic.acrobot(moment("Acrobot-v1", state, **lengths))
    scale, pivot = 0.45 * 300 / 2.5, np.array([240, 150])
    # Angles count from hanging down, to the right: pi minus them from upright.
    angle, _ = angle_and_reach(pixels_of(frame, draw.BLUE), pivot)
    assert angle == pytest.approx(np.pi - 0.5, abs=0.03)
    elbow = pivot + scale * np.array([np.sin(0.5), np.cos(0.5)])
    angle, reach = angle_and_reach(pixels_of(frame, draw.ORANGE), elbow)
    assert angle == pytest.approx(np.pi - 1.2, abs=0.03)
    assert reach == pytest.approx(1.5 * scale + 5.5, abs=1.5)
    assert pixels_of(frame, draw.GREEN)[:, 1].mean() == pytest.approx(150 - scale, abs=1)


@pytest.mark.parametrize(("theta", "length"), [(0.0, 1.0), (1.2, 1.0), (-2.0, 0.5)])
def test_pendulum(theta, length):
    state = {"theta": theta, "last_u": np.float32(1.0)}
    frame = classic.pendulum(moment("Pendulum-v1", state, l=length, max_torque=2.0))
    # A positive angle leans to the left.
    angle, reach = angle_and_reach(pixels_of(frame, draw.ORANGE), (240, 138))
    assert angle == pytest.approx(-theta, abs=0.03)
    assert reach == pytest.approx(105 * length + 7.5, abs=1.5)
    gauge = pixels_of(frame, draw.BLUE)[:, 0]
    assert gauge.min() == pytest.approx(240 - 110 / 2, abs=1.5) and gauge.max() <= 240


@pytest.mark.parametrize("position", [-1.0, -np.pi / 6, 0.3])
def test_mountain_car(position):
    params = {"min_position": -1.2, "max_position": 0.6, "goal_position": 0.45}
    frame = classic.mountain_car(moment("MountainCar-v0", {"position": position}, **params))
    scale = 480 / 1.8
    slope = np.arctan(215 * 0.45 * 3 * np.cos(3 * position) / scale)
    # The body is about 16 above the wheels' foot, perpendicular to the hill.
    x, y = pixels_of(frame, draw.BLUE).mean(axis=0)
    foot = ((position + 1.2) * scale, 280 - 215 * (0.45 * np.sin(3 * position) + 0.55))
    assert x == pytest.approx(foot[0] - 16 * np.sin(slope), abs=3)
    assert y == pytest.approx(foot[1] - 16 * np.cos(slope), abs=3)
    flag = pixels_of(frame, draw.GREEN)
    assert flag[:, 0].max() == pytest.approx(1.65 * scale, abs=2)


CELLS = {
    "Asterix-MinAtar": {(0, 0): draw.CYAN, (1, 1): draw.RED, (3, 3): draw.YELLOW},
    "Breakout-MinAtar": {(0, 0): draw.CYAN, (1, 1): draw.LIGHT, (3, 3): draw.ORANGE},
    "Freeway-MinAtar": {(0, 0): draw.YELLOW, (1, 1): draw.RED},
    "Seaquest-MinAtar": {(0, 0): draw.CYAN, (5, 5): draw.ORANGE, (7, 7): draw.BLUE},
    "SpaceInvaders-MinAtar": {(0, 0): draw.CYAN, (2, 2): draw.ORANGE, (5, 5): draw.RED},
}


@pytest.mark.parametrize("name", CELLS)
def test_minatar_cells_have_the_colour_of_their_channel(name):
    channels = {"Asterix": 4, "Breakout": 4, "Freeway": 7, "Seaquest": 10, "SpaceInvaders": 6}
    count = channels[name.partition("-")[0]]
    assert {channel for channel, *_ in minatar.PALETTES[name]} <= set(range(count))
    obs = np.zeros((1, 10, 10, count), np.float32)
    for row, channel in CELLS[name]:
        obs[0, row, 7, channel] = 1
    frame = minatar.board(moment(name, observations=obs))
    assert frame.shape == (340, 480, 3) and frame.dtype == np.uint8
    for row in range(10):
        expected = {r: colour for (r, _), colour in CELLS[name].items()}
        found = tuple(frame[10 + 32 * row + 16, 10 + 32 * 7 + 16])
        assert found == draw.rgb(expected.get(row, draw.NIGHT_CELL)), row
    for line, (_, _, colour) in enumerate(reversed(minatar.PALETTES[name])):
        assert tuple(frame[22 + 25 * line, 340 + 11]) == draw.rgb(colour)


def test_minatar_overlap_shows_what_matters():
    obs = np.ones((1, 10, 10, 4), np.float32)
    frame = minatar.board(moment("Breakout-MinAtar", observations=obs))
    assert tuple(frame[26, 26]) == draw.rgb(draw.LIGHT)


def test_every_minatar_game_and_classic_task_has_its_renderer():
    ids = [i for i in jaxrl.registry.environments() if i.endswith("-MinAtar")]
    assert set(ids) == set(minatar.PALETTES)
    for name, renderer in {**minatar.RENDERERS, **classic.RENDERERS}.items():
        assert frames.find_renderer(SimpleNamespace(name=name)).draw is renderer


def test_grids():
    picture = np.arange(27, dtype=np.uint8).reshape(1, 3, 3, 3)
    np.testing.assert_array_equal(generic.picture(moment("x", observations=picture)), picture[0])
    grey = np.zeros((1, 3, 4), np.float32)
    grey[0, 1, 2] = 1
    frame = generic.picture(moment("x", observations=grey))
    assert frame.shape == (3, 4, 3) and tuple(frame[1, 2]) == draw.rgb(draw.PAPER)
    assert tuple(frame[0, 0]) == draw.rgb(draw.NIGHT_CELL)
    channels = np.zeros((1, 3, 3, 5), np.float32)
    channels[0, 2, 1, 3] = 1
    frame = generic.picture(moment("x", observations=channels))
    assert tuple(frame[2, 1]) == draw.rgb(draw.SERIES[3])
    assert tuple(frame[0, 0]) == draw.rgb(draw.NIGHT_CELL)


def test_chart_follows_the_numbers():
    obs = {"a": np.array([[0.0], [1], [4], [2]]), "b": np.zeros(4)}
    shown = [moment("x", observations=obs["a"], index=i) for i in range(4)]
    assert generic.picture(shown[0]).shape == (300, 480, 3)
    # The newest value has a dot: 4 is the highest, at the top of a panel of 14 to 150.
    for index, value in ((1, 1), (2, 4)):
        points = pixels_of(generic.picture(shown[index]), draw.BLUE)
        dot = points[(points[:, 1] < 150) & (points[:, 0] > points[:, 0].max() - 4)]
        x = 24 + index * (480 - 28 - 20) / 3
        assert points[:, 0].max() == pytest.approx(x + 3, abs=2)
        assert dot[:, 1].mean() == pytest.approx(143 - 106 * value / 4, abs=2)
    both = moment("x", observations=obs["a"], index=3)
    object.__setattr__(both, "episode", both.episode._replace(observations=obs))
    assert len(pixels_of(generic.picture(both), draw.ORANGE)) > 50


@pytest.fixture(scope="module")
def cartpole():
    env, params = jaxrl.make("CartPole-v1")
    key = jax.random.key(0)
    return env, params, rendering.collect(env, params, random_act(env, params), None, key, 30)


def test_frames_say_step_return_and_ending(cartpole):
    env, params, episode = cartpole
    assert episode.terminated
    shown = frames.Frames(env, params, episode)
    assert len(shown) == episode.length + 1
    assert shown[0].shape == (326, 480, 3) and shown[-1].dtype == np.uint8
    assert shown._captions(0) == ("step 0", "return 0")
    last = (f"step {episode.length}, terminated", f"return {episode.length}")
    assert shown._captions(episode.length) == last
    other = frames.Frames(env, params, episode._replace(terminated=False, truncated=True))
    assert other._captions(episode.length)[0].endswith(", truncated")
    difference = (shown[-1] != other[-1]).any(axis=(1, 2))
    assert difference[300:].any() and not difference[:300].any()
    with pytest.raises(IndexError):
        shown[len(shown)]
    np.testing.assert_array_equal(shown[0:2][1], shown[1])


def test_render_episode_is_an_array_of_all_frames(cartpole):
    env, params, _ = cartpole
    key = jax.random.key(0)
    pictures = rendering.render_episode(env, params, random_act(env, params), key, max_steps=30)
    assert pictures.shape == (cartpole[2].length + 1, 326, 480, 3)
    np.testing.assert_array_equal(pictures[3], frames.Frames(*cartpole)[3])


class WithMethod:
    """An environment that draws itself: the upper left pixel is its time."""

    name = "Mine-v0"

    def render(self, state, params):
        return jnp.zeros((4, 6, 3), jnp.uint8).at[0, 0, 0].set(state.astype(jnp.uint8))


def small_episode():
    count = 3
    return moment("x", observations=np.zeros((count, 2))).episode._replace(states=np.arange(count))


def test_renderers_of_others(monkeypatch):
    monkeypatch.setattr(frames, "_registered", [])
    shown = frames.Frames(WithMethod(), {}, small_episode())
    assert shown.picture(2)[0, 0, 0] == 2 and shown.picture(2).sum() == 2
    # Small pictures grow in whole pixels: 53 x 4 and 53 x 6, and 26 for the line below.
    assert shown[0].shape == (53 * 4 + 26, 320, 3)
    frames.register_renderer("Mine-*", lambda moment: np.full((2, 2, 3), 9, np.uint8), fps=7)
    assert frames.find_renderer(WithMethod()).fps == 7
    assert frames.Frames(WithMethod(), {}, small_episode()).picture(0)[1, 1, 1] == 9
    frames.register_renderer("Mine-v0", lambda moment: np.zeros((2, 2)))
    with pytest.raises(rendering.RenderError, match=r"renderer of Mine-v0 gave float64\[2, 2\]"):
        frames.Frames(WithMethod(), {}, small_episode())[0]
    with pytest.raises(ValueError, match="need a pattern"):
        frames.register_renderer("", lambda moment: None)


def test_method_that_gives_no_pixels_is_named():
    class Broken(WithMethod):
        def render(self, state, params):
            return np.asarray(state)

    with pytest.raises(rendering.RenderError, match="render.state, params. of Mine-v0 does not"):
        frames.Frames(Broken(), {}, small_episode())[0]


def test_gymnax_figures_are_not_taken_for_renderers():
    env, _ = jaxrl.make("Catch-bsuite")
    assert frames.find_renderer(env).draw is generic.picture
    with pytest.raises(rendering.RenderError, match=r"brax/ant is drawn as a page"):
        frames.find_renderer(SimpleNamespace(name="brax/ant"))
