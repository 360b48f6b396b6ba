"""Observing: whenever a namespace has news, the status of each of its policies is derived anew and reported.

News are a scrape, an edit, a verdict, or a status that somebody else changed. What a policy has come to is always
computed whole, from what is known at that moment; a missed piece of news is made good by the next round.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

from .aggregate import Fleet, aggregate
from .derive import derive
from .objects import Policy
from .observation import Observation
from .report import Reporter
from .rounds import InformedPods, Rounds, ScrapeMetrics
from .scrape import Scraper
from .status import PolicyStatus
from .verdicts import Verdict
from .workqueue import WorkQueue

__all__ = ["Observer"]

_log = logging.getLogger(__name__)

STALE_AFTER_ROUNDS = 2.5
"""Intervals that a reading lasts: one attempt may fail before a pod counts as silent."""

CONCURRENT_NAMESPACES = 8
"""Namespaces whose statuses are written at the same time."""


class Informed(InformedPods, Protocol):
    """What of the informed state is needed here."""

    def policies_of(self, namespace: str) -> Iterable[Policy]:
        """A namespace's policies."""

    def verdict(self, policy: Policy) -> Verdict | None:
        """What reconciling found of this generation of the policy; None while it has not."""


class Observer:
    """Keeps every policy's status true.

    Args:
        informed: Policies, pods and verdicts, as they are known at any time.
        scraper: How pods are asked.
        reporter: Where statuses go.
        metrics: Where scrapes are counted.
        interval: Seconds between two rounds.
    """

    def __init__(
        self,
        informed: Informed,
        scraper: Scraper,
        reporter: Reporter,
        metrics: ScrapeMetrics,
        *,
        interval: float,
    ) -> None:
        self._informed = informed
        self._scraper = scraper
        self._reporter = reporter
        self._stale_after = STALE_AFTER_ROUNDS * interval
        self._rounds = Rounds(informed, scraper, metrics, interval=interval, on_news=self.wake)
        self._queue = WorkQueue(self._judge, _failed, workers=CONCURRENT_NAMESPACES)
        self._fleets: dict[str, dict[str, Fleet]] = {}  # the last ones, by namespace and policy uid

    async def run(self) -> None:
        """Observe until cancelled. The informed state must be complete by now."""
        async with self._scraper, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._rounds.run())
            tasks.create_task(self._queue.run())

    def wake(self, namespace: str) -> None:
        """The namespace has news: a policy was written, judged or deleted, or somebody changed a status."""
        self._queue.add(namespace)

    async def _judge(self, namespace: str) -> float | None:
        """Report on each policy of a namespace; returns seconds after which to come again, if at all."""
        policies = list(self._informed.policies_of(namespace))
        self._forget_the_gone(namespace, policies)
        if not policies:
            return None
        if (seconds := self._rounds.held_back(namespace)) is not None:
            return seconds
        observations, skipped = self._rounds.observations(namespace)
        waits: list[float | None] = []
        errors: list[Exception] = []
        for policy in policies:
            try:
                waits.append(await self._report(policy, observations, skipped))
            except Exception as error:  # one policy's trouble is not its neighbours'
                errors.append(error)
            await asyncio.sleep(0)  # thousands of quiet policies must not hold up everything else
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(policies)} policies", errors)
        return min((wait for wait in waits if wait is not None), default=None)

    async def _report(self, policy: Policy, observations: list[Observation], skipped: int) -> float | None:
        verdict = self._informed.verdict(policy)
        if verdict is None:
            return None  # there will be news once there is one
        return await self._reporter.report(policy, self._status(policy, verdict, observations, skipped))

    def _status(
        self, policy: Policy, verdict: Verdict, observations: list[Observation], skipped: int
    ) -> PolicyStatus:
        now = datetime.now(UTC)
        previous = self._reporter.last_status(policy)
        fleets = self._fleets.setdefault(policy.namespace, {})
        fleet = fleets[policy.uid] = aggregate(
            policy,
            observations,
            at=self._rounds.now(),
            now=now,
            stale_after=self._stale_after,
            open_since=_open_since(fleets.get(policy.uid), previous),
            skipped=skipped,
        )
        return derive(policy, verdict, fleet, previous, now)

    def _forget_the_gone(self, namespace: str, policies: list[Policy]) -> None:
        known = self._fleets.get(namespace, {})
        for uid in known.keys() - {policy.uid for policy in policies}:
            self._reporter.forget(uid)
            del known[uid]
        if not policies:
            self._fleets.pop(namespace, None)


def _open_since(known: Fleet | None, previous: PolicyStatus | None) -> dict[str, datetime]:
    """When instances were first seen open: by pod uid, or by name from the status after a restart."""
    if known is not None:
        return {each.uid: each.since for each in known.open_instances}
    listed = previous.open_instances if previous is not None else None
    return {each.pod: each.since for each in listed or () if each.since is not None}


def _failed(namespace: str, error: Exception, delay: float) -> None:
    _log.error(
        "statuses of namespace %s cannot be derived; next attempt in %.1f s", namespace, delay, exc_info=error
    )
