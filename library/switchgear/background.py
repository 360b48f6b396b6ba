"""A task done again and again, on a daemon thread that no error ends and that holds up no exit."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from .forks import Stage, after_fork

__all__ = ["Background"]

FIRST_RETRY = 1.0
"""Seconds after which a failed run is repeated; twice as long after each further one, up to the interval."""

_log = logging.getLogger("switchgear")


class Background:
    """Runs `task` every `interval` seconds, and soon after `wake`; in a forked child too.

    Args:
        name: The thread's name.
        task: What to do. Its exceptions are logged, each once in a row, and change nothing. A run that raises, or
            returns False, is repeated sooner than `interval`: after 1, 2, 4 … seconds.
        interval: Seconds from one run to the next.
        pause: Seconds that lie between two runs at least that `wake` asks for: the first is never delayed, those
            that follow in a burst are.
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
        woken, failures, rested_at = False, 0, time.monotonic()
        while self._running:
            with contextlib.suppress(BaseException):
                if woken:
                    self._rest(rested_at - time.monotonic())
                    failures = 0
                failures = 0 if self._run_once() else failures + 1
                if woken:
                    rested_at = time.monotonic() + self._pause
                woken = self._wait(failures)

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
        with contextlib.suppress(Empty):  # whoever asked until now is served by the run that follows
            while True:
                self._wakes.get_nowait()

    def _run_once(self) -> bool:
        try:
            done = self._task() is not False
        except BaseException as error:  # not even a SystemExit may end the thread
            if repr(error) != self._last_error:
                self._last_error = repr(error)
                _log.exception("%s failed, and goes on", self._name)
            return False
        self._last_error = ""
        return done

    def _wait(self, failures: int) -> bool:
        """Wait for the next run; whether somebody asked for it."""
        retry = FIRST_RETRY * 2.0 ** min(failures - 1, 20)
        try:
            self._wakes.get(timeout=min(retry, self._interval) if failures else self._interval)
        except Empty:
            return False
        return True

    def _start_in_child(self) -> None:
        self._wakes = SimpleQueue()
        if self._running:
            self.start()
