"""One pod over time: its last good reading, how fresh that is, and what changed since the one before."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf

from .objects import Pod
from .readings import InstanceReading, PolicyReading, ScrapeError

__all__ = ["Observation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is known of one pod.

    Args:
        pod: The pod.
        reading: Its last good reading; None before the first.
        read_at: When that was, in seconds of a monotonic clock.
        rejected_per_minute: By policy, over the time between the last two readings; None before the second.
        error: Why the last attempt failed; None when it did not, or before the first.
        timeouts: How many attempts in a row have timed out by now.
    """

    pod: Pod
    reading: InstanceReading | None = None
    read_at: float = -inf
    rejected_per_minute: Mapping[str, float] | None = field(default=None, hash=False)
    error: ScrapeError | None = None
    timeouts: int = 0

    def after(self, outcome: InstanceReading | ScrapeError, at: float) -> "Observation":
        """What is known after one more attempt, that ended at `at`."""
        if isinstance(outcome, ScrapeError):
            return replace(
                self, error=outcome, timeouts=self.timeouts + 1 if outcome.reason == "timeout" else 0
            )
        return Observation(
            pod=self.pod,
            reading=outcome,
            read_at=at,
            rejected_per_minute=self._rejected_per_minute(outcome, at - self.read_at),
        )

    def is_fresh(self, at: float, stale_after: float) -> bool:
        """Whether the pod reports: it was read within the last `stale_after` seconds."""
        return self.reading is not None and at - self.read_at <= stale_after

    def _rejected_per_minute(self, latest: InstanceReading, seconds: float) -> Mapping[str, float] | None:
        if self.reading is None or seconds <= 0:
            return self.rejected_per_minute
        before = self.reading.policies
        return {
            policy: 60 * _newly_rejected(before[policy], reading) / seconds
            for policy, reading in latest.policies.items()
            if policy in before  # counters that a breaker brought along from elsewhere are no news
        }


def _newly_rejected(before: PolicyReading, latest: PolicyReading) -> int:
    earlier = {breaker.name: breaker.rejected for breaker in before.breakers}
    return sum(
        breaker.rejected - known
        if (known := earlier.get(breaker.name, 0)) <= breaker.rejected
        # the counter fell: the process restarted and counted from zero
        else breaker.rejected
        for breaker in latest.breakers
    )
