"""What a person at a terminal sees: the real kubectl's table, its `wait`, and the Events in its `describe`."""

import re

import pytest

from dev.controlplane import KubectlError
from tests.cluster.observe.fleet import Fleet
from tests.conftest import Kubectl
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")


def table(text: str) -> list[dict[str, str]]:
    """The rows of kubectl's table by column: cells may be empty, so that the header's positions count."""
    header, *rows = text.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", header)]
    ends = [*starts[1:], None]
    names = header.split()
    return [
        {name: row[start:end].strip() for name, start, end in zip(names, starts, ends, strict=True)}
        for row in rows
    ]


def test_get_prints_the_fleet_in_one_line(fleet: Fleet, kubectl: Kubectl) -> None:
    fleet.create("payments", target={"service": {"name": "payments", "port": 8080}})
    document = fleet.await_document(1)
    pods = [fleet.start_pod(f"checkout-{number}", document) for number in range(3)]
    fleet.await_status(reporting=3, state="Closed")
    pods[0].registry.breaker_for(f"http://payments.{fleet.namespace}:8080").trip()
    fleet.await_status(state="Open")

    (row,) = table(kubectl("get", "cbp", "-n", fleet.namespace))

    age = row.pop("AGE")
    assert re.fullmatch(r"\d+s", age)
    assert row == {
        "NAME": "payments",
        "TARGET": f"payments.{fleet.namespace}:8080",
        "MODE": "Enforce",
        "STATE": "Open",
        "OPEN": "1/3",
        "FAIL%": "",
        "UPDATED": "3/3",
    }


def test_get_wide_prints_more(fleet: Fleet, kubectl: Kubectl) -> None:
    fleet.create()
    fleet.start_pod("checkout", fleet.await_document(1))
    fleet.await_status(reporting=1, state="Closed")

    (row,) = table(kubectl("get", "cbp", "-n", fleet.namespace, "-o", "wide"))

    assert (row["REPORTING"], row["ACCEPTED"], row["CALLS"]) == ("1/1", "Accepted", "0")


def test_wait_for_propagated_returns_only_when_every_instance_runs_the_edit(
    fleet: Fleet, kubectl: Kubectl
) -> None:
    wait = ("wait", "--for=condition=Propagated", "cbp/payments", "-n", fleet.namespace)
    fleet.create()
    first = fleet.await_document(1)
    pods = [fleet.start_pod(f"checkout-{number}", first) for number in range(2)]
    kubectl(*wait, "--timeout=10s")

    edit = '{"spec": {"recovery": {"openDuration": "9s"}}}'
    kubectl("patch", "cbp", "payments", "-n", fleet.namespace, "--type=merge", "--patch", edit)
    with pytest.raises(KubectlError, match="timed out"):
        kubectl(*wait, "--timeout=2s")

    edited = fleet.await_document(2)
    for each in pods:
        each.load(edited)
    kubectl(*wait, "--timeout=10s")
    assert fleet.policy()["status"]["instances"]["updated"] == 2


def test_describe_shows_what_happened_to_the_circuits(fleet: Fleet, kubectl: Kubectl) -> None:
    fleet.create(
        recovery={
            "openDuration": "3s",
            "jitterPercent": 0,
            "halfOpen": {"permittedCalls": 1, "successThreshold": 1},
        }
    )
    pod = fleet.start_pod("checkout", fleet.await_document(1))
    fleet.await_status(state="Closed", updated=1)
    breaker = pod.registry.breaker("payments")

    breaker.trip()
    fleet.await_status(state="Open")
    fleet.await_status(state="HalfOpen")
    breaker.acquire().success()
    fleet.await_status(state="Closed")

    expected = [("Warning", "Opened"), ("Normal", "HalfOpened"), ("Normal", "Closed")]
    eventually(lambda: fleet.events()[-3:] == expected, message=f"Events {expected}")
    described = kubectl("describe", "cbp", "payments", "-n", fleet.namespace)
    assert re.search(
        r"Warning +Opened +\S+ +switchgear.dev/operator +1 of 1 reporting instances are open: checkout",
        described,
    )
    assert re.search(
        r"Normal +Closed +\S+ +switchgear.dev/operator +0 of 1 reporting instances are open", described
    )


def test_a_conflict_is_told_by_an_event_on_the_loser(fleet: Fleet, kubectl: Kubectl) -> None:
    fleet.create("first", target={"name": "payments"})
    fleet.await_status("first", state="Unknown")
    fleet.create("second", target={"name": "payments"})

    eventually(lambda: ("Warning", "Conflicted") in fleet.events(), message="an Event of the conflict")

    assert re.search(
        r"Warning +Conflicted .*first", kubectl("describe", "cbp", "second", "-n", fleet.namespace)
    )
