"""A namespace as the operator meets it: pods in the API, each with a real workload behind its address."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from switchgear.policy import PolicyDocument
from tests.support.api import policies_path
from tests.support.operator import OperatorProcess, operator_process
from tests.support.pods import Workload, workload
from tests.support.waiting import eventually

__all__ = ["Fleet", "observing"]

Json = dict[str, Any]

INTERVAL = 0.3
"""Seconds between two rounds in these tests."""


@contextmanager
def observing(kubeconfig: Path, namespace: str, log: Path) -> Iterator[OperatorProcess]:
    """A ready operator that serves one namespace, in quick rounds."""
    flags = (f"--kubeconfig={kubeconfig}", f"--namespaces={namespace}")
    with operator_process(log, *flags, f"--scrape-interval={INTERVAL}", "--scrape-timeout=0.2") as operator:
        operator.await_ready()
        yield operator
        sys.stdout.write(operator.log)  # pytest shows it when the test fails


class Fleet:
    """The pods and policies of one namespace."""

    def __init__(self, api: httpx.Client, namespace: str, stack: ExitStack) -> None:
        self._api = api
        self._stack = stack
        self.namespace = namespace

    # ── policies ──

    def create(self, name: str = "payments", **spec: object) -> Json:
        """Create a policy, for breakers named like it unless told otherwise."""
        body = {
            "apiVersion": "switchgear.dev/v1alpha1",
            "kind": "CircuitBreakerPolicy",
            "metadata": {"name": name},
            "spec": {"target": {"name": name}, **spec},
        }
        return self._ask("POST", policies_path(self.namespace), body)

    def policy(self, name: str = "payments") -> Json:
        """The policy as it stands."""
        return self._ask("GET", policies_path(self.namespace, name))

    def patch(self, name: str = "payments", **spec: object) -> Json:
        """Edit a policy's spec."""
        return self._merge(policies_path(self.namespace, name), {"spec": spec})

    def forge_status(self, status: Json, name: str = "payments") -> Json:
        """Change a policy's status, as somebody else than the operator."""
        return self._merge(f"{policies_path(self.namespace, name)}/status", {"status": status})

    def delete(self, name: str = "payments") -> None:
        """Delete a policy."""
        self._ask("DELETE", policies_path(self.namespace, name))

    def await_status(self, name: str = "payments", **expected: object) -> Json:
        """Wait until these fields of the status (or of its `instances`) are so; returns the status."""

        def reached() -> Json:
            status: Json = self.policy(name).get("status", {})
            flat = {**status.get("instances", {}), **status}
            assert {field: flat.get(field) for field in expected} == expected
            return status

        return eventually(reached, message=f"a status with {expected}")

    def await_document(self, generation: int, name: str = "payments") -> PolicyDocument:
        """Wait until a generation of a policy is in the namespace's ConfigMap, as a mounted volume would show it."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps/switchgear-policies"

        def delivered() -> PolicyDocument:
            answer = self._api.get(path)
            assert answer.is_success, answer.text
            document = PolicyDocument.from_json(answer.json()["data"][f"{name}.json"])
            assert document.generation == generation
            return document

        return eventually(delivered, message=f"generation {generation} of {name} in the ConfigMap")

    # ── pods ──

    def start_pod(self, name: str, *documents: PolicyDocument, enabled: bool = True) -> Workload:
        """A running pod whose process follows these policies."""
        running = self._stack.enter_context(workload(*documents))
        self.add_pod(name, running.ip, enabled=enabled)
        return running

    def add_pod(self, name: str, ip: str, *, enabled: bool = True, port: int | None = None) -> None:
        """A running pod at an address, whatever is there."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        metadata: Json = {"name": name, "labels": {"switchgear.dev/enabled": "true"} if enabled else {}}
        if port is not None:
            metadata["annotations"] = {"switchgear.dev/metrics-port": str(port)}
        spec = {"containers": [{"name": "app", "image": "none"}]}
        self._ask("POST", path, {"metadata": metadata, "spec": spec})
        status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}
        self._merge(f"{path}/{name}/status", {"status": status})

    def delete_pod(self, name: str) -> None:
        """Delete a pod, at once."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
        self._ask("DELETE", path, {"gracePeriodSeconds": 0})

    # ── events ──

    def events(self) -> list[tuple[str, str]]:
        """Type and reason of the namespace's Events on policies, in the order in which they were reported."""
        items = self._ask("GET", f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")["items"]
        ours = [item for item in items if item["regarding"]["kind"] == "CircuitBreakerPolicy"]
        return [
            (item["type"], item["reason"]) for item in sorted(ours, key=lambda item: str(item["eventTime"]))
        ]

    def _merge(self, path: str, body: Json) -> Json:
        return self._ask("PATCH", path, body, "application/merge-patch+json")

    def _ask(self, method: str, path: str, body: Json | None = None, kind: str = "application/json") -> Json:
        content = None if body is None else json.dumps(body)
        answer = self._api.request(method, path, content=content, headers={"Content-Type": kind})
        assert answer.is_success, f"{method} {path}: {answer.text}"
        parsed: Json = answer.json()
        return parsed
