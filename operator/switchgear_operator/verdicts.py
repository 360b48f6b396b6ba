"""What reconciling found of a policy: whether it is accepted, and whether it could be delivered."""

from dataclasses import dataclass

__all__ = ["Undelivered", "Verdict"]


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Why an accepted policy's newest generation is not in the ConfigMap: a word for programs, a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one generation of one policy.

    Args:
        accepted: Whether workloads shall run it.
        reason: Why, in one word: `Accepted`, `Conflicted` or `Invalid`.
        message: Why, for people.
        target: The target in one word, for tables.
        undelivered: Why it is not in the ConfigMap all the same; None if it is, or is not accepted.
    """

    accepted: bool
    reason: str
    message: str
    target: str
    undelivered: Undelivered | None = None
