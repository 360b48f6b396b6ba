"""A breaker whose time and chance are in the test's hands."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from switchgear import CircuitBreaker, CircuitConfig, CircuitOpenError, CircuitState, CountWindow

__all__ = [
    "CONFIG",
    "BrokenError",
    "Clock",
    "fail",
    "fail_with",
    "half_open",
    "make",
    "rejects",
    "succeed",
    "totals",
]

CONFIG = CircuitConfig(
    window=CountWindow(10),
    minimum_calls=4,
    failure_rate_threshold=0.5,
    open_duration=5.0,
    max_open_duration=60.0,
    jitter=0.0,
    half_open_calls=3,
    success_threshold=3,
    half_open_max_duration=30.0,
)


class BrokenError(Exception):
    """What a target that is down raises."""


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def make(clock: Callable[[], float] | None = None, /, **changes: Any) -> CircuitBreaker:
    """A breaker with CONFIG, changed as told."""
    return CircuitBreaker("target", replace(CONFIG, **changes), clock=clock or Clock(), random=lambda: 0.5)


def succeed(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        assert breaker.call(lambda: "fine") == "fine"


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        fail_with(breaker, BrokenError())


def fail_with(breaker: CircuitBreaker, error: BaseException) -> None:
    """One call that raises `error`, which must be what the caller sees."""

    def broken() -> None:
        raise error

    try:
        breaker.call(broken)
    except CircuitOpenError:
        raise
    except BaseException as seen:
        assert seen is error  # noqa: PT017  # any kind of exception may be what is expected


def rejects(breaker: CircuitBreaker) -> bool:
    """Whether the breaker rejects a call; an admitted one is cancelled."""
    try:
        breaker.acquire().cancel()
    except CircuitOpenError:
        return True
    return False


def half_open(clock: Clock, /, **changes: Any) -> CircuitBreaker:
    """A breaker that has just become half-open."""
    breaker = make(clock, **changes)
    breaker.trip()
    clock.advance(breaker.config.open_duration)
    assert breaker.state is CircuitState.HALF_OPEN
    return breaker


def totals(breaker: CircuitBreaker) -> dict[str, int]:
    """The calls counted, by outcome, without the zeros."""
    return {outcome.value: count for outcome, count in breaker.reading().calls.items() if count}
