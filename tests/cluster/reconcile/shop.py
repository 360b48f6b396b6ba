"""A namespace with policies, and what its ConfigMap is and should be."""

import json
from typing import Any

import httpx

from switchgear_operator.cluster import CONFIG_MAP
from switchgear_operator.informed import policy_of
from switchgear_operator.plan import plan
from tests.support.api import policies_path
from tests.support.waiting import eventually

__all__ = ["Shop", "config_maps_path"]

Json = dict[str, Any]

LABEL = {"app.kubernetes.io/managed-by": "switchgear-operator"}


def config_maps_path(namespace: str, name: str = CONFIG_MAP) -> str:
    """The path of the ConfigMap that the operator writes, or of another one."""
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}".rstrip("/")


class Shop:
    """The policies and the ConfigMap of one namespace."""

    def __init__(self, api: httpx.Client, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    # ── policies ──

    def create(self, name: str, target: Json | None = None, **spec: object) -> Json:
        """Create a policy, for a breaker of its own name unless told otherwise."""
        body = {
            "apiVersion": "switchgear.dev/v1alpha1",
            "kind": "CircuitBreakerPolicy",
            "metadata": {"name": name},
            "spec": {"target": target or {"name": name}, **spec},
        }
        return self.ask("POST", policies_path(self.namespace), body)

    def edit(self, name: str, **spec: object) -> Json:
        """Change a policy."""
        return self.merge(policies_path(self.namespace, name), {"spec": spec})

    def delete(self, name: str) -> None:
        """Delete a policy."""
        self.ask("DELETE", policies_path(self.namespace, name))

    def policy(self, name: str) -> Json:
        """A policy as it stands."""
        return self.ask("GET", policies_path(self.namespace, name))

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a policy's condition; empty while there is none."""
        conditions = self.policy(name).get("status", {}).get("conditions", [])
        found: Json = next((each for each in conditions if each["type"] == kind), {})
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")

    def await_condition(self, name: str, kind: str, status: str, reason: str) -> str:
        """Wait for a condition of a policy; its message."""

        def reached() -> str:
            found = self.condition(name, kind)
            assert found[:2] == (status, reason)
            return found[2]

        return eventually(reached, timeout=30, message=f"{kind}={status}, {reason} of {name}")

    # ── the ConfigMap ──

    def config_map(self) -> Json | None:
        """The ConfigMap as it stands; None if there is none."""
        answer = self.api.get(config_maps_path(self.namespace))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        body: Json = answer.json()
        return body

    def data(self) -> dict[str, str] | None:
        """Its data; None without a ConfigMap."""
        config_map = self.config_map()
        return None if config_map is None else config_map.get("data", {})

    def wanted(self) -> dict[str, str] | None:
        """What the data should be: the pure computation, from the policies as they stand."""
        items = self.ask("GET", policies_path(self.namespace))["items"]
        return dict(plan([policy_of(item) for item in items], {}).data) or None

    def await_wanted(self, timeout: float = 30.0) -> dict[str, str]:
        """Wait until the ConfigMap is byte for byte what it should be; its data, empty for none."""

        def reached() -> bool:
            assert self.data() == self.wanted()
            config_map = self.config_map()
            assert config_map is None or (
                config_map["metadata"].get("labels") == LABEL and "binaryData" not in config_map
            )
            return True

        eventually(reached, timeout, message=f"the wanted ConfigMap in {self.namespace}")
        return self.data() or {}

    def spoil(self, body: Json) -> None:
        """Change the ConfigMap as somebody else would."""
        self.merge(config_maps_path(self.namespace), body)

    # ── the wire ──

    def merge(self, path: str, body: Json) -> Json:
        """A merge patch."""
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def ask(self, method: str, path: str, body: Json | None = None, kind: str = "application/json") -> Json:
        """A request that has to succeed; its answer."""
        content = None if body is None else json.dumps(body)
        answer = self.api.request(method, path, content=content, headers={"Content-Type": kind})
        assert answer.is_success, f"{method} {path}: {answer.text}"
        parsed: Json = answer.json()
        return parsed
