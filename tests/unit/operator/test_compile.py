"""A policy as users write it becomes the document that workloads read: field by field, defaults and errors included."""

from datetime import UTC, datetime
from typing import Any

import pytest

from switchgear.config import CircuitConfig, CountWindow, Mode, TimeWindow
from switchgear.policy import PolicyDocument
from switchgear.targets import HostTarget, NameTarget, ServiceTarget, Target
from switchgear_operator.compile import InvalidPolicyError, compile_policy
from switchgear_operator.objects import Policy
from switchgear_operator.spec import PolicySpec
from tests.support.good_policies import GOOD, as_json

DB = {"target": {"name": "db"}}


def policy(spec: dict[str, Any]) -> Policy:
    return Policy(
        namespace="shop",
        name="payments",
        uid="0f4d",
        generation=7,
        created=datetime(2026, 11, 24, tzinfo=UTC),
        spec=spec,
    )


def config(**sections: Any) -> CircuitConfig:
    return compile_policy(policy({**DB, **sections})).config


def test_a_document_says_whose_it_is() -> None:
    document = compile_policy(policy(DB))

    assert (document.policy, document.uid, document.generation) == ("shop/payments", "0f4d", 7)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"name": "db"}, NameTarget("db")),
        ({"name": "Orders DB"}, NameTarget("Orders DB")),
        ({"service": {"name": "payments"}}, ServiceTarget("payments", "shop", None)),
        ({"service": {"name": "payments", "port": 8080}}, ServiceTarget("payments", "shop", 8080)),
        ({"service": {"name": "payments", "namespace": "bank"}}, ServiceTarget("payments", "bank", None)),
        ({"host": "api.stripe.com"}, HostTarget("api.stripe.com", None)),
        ({"host": "API.Stripe.com."}, HostTarget("api.stripe.com", None)),
        ({"host": "API.stripe.com.:8443"}, HostTarget("api.stripe.com", 8443)),
        ({"host": "*.Example.com"}, HostTarget("*.example.com", None)),
        ({"host": "10.0.0.7:80"}, HostTarget("10.0.0.7", 80)),
    ],
)
def test_each_kind_of_target(target: dict[str, Any], expected: Target) -> None:
    assert compile_policy(policy({"target": target})).target == expected


@pytest.mark.parametrize(
    ("sections", "field", "expected"),
    [
        ({"mode": "Enforce"}, "mode", Mode.ENFORCE),
        ({"mode": "Observe"}, "mode", Mode.OBSERVE),
        ({"mode": "ForceOpen"}, "mode", Mode.FORCE_OPEN),
        ({"mode": "Disabled"}, "mode", Mode.DISABLED),
        ({"trip": {"window": {"type": "Time", "duration": "1m30s"}}}, "window", TimeWindow(90.0)),
        ({"trip": {"window": {"duration": "500ms"}}}, "window", TimeWindow(0.5)),
        ({"trip": {"window": {"type": "Count", "size": 50}}}, "window", CountWindow(50)),
        ({"trip": {"minimumCalls": 7}}, "minimum_calls", 7),
        ({"trip": {"failureRatePercent": 1}}, "failure_rate_threshold", 0.01),
        ({"trip": {"failureRatePercent": 29}}, "failure_rate_threshold", 0.29),
        ({"trip": {"slowCalls": {"duration": "2s"}}}, "slow_call_duration", 2.0),
        ({"trip": {"slowCalls": {"duration": "2s"}}}, "slow_call_rate_threshold", 0.8),
        (
            {"trip": {"slowCalls": {"duration": "2s", "ratePercent": 35}}},
            "slow_call_rate_threshold",
            0.35,
        ),
        ({"trip": {"consecutiveFailures": 3}}, "consecutive_failures", 3),
        ({"recovery": {"openDuration": "7s"}}, "open_duration", 7.0),
        ({"recovery": {"maxOpenDuration": "1h"}}, "max_open_duration", 3600.0),
        ({"recovery": {"backoffMultiplierPercent": 150}}, "backoff_multiplier", 1.5),
        ({"recovery": {"jitterPercent": 0}}, "jitter", 0.0),
        ({"recovery": {"halfOpen": {"permittedCalls": 9}}}, "half_open_calls", 9),
        ({"recovery": {"halfOpen": {"successThreshold": 2}}}, "success_threshold", 2),
        ({"recovery": {"halfOpen": {"maxDuration": "4s"}}}, "half_open_max_duration", 4.0),
        ({"timeout": {"call": "3s"}}, "call_timeout", 3.0),
        ({"limits": {"maxConcurrentCalls": 100}}, "max_concurrent_calls", 100),
        ({"classify": {"exceptions": {"failures": ["httpx.TransportError"]}}}, "failure_exceptions", ("httpx.TransportError",)),
        ({"classify": {"exceptions": {"ignored": ["app.NotFound"]}}}, "ignored_exceptions", ("app.NotFound",)),
        ({"classify": {"httpStatuses": {"failures": ["503"]}}}, "failure_http_statuses", ("503",)),
        ({"classify": {"httpStatuses": {"failures": []}}}, "failure_http_statuses", ()),
        ({"classify": {"httpStatuses": {"ignored": ["404"]}}}, "ignored_http_statuses", ("404",)),
        ({"classify": {"grpcStatuses": {"failures": ["DATA_LOSS"]}}}, "failure_grpc_statuses", ("DATA_LOSS",)),
    ],
)  # fmt: skip
def test_each_field_reaches_the_document(sections: dict[str, Any], field: str, expected: object) -> None:
    found, defaults = config(**sections), config()

    assert getattr(found, field) == expected
    others = [name for name in CircuitConfig.__dataclass_fields__ if name != field]
    if "slow" not in field:  # its two fields are given together
        assert [getattr(found, name) for name in others] == [getattr(defaults, name) for name in others]


