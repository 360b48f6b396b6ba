"""The state machine: when a circuit opens, how it recovers, and what its hands-on controls do."""

import pytest

from switchgear import CircuitOpenError, CircuitState, ConcurrencyLimitError, TimeWindow

from .support import BrokenError, Clock, fail, fail_with, half_open, make, rejects, succeed, totals

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


class TestClosed:
    def test_a_new_circuit_is_closed_and_lets_calls_through(self) -> None:
        breaker = make()
        assert breaker.state is CLOSED
        assert breaker.call(lambda left, right: left + right, 1, right=2) == 3

    def test_the_failure_rate_opens_it_from_the_threshold_on(self) -> None:
        breaker = make()
        succeed(breaker, 3)
        fail(breaker, 2)
        assert breaker.state is CLOSED
        fail(breaker)
        assert breaker.state is OPEN

    def test_a_rate_below_the_threshold_never_opens_it(self) -> None:
        breaker = make(failure_rate_threshold=0.51)
        for _ in range(50):
            succeed(breaker)
            fail(breaker)
        assert breaker.state is CLOSED

    def test_below_minimum_calls_no_rate_is_judged(self) -> None:
        breaker = make()
        fail(breaker, 3)
        assert breaker.state is CLOSED

    def test_the_success_that_completes_minimum_calls_can_open_it(self) -> None:
        breaker = make()
        fail(breaker, 3)
        succeed(breaker)
        assert breaker.state is OPEN

    def test_calls_that_left_a_time_window_do_not_count(self) -> None:
        clock = Clock()
        breaker = make(clock, window=TimeWindow(10.0))
        fail(breaker, 3)
        clock.advance(10.0)
        fail(breaker)
        assert breaker.state is CLOSED
        assert breaker.reading().window_failures == 1

    def test_slow_calls_open_it_at_their_own_rate(self) -> None:
        clock = Clock()
        breaker = make(clock, slow_call_duration=2.0, slow_call_rate_threshold=0.5)
        for seconds in (1.999, 2.0, 1.0):
            breaker.call(clock.advance, seconds)
        assert breaker.state is CLOSED
        breaker.call(clock.advance, 2.5)
        assert breaker.state is OPEN
        assert breaker.reading().slow_calls == 2

    def test_a_slow_failure_counts_for_both_rates(self) -> None:
        clock = Clock()
        breaker = make(clock, slow_call_duration=2.0)

        def slow_and_broken() -> None:
            clock.advance(3.0)
            raise BrokenError

        with pytest.raises(BrokenError):
            breaker.call(slow_and_broken)
        reading = breaker.reading()
        assert (reading.window_failures, reading.window_slow_calls) == (1, 1)

    def test_failures_in_a_row_open_it_whatever_the_rates(self) -> None:
        breaker = make(consecutive_failures=3, minimum_calls=10)
        fail(breaker, 2)
        succeed(breaker)
        fail(breaker, 2)
        assert breaker.state is CLOSED
        fail(breaker)
        assert breaker.state is OPEN

    def test_ignored_and_cancelled_calls_neither_count_nor_break_the_row(self) -> None:
        breaker = make(consecutive_failures=3, minimum_calls=10, ignored_exceptions=(LookupError,))
        fail(breaker, 2)
        fail_with(breaker, KeyError())
        fail_with(breaker, KeyboardInterrupt())
        assert breaker.reading().window_calls == 2
        fail(breaker)
        assert breaker.state is OPEN
        assert totals(breaker) == {"failure": 3, "ignored": 1, "cancelled": 1}

    def test_the_bulkhead_rejects_calls_beyond_max_concurrent_calls(self) -> None:
        breaker = make(max_concurrent_calls=2)
        first, second = breaker.acquire(), breaker.acquire()
        with pytest.raises(ConcurrencyLimitError) as caught:
            breaker.acquire()
        assert caught.value.state is CLOSED
        assert "max_concurrent_calls" in str(caught.value)
        first.success()
        breaker.acquire().success()
        second.success()
        assert totals(breaker) == {"success": 3, "rejected": 1}
        assert breaker.reading().in_flight == 0


