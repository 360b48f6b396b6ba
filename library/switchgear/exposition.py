"""Metrics as Prometheus reads them: families of samples, and the text format 0.0.4."""

from dataclasses import dataclass, field
from math import inf, isnan

__all__ = ["CONTENT_TYPE", "Family", "Sample", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of what `render` returns."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value, and the labels that tell it from the others of its family."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one metric. `kind` is `gauge` or `counter`; a counter's name ends in `_total`."""

    name: str
    kind: str
    help: str
    samples: list[Sample] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        """Add a sample."""
        self.samples.append(Sample(labels, value))


def render(families: list[Family]) -> bytes:
    """The text of `families` in UTF-8. What UTF-8 cannot say (a lone surrogate) becomes `?`."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {_escape_help(family.help)}\n")
        lines.append(f"# TYPE {family.name} {family.kind}\n")
        lines.extend(f"{family.name}{_labels(s.labels)} {_number(s.value)}\n" for s in family.samples)
    return "".join(lines).encode("utf-8", errors="replace")


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    if isnan(value):
        return "NaN"
    if value in {inf, -inf}:
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
