"""Where the ConfigMap cannot be written, the policies say so, and are delivered once it can."""

from pathlib import Path

import httpx

from dev.controlplane import ControlPlane
from tests.cluster.reconcile.shop import Shop
from tests.support.operator import operator_process


def no_more_config_maps(api: httpx.Client, namespace: str) -> None:
    """A quota below what is there already, as the API server's admission knows it from now on."""
    body = {"metadata": {"name": "none"}, "spec": {"hard": {"count/configmaps": "0"}}}
    api.post(f"/api/v1/namespaces/{namespace}/resourcequotas", json=body).raise_for_status()
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/none/status"
    status = {"status": {"hard": {"count/configmaps": "0"}, "used": {"count/configmaps": "0"}}}
    api.patch(
        path, json=status, headers={"Content-Type": "application/merge-patch+json"}
    ).raise_for_status()  # there is no quota controller here


def test_a_quota_in_the_way_is_told_on_the_policy_and_its_end_is_noticed(
    cluster: ControlPlane, shop: Shop, api: httpx.Client, tmp_path: Path
) -> None:
    no_more_config_maps(api, shop.namespace)
    flags = ("--kubeconfig", cluster.kubeconfig, "--namespaces", shop.namespace)
    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        shop.create("a")

        message = shop.await_condition("a", "Propagated", "False", "WriteRefused")
        assert "exceeded quota" in message
        assert shop.condition("a", "Accepted")[0] == "True"
        api.delete(f"/api/v1/namespaces/{shop.namespace}/resourcequotas/none").raise_for_status()

        assert shop.await_wanted(timeout=90).keys() == {"a.json"}
        shop.await_condition("a", "Propagated", "Unknown", "NoInstances")
        operator.stop()


def test_a_config_map_that_somebody_sealed_is_written_anew(
    cluster: ControlPlane, shop: Shop, tmp_path: Path
) -> None:
    flags = ("--kubeconfig", cluster.kubeconfig, "--namespaces", shop.namespace)
    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        shop.create("a")
        shop.await_wanted()
        shop.spoil({"immutable": True})
        shop.edit("a", mode="ForceOpen")

        assert '"mode":"ForceOpen"' in shop.await_wanted()["a.json"]
        config_map = shop.config_map()
        assert config_map is not None
        assert "immutable" not in config_map
        operator.stop()
