"""The text format, read back by the parser of prometheus_client."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from switchgear.exposition import Family, render


def read_back(*families: Family) -> dict[str, list[tuple[dict[str, str], float]]]:
    text = render(list(families)).decode("utf-8")
    return {
        sample.name: [(s.labels, s.value) for s in metric.samples if s.name == sample.name]
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
    }


def test_families_are_read_back_as_they_were_written() -> None:
    gauge = Family("a_gauge", "gauge", "What it is.")
    gauge.add(1, x="1", y="2")
    gauge.add(0.25)
    counter = Family("a_total", "counter", "How often.")
    counter.add(12345678901234)

    assert read_back(gauge, counter) == {
        "a_gauge": [({"x": "1", "y": "2"}, 1.0), ({}, 0.25)],
        "a_total": [({}, 12345678901234.0)],
    }


def test_whole_numbers_are_written_without_a_fraction() -> None:
    family = Family("n", "gauge", "")
    family.add(3.0)

    assert render([family]).endswith(b"\nn 3\n")


@pytest.mark.parametrize(("value", "text"), [(inf, b"+Inf"), (-inf, b"-Inf"), (nan, b"NaN")])
def test_numbers_that_are_none_have_their_own_words(value: float, text: bytes) -> None:
    family = Family("n", "gauge", "")
    family.add(value)

    assert render([family]).endswith(b"\nn " + text + b"\n")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_as_a_label(text: str) -> None:
    family = Family("n", "gauge", "")
    family.add(1, label=text)

    assert read_back(family) == {"n": [({"label": text}, 1.0)]}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_as_help(text: str) -> None:
    family = Family("n", "gauge", text)
    family.add(1)

    (metric,) = text_string_to_metric_families(render([family]).decode())
    assert metric.documentation.strip() == text.strip()


def test_what_utf8_cannot_say_is_replaced() -> None:
    family = Family("n", "gauge", "")
    family.add(1, label="a\ud800b")

    assert read_back(family) == {"n": [({"label": "a?b"}, 1.0)]}
