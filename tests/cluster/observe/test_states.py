"""What the fleet does is what the policy's status says, on a real API server."""

import pytest

from tests.cluster.observe.fleet import Fleet
from tests.support.operator import OperatorProcess

pytestmark = pytest.mark.usefixtures("operator")


def conditions(status: dict[str, list[dict[str, str]]]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_without_pods_the_state_is_unknown_and_says_why(fleet: Fleet) -> None:
    fleet.create()

    status = fleet.await_status(state="Unknown", expected=0, reporting=0)

    assert conditions(status) == {
        "Accepted": ("True", "Accepted"),
        "Propagated": ("Unknown", "NoInstances"),
        "Reporting": ("Unknown", "NoInstances"),
        "Healthy": ("Unknown", "NoInstances"),
    }


def test_pods_that_run_the_policy_make_it_closed_propagated_reporting_and_healthy(fleet: Fleet) -> None:
    fleet.create()
    document = fleet.await_document(1)
    for number in range(3):
        fleet.start_pod(f"checkout-{number}", document)

    status = fleet.await_status(state="Closed", expected=3, reporting=3, updated=3, closed=3, open=0)

    assert conditions(status) == {
        "Accepted": ("True", "Accepted"),
        "Propagated": ("True", "AllUpdated"),
        "Reporting": ("True", "AllReporting"),
        "Healthy": ("True", "NoneOpen"),
    }


def test_a_pod_without_the_label_is_not_counted(fleet: Fleet) -> None:
    fleet.create()
    document = fleet.await_document(1)
    stranger = fleet.start_pod("stranger", document, enabled=False)
    asked = fleet.start_pod("checkout", document)

    fleet.await_status(expected=1, reporting=1)

    assert asked.requests > 0
    assert stranger.requests == 0


def test_a_pod_on_an_older_generation_is_not_counted_as_updated(fleet: Fleet) -> None:
    fleet.create()
    old = fleet.await_document(1)
    fleet.patch(recovery={"openDuration": "7s"})
    new = fleet.await_document(2)
    fleet.start_pod("checkout-0", new)
    fleet.start_pod("checkout-1", new)
    behind = fleet.start_pod("checkout-2", old)

    status = fleet.await_status(reporting=3, updated=2)
    assert conditions(status)["Propagated"] == ("False", "Propagating")
    assert status["summary"]["updated"] == "2/3"
    message = next(each["message"] for each in status["conditions"] if each["type"] == "Propagated")
    assert message.endswith("not yet: checkout-2 (runs generation 1)")

    behind.load(new)
    assert conditions(fleet.await_status(updated=3))["Propagated"] == ("True", "AllUpdated")


def test_open_instances_are_listed_with_their_deadline(fleet: Fleet) -> None:
    fleet.create(recovery={"openDuration": "1h", "maxOpenDuration": "1h"})
    document = fleet.await_document(1)
    pods = [fleet.start_pod(f"checkout-{number}", document) for number in range(3)]
    fleet.await_status(state="Closed", reporting=3)

    for each in pods[1:]:
        each.registry.breaker("payments").trip()

    status = fleet.await_status(state="Open", open=2, closed=1)
    assert [each["pod"] for each in status["openInstances"]] == ["checkout-1", "checkout-2"]
    assert all(each["since"] < each["until"] for each in status["openInstances"])
    assert conditions(status)["Healthy"] == ("False", "Open")


def test_the_calls_in_all_windows_make_the_rates(fleet: Fleet) -> None:
    fleet.create(trip={"window": {"type": "Count", "size": 100}, "minimumCalls": 100})
    document = fleet.await_document(1)
    pods = [fleet.start_pod(f"checkout-{number}", document) for number in range(2)]
    for each in pods:
        breaker = each.registry.breaker("payments")
        for failed in (True, False, False, False):
            permit = breaker.acquire()
            permit.failure(ConnectionError()) if failed else permit.success()

    status = fleet.await_status(calls=8, failureRatePercent=25)

    assert status["slowCallRatePercent"] == 0


def test_the_emergency_switch_is_seen_on_instances_that_run_it(fleet: Fleet) -> None:
    fleet.create()
    document = fleet.await_document(1)
    pods = [fleet.start_pod(f"checkout-{number}", document) for number in range(2)]
    fleet.await_status(state="Closed", reporting=2)
    fleet.patch(mode="ForceOpen")
    forced = fleet.await_document(2)

    pods[0].load(forced)
    fleet.await_status(state="Mixed", updated=1, open=1)
    pods[1].load(forced)
    status = fleet.await_status(state="ForcedOpen", updated=2, open=2)

    assert conditions(status)["Healthy"] == ("False", "ForcedOpen")


def test_of_two_policies_for_one_target_the_loser_says_who_won(fleet: Fleet) -> None:
    fleet.create("first", target={"name": "payments"})
    fleet.await_status("first", state="Unknown")
    fleet.create(
        "second",
        target={
            "name": "payments",
        },
    )

    status = fleet.await_status("second", state="Unknown")

    assert conditions(status)["Accepted"] == ("False", "Conflicted")
    assert conditions(status)["Propagated"] == ("False", "NotAccepted")
    assert "first" in status["conditions"][0]["message"]


def test_a_policy_that_is_created_anew_takes_over_nothing_of_the_earlier_one(
    fleet: Fleet, operator: OperatorProcess
) -> None:
    fleet.create(recovery={"openDuration": "1h", "maxOpenDuration": "1h"})
    pod = fleet.start_pod("checkout", fleet.await_document(1))
    pod.registry.breaker("payments").trip()
    fleet.await_status(state="Open")

    fleet.delete()
    pod.load()
    created = fleet.create()

    status = fleet.await_status(state="Closed", reporting=1, updated=0)
    assert status["lastTransitionTime"] >= created["metadata"]["creationTimestamp"]
    assert status["openInstances"] == []
