"""Observe, ForceOpen and Disabled: what each does with calls, and that it keeps what is behind it."""

import pytest

from switchgear import CircuitBreaker, CircuitOpenError, CircuitState, Mode

from .support import CONFIG, BrokenError, Clock, fail, half_open, make, rejects, succeed, totals

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def each_phase(clock: Clock, mode: Mode) -> list[tuple[CircuitBreaker, CircuitState]]:
    """Breakers in each phase, to which `mode` is then applied."""
    closed, opened, probing = make(clock), make(clock), half_open(clock)
    fail(closed, 2)
    opened.trip()
    breakers = [(closed, CLOSED), (opened, OPEN), (probing, HALF_OPEN)]
    for breaker, _ in breakers:
        breaker.apply(make(mode=mode).config)
    return breakers


class TestModes:
    def test_force_open_rejects_all_and_keeps_what_is_behind_it(self) -> None:
        clock = Clock()
        for breaker, behind in each_phase(clock, Mode.FORCE_OPEN):
            assert breaker.state is CircuitState.FORCED_OPEN
            with pytest.raises(CircuitOpenError) as caught:
                breaker.acquire()
            assert (caught.value.state, caught.value.retry_after) == (CircuitState.FORCED_OPEN, 5.0)
            breaker.apply(CONFIG)
            assert breaker.state is behind

    def test_disabled_lets_all_through_uncounted_and_keeps_what_is_behind_it(self) -> None:
        clock = Clock()
        for breaker, behind in each_phase(clock, Mode.DISABLED):
            assert breaker.state is CircuitState.DISABLED
            fail(breaker, 20)
            with pytest.raises(BrokenError), breaker:
                raise BrokenError
            assert breaker.reading().in_flight == 0
            assert totals(breaker).keys() <= {"failure"}
            assert totals(breaker).get("failure", 0) == (2 if behind is CLOSED else 0)
            breaker.apply(CONFIG)
            assert breaker.state is behind

    def test_time_passes_for_an_open_circuit_behind_force_open(self) -> None:
        clock = Clock()
        breaker = make(clock)
        breaker.trip()
        breaker.apply(make(mode=Mode.FORCE_OPEN).config)
        clock.advance(6.0)
        assert breaker.state is CircuitState.FORCED_OPEN
        breaker.apply(CONFIG)
        assert breaker.state is HALF_OPEN

    def test_results_of_calls_begun_before_force_open_do_not_count_behind_it(self) -> None:
        clock = Clock()
        breaker = half_open(clock)
        probe = breaker.acquire()
        breaker.apply(make(mode=Mode.FORCE_OPEN).config)
        probe.failure()
        breaker.apply(CONFIG)
        assert breaker.state is HALF_OPEN
        succeed(breaker, 3)
        assert breaker.state is CLOSED

    def test_observe_judges_but_never_rejects(self) -> None:
        clock = Clock()
        breaker = make(clock, mode=Mode.OBSERVE, max_concurrent_calls=1)
        fail(breaker, 4)
        assert breaker.state is OPEN
        held = [breaker.acquire() for _ in range(5)]
        fail(breaker, 10)
        assert breaker.state is OPEN
        clock.advance(5.0)
        more = [breaker.acquire() for _ in range(5)]
        assert breaker.state is HALF_OPEN
        for permit in (*held, *more):
            permit.success()
        assert breaker.state is CLOSED
        assert totals(breaker) == {"failure": 14, "success": 10}

    def test_observe_opens_again_on_a_failed_probe_and_only_probes_decide(self) -> None:
        clock = Clock()
        breaker = half_open(clock, mode=Mode.OBSERVE)
        probes = [breaker.acquire() for _ in range(3)]
        beyond = breaker.acquire()
        beyond.failure()
        assert breaker.state is HALF_OPEN
        probes[0].failure()
        assert breaker.state is OPEN

    def test_from_observe_to_enforce_an_open_circuit_rejects(self) -> None:
        breaker = make(mode=Mode.OBSERVE)
        fail(breaker, 4)
        breaker.apply(CONFIG)
        assert rejects(breaker)
