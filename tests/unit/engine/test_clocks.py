"""A clock or a source of chance that raises disturbs no call and stops no circuit."""

import pytest

from switchgear import CircuitBreaker, CircuitConfig, CircuitOpenError, CircuitState, CountWindow, TimeWindow

from .support import BrokenError, Clock, fail, rejects, succeed, totals


class Unreliable:
    """A source that raises when it is told to."""

    def __init__(self, source: Clock) -> None:
        self.source = source
        self.broken = False

    def __call__(self) -> float:
        if self.broken:
            raise BrokenError
        return self.source()


@pytest.mark.parametrize("window", [CountWindow(10), TimeWindow(10.0)])
@pytest.mark.parametrize("which", ["clock", "wall_clock", "random"])
def test_a_source_that_raises_disturbs_nobody(which: str, window: CountWindow | TimeWindow) -> None:
    source = Unreliable(Clock(0.5))
    config = CircuitConfig(window=window, minimum_calls=4, failure_rate_threshold=0.6, jitter=1.0)
    breaker = CircuitBreaker("target", config, **{which: source})  # type: ignore[arg-type]  # one of three
    permit = breaker.acquire()
    source.broken = True
    permit.success()
    succeed(breaker)
    fail(breaker, 3)
    assert breaker.state is CircuitState.OPEN
    assert rejects(breaker)
    assert breaker.reading().in_flight == 0
    assert totals(breaker) == {"success": 2, "failure": 3, "rejected": 1}
    breaker.reset()
    breaker.restore(breaker.snapshot())
    succeed(breaker)


def test_without_chance_the_open_period_is_not_spread() -> None:
    source = Unreliable(Clock())
    source.broken = True
    config = CircuitConfig(jitter=1.0, open_duration=7.0)
    breaker = CircuitBreaker("target", config, clock=Clock(), random=source)
    breaker.trip()
    with pytest.raises(CircuitOpenError) as caught:
        breaker.acquire()
    assert caught.value.retry_after == 7.0
