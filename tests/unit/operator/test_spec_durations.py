"""Durations are read exactly, and compared by their length."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.config import LONGEST
from switchgear_operator.durations import PATTERN, Duration

UNITS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1ms", 1),
        ("500ms", 500),
        ("5s", 5000),
        ("1m30s", 90_000),
        ("1h2m3s4ms", 3_723_004),
        ("4ms3s", 3004),
        ("5s5s", 10_000),
        ("00005s", 5000),
        ("0h1s", 1000),
        ("99999s", 99_999_000),
        ("87600h", 315_360_000_000),
    ],
)
def test_a_duration_is_read_in_milliseconds(text: str, milliseconds: int) -> None:
    duration = Duration.parse(text)

    assert duration.milliseconds == milliseconds
    assert duration.seconds == milliseconds / 1000
    assert str(duration) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "-5s",
        "+5s",
        "1.5s",
        "1d",
        "5S",
        "5 s",
        " 5s",
        "5s\n",
        "5us",
        "100000s",
        "1s1s1s1s1s",
        "٥s",
    ],
)
def test_what_is_no_duration_is_refused_with_the_text_and_the_remedy(text: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape(repr(text)) + " is not a duration: give one such as 500ms"
    ):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["0s", "0h0m0s0ms", "87600h1ms", "99999h"])
def test_zero_and_more_than_ten_years_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="above zero, up to 87600h"):
        Duration.parse(text)


def test_the_longest_duration_is_the_librarys() -> None:
    assert Duration.parse("87600h").seconds == LONGEST


def test_durations_are_compared_by_length_whatever_their_units() -> None:
    assert Duration.parse("60s") == Duration.parse("1m")
    assert Duration.parse("119s") < Duration.parse("2m") < Duration.parse("1h")


@given(st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    total = sum(number * UNITS[unit] for number, unit in parts)

    assert re.fullmatch(PATTERN, text)
    if 0 < total <= LONGEST * 1000:
        assert Duration.parse(text).milliseconds == total
    else:
        with pytest.raises(ValueError, match="out of bounds"):
            Duration.parse(text)
