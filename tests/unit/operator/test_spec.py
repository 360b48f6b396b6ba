"""The models read a policy as the API server does: same defaults, same refusals."""

import pytest
from pydantic import ValidationError

from switchgear.config import Mode
from switchgear_operator.durations import Duration
from switchgear_operator.formats import GrpcStatus
from switchgear_operator.spec import PolicySpec, Service
from tests.support.bad_policies import BAD, BadPolicy
from tests.support.good_policies import GOOD, as_json


@pytest.mark.parametrize("bad", [bad for bad in BAD if not bad.only_api], ids=lambda bad: bad.name)
def test_a_bad_policy_is_refused_naming_the_field(bad: BadPolicy) -> None:
    with pytest.raises(ValidationError) as refusal:
        PolicySpec.model_validate(bad.parsed())

    last_field = bad.field.partition("[")[0].rpartition(".")[2]
    assert last_field in str(refusal.value)


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.only_api], ids=lambda bad: bad.name)
def test_what_only_the_api_server_can_refuse_is_read(bad: BadPolicy) -> None:
    assert PolicySpec.model_validate(bad.parsed()).mode is Mode.ENFORCE


@pytest.mark.parametrize(
    "bad",
    [bad for bad in BAD if bad.field == "spec.target.host" and "Too long" not in bad.remedy],
    ids=lambda bad: bad.name,
)
def test_a_mistake_in_a_host_is_told_once_by_the_rule_that_knows_its_remedy(bad: BadPolicy) -> None:
    with pytest.raises(ValidationError) as refusal:
        PolicySpec.model_validate(bad.parsed())

    (error,) = refusal.value.errors()
    assert error["loc"] == ("target", "host")
    assert bad.remedy in error["msg"]


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_reading_what_was_written_gives_the_same_policy(text: str) -> None:
    spec = PolicySpec.model_validate(as_json(text))

    assert PolicySpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec


def test_the_fields_are_typed() -> None:
    spec = PolicySpec.model_validate(
        {
            "target": {"service": {"name": "payments", "port": 8080}},
            "mode": "ForceOpen",
            "timeout": {"call": "1m30s"},
        }
    )

    assert spec.target.service == Service(name="payments", namespace=None, port=8080)
    assert spec.target.given() == ["service"]
    assert spec.mode is Mode.FORCE_OPEN
    assert spec.timeout.call == Duration.parse("90s")
    assert spec.trip.slow_calls is None
    assert spec.limits.max_concurrent_calls is None
    assert spec.classify.grpc_statuses.failures == (GrpcStatus.UNAVAILABLE, GrpcStatus.DEADLINE_EXCEEDED)


def test_a_policy_once_read_does_not_change() -> None:
    spec = PolicySpec.model_validate({"target": {"name": "db"}})

    with pytest.raises(ValidationError, match="frozen"):
        spec.mode = Mode.DISABLED  # the mistake under test
