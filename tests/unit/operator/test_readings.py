"""What a pod says is read as far as it makes sense, and nothing it says can do harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.states import CircuitState
from switchgear_operator.readings import (
    LARGEST_COUNT,
    MOST_BREAKERS,
    MOST_SERIES,
    BreakerReading,
    InstanceReading,
    PolicyReading,
    UnreadableMetricsError,
    read_metrics,
)

EXPOSITION = """\
# HELP switchgear_library_info The library in this process.
# TYPE switchgear_library_info gauge
switchgear_library_info{version="0.1.0",schema="1"} 1
# TYPE switchgear_policy_generation gauge
switchgear_policy_generation{policy="shop/payments",uid="u1"} 7
switchgear_policy_load_errors_total{reason="malformed"} 2
switchgear_breaker_state{breaker="payments",policy="shop/payments",state="closed"} 0
switchgear_breaker_state{breaker="payments",policy="shop/payments",state="open"} 1
switchgear_breaker_state{breaker="payments",policy="shop/payments",state="half_open"} 0
switchgear_breaker_open_until_timestamp_seconds{breaker="payments",policy="shop/payments"} 1795510800.5
switchgear_breaker_calls_total{breaker="payments",policy="shop/payments",outcome="success"} 100
switchgear_breaker_calls_total{breaker="payments",policy="shop/payments",outcome="rejected"} 42
switchgear_breaker_transitions_total{breaker="payments",policy="shop/payments",from_state="closed",to_state="open"} 1
switchgear_breaker_in_flight_calls{breaker="payments",policy="shop/payments"} 3
switchgear_breaker_window_calls{breaker="payments",policy="shop/payments"} 20
switchgear_breaker_window_failures{breaker="payments",policy="shop/payments"} 12
switchgear_breaker_window_slow_calls{breaker="payments",policy="shop/payments"} 5
switchgear_breaker_last_failure_info{breaker="payments",policy="shop/payments",error="httpx.ConnectTimeout"} 1
switchgear_breaker_state{breaker="mine",policy="",state="open"} 1
process_cpu_seconds_total 12.5
"""


KNOWN = frozenset({"shop/payments", "shop/p"})


def read(text: str, policies: frozenset[str] = KNOWN) -> InstanceReading:
    return read_metrics(text.encode(), policies=policies)


def one_breaker(*lines: str) -> BreakerReading:
    """The breaker `b` of policy `shop/p`, of which each line gives `metric{more labels} value`."""
    text = ["switchgear_library_info 1"]
    for line in lines:
        name, _, rest = line.partition("{")
        labels, _, value = rest.partition("}")
        text.append(f'switchgear_breaker_{name}{{policy="shop/p",breaker="b",{labels}}}{value}')
    (breaker,) = read("\n".join(text)).policies["shop/p"].breakers
    return breaker


def test_the_librarys_exposition_is_read() -> None:
    assert read(EXPOSITION) == InstanceReading(
        {
            "shop/payments": PolicyReading(
                uid="u1",
                generation=7,
                breakers=(
                    BreakerReading(
                        name="payments",
                        state=CircuitState.OPEN,
                        open_until=1795510800.5,
                        rejected=42,
                        window_calls=20,
                        window_failures=12,
                        window_slow_calls=5,
                        last_error="httpx.ConnectTimeout",
                    ),
                ),
            )
        }
    )


def test_a_pod_speaks_for_the_known_policies_of_its_namespace_only() -> None:
    assert read(EXPOSITION, frozenset({"other/payments"})).policies == {}
    assert read(EXPOSITION, frozenset({"shop/payment", "hop/payments"})).policies == {}


def test_what_is_said_of_other_policies_costs_nothing_of_what_an_answer_may_hold() -> None:
    invented = "".join(
        f'switchgear_breaker_state{{policy="shop/invented-{number}",breaker="b",state="open"}} 1\n'
        for number in range(MOST_SERIES + 1)
    )

    assert read(invented + EXPOSITION) == read(EXPOSITION)


def test_more_series_of_known_policies_than_an_answer_may_hold_are_refused() -> None:
    series = 'switchgear_breaker_state{policy="shop/p",breaker="b",state="open"} 1\n'
    assert read(series * MOST_SERIES).policies

    with pytest.raises(UnreadableMetricsError) as caught:
        read(series * (MOST_SERIES + 1))
    assert caught.value.reason == "too_many_series"


@pytest.mark.parametrize("label", ['policy = "shop/p"', 'breaker="{policy=\\"no/p\\"}",policy="shop/p"'])
def test_the_policy_is_recognized_however_the_line_is_written(label: str) -> None:
    assert list(read(f"switchgear_policy_generation{{{label}}} 7\n").policies) == ["shop/p"]


def test_of_more_breakers_than_are_kept_those_in_the_worst_states_are() -> None:
    states = ["closed"] * MOST_BREAKERS + ["half_open", "open"]
    text = "".join(
        f'switchgear_breaker_state{{policy="shop/p",breaker="b{number:04}",state="{state}"}} 1\n'
        for number, state in enumerate(states)
    )

    kept = read(text).policies["shop/p"].breakers

    assert len(kept) == MOST_BREAKERS
    assert [each.name for each in kept] == sorted(each.name for each in kept)
    assert [each.state for each in kept[-2:]] == [CircuitState.HALF_OPEN, CircuitState.OPEN]


def test_the_breakers_of_a_wildcard_policy_are_kept_apart() -> None:
    text = "".join(
        f'switchgear_breaker_state{{policy="shop/p",breaker="{name}",state="{state}"}} 1\n'
        for name, state in [("b.example.com", "open"), ("a.example.com", "closed")]
    )

    assert [(each.name, each.state) for each in read(text).policies["shop/p"].breakers] == [
        ("a.example.com", CircuitState.CLOSED),
        ("b.example.com", CircuitState.OPEN),
    ]


def test_of_states_that_contradict_each_other_the_worst_is_believed() -> None:
    lines = [f'state{{state="{state}"}} 1' for state in ("closed", "open", "half_open")]

    assert one_breaker(*lines).state is CircuitState.OPEN


def test_a_breaker_in_no_known_state_is_left_out() -> None:
    text = 'switchgear_breaker_state{policy="shop/p",breaker="b",state="frozen"} 1\n'

    assert read(text).policies["shop/p"].breakers == ()


def test_unknown_metrics_and_labels_are_ignored() -> None:
    breaker = one_breaker(
        'state{state="open",worker="3"} 1', 'calls_total{outcome="lost"} 9', "colour{} 7", "calls_total{} 5"
    )

    assert breaker == BreakerReading(name="b", state=CircuitState.OPEN)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "1e300", "1e16", "9" * 400])
@pytest.mark.parametrize(
    "metric",
    [
        "window_calls{}",
        'calls_total{outcome="rejected"}',
        "open_until_timestamp_seconds{}",
        "window_failures{}",
    ],
)
def test_a_number_that_is_no_count_is_left_out(metric: str, value: str) -> None:
    breaker = one_breaker('state{state="open"} 1', f"{metric} {value}")

    assert breaker == BreakerReading(name="b", state=CircuitState.OPEN)


@pytest.mark.parametrize("value", ["NaN", "0", "-1"])
def test_a_state_is_claimed_only_by_a_value_above_zero(value: str) -> None:
    assert (
        one_breaker('state{state="closed"} 1', f'state{{state="open"}} {value}').state is CircuitState.CLOSED
    )


def test_a_generation_that_is_no_count_is_none() -> None:
    text = 'switchgear_policy_generation{policy="shop/p",uid="u"} NaN\n'

    assert read(text).policies["shop/p"] == PolicyReading(uid="u", generation=None)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("httpx.ConnectTimeout", "httpx.ConnectTimeout"),
        ("two\\nlines", "twolines"),
        ("bell\a and escape\x1b[31m", "bell and escape[31m"),
        ("x" * 5000, None),
        ("x" * 500, "x" * 100),
        ("   ", None),
        ("", None),
    ],
)
def test_an_error_is_kept_as_one_short_printable_line(told: str, kept: str | None) -> None:
    info = f'last_failure_info{{error="{told}"}} 1'
    if len(told) > 2048:
        with pytest.raises(UnreadableMetricsError, match="longer than 2048 bytes"):
            one_breaker('state{state="open"} 1', info)
    else:
        assert one_breaker('state{state="open"} 1', info).last_error == kept


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>hello</body></html>",
        b"process_cpu_seconds_total 12.5\n",
        b"switchgear_policy_generation\n",
        b'switchgear_policy_generation{policy="shop/p} 1\n',
        b'switchgear_policy_generation{policy="shop/p",policy="shop/p"} 1\n',
        b"switchgear_policy_generation one\n",
        b"switchgear_policy_generation}{ 1\n",
        b'switchgear_policy_generation{policy="shop/p",uid="\xff"} 1\n',
    ],
)
def test_what_is_not_the_librarys_exposition_is_garbage(body: bytes) -> None:
    with pytest.raises(UnreadableMetricsError) as caught:
        read_metrics(body, policies=KNOWN)
    assert caught.value.reason == "garbage"


def test_a_broken_line_of_another_library_does_not_matter() -> None:
    assert read("this is {{ not a metric\n" + EXPOSITION) == read(EXPOSITION)


def test_lines_may_end_as_on_windows() -> None:
    assert read(EXPOSITION.replace("\n", "\r\n")) == read(EXPOSITION)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise_than_by_its_own_error(noise: bytes) -> None:
    for body in (noise, b"switchgear_breaker_state" + noise, b"switchgear_breaker_state{" + noise + b"} 1"):
        try:
            read_metrics(body, policies=KNOWN)
        except UnreadableMetricsError as error:
            assert error.reason == "garbage"  # noqa: PT017 - most bytes raise, and some are well-formed


@given(st.integers(min_value=0, max_value=LARGEST_COUNT))
def test_every_count_is_read_exactly(count: int) -> None:
    assert one_breaker('state{state="open"} 1', f"window_calls{{}} {count}").window_calls == count
