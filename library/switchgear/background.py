"""A task done again and again, on a daemon thread that no error ends and that holds up no exit."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from .forks import Stage, after_fork

__all__ = ["Background"]

_log = logging.getLogger("switchgear")


class Background:
    """Runs `task` every `interval` seconds, and soon after `wake`; in a forked child too.

    Args:
        name: The thread's name.
        task: What to do. Its exceptions are logged, each once in a row, and change nothing.
        interval: Seconds from one run to the next.
        pause: Seconds that lie between two runs at least, however often it is woken.
    """

    def __init__(self, name: str, task: Callable[[], object], *, interval: float, pause: float = 0.0) -> None:
        self._name = name
        self._task = task
        self._interval = interval
        self._pause = pause
        self._running = False
        self._last_error = ""
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        after_fork(Stage.THREADS, self._start_in_child)

    def start(self) -> None:
        """Start the thread, once."""
        self._running = True
        self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the thread for good, waiting at most `timeout` seconds for a run under way."""
        self._running = False
        self.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def wake(self) -> None:
        """Ask for a run now. Safe in a signal handler and under any lock."""
        self._wakes.put(None)

    def _loop(self) -> None:
        while self._running:
            with contextlib.suppress(BaseException):
                self._run_once()
                time.sleep(self._pause)
                self._wait()

    def _run_once(self) -> None:
        try:
            self._task()
        except BaseException as error:  # not even a SystemExit may end the thread
            if repr(error) != self._last_error:
                self._last_error = repr(error)
                _log.exception("%s failed, and goes on", self._name)
        else:
            self._last_error = ""

    def _wait(self) -> None:
        with contextlib.suppress(Empty):
            self._wakes.get(timeout=self._interval)
            while True:
                self._wakes.get_nowait()

    def _start_in_child(self) -> None:
        self._wakes = SimpleQueue()
        if self._running:
            self.start()
