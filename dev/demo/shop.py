"""The shop, as seen from outside: its pods, what their metrics say, how customers fare, and payments' behaviour."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from .recording import CONTROL, Call
from .tools import Kubectl

__all__ = ["APP_PORT", "METRICS_PORT", "NAMESPACE", "POLICY", "Pod", "PodUrl", "Reading", "Shop"]

NAMESPACE = "shop"
POLICY = "shop/payments"

METRICS_PORT = 9464
APP_PORT = 8080

PodUrl = Callable[["Pod", int], str]


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. Two values are equal only while its container was not started again."""

    name: str
    app: str
    ip: str
    started: str
    restarts: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What one checkout pod's /metrics say of the breaker for payments."""

    at: float
    pod: str
    state: str
    calls: Mapping[str, float]
    in_flight: float
    closings: float
    """How many times the circuit has closed."""
    generation: int
    """Of the policy that it runs."""


class Shop:
    """Everything that the story asks of the running shop. `pod_url` makes the base URL by which a pod's port is reached."""

    def __init__(self, kubectl: Kubectl, pod_url: PodUrl) -> None:
        self._kubectl = kubectl
        self._pod_url = pod_url
        self._http = httpx.Client(timeout=5.0, trust_env=False)
        self.checkouts = self.pods("checkout")
        self.payments = self.pods("payments")[0]
        self._load = self.pods("load")[0]
        self._calls_told = 0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def pods(self, app: str) -> list[Pod]:
        """Ask the API server for the running pods of an app."""
        found = self._kubectl.json("get", "pods", "--namespace", NAMESPACE, "--selector", f"app={app}")
        return [_pod(item) for item in found["items"] if "deletionTimestamp" not in item["metadata"]]

    def behave(self, behaviour: str) -> None:
        """Make payments `well`, `hang` or `fail` from now on."""
        url = f"{self._pod_url(self.payments, APP_PORT)}/behaviour"
        self._http.put(url, content=behaviour).raise_for_status()

    def readings(self) -> list[Reading]:
        """Scrape each checkout pod once. A pod that does not answer is left out."""
        found = (self._reading(pod) for pod in self.checkouts)
        return [reading for reading in found if reading is not None]

    def new_calls(self) -> list[Call]:
        """Return the load generator's calls that were answered since this was last asked."""
        url = f"{self._pod_url(self._load, APP_PORT)}/calls"
        answer = self._http.get(url, params={"after": self._calls_told}).raise_for_status().json()
        self._calls_told = answer["next"]
        names = {pod.ip: pod.name for pod in self.checkouts}
        return [
            Call(at, target if target == CONTROL else names[target], outcome, waited, inside)
            for at, target, outcome, waited, inside in answer["calls"]
            if target == CONTROL or target in names
        ]

    def _reading(self, pod: Pod) -> Reading | None:
        try:
            answer = self._http.get(f"{self._pod_url(pod, METRICS_PORT)}/metrics").raise_for_status()
        except httpx.HTTPError:
            return None
        return _read(pod.name, answer.text)


def _pod(item: Mapping[str, Any]) -> Pod:  # a pod's JSON, as the API server gives it
    container: Mapping[str, Any] = next(iter(item["status"].get("containerStatuses", [])), {})
    return Pod(
        name=item["metadata"]["name"],
        app=item["metadata"]["labels"]["app"],
        ip=item["status"].get("podIP", ""),
        started=container.get("state", {}).get("running", {}).get("startedAt", ""),
        restarts=container.get("restartCount", 0),
    )


def _read(pod: str, text: str) -> Reading | None:
    """Read the breaker's samples; None while the pod has no breaker under the policy."""
    ours = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("policy") == POLICY
    ]

    def values(name: str, label: str) -> Sequence[tuple[str, float]]:
        return [(sample.labels[label], sample.value) for sample in ours if sample.name == name]

    state = next((state for state, value in values("switchgear_breaker_state", "state") if value), None)
    if state is None:
        return None
    closings = values("switchgear_breaker_transitions_total", "to_state")
    generation = next((value for _, value in values("switchgear_policy_generation", "policy")), 0)
    return Reading(
        at=time.time(),
        pod=pod,
        state=state,
        calls=dict(values("switchgear_breaker_calls_total", "outcome")),
        in_flight=sum(value for _, value in values("switchgear_breaker_in_flight_calls", "policy")),
        closings=sum(value for state, value in closings if state == "closed"),
        generation=int(generation),
    )
