"""What a reading tells while a circuit is not closed: what opened it."""

from switchgear import CircuitBreaker, CircuitState

from .support import Clock, fail, make, succeed

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def _window(breaker: CircuitBreaker) -> tuple[int, int, int]:
    reading = breaker.reading()
    return reading.window_calls, reading.window_failures, reading.window_slow_calls


def test_the_counts_that_opened_a_circuit_stay_until_it_closes() -> None:
    clock = Clock()
    breaker = make(clock, slow_call_duration=2.0, failure_rate_threshold=0.6)
    breaker.call(clock.advance, 2.0)
    succeed(breaker)
    fail(breaker, 3)
    assert breaker.state is OPEN
    assert _window(breaker) == (5, 3, 1)
    clock.advance(5.0)
    assert breaker.state is HALF_OPEN
    assert _window(breaker) == (5, 3, 1)
    fail(breaker)
    assert breaker.state is OPEN
    assert _window(breaker) == (5, 3, 1)
    breaker.trip()
    assert _window(breaker) == (5, 3, 1)
    clock.advance(10.0)
    succeed(breaker, 3)
    assert breaker.state is CLOSED
    assert _window(breaker) == (0, 0, 0)


def test_a_circuit_tripped_by_hand_tells_what_its_window_held() -> None:
    breaker = make()
    fail(breaker)
    succeed(breaker)
    breaker.trip()
    assert _window(breaker) == (2, 1, 0)


def test_a_restored_open_circuit_tells_no_counts() -> None:
    breaker, other = make(), make()
    fail(breaker, 4)
    other.restore(breaker.snapshot())
    assert other.state is OPEN
    assert _window(other) == (0, 0, 0)
