"""What one pod says of its breakers: from Prometheus text to plain values.

The text comes from somebody else's process, so nothing in it is trusted: only the metrics named here are parsed,
a pod speaks for the policies of its own namespace alone, numbers that are no counts are left out, and every text is
bounded before it can reach a status.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from switchgear.states import CircuitState

__all__ = [
    "BreakerReading",
    "InstanceReading",
    "PolicyReading",
    "ScrapeError",
    "UnreadableMetricsError",
    "read_metrics",
]

MOST_SERIES = 24_000
"""Series of known policies beyond which a pod's answer is refused: over 1,500 breakers."""

MOST_BREAKERS = 1_000
"""Breakers of one policy that are kept of a pod's answer, those in the worst states: as many as the library has."""

LONGEST_LINE = 2048
"""Bytes of one line beyond which the answer is refused: names and labels that the library writes are far shorter."""

LONGEST_ERROR = 100
"""Characters of an error's type name that are kept."""

LARGEST_COUNT = 2**53
"""Beyond it a number is no longer a count: floats skip whole numbers there."""

_GENERATION = "switchgear_policy_generation"
_STATE = "switchgear_breaker_state"
_OPEN_UNTIL = "switchgear_breaker_open_until_timestamp_seconds"
_CALLS = "switchgear_breaker_calls_total"
_LAST_FAILURE = "switchgear_breaker_last_failure_info"
_WINDOW = {
    "switchgear_breaker_window_calls": "window_calls",
    "switchgear_breaker_window_failures": "window_failures",
    "switchgear_breaker_window_slow_calls": "window_slow_calls",
}
_READ = tuple(name.encode() for name in (_GENERATION, _STATE, _OPEN_UNTIL, _CALLS, _LAST_FAILURE, *_WINDOW))

_POLICY = re.compile(rb'[{,]\s*policy\s*=\s*"([^"\\]*)"')
_PARSED_AT_ONCE = 500
"""Lines, so that what the parser makes of an answer is never in memory as a whole."""

_WORST_FIRST = (
    CircuitState.FORCED_OPEN,
    CircuitState.OPEN,
    CircuitState.HALF_OPEN,
    CircuitState.CLOSED,
    CircuitState.DISABLED,
)


