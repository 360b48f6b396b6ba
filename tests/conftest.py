"""Fixtures for every test that needs a real Kubernetes API: one control plane per session, one namespace per test."""

import functools
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Protocol

import httpx
import pytest

from dev.controlplane import ControlPlane, KubectlError
from tests.support.api import api_client
from tests.support.waiting import eventually

CRD = Path(__file__).parent.parent / "crds" / "circuitbreakerpolicies.switchgear.dev.yaml"


def pytest_configure() -> None:
    """Let the programs that tests start be interrupted, where this run is a background job that ignores Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Kubectl(Protocol):
    """The real kubectl, told which cluster is meant."""

    def __call__(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str: ...


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """A control plane of its own for this session, without the CRD: for tests that install the chart themselves."""
    _end_in_order_on_sigterm()
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # a build takes minutes and must be seen
        plane = ControlPlane.start()
    with plane:
        yield plane


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """The session's control plane with the CRD: established, discovered and explained."""
    control_plane.kubectl("apply", "-f", str(CRD))
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRD))
    eventually(functools.partial(_is_explained, control_plane), 30, "kubectl explain cbp")
    return control_plane


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """`kubectl("get", "cbp", "-n", namespace)` runs the real kubectl and returns its output; it raises KubectlError."""
    return control_plane.kubectl


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[httpx.Client]:
    """The API over plain HTTP, as the administrator."""
    with api_client(control_plane) as client:
        yield client


@pytest.fixture
def namespace(control_plane: ControlPlane, api: httpx.Client) -> Iterator[str]:
    """A fresh namespace, ready for pods; it is deleted after the test, and nobody waits for that."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    created = api.post("/api/v1/namespaces", json={"metadata": {"name": name}})
    created.raise_for_status()
    for needed in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
        path = f"/api/v1/namespaces/{name}/{needed}"
        eventually(functools.partial(_exists, api, path), message=f"{needed} of a new namespace")
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


def _is_explained(plane: ControlPlane) -> bool:
    """Whether kubectl finds the kind and its schema, which the API server publishes a moment after "Established"."""
    try:
        return "CircuitBreakerPolicy" in plane.kubectl("explain", "cbp")
    except KubectlError:
        return False


def _exists(api: httpx.Client, path: str) -> bool:
    return api.get(path).is_success


def _end_in_order_on_sigterm() -> None:
    """Let a SIGTERM end pytest as Ctrl-C does, so that every fixture cleans up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(f"signal {number}")

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)
