"""What the operator counts about itself; the names follow controller-runtime where it has one."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]


class Metrics:
    """All of the operator's metrics, in a registry of their own.

    Args:
        queue_depth: Namespaces that wait to be reconciled, asked at each scrape.
        policies_by_state: Policies by the state in their status, likewise.
    """

    def __init__(
        self, queue_depth: Callable[[], int], policies_by_state: Callable[[], dict[str, int]]
    ) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            "controller_runtime_reconcile",
            "Reconciliations of a namespace, by result.",
            ["controller", "result"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "How long reconciling a namespace took.",
            ["controller"],
            registry=self.registry,
        )
        depth = Gauge(
            "workqueue_depth", "Namespaces that wait to be reconciled.", ["name"], registry=self.registry
        )
        depth.labels("policies").set_function(queue_depth)
        self._writes = self._counter("configmap_writes", "Writes of ConfigMaps, by kind.", "kind")
        self._statuses = self._counter(
            "status_writes", "Writes of policies' statuses, by outcome.", "outcome"
        )
        self._events = self._counter("events", "Events on policies, by outcome.", "outcome")
        self._scrapes = self._counter("scrapes", "Looks at pods, by outcome.", "outcome")
        self._scrape_seconds = Histogram(
            "switchgear_operator_scrape_seconds", "How long a look at a pod took.", registry=self.registry
        )
        self._states = Gauge(
            "switchgear_operator_policies",
            "Policies by the state in their status.",
            ["state"],
            registry=self.registry,
        )
        self._policies_by_state = policies_by_state

    def reconciled(self, result: str, seconds: float) -> None:
        """A namespace was reconciled: `success` or `error`."""
        self._reconciles.labels("policies", result).inc()
        self._seconds.labels("policies").observe(seconds)

    def written(self, kind: str) -> None:
        """A ConfigMap was written: `apply`, `drop` or `delete`."""
        self._writes.labels(kind).inc()

    def scraped(self, outcome: str, seconds: float) -> None:
        """A pod was scraped: `ok` or the error's reason, and how long it took."""
        self._scrapes.labels(outcome).inc()
        self._scrape_seconds.observe(seconds)

    def status_written(self, outcome: str) -> None:
        """A status was written: `ok`, `gone` or `error`."""
        self._statuses.labels(outcome).inc()

    def event_posted(self, outcome: str) -> None:
        """An Event was posted: `ok`, `limited` or `error`."""
        self._events.labels(outcome).inc()

    def render(self) -> bytes:
        """The text format, version 0.0.4."""
        self._states.clear()
        for state, policies in self._policies_by_state().items():
            self._states.labels(state).set(policies)
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(f"switchgear_operator_{name}", text, [label], registry=self.registry)
