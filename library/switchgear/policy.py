"""The policy document: what the operator writes into a ConfigMap and the library reads from it.

One class serves both ends, so what is written is what is read. A document is canonical JSON (sorted keys, no
spaces, every default filled in, durations in whole milliseconds, rates in whole percent): equal policies give
equal bytes. Readers ignore fields they do not know and refuse a `schema` they do not know.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from .config import CircuitConfig, CountWindow, Mode, TimeWindow
from .targets import HostTarget, NameTarget, ServiceTarget, Target

__all__ = ["LARGEST_DOCUMENT", "SCHEMA", "PolicyDocument", "PolicyError"]

SCHEMA = 1
"""The version of the document's meaning. It changes only when an old reader would misread a new document."""

LARGEST_DOCUMENT = 256 * 1024
"""Bytes beyond which a document is refused unread."""

_Fields = Mapping[str, Any]  # a JSON object: what its values are is what this module finds out


class PolicyError(ValueError):
    """A document that cannot be used: `reason` is one word for metrics, the message is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """One accepted policy.

    Args:
        policy: `namespace/name` of the resource.
        uid: The resource's uid, which tells a policy from a later one of the same name.
        generation: The resource's generation: what "every instance runs the newest policy" is judged by.
        target: What calls it guards.
        config: How it guards them.
    """

    policy: str
    uid: str
    generation: int
    target: Target
    config: CircuitConfig

    def to_json(self) -> str:
        """The canonical form, in ASCII without a final newline."""
        fields = {
            "schema": SCHEMA,
            "policy": self.policy,
            "uid": self.uid,
            "generation": self.generation,
            "target": _target_fields(self.target),
            **_config_fields(self.config),
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, data: bytes | str) -> "PolicyDocument":
        """Read a document.

        Raises:
            PolicyError: With reason `oversized`, `encoding`, `malformed`, `schema` or `invalid`.
        """
        fields = _object(_parse(data), "the document")
        schema = fields.get("schema")
        if schema != SCHEMA or isinstance(schema, bool):
            raise PolicyError(
                "schema", f"schema is {_brief(schema)}, but this library reads {SCHEMA}: upgrade switchgear"
            )
        try:
            return cls(
                policy=_text(fields, "policy"),
                uid=_text(fields, "uid"),
                generation=_whole(fields, "generation"),
                target=_read_target(_object(fields.get("target"), "target")),
                config=_read_config(fields),
            )
        except PolicyError:
            raise
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise PolicyError("invalid", _shortened(str(error))) from error


def _target_fields(target: Target) -> dict[str, object]:
    match target:
        case ServiceTarget(name, namespace, port):
            return {"service": {"name": name, "namespace": namespace, "port": port}}
        case HostTarget():
            return {"host": str(target)}
        case NameTarget(name):
            return {"name": name}


def _config_fields(config: CircuitConfig) -> dict[str, object]:
    slow = config.slow_call_duration
    return {
        "mode": config.mode.value,
        "trip": {
            "window": _window_fields(config.window),
            "minimumCalls": config.minimum_calls,
            "failureRatePercent": _percent(config.failure_rate_threshold),
            "slowCalls": None
            if slow is None
            else {"duration": _milliseconds(slow), "ratePercent": _percent(config.slow_call_rate_threshold)},
            "consecutiveFailures": config.consecutive_failures,
        },
        "recovery": {
            "openDuration": _milliseconds(config.open_duration),
            "maxOpenDuration": _milliseconds(config.max_open_duration),
            "backoffMultiplierPercent": _percent(config.backoff_multiplier),
            "jitterPercent": _percent(config.jitter),
            "halfOpen": {
                "permittedCalls": config.half_open_calls,
                "successThreshold": config.success_threshold,
                "maxDuration": _milliseconds(config.half_open_max_duration),
            },
        },
        "timeout": {"call": None if config.call_timeout is None else _milliseconds(config.call_timeout)},
        "limits": {"maxConcurrentCalls": config.max_concurrent_calls},
        "classify": {
            "exceptions": {
                "failures": _paths(config.failure_exceptions),
                "ignored": _paths(config.ignored_exceptions),
            },
            "httpStatuses": {
                "failures": list(config.failure_http_statuses),
                "ignored": list(config.ignored_http_statuses),
            },
            "grpcStatuses": {"failures": list(config.failure_grpc_statuses)},
        },
    }


def _window_fields(window: TimeWindow | CountWindow) -> dict[str, object]:
    match window:
        case TimeWindow(duration):
            return {"type": "Time", "duration": _milliseconds(duration)}
        case CountWindow(size):
            return {"type": "Count", "size": size}


def _read_target(fields: _Fields) -> Target:
    kinds = [kind for kind in ("service", "host", "name") if fields.get(kind) is not None]
    match kinds:
        case ["service"]:
            service = _object(fields["service"], "target.service")
            port = None if service.get("port") is None else _port(service["port"], "target.service.port")
            return ServiceTarget(_text(service, "name"), _text(service, "namespace"), port)
        case ["host"]:
            host, colon, port_text = _text(fields, "host").lower().partition(":")
            digits = port_text.isascii() and port_text.isdigit() and len(port_text) <= 5
            port = (
                _port(int(port_text) if digits else port_text, "the port of target.host") if colon else None
            )
            return HostTarget(host.removesuffix("."), port)
        case ["name"]:
            return NameTarget(_text(fields, "name"))
        case _:
            raise PolicyError(
                "invalid", f"target has {kinds or 'nothing'}: give one of service, host and name"
            )


def _read_config(fields: _Fields) -> CircuitConfig:
    trip = _object(fields.get("trip"), "trip")
    slow = None if trip.get("slowCalls") is None else _object(trip["slowCalls"], "trip.slowCalls")
    recovery = _object(fields.get("recovery"), "recovery")
    half_open = _object(recovery.get("halfOpen"), "recovery.halfOpen")
    timeout = _object(fields.get("timeout", {}), "timeout").get("call")
    classify = _object(fields.get("classify", {}), "classify")
    exceptions = _object(classify.get("exceptions", {}), "classify.exceptions")
    statuses = _object(classify.get("httpStatuses", {}), "classify.httpStatuses")
    codes = _object(classify.get("grpcStatuses", {}), "classify.grpcStatuses")
    return CircuitConfig(
        window=_read_window(_object(trip.get("window"), "trip.window")),
        minimum_calls=_whole(trip, "minimumCalls"),
        failure_rate_threshold=_whole(trip, "failureRatePercent") / 100,
        slow_call_duration=None if slow is None else _whole(slow, "duration") / 1000,
        slow_call_rate_threshold=0.8 if slow is None else _whole(slow, "ratePercent") / 100,
        consecutive_failures=trip.get("consecutiveFailures"),
        open_duration=_whole(recovery, "openDuration") / 1000,
        max_open_duration=_whole(recovery, "maxOpenDuration") / 1000,
        backoff_multiplier=_whole(recovery, "backoffMultiplierPercent") / 100,
        jitter=_whole(recovery, "jitterPercent") / 100,
        half_open_calls=_whole(half_open, "permittedCalls"),
        success_threshold=_whole(half_open, "successThreshold"),
        half_open_max_duration=_whole(half_open, "maxDuration") / 1000,
        call_timeout=None if timeout is None else _whole({"timeout.call": timeout}, "timeout.call") / 1000,
        max_concurrent_calls=_object(fields.get("limits", {}), "limits").get("maxConcurrentCalls"),
        failure_exceptions=_texts(exceptions.get("failures", []), "classify.exceptions.failures"),
        ignored_exceptions=_texts(exceptions.get("ignored", []), "classify.exceptions.ignored"),
        failure_http_statuses=_texts(statuses.get("failures", []), "classify.httpStatuses.failures"),
        ignored_http_statuses=_texts(statuses.get("ignored", []), "classify.httpStatuses.ignored"),
        failure_grpc_statuses=_texts(codes.get("failures", []), "classify.grpcStatuses.failures"),
        mode=_read_mode(_text(fields, "mode")),
    )


def _read_mode(text: str) -> Mode:
    modes = {mode.value: mode for mode in Mode}
    if text not in modes:
        raise PolicyError("invalid", f"mode is {_brief(text)}: give one of {', '.join(modes)}")
    return modes[text]


def _read_window(fields: _Fields) -> TimeWindow | CountWindow:
    match fields.get("type"):
        case "Time":
            return TimeWindow(_whole(fields, "duration") / 1000)
        case "Count":
            return CountWindow(_whole(fields, "size"))
        case other:
            raise PolicyError("invalid", f"trip.window.type is {other!r}: give Time or Count")


def _parse(data: bytes | str) -> object:
    if len(data) > LARGEST_DOCUMENT:
        raise PolicyError("oversized", f"{len(data)} bytes, above the limit of {LARGEST_DOCUMENT}")
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError("encoding", f"not UTF-8: {error}") from error
    try:
        parsed: object = json.loads(
            text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise PolicyError("malformed", f"not a JSON document: {error}") from error
    return parsed


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"duplicate key {_brief(key)}")
        fields[key] = value
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(value: object, name: str) -> _Fields:
    if not isinstance(value, dict):
        raise PolicyError("invalid", f"{name} is {_brief(value)}: an object is expected")
    return value


def _text(fields: _Fields, name: str) -> str:
    value = fields.get(name)
    if not _is_text(value):
        raise PolicyError("invalid", f"{name} is {_brief(value)}: a text is expected")
    return str(value)


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_text(item) for item in value):
        raise PolicyError("invalid", f"{name} is {_brief(value)}: a list of texts is expected")
    return tuple(value)


def _is_text(value: object) -> bool:
    """Whether it can be shown, logged and encoded: some characters, and no control character or half of one."""
    return isinstance(value, str) and value != "" and value.isprintable()


def _port(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise PolicyError("invalid", f"{name} is {_brief(value)}: a whole number from 1 to 65535 is expected")
    return value


def _whole(fields: _Fields, name: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise PolicyError("invalid", f"{name} is {_brief(value)}: a whole number from 0 is expected")
    return value


def _brief(value: object) -> str:
    try:
        return _shortened(repr(value), 60)
    except RecursionError:
        return f"a {type(value).__name__} nested too deep"


def _shortened(text: str, most: int = 500) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _percent(rate: float) -> int:
    return round(rate * 100)


def _paths(exceptions: tuple[type[BaseException] | str, ...]) -> list[str]:
    return [
        item if isinstance(item, str) else f"{item.__module__}.{item.__qualname__}" for item in exceptions
    ]
