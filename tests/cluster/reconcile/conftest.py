"""One operator for all tests of a module, over all namespaces; each test has a namespace of its own."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dev.controlplane import ControlPlane
from tests.cluster.reconcile.shop import Shop
from tests.support.operator import OperatorProcess, operator_process


@pytest.fixture(scope="module")
def operator(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """A ready operator, which in the end must have had nothing to complain about, and stop when it is told to."""
    log = tmp_path_factory.mktemp("operator") / "log"
    with operator_process(log, "--kubeconfig", cluster.kubeconfig) as running:
        running.await_ready()
        yield running
        assert running.errors() == []
        running.stop()
        assert running.errors() == []


@pytest.fixture
def shop(cluster: ControlPlane, api: httpx.Client, namespace: str) -> Shop:
    """The test's namespace."""
    return Shop(api, namespace)


@pytest.fixture
def local_operator(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """A ready operator that serves the test's namespace only, to be killed, stopped or complained about."""
    with operator_process(
        tmp_path / "operator.log", "--kubeconfig", cluster.kubeconfig, "--namespaces", namespace
    ) as running:
        running.await_ready()
        yield running
