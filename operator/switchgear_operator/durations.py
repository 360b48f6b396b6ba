"""Durations as Kubernetes writes them (GEP-2257): "500ms", "5s", "1m30s"."""

import re
from dataclasses import dataclass, field

from pydantic import GetCoreSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from switchgear.config import LONGEST

__all__ = ["LONGEST_DURATION", "PATTERN", "Duration"]

PATTERN = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"
"""What a duration looks like, to the API server as well as here."""

LONGEST_DURATION = f"{LONGEST / 3600:.0f}h"
"""The longest duration that a policy may name: the library's bound, in the policy's spelling."""

_LONGEST_TEXT = 28  # four times five digits and a unit
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time, compared by its length: "60s" equals "1m"."""

    milliseconds: int
    text: str = field(compare=False)

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.milliseconds / 1000

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read a duration.

        Raises:
            ValueError: `text` is not a duration, or is zero, or is above ten years.
        """
        if not re.fullmatch(PATTERN.strip("^$"), text):
            raise ValueError(
                f"{text!r} is not a duration: give one such as 500ms, 5s or 1m30s, "
                "in whole numbers with the units h, m, s and ms"
            )
        milliseconds = sum(
            int(number) * _MILLISECONDS[unit] for number, unit in re.findall("([0-9]+)(ms|h|m|s)", text)
        )
        if not 0 < milliseconds <= LONGEST * 1000:
            raise ValueError(
                f"{text!r} is out of bounds: give a duration above zero, up to {LONGEST_DURATION}"
            )
        return cls(milliseconds, text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(strict=True, max_length=_LONGEST_TEXT)
        parsed = core_schema.no_info_after_validator_function(cls.parse, text)
        return core_schema.json_or_python_schema(
            json_schema=parsed,
            # A union would report the branch that nobody meant: "should be an instance of Duration".
            python_schema=core_schema.no_info_wrap_validator_function(_keep_parsed, parsed),
            serialization=core_schema.to_string_ser_schema(),
        )


def _keep_parsed(value: object, parse: ValidatorFunctionWrapHandler) -> object:
    return value if isinstance(value, Duration) else parse(value)
