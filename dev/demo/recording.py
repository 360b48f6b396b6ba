"""What one run of the demo recorded: the pods' metrics, the customers' calls, and the story's events.

The picture is drawn from this and nothing else. All times are Unix time in seconds.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["CONTROL", "Call", "Event", "Recording", "Sample"]

CONTROL = "control"
"""The target of calls that go to payments directly, without a breaker."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One scrape of one pod: its breaker's state, and how many calls it has counted so far, by outcome."""

    at: float
    pod: str
    state: str
    calls: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the load generator.

    `target` is a pod or `CONTROL`; `outcome` is charged, later (the fallback) or failed; `waited` is milliseconds
    until the caller had its answer, `inside` those that checkout spent around its guarded call, if it said so.
    """

    at: float
    target: str
    outcome: str
    waited: float
    inside: float | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the story did. `payments` is what payments does from then on (well, hang, fail), if that changed."""

    at: float
    label: str
    payments: str | None = None


@dataclass(slots=True)
class Recording:
    """Everything of one run, in the order in which it was seen."""

    samples: list[Sample] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def pods(self) -> list[str]:
        """Every pod that was sampled, by name."""
        return sorted({sample.pod for sample in self.samples})

    def save(self, path: Path) -> None:
        """Write everything as one JSON file."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read what `save` wrote."""
        data = json.loads(path.read_text())
        return cls(
            samples=[Sample(**sample) for sample in data["samples"]],
            calls=[Call(**call) for call in data["calls"]],
            events=[Event(**event) for event in data["events"]],
        )
