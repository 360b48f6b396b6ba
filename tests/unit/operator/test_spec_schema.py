"""The CRD is what Kubernetes demands of one, and every part of it is explained, bounded and checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.generated import GENERATED, stale
from switchgear_operator.crd import crd, crd_yaml
from tests.support.bad_policies import BAD

REPOSITORY = Path(__file__).parent.parent.parent.parent
VERSION = crd()["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema below a field, with its path."""
    yield path, schema
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")


NODES = dict(nodes(ROOT["properties"]["spec"], "spec")) | dict(nodes(ROOT["properties"]["status"], "status"))
FIELDS = {path: schema for path, schema in NODES.items() if not path.endswith("[]")}
RULES = [rule for schema in (ROOT, *NODES.values()) for rule in schema.get("x-kubernetes-validations", ())]


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_has_a_description_in_one_sentence_or_more(path: str) -> None:
    description = FIELDS[path]["description"]

    assert description[0].isupper() or description.startswith("kubectl")
    assert description.endswith(".")
    assert "\n" not in description


@pytest.mark.parametrize("path", NODES)
def test_everything_is_bounded(path: str) -> None:
    schema = NODES[path]

    bounds = {
        "string": schema.keys() & {"maxLength", "enum", "format"},
        "integer": {"minimum", "maximum"} <= schema.keys(),
        "array": "maxItems" in schema,
        "object": "properties" in schema,
    }
    assert bounds[schema["type"]]


@pytest.mark.parametrize("path", NODES)
def test_no_number_is_a_float_and_nothing_is_left_open(path: str) -> None:
    assert NODES[path]["type"] in {"string", "integer", "array", "object"}
    assert "additionalProperties" not in NODES[path]
    assert "x-kubernetes-preserve-unknown-fields" not in NODES[path]


@pytest.mark.parametrize("path", [path for path, schema in NODES.items() if schema["type"] == "array"])
def test_every_list_says_how_it_merges(path: str) -> None:
    wanted = "map" if path == "status.conditions" else "atomic"

    assert NODES[path]["x-kubernetes-list-type"] == wanted


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["message"][:40])
def test_every_rule_is_broken_by_a_bad_policy_that_quotes_its_message(rule: dict[str, str]) -> None:
    about_the_name = "metadata.name" in rule["message"]  # tests/cluster/crd/test_editing.py breaks it

    assert about_the_name or any(bad.remedy in rule["message"] for bad in BAD)


def test_the_names_are_the_designs() -> None:
    names = crd()["spec"]["names"]

    assert crd()["metadata"]["name"] == "circuitbreakerpolicies.switchgear.dev"
    assert (names["kind"], names["shortNames"]) == ("CircuitBreakerPolicy", ["cbp"])
    assert VERSION["subresources"] == {"status": {}}


def test_the_yaml_is_the_definition() -> None:
    assert yaml.safe_load(crd_yaml()) == crd()
    assert crd_yaml().isascii()


def test_generated_files_are_current() -> None:
    assert stale(REPOSITORY) == {}


def test_a_changed_generated_file_is_found_with_its_difference(tmp_path: Path) -> None:
    for path, make in GENERATED.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(make(), encoding="utf-8")
    changed = tmp_path / "crds" / "circuitbreakerpolicies.switchgear.dev.yaml"
    changed.write_text(
        changed.read_text(encoding="utf-8").replace("default: Enforce", "default: Observe"), encoding="utf-8"
    )

    (difference,) = stale(tmp_path).values()

    assert "-                default: Observe" in difference
    assert "+                default: Enforce" in difference