class TestOpen:
    def test_it_rejects_without_calling_and_says_when_to_come_back(self) -> None:
        clock = Clock()
        breaker = make(clock)
        fail(breaker, 4)
        clock.advance(2.0)
        called = False

        def target() -> None:
            nonlocal called
            called = True

        with pytest.raises(CircuitOpenError) as caught:
            breaker.call(target)
        error = caught.value
        assert not called
        assert (error.breaker, error.state, error.retry_after) == ("target", OPEN, 3.0)
        assert error.last_error == "tests.unit.engine.support.BrokenError"

    def test_the_open_period_ends_at_its_very_moment(self) -> None:
        clock = Clock()
        breaker = make(clock)
        breaker.trip()
        clock.advance(4.999)
        assert breaker.state is OPEN
        assert rejects(breaker)
        clock.advance(0.001)
        assert not rejects(breaker)
        assert breaker.state is HALF_OPEN

    def test_a_late_result_never_counts_for_a_later_phase(self) -> None:
        clock = Clock()
        breaker = make(clock)
        late_success, late_failure = breaker.acquire(), breaker.acquire()
        fail(breaker, 4)
        clock.advance(5.0)
        assert breaker.state is HALF_OPEN
        late_failure.failure(BrokenError())
        late_success.success()
        assert breaker.state is HALF_OPEN
        succeed(breaker, 2)
        assert breaker.state is HALF_OPEN
        succeed(breaker)
        assert breaker.state is CLOSED

    def test_a_late_result_never_counts_for_a_later_phase_of_the_same_kind(self) -> None:
        breaker = make()
        late = [breaker.acquire() for _ in range(4)]
        breaker.trip()
        breaker.reset()
        for permit in late:
            permit.failure()
        assert breaker.state is CLOSED
        assert breaker.reading().window_calls == 0
        assert totals(breaker) == {"failure": 4}

    def test_each_re_opening_lasts_longer_and_closing_starts_afresh(self) -> None:
        clock = Clock()
        breaker = make(clock)
        fail(breaker, 4)
        for period in (5.0, 10.0, 20.0, 40.0, 60.0, 60.0):
            clock.advance(period - 0.01)
            assert breaker.state is OPEN
            clock.advance(0.02)
            fail(breaker)
        clock.advance(60.0)
        succeed(breaker, 3)
        assert breaker.state is CLOSED
        fail(breaker, 4)
        clock.advance(5.0)
        assert breaker.state is HALF_OPEN


