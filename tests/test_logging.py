"""Rows, sinks, the curve and statistics."""

import io
import json
import math
import struct

import numpy as np
import pytest

from jaxrl import logging, plotting, statistics
from tests.processes import run_python


def metrics():
    """Four updates of two seeds."""
    return {
        "loss": np.array([[1, 10], [2, 20], [3, 30], [6, 40]], np.float32),
        "episodes": np.array([[1, 0], [0, 0], [3, 0], [0, 0]], np.int32),
        "episode_return": np.array([[8, np.nan], [np.nan] * 2, [4, np.nan], [np.nan] * 2]),
    }


def test_summary_weights_episodes_and_averages_updates():
    window = logging.Window()
    window.add(metrics())
    first, second = window.summary()
    assert first == {"loss": 3.0, "episodes": 4, "episode_return": (8 + 3 * 4) / 4}
    assert (second["loss"], second["episodes"]) == (25.0, 0)
    assert math.isnan(second["episode_return"])
    assert isinstance(first["episodes"], int)


def test_summary_does_not_depend_on_the_pieces():
    rng = np.random.default_rng(0)
    whole = {
        "loss": rng.normal(size=(5, 2)).astype(np.float32),
        "episodes": np.array([[1, 2], [0, 1], [4, 1], [2, 2], [1, 0]], np.int32),
        "episode_return": rng.normal(size=(5, 2)).astype(np.float32),
    }
    summaries = []
    for cuts in ([5], [1, 5], [2, 3, 4, 5], [1, 2, 3, 4, 5]):
        window = logging.Window()
        for start, end in zip([0, *cuts], cuts, strict=False):
            window.add({name: values[start:end] for name, values in whole.items()})
        summaries.append(window.summary())
    assert all(summary == summaries[0] for summary in summaries)


def test_window_is_empty_after_its_summary():
    window = logging.Window()
    window.add(metrics())
    window.summary()
    window.add({name: values[:1] for name, values in metrics().items()})
    assert window.summary()[0]["loss"] == 1.0


def test_json_lines_writes_null_for_nan_and_integers_beyond_32_bits(tmp_path):
    path = tmp_path / "metrics.jsonl"
    sink = logging.JsonLines(path)
    row = {"update": 1, "seed": 0, "env_steps": 3 * 2**31, "wall_s": 0.5, "loss": math.nan}
    sink.write([row, {**row, "seed": 1, "loss": 0.1}])
    text = path.read_text()  # before close: a killed process leaves what it logged
    sink.sync()
    sink.close()
    first, second = map(json.loads, text.splitlines())
    assert first["env_steps"] == 6442450944 and first["loss"] is None
    assert second["loss"] == 0.1
    rows = logging.read_metrics(path)
    assert math.isnan(rows[0]["loss"]) and rows[1] == {**row, "seed": 1, "loss": 0.1}


def write_rows(path, updates):
    lines = [json.dumps({"update": u, "seed": s, "x": u / 3}) for u in updates for s in (0, 1)]
    path.write_text("".join(line + "\n" for line in lines))


