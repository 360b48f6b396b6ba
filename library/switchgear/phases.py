"""The three phases of a circuit, each with what it has to remember, and what each decides. No clocks, no locks.

A call belongs to the phase *object* it started in. A transition puts another object in its place, so whatever
comes back late finds that its phase is over, and cannot count for a later one.
"""

from collections.abc import Hashable
from enum import Enum

from .config import CircuitConfig
from .states import CircuitState
from .windows import Ring, ring_for

__all__ = ["Closed", "HalfOpen", "Open", "Phase", "Verdict"]


class Verdict(Enum):
    """What a phase has come to."""

    STAY = "stay"
    OPEN = "open"
    CLOSE = "close"


class Closed:
    """Calls pass; the window and the row of failures judge them."""

    __slots__ = ("row", "window")
    state = CircuitState.CLOSED

    def __init__(self, window: Ring, row: int = 0) -> None:
        self.window = window
        self.row = row

    @classmethod
    def fresh(cls, config: CircuitConfig) -> "Closed":
        """Closed, with nothing remembered."""
        return cls(ring_for(config.window))

    def record(self, now: float, failed: bool, slow: bool) -> None:
        """Count a call that ended at `now`."""
        self.window.record(now, failed, slow)
        self.row = self.row + 1 if failed else 0

    def verdict(self, config: CircuitConfig) -> tuple[Verdict, str]:
        """OPEN, and the rule that says so, once any trip rule is satisfied by what was recorded."""
        window, row = self.window, config.consecutive_failures
        if row is not None and self.row >= row:
            return Verdict.OPEN, f"{self.row} failures in a row"
        calls = window.calls
        if calls >= config.minimum_calls:
            if window.failures / calls >= config.failure_rate_threshold:
                return Verdict.OPEN, f"{window.failures} of {calls} calls failed"
            if (
                config.slow_call_duration is not None
                and window.slow / calls >= config.slow_call_rate_threshold
            ):
                return (
                    Verdict.OPEN,
                    f"{window.slow} of {calls} calls took {config.slow_call_duration:g} s or longer",
                )
        return _STAY


class Open:
    """Calls are rejected until `until`, on the breaker's monotonic clock."""

    __slots__ = ("reopenings", "until")
    state = CircuitState.OPEN

    def __init__(self, until: float, reopenings: int) -> None:
        self.until = until
        self.reopenings = reopenings


class HalfOpen:
    """A few probes decide: enough successes close the circuit, one failure opens it again.

    `probes` maps the permit of each call under way to the time it started. Whatever takes a probe out of it
    (a result, a cancellation, a dropped permit) gives its place back, once, however often it is tried.
    """

    __slots__ = ("failure", "probes", "reopenings", "successes")
    state = CircuitState.HALF_OPEN

    def __init__(self, reopenings: int) -> None:
        self.reopenings = reopenings
        self.probes: dict[Hashable, float] = {}
        self.successes = 0
        self.failure = ""

    def admits(self, config: CircuitConfig) -> bool:
        """Whether one more probe may start: under way and succeeded, there are never more than permitted."""
        return len(self.probes) + self.successes < config.half_open_calls

    def record(self, failure: str) -> None:
        """Count a probe: `failure` says why it failed, and is empty for a success."""
        if failure:
            self.failure = failure
        else:
            self.successes += 1

    def verdict(self, now: float, config: CircuitConfig) -> tuple[Verdict, str]:
        """OPEN after a failure or an overdue probe, CLOSE after `success_threshold` successes."""
        if self.failure:
            return Verdict.OPEN, self.failure
        if self.successes >= config.success_threshold:
            return Verdict.CLOSE, f"{self.successes} half-open calls succeeded"
        oldest = min(self.probes.values(), default=now)
        if now - oldest >= config.half_open_max_duration:
            return Verdict.OPEN, f"a half-open call gave no answer in {config.half_open_max_duration:g} s"
        return _STAY


Phase = Closed | Open | HalfOpen

_STAY = (Verdict.STAY, "")
