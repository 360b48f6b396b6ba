"""A reload swaps the config as a whole, keeps the counts that still apply, and never closes an open circuit."""

from switchgear import CircuitState, CountWindow, Mode, TimeWindow

from .support import Clock, fail, half_open, make, rejects, succeed

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


class TestReload:
    def test_counts_that_still_apply_are_kept(self) -> None:
        breaker = make()
        fail(breaker, 3)
        breaker.apply(make(failure_rate_threshold=0.4).config, "shop/payments")
        assert breaker.policy == "shop/payments"
        assert breaker.reading().window_failures == 3
        fail(breaker)
        assert breaker.state is OPEN

    def test_a_window_of_another_size_keeps_the_latest_calls(self) -> None:
        breaker = make(minimum_calls=10)
        succeed(breaker, 3)
        fail(breaker, 4)
        breaker.apply(make(window=CountWindow(5), minimum_calls=5).config)
        assert (breaker.reading().window_calls, breaker.reading().window_failures) == (5, 4)

    def test_a_window_of_another_kind_starts_empty_and_the_row_goes_on(self) -> None:
        breaker = make(consecutive_failures=4)
        fail(breaker, 3)
        breaker.apply(make(window=TimeWindow(10.0), consecutive_failures=4).config)
        assert breaker.reading().window_calls == 0
        fail(breaker)
        assert breaker.state is OPEN

    def test_it_never_closes_an_open_circuit(self) -> None:
        clock = Clock()
        breaker = make(clock)
        fail(breaker, 4)
        for changes in (
            {"failure_rate_threshold": 1.0},
            {"window": TimeWindow(1.0)},
            {"open_duration": 0.001},
            {"success_threshold": 1},
            {"mode": Mode.OBSERVE},
            {"mode": Mode.DISABLED},
            {"mode": Mode.FORCE_OPEN},
            {},
        ):
            breaker.apply(make(**changes).config)
        assert breaker.state is OPEN
        clock.advance(4.9)
        assert breaker.state is OPEN

    def test_a_shorter_max_open_duration_shortens_a_longer_open_period(self) -> None:
        clock = Clock()
        breaker = make(clock, open_duration=50.0)
        breaker.trip()
        breaker.apply(make(open_duration=2.0, max_open_duration=3.0).config)
        clock.advance(2.9)
        assert breaker.state is OPEN
        clock.advance(0.1)
        assert breaker.state is HALF_OPEN

    def test_calls_under_way_go_on_counting(self) -> None:
        breaker = make()
        held = [breaker.acquire() for _ in range(4)]
        breaker.apply(make(window=CountWindow(20)).config)
        for permit in held:
            permit.failure()
        assert breaker.reading().in_flight == 0
        assert breaker.state is OPEN

    def test_probes_under_way_stay_probes(self) -> None:
        breaker = half_open(Clock())
        probes = [breaker.acquire() for _ in range(2)]
        breaker.apply(make(half_open_calls=2, success_threshold=2).config)
        assert rejects(breaker)
        for probe in probes:
            probe.success()
        assert breaker.state is CLOSED
