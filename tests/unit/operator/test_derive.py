"""A status says exactly what the fleet does, keeps its memory of when, and changes only for news."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear_operator.aggregate import Fleet, OutdatedInstance
from switchgear_operator.derive import Change, adopted, change_between, derive, read_status
from switchgear_operator.status import ConditionType, PolicyState, PolicyStatus
from switchgear_operator.verdicts import Verdict
from tests.unit.operator.fleets import (
    ACCEPTED,
    FULL,
    LATER,
    NOW,
    POLICY,
    REFUSED,
    condition,
    fleet,
    status,
    told,
)


class TestState:
    @pytest.mark.parametrize(
        ("of", "state"),
        [
            (fleet(), PolicyState.UNKNOWN),
            (fleet(silent=3), PolicyState.UNKNOWN),
            (fleet(closed=3), PolicyState.CLOSED),
            (fleet(closed=2, silent=1), PolicyState.CLOSED),
            (fleet(closed=2, open=3), PolicyState.OPEN),
            (fleet(closed=4, open=1), PolicyState.OPEN),
            (fleet(open=1, half_open=2), PolicyState.OPEN),
            (fleet(closed=2, half_open=1), PolicyState.HALF_OPEN),
            (fleet(half_open=3), PolicyState.HALF_OPEN),
            (fleet(forced_open=3), PolicyState.FORCED_OPEN),
            (fleet(disabled=3), PolicyState.DISABLED),
            (fleet(forced_open=3, behind=3), PolicyState.FORCED_OPEN),
            (fleet(disabled=3, behind=1), PolicyState.DISABLED),
        ],
    )
    def test_it_is_what_the_reporting_instances_are_in(self, of: Fleet, state: PolicyState) -> None:
        assert status(of).state is state

    @pytest.mark.parametrize(
        ("of", "without_an_edit"),
        [
            (fleet(open=4, disabled=1), PolicyState.OPEN),
            (fleet(forced_open=2, open=1), PolicyState.OPEN),
            (fleet(forced_open=2, closed=1), PolicyState.OPEN),
            (fleet(forced_open=1, disabled=1), PolicyState.OPEN),
            (fleet(half_open=1, disabled=2), PolicyState.HALF_OPEN),
            (fleet(closed=1, disabled=2), PolicyState.CLOSED),
        ],
    )
    def test_modes_are_mixed_only_while_an_instance_is_outdated(
        self, of: Fleet, without_an_edit: PolicyState
    ) -> None:
        edited = replace(of, updated=of.reporting - 1, outdated=(OutdatedInstance("a", 6),))

        assert status(of).state is without_an_edit
        assert status(edited).state is PolicyState.MIXED

    def test_an_outdated_instance_alone_mixes_nothing(self) -> None:
        assert status(fleet(open=1, closed=2, behind=1)).state is PolicyState.OPEN

    def test_its_transition_time_moves_with_it_and_only_with_it(self) -> None:
        closed = status(fleet(closed=3))
        still_closed = status(fleet(closed=2), closed, LATER)
        opened = status(fleet(open=2), still_closed, LATER)

        assert closed.last_transition_time == NOW
        assert still_closed.last_transition_time == NOW
        assert opened.last_transition_time == LATER


class TestNumbers:
    def test_the_design_s_example_is_told_as_the_design_tells_it(self) -> None:
        result = status(
            fleet(
                closed=2, open=3, until=LATER, calls=100, failures=63, slow_calls=7, rejected_per_minute=120.4
            )
        ).to_json()

        assert result["observedGeneration"] == 7
        assert result["state"] == "Open"
        assert result["instances"] == {
            "expected": 5,
            "reporting": 5,
            "updated": 5,
            "open": 3,
            "halfOpen": 0,
            "closed": 2,
        }
        assert result["failureRatePercent"] == 63
        assert result["slowCallRatePercent"] == 7
        assert result["calls"] == 100
        assert result["rejectedPerMinute"] == 120
        assert result["lastTransitionTime"] == "2026-11-24T09:00:00Z"
        assert result["openInstances"][0] == {
            "pod": "open-0",
            "since": "2026-11-24T09:00:00Z",
            "until": "2026-11-24T09:01:00Z",
            "lastError": "E",
        }
        assert result["summary"] == {
            "target": "payments.shop:8080",
            "open": "3/5",
            "updated": "5/5",
            "reporting": "5/5",
        }

    def test_without_calls_there_is_no_rate(self) -> None:
        result = status(fleet(closed=3, calls=0))

        assert (result.calls, result.failure_rate_percent, result.slow_call_rate_percent) == (0, None, None)

    def test_when_nobody_reports_nothing_is_said_of_calls(self) -> None:
        before = status(fleet(open=1, calls=10, failures=9, rejected_per_minute=60))

        result = status(fleet(silent=1), before)

        assert (result.calls, result.failure_rate_percent, result.rejected_per_minute) == (None, None, None)

    def test_updated_is_counted_of_the_expected_instances(self) -> None:
        result = status(fleet(closed=3, behind=1, silent=2))

        assert result.summary is not None
        assert (result.summary.updated, result.summary.open) == ("2/5", "0/3")

    def test_more_failures_than_calls_are_not_believed(self) -> None:
        assert status(fleet(closed=1, calls=10, failures=30)).failure_rate_percent == 100

    def test_the_largest_numbers_stay_within_the_schema(self) -> None:
        result = status(fleet(closed=2, calls=2**54, failures=2**54, rejected_per_minute=1e300))

        assert (result.calls, result.rejected_per_minute) == (2**53, 2**53)

    def test_at_most_ten_open_instances_are_listed(self) -> None:
        result = status(fleet(open=30))

        assert result.instances is not None
        assert result.instances.open == 30
        assert len(result.open_instances or ()) == 10

    def test_until_two_readings_tell_more_the_last_rejection_rate_stays(self) -> None:
        before = status(fleet(open=1, rejected_per_minute=60))

        assert status(fleet(open=1), before).rejected_per_minute == 60

    def test_the_noise_of_a_pods_clock_moves_no_deadline(self) -> None:
        before = status(fleet(open=1, until=LATER))
        noisy = status(fleet(open=1, until=LATER + timedelta(seconds=1.1)), before)
        moved = status(fleet(open=1, until=LATER + timedelta(seconds=5)), before)

        assert change_between(before, noisy) is Change.NONE
        assert change_between(before, moved) is Change.NUMBERS


class TestAccepted:
    def test_it_is_the_verdict(self) -> None:
        assert told(status(fleet()), ConditionType.ACCEPTED) == ("True", "Accepted", "it is delivered")
        assert told(status(fleet(), verdict=REFUSED), ConditionType.ACCEPTED) == (
            "False",
            "Conflicted",
            "shop/older has the same target",
        )


class TestPropagated:
    @pytest.mark.parametrize(
        ("of", "verdict", "expected"),
        [
            (
                fleet(closed=3),
                ACCEPTED,
                ("True", "AllUpdated", "3 of 3 reporting instances run generation 7"),
            ),
            (
                fleet(closed=2, silent=1),
                ACCEPTED,
                ("True", "AllUpdated", "2 of 2 reporting instances run generation 7"),
            ),
            (
                fleet(closed=3, behind=2),
                ACCEPTED,
                (
                    "False",
                    "Propagating",
                    "1 of 3 reporting instances run generation 7; not yet: behind-0 (runs generation 6), behind-1 (runs generation 6)",
                ),
            ),
            (
                fleet(silent=1),
                ACCEPTED,
                (
                    "Unknown",
                    "NoneReporting",
                    "0 of 1 instances report; silent: silent-0 (no answer within 3s)",
                ),
            ),
            (
                fleet(),
                ACCEPTED,
                (
                    "Unknown",
                    "NoInstances",
                    'no running pod in namespace shop has the label switchgear.dev/enabled: "true"',
                ),
            ),
            (
                fleet(closed=3),
                REFUSED,
                ("False", "NotAccepted", "this generation is not accepted: see the condition Accepted"),
            ),
            (fleet(closed=3, behind=3), FULL, ("False", "ConfigMapFull", "the ConfigMap holds 1 MiB")),
        ],
    )
    def test_it_holds_when_every_reporting_instance_runs_the_generation(
        self, of: Fleet, verdict: Verdict, expected: tuple[str, str, str]
    ) -> None:
        assert told(status(of, verdict=verdict), ConditionType.PROPAGATED) == expected

    def test_a_pod_that_has_not_loaded_the_policy_is_named_so(self) -> None:
        of = replace(fleet(closed=1, behind=1), outdated=(OutdatedInstance("a", None),))

        assert told(status(of), ConditionType.PROPAGATED)[2].endswith("not yet: a (has not loaded it)")

    def test_a_long_list_of_pods_is_cut(self) -> None:
        message = told(status(fleet(closed=9, behind=7)), ConditionType.PROPAGATED)[2]

        assert "behind-4" in message
        assert "behind-5" not in message
        assert message.endswith("and 2 more")

    def test_it_is_judged_by_the_generation_it_names(self) -> None:
        assert condition(status(fleet(closed=1)), ConditionType.PROPAGATED).observed_generation == 7


class TestReporting:
    @pytest.mark.parametrize(
        ("of", "expected"),
        [
            (fleet(closed=2, open=1), ("True", "AllReporting", "3 of 3 instances report")),
            (
                fleet(closed=2, silent=1),
                (
                    "False",
                    "SomeSilent",
                    "2 of 3 instances report; silent: silent-0 (no answer within 3s)",
                ),
            ),
            (
                fleet(silent=1),
                ("False", "NoneReporting", "0 of 1 instances report; silent: silent-0 (no answer within 3s)"),
            ),
            (
                replace(fleet(), skipped=2),
                (
                    "Unknown",
                    "NoInstances",
                    'no running pod in namespace shop has the label switchgear.dev/enabled: "true"; 2 on their host\'s network are not scraped',
                ),
            ),
        ],
    )
    def test_it_holds_when_every_expected_instance_answers(
        self, of: Fleet, expected: tuple[str, str, str]
    ) -> None:
        assert told(status(of), ConditionType.REPORTING) == expected


class TestHealthy:
    @pytest.mark.parametrize(
        ("of", "expected"),
        [
            (fleet(closed=3), ("True", "NoneOpen", "0 of 3 reporting instances are open")),
            (
                fleet(closed=2, half_open=1),
                (
                    "True",
                    "Recovering",
                    "no instance is open; 1 of 3 reporting instances are half-open",
                ),
            ),
            (
                fleet(closed=1, open=2),
                ("False", "Open", "2 of 3 reporting instances are open: open-0, open-1"),
            ),
            (
                fleet(forced_open=1),
                ("False", "ForcedOpen", "1 of 1 reporting instances are open: open-0"),
            ),
            (
                fleet(forced_open=1, open=1),
                ("False", "Open", "2 of 2 reporting instances are open: open-0, open-1"),
            ),
            (
                fleet(disabled=2),
                (
                    "Unknown",
                    "Disabled",
                    "all reporting instances let calls straight through and judge none",
                ),
            ),
            (
                fleet(silent=1),
                (
                    "Unknown",
                    "NoneReporting",
                    "0 of 1 instances report; silent: silent-0 (no answer within 3s)",
                ),
            ),
        ],
    )
    def test_it_holds_when_no_instance_is_open(self, of: Fleet, expected: tuple[str, str, str]) -> None:
        assert told(status(of), ConditionType.HEALTHY) == expected


class TestTransitionTimes:
    def test_a_condition_keeps_its_time_while_its_status_stays(self) -> None:
        before = status(fleet(closed=3))
        after = status(fleet(closed=2, half_open=1), before, LATER)

        assert condition(after, ConditionType.HEALTHY).reason == "Recovering"
        assert condition(after, ConditionType.HEALTHY).last_transition_time == NOW

    def test_a_condition_whose_status_changes_takes_the_time(self) -> None:
        before = status(fleet(closed=3))
        after = status(fleet(open=3), before, LATER)

        assert condition(after, ConditionType.HEALTHY).last_transition_time == LATER
        assert condition(after, ConditionType.REPORTING).last_transition_time == NOW


class TestAdoption:
    EARLIER, MUCH_LATER = NOW - timedelta(days=9000), NOW + timedelta(days=9000)

    @pytest.mark.parametrize(
        ("written", "taken"),
        [
            (EARLIER, NOW),
            (NOW, NOW),
            (NOW + timedelta(seconds=1), NOW + timedelta(seconds=1)),
            (LATER, LATER),
            (MUCH_LATER, LATER),
        ],
    )
    def test_its_times_lie_between_the_policys_creation_and_now(
        self, written: datetime, taken: datetime
    ) -> None:
        found = adopted(status(fleet(open=2, since=written), None, written), NOW, LATER)

        assert found.last_transition_time == taken
        assert {each.last_transition_time for each in found.conditions or ()} == {taken}
        assert [each.since for each in found.open_instances or ()] == [taken, taken]

    def test_nothing_else_of_it_changes(self) -> None:
        before = status(fleet(closed=1, open=2, until=LATER, calls=9, failures=3))

        assert adopted(before, NOW, LATER) == before

    def test_a_status_without_times_is_taken_as_it_is(self) -> None:
        assert adopted(PolicyStatus(), NOW, LATER) == PolicyStatus()

    def test_a_clock_behind_the_api_servers_gives_the_creation(self) -> None:
        assert adopted(status(fleet(closed=1)), NOW, NOW - timedelta(hours=1)).last_transition_time == NOW


class TestNotAccepted:
    LOST = Verdict(
        accepted=False, reason="Conflicted", message="payments comes first", target="payments.shop"
    )

    def test_a_policy_that_lost_and_that_nobody_runs_claims_no_state(self) -> None:
        unloaded = replace(
            fleet(closed=2, behind=2), outdated=(OutdatedInstance("a", None), OutdatedInstance("b", None))
        )

        after = derive(POLICY, self.LOST, unloaded, None, NOW)

        assert after.state == PolicyState.UNKNOWN
        assert condition(after, ConditionType.HEALTHY).reason == "NotAccepted"

    def test_while_an_instance_still_runs_it_its_state_is_told(self) -> None:
        loaded = replace(
            fleet(closed=1, open=1, behind=2),
            outdated=(OutdatedInstance("a", 6), OutdatedInstance("b", None)),
        )

        assert derive(POLICY, self.LOST, loaded, None, NOW).state == PolicyState.OPEN


FLEETS = st.builds(
    fleet,
    closed=st.integers(0, 5),
    open=st.integers(0, 15),
    half_open=st.integers(0, 5),
    forced_open=st.integers(0, 2),
    disabled=st.integers(0, 2),
    silent=st.integers(0, 3),
    since=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    until=st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    calls=st.integers(0, 10**6),
    failures=st.integers(0, 10**6),
    rejected_per_minute=st.none() | st.floats(0, 1e9),
)
TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@given(FLEETS, st.none() | FLEETS, TIMES, TIMES)
def test_deriving_again_from_ones_own_status_writes_nothing(
    of: Fleet, earlier: Fleet | None, first: datetime, second: datetime
) -> None:
    before = None if earlier is None else status(earlier, None, first)
    written = status(of, before, first)

    again = status(of, written, second)

    assert change_between(written, again) is Change.NONE
    assert again.to_json() == written.to_json()


@given(FLEETS, TIMES, TIMES)
def test_a_status_read_back_from_the_api_is_no_news_either(
    of: Fleet, first: datetime, second: datetime
) -> None:
    read_back = read_status(status(of, None, first).to_json())

    assert change_between(read_back, status(of, read_back, second)) is Change.NONE


@given(FLEETS)
def test_the_counts_in_a_status_add_up(of: Fleet) -> None:
    instances = status(of).instances

    assert instances is not None
    assert instances.open + instances.half_open + instances.closed == instances.reporting
    assert instances.updated <= instances.reporting <= instances.expected


@pytest.mark.parametrize(
    "nothing", [{}, {"state": "Frozen"}, {"instances": {"open": "three"}}, {"calls": -1}]
)
def test_what_is_no_status_of_ours_is_read_as_none(nothing: dict[str, object]) -> None:
    assert read_status(nothing) is None
