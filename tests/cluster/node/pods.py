"""Pods for the local node's tests, as short as a test wants to write them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dev.node import LocalNode
from tests.conftest import Kubectl
from tests.support.waiting import eventually

__all__ = ["NODE", "Json", "Pods", "alive"]

NODE = "local-under-test"

Json = dict[str, Any]  # a manifest, or a part of one


class Pods:
    """Creates pods of one namespace on the node under test, and looks at them."""

    def __init__(self, node: LocalNode, kubectl: Kubectl, namespace: str) -> None:
        self.node = node
        self.kubectl = kubectl
        self.namespace = namespace

    def apply(self, kind: str, name: str, **rest: object) -> None:
        """Create any object of the namespace."""
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **rest}
        self.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=json.dumps(manifest))

    def create(
        self, name: str, program: str = "", *, labels: dict[str, str] | None = None, **spec: Any
    ) -> None:
        """A pod with one container `main` that runs a Python program; `container` adds to it, the rest is the pod's spec."""
        container = {
            "name": "main",
            "image": "test",
            "command": ["python", "-c", program],
            **spec.pop("container", {}),
        }
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {
                "schedulerName": NODE,
                "terminationGracePeriodSeconds": 5,
                "containers": [container],
                **spec,
            },
        }
        self.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=json.dumps(manifest))

    def get(self, name: str) -> Json:
        """The pod as the API shows it."""
        pod: Json = json.loads(self.kubectl("get", "pod", name, "-n", self.namespace, "-o", "json"))
        return pod

    def status(self, name: str) -> Json:
        """The status of the pod's container `main`."""
        statuses: list[Json] = self.get(name)["status"].get("containerStatuses", [])
        return statuses[0] if statuses else {"state": {}, "lastState": {}, "restartCount": 0, "ready": False}

    def log(self, name: str, container: str = "main") -> str:
        """What a container has printed so far."""
        path = self.node.log(self.namespace, name, container)
        return path.read_text() if path.exists() else ""

    def printed(self, name: str, text: str) -> str:
        """Wait until a container printed a text; everything it printed."""
        eventually(lambda: text in self.log(name), timeout=20, message=f"{text!r} in the log of {name}")
        return self.log(name)

    def wait(self, name: str, condition: Callable[[Json], object]) -> None:
        """Wait until the pod is as wanted."""
        eventually(lambda: condition(self.get(name)), timeout=20, message=f"condition of pod {name}")

    def wait_phase(self, name: str, phase: str) -> None:
        """Wait until the pod is in a phase."""
        self.wait(name, lambda pod: pod["status"]["phase"] == phase)

    def wait_ready(self, name: str, *, ready: bool = True) -> None:
        """Wait until the pod is ready, or is not."""
        wanted = "True" if ready else "False"
        self.wait(
            name,
            lambda pod: any(
                c["type"] == "Ready" and c["status"] == wanted for c in pod["status"].get("conditions", [])
            ),
        )

    def gone(self, name: str) -> bool:
        """The API does not know the pod any more."""
        return not self.kubectl("get", "pod", name, "-n", self.namespace, "--ignore-not-found", "-o", "name")

    def folder(self, name: str) -> Path:
        """The pod's folder on this machine."""
        (found,) = self.node.folder.glob(f"pods/{self.namespace}_{name}_*")
        return found


def alive(process: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
