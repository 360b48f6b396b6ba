"""Where Service names lead on the local node."""

from dev.node.api import JsonObject
from dev.node.names import service_table

API = ("127.0.0.1", 6443)


def service(name: str = "payments", *, cluster_ip: str = "10.0.0.5", **spec: object) -> JsonObject:
    ports = [{"port": 80, "targetPort": 8080}]
    defaults = {"clusterIP": cluster_ip, "selector": {"app": "payments"}, "ports": ports}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {**defaults, **spec}}


def pod(ip: str, *, ready: bool = True, namespace: str = "shop", app: str = "payments") -> JsonObject:
    container = {"name": "main", "ports": [{"name": "web", "containerPort": 9000}]}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": ip, "namespace": namespace, "labels": {"app": app}},
        "spec": {"containers": [container]},
        "status": {"podIP": ip, "conditions": conditions},
    }


def test_a_services_address_leads_to_its_ready_pods() -> None:
    pods = [pod("127.0.9.3"), pod("127.0.9.2"), pod("127.0.9.4", ready=False), pod("127.0.9.5", app="other")]

    table = service_table([service()], pods, API)

    assert table == {
        "names": {"payments.shop": ["10.0.0.5"]},
        "endpoints": {"10.0.0.5:80": [["127.0.9.2", 8080], ["127.0.9.3", 8080]]},
    }


def test_pods_of_another_namespace_or_being_deleted_do_not_serve() -> None:
    leaving = pod("127.0.9.2")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    table = service_table([service()], [leaving, pod("127.0.9.3", namespace="other")], API)

    assert table["endpoints"] == {"10.0.0.5:80": []}


def test_a_target_port_may_be_a_name() -> None:
    table = service_table([service(ports=[{"port": 80, "targetPort": "web"}])], [pod("127.0.9.2")], API)

    assert table["endpoints"] == {"10.0.0.5:80": [["127.0.9.2", 9000]]}


def test_a_headless_services_name_leads_to_its_pods() -> None:
    table = service_table(
        [service(cluster_ip="None")], [pod("127.0.9.2"), pod("127.0.9.3", ready=False)], API
    )

    assert table == {"names": {"payments.shop": ["127.0.9.2"]}, "endpoints": {}}


def test_unready_pods_serve_where_the_service_says_so() -> None:
    table = service_table([service(publishNotReadyAddresses=True)], [pod("127.0.9.2", ready=False)], API)

    assert table["endpoints"] == {"10.0.0.5:80": [["127.0.9.2", 8080]]}


def test_a_service_without_selector_has_no_pods() -> None:
    table = service_table([service(selector={})], [pod("127.0.9.2")], API)

    assert table["endpoints"] == {"10.0.0.5:80": []}


def test_the_apis_own_service_leads_to_the_api_server() -> None:
    kubernetes = {
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 443}]},
    }

    table = service_table([kubernetes], [], API)

    assert table == {
        "names": {"kubernetes.default": ["10.0.0.1"]},
        "endpoints": {"10.0.0.1:443": [["127.0.0.1", 6443]]},
    }
