"""A status is written for news, seldom enough, and repaired when somebody else changed it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchgear.states import CircuitState
from switchgear_operator.aggregate import Fleet, OpenInstance
from switchgear_operator.derive import derive
from switchgear_operator.objects import Policy
from switchgear_operator.report import EVENT_BURST, LONGEST_LAG, SECONDS_PER_EVENT, Reporter
from switchgear_operator.verdicts import Verdict

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
POLICY = Policy(
    namespace="shop", name="payments", uid="u1", generation=7, created=NOW, spec={"target": {"name": "x"}}
)
ACCEPTED = Verdict(True, "Accepted", "applies to calls of x", "x")


@dataclass
class Desk:
    """The two doors of the reporter that lead outside, and its clock: what was written and posted, in order."""

    writes: list[dict[str, Any]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    now: float = 1000.0
    policy_is_gone: bool = False
    broken: bool = False

    async def write_status(self, policy: Policy, status: dict[str, Any]) -> bool:
        if self.broken:
            raise ConnectionError("the API server is away")
        if not self.policy_is_gone:
            self.writes.append(status)
        return not self.policy_is_gone

    async def create_event(self, event: dict[str, Any], namespace: str) -> None:
        if self.broken:
            raise ConnectionError("the API server is away")
        self.events.append(event["reason"])

    def status_written(self, outcome: str) -> None:
        self.counted.append(f"write {outcome}")

    def event_posted(self, outcome: str) -> None:
        self.counted.append(f"event {outcome}")


def reporter_at(desk: Desk) -> Reporter:
    return Reporter(desk, desk, instance="operator-1", clock=lambda: desk.now, now=lambda: NOW)


def fleet(state: CircuitState = CircuitState.CLOSED, calls: int = 0, failures: int = 0) -> Fleet:
    opened = (OpenInstance(pod="a", uid="p1", since=NOW),) if state is CircuitState.OPEN else ()
    return Fleet(
        expected=1, states={state: 1}, updated=1, calls=calls, failures=failures, open_instances=opened
    )


CLOSED = fleet()
OPEN = fleet(CircuitState.OPEN)


async def report(reporter: Reporter, of: Fleet, policy: Policy = POLICY, now: datetime = NOW) -> float | None:
    latest = derive(policy, ACCEPTED, of, reporter.last_status(policy), now)
    return await reporter.report(policy, latest)


def shown(desk: Desk, policy: Policy = POLICY) -> Policy:
    """The policy once the watch has shown what was written last."""
    return replace(policy, status=desk.writes[-1])


async def test_the_first_status_is_written_whole() -> None:
    desk = Desk()

    assert await report(reporter_at(desk), CLOSED) is None

    assert [write["state"] for write in desk.writes] == ["Closed"]
    assert desk.writes[0] == derive(POLICY, ACCEPTED, CLOSED, None, NOW).to_json()


async def test_what_is_no_news_is_not_written() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, CLOSED)
    for _ in range(5):
        desk.now += 60
        await report(reporter, CLOSED, shown(desk))

    assert len(desk.writes) == 1


async def test_a_restarted_operator_writes_nothing_when_nothing_changed() -> None:
    desk = Desk()
    await report(reporter_at(desk), OPEN)

    await report(reporter_at(desk), OPEN, shown(desk))

    assert len(desk.writes) == 1
    assert desk.events == ["Opened", "Propagated"]


async def test_what_was_written_is_not_written_again_while_the_watch_lags() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, CLOSED)
    desk.now += 2
    await report(reporter, CLOSED)

    assert len(desk.writes) == 1


async def test_a_watch_that_never_shows_the_write_is_believed_in_the_end() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, CLOSED)
    desk.now += LONGEST_LAG + 1
    await report(reporter, CLOSED)

    assert len(desk.writes) == 2


async def test_a_status_that_somebody_else_changed_is_repaired() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, CLOSED)
    desk.now += 2
    ours = shown(desk)
    forged = replace(
        ours, status={**ours.status, "state": "Open", "lastTransitionTime": "2001-01-01T00:00:00Z"}
    )

    await report(reporter, CLOSED, forged, LATER)

    assert desk.writes[1] == desk.writes[0]


@pytest.mark.parametrize(
    "forged", ["0001-01-01T00:00:00+23:00", "2001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00"]
)
async def test_a_restarted_operator_takes_over_no_time_before_the_policy_or_after_now(forged: str) -> None:
    desk = Desk()
    await report(reporter_at(desk), OPEN)
    ours = desk.writes[0]
    status = {
        **ours,
        "lastTransitionTime": forged,
        "conditions": [{**each, "lastTransitionTime": forged} for each in ours["conditions"]],
        "openInstances": [{**each, "since": forged} for each in ours["openInstances"]],
    }
    restarted = reporter_at(desk)

    await report(restarted, OPEN, replace(POLICY, status=status))
    await report(restarted, OPEN, shown(desk))

    assert desk.writes[1:] == [ours]


async def test_a_status_that_somebody_else_emptied_is_repaired_with_its_times() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, CLOSED)
    await report(reporter, CLOSED, shown(desk))
    desk.now += LONGEST_LAG + 1

    await report(reporter, CLOSED, replace(POLICY, status={}), LATER)

    assert desk.writes[1] == desk.writes[0]


async def test_a_condition_that_somebody_else_added_is_taken_away() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, CLOSED)
    desk.now += 2
    ours = shown(desk)
    extra = {**ours.status["conditions"][0], "type": "Blessed"}
    forged = replace(ours, status={**ours.status, "conditions": [*ours.status["conditions"], extra]})

    await report(reporter, CLOSED, forged)

    assert [each["type"] for each in desk.writes[1]["conditions"]] == [
        "Accepted",
        "Propagated",
        "Reporting",
        "Healthy",
    ]


async def test_news_that_come_too_soon_wait_for_their_time() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, CLOSED)
    desk.now += 0.25

    assert await report(reporter, OPEN, shown(desk)) == 0.75
    assert len(desk.writes) == 1

    desk.now += 0.75
    assert await report(reporter, OPEN, shown(desk)) is None
    assert [write["state"] for write in desk.writes] == ["Closed", "Open"]


async def test_rates_alone_are_written_seldom() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, fleet(calls=100, failures=0))
    for second in range(1, 61):
        desk.now += 1
        await report(reporter, fleet(calls=100, failures=second), shown(desk))

    assert [write["failureRatePercent"] for write in desk.writes] == [0, 15, 30, 45, 60]


async def test_a_pod_whose_deadline_grows_and_grows_is_written_as_seldom_as_rates() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    (pod,) = OPEN.open_instances
    await report(reporter, OPEN)
    for second in range(1, 61):
        desk.now += 1
        growing = replace(pod, until=LATER + timedelta(minutes=second), last_error=f"E{second}")
        await report(reporter, replace(OPEN, open_instances=(growing,)), shown(desk))

    assert [write["openInstances"][0].get("lastError") for write in desk.writes] == [
        None,
        "E15",
        "E30",
        "E45",
        "E60",
    ]


async def test_a_failed_write_is_tried_again_the_next_time() -> None:
    desk = Desk(broken=True)
    reporter = reporter_at(desk)
    await report(reporter, OPEN)
    desk.broken = False
    await report(reporter, OPEN)

    assert [write["state"] for write in desk.writes] == ["Open"]
    assert desk.events == ["Opened", "Propagated"]
    assert desk.counted == ["write error", "write ok", "event ok", "event ok"]


async def test_a_policy_that_is_gone_is_left_alone() -> None:
    desk = Desk(policy_is_gone=True)

    assert await report(reporter_at(desk), OPEN) is None

    assert desk.events == []
    assert desk.counted == ["write gone"]


async def test_a_new_policy_of_the_same_name_starts_afresh() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, OPEN)
    recreated = replace(POLICY, uid="u2")

    assert reporter.last_status(recreated) is None
    assert await report(reporter, CLOSED, recreated) is None
    assert [write["state"] for write in desk.writes] == ["Open", "Closed"]


async def test_a_flapping_policy_posts_no_more_events_than_its_allowance() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    await report(reporter, CLOSED)
    for turn in range(100):
        desk.now += 1
        await report(reporter, CLOSED if turn % 2 else OPEN, shown(desk))

    assert len(desk.writes) == 101
    assert EVENT_BURST <= len(desk.events) <= EVENT_BURST + 4
    assert "event limited" in desk.counted


async def test_a_policy_that_is_created_anew_again_and_again_gets_no_new_allowance() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    for turn in range(100):
        desk.now += 1
        recreated = replace(POLICY, uid=f"u{turn}")
        await report(reporter, OPEN, recreated)
        reporter.forget(recreated.uid)

    assert len(desk.writes) == 100
    assert EVENT_BURST <= len(desk.events) <= EVENT_BURST + 4


async def test_a_policy_that_was_gone_for_long_has_its_whole_allowance_again() -> None:
    desk = Desk()
    reporter = reporter_at(desk)
    for turn in range(EVENT_BURST):
        await report(reporter, OPEN, replace(POLICY, uid=f"u{turn}"))
        reporter.forget(f"u{turn}")
    posted = len(desk.events)
    desk.now += EVENT_BURST * SECONDS_PER_EVENT

    for turn in range(EVENT_BURST):
        await report(reporter, OPEN, replace(POLICY, uid=f"v{turn}"))

    assert posted == EVENT_BURST
    assert len(desk.events) == 2 * EVENT_BURST
