"""Good policies are accepted by the API server, and reading one back shows every default."""

import json
from typing import Any

import pytest
import yaml

from dev.controlplane import ControlPlane
from switchgear_operator.spec import PolicySpec
from tests.conftest import Kubectl
from tests.support.api import policy_manifest
from tests.support.good_policies import GOOD, as_json

DEFAULTS = {
    "mode": "Enforce",
    "trip": {
        "window": {"type": "Time", "duration": "10s"},
        "minimumCalls": 20,
        "failureRatePercent": 50,
    },
    "recovery": {
        "openDuration": "5s",
        "maxOpenDuration": "5m",
        "backoffMultiplierPercent": 200,
        "jitterPercent": 10,
        "halfOpen": {"permittedCalls": 5, "successThreshold": 5, "maxDuration": "30s"},
    },
    "classify": {
        "exceptions": {"failures": [], "ignored": []},
        "httpStatuses": {"failures": ["5xx", "429"], "ignored": []},
        "grpcStatuses": {"failures": ["UNAVAILABLE", "DEADLINE_EXCEEDED"]},
    },
}


def apply(kubectl: Kubectl, namespace: str, spec: object) -> Any:
    """Apply a spec with the real kubectl, and return the spec that the API server stored."""
    kubectl("apply", "--validate=strict", "-n", namespace, "-f", "-", stdin=policy_manifest(spec))
    return json.loads(kubectl("get", "cbp", "policy", "-n", namespace, "-o", "json"))["spec"]


def test_reading_a_minimal_policy_back_shows_every_default(
    cluster: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    stored = apply(kubectl, namespace, {"target": {"name": "orders-db"}})

    assert stored == {"target": {"name": "orders-db"}, **DEFAULTS}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_a_good_policy_is_accepted_and_completed_as_the_models_complete_it(
    text: str, cluster: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    stored = apply(kubectl, namespace, yaml.safe_load(text))

    expected = PolicySpec.model_validate(as_json(text))
    assert PolicySpec.model_validate(stored) == expected
    assert without_empty(stored) == without_empty(
        expected.model_dump(mode="json", by_alias=True, exclude_none=True)
    )


def without_empty(value: Any) -> Any:
    """The same without empty objects: a section with nothing in it says as much as none."""
    if not isinstance(value, dict):
        return value
    return {key: without_empty(item) for key, item in value.items() if item != {}}
