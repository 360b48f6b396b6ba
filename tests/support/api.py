"""The Kubernetes API over plain HTTP, for tests that need exactly one request."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import yaml

from dev.controlplane import ControlPlane

__all__ = ["api_client", "policies_path", "policy_manifest"]


@contextmanager
def api_client(cluster: ControlPlane) -> Iterator[httpx.Client]:
    """A client of the API server with the administrator's rights; paths are relative to its root."""
    with httpx.Client(
        base_url=cluster.url,
        headers={"Authorization": f"Bearer {cluster.token}"},
        verify=ssl.create_default_context(cafile=str(cluster.authority)),
        timeout=30,
        trust_env=False,
    ) as client:
        yield client


def policies_path(namespace: str, name: str = "") -> str:
    """The path of the namespace's policies, or of one."""
    return f"/apis/switchgear.dev/v1alpha1/namespaces/{namespace}/circuitbreakerpolicies/{name}".rstrip("/")


def policy_manifest(spec: object, name: str = "policy", **more: object) -> str:
    """A whole policy in YAML; `more` are further fields at its root."""
    kind = {"apiVersion": "switchgear.dev/v1alpha1", "kind": "CircuitBreakerPolicy"}
    return yaml.safe_dump({**kind, "metadata": {"name": name}, "spec": spec, **more})
