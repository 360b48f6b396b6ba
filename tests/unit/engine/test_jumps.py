"""A monotonic clock that jumps back, as on a machine that was restored, prolongs nothing beyond its bound."""

import pytest

from switchgear import CircuitOpenError, CircuitState

from .support import Clock, half_open, make, rejects

OPEN, HALF_OPEN = CircuitState.OPEN, CircuitState.HALF_OPEN

JUMP = -1e6


@pytest.mark.parametrize("looked_at_by_a_call", [True, False])
def test_an_open_circuit_stays_open_no_longer_than_max_open_duration(looked_at_by_a_call: bool) -> None:
    clock = Clock()
    breaker = make(clock)
    breaker.trip()
    clock.advance(JUMP)
    if looked_at_by_a_call:
        with pytest.raises(CircuitOpenError) as caught:
            breaker.acquire()
        assert caught.value.retry_after == 60.0
    else:
        assert breaker.snapshot().remaining == 60.0
    clock.advance(59.9)
    assert breaker.state is OPEN
    clock.advance(0.2)
    assert breaker.state is HALF_OPEN


def test_a_probe_is_overdue_no_later_than_half_open_max_duration() -> None:
    clock = Clock()
    breaker = half_open(clock)
    hung = breaker.acquire()
    clock.advance(JUMP)
    assert breaker.state is HALF_OPEN
    clock.advance(10.0)
    with breaker.acquire():
        clock.advance(19.9)
        assert breaker.state is HALF_OPEN
    clock.advance(0.2)
    assert rejects(breaker)
    assert breaker.state is OPEN
    hung.success()


def test_a_call_across_a_jump_is_not_slow() -> None:
    clock = Clock()
    breaker = make(clock, slow_call_duration=2.0)
    breaker.call(clock.advance, JUMP)
    assert breaker.reading().slow_calls == 0
