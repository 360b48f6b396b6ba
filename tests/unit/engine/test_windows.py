"""The rolling windows, against models that remember every call."""

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear import CountWindow, TimeWindow
from switchgear.windows import BUCKETS, Bucket, Contents, CountRing, Ring, TimeRing, refilled, ring_for

CALL = st.tuples(st.booleans(), st.booleans())
STEP = st.one_of(
    st.just(0.0),
    st.floats(0.0, 3.0),
    st.floats(0.0, 50.0),
    st.floats(-5.0, 0.0),  # a clock that goes back
    st.sampled_from([0.5, 10.0, 9.5, 1e9]),
)


def totals(ring: Ring) -> tuple[int, int, int]:
    return ring.calls, ring.failures, ring.slow


def summed(calls: list[tuple[bool, bool]]) -> tuple[int, int, int]:
    return len(calls), sum(failed for failed, _ in calls), sum(slow for _, slow in calls)


class TestCountWindow:
    @given(st.integers(1, 40), st.lists(CALL, max_size=150))
    def test_it_holds_exactly_the_last_calls(self, size: int, calls: list[tuple[bool, bool]]) -> None:
        ring = CountRing(size)
        for number, call in enumerate(calls, start=1):
            ring.record(0.0, *call)
            assert totals(ring) == summed(calls[max(0, number - size) : number])

    @given(st.integers(1, 40), st.integers(1, 40), st.lists(CALL, max_size=100))
    def test_a_resize_keeps_the_latest_calls(
        self, size: int, new_size: int, calls: list[tuple[bool, bool]]
    ) -> None:
        ring = CountRing(size)
        for call in calls:
            ring.record(0.0, *call)
        resized = refilled(CountWindow(new_size), 0.0, ring.contents(0.0))
        kept = calls[-min(size, new_size) :]
        assert totals(resized) == summed(kept)
        assert resized.contents(0.0).outcomes == bytes(failed + 2 * slow for failed, slow in kept)

    def test_age_drops_nothing(self) -> None:
        ring = CountRing(5)
        ring.record(0.0, True, True)
        ring.roll(1e12)
        assert totals(ring) == (1, 1, 1)


