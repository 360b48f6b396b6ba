"""CircuitConfig: defaults that fit, bounds on everything, and messages that name the field, the value and the remedy."""

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import grpc  # type: ignore[import-untyped]  # it comes without types
import pytest

from switchgear import CircuitConfig, CountWindow, Mode, TimeWindow
from switchgear.config import LONGEST

NAN, INFINITY = float("nan"), float("inf")
SECONDS = (
    "open_duration",
    "max_open_duration",
    "half_open_max_duration",
    "slow_call_duration",
    "call_timeout",
)
COUNTS = (
    "minimum_calls",
    "consecutive_failures",
    "half_open_calls",
    "success_threshold",
    "max_concurrent_calls",
)
SECONDS_REMEDY = r"give a number of seconds above zero, up to ten years \(315360000\)"
RATES = ("failure_rate_threshold", "slow_call_rate_threshold")


def config(**changes: Any) -> CircuitConfig:
    return CircuitConfig(**changes)


def test_the_defaults_are_those_of_the_resource() -> None:
    assert CircuitConfig() == config(
        window=TimeWindow(10.0),
        minimum_calls=20,
        failure_rate_threshold=0.5,
        slow_call_rate_threshold=0.8,
        open_duration=5.0,
        max_open_duration=300.0,
        backoff_multiplier=2.0,
        jitter=0.1,
        half_open_calls=5,
        success_threshold=5,
        half_open_max_duration=30.0,
        failure_http_statuses=("5xx", "429"),
        failure_grpc_statuses=("UNAVAILABLE", "DEADLINE_EXCEEDED"),
        mode=Mode.ENFORCE,
    )


def test_defaults_follow_the_fields_they_depend_on() -> None:
    assert config(window=CountWindow(7)).minimum_calls == 7
    assert config(window=CountWindow(100)).minimum_calls == 20
    assert config(half_open_calls=2).success_threshold == 2
    assert config(half_open_calls=50).success_threshold == 5
    assert config(open_duration=1000.0).max_open_duration == 1000.0


def test_it_cannot_be_changed_and_takes_no_other_fields() -> None:
    with pytest.raises(FrozenInstanceError):
        CircuitConfig().jitter = 0.5  # type: ignore[misc]  # that is what is tested
    with pytest.raises((AttributeError, TypeError)):
        CircuitConfig().colour = 1  # type: ignore[attr-defined]  # that is what is tested
    with pytest.raises(TypeError, match="colour"):
        config(colour=1)


def test_every_grpc_status_may_be_a_failure() -> None:
    names = tuple(status.name for status in grpc.StatusCode)
    assert len(names) == 17
    assert config(failure_grpc_statuses=names).failure_grpc_statuses == names