def test_the_defaults_of_a_policy_are_those_of_the_library() -> None:
    assert config() == CircuitConfig()


def test_every_section_left_empty_is_the_same_as_left_out() -> None:
    sections = [name for name in PolicySpec.model_fields if name not in {"target", "mode"}]

    assert config(**{name: {} for name in sections}) == config()


@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD.keys())
def test_a_policy_that_the_api_accepts_becomes_a_document_that_reads_back(spec: str) -> None:
    document = compile_policy(policy(as_json(spec)))

    assert PolicyDocument.from_json(document.to_json()) == document


def test_equal_policies_give_equal_bytes_however_they_are_written() -> None:
    short = {"target": {"service": {"name": "payments"}}, "recovery": {"openDuration": "90s"}}
    long = {
        "recovery": {"maxOpenDuration": "300s", "openDuration": "1m30s"},
        "mode": "Enforce",
        "target": {"service": {"namespace": "shop", "name": "payments"}},
    }

    assert compile_policy(policy(short)).to_json() == compile_policy(policy(long)).to_json()


def test_every_whole_percent_survives() -> None:
    for percent in range(1, 101):
        document = compile_policy(policy({**DB, "trip": {"failureRatePercent": percent}}))
        assert f'"failureRatePercent":{percent},' in document.to_json()


def test_a_field_of_a_newer_version_is_no_reason_to_refuse() -> None:
    assert config(rampUp={"duration": "30s"}, trip={"newRule": 1}) == config()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ["spec.target"]),
        ({"target": {}}, ["spec.target", "give one of service, host and name"]),
        ({"target": {"name": "a", "host": "b.example"}}, ["spec.target", "keep one"]),
        ({"target": "db"}, ["spec.target"]),
        ({**DB, "mode": "Enforced"}, ["spec.mode", "Enforce"]),
        ({**DB, "trip": {"failureRatePercent": 0}}, ["spec.trip.failureRatePercent", "greater than or equal to 1"]),
        ({**DB, "trip": {"failureRatePercent": "50"}}, ["spec.trip.failureRatePercent"]),
        ({**DB, "trip": {"window": {"type": "Count"}}}, ["spec.trip.window", "needs size"]),
        ({**DB, "recovery": {"openDuration": "5"}}, ["spec.recovery.openDuration", "500ms, 5s or 1m30s"]),
        ({**DB, "recovery": {"openDuration": "10m"}}, ["spec.recovery", "raise maxOpenDuration"]),
        ({**DB, "classify": {"httpStatuses": {"failures": ["600"]}}}, ["spec.classify.httpStatuses.failures.0"]),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_read_is_refused_by_its_field(spec: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidPolicyError) as refused:
        compile_policy(policy(spec))

    for word in words:
        assert word in str(refused.value)


def test_several_problems_are_counted() -> None:
    spec = {**DB, "mode": "Off", "trip": {"minimumCalls": 0, "failureRatePercent": 0}}

    with pytest.raises(InvalidPolicyError, match=r"spec\.\w+.*\(and 2 more\)"):
        compile_policy(policy(spec))