class TestTimeWindow:
    @given(st.sampled_from([0.001, 1.0, 10.0, 86400.0]), st.lists(st.tuples(STEP, CALL), max_size=80))
    def test_a_call_counts_for_95_percent_of_the_duration_and_never_beyond_it(
        self, duration: float, steps: list[tuple[float, tuple[bool, bool]]]
    ) -> None:
        ring, now, latest = TimeRing(duration), 5000.0, 5000.0
        calls: list[tuple[float, tuple[bool, bool]]] = []
        for step, call in steps:
            now += step * duration / 10.0
            latest = max(latest, now) if calls else now
            ring.record(now, *call)
            calls.append((latest, call))
            width = duration / BUCKETS
            slack = 1e-6 * duration + 1e-9 * latest
            surely = summed([call for at, call in calls if latest - at < duration - width - slack])
            at_most = summed([call for at, call in calls if latest - at <= duration + slack])
            for least, held, most in zip(surely, totals(ring), at_most, strict=True):
                assert least <= held <= most
            if ring.calls == 1:
                calls = calls[-1:]

    @given(st.lists(st.tuples(st.floats(0.0, 4.0), CALL), max_size=60))
    def test_its_sums_are_those_of_its_buckets(self, steps: list[tuple[float, tuple[bool, bool]]]) -> None:
        ring, now = TimeRing(10.0), 0.0
        for step, call in steps:
            now += step
            ring.record(now, *call)
            buckets = ring.contents(now).buckets
            assert totals(ring) == (
                sum(bucket.calls for bucket in buckets),
                sum(bucket.failures for bucket in buckets),
                sum(bucket.slow for bucket in buckets),
            )
            assert all(0 <= bucket.age < 10.0 for bucket in buckets)
            assert len(buckets) <= BUCKETS

    def test_a_burst_leaves_as_one(self) -> None:
        ring = TimeRing(10.0)
        for _ in range(5):
            ring.record(103.7, True, False)
        ring.roll(113.699)
        assert ring.calls == 5
        ring.roll(113.7)
        assert ring.calls == 0

    def test_idle_time_empties_it(self) -> None:
        ring = TimeRing(10.0)
        for second in range(30):
            ring.record(float(second), True, True)
        ring.roll(1e9)
        assert totals(ring) == (0, 0, 0)
        ring.record(1e9, False, False)
        assert totals(ring) == (1, 0, 0)

    def test_a_clock_that_stands_still_counts_on(self) -> None:
        ring = TimeRing(10.0)
        for _ in range(1000):
            ring.record(50.0, True, False)
        assert totals(ring) == (1000, 1000, 0)

    def test_a_clock_that_goes_back_loses_and_revives_nothing(self) -> None:
        ring = TimeRing(10.0)
        ring.record(100.0, True, False)
        ring.record(104.0, True, False)
        ring.record(90.0, True, False)
        assert ring.calls == 3
        ring.roll(110.0)
        assert ring.calls == 2, "the call at 90 counts as one at 104, the latest time known"
        ring.roll(50.0)
        assert ring.calls == 2

    @pytest.mark.parametrize("duration", [5e-324, 1e-300, 1e-9])
    @pytest.mark.parametrize("now", [0.0, 1.0, 1e18, 1e300, -1e300])
    def test_no_duration_and_no_clock_value_overflows(self, duration: float, now: float) -> None:
        ring = TimeRing(duration)
        for step in (0.0, 1.0, 1e9, 1e300):
            ring.record(now + step, True, True)
            ring.roll(now + step)
        refilled(TimeWindow(10.0), now, ring.contents(now + 1e300))
        refilled(TimeWindow(duration), now, Contents(buckets=(Bucket(0.0, 3, 2, 1), Bucket(5.0, 1, 1, 1))))

    @given(st.lists(st.tuples(st.floats(0.0, 4.0), CALL), min_size=1, max_size=60), st.floats(0.0, 12.0))
    def test_refilled_from_its_contents_it_is_the_same_window(
        self, steps: list[tuple[float, tuple[bool, bool]]], later: float
    ) -> None:
        ring, now = TimeRing(10.0), 1000.0
        for step, call in steps:
            now += step
            ring.record(now, *call)
        again = refilled(TimeWindow(10.0), 77.0, ring.contents(now))
        assert totals(again) == totals(ring)
        for passed in (later / 3, later):
            before, after = ring.contents(now + passed).buckets, again.contents(77.0 + passed).buckets
            if all(abs(bucket.age - 10.0) > 1e-6 and abs(bucket.age % 0.5) > 1e-6 for bucket in before):
                assert [bucket.calls for bucket in after] == [bucket.calls for bucket in before]
                assert [bucket.age for bucket in after] == pytest.approx([bucket.age for bucket in before])

    @given(st.lists(st.tuples(st.floats(0.0, 4.0), CALL), max_size=60), st.floats(0.5, 60.0))
    def test_a_resize_keeps_only_what_is_young_enough_and_no_call_twice(
        self, steps: list[tuple[float, tuple[bool, bool]]], duration: float
    ) -> None:
        ring, now = TimeRing(20.0), 0.0
        for step, call in steps:
            now += step
            ring.record(now, *call)
        buckets = ring.contents(now).buckets
        resized = refilled(TimeWindow(duration), now, Contents(buckets=buckets))
        young = sum(bucket.calls for bucket in buckets if bucket.age < duration)
        surely = sum(bucket.calls for bucket in buckets if bucket.age < duration * 0.9)
        assert surely <= resized.calls <= young


@pytest.mark.parametrize("window", [CountWindow(8), TimeWindow(10.0)])
def test_a_window_is_filled_with_nothing_of_the_other_kind(window: CountWindow | TimeWindow) -> None:
    other: CountWindow | TimeWindow = TimeWindow(10.0) if isinstance(window, CountWindow) else CountWindow(8)
    ring = ring_for(other)
    for _ in range(5):
        ring.record(0.0, True, True)
    assert totals(refilled(window, 0.0, ring.contents(0.0))) == (0, 0, 0)


class _InterruptedError(Exception):
    pass


def _raise() -> None:
    raise _InterruptedError


def _recorded(ring: Ring, now: float, opcode: int, strike: Callable[[], None]) -> bool:
    """Record a failure, and call `strike` at the given instruction of it; whether there was such an instruction."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != sys.modules["switchgear.windows"].__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            count += 1
            if count == opcode:
                strike()
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks for it before
    sys.settrace(trace)
    try:
        with suppress(_InterruptedError):
            ring.record(now, True, True)
    finally:
        sys.settrace(before)
    return count >= opcode


@pytest.mark.parametrize("kind", ["count", "time"])
@pytest.mark.parametrize("by", ["an exception", "another update"])
def test_an_update_interrupted_anywhere_does_not_count_for_good(kind: str, by: str) -> None:
    opcode, interrupted = 0, True
    while interrupted:
        opcode += 1
        ring: Ring = CountRing(7) if kind == "count" else TimeRing(10.0)
        for second in range(opcode % 9):
            ring.record(second * 0.7, bool(second % 2), False)
        again = partial(ring.record, 7.0, True, True)  # by a signal handler
        interrupted = _recorded(ring, 7.0, opcode, _raise if by == "an exception" else again)
        for second in range(30):
            ring.record(8.0 + second, False, False)
            assert ring.calls >= 1
        assert (ring.failures, ring.slow) == (0, 0), f"after an interruption at instruction {opcode}"
        assert ring.calls == (7 if kind == "count" else 10), f"after an interruption at instruction {opcode}"
    assert opcode > 20
