"""Full disks, SIGTERM and folders that vanish: a clear line, and nothing that cannot go on."""

import contextlib
import dataclasses
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxrl import checkpoint, chunks, cli, driver, logging, recording, run_folder, signals
from jaxrl.run_folder import RunFolderError, WriteError
from jaxrl.signals import Terminated
from tests import fake_algorithm
from tests.processes import ROOT
from tests.test_driver import fake_run
from tests.test_resume import assert_equal_runs, lines, resume

__all__ = ["lines"]  # a fixture
pytestmark = pytest.mark.usefixtures("registered_fake_algorithm")


def run_of(**changes):
    """20 updates, a row every 4 and a checkpoint every 8 of them."""
    return fake_run(**{"log_every": 4, "checkpoint_every": 8, "keep_last": 2, **changes})


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The run that nothing happened to; not to be changed."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    return driver.train(run_of(), folder, options=driver.Options(progress=False))


@pytest.fixture
def no_curve(monkeypatch):
    """Pictures take long and are not what is looked at."""
    monkeypatch.setattr(recording, "write_curve", lambda *_: None)


# Full disks


@contextlib.contextmanager
def full_disk():
    """No file can grow beyond 64 bytes: what the system refuses after that is real."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failing_at(monkeypatch, owner, name, times_before, happens):
    """`owner.name` runs inside `happens()` after it has worked `times_before` times."""
    original, calls = getattr(owner, name), []

    def wrapped(*args):
        calls.append(args)
        with happens() if len(calls) > times_before else contextlib.nullcontext():
            return original(*args)

    monkeypatch.setattr(owner, name, wrapped)


@contextlib.contextmanager
def no_space():
    """What a call says when the device is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    yield


def no_space_for(monkeypatch, name):
    """The file `name` cannot be given its name."""
    replace = os.replace

    def full(source, target):
        if os.path.basename(target) == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)


FAULTS = {
    "a row": lambda patch: failing_at(patch, logging.JsonLines, "write", 2, full_disk),
    "the arrays": lambda patch: failing_at(patch, checkpoint, "_write_arrays", 1, full_disk),
    "a manifest": lambda patch: failing_at(patch, checkpoint, "_sync", 1, no_space),
    "pruning": lambda patch: failing_at(patch, checkpoint, "_prune", 1, no_space),
    "the curve": lambda patch: no_space_for(patch, "curve.png"),
    "the summary": lambda patch: no_space_for(patch, "summary.json"),
}


