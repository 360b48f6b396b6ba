"""The chart's roles are the least that the operator needs: all of it works with them, and nothing can be taken away."""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from dev.controlplane import ControlPlane
from switchgear_operator.cluster import ApiError, Cluster, ConfigMap
from switchgear_operator.connection import Connection
from switchgear_operator.events import Event
from switchgear_operator.informed import policy_of
from switchgear_operator.objects import Policy
from tests.conftest import Kubectl
from tests.e2e.chart.helm import CHART, Helm, Manifest
from tests.support.api import policies_path
from tests.support.waiting import eventually

POLICY = {
    "apiVersion": "switchgear.dev/v1alpha1",
    "kind": "CircuitBreakerPolicy",
    "metadata": {"name": "payments"},
    "spec": {"target": {"name": "payments"}},
}
NAMED = {"fieldSelector": "metadata.name=switchgear-policies"}
LABELLED = {"labelSelector": "switchgear.dev/enabled=true"}
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/switchgear"
MERGE = {"Content-Type": "application/merge-patch+json"}
POLICIES, CONFIG_MAPS, PODS = (
    "/apis/switchgear.dev/v1alpha1/circuitbreakerpolicies",
    "/api/v1/configmaps",
    "/api/v1/pods",
)

Act = Callable[[Cluster, Policy], Awaitable[object]]


async def watched(cluster: Cluster, path: str, selector: dict[str, str]) -> None:
    async for _ in cluster.watch(path, selector, "0", 1):
        return


async def read_policies(cluster: Cluster, policy: Policy) -> None:
    await cluster.list_all(POLICIES, {})


async def follow_policies(cluster: Cluster, policy: Policy) -> None:
    await watched(cluster, POLICIES, {})


async def report_status(cluster: Cluster, policy: Policy) -> None:
    await cluster.write_status(policy, {"observedGeneration": 1})


async def read_config_maps(cluster: Cluster, policy: Policy) -> None:
    await cluster.list_all(CONFIG_MAPS, NAMED)


async def follow_config_maps(cluster: Cluster, policy: Policy) -> None:
    await watched(cluster, CONFIG_MAPS, NAMED)


async def publish_first_policy(cluster: Cluster, policy: Policy) -> None:
    await cluster.delete_config_map(await config_map(cluster, policy))
    await cluster.apply_config_map(policy.namespace, {"payments.json": "{}"})


async def publish_edit(cluster: Cluster, policy: Policy) -> None:
    await cluster.apply_config_map(policy.namespace, {"payments.json": "{ }"})


async def repair_drift(cluster: Cluster, policy: Policy) -> None:
    await config_map(cluster, policy)
    await cluster.drop_config_map_keys(policy.namespace, ["foreign"], [])


async def withdraw_last_policy(cluster: Cluster, policy: Policy) -> None:
    await cluster.delete_config_map(await config_map(cluster, policy))


async def find_pods(cluster: Cluster, policy: Policy) -> None:
    await cluster.list_all(PODS, LABELLED)


async def follow_pods(cluster: Cluster, policy: Policy) -> None:
    await watched(cluster, PODS, LABELLED)


async def tell_transition(cluster: Cluster, policy: Policy) -> None:
    event = Event("Normal", "Closed", "all instances are closed").to_json(
        policy, datetime.now(UTC), "operator-1"
    )
    await cluster.create_event(event, policy.namespace)


NEEDED: dict[tuple[str, str, str], tuple[Act, ...]] = {
    ("switchgear.dev", "circuitbreakerpolicies", "list"): (read_policies,),
    ("switchgear.dev", "circuitbreakerpolicies", "watch"): (follow_policies,),
    ("switchgear.dev", "circuitbreakerpolicies/status", "patch"): (report_status,),
    ("", "configmaps", "list"): (read_config_maps,),
    ("", "configmaps", "watch"): (follow_config_maps,),
    ("", "configmaps", "create"): (publish_first_policy,),
    ("", "configmaps", "patch"): (publish_edit, repair_drift),
    ("", "configmaps", "delete"): (withdraw_last_policy,),
    ("", "pods", "list"): (find_pods,),
    ("", "pods", "watch"): (follow_pods,),
    ("events.k8s.io", "events", "create"): (tell_transition,),
}
"""Each permission (API group, resource, verb), and what breaks without it."""


async def config_map(cluster: Cluster, policy: Policy) -> ConfigMap:
    """The namespace's ConfigMap without preconditions that matter: these tests are alone with it."""
    answer = await cluster.apply_config_map(policy.namespace, {"payments.json": "{}"})
    metadata = answer["metadata"]
    return ConfigMap(
        namespace=policy.namespace,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        data={},
        ours=True,
        labelled=True,
    )


@pytest.fixture(scope="module")
def operator_namespace(api: httpx.Client, kubectl: Kubectl, helm: Helm) -> Iterator[str]:
    """A namespace with the chart installed, for its service account and roles; nothing runs its pod."""
    name = "permissions"
    api.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
    helm("install", "switchgear", str(CHART), "-n", name, "--take-ownership")
    yield name
    helm.uninstall(name)
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def role(api: httpx.Client, operator_namespace: str) -> Iterator[Manifest]:
    """The operator's ClusterRole, which is restored after the test."""
    found: Manifest = api.get(ROLE).raise_for_status().json()
    yield found
    api.patch(ROLE, json={"rules": found["rules"]}, headers=MERGE).raise_for_status()