class UnreadableMetricsError(ValueError):
    """An answer that is not the library's exposition: `reason` is one word for metrics, the message is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerReading:
    """One breaker of one policy in one pod. `open_until` is seconds since the epoch; the window's numbers are calls."""

    name: str
    state: CircuitState
    open_until: float | None = None
    rejected: int = 0
    window_calls: int = 0
    window_failures: int = 0
    window_slow_calls: int = 0
    last_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReading:
    """One policy in one pod. `generation` is None where the pod has breakers of it, but has not loaded it."""

    uid: str = ""
    generation: int | None = None
    breakers: tuple[BreakerReading, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceReading:
    """All that one pod said, by policy (`namespace/name`)."""

    policies: Mapping[str, PolicyReading] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScrapeError:
    """Why a pod gave no reading.

    `reason` is one word, for metrics and messages: `address`, `refused`, `unreachable`, `timeout`, `disconnected`,
    `status`, `redirect`, `encoding`, `too_large`, `too_many_series` or `garbage`. `detail` is for people and holds
    nothing of what the pod answered but its status code.
    """

    reason: str
    detail: str

    def __str__(self) -> str:
        return self.detail


def read_metrics(body: bytes, *, policies: frozenset[str]) -> InstanceReading:
    """Read what a pod answered about `policies`: those of its namespace, each as it stands in the label `policy`.

    Whatever it says of others is dropped unread: it may claim as many as it likes.

    Raises:
        UnreadableMetricsError: With reason `garbage` (not the text format, or nothing of switchgear in it) or
            `too_many_series`.
    """
    drafts: dict[str, _PolicyDraft] = {}
    for sample in _parse(_wanted_lines(body, policies)):
        key = sample.labels.get("policy", "")
        if key in policies:
            drafts.setdefault(key, _PolicyDraft()).take(sample)
    return InstanceReading({key: draft.reading() for key, draft in drafts.items()})


def _wanted_lines(body: bytes, policies: frozenset[str]) -> list[bytes]:
    known = {policy.encode() for policy in policies}
    ours = [line for line in body.split(b"\n") if line.startswith(b"switchgear_")]
    if not ours:
        raise UnreadableMetricsError("garbage", "the answer has no metric of switchgear in it")
    # A line whose policy cannot be told is left to the parser.
    wanted = [
        line
        for line in ours
        if line.startswith(_READ) and ((found := _POLICY.search(line)) is None or found[1] in known)
    ]
    if len(wanted) > MOST_SERIES:
        raise UnreadableMetricsError(
            "too_many_series", f"{len(wanted)} series of switchgear, above the limit of {MOST_SERIES}"
        )
    if any(len(line) > LONGEST_LINE for line in wanted):
        raise UnreadableMetricsError("garbage", f"a line is longer than {LONGEST_LINE} bytes")
    return wanted


def _parse(lines: Iterable[bytes]) -> Iterator[Sample]:
    try:
        rest = iter(lines)
        while some := list(islice(rest, _PARSED_AT_ONCE)):
            text = b"\n".join(some).decode("utf-8") + "\n"
            for family in text_string_to_metric_families(text):
                yield from family.samples
    except (
        ValueError,
        LookupError,
        OverflowError,
    ) as error:  # what its parser raises for what it cannot read
        raise UnreadableMetricsError("garbage", "the answer is not in the Prometheus text format") from error


@dataclass(slots=True)
class _PolicyDraft:
    uid: str = ""
    generation: int | None = None
    breakers: dict[str, "_BreakerDraft"] = field(default_factory=dict)

    def take(self, sample: Sample) -> None:
        if sample.name == _GENERATION:
            self.uid = sample.labels.get("uid", "")
            self.generation = _count(sample.value)
        elif "breaker" in sample.labels:
            self.breakers.setdefault(sample.labels["breaker"], _BreakerDraft()).take(sample)

    def reading(self) -> PolicyReading:
        claimed = (draft.reading(name) for name, draft in self.breakers.items())
        breakers = [reading for reading in claimed if reading is not None]
        if len(breakers) > MOST_BREAKERS:
            breakers.sort(key=lambda each: (_WORST_FIRST.index(each.state), each.name))
            del breakers[MOST_BREAKERS:]
        return PolicyReading(
            uid=self.uid,
            generation=self.generation,
            breakers=tuple(sorted(breakers, key=lambda each: each.name)),
        )


@dataclass(slots=True)
class _BreakerDraft:
    states: set[str] = field(default_factory=set)
    open_until: float | None = None
    last_error: str | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def take(self, sample: Sample) -> None:
        count = _count(sample.value)
        if count is None:
            return
        if sample.name == _STATE and count:
            self.states.add(sample.labels.get("state", ""))
        elif sample.name == _OPEN_UNTIL:
            self.open_until = sample.value or None
        elif sample.name == _LAST_FAILURE and count:
            self.last_error = _one_short_line(sample.labels.get("error", ""))
        elif sample.name == _CALLS and sample.labels.get("outcome") == "rejected":
            self.counts["rejected"] = count
        elif sample.name in _WINDOW:
            self.counts[_WINDOW[sample.name]] = count

    def reading(self, name: str) -> BreakerReading | None:
        """The reading, with the worst of the states claimed; None without a state that is known here."""
        for state in _WORST_FIRST:
            if state.value in self.states:
                return BreakerReading(
                    name=name,
                    state=state,
                    open_until=self.open_until,
                    last_error=self.last_error,
                    **self.counts,
                )
        return None


def _count(value: float) -> int | None:
    """The value as a count, or None if it is none: NaN, infinite, negative or beyond all counting."""
    return int(value) if 0 <= value <= LARGEST_COUNT else None


def _one_short_line(text: str) -> str | None:
    printable = "".join(character for character in text if character.isprintable()).strip()
    return printable[:LONGEST_ERROR] or None
