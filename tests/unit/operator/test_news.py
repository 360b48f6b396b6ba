"""Which change of a status is news, and of what kind."""

from dataclasses import replace
from datetime import timedelta

import pytest

from switchgear_operator.aggregate import Fleet, OutdatedInstance
from switchgear_operator.derive import Change, change_between, derive
from switchgear_operator.status import ConditionType
from tests.unit.operator.fleets import (
    ACCEPTED,
    LATER,
    POLICY,
    condition,
    fleet,
    status,
)


class TestChange:
    QUIET = status(fleet(closed=3, calls=1000, failures=100, slow_calls=0, rejected_per_minute=100))

    @pytest.mark.parametrize(
        ("of", "change"),
        [
            (fleet(closed=3, calls=5, failures=0, slow_calls=0, rejected_per_minute=100), Change.NUMBERS),
            (fleet(closed=3, calls=2000, failures=220, slow_calls=0, rejected_per_minute=90), Change.NONE),
            (
                fleet(closed=3, calls=1000, failures=149, slow_calls=0, rejected_per_minute=100),
                Change.NUMBERS,
            ),
            (fleet(closed=3, calls=1000, failures=140, slow_calls=0, rejected_per_minute=100), Change.NONE),
            (
                fleet(closed=3, calls=1000, failures=100, slow_calls=10, rejected_per_minute=100),
                Change.NUMBERS,
            ),
            (fleet(closed=3, calls=1000, failures=100, slow_calls=0, rejected_per_minute=0), Change.NUMBERS),
            (
                fleet(closed=3, calls=1000, failures=100, slow_calls=0, rejected_per_minute=160),
                Change.NUMBERS,
            ),
            (fleet(closed=2, calls=1000, failures=100, slow_calls=0, rejected_per_minute=100), Change.STATE),
            (fleet(closed=2, open=1, calls=1000, failures=100, rejected_per_minute=100), Change.STATE),
        ],
    )
    def test_numbers_are_news_only_when_they_moved_enough(self, of: Fleet, change: Change) -> None:
        assert change_between(self.QUIET, status(of, self.QUIET, LATER)) is change

    def test_the_first_rate_is_news_and_a_rate_of_zero_that_ends_is_none(self) -> None:
        silent = status(fleet(closed=3, calls=0, failures=0, slow_calls=0, rejected_per_minute=0))
        calling = status(fleet(closed=3, calls=9, failures=0, slow_calls=0, rejected_per_minute=0), silent)

        assert change_between(silent, calling) is Change.NUMBERS
        assert change_between(calling, silent) is Change.NONE

    def test_a_rate_above_zero_that_ends_is_news(self) -> None:
        failing = status(fleet(closed=3, calls=9, failures=3, slow_calls=0, rejected_per_minute=0))
        silent = status(fleet(closed=3, calls=0, failures=0, slow_calls=0, rejected_per_minute=0), failing)

        assert change_between(failing, silent) is Change.NUMBERS

    @pytest.mark.parametrize(
        ("open_instance", "change"),
        [
            ({"until": LATER + timedelta(seconds=5)}, Change.NUMBERS),
            ({"until": None}, Change.NUMBERS),
            ({"last_error": "F"}, Change.NUMBERS),
            ({"last_error": None}, Change.NUMBERS),
            ({"pod": "another"}, Change.STATE),
            ({"since": LATER}, Change.STATE),
            ({}, Change.NONE),
        ],
    )
    def test_what_a_pod_says_of_its_open_circuit_is_told_now_and_then_and_which_pod_it_is_at_once(
        self, open_instance: dict[str, object], change: Change
    ) -> None:
        before = status(fleet(closed=2, open=1, until=LATER))
        (listed,) = before.open_instances or ()
        after = before.model_copy(update={"open_instances": (listed.model_copy(update=open_instance),)})

        assert change_between(before, after) is change

    def test_the_first_status_is_news(self) -> None:
        assert change_between(None, self.QUIET) is Change.STATE

    def test_a_new_generation_is_news_at_once_and_no_longer_propagated(self) -> None:
        edited = replace(POLICY, generation=8)
        of = replace(fleet(closed=3, behind=3), outdated=(OutdatedInstance("a", 7),))

        after = derive(edited, ACCEPTED, of, self.QUIET, LATER)

        assert change_between(self.QUIET, after) is Change.STATE
        assert condition(after, ConditionType.PROPAGATED).status == "False"
        assert condition(after, ConditionType.PROPAGATED).observed_generation == 8

    def test_slow_drift_is_news_once_it_has_come_far_enough(self) -> None:
        known = self.QUIET
        writes = 0
        for failures in range(100, 400, 10):
            latest = status(
                fleet(closed=3, calls=1000, failures=failures, rejected_per_minute=100), known, LATER
            )
            if change_between(known, latest) is not Change.NONE:
                known = latest
                writes += 1

        assert writes == 5