def test_cut_keeps_what_came_before_and_drops_half_a_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write_rows(path, range(1, 6))
    before = path.read_bytes().splitlines(keepends=True)
    with path.open("a") as file:
        file.write('{"update": 6, "se')
    rows = logging.cut_metrics(path, 3)
    assert [(row["update"], row["seed"]) for row in rows] == [
        (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1),
    ]  # fmt: skip
    assert path.read_bytes() == b"".join(before[:6])
    assert [f.name for f in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_cut_without_a_file_makes_an_empty_one(tmp_path):
    assert logging.cut_metrics(tmp_path / "metrics.jsonl", 3) == []
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_damaged_line_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"update": 1, "seed": 0}\n{"upd\n{"update": 3, "seed": 0}\n')
    with pytest.raises(ValueError, match="line 2 is damaged"):
        logging.read_metrics(path)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def progress(stream, updates=100):
    bar = logging.Progress("ppo X", updates, stream=stream)
    bar.start()
    for update in range(1, updates + 1):
        row = {"update": update, "seed": 0, "env_steps": 1000 * update, "episode_return": math.nan}
        bar.write([row, {**row, "seed": 1, "episode_return": 12.5}])
    bar.close()
    return stream.getvalue()


def test_progress_without_a_terminal_is_a_few_plain_lines():
    lines = progress(io.StringIO()).splitlines()
    assert len(lines) == 20
    assert lines[-1].startswith("ppo X  100/100 updates  200k env steps")
    assert all(word in lines[9] for word in ("50/100", "env steps/s", "return 12.5", "ETA"))
    assert "\x1b" not in "".join(lines)


def test_progress_on_a_terminal_is_a_bar():
    text = progress(Terminal())
    assert "100/100" in text and "env steps/s" in text and "return 12.5" in text and "ETA" in text
    assert "━" in text and "compiling" in text


@pytest.mark.parametrize(
    ("number", "text"), [(0.5, "0.5"), (999, "999"), (1234, "1.23k"), (5e6, "5M"), (2e9, "2G")]
)
def test_numbers_are_shortened(number, text):
    assert logging._short(number) == text


def test_clock():
    assert (logging._clock(59.6), logging._clock(3725)) == ("1:00", "1:02:05")


def read_events(folder):
    """(tag, step, value) of an event file, by the record format: length, crc, data, crc."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = folder.glob("events*")
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
        data = data[16 + length :]
    return found


def test_tensorboard_has_one_folder_a_seed_and_steps_on_the_axis(tmp_path):
    sink = logging.TensorBoard(tmp_path, [3, 4])
    row = {"update": 1, "seed": 3, "env_steps": 2**33, "wall_s": 1.0, "loss": 0.5}
    sink.write([row, {**row, "seed": 4, "loss": math.nan}])
    sink.close()
    assert sorted(read_events(tmp_path / "seed_3")) == [("loss", 2**33, 0.5), ("wall_s", 2**33, 1)]
    assert read_events(tmp_path / "seed_4") == [("wall_s", 2**33, 1.0)]


def test_sinks_load_their_packages_only_when_used():
    done = run_python(
        "import sys, jaxrl.logging, jaxrl.plotting\n"
        "print(sorted({'rich', 'tensorboardX', 'matplotlib'} & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]"


def test_interquartile_mean_by_hand():
    # 8 values: the lowest 2 and the highest 2 go.
    assert statistics.interquartile_mean(np.array([100, 1, 2, 3, 4, 5, -50, 9])) == 3.5
    assert statistics.interquartile_mean(np.array([1.0, 2.0, 6.0])) == 3.0
    assert math.isnan(statistics.interquartile_mean(np.array([])))


def test_bootstrap_interval_covers_and_repeats():
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    low, high = statistics.bootstrap_interval(values, np.mean)
    assert (low, high) == statistics.bootstrap_interval(values, np.mean)
    half = 1.96 * values.std() / 20  # the normal interval of a mean of 400
    np.testing.assert_allclose([low, high], values.mean() + np.array([-half, half]), atol=0.03)
    assert statistics.bootstrap_interval(np.array([7.0]), np.mean) == (7.0, 7.0)


def curve_rows():
    returns: dict[int, list[float | None]] = {
        0: [1, 2, None, 4],
        1: [3, None, 5, 6],
        2: [5, 5, 5, 8],
    }
    return [
        {
            "seed": seed,
            "env_steps": 10 * (i + 1),
            "episode_return": math.nan if value is None else value,
        }
        for seed, values in returns.items()
        for i, value in enumerate(values)
    ]


def drawn(monkeypatch, rows, path):
    """The axes of a curve, caught when it is saved."""
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig

    def catch(figure, *args, **kwargs):
        figures.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", catch)
    plotting.learning_curve(rows, path, "ppo on X, seeds 0-2")
    return figures[0].axes[0]


def test_curve_shows_each_seed_and_their_mean(monkeypatch, tmp_path):
    axes = drawn(monkeypatch, curve_rows(), tmp_path / "curve.png")
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()]
    assert lines[:3] == [
        ([10, 20, 40], [1, 2, 4]),
        ([10, 30, 40], [3, 5, 6]),
        ([10, 20, 30, 40], [5, 5, 5, 8]),
    ]
    # A seed without an episode counts with its last known return.
    assert lines[3] == ([10, 20, 30, 40], [3.0, (2 + 3 + 5) / 3, (2 + 5 + 5) / 3, 6.0])
    assert axes.get_title() == "ppo on X, seeds 0-2"
    assert "steps" in axes.get_xlabel() and "return" in axes.get_ylabel()
    assert axes.get_lines()[3].get_linewidth() > 2 * axes.get_lines()[0].get_linewidth()
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert [f.name for f in tmp_path.iterdir()] == ["curve.png"]


def test_curve_without_any_episode_says_so(monkeypatch, tmp_path):
    rows = [{**row, "episode_return": math.nan} for row in curve_rows()]
    axes = drawn(monkeypatch, rows, tmp_path / "curve.png")
    assert [text.get_text() for text in axes.texts] == ["no episode ended"]
