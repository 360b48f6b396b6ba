"""The words of the state machine: states and outcomes."""

from enum import Enum

__all__ = ["CircuitState", "Outcome"]


class CircuitState(Enum):
    """What a breaker does with the next call. The values are the metrics' label values."""

    CLOSED = "closed"
    """Calls pass and are judged."""
    OPEN = "open"
    """Calls are rejected until the open period is over."""
    HALF_OPEN = "half_open"
    """A few calls are admitted as probes; they decide."""
    FORCED_OPEN = "forced_open"
    """Every call is rejected because the mode says so."""
    DISABLED = "disabled"
    """Every call passes, uncounted, because the mode says so or because no policy applies."""


class Outcome(Enum):
    """How a call ended, as far as the breaker is concerned. The values are the metrics' label values."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"
    """The call ended in a way that says nothing about its target."""
    REJECTED = "rejected"
    """The call was not made."""
    CANCELLED = "cancelled"
    """The call was given up from this side before its outcome was known."""
