"""Writing statuses and posting Events: on change only, seldom enough, and never on another policy of the same name."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from .derive import Change, adopted, change_between, read_status
from .events import Allowances, events_between
from .objects import Policy
from .status import PolicyStatus

__all__ = ["Reporter", "StatusApi"]

_log = logging.getLogger(__name__)

SPACING = {Change.STATE: 1.0, Change.NUMBERS: 15.0}
"""Seconds between two writes of one policy's status, by what the later one has to tell."""

LONGEST_LAG = 10.0
"""Seconds within which what was written arrives on the watch; afterwards, what the watch shows is what stands."""

EVENT_BURST = 10
"""Events of one policy that may follow each other at once."""

SECONDS_PER_EVENT = 30.0
"""Seconds that earn a policy one more Event."""


class StatusApi(Protocol):
    """What of the cluster is needed here."""

    async def write_status(self, policy: Policy, status: dict[str, Any]) -> bool:
        """Replace the status of exactly this policy (by uid); False if it is gone. Raises for anything else."""

    async def create_event(self, event: dict[str, Any], namespace: str) -> None:
        """Create an event. Raises if that fails."""


class ReportMetrics(Protocol):
    """What of the operator's metrics is counted here."""

    def status_written(self, outcome: str) -> None:
        """A status was written: `ok`, `gone` or `error`."""

    def event_posted(self, outcome: str) -> None:
        """An Event was posted: `ok`, `limited` or `error`."""


@dataclass(slots=True)
class _Written:
    """The last write of one policy. `shown` is what the watch showed then: as long as it still does, it lags."""

    status: PolicyStatus
    shown: dict[str, Any]
    at: float


class Reporter:
    """Keeps the status of each policy as it should be.

    Args:
        api: Where it is written to.
        metrics: Where it is counted.
        instance: The name of this operator's pod, for Events.
        clock: Monotonic seconds.
        now: Wall-clock time, with its time zone.
    """

    def __init__(
        self,
        api: StatusApi,
        metrics: ReportMetrics,
        *,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._metrics = metrics
        self._instance = instance[:128]
        self._clock = clock
        self._now = now
        self._written: dict[str, _Written] = {}
        self._allowances = Allowances(EVENT_BURST, SECONDS_PER_EVENT, clock)
        self._failing = False

    def last_status(self, policy: Policy) -> PolicyStatus | None:
        """The status that the next one follows: what was written last, or what stands in the API."""
        written = self._written.get(policy.uid)
        if written is not None:
            return written.status
        standing = read_status(policy.status)
        return None if standing is None else adopted(standing, policy.created, self._now())

    async def report(self, policy: Policy, latest: PolicyStatus) -> float | None:
        """Write a status if it is news.

        Returns:
            Seconds after which to come again with the then latest one, where it was too soon for news that is told
            at once; else None.
        """
        change = change_between(self._standing(policy), latest)
        if change is Change.NONE:
            return None
        written = self._written.get(policy.uid)
        if written is not None and (wait := written.at + SPACING[change] - self._clock()) > 0:
            return wait if change is Change.STATE else None
        await self._write(policy, latest)
        return None

    def forget(self, uid: str) -> None:
        """Drop what is remembered of the status of a policy that is gone."""
        self._written.pop(uid, None)

    def _standing(self, policy: Policy) -> PolicyStatus | None:
        """What stands in the API: what the watch shows, unless it has yet to show what was written."""
        written = self._written.get(policy.uid)
        lags = written is not None and policy.status == written.shown
        if written is not None and lags and self._clock() - written.at < LONGEST_LAG:
            return written.status
        return read_status(policy.status)

    async def _write(self, policy: Policy, latest: PolicyStatus) -> None:
        before = self.last_status(policy)
        at = self._clock()
        try:
            stands = await self._api.write_status(policy, latest.to_json())
        except Exception as error:  # whatever it is, the next round tries again
            self._metrics.status_written("error")
            self._failed(policy, error)
            return
        self._failing = False
        if not stands:
            self._metrics.status_written("gone")
            return
        self._metrics.status_written("ok")
        self._written[policy.uid] = _Written(latest, dict(policy.status), at)
        await self._tell(policy, before, latest)

    async def _tell(self, policy: Policy, before: PolicyStatus | None, latest: PolicyStatus) -> None:
        for event in events_between(before, latest):
            if not self._allowances.take(policy.key):  # by name: no more by being created anew
                self._metrics.event_posted("limited")
                continue
            try:
                await self._api.create_event(
                    event.to_json(policy, self._now(), self._instance), policy.namespace
                )
            except Exception as error:  # an Event is a courtesy
                self._metrics.event_posted("error")
                _log.warning("the event %s of %s cannot be posted: %s", event.reason, policy.key, error)
            else:
                self._metrics.event_posted("ok")

    def _failed(self, policy: Policy, error: Exception) -> None:
        level = logging.DEBUG if self._failing else logging.WARNING  # one line per outage
        self._failing = True
        _log.log(level, "the status of %s cannot be written and is tried again: %s", policy.key, error)
