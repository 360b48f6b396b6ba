"""Policies that must be refused: each is bad in one way and says which words the refusal must have."""

from dataclasses import dataclass
from typing import Any

import yaml

__all__ = ["BAD", "BadPolicy"]


@dataclass(frozen=True, slots=True)
class BadPolicy:
    """A policy that must be refused.

    Args:
        name: What is wrong with it.
        spec: Its spec in YAML.
        field: The offending field: the refusal names it.
        remedy: Words of the refusal, from the rule or from the schema.
        only_api: Why the models cannot know; empty: they refuse it too.
    """

    name: str
    spec: str
    field: str
    remedy: str
    only_api: str = ""

    def parsed(self) -> Any:
        """The spec as an object."""
        return yaml.safe_load(self.spec)


def _target(what: str, target: str, field: str, remedy: str) -> BadPolicy:
    return BadPolicy(what, f"target: {{{target}}}", field, remedy)


def _host(what: str, host: str, remedy: str) -> BadPolicy:
    return BadPolicy(f"host: {what}", f"target: {{host: {host!r}}}", "spec.target.host", remedy)


def _field(what: str, fields: str, field: str, remedy: str, only_api: str = "") -> BadPolicy:
    return BadPolicy(what, f"{{target: {{name: db}}, {fields}}}", field, remedy, only_api)


def _duration(what: str, duration: str, remedy: str) -> BadPolicy:
    fields = f"recovery: {{openDuration: {duration}, maxOpenDuration: 87600h}}"
    return _field(f"duration: {what}", fields, "spec.recovery.openDuration", remedy)


def _unknown(where: str, fields: str, field: str) -> BadPolicy:
    return _field(f"unknown field: {where}", fields, field, "unknown field", _NEWER)


_URL = "host is not a URL: remove the scheme and the path"
_WILDCARD = "a wildcard stands at the start of host only"
_PORT = "port from 1 to 65535"
_DNS = "host is not a DNS name"
_IP = "is an IPv4 address: give four numbers"
_UNITS = "give a duration such as 500ms, 5s or 1m30s"
_LENGTH = "give a duration above zero, up to 87600h"
_LABEL = "give a DNS label"
_NEWER = "a field that a newer API server let through must not stop an older operator"
_OLD = "a field left over from a stored default is let through, and only the API server knows what was stored"

_BAD_TARGETS = (
    BadPolicy("no target", "mode: Enforce", "spec.target", "Required value"),
    BadPolicy("target is null", "target: null", "spec.target", "Required value"),
    BadPolicy("target is a text", "target: payments", "spec.target", "must be of type object"),
    _target("an empty target", "", "spec.target", "target is empty: give one of service, host and name"),
    _target("two targets", "name: db, host: a.example", "spec.target", "target has more than one of service, host and name"),
    _target("three targets", "name: db, host: a.example, service: {name: b}", "spec.target", "keep one"),
    _target("a service without a name", "service: {port: 80}", "spec.target.service.name", "Required value"),
    _target("a service's name in capitals", "service: {name: Payments}", "spec.target.service.name", _LABEL),
    _target("a service's name with its namespace", "service: {name: payments.shop}", "spec.target.service.name", _LABEL),
    _target("a service's name of 64 letters", f"service: {{name: {'a' * 64}}}", "spec.target.service.name", "Too long"),
    _target("a service's empty name", "service: {name: ''}", "spec.target.service.name", _LABEL),
    _target("a service's namespace with an underscore", "service: {name: a, namespace: my_shop}", "service.namespace", _LABEL),
    _target("a service's port 0", "service: {name: a, port: 0}", "spec.target.service.port", "greater than or equal to 1"),
    _target("a service's port 65536", "service: {name: a, port: 65536}", "service.port", "less than or equal to 65535"),
    _target("a service's port -1", "service: {name: a, port: -1}", "service.port", "greater than or equal to 1"),
    _target("a service's port as text", "service: {name: a, port: '80'}", "service.port", "must be of type integer"),
    _target("a service's port by name", "service: {name: a, port: http}", "service.port", "must be of type integer"),
    _target("an empty name", "name: ''", "spec.target.name", "printable characters"),
    _target("a name with a space before it", "name: ' db'", "spec.target.name", "printable characters"),
    _target("a name with a line break", r'name: "a\nb"', "spec.target.name", "printable characters"),
    _target("a name with an invisible character", r'name: "a\u200bb"', "spec.target.name", "printable characters"),
    _target("a name of 254 characters", f"name: {'a' * 254}", "spec.target.name", "Too long"),
    _target("a name that is a number", "name: 7", "spec.target.name", "must be of type string"),
    _host("a URL", "https://api.stripe.com", _URL),
    _host("a URL with a path", "https://api.stripe.com/v1/*", _URL),
    _host("a path", "api.stripe.com/v1", _URL),
    _host("a wildcard in the middle", "api.*.example.com", _WILDCARD),
    _host("a wildcard at the end", "example.*", _WILDCARD),
    _host("a wildcard inside a label", "api-*.example.com", _WILDCARD),
    _host("a wildcard without its dot", "*example.com", _WILDCARD),
    _host("nothing but a wildcard", "*", _WILDCARD),
    _host("two wildcards", "*.*.example.com", _WILDCARD),
    _host("a wildcard over an address", "*.0.0.7", _IP),
    _host("port 0", "api.stripe.com:0", _PORT),
    _host("port 65536", "api.stripe.com:65536", _PORT),
    _host("port 99999999999999999999", "api.stripe.com:99999999999999999999", _PORT),
    _host("a port with a leading zero", "api.stripe.com:080", _PORT),
    _host("a port by name", "api.stripe.com:https", _PORT),
    _host("a colon without a port", "api.stripe.com:", _PORT),
    _host("nothing but a port", ":443", _DNS),
    _host("an IPv6 address", "2001:db8::1", "IPv6 address cannot be a target"),
    _host("an IPv6 address in brackets", "[::1]", "IPv6 address cannot be a target"),
    _host("empty", "", _DNS),
    _host("a space", "api stripe.com", _DNS),
    _host("an underscore", "api_v1.example.com", _DNS),
    _host("a hyphen at the end of a label", "api-.example.com", _DNS),
    _host("two dots", "api..example.com", _DNS),
    _host("a dot before it", ".example.com", _DNS),
    _host("a user", "user@example.com", _DNS),
    _host("letters beyond ASCII", "bücher.example", _DNS),
    _host("a label of 64 letters", f"{'a' * 64}.example", _DNS),
    _host("a line break at its end", "api.stripe.com\n", _DNS),
    _host("300 characters", "a." * 150, "Too long"),
    _host("an address out of range", "256.1.1.1", _IP),
    _host("an address of three numbers", "10.0.1", _IP),
    _host("an address with a leading zero", "10.0.0.07:80", _IP),
)  # fmt: skip

