"""Slow calls while half-open: judged by their rate, as in a closed circuit."""

import pytest

from switchgear import CircuitState

from .support import Clock, half_open, succeed

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


@pytest.mark.parametrize(
    ("threshold", "rate", "slow"),
    [(1, 0.8, 1), (5, 0.8, 4), (3, 0.5, 2), (4, 1.0, 4), (100, 0.07, 7), (2, 0.1, 1)],
)
def test_as_many_slow_probes_as_the_rate_allows_not_open_it_again(
    threshold: int, rate: float, slow: int
) -> None:
    clock = Clock()
    config = {"slow_call_duration": 2.0, "slow_call_rate_threshold": rate}
    breaker = half_open(clock, half_open_calls=threshold, success_threshold=threshold, **config)
    for _ in range(slow - 1):
        breaker.call(clock.advance, 2.0)
    assert breaker.state is HALF_OPEN
    breaker.call(clock.advance, 2.0)
    assert breaker.state is OPEN


def test_fewer_slow_probes_are_successes() -> None:
    clock = Clock()
    breaker = half_open(clock, slow_call_duration=2.0)
    breaker.call(clock.advance, 2.0)
    breaker.call(clock.advance, 2.0)
    succeed(breaker)
    assert breaker.state is CLOSED
    assert breaker.reading().slow_calls == 2


def test_slow_probes_are_none_once_slowness_is_not_judged() -> None:
    clock = Clock()
    breaker = half_open(clock, slow_call_duration=2.0, slow_call_rate_threshold=1.0)
    breaker.call(clock.advance, 2.0)
    breaker.call(clock.advance, 2.0)
    breaker.apply(half_open(Clock()).config)
    succeed(breaker)
    assert breaker.state is CLOSED
