"""The kinds of text and number that a policy is made of: what each may look like, and what to say when it does not."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .durations import LONGEST_DURATION, PATTERN
from .durations import Duration as ParsedDuration
from .rules import Obeys, Rule, matching

__all__ = [
    "BreakerName",
    "Calls",
    "DnsLabel",
    "Duration",
    "GrpcCode",
    "GrpcStatus",
    "Host",
    "HttpStatus",
    "ImportPath",
    "Percent",
    "Port",
    "is_duration",
]

_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_HOST_LABEL = r"[A-Za-z0-9*]([-A-Za-z0-9*]{0,61}[A-Za-z0-9*])?"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_MOST_CALLS = 1_000_000

Calls = Annotated[int, Field(ge=1, le=_MOST_CALLS)]
Percent = Annotated[int, Field(ge=1, le=100)]
Port = Annotated[int, Field(ge=1, le=65535)]


def is_duration(cel: str) -> str:
    """CEL that says whether a text is a duration: what must hold before CEL's `duration()` may read it."""
    return f"{cel}.matches(r'{PATTERN}')"


Duration = Annotated[
    ParsedDuration,
    Field(json_schema_extra={"pattern": PATTERN}),
    Obeys(
        Rule(
            cel=is_duration("self"),
            holds=None,  # `Duration.parse` has judged it
            message="give a duration such as 500ms, 5s or 1m30s, in whole numbers with the units h, m, s and ms",
        ),
        Rule(
            cel=f"!{is_duration('self')} || (duration(self) > duration('0s') && duration(self) <= duration('{LONGEST_DURATION}'))",
            holds=None,
            message=f"give a duration above zero, up to {LONGEST_DURATION} (ten years)",
        ),
    ),
]

DnsLabel = Annotated[
    str,
    Field(max_length=63),
    Obeys(
        matching(
            _LABEL, "give a DNS label: lower-case letters, digits and hyphens, with no hyphen at either end"
        )
    ),
]

# Each rule lets through what an earlier one refuses, so that a mistake is told once, by the rule that knows its remedy.
_URL = ".*/.*"
_SEVERAL_COLONS = ".*:.*:.*"

Host = Annotated[
    str,
    Field(max_length=260),
    Obeys(
        matching(
            "[^/]*",
            "host is not a URL: remove the scheme and the path, for example api.stripe.com or api.stripe.com:8443",
        ),
        matching(
            rf"{_URL}|(\*\.)?[^*]*",
            "a wildcard stands at the start of host only, before a dot: give *.suffix, for example *.example.com",
        ),
        matching(
            rf"{_URL}|[^:]*|[^:]*:{_PORT}",
            "after the colon host has a port from 1 to 65535: correct it or remove the colon "
            "(an IPv6 address cannot be a target)",
        ),
        matching(
            rf"{_URL}|{_SEVERAL_COLONS}|{_HOST_LABEL}(\.{_HOST_LABEL})*\.?(:.*)?",
            "host is not a DNS name: give labels of letters, digits and hyphens with dots between them, "
            "for example api.stripe.com",
        ),
        matching(
            rf"{_URL}|{_SEVERAL_COLONS}|(:.*)?|"
            rf"({_OCTET}\.){{3}}{_OCTET}(:.*)?|(.*\.)?[^.:]*[^.:0-9][^.:]*\.?(:.*)?|.*\.\.(:.*)?",
            "a host that ends in a number is an IPv4 address: give four numbers from 0 to 255, for example 10.0.0.7",
        ),
    ),
]

BreakerName = Annotated[
    str,
    Field(max_length=253),
    Obeys(
        Rule(
            cel=r"self.matches(r'^[^\p{C}\p{Z}]+( [^\p{C}\p{Z}]+)*$')",
            holds=lambda text: text != "" and text.isprintable() and text == " ".join(text.split()),
            message="give a name of printable characters, with single spaces between words and none at either end",
        )
    ),
]

ImportPath = Annotated[
    str,
    Field(max_length=253),
    Obeys(
        matching(
            rf"{_IDENTIFIER}(\.{_IDENTIFIER})*",
            "give the import path of an exception, for example httpx.TransportError, or a built-in one such as TimeoutError",
        )
    ),
]

HttpStatus = Annotated[
    str,
    Field(max_length=16),
    Obeys(
        matching("[1-5](xx|[0-9]{2})", 'give an HTTP status such as "503", or a family of them such as "5xx"')
    ),
]


class GrpcStatus(StrEnum):
    """The gRPC status codes that an error can carry, by name."""

    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    UNAUTHENTICATED = "UNAUTHENTICATED"


GrpcCode = Annotated[GrpcStatus, Field(strict=False)]
"""A gRPC status by its name, as the API's JSON has it."""