@pytest.mark.parametrize("site", FAULTS)
def test_full_disk_is_one_error_and_resume_goes_on(
    monkeypatch, tmp_path, lines, uninterrupted, site
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        FAULTS[site](patch)
        with pytest.raises(WriteError) as caught:
            driver.train(run_of(), folder, options=lines.options())
    assert caught.value.errno in (errno.EFBIG, errno.ENOSPC)
    message = str(caught.value)
    assert message.startswith(f"cannot write {folder}") and "\n" not in message
    assert message.endswith(os.strerror(caught.value.errno))
    names = [path.name for path in folder.rglob("*")]
    assert not [name for name in names if name.startswith((".saving", ".replaced"))]
    assert not [name for name in names if name.endswith(".writing")]
    assert checkpoint.latest_good(folder / "checkpoints", pytest.fail)[1].update >= 8
    result = resume(folder, lines.options())
    assert_equal_runs(folder, result.states, uninterrupted)
    assert lines == []


@pytest.mark.parametrize("said", ["to file 18: [os_error_code='28']", "[OS error 28: ENOSPC]"])
def test_full_disk_as_the_storage_library_says_it(monkeypatch, tmp_path, said):
    import orbax.checkpoint as ocp

    def save(*_, **__):
        raise ValueError(f"RESOURCE_EXHAUSTED: Error writing\n{said}")

    monkeypatch.setattr(ocp.Checkpointer, "save", save)
    with pytest.raises(WriteError, match="cannot write .*/3: No space left on device$"):
        state = {"x": chunks.jnp.int32(1)}
        checkpoint.save(tmp_path / "c", state, {}, {}, update=3, fingerprint="f")


def test_full_disk_at_the_very_beginning_leaves_what_may_be_used_again(monkeypatch, tmp_path):
    quiet = driver.Options(progress=False)
    with monkeypatch.context() as patch:
        no_space_for(patch, "config.json")
        with pytest.raises(WriteError, match="config.json: No space left on device"):
            driver.train(run_of(), tmp_path / "run", options=quiet)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    run_folder.check_free(tmp_path / "run", overwrite=False)


FAKE = ["train", fake_algorithm.NAME, "CartPole-v1", "--total-steps", "80", "--no-progress"]


def test_command_line_says_what_failed_and_how_to_go_on(monkeypatch, tmp_path, capsys):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        failing_at(patch, checkpoint, "_write_arrays", 1, full_disk)
        assert cli.main([*FAKE, "--checkpoint-every", "4", "--out", str(folder)]) == 1
    assert capsys.readouterr().err == (
        f"error: cannot write {folder}/checkpoints/8: File too large;"
        f" continue with: jaxrl resume {folder}\n"
    )


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_folder_that_cannot_be_made_is_one_line(monkeypatch, tmp_path, capsys, code):
    def mkdir(path, *args, **kwargs):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(run_folder.Path, "mkdir", mkdir)
    assert cli.main([*FAKE, "--no-cache", "--out", str(tmp_path / "run")]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    assert os.strerror(code) in message and str(tmp_path / "run") in message


# Folders that vanish


def after_updates(monkeypatch, updates, act):
    """Calls `act` once `updates` updates are done, with one update a chunk."""
    fetch, done = chunks.fetch, [0]

    def fetched(metrics, count):
        done[0] += count
        if done[0] == updates:
            act()
        return fetch(metrics, count)

    monkeypatch.setattr(chunks, "fetch", fetched)


def test_deleted_folder_is_not_made_again(monkeypatch, tmp_path, lines):
    folder = tmp_path / "run"
    after_updates(monkeypatch, 9, lambda: shutil.rmtree(folder))
    with pytest.raises(RunFolderError, match="run was deleted or replaced while training"):
        driver.train(run_of(), folder, options=lines.options(chunk=1))
    assert not folder.exists()


def test_folder_deleted_while_saving_is_not_made_again(monkeypatch, tmp_path, lines):
    folder = tmp_path / "run"
    write = checkpoint._write_arrays

    def vanish(*args):
        shutil.rmtree(folder)
        write(*args)

    monkeypatch.setattr(checkpoint, "_write_arrays", vanish)
    with pytest.raises(RunFolderError, match="deleted or replaced"):
        driver.train(run_of(), folder, options=lines.options())
    assert not folder.exists()


def test_replaced_folder_is_left_alone(monkeypatch, tmp_path, lines):
    folder = tmp_path / "run"

    def replace():
        folder.rename(tmp_path / "moved")
        folder.mkdir()
        (folder / ".lock").touch()

    after_updates(monkeypatch, 9, replace)
    with pytest.raises(RunFolderError, match="deleted or replaced"):
        driver.train(run_of(), folder, options=lines.options(chunk=1))
    assert [path.name for path in folder.iterdir()] == [".lock"]
    assert checkpoint.saved_updates(tmp_path / "moved" / "checkpoints") == [8]


# Requests to stop


@pytest.mark.parametrize("updates", [8, 19])
def test_stopped_anywhere_and_resumed_is_the_uninterrupted_run(
    monkeypatch, tmp_path, lines, uninterrupted, no_curve, updates
):
    folder, options = tmp_path / "run", lines.options(chunk=1)
    with monkeypatch.context() as patch:
        after_updates(patch, updates, lambda: setattr(options.stop, "requested", True))
        with pytest.raises(Terminated):
            driver.train(run_of(), folder, options=options)
    newest = checkpoint.latest_good(folder / "checkpoints")[1]
    assert newest.update == updates and (newest.interim is None) == (updates % 8 == 0)
    result = resume(folder, lines.options())
    assert result.summary["resumed_from_update"] == updates and lines == []
    assert_equal_runs(folder, result.states, uninterrupted)
    saved = checkpoint.saved_updates(folder / "checkpoints")
    assert saved == checkpoint.saved_updates(uninterrupted.folder / "checkpoints")
    for update in saved:
        mine, theirs = (
            checkpoint.read_manifest(f / "checkpoints" / str(update))
            for f in (folder, uninterrupted.folder)
        )
        assert mine == dataclasses.replace(theirs, files=mine.files)


def test_stopped_twice_between_two_rows(monkeypatch, tmp_path, lines, uninterrupted, no_curve):
    folder = tmp_path / "run"
    first, second = lines.options(chunk=1), lines.options(chunk=1)
    with monkeypatch.context() as patch:
        after_updates(patch, 5, lambda: setattr(first.stop, "requested", True))
        with pytest.raises(Terminated):
            driver.train(run_of(), folder, options=first)
    with monkeypatch.context() as patch:
        after_updates(patch, 2, lambda: setattr(second.stop, "requested", True))
        with pytest.raises(Terminated):
            driver.resume(folder, second)
    assert checkpoint.saved_updates(folder / "checkpoints") == [7]
    assert_equal_runs(folder, resume(folder, lines.options()).states, uninterrupted)


def test_best_is_never_an_interim_checkpoint(tmp_path):
    state = {"x": chunks.jnp.int32(1)}

    def save(update, metric, interim=None):
        checkpoint.save(
            tmp_path, state, {}, {}, update=update, fingerprint="f", metric=metric,
            keep_last=2, interim=interim,
        )  # fmt: skip
        return checkpoint.saved_updates(tmp_path)

    assert save(1, 5.0) == [1]
    assert save(2, 1.0) == [1, 2]
    assert save(3, 1.0) == [1, 2, 3]
    assert save(4, None, {"begun": [1]}) == [1, 2, 3, 4]
    assert checkpoint.read_manifest(tmp_path / "4").interim == {"begun": [1]}
    assert save(5, 1.0) == [1, 3, 5]


def test_handlers_are_only_there_while_asked_for():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    threads, reached = threading.active_count(), []
    with pytest.raises(Terminated), signals.termination(""):
        reached.append(signal.getsignal(signal.SIGTERM))
        signal.raise_signal(signal.SIGTERM)
        reached.append("beyond")
    assert len(reached) == 1 and reached[0] != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert threading.active_count() == threads and signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_waits_and_the_second_stops_at_once(second):
    reached = []
    with pytest.raises(Terminated), signals.termination("") as stop, stop.holding():
        signal.raise_signal(signal.SIGTERM)
        reached.append(stop.requested)
        signal.raise_signal(second)
        reached.append("beyond")
    assert reached == [True]


def test_interrupt_alone_is_as_ever():
    # A process in the background of a shell is started with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), signals.termination("") as stop, stop.holding():
            signal.raise_signal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with signals.termination("") as stop, stop.holding():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_install_nothing():
    found = []

    def body():
        with signals.termination(""):
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert found == [before]


# `jaxrl` with the fake algorithm, as a process. It says where it is; `where` says what is slow:
# "chunks", "compile" (Python can be interrupted) or "stuck" (a call that cannot be, for a minute).
CHILD = """
import hashlib, sys, time
from jaxrl import chunks, cli, signals
from tests import fake_algorithm

fake_algorithm.register()
signals._PATIENCE_SECONDS = 0.5
where, *words = sys.argv[1:]
fetch, compile = chunks.fetch, chunks.Lowered.compile
def slow_fetch(*args):
    print("training", flush=True)
    time.sleep(0.1)
    return fetch(*args)
def slow_compile(self):
    print("compiling", flush=True)
    if where == "stuck":
        hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)
    time.sleep(60)
if where == "chunks":
    chunks.fetch = slow_fetch
elif where != "no":
    chunks.Lowered.compile = slow_compile
sys.exit(cli.main(words))
"""


def child(where, *words):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, where, *map(str, words)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


LONG = [
    *("train", fake_algorithm.NAME, "CartPole-v1", "--seeds", "2", "--total-steps", "4000"),
    *("--log-every", "50", "--checkpoint-every", "500", "--no-progress", "--out"),
]


def test_sigterm_finishes_the_chunk_saves_and_says_how_to_go_on(tmp_path, lines):
    folder = tmp_path / "run"
    with child("chunks", *LONG, folder) as process:
        assert process.stdout.readline() == "training\n"
        process.terminate()
        err = process.communicate(timeout=120)[1]
    assert process.returncode == 143
    assert err == f"terminated; continue with: jaxrl resume {folder}\n"
    (saved,) = checkpoint.saved_updates(folder / "checkpoints")
    assert 0 < saved < 500
    result = resume(folder, lines.options())
    whole = driver.train(driver.load(folder).run, tmp_path / "whole", options=lines.options())
    assert_equal_runs(folder, result.states, whole)


@pytest.mark.parametrize("where", ["compile", "stuck"])
def test_sigterm_while_compiling_ends_the_process(tmp_path, where):
    folder = tmp_path / "run"
    with child(where, *LONG, folder) as process:
        assert process.stdout.readline() == "compiling\n"
        start = time.monotonic()
        process.terminate()
        err = process.communicate(timeout=120)[1]
    assert process.returncode == 143 and time.monotonic() - start < 20
    assert err == f"terminated; continue with: jaxrl resume {folder}\n"
    assert (folder / "config.json").exists()
