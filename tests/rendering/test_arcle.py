"""Pictures and text of ARC grids: colours at places worked out by hand."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxrl
from jaxrl import cli
from jaxrl.envs.arcle.operations import O2ARC
from jaxrl.envs.arcle.tasks import Task, TaskSet
from jaxrl.rendering import arcle
from jaxrl.rendering.draw import NIGHT, NIGHT_CELL, rgb
from jaxrl.rendering.episode import moment_only, on_host
from jaxrl.rendering.frames import Moment, find_renderer

N = 5  # a cell is 300 / 5 = 60 pixels; the grid begins at (328, 36), the answer at (642, 36)
COLOURS = [rgb(colour) for colour in arcle.PALETTE]


def grid(*rows):
    return np.asarray([[int(colour) for colour in row] for row in rows], np.int8)


def tasks(output):
    """Two demonstrations and a test; the test's output is given."""
    demos = ((grid("12", "30"), grid("45")), (grid("6"), grid("789")))
    return TaskSet("mine", (Task("first", demos, ((grid("05", "10", "00"), output),)),))


@pytest.fixture(scope="module")
def env():
    return jaxrl.make("ARCLE-O2ARC-v2", dataset=tasks(grid("22")), canvas=N)


def moment(env, params, pair, *actions):
    obs, state = jax.jit(env.begin)(params, jnp.int32(0), jnp.int32(pair))
    step = jax.jit(env.step_env)
    for name, *box in actions:
        action = jnp.asarray([O2ARC.number(name), *box], jnp.int32)
        obs, state, *_ = step(jax.random.key(0), state, action, params)
    return Moment(env, on_host(params), env.name, moment_only(state, obs, 0, 0.0), 0)


def draw(env, params, pair, *actions):
    frame = find_renderer(env).draw(moment(env, params, pair, *actions))
    assert frame.shape == (676, 956, 3) and frame.dtype == np.uint8
    return frame


def at(frame, x, y):
    return tuple(frame[y, x].tolist())


def test_the_three_grids_are_where_they_should_be(env):
    frame = draw(*env, 0)  # 12/30 -> 45
    for left in (14, 328):
        for (row, column), colour in {(0, 0): 1, (0, 1): 2, (1, 0): 3, (1, 1): 0}.items():
            assert at(frame, left + 60 * column + 30, 36 + 60 * row + 30) == COLOURS[colour]
        # A cell is of one colour but for the lines at its edges.
        assert {at(frame, left + along, 66) for along in range(1, 59)} == {COLOURS[1]}
        assert at(frame, left + 150, 66) == rgb(NIGHT_CELL)  # beside the grid
    assert at(frame, 642 + 30, 66) == COLOURS[4] and at(frame, 642 + 90, 66) == COLOURS[5]
    assert at(frame, 642 + 30, 126) == rgb(NIGHT_CELL)
    assert at(frame, 2, 2) == rgb(NIGHT)


def test_what_is_painted_copied_and_lifted_is_seen(env):
    painted = draw(*env, 0, ("Color8", 0, 1, 1, 1))
    assert at(painted, 328 + 90, 66) == at(painted, 328 + 90, 126) == COLOURS[8]
    assert at(painted, 14 + 90, 66) == COLOURS[2]  # the input stays
    # Clipboard and object are 80 pixels wide at (14, 372) and (108, 372): two cells of 40.
    copied = draw(*env, 0, ("CopyI", 0, 0, 0, 1))
    assert at(copied, 14 + 20, 392) == COLOURS[1] and at(copied, 14 + 60, 392) == COLOURS[2]
    assert at(copied, 14 + 20, 432) == at(copied, 108 + 20, 392) == rgb(NIGHT_CELL)
    moved = draw(*env, 0, ("MoveDown", 0, 0, 0, 1))
    assert at(moved, 108 + 20, 392) == COLOURS[1] and at(moved, 108 + 60, 392) == COLOURS[2]
    assert at(moved, 328 + 90, 126) == COLOURS[2]
    # The selection went along: a white line around row 1, columns 0 and 1.
    white = np.all(moved > 220, axis=-1)
    assert white[96, 328 + 10 : 328 + 110].all() and white[156, 328 + 10 : 328 + 110].all()
    assert not white[40:90, 328 + 5 : 328 + 115].any()


def test_demonstrations_are_below_and_the_one_at_work_is_marked(env):
    frame = draw(*env, 1)  # 12/30 -> 45 and 6 -> 789, in panels of 80 at y = 488 and y = 575
    assert at(frame, 14 + 20, 508) == COLOURS[1] and at(frame, 14 + 60, 548) == COLOURS[0]
    assert at(frame, 14 + 20, 595) == COLOURS[4] and at(frame, 14 + 60, 595) == COLOURS[5]
    assert at(frame, 108 + 13, 501) == COLOURS[6]  # cells of 80 / 3
    for column, colour in enumerate((7, 8, 9)):
        assert at(frame, 108 + 13 + 27 * column, 588) == COLOURS[colour]
    assert min(at(frame, 108 + 40, 659)) > 220 and at(frame, 14 + 40, 659) == rgb(NIGHT)


