"""The operator writes a status for news only, repairs what others did to it, and touches nothing else."""

from dataclasses import replace
from pathlib import Path

from dev.controlplane import ControlPlane
from switchgear.policy import PolicyDocument
from switchgear_operator.cluster import Cluster
from switchgear_operator.connection import Connection
from switchgear_operator.informed import policy_of
from tests.cluster.observe.fleet import Fleet, observing
from tests.support.operator import OperatorProcess
from tests.support.pods import Workload
from tests.support.waiting import eventually

ROUNDS = 8
"""Rounds that are long enough for a write that should not happen to happen."""


def settled_pod(fleet: Fleet) -> tuple[Workload, PolicyDocument]:
    """A pod that runs the policy, reported as such."""
    fleet.create(recovery={"openDuration": "1h", "maxOpenDuration": "1h"})
    document = fleet.await_document(1)
    pod = fleet.start_pod("checkout", document)
    fleet.await_status(reporting=1, updated=1)
    return pod, document


def let_rounds_pass(pod: Workload) -> None:
    asked = pod.requests
    eventually(lambda: pod.requests >= asked + ROUNDS, timeout=30, message=f"{ROUNDS} rounds")


def test_at_rest_nothing_is_written(fleet: Fleet, operator: OperatorProcess) -> None:
    pod, _ = settled_pod(fleet)
    before = fleet.policy()["metadata"]["resourceVersion"]

    let_rounds_pass(pod)

    assert fleet.policy()["metadata"]["resourceVersion"] == before


def test_an_open_circuit_at_rest_is_written_once(fleet: Fleet, operator: OperatorProcess) -> None:
    pod, _ = settled_pod(fleet)
    pod.registry.breaker("payments").trip()
    fleet.await_status(state="Open")
    before = fleet.policy()["metadata"]["resourceVersion"]

    let_rounds_pass(pod)

    assert fleet.policy()["metadata"]["resourceVersion"] == before


def test_an_operator_that_was_killed_and_restarted_writes_nothing_when_nothing_changed(
    fleet: Fleet, cluster: ControlPlane, operator: OperatorProcess, tmp_path: Path
) -> None:
    pod, _ = settled_pod(fleet)
    pod.registry.breaker("payments").trip()
    fleet.await_status(state="Open")
    events = eventually(lambda: len(fleet.events()) >= 2 and fleet.events(), message="two Events")
    before = fleet.policy()

    operator.kill()
    with observing(cluster.kubeconfig, fleet.namespace, tmp_path / "second.log") as second:
        let_rounds_pass(pod)
        assert second.metric('switchgear_operator_scrapes_total{outcome="ok"}') >= ROUNDS - 1

    assert fleet.policy() == before
    assert fleet.events() == events


def test_what_changed_while_no_operator_ran_is_told_by_the_next_one(
    fleet: Fleet, cluster: ControlPlane, operator: OperatorProcess, tmp_path: Path
) -> None:
    pod, _ = settled_pod(fleet)
    operator.kill()
    pod.registry.breaker("payments").trip()

    with observing(cluster.kubeconfig, fleet.namespace, tmp_path / "second.log"):
        fleet.await_status(state="Open", open=1)


def test_a_status_that_somebody_else_changed_is_repaired_to_the_letter(
    fleet: Fleet, operator: OperatorProcess
) -> None:
    settled_pod(fleet)
    ours = fleet.policy()["status"]

    fleet.forge_status(
        {
            "state": "Open",
            "lastTransitionTime": "2001-01-01T00:00:00Z",
            "instances": {"open": 7},
            "conditions": [],
        }
    )

    eventually(lambda: fleet.policy()["status"] == ours, message="the old status")


def test_what_somebody_else_added_to_the_status_is_taken_away(
    fleet: Fleet, operator: OperatorProcess
) -> None:
    settled_pod(fleet)
    ours = fleet.policy()["status"]
    assert "failureRatePercent" not in ours
    condition = {**ours["conditions"][0], "type": "Blessed"}

    fleet.forge_status({"failureRatePercent": 99, "conditions": [*ours["conditions"], condition]})

    eventually(lambda: fleet.policy()["status"] == ours, message="the old status")


def test_a_status_that_somebody_else_removed_comes_back(fleet: Fleet, operator: OperatorProcess) -> None:
    settled_pod(fleet)
    ours = fleet.policy()["status"]

    fleet.forge_status(dict.fromkeys(ours))

    eventually(lambda: fleet.policy().get("status") == ours, message="the old status")


def test_nothing_but_the_status_is_written_on_a_policy(fleet: Fleet, operator: OperatorProcess) -> None:
    before = fleet.create()
    document = fleet.await_document(1)
    fleet.start_pod("checkout", document)
    fleet.await_status(reporting=1)

    after = fleet.policy()

    assert after["spec"] == before["spec"]
    changing = ("managedFields", "resourceVersion")
    assert {name: value for name, value in after["metadata"].items() if name not in changing} == {
        name: value for name, value in before["metadata"].items() if name not in changing
    }
    written = [
        each for each in after["metadata"]["managedFields"] if each["manager"] == "switchgear-operator"
    ]
    assert [(each["subresource"], [*each["fieldsV1"]]) for each in written] == [("status", ["f:status"])]


async def test_a_status_meant_for_an_earlier_policy_of_the_same_name_is_not_written(
    fleet: Fleet, cluster: ControlPlane
) -> None:
    standing = policy_of(fleet.create())
    earlier = replace(standing, uid="00000000-0000-4000-8000-000000000000")
    gone = replace(standing, name="gone")

    async with Cluster(Connection(kubeconfig=str(cluster.kubeconfig))) as api:
        assert not await api.write_status(earlier, {"state": "Open"})
        assert not await api.write_status(gone, {"state": "Open"})
        assert "status" not in fleet.policy()
        assert await api.write_status(standing, {"state": "Closed"})

    assert fleet.policy()["status"] == {"state": "Closed"}
