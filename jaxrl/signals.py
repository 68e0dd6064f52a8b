"""SIGTERM as a request to stop: what was computed is saved, then the process exits with 143.

The command line installs this around a training (`termination`) and takes it away afterwards. The
library only looks at a `Stop` between chunks of updates and never touches a signal handler.

- While the loop trains (`Stop.holding`), the first SIGTERM waits for the end of the chunk.
- At any other moment (tracing, compiling, writing the summary) it raises `Terminated` at once.
- A second SIGTERM, or Ctrl-C after the first, raises at once everywhere.

Python runs a handler only between two of its instructions, and XLA may compile for minutes within
one. So a thread sees the signal too (`signal.set_wakeup_fd`), and where `Terminated` should have
been raised and was not within a few seconds it ends the process. Every file appears whole or not at
all, so nothing is damaged by that.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

EXIT_TERMINATED = 128 + signal.SIGTERM
# How long a signal that should stop the process at once may wait for Python.
_PATIENCE_SECONDS = 3.0


class Terminated(BaseException):
    """The process was asked to stop. Like KeyboardInterrupt it is no error to be handled."""


class Stop:
    """A request to stop, looked at between chunks of updates.

    Attributes:
        requested: set it, from a thread for instance, to stop a training: it saves a checkpoint
            after the current chunk and raises `Terminated`.
    """

    def __init__(self) -> None:
        self.requested = False
        self._held = False
        self._raised = threading.Event()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Within it the first signal only sets `requested`."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _handle(self, signum: int, frame: Any) -> None:
        """The signal handler of the main thread."""
        del signum, frame
        again, self.requested = self.requested, True
        if again or not self._held:
            self._raised.set()
            raise Terminated

    def _watch(self, pipe: int, message: str) -> None:
        """Reads the numbers of signals as they arrive, until the pipe is closed."""
        terms = 0
        while number := os.read(pipe, 1):
            interrupt = number[0] == signal.SIGINT
            terms += number[0] == signal.SIGTERM
            waits = terms <= 1 and self._held and not interrupt
            # Ctrl-C alone is none of ours.
            if waits or not terms or self._raised.wait(_PATIENCE_SECONDS):
                continue
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{message}\n".encode())
            os._exit(EXIT_TERMINATED)


@contextlib.contextmanager
def termination(message: str) -> Iterator[Stop]:
    """Turns SIGTERM into a `Stop`, until the block ends; then the old handlers are back.

    Signals belong to the main thread: in another one nothing is installed.

    Args:
        message: printed where Python could not be waited for.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    watcher = threading.Thread(target=stop._watch, args=(read_end, message), daemon=True)
    old_interrupt = signal.getsignal(signal.SIGINT)

    def interrupt(signum: int, frame: Any) -> None:
        if stop.requested:
            stop._handle(signum, frame)
        elif callable(old_interrupt):
            old_interrupt(signum, frame)

    old_fd = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    old_term = signal.signal(signal.SIGTERM, stop._handle)
    signal.signal(signal.SIGINT, interrupt)
    watcher.start()
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, old_term)
        signal.signal(signal.SIGINT, old_interrupt)
        signal.set_wakeup_fd(old_fd)
        os.close(write_end)
        watcher.join()
        os.close(read_end)
