"""A forked worker has breakers of its own, whatever the parent's threads were doing."""

import os
import signal
from collections.abc import Callable
from threading import Event, Thread

import pytest

from switchgear import CircuitBreaker, CircuitState

from .support import Clock, fail, half_open, make, rejects, succeed, totals

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # that is what is tested


def in_child(check: Callable[[], None]) -> None:
    """Run `check` in a forked process; fail unless it ends well within 30 seconds."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        code = 1
        try:
            check()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


class Elsewhere:
    """Another thread, in the middle of something until the test is over."""

    def __init__(self, task: Callable[[Callable[[], None]], object]) -> None:
        self._inside, self._leave = Event(), Event()
        self._thread = Thread(target=task, args=(self._stay,))

    def _stay(self) -> None:
        self._inside.set()
        self._leave.wait(30)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._inside.wait(30)

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join()


def test_a_lock_that_another_thread_holds_is_free_in_the_child() -> None:
    breaker = make()
    with Elsewhere(breaker._lock.run):
        in_child(lambda: succeed(breaker))


def test_calls_of_other_threads_are_not_in_flight_in_the_child() -> None:
    breaker = make(max_concurrent_calls=1)

    def check() -> None:
        assert breaker.reading().in_flight == 0
        succeed(breaker, 3)
        assert totals(breaker) == {"success": 3}

    with Elsewhere(breaker.call):
        in_child(check)
    assert totals(breaker) == {"success": 1}


def test_probes_of_other_threads_take_no_place_in_the_child() -> None:
    clock = Clock()
    breaker = half_open(clock)

    def check() -> None:
        clock.advance(60.0)
        assert not rejects(breaker)
        succeed(breaker, 3)
        assert breaker.state is CircuitState.CLOSED

    with Elsewhere(breaker.call):
        in_child(check)
    assert breaker.reading().in_flight == 0


def test_a_call_that_forks_ends_well_on_both_sides() -> None:
    breaker = make()

    def forks() -> int:
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)
        return pid

    pid = breaker.call(forks)
    if pid == 0:
        code = 1
        try:
            succeed(breaker)
            assert breaker.reading().in_flight == 0
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert totals(breaker) == {"success": 1}


def test_parent_and_child_go_separate_ways() -> None:
    breaker = make()

    def check() -> None:
        fail(breaker, 4)
        assert breaker.state is CircuitState.OPEN

    in_child(check)
    assert breaker.state is CircuitState.CLOSED
    assert totals(breaker) == {}


def test_a_breaker_that_is_gone_is_no_trouble_in_the_child() -> None:
    for _ in range(100):
        CircuitBreaker("gone")
    in_child(lambda: succeed(make()))
