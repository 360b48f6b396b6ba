"""`kubectl explain` tells what every field is."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from dev.controlplane import ControlPlane
from switchgear_operator.crd import crd
from tests.conftest import Kubectl

SCHEMA = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def sections(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object below a schema: its path as kubectl explain takes it, and its fields."""
    inner = schema.get("items", schema)
    if "properties" in inner:
        yield path, inner["properties"]
        for name, field in inner["properties"].items():
            yield from sections(field, f"{path}.{name}")


SECTIONS = dict(sections(SCHEMA["properties"]["spec"], "cbp.spec")) | dict(
    sections(SCHEMA["properties"]["status"], "cbp.status")
)


@pytest.mark.parametrize("path", SECTIONS)
def test_every_field_is_explained(path: str, cluster: ControlPlane, kubectl: Kubectl) -> None:
    words = " ".join(kubectl("explain", path).split())

    for name, field in SECTIONS[path].items():
        assert f"{name} <" in words
        assert " ".join(field["description"].split()) in words


def test_recovery_tells_meaning_default_and_bounds(cluster: ControlPlane, kubectl: Kubectl) -> None:
    words = " ".join(kubectl("explain", "cbp.spec.recovery").split())

    assert "How long the circuit stays open before it tries the target again" in words
    assert "A duration such as 500ms, 5s or 1m30s, above zero, up to 87600h. Default: 5m." in words
    assert "Default: 200. From 100 to 10000." in words