_BAD_PERCENTS = (
    _field("percent: a fraction", "trip: {failureRatePercent: 50.5}", "failureRatePercent", "must be of type integer"),
    _field("percent: a share", "trip: {failureRatePercent: 0.5}", "failureRatePercent", "must be of type integer"),
    _field("percent: a text", "trip: {failureRatePercent: '50'}", "failureRatePercent", "must be of type integer"),
    _field("percent: a text with its sign", "trip: {failureRatePercent: 50%}", "failureRatePercent", "must be of type integer"),
    _field("percent: 0", "trip: {failureRatePercent: 0}", "spec.trip.failureRatePercent", "greater than or equal to 1"),
    _field("percent: 101", "trip: {failureRatePercent: 101}", "spec.trip.failureRatePercent", "less than or equal to 100"),
    _field("percent: true", "trip: {failureRatePercent: true}", "spec.trip.failureRatePercent", "must be of type integer"),
    _field("slow percent: 0", "trip: {slowCalls: {duration: 1s, ratePercent: 0}}", "spec.trip.slowCalls.ratePercent", "greater than or equal to 1"),
    _field("slow percent: 101", "trip: {slowCalls: {duration: 1s, ratePercent: 101}}", "slowCalls.ratePercent", "to 100"),
    _field("jitter: -1", "recovery: {jitterPercent: -1}", "spec.recovery.jitterPercent", "greater than or equal to 0"),
    _field("jitter: 101", "recovery: {jitterPercent: 101}", "spec.recovery.jitterPercent", "less than or equal to 100"),
    _field("backoff: 99", "recovery: {backoffMultiplierPercent: 99}", "backoffMultiplierPercent", "greater than or equal to 100"),
    _field("backoff: 10001", "recovery: {backoffMultiplierPercent: 10001}", "backoffMultiplierPercent", "to 10000"),
)  # fmt: skip

