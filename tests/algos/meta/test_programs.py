"""Groups that fit into memory, and references that fitness cannot be measured by."""

import dataclasses

import pytest

from jaxrl.algos.meta import command, programs
from jaxrl.config import ConfigError
from jaxrl.sweep.memory import SweepMemoryError
from tests.algos.meta.test_run import config


@pytest.fixture
def measured(monkeypatch):
    """Programs that take 1 MiB for each row of a group; what was asked for, in order."""
    asked = []

    class Lowered:
        def __init__(self, rows):
            self.rows = rows

        def compile(self):
            return self

    def lowered(setup, rows, mesh):
        asked.append(rows)
        return Lowered(rows)

    monkeypatch.setattr(programs, "_lowered", lowered)
    monkeypatch.setattr(programs, "program_bytes", lambda program: program.rows * 2**20)
    return asked


def _group(monkeypatch, backend, mib, devices=1, **changes):
    monkeypatch.setattr(programs.jax, "default_backend", lambda: backend)
    setup = programs.set_up(config(**changes))
    return programs.choose_group(setup, mib / 1024, devices)


def test_a_cpu_vectorises_few_rows_and_fewer_where_memory_is_short(monkeypatch, measured):
    assert _group(monkeypatch, "cpu", 100) == programs.CPU_GROUP == 4
    assert _group(monkeypatch, "cpu", 2.5) == 2
    # Two devices of a CPU share its memory.
    assert _group(monkeypatch, "cpu", 2.5, devices=2) == 1
    with pytest.raises(SweepMemoryError):
        _group(monkeypatch, "cpu", 0.5)


def test_an_accelerator_vectorises_what_fits(monkeypatch, measured):
    """8 members x 3 seeds are 24 rows: in equal calls of what fits."""
    assert _group(monkeypatch, "gpu", 100, seeds=3) == 24
    assert _group(monkeypatch, "gpu", 100, seeds=3, devices=4) == 6
    assert _group(monkeypatch, "gpu", 13, seeds=3) == 12
    assert max(measured) == 24


def test_what_was_asked_for_is_taken(measured):
    name, options = command.read(["lpo", "--envs", "CartPole-v1", "--group", "5"])
    assert command.fit(command.make_config(name, options), options).group == 5
    assert measured == []


def test_ppo_no_better_than_chance_is_an_error():
    """All of PPO's interval over seeds must lie above the random policy."""
    task = programs.set_up(config()).tasks[0]

    def check(*seeds):
        scores = list(seeds)
        record = {"ppo": sum(scores) / len(scores), "ppo_seeds": scores, "random": 0.1}
        programs._check_reference(task, record)

    check(0.2, 0.3, 0.25, 0.4)
    for seeds in ((0.1, 0.1), (0.0, 0.3, 0.1, 0.05), (float("nan"), 0.3)):
        with pytest.raises(ConfigError, match="fitness cannot be normalised; give it more steps"):
            check(*seeds)


def test_baseline_keeps_the_clipping_range_of_phi():
    run = config().tasks[0]
    changed = dataclasses.replace(
        run, hp=run.hp.replace(objective=run.hp.objective.replace(clip=0.35))
    )
    from jaxrl.algos.meta.tasks import baseline

    assert baseline(changed).hp.objective.clip == pytest.approx(0.35)
    assert baseline(run).hp.objective.clip == pytest.approx(0.2)
