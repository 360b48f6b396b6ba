"""The `spec` of a CircuitBreakerPolicy: its fields, defaults, bounds and rules, for the CRD and for the operator.

The docstring under a field is what `kubectl explain` shows, followed by its default and bounds. A default is one
fixed value, filled in by the API server when the policy is written, so reading a policy back shows all of them.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from switchgear.config import LARGEST_COUNT_WINDOW, Mode

from .durations import Duration as ParsedDuration
from .formats import (
    BreakerName,
    Calls,
    DnsLabel,
    Duration,
    GrpcCode,
    GrpcStatus,
    Host,
    HttpStatus,
    ImportPath,
    Percent,
    Port,
    is_duration,
)
from .rules import Rule, Section

__all__ = [
    "Classify",
    "Exceptions",
    "GrpcStatuses",
    "HalfOpen",
    "HttpStatuses",
    "Limits",
    "PolicySpec",
    "Recovery",
    "Service",
    "SlowCalls",
    "Target",
    "Timeout",
    "Trip",
    "Window",
]


class Service(Section):
    """A Kubernetes service."""

    name: DnsLabel
    """Name of the service, for example payments."""

    namespace: DnsLabel | None = None
    """Namespace of the service. Default: the policy's own namespace."""

    port: Port | None = None
    """Port that calls must name, in the URL or by its scheme (80 for http, 443 for https). Default: any port."""


# A choice between fields is applied as a whole: another manager's server-side apply replaces it, and never merges two.
_ONE_CHOICE = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})


class Target(Section):
    """What the policy protects its namespace's callers from."""

    model_config = _ONE_CHOICE

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.service) || has(self.host) || has(self.name)",
            holds=lambda target: target.given() != [],
            message="target is empty: give one of service, host and name",
        ),
        Rule(
            cel="[has(self.service), has(self.host), has(self.name)].filter(given, given).size() <= 1",
            holds=lambda target: len(target.given()) <= 1,
            message="target has more than one of service, host and name: keep one (in a patch, set the others to null)",
        ),
    )

    service: Service | None = None
    """A Kubernetes service, called by any of its DNS names."""

    host: Host | None = None
    """A host outside or inside the cluster, in any case: exact, such as api.stripe.com, or *.suffix for every
    host below the suffix, each with a breaker of its own; with :port only calls to that port."""

    name: BreakerName | None = None
    """A breaker that code asks for by this name, for what has no URL, such as a database."""

    def given(self) -> list[str]:
        """The kinds of target that the policy names; one, once validated."""
        return [kind for kind in ("service", "host", "name") if getattr(self, kind) is not None]


def _leftover(field: str) -> str:
    """CEL: the other window type's field is absent, or was there before and is the same.

    A stored policy has the default window in it. A merge patch (and `kubectl apply` is one) to the other type sends
    only what the user wrote, so the default's field stays behind, and refusing that would blame the user for it.
    """
    return (
        f"!has(self.{field}) || "
        f"(oldSelf.hasValue() && has(oldSelf.value().{field}) && oldSelf.value().{field} == self.{field})"
    )


class Window(Section):
    """Which calls the rates look at."""

    model_config = _ONE_CHOICE

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.type != 'Time' || has(self.duration)",
            holds=lambda window: window.type != "Time" or window.duration is not None,
            message="a window of type: Time needs duration: add one, for example duration: 10s",
            field="duration",
        ),
        Rule(
            cel="self.type != 'Count' || has(self.size)",
            holds=lambda window: window.type != "Count" or window.size is not None,
            message="a window of type: Count needs size: add one, for example size: 100",
            field="size",
        ),
        Rule(
            cel=f"self.type != 'Time' || {_leftover('size')}",
            holds=None,
            message="size belongs to a window of type: Count: add type: Count, or remove size and give duration",
            field="size",
            reads_old=True,
        ),
        Rule(
            cel=f"self.type != 'Count' || {_leftover('duration')}",
            holds=None,
            message="duration belongs to a window of type: Time: remove duration, or give type: Time instead of size",
            field="duration",
            reads_old=True,
        ),
    )

    type: Literal["Time", "Count"] = "Time"
    """Time: the calls of the last duration. Count: the last size calls, however old."""

    duration: Duration | None = None
    """How far back a window of type Time looks. Required for it, and for no other."""

    size: Annotated[int, Field(ge=1, le=LARGEST_COUNT_WINDOW)] | None = None
    """How many calls a window of type Count remembers. Required for it, and for no other; at least minimumCalls."""


class SlowCalls(Section):
    """When slowness opens the circuit."""

    duration: Duration
    """From which duration on a call counts as slow, for example 2s."""

    rate_percent: Percent = 80
    """Share of slow calls in the window, in percent, from which the circuit opens. A half-open circuit opens again as
    soon as its slow calls are this share of successThreshold."""