_BAD_DURATIONS = (
    _duration("without a unit", "'5'", _UNITS),
    _duration("a number", "5", "must be of type string"),
    _duration("negative", "-5s", _UNITS),
    _duration("with a plus", "+5s", _UNITS),
    _duration("fractional", "1.5s", _UNITS),
    _duration("in days", "1d", _UNITS),
    _duration("in capitals", "5S", _UNITS),
    _duration("in microseconds", "5us", _UNITS),
    _duration("with a space", "5 s", _UNITS),
    _duration("with a line break", r'"5s\n"', _UNITS),
    _duration("in ISO 8601", "PT5S", _UNITS),
    _duration("empty", "''", _UNITS),
    _duration("digits of another script", "'٥s'", _UNITS),
    _duration("five parts", "1h1m1s1ms1ms", _UNITS),
    _duration("six digits", "100000s", _UNITS),
    _duration("zero", "0s", _LENGTH),
    _duration("zero in other units", "0h0ms", _LENGTH),
    _duration("above ten years", "87600h1ms", _LENGTH),
    _duration("very long", f"'{'1s' * 15}'", "Too long"),
    _field("window's duration: zero", "trip: {window: {duration: 0ms}}", "spec.trip.window.duration", _LENGTH),
    _field("slow calls' duration: without a unit", "trip: {slowCalls: {duration: '2'}}", "slowCalls.duration", _UNITS),
    _field("maxOpenDuration: in days", "recovery: {maxOpenDuration: 7d}", "spec.recovery.maxOpenDuration", _UNITS),
    _field("halfOpen.maxDuration: zero", "recovery: {halfOpen: {maxDuration: 0s}}", "halfOpen.maxDuration", _LENGTH),
    _field("timeout.call: negative", "timeout: {call: -3s}", "spec.timeout.call", _UNITS),
    _field("timeout.call: fractional", "timeout: {call: 0.5s}", "spec.timeout.call", _UNITS),
    _field(
        "maxOpenDuration shorter than openDuration in other units",
        "recovery: {openDuration: 2m, maxOpenDuration: 119s}",
        "spec.recovery.maxOpenDuration",
        "raise maxOpenDuration or lower openDuration",
    ),
    _field(
        "openDuration longer than the default maxOpenDuration",
        "recovery: {openDuration: 1h}",
        "spec.recovery.maxOpenDuration",
        "raise maxOpenDuration or lower openDuration",
    ),
)  # fmt: skip

_BAD_WINDOWS = (
    _field("count window smaller than the default minimumCalls", "trip: {window: {type: Count, size: 19}}", "minimumCalls", "lower minimumCalls or raise window.size"),
    _field("count window smaller than minimumCalls", "trip: {window: {type: Count, size: 100}, minimumCalls: 101}", "spec.trip.minimumCalls", "lower minimumCalls or raise window.size"),
    _field("count window without a size", "trip: {window: {type: Count}}", "spec.trip.window.size", "needs size: add one"),
    _field("count window with a duration", "trip: {window: {type: Count, size: 100, duration: 10s}}", "spec.trip.window.duration", "remove duration", _OLD),
    _field("count window with only a duration", "trip: {window: {type: Count, duration: 10s}}", "spec.trip.window.size", "needs size: add one"),
    _field("count window of 0", "trip: {window: {type: Count, size: 0}}", "spec.trip.window.size", "greater than or equal to 1"),
    _field("count window of 10,001", "trip: {window: {type: Count, size: 10001}}", "spec.trip.window.size", "less than or equal to 10000"),
    _field("size without a type", "trip: {window: {size: 100}}", "spec.trip.window.size", "add type: Count"),
    _field("time window with a size", "trip: {window: {type: Time, duration: 10s, size: 100}}", "spec.trip.window.size", "add type: Count", _OLD),
    _field("time window without a duration", "trip: {window: {type: Time}}", "spec.trip.window.duration", "needs duration: add one"),
    _field("an empty window", "trip: {window: {}}", "spec.trip.window.duration", "needs duration: add one"),
    _field("a window of another type", "trip: {window: {type: Sliding, size: 100}}", "spec.trip.window.type", '"Time", "Count"'),
)  # fmt: skip

_BAD_NUMBERS = (
    _field("minimumCalls: 0", "trip: {minimumCalls: 0}", "spec.trip.minimumCalls", "greater than or equal to 1"),
    _field("minimumCalls: a million and one", "trip: {minimumCalls: 1000001}", "spec.trip.minimumCalls", "less than or equal to 1000000"),
    _field("minimumCalls: beyond 64 bits", "trip: {minimumCalls: 99999999999999999999}", "minimumCalls", "must be of type integer"),
    _field("consecutiveFailures: 0", "trip: {consecutiveFailures: 0}", "spec.trip.consecutiveFailures", "greater than or equal to 1"),
    _field("maxConcurrentCalls: 0", "limits: {maxConcurrentCalls: 0}", "spec.limits.maxConcurrentCalls", "greater than or equal to 1"),
    _field("permittedCalls: 0", "recovery: {halfOpen: {permittedCalls: 0}}", "halfOpen.permittedCalls", "greater than or equal to 1"),
    _field("successThreshold above permittedCalls", "recovery: {halfOpen: {successThreshold: 6}}", "spec.recovery.halfOpen.successThreshold", "lower successThreshold or raise permittedCalls"),
    _field("permittedCalls below the default successThreshold", "recovery: {halfOpen: {permittedCalls: 4}}", "successThreshold", "lower successThreshold or raise permittedCalls"),
    _field("slow calls without a duration", "trip: {slowCalls: {ratePercent: 50}}", "spec.trip.slowCalls.duration", "Required value"),
    _field("mode in small letters", "mode: enforce", "spec.mode", '"Enforce", "Observe", "ForceOpen", "Disabled"'),
    _field("mode empty", "mode: ''", "spec.mode", "supported values"),
    _field("a section that is a list", "trip: [1]", "spec.trip", "must be of type object"),
)  # fmt: skip

