"""What the chart renders is accepted by the API server, in a namespace that enforces restricted pods."""

import json

import pytest

from dev.controlplane import KubectlError
from tests.conftest import Kubectl
from tests.e2e.chart.helm import Helm, Manifest
from tests.e2e.chart.test_values import operator_container

FULL = {
    "image": {"repository": "registry.example/switchgear", "tag": "1.2.3", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "serviceAccount": {"create": True, "name": "operator", "annotations": {"a": "b"}},
    "http": {"address": "::", "port": 9000},
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "1.5Gi"}},
    "podAnnotations": {"note": "yes"},
    "podLabels": {"team": "a", "app.kubernetes.io/name": "cannot-be-changed"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "system-cluster-critical",
}

VARIANTS: dict[str, Manifest] = {
    "defaults": {},
    "everything set": FULL,
    "some namespaces": {"namespaces": ["default", "kube-public"]},
    "nothing but the deployment": {
        "crds.install": False,
        "serviceAccount.create": False,
        "rbac.create": False,
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_accepts_every_object(
    helm: Helm, kubectl: Kubectl, restricted: str, variant: str
) -> None:
    objects = helm.template(restricted, VARIANTS[variant])
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})

    said = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=listed)

    assert said.count("(server dry run)") == len(objects)


def pod_of(objects: list[Manifest], namespace: str) -> str:
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    spec = template["spec"] | {"serviceAccountName": "default", "priorityClassName": ""}
    metadata = template["metadata"] | {"name": "operator", "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


@pytest.mark.parametrize("variant", ["defaults", "everything set"])
def test_pod_security_admits_the_pod_without_a_warning(
    helm: Helm, kubectl: Kubectl, restricted: str, variant: str
) -> None:
    kubectl("wait", "--for=create", "serviceaccount/default", "-n", restricted, "--timeout=10s")
    pod = pod_of(helm.template(restricted, VARIANTS[variant]), restricted)

    kubectl("apply", "--dry-run=server", "--warnings-as-errors", "-f", "-", stdin=pod)


@pytest.mark.parametrize(
    "weakening",
    [{"allowPrivilegeEscalation": None}, {"capabilities": None}, {"runAsUser": 0}],
    ids=lambda weakening: next(iter(weakening)),
)
def test_pod_security_is_really_enforced_there(
    helm: Helm, kubectl: Kubectl, restricted: str, weakening: Manifest
) -> None:
    kubectl("wait", "--for=create", "serviceaccount/default", "-n", restricted, "--timeout=10s")
    objects = helm.template(restricted)
    operator_container(objects)["securityContext"].update(weakening)

    with pytest.raises(KubectlError, match="violates PodSecurity"):
        kubectl("apply", "--dry-run=server", "-f", "-", stdin=pod_of(objects, restricted))


def test_the_root_filesystem_is_read_only_and_nobody_is_root(helm: Helm) -> None:
    objects = helm.template("x")
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")

    assert operator_container(objects)["securityContext"]["readOnlyRootFilesystem"] is True
    assert deployment["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True


def test_a_pods_labels_cannot_break_the_selector(helm: Helm) -> None:
    (deployment,) = (each for each in helm.template("x", FULL) if each["kind"] == "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels["team"] == "a"


@pytest.mark.parametrize(
    ("values", "release", "name"),
    [
        ({}, "switchgear", "switchgear"),
        ({}, "prod", "prod-switchgear"),
        ({"nameOverride": "breakers"}, "prod", "prod-breakers"),
        ({"fullnameOverride": "operator"}, "prod", "operator"),
        ({}, "a" * 53, "a" * 52 + "a-switchgear"[:11]),
    ],
)
def test_objects_are_named_for_the_release(helm: Helm, values: Manifest, release: str, name: str) -> None:
    objects = [
        each for each in helm.template("x", values, release) if each["kind"] != "CustomResourceDefinition"
    ]

    assert {each["metadata"]["name"] for each in objects} == {name[:63].rstrip("-")}
