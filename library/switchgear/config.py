"""What a breaker is told: thresholds, durations and the mode, validated once and never changed.

The fields mirror the `CircuitBreakerPolicy` resource in snake_case. Durations are seconds as float,
rates are 0..1. A policy and a config in code are therefore the same thing, written in two places.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["CircuitConfig", "CountWindow", "Mode", "TimeWindow", "checked_config", "checked_name"]

LONGEST = 10.0 * 365 * 24 * 3600
"""The longest duration accepted anywhere, in seconds: ten years, far below where float seconds lose milliseconds."""

GRPC_STATUSES = frozenset(
    (
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
        "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    )
)  # fmt: skip
"""The names of all gRPC status codes."""

LARGEST_COUNT_WINDOW = 10_000
"""The largest count window: one byte of memory per remembered call."""


class Mode(Enum):
    """What the breaker does with what it knows. The values are the policy's spelling."""

    ENFORCE = "Enforce"
    """Judge the calls and reject while the circuit is open."""
    OBSERVE = "Observe"
    """Judge the calls and change state, but never reject one."""
    FORCE_OPEN = "ForceOpen"
    """Reject every call: the emergency switch. The state behind it is kept."""
    DISABLED = "Disabled"
    """Let every call straight through, uncounted. The state behind it is kept."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Judge the calls of the last `duration` seconds.

    Raises:
        ValueError: `duration` is not a number of seconds above zero and up to ten years.
    """

    duration: float

    def __post_init__(self) -> None:
        _check_seconds("TimeWindow.duration", self.duration)


