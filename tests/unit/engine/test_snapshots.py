"""A breaker's memory in another process: exact, bounded, and safe against whatever stands in the file."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear import CircuitBreaker, CircuitState, CountWindow, Mode, Snapshot, TimeWindow
from switchgear.clocks import Contained

from .support import CONFIG, Clock, fail, half_open, make, rejects, succeed


def restarted(
    breaker: CircuitBreaker, after: float = 0.0, wall: float | None = None, **changes: Any
) -> CircuitBreaker:
    """A breaker of another process, whose monotonic clock starts elsewhere, restored `after` seconds later.

    `wall` is how far the wall clock went meanwhile, if it was set.
    """
    snapshot = Snapshot.from_dict(json.loads(json.dumps(breaker.snapshot().to_dict())))
    other = make(Clock(7.0), **changes)
    other._wall_clock = Clock(snapshot.taken_at + (after if wall is None else wall))
    other.restore(snapshot)
    return other


def advance(breaker: CircuitBreaker, seconds: float) -> None:
    assert isinstance(breaker._clock, Contained)
    assert isinstance(breaker._clock.source, Clock)
    breaker._clock.source.advance(seconds)


CALLS = st.lists(st.tuples(st.booleans(), st.floats(0.0, 3.0)), max_size=40)


@given(CALLS, st.sampled_from([CountWindow(10), TimeWindow(10.0)]))
def test_a_closed_circuit_is_restored_exactly(
    calls: list[tuple[bool, float]], window: CountWindow | TimeWindow
) -> None:
    clock = Clock()
    config: dict[str, Any] = {
        "window": window,
        "failure_rate_threshold": 1.0,
        "minimum_calls": 10,
        "consecutive_failures": 30,
    }
    breaker = make(clock, **config)
    for failed, seconds in calls:
        clock.advance(seconds)
        fail(breaker) if failed else succeed(breaker)
        if breaker.state is not CircuitState.CLOSED:
            breaker.reset()
    before, other = breaker.snapshot(), restarted(breaker, **config)
    after = other.snapshot()
    assert (after.state, after.row, after.window.outcomes) == (
        before.state,
        before.row,
        before.window.outcomes,
    )
    assert [bucket.calls for bucket in after.window.buckets] == [
        bucket.calls for bucket in before.window.buckets
    ]
    assert [bucket.age for bucket in after.window.buckets] == pytest.approx(
        [bucket.age for bucket in before.window.buckets], abs=1e-6
    )
    assert other.reading().window_failures == breaker.reading().window_failures


def test_calls_go_on_ageing_while_the_process_is_down() -> None:
    breaker = make(Clock(), window=TimeWindow(10.0))
    fail(breaker, 3)
    other = restarted(breaker, after=6.0, window=TimeWindow(10.0))
    assert other.reading().window_failures == 3
    advance(other, 3.9)
    assert other.reading().window_failures == 3
    advance(other, 0.2)
    assert other.reading().window_failures == 0
    assert restarted(breaker, after=11.0, window=TimeWindow(10.0)).reading().window_failures == 0


def test_an_open_circuit_stays_open_for_what_it_had_left() -> None:
    breaker = make(Clock())
    fail(breaker, 4)
    advance(breaker, 1.0)
    other = restarted(breaker, after=1.5)
    assert rejects(other)
    advance(other, 2.4)
    assert rejects(other)
    advance(other, 0.1)
    assert other.state is CircuitState.HALF_OPEN


def test_the_backoff_goes_on_where_it_was() -> None:
    clock = Clock()
    breaker = half_open(clock)
    fail(breaker)
    other = restarted(breaker)
    advance(other, 10.0)
    fail(other)
    advance(other, 19.9)
    assert rejects(other)
    advance(other, 0.1)
    assert other.state is CircuitState.HALF_OPEN


def test_a_half_open_circuit_is_restored_without_its_probes() -> None:
    breaker = half_open(Clock())
    succeed(breaker, 2)
    held = breaker.acquire()
    other = restarted(breaker)
    assert other.reading().state is CircuitState.HALF_OPEN
    assert other.reading().in_flight == 0
    succeed(other, 2)
    assert len(other.reading().transitions) == 1, "successes of another process are no proof for this one"
    succeed(other)
    assert other.state is CircuitState.CLOSED
    held.cancel()


@pytest.mark.parametrize("wall", [-1e9, -1.0, 0.0])
def test_a_wall_clock_set_back_prolongs_nothing(wall: float) -> None:
    breaker = make(Clock())
    breaker.trip()
    other = restarted(breaker, wall=wall)
    assert rejects(other)
    advance(other, 5.0)
    assert other.state is CircuitState.HALF_OPEN


def test_a_wall_clock_set_forward_ends_the_period() -> None:
    breaker = make(Clock())
    breaker.trip()
    assert restarted(breaker, wall=1e9).state is CircuitState.HALF_OPEN


def test_it_stays_open_no_longer_than_max_open_duration_allows() -> None:
    breaker = make(Clock(), open_duration=50.0)
    breaker.trip()
    other = restarted(breaker, max_open_duration=6.0)
    advance(other, 5.9)
    assert rejects(other)
    advance(other, 0.1)
    assert other.state is CircuitState.HALF_OPEN


@pytest.mark.parametrize("mode", [Mode.FORCE_OPEN, Mode.DISABLED])
def test_what_is_behind_the_mode_is_what_is_remembered(mode: Mode) -> None:
    breaker = make(Clock())
    breaker.trip()
    breaker.apply(make(mode=mode).config)
    other = restarted(breaker, mode=mode)
    assert other.state.value == {Mode.FORCE_OPEN: "forced_open", Mode.DISABLED: "disabled"}[mode]
    assert other.reading().transitions == {}
    other.apply(CONFIG)
    assert other.state is CircuitState.OPEN


def test_a_window_of_the_other_kind_is_left_empty() -> None:
    breaker = make(Clock())
    fail(breaker, 3)
    assert restarted(breaker, window=TimeWindow(10.0)).reading().window_calls == 0


def test_the_memory_of_another_breaker_is_refused() -> None:
    other = CircuitBreaker("other")
    with pytest.raises(ValueError, match="of breaker 'target', not of 'other'"):
        other.restore(make().snapshot())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["open", "closed", "half_open", "disabled", 10**400, -1, 1e308, "00010203", "ff", "0", "é"]
    ),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("breaker", "state", "takenAt", "remaining", "reopenings", "row", "outcomes", "buckets")


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.sampled_from([CountWindow(10), TimeWindow(10.0)]))
def test_hostile_fields_are_refused_with_a_value_error_or_do_no_harm(
    changes: dict[str, Any], window: CountWindow | TimeWindow
) -> None:
    good = make().snapshot().to_dict()
    try:
        snapshot = Snapshot.from_dict(good | changes)
    except ValueError as error:
        named = [field for field in changes if field in str(error) or "bucket" in str(error)]
        assert named, error  # noqa: PT017  # it may raise or not
        return
    breaker = make(Clock(), window=window)
    if snapshot.breaker == breaker.name:
        breaker.restore(snapshot)
        advance(breaker, 61.0)
        for _ in range(30):
            if not rejects(breaker):
                succeed(breaker)
            advance(breaker, 61.0)
        succeed(breaker)
        assert breaker.state is CircuitState.CLOSED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": "disabled"}, "state is 'disabled': closed, open or half_open is expected"),
        ({"state": "ajar"}, "state is 'ajar': closed, open or half_open is expected"),
        ({"outcomes": "zz"}, "outcomes is not hexadecimal"),
        ({"outcomes": "04"}, "outcomes holds a byte above 3"),
        ({"outcomes": "00" * 10_001}, "outcomes has 20002 digits"),
        ({"reopenings": -1}, "reopenings is -1"),
        ({"row": 1.5}, "row is 1.5"),
        ({"row": True}, "row is True"),
        ({"takenAt": float("nan")}, "takenAt is nan"),
        ({"remaining": 1e12}, "remaining is"),
        ({"buckets": [[0.0, 1, 2, 0]]}, "a bucket has 2 failures"),
        ({"buckets": [[0.0, 1, 1]]}, "a bucket is not a list of age"),
        ({"buckets": [[0.0, 1, 1, 1]] * 21}, "buckets is not a list of at most 20"),
        ({"breaker": None}, "breaker is None"),
    ],
)
def test_a_refusal_names_the_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        Snapshot.from_dict(make().snapshot().to_dict() | changes)


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(field: str) -> None:
    fields = make().snapshot().to_dict()
    del fields[field]
    with pytest.raises(ValueError, match=field):
        Snapshot.from_dict(fields)


def test_a_deeply_nested_value_is_refused_like_any_other() -> None:
    value: list[Any] = []
    for _ in range(50_000):
        value = [value]
    for field in FIELDS:
        with pytest.raises(ValueError, match=r"field|bucket|" + field):
            Snapshot.from_dict(make().snapshot().to_dict() | {field: value})


def test_every_field_survives_json() -> None:
    breaker = half_open(Clock())
    snapshot = breaker.snapshot()
    assert Snapshot.from_dict(json.loads(json.dumps(snapshot.to_dict()))) == snapshot


@pytest.mark.parametrize("value", [None, 5, "text", ["breaker"]])
def test_what_is_no_object_is_no_snapshot(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^the snapshot is .*: an object is expected$"):
        Snapshot.from_dict(value)


def test_a_number_out_of_bounds_is_told_its_bounds_in_full() -> None:
    fields = make().snapshot().to_dict()
    with pytest.raises(ValueError, match=r"^remaining is 1e\+30: a number from 0 to 315360000 is expected$"):
        Snapshot.from_dict(fields | {"remaining": 1e30})
    with pytest.raises(ValueError, match=r"^takenAt is -1: a number from 0 to 1000000000000 is expected$"):
        Snapshot.from_dict(fields | {"takenAt": -1})
