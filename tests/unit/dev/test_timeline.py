"""The picture of a run: what it is computed from, and that it can be drawn from whatever was recorded."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from dev.demo.recording import Event, Recording, Sample
from dev.timeline import Band, bands, draw, main, rates
from tests.unit.dev.sample_run import BEGIN, PODS, sample_run


def sample(at: float, state: str = "closed", pod: str = "checkout-a", **calls: float) -> Sample:
    return Sample(BEGIN + at, pod, state, calls)


def words(svg: Path) -> str:
    return " ".join(element.text or "" for element in ET.parse(svg).iter("{http://www.w3.org/2000/svg}text"))


def test_a_band_lasts_from_its_first_sample_to_the_next_bands() -> None:
    samples = [sample(0), sample(1), sample(2, "open"), sample(5, "half_open"), sample(6, "half_open")]

    assert bands(samples) == [
        Band(BEGIN, BEGIN + 2, "closed"),
        Band(BEGIN + 2, BEGIN + 5, "open"),
        Band(BEGIN + 5, BEGIN + 6, "half_open"),
    ]


def test_rates_are_what_the_counters_of_all_pods_grew_by_in_each_second() -> None:
    recording = Recording(
        samples=[
            sample(0, success=100),
            sample(0, pod="checkout-b", success=7),
            sample(0.5, success=104),
            sample(0.9, pod="checkout-b", success=10, rejected=2),
            sample(1.5, success=105, failure=6),
            sample(2, pod="checkout-b", success=10, rejected=2),
        ]
    )

    found = rates(recording)

    assert found.at == [BEGIN + 0.5, BEGIN + 1.5]
    assert (found.success, found.failure, found.rejected) == ([7, 1], [0, 6], [2, 0])


def test_a_counter_that_fell_was_restarted_and_counts_from_zero() -> None:
    recording = Recording(samples=[sample(0, success=500), sample(0.5, success=3), sample(1, success=3)])

    assert rates(recording).success == [3]


@pytest.mark.parametrize("name", ["timeline.svg", "timeline.png"])
def test_a_run_is_drawn_in_the_format_of_the_suffix(tmp_path: Path, name: str) -> None:
    draw(sample_run(), tmp_path / name)

    start = (tmp_path / name).read_bytes()[:300]
    assert b"<svg" in start or start.startswith(b"\x89PNG")


def test_the_picture_names_every_event_pod_and_state(tmp_path: Path) -> None:
    run = sample_run()

    draw(run, tmp_path / "timeline.svg")

    shown = words(tmp_path / "timeline.svg")
    for text in [
        *(event.label for event in run.events),
        *(pod[-5:] for pod in PODS),
        "half-open",
        "forced-open",
    ]:
        assert text in shown


def test_a_label_never_runs_into_the_line_or_label_of_a_later_event(tmp_path: Path) -> None:
    run = replace(sample_run(), events=[Event(BEGIN + at, f"event {at}") for at in (97, 98, 99, 100)])

    draw(run, tmp_path / "timeline.svg")

    texts = {
        element.text.strip(): element
        for element in ET.parse(tmp_path / "timeline.svg").iter("{http://www.w3.org/2000/svg}text")
        if element.text and element.text.strip().startswith("event")
    }
    heights = [
        float(texts[f"event {at}"].attrib["transform"].split()[1].rstrip(")")) for at in (97, 98, 99, 100)
    ]
    assert heights == sorted(set(heights)), "each one above those after it"


def test_a_run_that_broke_off_early_is_drawn_as_far_as_it_went(tmp_path: Path) -> None:
    draw(Recording(samples=[sample(0), sample(0.3)]), tmp_path / "timeline.svg")

    assert "closed" in words(tmp_path / "timeline.svg")


def test_a_recording_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no samples"):
        draw(Recording(), tmp_path / "timeline.svg")


def test_a_saved_recording_is_drawn_again(tmp_path: Path) -> None:
    run = sample_run()
    run.save(tmp_path / "recording.json")

    main(str(tmp_path / "recording.json"), str(tmp_path / "again.svg"))

    assert Recording.load(tmp_path / "recording.json") == run
    assert "payments hangs" in words(tmp_path / "again.svg")
