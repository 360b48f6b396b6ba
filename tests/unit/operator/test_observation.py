"""One pod over time: how long a reading lasts, and what was rejected between two of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.states import CircuitState
from switchgear_operator.objects import Pod
from switchgear_operator.observation import Observation
from switchgear_operator.readings import BreakerReading, InstanceReading, PolicyReading, ScrapeError

POD = Pod(namespace="shop", name="checkout-a", uid="p1", ip="127.0.7.1", running=True)
NEW = Observation(pod=POD)
HANGS = ScrapeError("timeout", "no answer within 3s")


def told(**rejected: int) -> InstanceReading:
    """A reading in which each named breaker of policy `shop/p` has rejected so many calls in all."""
    breakers = tuple(
        BreakerReading(name=name, state=CircuitState.OPEN, rejected=count) for name, count in rejected.items()
    )
    return InstanceReading({"shop/p": PolicyReading(uid="u", generation=1, breakers=breakers)})


def rate(*readings: tuple[float, InstanceReading]) -> float | None:
    observation = NEW
    for at, reading in readings:
        observation = observation.after(reading, at)
    rates = observation.rejected_per_minute
    return None if rates is None else rates["shop/p"]


def test_a_pod_that_was_never_read_does_not_report() -> None:
    assert not NEW.is_fresh(0.0, stale_after=15.0)


def test_a_reading_lasts_until_it_is_stale() -> None:
    observation = NEW.after(told(), at=100.0)

    assert observation.is_fresh(115.0, stale_after=15.0)
    assert not observation.is_fresh(115.1, stale_after=15.0)


def test_a_failed_attempt_keeps_the_last_reading_and_says_why() -> None:
    observation = NEW.after(told(a=1), at=100.0).after(HANGS, at=105.0)

    assert observation.reading == told(a=1)
    assert observation.read_at == 100.0
    assert observation.error == HANGS


def test_a_good_attempt_forgets_the_error() -> None:
    assert NEW.after(HANGS, at=100.0).after(told(), at=105.0).error is None


def test_one_reading_tells_no_rate() -> None:
    assert rate((100.0, told(a=500))) is None


def test_two_readings_tell_the_calls_rejected_per_minute_between_them() -> None:
    assert rate((100.0, told(a=500)), (105.0, told(a=510))) == 120.0


def test_the_breakers_of_a_policy_are_added_up() -> None:
    assert rate((0.0, told(a=1, b=2)), (60.0, told(a=2, b=5))) == 4.0


def test_a_counter_that_fell_started_again_from_zero() -> None:
    assert rate((0.0, told(a=1000, b=0)), (60.0, told(a=3, b=1))) == 4.0


def test_a_breaker_that_appeared_counted_from_zero() -> None:
    assert rate((0.0, told(a=0)), (60.0, told(a=0, b=7))) == 7.0


def test_a_breaker_that_left_takes_nothing_away() -> None:
    assert rate((0.0, told(a=0, b=7)), (60.0, told(a=2))) == 2.0


def test_what_breakers_counted_before_the_policy_was_theirs_is_no_news() -> None:
    observation = NEW.after(InstanceReading(), at=0.0).after(told(a=1000), at=60.0)

    assert observation.rejected_per_minute == {}


def test_a_missed_attempt_stretches_the_time_between_readings() -> None:
    observation = NEW.after(told(a=0), at=0.0).after(HANGS, at=30.0).after(told(a=4), at=60.0)

    assert observation.rejected_per_minute == {"shop/p": 4.0}


@pytest.mark.parametrize("at", [100.0, 99.0])
def test_two_readings_of_one_moment_tell_nothing_new(at: float) -> None:
    assert rate((40.0, told(a=0)), (100.0, told(a=5)), (at, told(a=500))) == 5.0


@given(st.lists(st.integers(min_value=0, max_value=2**53), min_size=2, max_size=6))
def test_no_rate_is_ever_negative(totals: list[int]) -> None:
    rates = rate(*((float(at), told(a=total)) for at, total in enumerate(totals)))

    assert rates is not None
    assert rates >= 0
