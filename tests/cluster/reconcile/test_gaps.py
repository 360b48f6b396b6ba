"""What happens while the operator does not look comes true all the same, though no watch can show it any more."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.controlplane import ControlPlane
from tests.cluster.reconcile.shop import Shop
from tests.conftest import CRD
from tests.support.api import api_client
from tests.support.operator import operator_process


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """A control plane that a test may restart."""
    with ControlPlane.start() as plane:
        plane.kubectl("apply", "-f", str(CRD))
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRD))
        yield plane


def restart_api_server(plane: ControlPlane) -> None:
    """Afterwards it remembers no change from before: a watch that would go on from there is told 410 Gone."""
    running: subprocess.Popen[bytes] = plane._processes._running["kube-apiserver"]
    arguments = running.args if isinstance(running.args, list) else []
    etcd = next(str(each) for each in arguments if str(each).startswith("--etcd-servers="))
    running.kill()
    running.wait()
    plane._start_apiserver(int(etcd.rpartition(":")[2]))
    plane._wait_for("/readyz")


def test_a_policy_that_vanished_in_a_gap_is_withdrawn(plane: ControlPlane, tmp_path: Path) -> None:
    with (
        operator_process(tmp_path / "log", "--kubeconfig", plane.kubeconfig) as operator,
        api_client(plane) as api,
    ):
        operator.await_ready()
        shop = Shop(api, "default")
        shop.create("payments")
        shop.await_wanted()
        os.kill(operator.pid, signal.SIGSTOP)
        plane.kubectl(
            "create", "namespace", "later"
        )  # the revision that the operator knows of is history now
        restart_api_server(plane)
        plane.kubectl("delete", "cbp", "payments")
        os.kill(operator.pid, signal.SIGCONT)
        with api_client(plane) as restarted:
            shop = Shop(restarted, "default")
            assert shop.await_wanted(timeout=60) == {}
            shop.create("orders")
            assert shop.await_wanted(timeout=60).keys() == {"orders.json"}