class Trip(Section):
    """When the circuit opens."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.window.type != 'Count' || !has(self.window.size) || self.minimumCalls <= self.window.size",
            holds=lambda trip: (
                trip.window.type != "Count"
                or trip.window.size is None
                or trip.minimum_calls <= trip.window.size
            ),
            message="minimumCalls is more than window.size, so no rate would ever be judged: "
            "lower minimumCalls or raise window.size",
            field="minimumCalls",
        ),
    )

    window: Window = Window(duration=ParsedDuration.parse("10s"))
    """Which calls the failure rate and the slow-call rate look at. Default: those of the last 10s."""

    minimum_calls: Calls = 20
    """Calls in the window below which the rates are not judged."""

    failure_rate_percent: Percent = 50
    """Share of failed calls in the window, in percent, from which the circuit opens."""

    slow_calls: SlowCalls | None = None
    """Opens the circuit when too many calls are slow. Default: slowness is not judged."""

    consecutive_failures: Calls | None = None
    """Failures in a row that open the circuit, whatever the rates and minimumCalls. Default: no such rule."""


class HalfOpen(Section):
    """How the circuit finds out whether the target has recovered."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.successThreshold <= self.permittedCalls",
            holds=lambda half_open: half_open.success_threshold <= half_open.permitted_calls,
            message="successThreshold is more than permittedCalls, so the circuit could never close: "
            "lower successThreshold or raise permittedCalls",
            field="successThreshold",
        ),
    )

    permitted_calls: Calls = 5
    """Calls that a half-open circuit lets through; the others are rejected."""

    success_threshold: Calls = 5
    """Successes that close a half-open circuit; one failure opens it again, and so do slow calls once they are
    slowCalls.ratePercent of this number; fewer slow calls are successes. At most permittedCalls."""

    max_duration: Duration = ParsedDuration.parse("30s")
    """How long a half-open circuit waits for the answer to a call before it takes it for a failure."""


class Recovery(Section):
    """How an open circuit closes again."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=" || ".join(
                (
                    f"!{is_duration('self.openDuration')}",
                    f"!{is_duration('self.maxOpenDuration')}",
                    "duration(self.maxOpenDuration) >= duration(self.openDuration)",
                )
            ),
            holds=lambda recovery: recovery.max_open_duration >= recovery.open_duration,
            message="maxOpenDuration is shorter than openDuration: raise maxOpenDuration or lower openDuration",
            field="maxOpenDuration",
        ),
    )

    open_duration: Duration = ParsedDuration.parse("5s")
    """How long the circuit stays open before it tries the target again (half-open), the first time."""

    max_open_duration: Duration = ParsedDuration.parse("5m")
    """Longest that the circuit stays open, however often it has opened again. At least openDuration."""

    backoff_multiplier_percent: Annotated[int, Field(ge=100, le=10_000)] = 200
    """Growth of the open period with each time in a row that the circuit opens again, in percent: 200 doubles it,
    100 keeps it."""

    jitter_percent: Annotated[int, Field(ge=0, le=100)] = 10
    """Spread of each open period around its length, in percent, so that instances do not try all at once."""

    half_open: HalfOpen = HalfOpen()
    """How the circuit finds out, after the open period, whether the target has recovered."""


class Timeout(Section):
    """When a call is given up."""

    call: Duration | None = None
    """Longest that a call may take: an async call is cut and counts as a failure; integrations set their client's own
    timeout. Async with-blocks and async generators are not cut. Default: no limit."""


class Limits(Section):
    """How much a caller may ask at once."""

    max_concurrent_calls: Calls | None = None
    """Calls in flight per process beyond which further ones are rejected. Default: no limit."""


class Exceptions(Section):
    """Which exceptions are failures."""

    failures: Annotated[tuple[ImportPath, ...], Field(max_length=64, strict=False)] = ()
    """Import paths of the exceptions, subclasses included, that are failures, for example httpx.TransportError; any
    other is then a success, since the target answered. Empty: every exception is a failure."""

    ignored: Annotated[tuple[ImportPath, ...], Field(max_length=64, strict=False)] = ()
    """Import paths of the exceptions, subclasses included, that count neither as failure nor as success. They win
    over failures."""


class HttpStatuses(Section):
    """Which HTTP statuses are failures."""

    failures: Annotated[tuple[HttpStatus, ...], Field(max_length=64, strict=False)] = ("5xx", "429")
    """HTTP statuses, such as "503", or families, such as "5xx", that are failures; any other is a success."""

    ignored: Annotated[tuple[HttpStatus, ...], Field(max_length=64, strict=False)] = ()
    """HTTP statuses, or families, that count neither as failure nor as success. They win over failures."""


class GrpcStatuses(Section):
    """Which gRPC statuses are failures."""

    failures: Annotated[tuple[GrpcCode, ...], Field(max_length=16, strict=False)] = (
        GrpcStatus.UNAVAILABLE,
        GrpcStatus.DEADLINE_EXCEEDED,
    )
    """Names of the gRPC status codes that are failures; an error with another code is a success, since the target
    answered."""


class Classify(Section):
    """Which outcomes of a call count."""

    exceptions: Exceptions = Exceptions()
    """Which exceptions are failures."""

    http_statuses: HttpStatuses = HttpStatuses()
    """Which HTTP statuses are failures, to the integrations that see them."""

    grpc_statuses: GrpcStatuses = GrpcStatuses()
    """Which gRPC statuses are failures."""


class PolicySpec(Section):
    """What a CircuitBreakerPolicy asks for.

    `PolicySpec.model_validate(spec)` reads the API's JSON (plain dicts and lists) and fills in the same defaults as
    the API server. Raises `pydantic.ValidationError`, whose every error has the field's path and the remedy.
    """

    target: Target
    """What is protected: exactly one of service, host and name. The policy applies to callers in its own namespace."""

    mode: Annotated[Mode, Field(strict=False)] = Mode.ENFORCE
    """Enforce: reject calls while the circuit is open. Observe: judge the calls, but never reject one. ForceOpen:
    reject every call, the emergency switch. Disabled: let every call through, uncounted."""

    trip: Trip = Trip()
    """When the circuit opens: any satisfied rule does it."""

    recovery: Recovery = Recovery()
    """How an open circuit closes again."""

    timeout: Timeout = Timeout()
    """When a call is given up."""

    limits: Limits = Limits()
    """How much a caller may ask at once."""

    classify: Classify = Classify()
    """Which outcomes of a call count as failures, and which do not count at all."""