class TestHalfOpen:
    def test_it_admits_no_more_than_half_open_calls_at_once(self) -> None:
        breaker = half_open(Clock())
        probes = [breaker.acquire() for _ in range(3)]
        with pytest.raises(CircuitOpenError) as caught:
            breaker.acquire()
        assert caught.value.state is HALF_OPEN
        assert caught.value.retry_after >= 0
        for probe in probes:
            probe.success()
        assert breaker.state is CLOSED

    def test_counted_successes_take_places_too(self) -> None:
        breaker = half_open(Clock())
        succeed(breaker, 2)
        last = breaker.acquire()
        assert rejects(breaker)
        last.success()
        assert breaker.state is CLOSED

    def test_success_threshold_successes_close_it(self) -> None:
        breaker = half_open(Clock(), success_threshold=2)
        succeed(breaker)
        assert breaker.state is HALF_OPEN
        succeed(breaker)
        assert breaker.state is CLOSED
        assert breaker.reading().window_calls == 0

    def test_any_failure_opens_it_again(self) -> None:
        breaker = half_open(Clock())
        succeed(breaker, 2)
        fail(breaker)
        assert breaker.state is OPEN

    @pytest.mark.parametrize("error", [KeyError(), KeyboardInterrupt(), GeneratorExit()])
    def test_an_ignored_or_cancelled_probe_gives_its_place_back(self, error: BaseException) -> None:
        breaker = half_open(Clock(), ignored_exceptions=(LookupError,))
        for _ in range(10):
            fail_with(breaker, error)
        assert breaker.state is HALF_OPEN
        succeed(breaker, 3)
        assert breaker.state is CLOSED

    def test_a_dropped_permit_gives_its_place_back(self) -> None:
        breaker = half_open(Clock())
        for _ in range(10):
            breaker.acquire()
        assert breaker.reading().in_flight == 0
        succeed(breaker, 3)
        assert breaker.state is CLOSED

    def test_an_overdue_probe_is_a_failed_one(self) -> None:
        clock = Clock()
        breaker = half_open(clock)
        hung = breaker.acquire()
        clock.advance(29.9)
        assert breaker.state is HALF_OPEN
        clock.advance(0.1)
        assert breaker.state is OPEN
        hung.success()
        assert breaker.state is OPEN
        clock.advance(10.0)
        assert breaker.state is HALF_OPEN, "the second open period is twice the first"

    def test_an_overdue_probe_is_noticed_by_the_next_call_too(self) -> None:
        clock = Clock()
        breaker = half_open(clock)
        hung = breaker.acquire()
        clock.advance(30.0)
        assert rejects(breaker)
        hung.cancel()
        assert breaker.state is OPEN

    def test_an_overdue_probe_that_answers_at_last_is_a_failed_one(self) -> None:
        clock = Clock()
        breaker = half_open(clock, half_open_calls=1, success_threshold=1)
        hung = breaker.acquire()
        clock.advance(30.0)
        hung.success()
        assert breaker.state is OPEN

    def test_without_a_probe_under_way_it_waits_for_ever(self) -> None:
        clock = Clock()
        breaker = half_open(clock)
        succeed(breaker)
        clock.advance(1e6)
        assert breaker.state is HALF_OPEN
        assert not rejects(breaker)

    def test_a_probe_of_an_earlier_half_open_phase_takes_no_place_in_a_later_one(self) -> None:
        clock = Clock()
        breaker = half_open(clock)
        first, second = breaker.acquire(), breaker.acquire()
        fail(breaker)
        clock.advance(10.0)
        probes = [breaker.acquire() for _ in range(3)]
        first.failure()
        second.success()
        assert rejects(breaker)
        for probe in probes:
            probe.success()
        assert breaker.state is CLOSED


class TestPermits:
    def test_a_permit_settles_once(self) -> None:
        breaker = make()
        permit = breaker.acquire()
        permit.success()
        permit.failure()
        permit.cancel()
        permit.ignore()
        assert totals(breaker) == {"success": 1}

    def test_a_permit_used_as_a_block_settles_by_how_it_ends(self) -> None:
        breaker = make()
        with breaker.acquire():
            pass
        with pytest.raises(BrokenError), breaker.acquire():
            raise BrokenError
        assert totals(breaker) == {"success": 1, "failure": 1}

    def test_blocks_of_one_breaker_nest(self) -> None:
        breaker, other = make(), make()
        with breaker:
            with pytest.raises(BrokenError), other, breaker:
                raise BrokenError
            assert breaker.reading().in_flight == 1
        assert totals(breaker) == {"success": 1, "failure": 1}
        assert totals(other) == {"failure": 1}

    def test_calls_of_one_breaker_nest(self) -> None:
        breaker = make()
        assert breaker.call(breaker.call, lambda: 7) == 7
        assert totals(breaker) == {"success": 2}


class TestSteering:
    def test_trip_opens_and_reset_closes(self) -> None:
        breaker = make()
        breaker.trip()
        assert rejects(breaker)
        breaker.reset()
        assert breaker.state is CLOSED
        succeed(breaker)

    def test_reset_forgets_what_the_window_held(self) -> None:
        breaker = make(consecutive_failures=4)
        fail(breaker, 3)
        breaker.reset()
        fail(breaker, 3)
        assert breaker.state is CLOSED

    def test_trip_while_open_starts_a_new_period_and_keeps_the_backoff(self) -> None:
        clock = Clock()
        breaker = half_open(clock)
        fail(breaker)
        clock.advance(9.0)
        breaker.trip()
        clock.advance(9.0)
        assert breaker.state is OPEN
        clock.advance(1.0)
        assert breaker.state is HALF_OPEN
