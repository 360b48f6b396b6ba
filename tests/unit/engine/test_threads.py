"""Many threads at one breaker: limits hold, and every call is counted once."""

from collections.abc import Callable
from threading import Barrier, Thread

import pytest

from switchgear import CircuitBreaker, CircuitOpenError, CircuitState, CountWindow, Permit, TimeWindow

from .support import BrokenError, Clock, half_open, make, totals

THREADS = 50


def together(task: Callable[[int], None]) -> None:
    """Run `task(number)` in many threads that start at the same moment; raise what any of them raised."""
    barrier, errors = Barrier(THREADS), []

    def run(number: int) -> None:
        barrier.wait(timeout=30)
        try:
            task(number)
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_a_half_open_breaker_admits_exactly_half_open_calls_of_fifty_threads() -> None:
    for _ in range(10):
        breaker = half_open(Clock())
        permits: list[Permit] = []
        rejected: list[CircuitState] = []

        def attempt(number: int) -> None:
            try:
                permits.append(breaker.acquire())  # noqa: B023  # the threads end in this round
            except CircuitOpenError as error:
                rejected.append(error.state)  # noqa: B023

        together(attempt)
        assert len(permits) == 3
        assert rejected == [CircuitState.HALF_OPEN] * (THREADS - 3)
        for permit in permits:
            permit.success()
        assert breaker.state is CircuitState.CLOSED


def test_only_one_of_fifty_threads_makes_it_half_open() -> None:
    clock = Clock()
    breaker = make(clock)
    breaker.trip()
    clock.advance(5.0)
    together(lambda number: None if breaker.state is CircuitState.HALF_OPEN else pytest.fail("not half-open"))
    assert breaker.reading().transitions[CircuitState.OPEN, CircuitState.HALF_OPEN] == 1


def test_the_bulkhead_never_admits_more_than_its_limit() -> None:
    breaker = make(max_concurrent_calls=7)
    permits: list[Permit] = []

    def attempt(number: int) -> None:
        try:
            permits.append(breaker.acquire())
        except CircuitOpenError:
            return

    together(attempt)
    assert len(permits) == 7
    assert breaker.reading().in_flight == 7
    permits.clear()
    assert breaker.reading().in_flight == 0


@pytest.mark.parametrize("window", [CountWindow(10_000), TimeWindow(60.0)])
def test_every_call_is_counted_once(window: CountWindow | TimeWindow) -> None:
    breaker = make(window=window, failure_rate_threshold=1.0, ignored_exceptions=(KeyError,))

    def broken(error: type[BaseException]) -> None:
        raise error

    def work(number: int) -> None:
        for turn in range(60):
            if turn % 3 == 0:
                breaker.call(str)
            else:
                kind = BrokenError if turn % 3 == 1 else KeyError
                with pytest.raises(kind):
                    breaker.call(broken, kind)

    together(work)
    reading = breaker.reading()
    assert totals(breaker) == {"success": THREADS * 20, "failure": THREADS * 20, "ignored": THREADS * 20}
    assert (reading.window_calls, reading.window_failures) == (THREADS * 40, THREADS * 20)
    assert reading.in_flight == 0


def test_a_permit_settled_by_many_threads_counts_once() -> None:
    breaker = make()
    for _ in range(10):
        permit = breaker.acquire()
        together(lambda number: permit.success() if number % 2 else permit.failure())  # noqa: B023
    assert sum(totals(breaker).values()) == 10


def test_opening_is_announced_once_however_many_threads_fail() -> None:
    breaker = make(failure_rate_threshold=0.1)
    seen: list[CircuitState] = []
    breaker.on_transition(lambda transition: seen.append(transition.to_state))
    permits = [breaker.acquire() for _ in range(THREADS)]
    together(lambda number: permits[number].failure())
    assert seen == [CircuitState.OPEN]
    assert totals(breaker) == {"failure": THREADS}


def test_reloads_and_readings_from_other_threads_lose_no_call() -> None:
    breaker: CircuitBreaker = make(failure_rate_threshold=1.0)
    configs = [
        make(failure_rate_threshold=1.0, window=window).config
        for window in (CountWindow(50), TimeWindow(5.0))
    ]

    def work(number: int) -> None:
        for turn in range(40):
            if number == 0:
                breaker.apply(configs[turn % 2])
            elif number == 1:
                breaker.restore(breaker.snapshot())
            elif number == 2:
                assert breaker.reading().in_flight <= THREADS
            else:
                breaker.call(str)

    together(work)
    assert totals(breaker) == {"success": (THREADS - 3) * 40}
    assert breaker.reading().in_flight == 0


def test_two_breakers_can_be_used_inside_one_another_in_any_order() -> None:
    left, right = make(), make()

    def work(number: int) -> None:
        first, second = (left, right) if number % 2 else (right, left)
        for _ in range(40):
            first.call(second.call, str)

    together(work)
    assert totals(left) == totals(right) == {"success": THREADS * 40}
