"""Which Kubernetes Events a policy's change of status deserves, and how many of them.

Events tell of transitions, to people who ask `kubectl describe cbp`. Their notes say nothing that the conditions do
not say, and equal transitions give equal notes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, Literal

from .crd import GROUP, KIND, VERSION
from .objects import Policy
from .status import Condition, ConditionType, PolicyState, PolicyStatus

__all__ = ["Allowance", "Allowances", "Event", "events_between"]

LONGEST_NOTE = 1000
"""The API takes 1,024 bytes of a note."""

_REASONS: Mapping[PolicyState, tuple[Literal["Normal", "Warning"], str]] = {
    PolicyState.CLOSED: ("Normal", "Closed"),
    PolicyState.OPEN: ("Warning", "Opened"),
    PolicyState.HALF_OPEN: ("Normal", "HalfOpened"),
    PolicyState.MIXED: ("Normal", "Mixed"),
    PolicyState.UNKNOWN: ("Warning", "Unknown"),
    PolicyState.DISABLED: ("Warning", "Disabled"),
    PolicyState.FORCED_OPEN: ("Warning", "ForcedOpen"),
}

_MIXED = "the instances run different modes: some do not run the policy as it stands, see Propagated"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a policy: `reason` in one word for programs, `note` for people."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str

    def to_json(self, policy: Policy, at: datetime, instance: str) -> dict[str, Any]:
        """The event as the API takes it (events.k8s.io/v1), from the operator's pod `instance`."""
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": f"{policy.name}-", "namespace": policy.namespace},
            "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": f"{GROUP}/operator",
            "reportingInstance": instance,
            "action": "Observe",
            "type": self.type,
            "reason": self.reason,
            "note": self.note.encode()[:LONGEST_NOTE].decode(errors="ignore"),
            "regarding": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "namespace": policy.namespace,
                "name": policy.name,
                "uid": policy.uid,
            },
        }


def events_between(before: PolicyStatus | None, after: PolicyStatus) -> tuple[Event, ...]:
    """What is to be told of the step from one status to the next, in the order it matters."""
    known = before or PolicyStatus()
    found = (
        _acceptance(_condition(known, ConditionType.ACCEPTED), _condition(after, ConditionType.ACCEPTED)),
        _state(known, after),
        _propagation(
            _condition(known, ConditionType.PROPAGATED), _condition(after, ConditionType.PROPAGATED)
        ),
    )
    return tuple(event for event in found if event is not None)


class Allowance:
    """A token bucket: so many at once, and one more every so often."""

    def __init__(self, burst: int, seconds_per_token: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._seconds_per_token = seconds_per_token
        self._clock = clock
        self._tokens = float(burst)
        self._counted_at = clock()

    def take(self) -> bool:
        """Take one if there is one."""
        now = self._clock()
        earned = (now - self._counted_at) / self._seconds_per_token
        self._tokens = min(self._burst, self._tokens + earned)
        self._counted_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Allowances:
    """An allowance for each key. One that is certainly full again is forgotten: it equals a new one."""

    def __init__(self, burst: int, seconds_per_token: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._seconds_per_token = seconds_per_token
        self._clock = clock
        self._used: dict[str, tuple[Allowance, float]] = {}
        """With when it was last asked, the longest ago first."""

    def __len__(self) -> int:
        return len(self._used)

    def take(self, key: str) -> bool:
        """Take one of this key's if there is one."""
        now = self._clock()
        self._forget(now - self._burst * self._seconds_per_token)
        new = (Allowance(self._burst, self._seconds_per_token, self._clock), now)
        allowance, _ = self._used.pop(key, new)
        self._used[key] = allowance, now
        return allowance.take()

    def _forget(self, last_asked_by: float) -> None:
        full = takewhile(lambda key: self._used[key][1] <= last_asked_by, self._used)
        for key in list(full):
            del self._used[key]


def _acceptance(before: Condition | None, after: Condition | None) -> Event | None:
    if after is None:
        return None
    if after.status == "False":
        news = before is None or (before.status, before.reason) != (after.status, after.reason)
        return Event("Warning", after.reason, after.message) if news else None
    news = before is not None and before.status == "False"
    return Event("Normal", after.reason, after.message) if news else None


def _state(before: PolicyStatus, after: PolicyStatus) -> Event | None:
    if after.state is None or after.state == before.state:
        return None
    if before.state is None and after.state in {PolicyState.UNKNOWN, PolicyState.CLOSED}:
        return None  # how every policy begins
    kind, reason = _REASONS[after.state]
    if after.state is PolicyState.MIXED:
        return Event(kind, reason, _MIXED)
    healthy = _condition(after, ConditionType.HEALTHY)
    return Event(kind, reason, healthy.message if healthy else "")


def _propagation(before: Condition | None, after: Condition | None) -> Event | None:
    if after is None:
        return None
    if after.status == "True":
        news = before is None or before.status != "True"
        return Event("Normal", "Propagated", after.message) if news else None
    undelivered = after.reason in {"ConfigMapFull", "ConfigMapForeign", "WriteRefused"}
    news = undelivered and (before is None or before.reason != after.reason)
    return Event("Warning", after.reason, after.message) if news else None


def _condition(status: PolicyStatus, kind: ConditionType) -> Condition | None:
    return next((each for each in status.conditions or () if each.type == kind), None)
