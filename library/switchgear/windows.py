"""The rolling windows: fixed-size rings with running totals, so a call costs the same however many went before.

Both windows answer the same questions (`calls`, `failures`, `slow`), and can say what they hold in a form that
another window of the same kind, maybe of another size, can be filled with: for a reload, and for a snapshot.
"""

from dataclasses import dataclass, replace
from math import ceil

from .config import CountWindow, TimeWindow

__all__ = ["BUCKETS", "Bucket", "Contents", "CountRing", "Ring", "TimeRing", "refilled", "ring_for"]

BUCKETS = 20
"""Buckets of a time window: a call leaves it between 95 % and 100 % of its duration after it ended."""

ROUNDING = 1e-6
"""Share of a bucket by which ages may miss a bucket's edge, for float arithmetic."""

FAILED = 1
SLOW = 2


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls that ended together: the age of the oldest possible one in seconds, and how they went."""

    age: float
    calls: int
    failures: int
    slow: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a window holds: the outcomes of a count window, oldest first, or the buckets of a time window."""

    outcomes: bytes = b""
    buckets: tuple[Bucket, ...] = ()

    def aged(self, seconds: float) -> "Contents":
        """The same, `seconds` later."""
        return replace(
            self, buckets=tuple(replace(bucket, age=bucket.age + seconds) for bucket in self.buckets)
        )


class CountRing:
    """The last `size` calls, one byte each."""

    __slots__ = ("_next", "_outcomes", "calls", "failures", "slow")

    def __init__(self, size: int) -> None:
        self._outcomes = bytearray(size)
        self._next = 0
        self.calls = self.failures = self.slow = 0

    def record(self, now: float, failed: bool, slow: bool) -> None:  # noqa: ARG002  # the same verb as TimeRing
        """Add a call in place of the oldest one."""
        at = self._next
        outcome = failed * FAILED + slow * SLOW
        if self.calls >= len(self._outcomes):
            old = self._outcomes[at]
            self.failures -= old & FAILED
            self.slow -= old >> 1
        else:
            self.calls += 1
        self._outcomes[at] = outcome
        self.failures += failed
        self.slow += slow
        if at + 1 < len(self._outcomes):
            self._next = at + 1
        else:
            self._next = 0
            self._recount()

    def roll(self, now: float) -> None:
        """Nothing leaves a count window by age."""

    def contents(self, now: float) -> Contents:  # noqa: ARG002  # the same verb as TimeRing
        """The outcomes, oldest first."""
        if self.calls < len(self._outcomes):
            return Contents(outcomes=bytes(self._outcomes[: self.calls]))
        return Contents(outcomes=bytes(self._outcomes[self._next :] + self._outcomes[: self._next]))

    def fill(self, now: float, contents: Contents) -> None:
        """Add the outcomes; of more than fit, the latest stay."""
        for outcome in contents.outcomes:
            self.record(now, bool(outcome & FAILED), bool(outcome & SLOW))

    def _recount(self) -> None:
        """Once a round, so that an update cut short by an exception in the middle does not count for good."""
        both = self._outcomes.count(FAILED | SLOW)
        self.calls = len(self._outcomes)
        self.failures = self._outcomes.count(FAILED) + both
        self.slow = self._outcomes.count(SLOW) + both


class TimeRing:
    """The calls of the last `duration` seconds, in buckets that start at the first call after idleness."""

    __slots__ = ("_calls", "_duration", "_failures", "_head", "_origin", "_slow", "calls", "failures", "slow")

    def __init__(self, duration: float) -> None:
        self._duration = duration
        self._origin = 0.0
        self._clear()

    def record(self, now: float, failed: bool, slow: bool) -> None:
        """Add a call that ended at `now`; a time before the latest one counts as the latest."""
        slot = self._slot(now)
        self._calls[slot] += 1
        self.calls += 1
        if failed:
            self._failures[slot] += 1
            self.failures += 1
        if slow:
            self._slow[slot] += 1
            self.slow += 1

    def roll(self, now: float) -> None:
        """Drop what is too old at `now`."""
        if self.calls:
            self._slot(now)

    def contents(self, now: float) -> Contents:
        """The buckets that hold calls, oldest first."""
        self.roll(now)
        buckets = []
        for number in range(max(0, self._head - BUCKETS + 1), self._head + 1):
            slot = number % BUCKETS
            if self._calls[slot]:
                age = max(0.0, now - self._origin - number * self._duration / BUCKETS)
                buckets.append(Bucket(age, self._calls[slot], self._failures[slot], self._slow[slot]))
        return Contents(buckets=tuple(buckets))

    def fill(self, now: float, contents: Contents) -> None:
        """Add the buckets that are young enough, each at its age, aligned to the latest so that they stay whole."""
        self._clear()
        young = [bucket for bucket in contents.buckets if bucket.age < self._duration]
        if not young:
            return
        latest = min(bucket.age for bucket in young)
        self._origin = now - latest - self._duration
        self._head = BUCKETS
        for bucket in young:
            number = BUCKETS - ceil((bucket.age - latest) * BUCKETS / self._duration - ROUNDING)
            if number > 0:
                self._add(number % BUCKETS, bucket.calls, bucket.failures, bucket.slow)

    def _add(self, slot: int, calls: int, failures: int, slow: int) -> None:
        self._calls[slot] += calls
        self._failures[slot] += failures
        self._slow[slot] += slow
        self.calls += calls
        self.failures += failures
        self.slow += slow

    def _slot(self, now: float) -> int:
        """The slot for `now`, with all that is too old dropped."""
        if not self.calls:
            self._origin = now  # align to the first call: a burst leaves as one
            self._head = 0
            return 0
        passed = (now - self._origin) * BUCKETS / self._duration
        if passed >= self._head + BUCKETS:
            self._clear()
            self._origin = now
            return 0
        number = int(passed)
        if self._head < number:
            self._turn(number)
        return self._head % BUCKETS

    def _turn(self, number: int) -> None:
        """Empty the slots up to `number`, and sum up: an update cut short by an exception does not count for good."""
        while self._head < number:
            self._head += 1
            slot = self._head % BUCKETS
            self._calls[slot] = self._failures[slot] = self._slow[slot] = 0
        self.calls = sum(self._calls)
        self.failures = sum(self._failures)
        self.slow = sum(self._slow)

    def _clear(self) -> None:
        self._head = 0
        self._calls = [0] * BUCKETS
        self._failures = [0] * BUCKETS
        self._slow = [0] * BUCKETS
        self.calls = self.failures = self.slow = 0


Ring = CountRing | TimeRing


def ring_for(window: TimeWindow | CountWindow) -> Ring:
    """An empty ring for what the config asks for."""
    return TimeRing(window.duration) if isinstance(window, TimeWindow) else CountRing(window.size)


def refilled(window: TimeWindow | CountWindow, now: float, contents: Contents) -> Ring:
    """A ring for `window` that holds as much of `contents` as it truthfully can; nothing of the other kind."""
    ring = ring_for(window)
    ring.fill(now, contents)
    return ring
