"""Rounds over real metrics endpoints become statuses: in time, whatever single pods do, and only when asked to."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from switchgear.policy import PolicyDocument
from switchgear.states import CircuitState
from switchgear_operator.compile import compile_policy
from switchgear_operator.objects import Pod, Policy
from switchgear_operator.observe import Observer
from switchgear_operator.report import Reporter
from switchgear_operator.scrape import ScrapeLimits, Scraper
from switchgear_operator.status import PolicyStatus
from switchgear_operator.verdicts import Verdict
from tests.support.pods import Workload, workload
from tests.support.waiting import eventually_async

POLICY = Policy(
    namespace="shop",
    name="payments",
    uid="u1",
    generation=1,
    created=datetime(2026, 10, 1, tzinfo=UTC),
    spec={"target": {"name": "payments"}},
)
ACCEPTED = Verdict(True, "Accepted", "applies to calls of payments", "payments")

OFTEN = 0.05
NEVER_AGAIN = 3600.0


@dataclass
class Known:
    """The informed state of a test, which changes it as the API would."""

    policies_by_name: dict[str, Policy] = field(default_factory=lambda: {"payments": POLICY})
    pods_by_name: dict[str, Pod] = field(default_factory=dict)
    undecided: bool = False

    def policies(self) -> list[Policy]:
        return list(self.policies_by_name.values())

    def policies_of(self, namespace: str) -> list[Policy]:
        return [policy for policy in self.policies() if policy.namespace == namespace]

    def pods(self, namespace: str) -> list[Pod]:
        return [pod for pod in self.pods_by_name.values() if pod.namespace == namespace]

    def verdict(self, policy: Policy) -> Verdict | None:
        return None if self.undecided else ACCEPTED

    def edit(self) -> None:
        policy = self.policies_by_name["payments"]
        self.policies_by_name["payments"] = replace(policy, generation=policy.generation + 1)

    def add(self, name: str, of: Workload | None = None, **fields: Any) -> None:
        self.pods_by_name[name] = replace(
            Pod(namespace="shop", name=name, uid=f"uid-of-{name}", ip=of.ip if of else None, running=True),
            **fields,
        )


class Desk:
    """Where statuses go; they come back as the watch would show them."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.writes: list[PolicyStatus] = []
        self.scrapes: list[str] = []

    @property
    def last(self) -> PolicyStatus:
        assert self.writes, "nothing was written"
        return self.writes[-1]

    async def write_status(self, policy: Policy, status: dict[str, Any]) -> bool:
        written = PolicyStatus.model_validate(status, strict=False)
        self.writes.append(written)
        current = self._known.policies_by_name[policy.name]
        self._known.policies_by_name[policy.name] = replace(current, status=written.to_json())
        return True

    async def create_event(self, event: dict[str, Any], namespace: str) -> None:
        pass

    def status_written(self, outcome: str) -> None:
        pass

    def event_posted(self, outcome: str) -> None:
        pass

    def scraped(self, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.scrapes.append(outcome)


@pytest.fixture
def workloads() -> Iterator[list[Workload]]:
    """Three workloads that run the policy's first generation."""
    with ExitStack() as stack:
        yield [stack.enter_context(workload(document())) for _ in range(3)]


def document(policy: Policy = POLICY) -> PolicyDocument:
    return compile_policy(policy)


@asynccontextmanager
async def observing(
    known: Known, interval: float = OFTEN, limits: ScrapeLimits | None = None
) -> AsyncIterator[tuple[Desk, Observer]]:
    desk = Desk(known)
    reporter = Reporter(desk, desk, instance="operator-1")
    observer = Observer(known, Scraper(limits), reporter, desk, interval=interval)
    running = asyncio.create_task(observer.run())
    try:
        yield desk, observer
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def until_written(desk: Desk, **instances: int) -> PolicyStatus:
    """Wait until the last status has these counts."""

    async def reached() -> bool:
        counts = desk.last.instances
        assert counts is not None
        found = {name: getattr(counts, name) for name in instances}
        assert found == instances
        return True

    await eventually_async(reached, message=f"instances {instances}")
    return desk.last


async def until(condition: Any, message: str) -> None:
    async def asked() -> bool:
        return bool(condition())

    await eventually_async(asked, message=message)


async def test_what_the_pods_do_becomes_the_status(workloads: list[Workload]) -> None:
    known = Known()
    for number, each in enumerate(workloads):
        known.add(f"pod-{number}", each)
    async with observing(known) as (desk, _):
        status = await until_written(desk, expected=3, reporting=3, updated=3, closed=3)
        assert status.state == "Closed"

        for each in workloads[:2]:
            each.registry.breaker("payments").trip()

        status = await until_written(desk, open=2, closed=1)
        assert status.state == "Open"
        assert [each.pod for each in status.open_instances or ()] == ["pod-0", "pod-1"]


async def test_without_pods_the_state_is_unknown() -> None:
    async with observing(Known()) as (desk, _):
        status = await until_written(desk, expected=0)

    assert status.state == "Unknown"


async def test_at_rest_nothing_is_written(workloads: list[Workload]) -> None:
    known = Known()
    known.add("pod-0", workloads[0])
    async with observing(known) as (desk, _):
        await until_written(desk, reporting=1)
        asked = workloads[0].requests
        await until(lambda: workloads[0].requests >= asked + 10, "ten more rounds")

    assert len(desk.writes) == 1


async def test_after_a_stall_of_the_operator_the_pods_are_heard_before_anything_is_said(
    workloads: list[Workload],
) -> None:
    known = Known()
    known.add("pod-0", workloads[0])
    async with observing(known, interval=0.3) as (desk, _):
        await until_written(desk, reporting=1)
        for _ in range(3):
            asked = workloads[0].requests
            await until(lambda at=asked: workloads[0].requests > at, "another round")
            threading.Event().wait(1.5)  # the whole event loop stands still, for longer than readings last

            await until(lambda at=asked: workloads[0].requests > at + 2, "more rounds")

    assert len(desk.writes) == 1


async def test_an_edit_is_reported_at_once_and_not_with_the_next_round(workloads: list[Workload]) -> None:
    known = Known()
    known.add("pod-0", workloads[0])
    async with observing(known, interval=NEVER_AGAIN) as (desk, observer):
        await until_written(desk, updated=1)

        known.edit()
        observer.wake("shop")

        status = await until_written(desk, updated=0)
        assert status.observed_generation == 2
        propagated = next(each for each in status.conditions or () if each.type == "Propagated")
        assert (propagated.status, propagated.observed_generation) == ("False", 2)
        assert workloads[0].requests == 1


async def test_pods_that_load_the_edit_are_counted_as_updated(workloads: list[Workload]) -> None:
    known = Known()
    for number, each in enumerate(workloads):
        known.add(f"pod-{number}", each)
    async with observing(known) as (desk, observer):
        await until_written(desk, updated=3)
        known.edit()
        observer.wake("shop")
        await until_written(desk, updated=0)

        for each in workloads[:2]:
            each.load(document(known.policies_by_name["payments"]))

        status = await until_written(desk, reporting=3, updated=2)
        assert status.summary is not None
        assert status.summary.updated == "2/3"


async def test_a_pod_that_hangs_delays_the_news_of_no_other(workloads: list[Workload]) -> None:
    known = Known()
    known.add("good", workloads[0])
    known.add("hangs", workloads[1])
    patient = ScrapeLimits(seconds=3600)
    async with observing(known, limits=patient) as (desk, _):
        await until_written(desk, reporting=2)
        workloads[1].hang()
        asked, asked_before_hanging = workloads[0].requests, workloads[1].requests
        workloads[0].registry.breaker("payments").trip()

        await until_written(desk, open=1)
        await until(lambda: workloads[0].requests >= asked + 10, "ten more rounds of the good pod")
        assert desk.last.instances is not None
        assert desk.last.instances.expected == 2
        assert workloads[1].requests <= asked_before_hanging + 1  # one at a time
        workloads[1].recover()


async def test_a_pod_that_keeps_timing_out_is_asked_less_often_until_it_has_another_address(
    workloads: list[Workload],
) -> None:
    known = Known()
    known.add("good", workloads[0])
    known.add("hangs", workloads[1])
    workloads[1].hang()
    async with observing(known, limits=ScrapeLimits(seconds=0.02)) as (desk, _):
        await until(lambda: desk.scrapes.count("timeout") >= 4, "four timeouts")
        asked, timeouts = desk.scrapes.count("ok"), desk.scrapes.count("timeout")
        await until(lambda: desk.scrapes.count("ok") >= asked + 32, "32 more rounds")
        assert 1 <= desk.scrapes.count("timeout") - timeouts <= 8

        known.add("hangs", workloads[2])
        await until_written(desk, reporting=2)
        workloads[1].recover()


async def test_pods_that_keep_joining_do_not_keep_the_namespace_from_being_judged(
    workloads: list[Workload],
) -> None:
    known = Known()
    known.add("pod-0", workloads[0])
    joined = 0
    many_at_once = ScrapeLimits(concurrency=4000)
    with socket.create_server(("127.0.7.99", 0)) as hangs:  # it accepts no connection
        port = hangs.getsockname()[1]
        async with observing(known, interval=0.5, limits=many_at_once) as (desk, observer):
            await until_written(desk, reporting=1)
            workloads[0].registry.breaker("payments").trip()

            async def is_told() -> bool:
                nonlocal joined
                known.pods_by_name.pop(f"joins-{joined}", None)
                joined += 1
                known.add(f"joins-{joined}", ip="127.0.7.99", metrics_port=port)
                observer.wake("shop")
                return desk.last.state == "Open"

            await eventually_async(is_told, message="the open circuit is told")


async def test_pods_that_failed_last_wait_until_the_others_had_their_turn(workloads: list[Workload]) -> None:
    known = Known()
    known.add("has-no-process", workloads[1])
    known.add("answers", workloads[0])
    workloads[1].vanish()
    async with observing(known, limits=ScrapeLimits(concurrency=1)) as (desk, _):
        await until(lambda: len(desk.scrapes) >= 4, "two rounds")

    assert desk.scrapes[:4] == ["refused", "ok", "ok", "refused"]


async def test_a_pod_that_stays_silent_stops_reporting_and_one_that_comes_back_reports(
    workloads: list[Workload],
) -> None:
    known = Known()
    known.add("good", workloads[0])
    known.add("leaves", workloads[1])
    async with observing(known) as (desk, _):
        await until_written(desk, reporting=2)
        workloads[1].vanish()

        status = await until_written(desk, expected=2, reporting=1)
        reporting = next(each for each in status.conditions or () if each.type == "Reporting")
        assert reporting.reason == "SomeSilent"
        assert "leaves (port 9464 refuses connections)" in reporting.message


async def test_a_pod_that_is_deleted_is_expected_no_more(workloads: list[Workload]) -> None:
    known = Known()
    known.add("stays", workloads[0])
    known.add("goes", workloads[1])
    async with observing(known) as (desk, _):
        await until_written(desk, expected=2)
        del known.pods_by_name["goes"]

        await until_written(desk, expected=1, reporting=1)


async def test_pods_that_do_not_run_or_are_on_the_hosts_network_are_not_expected(
    workloads: list[Workload],
) -> None:
    known = Known()
    known.add("runs", workloads[0])
    known.add("pending", workloads[1], running=False)
    known.add("on-host", workloads[2], host_network=True)
    async with observing(known) as (desk, _):
        await until_written(desk, expected=1, reporting=1)

    assert workloads[1].requests == workloads[2].requests == 0


async def test_pods_of_namespaces_without_policies_are_not_asked(workloads: list[Workload]) -> None:
    known = Known()
    known.add("here", workloads[0])
    known.add("elsewhere", workloads[1], namespace="other")
    async with observing(known) as (desk, _):
        await until_written(desk, reporting=1)
        await until(lambda: workloads[0].requests >= 5, "five rounds")

    assert workloads[1].requests == 0


async def test_nothing_is_said_before_each_pod_was_asked_once(workloads: list[Workload]) -> None:
    known = Known()
    known.add("quick", workloads[0])
    known.add("slow", workloads[1])
    workloads[1].hang()
    async with observing(known) as (desk, observer):
        await until(lambda: workloads[1].requests, "a request to the slow pod")
        observer.wake("shop")
        await until(lambda: desk.scrapes, "an answer of the quick pod")
        observer.wake("shop")
        workloads[1].recover()
        await until(lambda: desk.writes, "a status")

    assert desk.writes[0].instances is not None
    assert desk.writes[0].instances.reporting == 2


async def test_a_pod_that_joins_is_asked_at_once_before_anything_is_said_of_it(
    workloads: list[Workload],
) -> None:
    known = Known()
    known.add("pod-0", workloads[0])
    async with observing(known, interval=NEVER_AGAIN) as (desk, observer):
        await until_written(desk, expected=1, reporting=1)
        known.add("pod-1", workloads[1])
        observer.wake("shop")

        await until_written(desk, expected=2, reporting=2)

    assert [write.instances.reporting for write in desk.writes if write.instances] == [1, 2]


async def test_a_pod_that_joins_and_hangs_does_not_hold_up_the_namespace_for_long(
    workloads: list[Workload],
) -> None:
    known = Known()
    known.add("pod-0", workloads[0])
    async with observing(known, interval=NEVER_AGAIN, limits=ScrapeLimits(seconds=3600)) as (desk, observer):
        await until_written(desk, expected=1, reporting=1)
        workloads[1].hang()
        known.add("pod-1", workloads[1])
        observer.wake("shop")

        status = await until_written(desk, expected=2, reporting=1)
        workloads[1].recover()

    reporting = next(each for each in status.conditions or () if each.type == "Reporting")
    assert "pod-1 (has not answered yet)" in reporting.message


async def test_nothing_is_said_of_a_generation_that_has_no_verdict_yet(workloads: list[Workload]) -> None:
    known = Known(undecided=True)
    known.add("pod-0", workloads[0])
    async with observing(known) as (desk, observer):
        await until(lambda: workloads[0].requests >= 5, "five rounds")
        assert desk.writes == []

        known.undecided = False
        observer.wake("shop")
        await until_written(desk, reporting=1)


async def test_a_policy_in_a_new_namespace_is_looked_at_without_waiting_for_the_next_round(
    workloads: list[Workload],
) -> None:
    known = Known(policies_by_name={})
    known.add("pod-0", workloads[0])
    async with observing(known, interval=NEVER_AGAIN) as (desk, observer):
        known.policies_by_name["payments"] = POLICY
        observer.wake("shop")

        await until_written(desk, reporting=1)


async def test_a_policy_that_is_created_anew_starts_afresh(workloads: list[Workload]) -> None:
    known = Known()
    known.add("pod-0", workloads[0])
    async with observing(known) as (desk, observer):
        await until_written(desk, updated=1)
        known.policies_by_name["payments"] = replace(POLICY, uid="u2")
        observer.wake("shop")

        status = await until_written(desk, reporting=1, updated=0)
        assert status.last_transition_time is not None


async def test_the_time_an_instance_opened_survives_a_restart_of_the_operator(
    workloads: list[Workload],
) -> None:
    known = Known()
    known.add("pod-0", workloads[0])
    workloads[0].registry.breaker("payments").trip()
    async with observing(known) as (desk, _):
        await until_written(desk, open=1)
    listed = known.policies_by_name["payments"].status["openInstances"][0]
    long_ago = "2026-11-01T00:00:00Z"
    status = {**known.policies_by_name["payments"].status, "openInstances": [{**listed, "since": long_ago}]}
    known.policies_by_name["payments"] = replace(known.policies_by_name["payments"], status=status)

    asked = workloads[0].requests
    async with observing(known) as (desk, _):
        await until(lambda: workloads[0].requests >= asked + 5, "five rounds")

    assert desk.writes == []
    assert workloads[0].registry.breaker("payments").state is CircuitState.OPEN


async def test_a_policy_that_cannot_be_judged_does_not_hold_up_its_neighbours(
    workloads: list[Workload],
) -> None:
    odd = replace(POLICY, name="odd", uid="u9", generation=-1)
    known = Known(policies_by_name={"odd": odd, "payments": POLICY})
    known.add("pod-0", workloads[0])
    async with observing(known) as (desk, _):
        await until_written(desk, reporting=1)

    assert all(write.observed_generation == 1 for write in desk.writes)


async def test_scrapes_are_counted_by_their_outcome(workloads: list[Workload]) -> None:
    known = Known()
    known.add("answers", workloads[0])
    known.add("has-no-address")
    async with observing(known) as (desk, _):
        await until_written(desk, expected=2, reporting=1)

    assert set(desk.scrapes) == {"ok", "address"}
