"""A namespace as the operator meets it: pods in the API, each with a real workload behind its address."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from switchgear.policy import PolicyDocument
from tests.support.api import policies_path
from tests.support.pods import Workload, workload
from tests.support.waiting import eventually

__all__ = ["Fleet", "Operator", "operator_of"]

Json = dict[str, Any]

INTERVAL = 0.3
"""Seconds between two rounds in these tests."""


class Operator:
    """The operator as a process of its own, serving one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str, log: Path) -> None:
        self._port = _free_port()
        self.log = log
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "switchgear_operator", "run"),
                    *("--kubeconfig", str(kubeconfig), "--namespaces", namespace),
                    *("--address", "127.0.0.1", "--port", str(self._port)),
                    *("--scrape-interval", str(INTERVAL), "--scrape-timeout", "0.2"),
                ],
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if name != "KUBECONFIG"},
            )

    def await_ready(self) -> None:
        """Wait until it is informed of everything."""
        eventually(self._is_ready, timeout=30, message="a ready operator")

    def metric(self, sample: str) -> float:
        """The value of one sample of its own metrics, such as `switchgear_operator_scrapes_total{outcome="ok"}`."""
        text = httpx.get(f"http://127.0.0.1:{self._port}/metrics", trust_env=False).text
        values = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{sample} ")]
        return float(values[0]) if values else 0.0

    def kill(self) -> None:
        """End it at once, without a chance to clean up."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it as Kubernetes does."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=10)

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        try:
            answer = httpx.get(f"http://127.0.0.1:{self._port}/readyz", trust_env=False)
        except httpx.TransportError:
            return False
        return answer.is_success


@contextmanager
def operator_of(kubeconfig: Path, namespace: str, log: Path) -> Iterator[Operator]:
    """A ready operator, stopped at the end."""
    operator = Operator(kubeconfig, namespace, log)
    try:
        operator.await_ready()
        yield operator
    finally:
        operator.stop()
        sys.stdout.write(log.read_text())  # pytest shows it when the test fails


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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