def test_equal_configs_are_equal_however_their_lists_were_given() -> None:
    assert config(failure_exceptions=[OSError], failure_http_statuses=["500"]) == config(
        failure_exceptions=(OSError,), failure_http_statuses=("500",)
    )
    assert config(failure_exceptions=OSError) == config(failure_exceptions=(OSError,))
    assert config(ignored_exceptions="os.error").ignored_exceptions == ("os.error",)
    assert hash(config()) == hash(config())


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [0, 0.0, -1.0, NAN, INFINITY, -INFINITY, LONGEST * 1.01, 10**400])
def test_a_duration_is_above_zero_and_at_most_ten_years(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .*: {SECONDS_REMEDY}$"):
        config(**{name: value})


@pytest.mark.parametrize("name", SECONDS)
def test_a_duration_may_be_tiny_or_ten_years(name: str) -> None:
    for value in (5e-324, LONGEST):
        changes = {"open_duration": 5e-324, "max_open_duration": LONGEST} | {name: value}
        assert getattr(config(**changes), name) == value


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1_000_001, 10**400])
def test_a_count_is_from_one_to_a_million(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .*: give a whole number from 1 to 1000000$"):
        config(**{name: value})


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("value", [0, 0.0, -0.1, 1.01, 50, NAN])
def test_a_rate_is_a_share_above_zero(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .*: give a (number from 0 to 1|share above 0)"):
        config(**{name: value})


@pytest.mark.parametrize("name", [*SECONDS, *COUNTS, *RATES, "jitter", "backoff_multiplier"])
@pytest.mark.parametrize("value", ["5", True, b"5", [5], 5j])
def test_a_number_of_another_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"^{name} is .*: give a (whole )?number (from|of)"):
        config(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_is_no_float(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name} is 2\.0: give a whole number"):
        config(**{name: 2.0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backoff_multiplier": 0.99}, "backoff_multiplier is 0.99: give a number from 1 to 100"),
        ({"backoff_multiplier": 100.5}, "backoff_multiplier is 100.5: give a number from 1 to 100"),
        ({"jitter": -0.1}, "jitter is -0.1: give a number from 0 to 1"),
        ({"jitter": 1.1}, "jitter is 1.1: give a number from 0 to 1"),
        (
            {"open_duration": 10.0, "max_open_duration": 9.0},
            "max_open_duration is 9.0, shorter than open_duration 10.0: raise max_open_duration or lower open_duration",
        ),
        (
            {"half_open_calls": 2, "success_threshold": 3},
            "success_threshold is 3, but half_open_calls admits only 2: lower success_threshold or raise half_open_calls",
        ),
        (
            {"window": CountWindow(5), "minimum_calls": 6},
            "minimum_calls is 6, but window holds only 5 calls: lower minimum_calls or enlarge the window",
        ),
        ({"failure_http_statuses": ("6xx",)}, "failure_http_statuses contains '6xx': give a status like"),
        ({"failure_http_statuses": ("99",)}, "failure_http_statuses contains '99': give a status like"),
        (
            {"failure_grpc_statuses": ("unavailable",)},
            "failure_grpc_statuses contains 'unavailable': give the name of a gRPC status such as",
        ),
        *(
            (
                {"failure_exceptions": (path,)},
                f"failure_exceptions contains {path!r}: give an import path such",
            )
            for path in ("", "httpx.", ".TimeoutError", "a..b", "not a path", "1st.Error", "httpx:Error")
        ),
        ({"ignored_http_statuses": ("600",)}, "ignored_http_statuses contains '600': give a status like"),
        ({"ignored_http_statuses": ("5XX",)}, "ignored_http_statuses contains '5XX': give a status like"),
        ({"ignored_http_statuses": ("٥٠٠",)}, "ignored_http_statuses contains '٥٠٠': give a status like"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_a_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below
        config(**changes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 10}, "window is 10: give a TimeWindow or a CountWindow"),
        ({"mode": "Enforce"}, "mode is 'Enforce': give a switchgear.Mode"),
        ({"failure_result": True}, "failure_result is True: give a function of the result, or None"),
        (
            {"failure_exceptions": 5},
            "failure_exceptions is 5: give a tuple of exception types or import paths",
        ),
        ({"failure_exceptions": (int,)}, "failure_exceptions contains <class 'int'>: give exception types"),
        ({"ignored_exceptions": (5,)}, "ignored_exceptions contains 5: give exception types or import paths"),
        ({"failure_http_statuses": "500"}, "failure_http_statuses is '500': give a tuple of strings"),
        (
            {"failure_http_statuses": (500,)},
            'failure_http_statuses contains 500: give strings such as "503"',
        ),
        (
            {"failure_grpc_statuses": (14,)},
            'failure_grpc_statuses contains 14: give strings such as "UNAVAILABLE"',
        ),
        ({"failure_grpc_statuses": None}, "failure_grpc_statuses is None: give a tuple of strings"),
    ],
)
def test_a_value_of_another_type_is_refused_with_a_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        config(**changes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", [0, -1.0, NAN, INFINITY, LONGEST * 2])
def test_a_time_window_has_a_duration(value: float) -> None:
    with pytest.raises(ValueError, match=r"^TimeWindow\.duration is .*: give"):
        TimeWindow(value)


@pytest.mark.parametrize("value", [0, -1, 10_001])
def test_a_count_window_has_a_size(value: int) -> None:
    with pytest.raises(ValueError, match=r"^CountWindow\.size is .*: give a whole number from 1 to 10000$"):
        CountWindow(value)


@pytest.mark.parametrize("value", ["10", None, True])
def test_a_window_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^TimeWindow\.duration is"):
        TimeWindow(value)
    with pytest.raises(TypeError, match=r"^CountWindow\.size is"):
        CountWindow(value)


def test_replacing_a_field_checks_the_others_against_it() -> None:
    with pytest.raises(ValueError, match="max_open_duration"):
        replace(CircuitConfig(), open_duration=301.0)


def test_it_has_no_field_that_only_later_versions_use() -> None:
    assert {field.name for field in fields(CircuitConfig)}.isdisjoint({"ramp_up_duration", "ramp_up_initial"})