@pytest.fixture
def policy(api: httpx.Client, operator_namespace: str, namespace: str) -> Policy:
    answer = eventually(lambda: created(api, namespace), message="a policy, once its CRD is established")
    return policy_of(answer)


def created(api: httpx.Client, namespace: str) -> Manifest:
    answer = api.post(policies_path(namespace), json=POLICY)
    body: Manifest = answer.json()
    return body if answer.is_success else {}


@pytest.fixture
def perform(control_plane: ControlPlane, operator_namespace: str, policy: Policy) -> Callable[[Act], None]:
    """Carries out one of the operator's functions as its service account."""
    kubeconfig = control_plane.service_account_kubeconfig(operator_namespace, "switchgear")

    async def connected(act: Act) -> None:
        async with Cluster(Connection(kubeconfig=str(kubeconfig))) as cluster:
            await act(cluster, policy)

    return lambda act: asyncio.run(connected(act))


def test_the_role_holds_the_needed_permissions_and_no_others(role: Manifest) -> None:
    held = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    (config_maps,) = (rule for rule in role["rules"] if rule["resources"] == ["configmaps"])

    assert held == set(NEEDED)
    assert config_maps["resourceNames"] == ["switchgear-policies"]


@pytest.mark.parametrize("act", [act for acts in NEEDED.values() for act in acts])
def test_each_function_works_with_the_charts_role(perform: Callable[[Act], None], act: Act) -> None:
    perform(act)


@pytest.mark.parametrize(
    ("permission", "act"), [(permission, act) for permission, acts in NEEDED.items() for act in acts]
)
def test_without_a_permission_its_function_is_refused(
    api: httpx.Client,
    role: Manifest,
    perform: Callable[[Act], None],
    permission: tuple[str, str, str],
    act: Act,
) -> None:
    group, resource, verb = permission
    rules = copy.deepcopy(role["rules"])
    for rule in rules:
        if (rule["apiGroups"], rule["resources"]) == ([group], [resource]):
            rule["verbs"].remove(verb)
    rules = [rule for rule in rules if rule["verbs"]]  # the API takes no rule without verbs

    api.patch(ROLE, json={"rules": rules}, headers=MERGE).raise_for_status()

    def refusal() -> str:
        try:
            perform(act)
        except ApiError as error:
            return str(error)
        return ""

    assert f'cannot {verb} resource "{resource}"' in eventually(
        refusal, message=f"a refusal to {verb} {resource}"
    )


@pytest.mark.parametrize(
    "wanted",
    [
        ("get", "", "secrets", ""),
        ("list", "", "secrets", ""),
        ("list", "", "configmaps", ""),
        ("get", "", "configmaps", "kube-root-ca.crt"),
        ("patch", "", "configmaps", "anything-else"),
        ("get", "", "pods", ""),
        ("delete", "", "pods", ""),
        ("create", "", "pods", ""),
        ("list", "", "namespaces", ""),
        ("patch", "switchgear.dev", "circuitbreakerpolicies", ""),
        ("delete", "switchgear.dev", "circuitbreakerpolicies", ""),
        ("create", "rbac.authorization.k8s.io", "rolebindings", ""),
        ("list", "apiextensions.k8s.io", "customresourcedefinitions", ""),
    ],
)
def test_the_operator_may_not(api: httpx.Client, operator_namespace: str, wanted: tuple[str, ...]) -> None:
    attributes = dict(zip(("verb", "group", "resource", "name"), wanted, strict=True))

    assert not allowed(api, operator_namespace, "default", attributes)


def test_with_namespaces_it_may_nothing_beyond_them(
    api: httpx.Client, kubectl: Kubectl, helm: Helm, namespace: str, restricted: str
) -> None:
    objects = helm.template(restricted, {"namespaces": [namespace], "crds.install": False})
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def may(verb: str, group: str, resource: str, where: str) -> bool:
        return allowed(api, restricted, where, {"verb": verb, "group": group, "resource": resource})

    assert not any(each["kind"].startswith("Cluster") for each in objects)
    eventually(lambda: may("list", "", "pods", namespace))
    assert may("watch", "switchgear.dev", "circuitbreakerpolicies", namespace)
    assert not may("list", "", "pods", restricted)
    assert not may("list", "switchgear.dev", "circuitbreakerpolicies", "")


def allowed(api: httpx.Client, account_namespace: str, namespace: str, wanted: Manifest) -> bool:
    """What the API server says that the operator's service account may do."""
    user = f"system:serviceaccount:{account_namespace}:switchgear"
    spec = {
        "user": user,
        "groups": ["system:authenticated"],
        "resourceAttributes": {**wanted, "namespace": namespace},
    }
    answer = api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json={"spec": spec})
    return bool(answer.raise_for_status().json()["status"]["allowed"])
