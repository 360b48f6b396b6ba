"""The real helm, and a local node that runs what it installs."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from dev.controlplane import ControlPlane
from dev.node import LocalNode
from tests.e2e.chart.helm import Helm


@pytest.fixture(scope="session")
def helm(control_plane: ControlPlane) -> Helm:
    """The real helm, told which cluster is meant."""
    return Helm(control_plane)


@pytest.fixture(scope="module")
def node(control_plane: ControlPlane) -> Iterator[LocalNode]:
    """A node that runs every pod of the cluster."""
    with LocalNode(control_plane.kubeconfig, volume_delay=0.1) as running:
        yield running


@pytest.fixture
def restricted(control_plane: ControlPlane, api: httpx.Client) -> Iterator[str]:
    """A namespace that enforces the restricted Pod Security Standard, for the operator."""
    name = f"operator-{uuid.uuid4().hex[:10]}"
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    api.post("/api/v1/namespaces", json={"metadata": {"name": name, "labels": labels}}).raise_for_status()
    yield name
    api.delete(f"/api/v1/namespaces/{name}")
