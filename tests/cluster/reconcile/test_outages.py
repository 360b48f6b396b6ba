"""What the operator does while the API server, its network, its token or the CRD is not what it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.controlplane import ControlPlane
from tests.cluster.reconcile.shop import Shop
from tests.conftest import CRD
from tests.support.api import api_client
from tests.support.operator import OperatorProcess, operator_process
from tests.support.proxy import Network, network_to


@pytest.fixture
def network(cluster: ControlPlane) -> Iterator[Network]:
    with network_to(cluster.url) as network:
        yield network


@pytest.fixture
def remote_operator(
    cluster: ControlPlane, network: Network, namespace: str, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """An operator that reaches the API server through a network that a test may take away."""
    kubeconfig = network.kubeconfig(cluster.kubeconfig, tmp_path / "kubeconfig")
    flags = ["--kubeconfig", str(kubeconfig), "--namespaces", namespace]
    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        yield operator


def test_after_an_outage_everything_that_happened_in_it_comes_true(
    shop: Shop, network: Network, remote_operator: OperatorProcess
) -> None:
    for name in ("edited", "deleted", "kept"):
        shop.create(name)
    shop.await_wanted()

    network.go_down()
    shop.edit("edited", mode="Observe")
    shop.delete("deleted")
    shop.create("created")
    shop.spoil({"data": {"note.txt": "mine", "kept.json": None}})
    remote_operator.await_line("cannot be read")
    network.come_up()

    assert shop.await_wanted(timeout=90).keys() == {"edited.json", "kept.json", "created.json"}
    assert "Traceback" not in remote_operator.log
    remote_operator.stop()


def test_an_outage_is_no_reason_to_restart_it(network: Network, remote_operator: OperatorProcess) -> None:
    network.go_down()
    remote_operator.await_line("cannot be read")

    healthy = remote_operator.get("/healthz")

    assert healthy is not None
    assert healthy.status_code == 200
    network.come_up()
    remote_operator.await_line("can be read again")
    remote_operator.stop()


def test_connections_that_are_cut_again_and_again_lose_nothing(
    shop: Shop, network: Network, remote_operator: OperatorProcess
) -> None:
    for number in range(10):
        shop.create(f"policy-{number}")
        network.cut()

    assert len(shop.await_wanted(timeout=60)) == 10
    remote_operator.stop()


def test_a_token_that_was_replaced_is_read_anew(
    cluster: ControlPlane, shop: Shop, network: Network, tmp_path: Path
) -> None:
    for name in ("old", "new"):
        cluster.kubectl("create", "serviceaccount", name, "--namespace", shop.namespace)
        cluster.kubectl(
            "create", "rolebinding", name, "--namespace", shop.namespace,
            "--clusterrole=cluster-admin", f"--serviceaccount={shop.namespace}:{name}",
        )  # fmt: skip
    kubeconfig = tmp_path / "kubeconfig"
    network.kubeconfig(cluster.service_account_kubeconfig(shop.namespace, "old"), kubeconfig)
    flags = ["--kubeconfig", str(kubeconfig), "--namespaces", shop.namespace]
    with operator_process(tmp_path / "log", *flags) as operator:
        operator.await_ready()
        shop.create("before")
        shop.await_wanted()

        network.kubeconfig(cluster.service_account_kubeconfig(shop.namespace, "new"), kubeconfig)
        cluster.kubectl("delete", "serviceaccount", "old", "--namespace", shop.namespace)
        network.cut()  # watches that were allowed once would go on
        shop.create("after")

        assert shop.await_wanted(timeout=60).keys() == {"before.json", "after.json"}
        operator.stop()
    assert "Traceback" not in operator.log


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """A control plane whose CRD a test may delete."""
    with ControlPlane.start() as plane:
        install_crd(plane)
        yield plane


def install_crd(plane: ControlPlane) -> None:
    plane.kubectl("apply", "-f", str(CRD))
    plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRD))


def test_a_crd_that_is_deleted_ends_it_and_a_restart_waits_for_its_return(
    plane: ControlPlane, tmp_path: Path
) -> None:
    flags = ["--kubeconfig", str(plane.kubeconfig)]
    with api_client(plane) as api:
        shop = Shop(api, "default")
        with operator_process(tmp_path / "log", *flags) as operator:
            operator.await_ready()
            shop.create("a")
            shop.await_wanted()

            plane.kubectl("delete", "-f", str(CRD), "--wait=true", "--timeout=60s")

            assert operator.ended() == 1
            assert "a restart waits until it is back" in operator.log.splitlines()[-1]
        with operator_process(tmp_path / "log-2", *flags) as operator:
            operator.await_line("install the CRD")
            install_crd(plane)
            shop.create("b")
            assert shop.await_wanted().keys() == {"b.json"}
            operator.await_ready()
            operator.stop()