def test_a_hidden_answer_is_not_in_the_picture_or_the_text():
    def shown(output, protocol, pair):
        env, params = jaxrl.make(
            "ARCLE-O2ARC-v2", dataset=tasks(output), canvas=N, protocol=protocol
        )
        return draw(env, params, pair), arcle.ansi(env, moment(env, params, pair).state)

    one, other = grid("22"), grid("345", "999")
    (hidden, text), (again, same) = shown(one, "test", 2), shown(other, "test", 2)
    np.testing.assert_array_equal(hidden, again)
    assert text == same and "answer" not in text
    (seen, text), (different, changed) = shown(one, "adaptation", 2), shown(other, "adaptation", 2)
    assert (seen != different).any() and text != changed and "answer" in text
    # In the protocol "meta" the output of the demonstration at work is an answer; others are not.
    frame, _ = shown(one, "meta", 0)
    assert at(frame, 14 + 20, 595) == rgb(NIGHT_CELL) and at(frame, 108 + 13, 588) == COLOURS[7]
    assert at(frame, 642 + 30, 66) == rgb(NIGHT_CELL)


def test_large_and_generated_tasks_fit():
    env, params = jaxrl.make("ARCLE-O2ARC-v2", dataset="random", canvas=30)
    obs, state = jax.jit(env.reset_env)(jax.random.key(0), params)
    episode = moment_only(state, obs, 0, 0.0)
    frame = find_renderer(env).draw(Moment(env, on_host(params), env.name, episode, 0))
    cells = arcle.cells_of(state.game.answer, state.game.answer_dim)
    assert cells.dim == (30, 30)
    for row, column in ((0, 0), (0, 29), (29, 0), (29, 29), (13, 7)):  # cells of 10 pixels
        colour = COLOURS[cells.colours[row, column]]
        assert at(frame, 642 + 10 * column + 5, 36 + 10 * row + 5) == colour


def test_colours_can_be_told_apart():
    """CIE 1976 distances: 2 is just noticed, the nearest two of ARC's own colours are at 34."""
    linear = np.asarray([*COLOURS, rgb(NIGHT_CELL)]) / 255
    linear = np.where(linear > 0.04045, ((linear + 0.055) / 1.055) ** 2.4, linear / 12.92)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.transpose(to_xyz) / (0.9505, 1, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert (distance[np.triu_indices(11, 1)] > 15).all()
    assert (distance[:10, :10][np.triu_indices(10, 1)] > 34).all()


def test_grids_as_text():
    red, black = COLOURS[2], COLOURS[0]
    text = arcle.ansi_grid(grid("22", "20"), [[False, True], [False, False]])
    on_red = f"\x1b[38;2;0;0;0;48;2;{red[0]};{red[1]};{red[2]}m"
    on_black = f"\x1b[38;2;255;255;255;48;2;{black[0]};{black[1]};{black[2]}m"
    assert text == f"{on_red} 2>2\x1b[0m\n{on_red} 2{on_black} 0\x1b[0m"
    for wrong, message in (([[10]], "colours are 0 to 9, got 10"), ([1], r"got int64\[1\]")):
        with pytest.raises(ValueError, match=message):
            arcle.ansi_grid(np.asarray(wrong, np.int64))


def test_a_state_as_text(env):
    state = moment(*env, 1, ("ResizeGrid", 0, 0, 1, 3), ("MoveRight", 0, 0, 0, 0)).state
    plain = re.sub(r"\x1b\[[0-9;]*m", "", arcle.ansi(env[0], state))
    assert plain.split("\n") == [
        "input  grid      answer",
        " 6      0>0 0 0   7 8 9",
        "        0 0 0 0        ",
    ]


def test_a_pixel_a_cell(env):
    now = moment(*env, 0)  # 12/30, 12/30 and 45
    frame = arcle.coarse(now, 80)
    assert frame.shape == (2, 2 + 2 + 2 + 2 + 2, 3)
    assert at(frame, 0, 0) == at(frame, 4, 0) == COLOURS[1] and at(frame, 9, 0) == COLOURS[5]
    assert at(frame, 2, 0) == at(frame, 8, 1) == rgb(NIGHT)
    assert arcle.coarse(now, 9).shape == (2, 6, 3) and arcle.coarse(now, 5).shape == (2, 2, 3)
    marked = arcle.coarse(now, 1, (1, 2, 0, 0))  # from (1, 2), beside the grid, to (0, 0)
    assert marked.shape == (2, 3, 3)
    # At the cursor 65 % of the way from blue to white, beside it 35 % from red or black.
    assert at(marked, 0, 0) == tuple(round(c + 0.65 * (255 - c)) for c in COLOURS[1])
    towards = 255 if np.dot(COLOURS[2], (0.299, 0.587, 0.114)) <= 110 else 0
    assert towards == 0  # red is light enough to be darkened
    assert at(marked, 1, 0) == tuple(round(0.65 * c) for c in COLOURS[2])
    assert at(marked, 1, 1) == (89, 89, 89)


def test_an_episode_of_random_actions_becomes_a_gif(tmp_path, capsys):
    path = tmp_path / "arc.gif"
    words = ["render", "ARCLE-O2ARC-v2", "--max-steps", "3", "--out", str(path), "--env-overrides"]
    assert cli.main([*words, "canvas=3", "dataset=random"]) == 0, capsys.readouterr().err
    with Image.open(path) as gif:
        assert gif.n_frames == 4 and gif.size == (956, 676 + 26)
