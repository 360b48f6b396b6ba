"""The CustomResourceDefinition, made of the pydantic models: `python -m switchgear_operator.crd` prints its YAML."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema

from .durations import LONGEST_DURATION, PATTERN, Duration
from .rules import Section
from .spec import PolicySpec
from .status import PolicyStatus

__all__ = ["GROUP", "KIND", "PLURAL", "VERSION", "crd", "crd_yaml"]

GROUP = "switchgear.dev"
VERSION = "v1alpha1"
KIND = "CircuitBreakerPolicy"
PLURAL = "circuitbreakerpolicies"

_LONGEST_NAME = 248
"""A policy's name with `.json` is a key of the ConfigMap, which has at most 253 characters."""

_BOUNDLESS = 2**53
"""From this maximum on, a bound only keeps a number exact; it is no news to a reader."""

_KEPT = (
    "type",
    "format",
    "description",
    "default",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "required",
)
"""What a Kubernetes structural schema takes over from JSON Schema as it is, in the order of the YAML."""


def crd() -> dict[str, Any]:
    """The definition as the API takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "circuitbreakerpolicy",
                "shortNames": ["cbp"],
                "categories": ["switchgear"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _printer_columns(),
                    "schema": {"openAPIV3Schema": _resource_schema()},
                }
            ],
        },
    }


def crd_yaml() -> str:
    """The definition as a file: the bytes that are committed and that the chart carries."""
    body = yaml.dump(crd(), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated from the models in operator/switchgear_operator by `make generate`. Do not edit.\n{body}"


def _printer_columns() -> list[dict[str, Any]]:
    def column(
        name: str, path: str, description: str, kind: str = "string", wide: bool = False
    ) -> dict[str, Any]:
        return {
            "name": name,
            "type": kind,
            "jsonPath": path,
            "description": description,
            "priority": 1 if wide else 0,
        }

    return [
        column("Target", ".status.summary.target", "What the policy protects."),
        column("Mode", ".spec.mode", "What its breakers do with what they know."),
        column("State", ".status.state", "The circuits' state, over all instances."),
        column("Open", ".status.summary.open", "Open instances, of those that report."),
        column("Fail%", ".status.failureRatePercent", "Share of failed calls, in percent.", "integer"),
        column(
            "Updated", ".status.summary.updated", "Instances that run the newest policy, of those expected."
        ),
        column(
            "Slow%", ".status.slowCallRatePercent", "Share of slow calls, in percent.", "integer", wide=True
        ),
        column("Calls", ".status.calls", "Calls in all windows.", "integer", wide=True),
        column(
            "Rejected/min", ".status.rejectedPerMinute", "Calls rejected per minute.", "integer", wide=True
        ),
        column(
            "Reporting", ".status.summary.reporting", "Instances that answer, of those expected.", wide=True
        ),
        column(
            "Accepted",
            '.status.conditions[?(@.type=="Accepted")].reason',
            "Whether the operator can deliver the policy, or why not.",
            wide=True,
        ),
        column("Generation", ".metadata.generation", "Edits of the policy so far.", "integer", wide=True),
        column(
            "Observed",
            ".status.observedGeneration",
            "The edit that the status is about.",
            "integer",
            wide=True,
        ),
        column("Since", ".status.lastTransitionTime", "When the state last changed.", "date", wide=True),
        column("Age", ".metadata.creationTimestamp", "When the policy was created.", "date"),
    ]


def _resource_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Protects the callers in its namespace from a target that fails or hangs: circuit breakers inside "
        "each Python process, told by this policy.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
            "kind": {"type": "string", "description": KIND},
            "metadata": {"type": "object"},
            "spec": _section_schema(PolicySpec) | {"description": "What is protected, and how."},
            "status": _section_schema(PolicyStatus)
            | {"description": "What the operator knows of the circuits. Written by the operator only."},
        },
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.size() <= {_LONGEST_NAME}",
                "message": f"metadata.name is too long: give a name of at most {_LONGEST_NAME} characters",
            }
        ],
    }


def _section_schema(model: type[Section]) -> dict[str, Any]:
    document = model.model_json_schema(schema_generator=_JsonSchema)
    return _structural(document, document.get("$defs", {}))


class _JsonSchema(GenerateJsonSchema):
    """Pydantic's generator, writing defaults as the policy would."""

    def encode_default(self, dft: Any) -> Any:
        match dft:
            case Duration():
                return str(dft)
            case Section():
                return dft.model_dump(mode="json", by_alias=True, exclude_none=True)
            case _:
                return super().encode_default(dft)


def _structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema as pydantic writes it, turned into what Kubernetes calls structural."""
    schema = _resolved(schema, definitions)
    result = {key: schema[key] for key in _KEPT if key in schema}
    result |= {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
    if schema["type"] == "array":
        result["items"] = _structural(schema["items"], definitions)
        result.setdefault("x-kubernetes-list-type", "atomic")
    if schema["type"] == "object":
        fields = schema["properties"].items()
        result["properties"] = {name: _structural(value, definitions) for name, value in fields}
        if not result.get("default", True):
            del result["default"]  # an object that has nothing to fill in stays absent
    if "description" in result:
        result["description"] = _description(result)
    return result


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with its reference followed and "or null" taken off: what is absent is absent."""
    resolved = dict(schema)
    while "$ref" in resolved or "anyOf" in resolved:
        if "$ref" in resolved:
            inner = definitions[resolved.pop("$ref").removeprefix("#/$defs/")]
        else:
            (inner,) = (choice for choice in resolved.pop("anyOf") if choice != {"type": "null"})
        resolved = {**inner, **resolved}
    if resolved.get("default", ...) is None:
        del resolved["default"]
    return resolved


def _description(schema: Mapping[str, Any]) -> str:
    """The docstring in one paragraph, and the default and bounds after it, so that they are never told wrong."""
    facts = [" ".join(schema["description"].split())]
    if schema.get("pattern") == PATTERN:
        facts.append(f"A duration such as 500ms, 5s or 1m30s, above zero, up to {LONGEST_DURATION}.")
    default = schema.get("default")
    if default is not None and not isinstance(default, dict):
        facts.append(f"Default: {json.dumps(default) if isinstance(default, list) else default}.")
    if "minimum" in schema and schema["maximum"] < _BOUNDLESS:
        facts.append(f"From {schema['minimum']} to {schema['maximum']}.")
    if "maxItems" in schema:
        facts.append(f"At most {schema['maxItems']} elements.")
    return " ".join(facts)


class _Dumper(yaml.SafeDumper):
    """Writes equal parts out in full: Kubernetes' YAML has no anchors."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # the name is the base class's
        return True


if __name__ == "__main__":
    sys.stdout.write(crd_yaml())
