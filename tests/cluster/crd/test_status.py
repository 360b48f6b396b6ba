"""The status is written through its subresource alone, is checked, and is what `kubectl get cbp` prints."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from dev.controlplane import ControlPlane, KubectlError
from switchgear_operator.status import (
    Condition,
    ConditionType,
    Instances,
    OpenInstance,
    PolicyState,
    PolicyStatus,
    Summary,
)
from tests.conftest import Kubectl
from tests.support.api import policies_path, policy_manifest

MINIMAL = {"target": {"name": "orders-db"}}
NOW = datetime(2026, 11, 24, 9, 30, 15, 123456, tzinfo=UTC)

STATUS = PolicyStatus(
    observed_generation=7,
    state=PolicyState.OPEN,
    instances=Instances(expected=5, reporting=5, updated=5, open=3, half_open=0, closed=2),
    failure_rate_percent=63,
    slow_call_rate_percent=7,
    calls=1234,
    rejected_per_minute=120,
    last_transition_time=NOW,
    open_instances=(
        OpenInstance(pod="checkout-7f-a", since=NOW, until=NOW + timedelta(seconds=5), last_error="httpx.ConnectTimeout"),
        OpenInstance(pod="checkout-7f-b"),
    ),
    conditions=(
        Condition(
            type=ConditionType.PROPAGATED,
            status="True",
            reason="Propagated",
            message="All 5 instances run generation 7.",
            last_transition_time=NOW,
            observed_generation=7,
        ),
        Condition(
            type=ConditionType.ACCEPTED,
            status="True",
            reason="Accepted",
            message="",
            last_transition_time=NOW,
        ),
    ),
    summary=Summary(target="payments.shop:8080", open="3/5", updated="5/5", reporting="5/5"),
)  # fmt: skip


@pytest.fixture
def policy(cluster: ControlPlane, kubectl: Kubectl, namespace: str) -> str:
    """The namespace of a policy named `policy`."""
    kubectl("apply", "-n", namespace, "-f", "-", stdin=policy_manifest(MINIMAL))
    return namespace


def write(kubectl: Kubectl, namespace: str, status: object) -> None:
    patch = json.dumps({"status": status})
    kubectl("patch", "cbp", "policy", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)


def read(kubectl: Kubectl, namespace: str) -> Any:
    return json.loads(kubectl("get", "cbp", "policy", "-n", namespace, "-o", "json"))


def test_a_status_in_an_applied_policy_is_dropped(
    cluster: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    manifest = policy_manifest(MINIMAL, status={"state": "Open", "calls": 7})

    kubectl("apply", "-n", namespace, "--validate=strict", "-f", "-", stdin=manifest)

    assert "status" not in read(kubectl, namespace)


def test_a_patch_of_the_policy_leaves_the_status_alone(kubectl: Kubectl, policy: str) -> None:
    write(kubectl, policy, {"state": "Open"})

    kubectl("patch", "cbp", "policy", "-n", policy, "--type=merge", "-p", '{"status": {"state": "Closed"}}')

    assert read(kubectl, policy)["status"] == {"state": "Open"}


def test_a_user_who_may_write_policies_but_not_their_status_is_refused(
    cluster: ControlPlane, kubectl: Kubectl, policy: str
) -> None:
    kubectl("create", "serviceaccount", "author", "-n", policy)
    kubectl("create", "role", "author", "-n", policy, "--verb=get,patch", "--resource=circuitbreakerpolicies")
    kubectl(
        "create", "rolebinding", "author", "-n", policy, "--role=author", f"--serviceaccount={policy}:author"
    )
    author = cluster.service_account_kubeconfig(policy, "author")
    change = ("patch", "cbp", "policy", "-n", policy, "--type=merge", "-p")

    kubectl(*change, '{"spec": {"mode": "Observe"}}', kubeconfig=author)
    with pytest.raises(KubectlError, match=r"Forbidden.*circuitbreakerpolicies/status"):
        kubectl(*change, '{"status": {"state": "Open"}}', "--subresource=status", kubeconfig=author)


def test_a_status_write_changes_neither_spec_nor_generation(
    kubectl: Kubectl, policy: str, api: httpx.Client
) -> None:
    before = read(kubectl, policy)
    body = {"spec": {"mode": "Disabled"}, "status": {"state": "Open"}}

    answer = api.patch(
        f"{policies_path(policy, 'policy')}/status",
        content=json.dumps(body),
        headers={"Content-Type": "application/merge-patch+json"},
    )

    assert answer.is_success
    after = read(kubectl, policy)
    assert after["status"] == {"state": "Open"}
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_the_whole_status_of_the_models_is_kept_as_written(policy: str, api: httpx.Client) -> None:
    answer = api.patch(
        f"{policies_path(policy, 'policy')}/status",
        params={"fieldValidation": "Strict"},
        content=json.dumps({"status": STATUS.to_json()}),
        headers={"Content-Type": "application/merge-patch+json"},
    )

    assert answer.is_success, answer.text
    assert answer.json()["status"] == STATUS.to_json()
    assert PolicyStatus.model_validate(answer.json()["status"]).to_json() == STATUS.to_json()


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"state": "Broken"}, "status.state"),
        ({"failureRatePercent": 101}, "status.failureRatePercent"),
        ({"failureRatePercent": 12.5}, "status.failureRatePercent"),
        ({"calls": -1}, "status.calls"),
        ({"lastTransitionTime": "yesterday"}, "status.lastTransitionTime"),
        ({"instances": {"expected": 5}}, "status.instances.reporting"),
        ({"openInstances": [{"pod": f"pod-{number}"} for number in range(11)]}, "status.openInstances"),
        ({"conditions": [{"type": "Accepted", "status": "Maybe"}]}, "status.conditions[0].status"),
        ({"conditions": [STATUS.to_json()["conditions"][0]] * 2}, "status.conditions[1]"),
        ({"conditions": [{**STATUS.to_json()["conditions"][0], "reason": "not a word"}]}, "status.conditions[0].reason"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_bad_status_is_refused(status: object, field: str, kubectl: Kubectl, policy: str) -> None:
    with pytest.raises(KubectlError) as refusal:
        write(kubectl, policy, status)

    assert field in refusal.value.output


def columns(table: str) -> dict[str, str]:
    """Header to value of a table of one row, by the positions of the headers."""
    header, row = table.splitlines()
    starts = [
        match
        for match in range(len(header))
        if header[match] != " " and header[: match + 1][-2:-1] in ("", " ")
    ]
    ends = [*starts[1:], max(len(header), len(row))]
    return {header[a:b].strip(): row[a:b].strip() for a, b in zip(starts, ends, strict=True)}


def test_kubectl_get_prints_the_columns(kubectl: Kubectl, policy: str) -> None:
    write(kubectl, policy, STATUS.to_json())

    table = columns(kubectl("get", "cbp", "-n", policy))

    age = table.pop("AGE")
    assert age.endswith("s")
    assert table == {
        "NAME": "policy",
        "TARGET": "payments.shop:8080",
        "MODE": "Enforce",
        "STATE": "Open",
        "OPEN": "3/5",
        "FAIL%": "63",
        "UPDATED": "5/5",
    }


def test_kubectl_get_wide_prints_more(kubectl: Kubectl, policy: str) -> None:
    write(kubectl, policy, STATUS.to_json())

    table = columns(kubectl("get", "cbp", "-n", policy, "-o", "wide"))

    wide = {
        name: table[name]
        for name in ("SLOW%", "CALLS", "REJECTED/MIN", "REPORTING", "ACCEPTED", "GENERATION", "OBSERVED")
    }
    assert wide == {
        "SLOW%": "7",
        "CALLS": "1234",
        "REJECTED/MIN": "120",
        "REPORTING": "5/5",
        "ACCEPTED": "Accepted",
        "GENERATION": "1",
        "OBSERVED": "7",
    }
    assert table["SINCE"]


def test_kubectl_wait_sees_a_condition(kubectl: Kubectl, policy: str) -> None:
    write(kubectl, policy, STATUS.to_json())

    waited = kubectl("wait", "--for=condition=Propagated", "cbp/policy", "-n", policy, "--timeout=20s")

    assert "condition met" in waited