_BAD_LISTS = (
    _field("exceptions: with parentheses", "classify: {exceptions: {failures: ['httpx.TransportError()']}}", "exceptions.failures[0]", "import path"),
    _field("exceptions: a second one of two", "classify: {exceptions: {ignored: [a.B, 'not found']}}", "exceptions.ignored[1]", "import path"),
    _field("exceptions: an empty text", "classify: {exceptions: {failures: ['']}}", "exceptions.failures[0]", "import path"),
    _field("exceptions: a colon", "classify: {exceptions: {failures: ['httpx:TransportError']}}", "exceptions.failures[0]", "import path"),
    _field("exceptions: one text instead of a list", "classify: {exceptions: {failures: a.B}}", "exceptions.failures", "must be of type array"),
    _field("exceptions: thousands", f"classify: {{exceptions: {{failures: [{', '.join(['a.B'] * 5000)}]}}}}", "exceptions.failures", "must have at most 64 items"),
    _field("exceptions: a path of 300 letters", f"classify: {{exceptions: {{failures: [{'a' * 300}]}}}}", "exceptions.failures[0]", "Too long"),
    _field("statuses: a number", "classify: {httpStatuses: {failures: [503]}}", "httpStatuses.failures[0]", "must be of type string"),
    _field("statuses: 600", "classify: {httpStatuses: {failures: ['600']}}", "httpStatuses.failures[0]", "give an HTTP status"),
    _field("statuses: 50x", "classify: {httpStatuses: {ignored: [50x]}}", "httpStatuses.ignored[0]", "give an HTTP status"),
    _field("statuses: a range", "classify: {httpStatuses: {failures: [500-599]}}", "httpStatuses.failures[0]", "give an HTTP status"),
    _field("statuses: thousands", f"classify: {{httpStatuses: {{failures: [{', '.join(['5xx'] * 3000)}]}}}}", "httpStatuses.failures", "must have at most 64 items"),
    _field("codes: OK", "classify: {grpcStatuses: {failures: [OK]}}", "grpcStatuses.failures[0]", "supported values"),
    _field("codes: a number", "classify: {grpcStatuses: {failures: [14]}}", "grpcStatuses.failures[0]", "must be of type string"),
    _field("codes: in small letters", "classify: {grpcStatuses: {failures: [unavailable]}}", "grpcStatuses.failures[0]", "UNAVAILABLE"),
)  # fmt: skip

_UNKNOWN_FIELDS = (
    _unknown("in the spec", "enabled: true", "spec.enabled"),
    _unknown("not built yet: workloads", "workloads: {matchLabels: {app: a}}", "spec.workloads"),
    BadPolicy(
        "unknown field: in the target's service",
        "target: {service: {name: a, path: /}}",
        "spec.target.service.path",
        "unknown field",
        _NEWER,
    ),
    _unknown("in trip", "trip: {failureRate: 50}", "spec.trip.failureRate"),
    _unknown("in the window", "trip: {window: {duration: 10s, buckets: 10}}", "spec.trip.window.buckets"),
    _unknown(
        "in slow calls", "trip: {slowCalls: {duration: 1s, percent: 10}}", "spec.trip.slowCalls.percent"
    ),
    _unknown("not built yet: rampUp", "recovery: {rampUp: {duration: 30s}}", "spec.recovery.rampUp"),
    _unknown("in halfOpen", "recovery: {halfOpen: {permitted: 3}}", "spec.recovery.halfOpen.permitted"),
    _unknown("in the timeout", "timeout: {connect: 1s}", "spec.timeout.connect"),
    _unknown(
        "in the exceptions", "classify: {exceptions: {success: [a.B]}}", "spec.classify.exceptions.success"
    ),
    _unknown("of another spelling", "trip: {MinimumCalls: 3}", "spec.trip.MinimumCalls"),
)

BAD = (
    _BAD_TARGETS + _BAD_PERCENTS + _BAD_DURATIONS + _BAD_WINDOWS + _BAD_NUMBERS + _BAD_LISTS + _UNKNOWN_FIELDS
)
"""What must be refused, each for one reason."""
