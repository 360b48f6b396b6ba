"""How long a circuit stays open, against exact arithmetic."""

from fractions import Fraction
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear import CircuitConfig, CircuitState
from switchgear.backoff import open_period
from switchgear.config import LONGEST

from .support import Clock, fail, make, rejects

SECONDS = st.floats(min_value=1e-6, max_value=LONGEST)


@st.composite
def configs(draw: st.DrawFn) -> CircuitConfig:
    shortest, longest = sorted((draw(SECONDS), draw(SECONDS)))
    return CircuitConfig(
        open_duration=shortest,
        max_open_duration=longest,
        backoff_multiplier=draw(st.floats(min_value=1.0, max_value=100.0)),
        jitter=draw(st.floats(min_value=0.0, max_value=1.0)),
    )


def exact(config: CircuitConfig, reopenings: int, spread: float) -> Fraction:
    """The definition, without rounding; multiplied out only as far as it matters."""
    nominal, longest = Fraction(config.open_duration), Fraction(config.max_open_duration)
    multiplier = Fraction(config.backoff_multiplier)
    for _ in range(reopenings):
        if nominal >= longest or multiplier == 1:
            break
        nominal *= multiplier
    nominal = min(nominal, longest)
    return min(longest, nominal * (1 + Fraction(config.jitter) * (2 * Fraction(spread) - 1)))


@given(configs(), st.integers(0, 60), st.floats(0.0, 1.0))
def test_the_period_is_the_exact_one(config: CircuitConfig, reopenings: int, spread: float) -> None:
    period, expected = open_period(config, reopenings, spread), exact(config, reopenings, spread)
    assert float(abs(Fraction(period) - expected)) <= 1e-9 * max(config.open_duration, float(expected))


@given(configs(), st.integers(0, 10**12), st.floats(0.0, 1.0))
def test_it_is_finite_and_within_its_bounds_after_any_number_of_re_openings(
    config: CircuitConfig, reopenings: int, spread: float
) -> None:
    period = open_period(config, reopenings, spread)
    assert isfinite(period)
    assert 0 <= period <= config.max_open_duration
    assert period >= config.open_duration * (1 - config.jitter) * (1 - 1e-12)


@given(configs(), st.integers(0, 10_000))
def test_it_never_shrinks_from_one_re_opening_to_the_next(config: CircuitConfig, reopenings: int) -> None:
    assert open_period(config, reopenings + 1, 0.5) >= open_period(config, reopenings, 0.5) * (1 - 1e-12)


@pytest.mark.parametrize(("spread", "period"), [(0.0, 7.5), (0.25, 8.75), (0.5, 10.0), (1.0, 12.5)])
def test_jitter_spreads_evenly_around_the_nominal_period(spread: float, period: float) -> None:
    assert open_period(CircuitConfig(open_duration=10.0, jitter=0.25), 0, spread) == period


def test_the_cap_holds_after_jitter() -> None:
    config = CircuitConfig(open_duration=10.0, max_open_duration=10.0, jitter=1.0)
    assert open_period(config, 5, 1.0) == 10.0


@pytest.mark.parametrize("spread", [-3.0, 7.0, float("inf"), float("-inf")])
def test_a_random_source_out_of_its_bounds_breaks_no_bound(spread: float) -> None:
    period = open_period(CircuitConfig(open_duration=10.0, max_open_duration=100.0, jitter=0.5), 0, spread)
    assert 5.0 <= period <= 15.0


def test_ten_years_doubled_a_thousand_times_are_ten_years() -> None:
    config = CircuitConfig(open_duration=1.0, max_open_duration=LONGEST, jitter=0.0)
    assert open_period(config, 28, 0.5) == 2.0**28
    assert open_period(config, 1000, 0.5) == LONGEST
    assert open_period(config, 10**9, 0.5) == LONGEST


def test_a_multiplier_just_above_one_grows_slowly_and_exactly() -> None:
    config = CircuitConfig(open_duration=1.0, max_open_duration=LONGEST, backoff_multiplier=1.01, jitter=0.0)
    assert open_period(config, 500, 0.5) == pytest.approx(float(Fraction(1.01) ** 500), rel=1e-9)


def test_a_circuit_that_re_opens_thousands_of_times_stays_at_the_cap() -> None:
    clock = Clock()
    breaker = make(clock)
    breaker.trip()
    for _ in range(5000):
        clock.advance(60.0)
        fail(breaker)
    clock.advance(59.9)
    assert rejects(breaker)
    clock.advance(0.2)
    assert breaker.state is CircuitState.HALF_OPEN
