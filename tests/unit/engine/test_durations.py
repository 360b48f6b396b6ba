"""How long a call took: from its permit to its end, or to where whoever holds the permit stops it."""

from .support import Clock, make, totals


def test_a_stopped_call_takes_no_longer_whenever_it_is_settled() -> None:
    clock = Clock(0.0)
    breaker = make(clock, slow_call_duration=2.0)
    for quick in (0.0, 1.9):
        permit = breaker.acquire()
        clock.advance(quick)
        permit.stop()
        clock.advance(100.0)
        permit.stop()
        assert breaker.reading().in_flight == 1, "stopping settles nothing"
        permit.success()
        clock.now = 0.0
    assert breaker.reading().slow_calls == 0
    assert totals(breaker) == {"success": 2}


def test_a_call_that_was_slow_when_it_was_stopped_is_slow() -> None:
    clock = Clock()
    breaker = make(clock, slow_call_duration=2.0)
    permit = breaker.acquire()
    clock.advance(2.0)
    permit.stop()
    permit.failure()
    permit.stop()
    assert breaker.reading().slow_calls == 1
    assert totals(breaker) == {"failure": 1}
