"""A local node of its own for these tests: it runs the pods whose `schedulerName` is its name, and no others."""

from collections.abc import Iterator

import pytest

from dev.controlplane import ControlPlane
from dev.node import Backoff, LocalNode
from tests.cluster.node.pods import NODE, Pods
from tests.conftest import Kubectl


@pytest.fixture(scope="session")
def node(control_plane: ControlPlane) -> Iterator[LocalNode]:
    quick = Backoff(first=0.1, longest=0.4)
    with LocalNode(
        control_plane.kubeconfig,
        name=NODE,
        scheduler=NODE,
        backoff=quick,
        volume_delay=0.1,
        certificate=control_plane.authority,
    ) as running:
        yield running


@pytest.fixture
def pods(node: LocalNode, kubectl: Kubectl, namespace: str) -> Pods:
    return Pods(node, kubectl, namespace)
