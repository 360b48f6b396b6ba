"""What a schema's bounds cannot say, said once: judged by the API server as CEL, and here when a policy is read.

A `Rule` belongs to a section of the policy (`Section.rules`) or to a kind of text (`Annotated[str, Obeys(...)]`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

__all__ = ["Obeys", "Rule", "Section", "matching"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule in both of its languages.

    Args:
        cel: The rule for the API server; `self` is the section or the text.
        holds: The same for Python; None where only the API server can tell (it knows the old object).
        message: What is wrong and how to mend it.
        field: The field of the section to blame, in the policy's spelling; empty: the section itself.
        reads_old: The rule looks at the object before the update (`oldSelf`, an optional).
    """

    cel: str
    holds: Callable[[Any], bool] | None  # the value is a section or a text: what it is, the rule's place says
    message: str
    field: str = ""
    reads_old: bool = False

    def to_schema(self) -> dict[str, Any]:
        """The rule as an element of `x-kubernetes-validations`, in the order that reads best."""
        schema: dict[str, Any] = {"rule": self.cel, "message": self.message}
        if self.field:
            schema["fieldPath"] = f".{self.field}"
        if self.reads_old:
            schema["optionalOldSelf"] = True
        return schema


def matching(pattern: str, message: str) -> Rule:
    """The rule that a whole text matches a pattern, which must mean the same to RE2 and to Python."""
    compiled = re.compile(pattern)
    return Rule(
        cel=f"self.matches(r'^(?:{pattern})$')",
        holds=lambda text: compiled.fullmatch(text) is not None,
        message=message,
    )


class Obeys:
    """Metadata of an annotated type whose values obey rules, told of in the order given."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules

    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"x-kubernetes-validations": [rule.to_schema() for rule in self.rules]}

    def _check(self, value: Any) -> Any:
        _refuse_broken(self.rules, value)
        return value


class Section(BaseModel):
    """A part of the resource: camelCase outside, strict about types, never changed once read.

    Unknown fields are ignored: the API server refuses or drops them, and one that passed it comes from a newer
    schema, whose policies an operator in the middle of an upgrade must not stop delivering.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        strict=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        reference = handler(schema)
        if cls.rules:
            described = handler.resolve_ref_schema(reference)
            described["x-kubernetes-validations"] = [rule.to_schema() for rule in cls.rules]
        return reference

    @model_validator(mode="after")
    def _obey(self) -> Self:
        _refuse_broken(self.rules, self)
        return self


def _refuse_broken(rules: tuple[Rule, ...], value: object) -> None:
    for rule in rules:
        if rule.holds is not None and not rule.holds(value):
            raise ValueError(rule.message)
