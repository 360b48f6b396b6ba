"""From a policy as users write it to the document that workloads read. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from switchgear.config import CircuitConfig, CountWindow, TimeWindow
from switchgear.policy import PolicyDocument
from switchgear.targets import HostTarget, NameTarget, ServiceTarget
from switchgear.targets import Target as DocumentTarget

from .durations import Duration
from .objects import Policy
from .spec import PolicySpec, Target, Window

__all__ = ["InvalidPolicyError", "compile_policy"]


class InvalidPolicyError(ValueError):
    """A policy that the API server let through and this operator cannot read; the message names the field."""


def compile_policy(policy: Policy) -> PolicyDocument:
    """The document of a policy, with every default filled in.

    Raises:
        InvalidPolicyError: The spec is not one of this operator's schema.
    """
    try:
        spec = PolicySpec.model_validate(policy.spec)
        return PolicyDocument(
            policy=policy.key,
            uid=policy.uid,
            generation=policy.generation,
            target=_target(spec.target, policy.namespace),
            config=_config(spec),
        )
    except ValidationError as error:
        raise InvalidPolicyError(_first_problem(error)) from error
    except (TypeError, ValueError) as error:
        raise InvalidPolicyError(f"spec: {error}") from error


def _target(target: Target, namespace: str) -> DocumentTarget:
    if target.service is not None:
        service = target.service
        return ServiceTarget(service.name, service.namespace or namespace, service.port)
    if target.host is not None:
        host, _, port = target.host.lower().partition(":")
        return HostTarget(host.removesuffix("."), int(port) if port else None)
    if target.name is not None:
        return NameTarget(target.name)
    raise ValueError("target is empty: give one of service, host and name")


def _config(spec: PolicySpec) -> CircuitConfig:
    trip, recovery, classify = spec.trip, spec.recovery, spec.classify
    slow: Mapping[str, Any] = {}
    if trip.slow_calls is not None:
        slow = {
            "slow_call_duration": trip.slow_calls.duration.seconds,
            "slow_call_rate_threshold": trip.slow_calls.rate_percent / 100,
        }
    return CircuitConfig(
        **slow,
        mode=spec.mode,
        window=_window(trip.window),
        minimum_calls=trip.minimum_calls,
        failure_rate_threshold=trip.failure_rate_percent / 100,
        consecutive_failures=trip.consecutive_failures,
        open_duration=recovery.open_duration.seconds,
        max_open_duration=recovery.max_open_duration.seconds,
        backoff_multiplier=recovery.backoff_multiplier_percent / 100,
        jitter=recovery.jitter_percent / 100,
        half_open_calls=recovery.half_open.permitted_calls,
        success_threshold=recovery.half_open.success_threshold,
        half_open_max_duration=recovery.half_open.max_duration.seconds,
        call_timeout=_seconds(spec.timeout.call),
        max_concurrent_calls=spec.limits.max_concurrent_calls,
        failure_exceptions=classify.exceptions.failures,
        ignored_exceptions=classify.exceptions.ignored,
        failure_http_statuses=classify.http_statuses.failures,
        ignored_http_statuses=classify.http_statuses.ignored,
        failure_grpc_statuses=tuple(status.value for status in classify.grpc_statuses.failures),
    )


def _window(window: Window) -> TimeWindow | CountWindow:
    if window.type == "Count":
        if window.size is None:
            raise ValueError("trip.window.size is missing: a window of type Count needs it")
        return CountWindow(window.size)
    if window.duration is None:
        raise ValueError("trip.window.duration is missing: a window of type Time needs it")
    return TimeWindow(window.duration.seconds)


def _seconds(duration: Duration | None) -> float | None:
    return None if duration is None else duration.seconds


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(["spec", *(str(part) for part in problem["loc"])])
    rest = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{field}: {problem['msg']}{rest}"
