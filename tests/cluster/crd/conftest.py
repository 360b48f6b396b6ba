"""What the tests of the CRD share."""

from collections.abc import Iterator

import httpx
import pytest

from dev.controlplane import ControlPlane


@pytest.fixture(scope="module")
def shared_namespace(cluster: ControlPlane, api: httpx.Client) -> Iterator[str]:
    """One namespace for many policies that leave nothing behind, or that have names of their own."""
    created = api.post("/api/v1/namespaces", json={"metadata": {"generateName": "crd-"}})
    created.raise_for_status()
    name: str = created.json()["metadata"]["name"]
    yield name
    api.delete(f"/api/v1/namespaces/{name}")
