"""The three phases of a circuit, each with what it has to remember, and what each decides. No clocks, no locks.

A call belongs to the phase *object* it started in. A transition puts another object in its place, so whatever
comes back late finds that its phase is over, and cannot count for a later one.
"""

from collections.abc import Hashable
from enum import Enum

from .config import CircuitConfig
from .states import CircuitState
from .windows import Ring, ring_for

__all__ = ["Closed", "Counts", "HalfOpen", "Open", "Phase", "Verdict", "window_counts"]

Counts = tuple[int, int, int]
"""Calls, failures and slow calls."""


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
                    f"{window.slow} of {calls} calls took {config.slow_call_duration:.12g} s or longer",
                )
        return _STAY


class Open:
    """Calls are rejected until `until`, on the breaker's monotonic clock. `counts` are those that opened the circuit."""

    __slots__ = ("counts", "reopenings", "until")
    state = CircuitState.OPEN

    def __init__(self, until: float, reopenings: int, counts: Counts = (0, 0, 0)) -> None:
        self.until = until
        self.reopenings = reopenings
        self.counts = counts

    def is_over(self, now: float, config: CircuitConfig) -> bool:
        """Whether calls may try again: if the clock jumps back, no later than `max_open_duration` from now."""
        self.until = min(self.until, now + config.max_open_duration)
        return now >= self.until


class HalfOpen:
    """A few probes decide: enough successes close the circuit; one failure, or too many slow ones, open it again.

    `probes` maps the permit of each call under way to the time it started, in a list of one: a clock that jumps back
    corrects it without putting back a probe that is just ending. Whatever takes a probe out of it (a result, a
    cancellation, a dropped permit) gives its place back, once, however often it is tried.
    """

    __slots__ = ("counts", "failure", "probes", "reopenings", "slow", "successes")
    state = CircuitState.HALF_OPEN

    def __init__(self, reopenings: int, counts: Counts = (0, 0, 0)) -> None:
        self.reopenings = reopenings
        self.counts = counts
        self.probes: dict[Hashable, list[float]] = {}
        self.successes = 0
        self.slow = 0
        self.failure = ""

    def admits(self, config: CircuitConfig) -> bool:
        """Whether one more probe may start: under way and succeeded, there are never more than permitted."""
        return len(self.probes) + self.successes < config.half_open_calls

    def record(self, failure: str, slow: bool) -> None:
        """Count a probe: `failure` says why it failed, and is empty for a success, be it a slow one."""
        if failure:
            self.failure = failure
        else:
            self.slow += slow
            self.successes += 1

    def verdict(self, now: float, config: CircuitConfig) -> tuple[Verdict, str]:
        """What the probes have come to.

        OPEN after a failure, an overdue probe, or as many slow ones as `slow_call_rate_threshold` of
        `success_threshold`; else CLOSE after `success_threshold` successes.
        """
        if self.failure:
            return Verdict.OPEN, self.failure
        limit = config.slow_call_duration
        if limit is not None and self.slow / config.success_threshold >= config.slow_call_rate_threshold:
            return Verdict.OPEN, f"{self.slow} half-open calls took {limit:.12g} s or longer"
        if self.successes >= config.success_threshold:
            return Verdict.CLOSE, f"{self.successes} half-open calls succeeded"
        longest = config.half_open_max_duration
        if any([_is_overdue(start, now, longest) for start in tuple(self.probes.values())]):  # noqa: C419  # all of them
            return Verdict.OPEN, f"a half-open call gave no answer in {longest:.12g} s"
        return _STAY


Phase = Closed | Open | HalfOpen


def window_counts(phase: Phase, now: float) -> Counts:
    """What is in the window of a closed circuit; of any other, what was when it opened."""
    if not isinstance(phase, Closed):
        return phase.counts
    phase.window.roll(now)
    return phase.window.calls, phase.window.failures, phase.window.slow


def _is_overdue(start: list[float], now: float, longest: float) -> bool:
    start[0] = min(start[0], now)
    return now - start[0] >= longest


_STAY = (Verdict.STAY, "")
