"""The `status` of a CircuitBreakerPolicy: written by the operator alone, through the subresource."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer

from .rules import Section

__all__ = [
    "Condition",
    "ConditionType",
    "Instances",
    "OpenInstance",
    "PolicyState",
    "PolicyStatus",
    "Summary",
]


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time needs its time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC, the time lies outside the years 1 to 9999") from error


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    datetime,
    Field(strict=False),
    AfterValidator(_in_utc),
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
]
"""A moment with its time zone, written in UTC to the second as Kubernetes does."""

Count = Annotated[int, Field(ge=0, le=2**53)]
Share = Annotated[int, Field(ge=0, le=100)]
Text = Annotated[str, Field(max_length=253)]


class PolicyState(StrEnum):
    """The state of a policy's circuits, over all its instances."""

    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"
    MIXED = "Mixed"
    UNKNOWN = "Unknown"
    DISABLED = "Disabled"
    FORCED_OPEN = "ForcedOpen"


class ConditionType(StrEnum):
    """The conditions that the operator sets."""

    ACCEPTED = "Accepted"
    """The operator can deliver the policy."""
    PROPAGATED = "Propagated"
    """Every reporting instance runs `observedGeneration`."""
    REPORTING = "Reporting"
    """Every expected instance answers."""
    HEALTHY = "Healthy"
    """No instance is open."""


class Instances(Section):
    """How many instances are in which state."""

    expected: Count
    """Running pods with the label switchgear.dev/enabled: "true" in the policy's namespace."""

    reporting: Count
    """Pods that answered the operator lately, whether they have loaded the policy or not."""

    updated: Count
    """Reporting pods that run the newest generation of the policy."""

    open: Count
    """Reporting pods whose circuit is open, or forced open."""

    half_open: Count
    """Reporting pods whose circuit is half-open."""

    closed: Count
    """Reporting pods that let every call through: closed, disabled, or not met by a call yet."""


class OpenInstance(Section):
    """A pod whose circuit is open."""

    pod: Text
    """Name of the pod."""

    since: Time | None = None
    """When the operator first saw it open."""

    until: Time | None = None
    """When it will try the target again, by the pod's clock."""

    last_error: Text | None = None
    """Type of the last failure, for example httpx.ConnectTimeout."""


class Condition(Section):
    """One aspect of the policy, as Kubernetes conditions are: type, status, reason and message."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """Accepted, Propagated, Reporting or Healthy."""

    status: Literal["True", "False", "Unknown"]
    """Whether the condition holds."""

    reason: Annotated[
        str, Field(min_length=1, max_length=1024, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    ]
    """Why, in one word for programs."""

    message: Annotated[str, Field(max_length=32768)]
    """Why, for people."""

    last_transition_time: Time
    """When status last changed."""

    observed_generation: Count | None = None
    """The generation of the policy that the condition was judged by."""


class Summary(Section):
    """The table that `kubectl get cbp` prints: texts made of the other fields."""

    target: Annotated[str, Field(max_length=512)] | None = None
    """The target in one word, for example payments.shop:8080."""

    open: Text | None = None
    """Open of reporting instances, for example 3/5."""

    updated: Text | None = None
    """Instances that run the newest generation, of those expected, for example 5/5."""

    reporting: Text | None = None
    """Instances that answer, of those expected, for example 5/5."""


class PolicyStatus(Section):
    """What the operator knows of a policy. Every field is optional: a policy that it has not met yet has none."""

    observed_generation: Count | None = None
    """The generation of the policy that the rest of the status is about."""

    state: Annotated[PolicyState, Field(strict=False)] | None = None
    """Closed, HalfOpen or Open: the worst that a reporting instance is in. ForcedOpen and Disabled: all of them run
    that mode. Mixed: only some do, and some do not run the newest generation yet. Unknown: nobody reports."""

    instances: Instances | None = None
    """How many instances (pods) are in which state."""

    failure_rate_percent: Share | None = None
    """Share of failed calls in all instances' windows, in percent. Absent: no calls."""

    slow_call_rate_percent: Share | None = None
    """Share of slow calls in all instances' windows, in percent. Absent: no calls."""

    calls: Count | None = None
    """Calls in all instances' windows."""

    rejected_per_minute: Count | None = None
    """Calls that all instances together rejected per minute, lately."""

    last_transition_time: Time | None = None
    """When state last changed."""

    open_instances: Annotated[tuple[OpenInstance, ...], Field(max_length=10, strict=False)] | None = None
    """Pods whose circuit is open, at most 10 of them."""

    conditions: (
        Annotated[
            tuple[Condition, ...],
            Field(
                max_length=16,
                strict=False,
                json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
            ),
        ]
        | None
    ) = None
    """Accepted: the operator can deliver the policy. Propagated: every reporting instance runs observedGeneration.
    Reporting: every expected instance answers. Healthy: no instance is open."""

    summary: Summary | None = None
    """The table that kubectl get prints: texts made of the other fields, for reading, not for programs."""

    def to_json(self) -> dict[str, Any]:
        """The status as the API takes it: camelCase, times as text, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
