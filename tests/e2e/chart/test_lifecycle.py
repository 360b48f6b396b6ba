"""A release's whole life with the real helm, the operator running as a pod with the chart's service account and roles."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dev.node import LocalNode
from tests.conftest import Kubectl
from tests.e2e.chart.helm import CHART, Helm, HelmError, Manifest
from tests.support.waiting import eventually

POLICY = """
apiVersion: switchgear.dev/v1alpha1
kind: CircuitBreakerPolicy
metadata: {name: payments}
spec:
  target: {name: payments}
  recovery: {openDuration: %s}
"""
PROGRAM = """
import signal
import switchgear
switchgear.configure(metrics_port=9464, poll_interval=0.1)
switchgear.breaker("payments")
print("up", flush=True)
signal.pause()
"""
WORKLOAD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "checkout", "labels": {"switchgear.dev/enabled": "true"}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "main",
                "image": "checkout",
                "command": ["python", "-c", PROGRAM],
                "env": [
                    {
                        "name": "SWITCHGEAR_NAMESPACE",
                        "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
                    }
                ],
                "volumeMounts": [{"name": "policies", "mountPath": "/etc/switchgear"}],
            }
        ],
        "volumes": [{"name": "policies", "configMap": {"name": "switchgear-policies", "optional": True}}],
    },
}
QUICK = {"scrape": {"interval": 0.5, "timeout": 0.4}, "log": {"format": "text"}}


@pytest.fixture
def release(helm: Helm, node: LocalNode, restricted: str) -> Iterator[str]:
    """The chart installed in a restricted namespace, whose name this is; the operator is ready."""
    helm.install(restricted, QUICK)
    yield restricted
    helm.uninstall(restricted)


def operator_pod(kubectl: Kubectl, namespace: str) -> Manifest:
    """The one pod of the operator that is not ending."""
    pods = json.loads(kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    (found,) = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    pod: Manifest = found
    return pod


def flags(kubectl: Kubectl, namespace: str) -> list[str]:
    found: list[str] = operator_pod(kubectl, namespace)["spec"]["containers"][0]["args"]
    return found


def apply_policy(kubectl: Kubectl, namespace: str, open_duration: str = "5s") -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=POLICY % open_duration)


def document(kubectl: Kubectl, namespace: str) -> Manifest:
    """The policy as workloads read it; empty while there is none."""
    found = kubectl(
        "get", "configmap", "switchgear-policies", "-n", namespace, "--ignore-not-found", "-o", "json"
    )
    policy: Manifest = json.loads(json.loads(found)["data"]["payments.json"]) if found else {}
    return policy


def metrics(kubectl: Kubectl, namespace: str) -> str:
    """What the workload reports."""
    ip = kubectl("get", "pod", "checkout", "-n", namespace, "-o", "jsonpath={.status.podIP}")
    return httpx.get(f"http://{ip}:9464/metrics", timeout=5).text


def test_a_policy_reaches_its_workload_and_its_status_comes_back(
    kubectl: Kubectl, node: LocalNode, release: str, namespace: str
) -> None:
    apply_policy(kubectl, namespace)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(WORKLOAD))

    kubectl(
        "wait",
        "--for=jsonpath={.status.instances.updated}=1",
        "cbp/payments",
        "-n",
        namespace,
        "--timeout=30s",
    )
    kubectl("wait", "--for=condition=Propagated", "cbp/payments", "-n", namespace, "--timeout=30s")

    shown = kubectl("get", "cbp", "-n", namespace)
    assert "Closed" in shown
    assert "1/1" in shown
    assert document(kubectl, namespace)["recovery"]["openDuration"] == 5000
    pod = operator_pod(kubectl, release)
    log = node.log(release, pod["metadata"]["name"], "operator").read_text().lower()
    assert "forbidden" not in log
    assert "traceback" not in log
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_transition_is_told_by_an_event(kubectl: Kubectl, release: str, namespace: str) -> None:
    apply_policy(kubectl, namespace)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(WORKLOAD))
    kubectl("wait", "--for=jsonpath={.status.state}=Closed", "cbp/payments", "-n", namespace, "--timeout=30s")

    kubectl(
        "patch", "cbp", "payments", "-n", namespace, "--type=merge", "-p", '{"spec": {"mode": "ForceOpen"}}'
    )

    eventually(
        lambda: "ForcedOpen" in kubectl("events", "-n", namespace, "--for=cbp/payments"),
        timeout=30,
        message="an event that tells of the forced circuit",
    )


def test_upgrade_and_rollback_replace_the_operator_and_keep_the_policies(
    helm: Helm, kubectl: Kubectl, release: str, namespace: str
) -> None:
    apply_policy(kubectl, namespace)
    eventually(lambda: document(kubectl, namespace), message="the policy's document")
    before = document(kubectl, namespace)

    helm(
        "upgrade",
        "switchgear",
        str(CHART),
        "-n",
        release,
        "--wait",
        "--timeout=60s",
        values={**QUICK, "workers": 8},
    )
    assert "--workers=8" in flags(kubectl, release)
    assert document(kubectl, namespace) == before
    helm("rollback", "switchgear", "1", "-n", release, "--wait", "--timeout=60s")
    assert "--workers=4" in flags(kubectl, release)

    apply_policy(kubectl, namespace, open_duration="9s")
    eventually(
        lambda: document(kubectl, namespace)["recovery"]["openDuration"] == 9000,
        message="the edited policy",
    )
    assert document(kubectl, namespace)["uid"] == before["uid"]


def test_uninstall_leaves_policies_config_maps_and_running_breakers(
    helm: Helm, kubectl: Kubectl, release: str, namespace: str
) -> None:
    apply_policy(kubectl, namespace)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(WORKLOAD))
    kubectl("wait", "--for=condition=Propagated", "cbp/payments", "-n", namespace, "--timeout=30s")
    before = document(kubectl, namespace)

    said = helm.uninstall(release)

    assert "circuitbreakerpolicies.switchgear.dev" in said
    assert kubectl("get", "cbp", "payments", "-n", namespace, "-o", "name")
    assert document(kubectl, namespace) == before
    assert f'switchgear_policy_generation{{policy="{namespace}/payments"' in metrics(kubectl, namespace)
    left = kubectl("get", "all,serviceaccounts,roles,rolebindings", "-n", release, "-o", "name").split()
    assert [name for name in left if "switchgear" in name] == []
    assert "switchgear" not in kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")


def test_a_release_can_be_installed_again_over_what_uninstall_left(
    helm: Helm, kubectl: Kubectl, release: str, namespace: str
) -> None:
    apply_policy(kubectl, namespace)
    eventually(lambda: document(kubectl, namespace), message="the policy's document")
    helm.uninstall(release)

    helm("install", "switchgear", str(CHART), "-n", release, "--wait", "--timeout=60s", values=QUICK)

    apply_policy(kubectl, namespace, open_duration="7s")
    eventually(
        lambda: document(kubectl, namespace)["recovery"]["openDuration"] == 7000,
        message="the edited policy",
    )


def test_an_upgrade_brings_the_newer_definition(
    helm: Helm, kubectl: Kubectl, restricted: str, tmp_path: Path
) -> None:
    column = "{.spec.versions[0].additionalPrinterColumns[0].name}"
    shown = ("get", "crd", "circuitbreakerpolicies.switchgear.dev", "-o", f"jsonpath={column}")
    old = tmp_path / "switchgear"
    shutil.copytree(CHART, old)
    definition = old / "files" / "circuitbreakerpolicies.switchgear.dev.yaml"
    definition.write_text(definition.read_text().replace("- name: Target\n", "- name: Aim\n"))

    helm("install", "switchgear", str(old), "-n", restricted, "--take-ownership")
    assert kubectl(*shown) == "Aim"
    helm("upgrade", "switchgear", str(CHART), "-n", restricted)

    assert kubectl(*shown) == "Target"
    helm.uninstall(restricted)


def test_the_operator_serves_the_listed_namespaces_only(
    helm: Helm, kubectl: Kubectl, node: LocalNode, restricted: str, namespace: str
) -> None:
    helm.install(restricted, {**QUICK, "namespaces": [namespace]})
    apply_policy(kubectl, restricted)
    apply_policy(kubectl, namespace)

    eventually(lambda: document(kubectl, namespace), message="the policy's document")

    assert document(kubectl, restricted) == {}
    helm.uninstall(restricted)


def test_an_operator_without_its_roles_never_becomes_ready(
    helm: Helm, kubectl: Kubectl, node: LocalNode, restricted: str
) -> None:
    with pytest.raises(HelmError, match=r"not ready|context deadline exceeded"):
        helm(
            "install", "switchgear", str(CHART), "-n", restricted, "--take-ownership", "--wait", "--timeout=4s",
            values={**QUICK, "rbac.create": False},
        )  # fmt: skip

    log = node.log(restricted, operator_pod(kubectl, restricted)["metadata"]["name"], "operator").read_text()
    assert "cannot list resource" in log
    helm.uninstall(restricted)
