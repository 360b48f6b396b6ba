"""What the operator knows of the cluster: policies and pods as plain values, read once at the edge.

Everything pure (compile, conflicts, plan, aggregate, derive) works on these, never on API dictionaries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["METRICS_PATH", "METRICS_PORT", "Pod", "Policy"]

METRICS_PORT = 9464
"""Where a pod serves its metrics unless the annotation `switchgear.dev/metrics-port` says otherwise."""

METRICS_PATH = "/metrics"
"""The path there, unless the annotation `switchgear.dev/metrics-path` says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A CircuitBreakerPolicy as it stands in the API: `spec` and `status` are its raw JSON, not yet validated."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: datetime
    spec: Mapping[str, Any] = field(hash=False)
    status: Mapping[str, Any] = field(hash=False, default_factory=dict)

    @property
    def key(self) -> str:
        """`namespace/name`, the policy's name in documents, metrics and logs."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod that asked to be observed (label `switchgear.dev/enabled: "true"`)."""

    namespace: str
    name: str
    uid: str
    ip: str | None
    running: bool
    """Phase Running and not being deleted: an instance that is expected to report."""
    host_network: bool = False
    metrics_port: int = METRICS_PORT
    metrics_path: str = METRICS_PATH
