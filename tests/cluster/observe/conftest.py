"""A real operator beside a real API server, and pods with real workloads behind their addresses."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from dev.controlplane import ControlPlane
from tests.cluster.observe.fleet import Fleet, observing
from tests.support.operator import OperatorProcess


@pytest.fixture
def operator(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator, serving the test's namespace."""
    with observing(cluster.kubeconfig, namespace, tmp_path / "operator.log") as running:
        yield running


@pytest.fixture
def fleet(cluster: ControlPlane, api: httpx.Client, namespace: str) -> Iterator[Fleet]:
    """The test's namespace."""
    with ExitStack() as stack:
        yield Fleet(api, namespace, stack)