@dataclass(frozen=True, slots=True)
class CountWindow:
    """Judge the last `size` calls, however old.

    Raises:
        ValueError: `size` is not a whole number from 1 to 10,000.
    """

    size: int

    def __post_init__(self) -> None:
        _check_count("CountWindow.size", self.size, most=LARGEST_COUNT_WINDOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitConfig:
    """When a circuit opens, how it recovers, and which outcomes count.

    Any satisfied trip rule opens the circuit: the failure rate, the slow-call rate, or failures in a row.

    Args:
        window: Which calls the two rates look at.
        minimum_calls: Calls in the window before a rate is judged. Default: 20, or a smaller count window's size.
        failure_rate_threshold: Share of failed calls, 0..1, from which the circuit opens.
        slow_call_duration: Seconds from which a call counts as slow; None judges no slowness.
        slow_call_rate_threshold: Share of slow calls, 0..1, from which the circuit opens. While half-open, the share of
            `success_threshold` that slow calls may not reach; below it they are successes like any.
        consecutive_failures: Failures in a row that open the circuit whatever the rates; None for no such rule.
        open_duration: Seconds of the first open period.
        max_open_duration: Upper bound of any open period, jitter included. Default: 300, or a longer `open_duration`.
        backoff_multiplier: Growth of the open period with each consecutive re-opening, from 1.
        jitter: Share, 0..1, by which an open period is spread around its nominal length.
        half_open_calls: Calls admitted while half-open.
        success_threshold: Successes, slow ones included, that close a half-open circuit. Default: 5, or fewer `half_open_calls`.
        half_open_max_duration: Seconds after which an unanswered half-open call counts as a failed one.
        call_timeout: Seconds after which an async call is cut; integrations hand it to their client. Async with-blocks
            and async generators are not cut. None: never.
        max_concurrent_calls: Calls in flight beyond which further ones are rejected; None for no limit.
        failure_exceptions: Exception types, or their import paths ("httpx.TransportError"), that are failures;
            another exception then counts as success, since the target answered. Empty: every `Exception`.
        ignored_exceptions: Likewise, exceptions that count as neither. They win over `failure_exceptions`.
        failure_result: Says of a returned value whether it is a failure after all; None: no value is.
        failure_http_statuses: "5xx" or "429": HTTP statuses that integrations count as failures.
        ignored_http_statuses: HTTP statuses that count as neither; they win over the failures.
        failure_grpc_statuses: Names of gRPC status codes that are failures. A gRPC error of another code is a success.
        mode: What to do with all of it.

    Raises:
        ValueError: A field is out of bounds, or two fields contradict each other; the message names both.
        TypeError: A field is of another type.
    """

    window: TimeWindow | CountWindow = field(default_factory=lambda: TimeWindow(10.0))
    minimum_calls: int = None  # type: ignore[assignment]  # always an int once built: see __post_init__
    failure_rate_threshold: float = 0.5
    slow_call_duration: float | None = None
    slow_call_rate_threshold: float = 0.8
    consecutive_failures: int | None = None
    open_duration: float = 5.0
    max_open_duration: float = None  # type: ignore[assignment]  # always a float once built: see __post_init__
    backoff_multiplier: float = 2.0
    jitter: float = 0.1
    half_open_calls: int = 5
    success_threshold: int = None  # type: ignore[assignment]  # always an int once built: see __post_init__
    half_open_max_duration: float = 30.0
    call_timeout: float | None = None
    max_concurrent_calls: int | None = None
    failure_exceptions: tuple[type[BaseException] | str, ...] = ()
    ignored_exceptions: tuple[type[BaseException] | str, ...] = ()
    failure_result: Callable[[object], bool] | None = None
    failure_http_statuses: tuple[str, ...] = ("5xx", "429")
    ignored_http_statuses: tuple[str, ...] = ()
    failure_grpc_statuses: tuple[str, ...] = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    mode: Mode = Mode.ENFORCE

    def __post_init__(self) -> None:
        self._fill_in_dependent_defaults()
        self._check_trip()
        self._check_recovery()
        self._check_limits()
        self._check_classification()

    def _fill_in_dependent_defaults(self) -> None:
        def default(name: str, value: float) -> None:
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

        _check_seconds("open_duration", self.open_duration)
        _check_count("half_open_calls", self.half_open_calls)
        fits = self.window.size if isinstance(self.window, CountWindow) else 20
        default("minimum_calls", min(20, fits))
        default("max_open_duration", max(300.0, self.open_duration))
        default("success_threshold", min(5, self.half_open_calls))

    def _check_trip(self) -> None:
        if not isinstance(self.window, TimeWindow | CountWindow):
            raise TypeError(f"window is {self.window!r}: give a TimeWindow or a CountWindow")
        _check_count("minimum_calls", self.minimum_calls)
        _check_rate("failure_rate_threshold", self.failure_rate_threshold)
        if self.slow_call_duration is not None:
            _check_seconds("slow_call_duration", self.slow_call_duration)
        _check_rate("slow_call_rate_threshold", self.slow_call_rate_threshold)
        if self.consecutive_failures is not None:
            _check_count("consecutive_failures", self.consecutive_failures)
        if isinstance(self.window, CountWindow) and self.minimum_calls > self.window.size:
            raise ValueError(
                f"minimum_calls is {self.minimum_calls}, but window holds only {self.window.size} calls: "
                "lower minimum_calls or enlarge the window"
            )

    def _check_recovery(self) -> None:
        _check_seconds("max_open_duration", self.max_open_duration)
        _check_seconds("half_open_max_duration", self.half_open_max_duration)
        _check_count("success_threshold", self.success_threshold)
        _check_number("backoff_multiplier", self.backoff_multiplier, least=1.0, most=100.0)
        _check_number("jitter", self.jitter, least=0.0, most=1.0)
        if self.max_open_duration < self.open_duration:
            raise ValueError(
                f"max_open_duration is {self.max_open_duration}, shorter than open_duration {self.open_duration}: "
                "raise max_open_duration or lower open_duration"
            )
        if self.success_threshold > self.half_open_calls:
            raise ValueError(
                f"success_threshold is {self.success_threshold}, but half_open_calls admits only "
                f"{self.half_open_calls}: lower success_threshold or raise half_open_calls"
            )

    def _check_limits(self) -> None:
        if self.call_timeout is not None:
            _check_seconds("call_timeout", self.call_timeout)
        if self.max_concurrent_calls is not None:
            _check_count("max_concurrent_calls", self.max_concurrent_calls)

    def _check_classification(self) -> None:
        for name in ("failure_exceptions", "ignored_exceptions"):
            object.__setattr__(self, name, _exception_tuple(name, getattr(self, name)))
        for name, example, check in (
            ("failure_http_statuses", "503", _check_http_status),
            ("ignored_http_statuses", "503", _check_http_status),
            ("failure_grpc_statuses", "UNAVAILABLE", _check_grpc_status),
        ):
            statuses = _string_tuple(name, getattr(self, name), example)
            object.__setattr__(self, name, statuses)
            for status in statuses:
                check(name, status)
        if self.failure_result is not None and not callable(self.failure_result):
            raise TypeError(
                f"failure_result is {self.failure_result!r}: give a function of the result, or None"
            )
        if not isinstance(self.mode, Mode):
            raise TypeError(f"mode is {self.mode!r}: give a switchgear.Mode")


def checked_name(name: object) -> str:
    """A breaker's name.

    Raises:
        TypeError: It is not a text, or empty.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"name is {name!r}: give a text that is not empty")
    return name


def checked_config(config: object) -> CircuitConfig:
    """A breaker's config; the defaults for None.

    Raises:
        TypeError: It is something else.
    """
    if config is not None and not isinstance(config, CircuitConfig):
        raise TypeError(f"config is {config!r}: give a CircuitConfig, or None for the defaults")
    return config or CircuitConfig()


def _check_number(name: str, value: object, *, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}: give a number from {least:g} to {most:g}")
    if not least <= value <= most:
        raise ValueError(f"{name} is {value!r}: give a number from {least:g} to {most:g}")


def _check_rate(name: str, value: object) -> None:
    _check_number(name, value, least=0.0, most=1.0)
    if value == 0:
        raise ValueError(f"{name} is {value!r}: give a share above 0, up to 1 (0.5 is one call in two)")


def _check_seconds(name: str, value: object) -> None:
    remedy = f"give a number of seconds above zero, up to ten years ({LONGEST:.0f})"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}: {remedy}")
    if not 0 < value <= LONGEST:
        raise ValueError(f"{name} is {value!r}: {remedy}")


def _check_count(name: str, value: object, most: int = 1_000_000) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}: give a whole number from 1 to {most}")
    if not 1 <= value <= most:
        raise ValueError(f"{name} is {value!r}: give a whole number from 1 to {most}")


def _exception_tuple(name: str, value: object) -> tuple[type[BaseException] | str, ...]:
    items = (value,) if isinstance(value, str | type) else value
    if not isinstance(items, tuple | list | set | frozenset):
        raise TypeError(f"{name} is {value!r}: give a tuple of exception types or import paths")
    for item in items:
        is_type = isinstance(item, type) and issubclass(item, BaseException)
        if not is_type and not isinstance(item, str):
            raise TypeError(f"{name} contains {item!r}: give exception types or import paths")
        if isinstance(item, str) and not all(part.isidentifier() for part in item.split(".")):
            raise ValueError(f'{name} contains {item!r}: give an import path such as "httpx.TransportError"')
    return tuple(items)


def _string_tuple(name: str, value: object, example: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, tuple | list | set | frozenset):
        raise TypeError(f"{name} is {value!r}: give a tuple of strings")
    for item in value:
        if not isinstance(item, str):
            raise TypeError(f'{name} contains {item!r}: give strings such as "{example}"')
    return tuple(value)


def _check_http_status(name: str, status: str) -> None:
    exact = len(status) == 3 and status.isascii() and status.isdigit() and "100" <= status <= "599"
    family = len(status) == 3 and status[0] in "12345" and status[1:] == "xx"
    if not exact and not family:
        raise ValueError(f'{name} contains {status!r}: give a status like "503" or a family like "5xx"')


def _check_grpc_status(name: str, status: str) -> None:
    if status not in GRPC_STATUSES:
        raise ValueError(f'{name} contains {status!r}: give the name of a gRPC status such as "UNAVAILABLE"')
