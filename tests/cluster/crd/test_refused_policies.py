"""Bad policies are refused by the API server, in words that name the field and the remedy."""

import pytest

from dev.controlplane import ControlPlane, KubectlError
from tests.conftest import Kubectl
from tests.support.api import policy_manifest
from tests.support.bad_policies import BAD, BadPolicy


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_policy_is_refused_naming_field_and_remedy(
    bad: BadPolicy, cluster: ControlPlane, kubectl: Kubectl, shared_namespace: str
) -> None:
    with pytest.raises(KubectlError) as refusal:
        kubectl(
            "apply",
            "--validate=strict",
            "-n",
            shared_namespace,
            "-f",
            "-",
            stdin=policy_manifest(bad.parsed()),
        )

    assert bad.field in refusal.value.output
    assert bad.remedy in refusal.value.output
    assert "evaluating rule" not in refusal.value.output
