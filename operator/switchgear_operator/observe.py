"""Observing: whenever a policy has news, its status is derived anew and reported.

News are a scrape, an edit, a verdict, or a status that somebody else changed. What a policy has come to is always
computed whole, from what is known at that moment; a missed piece of news is made good by the next round.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from .aggregate import Fleet, aggregate
from .derive import derive
from .objects import Policy
from .report import Reporter
from .rounds import InformedPods, Rounds, ScrapeMetrics
from .scrape import Scraper
from .status import PolicyStatus
from .verdicts import Verdict

__all__ = ["Observer"]

_log = logging.getLogger(__name__)

_Key = tuple[str, str]  # a policy's namespace and name

STALE_AFTER_ROUNDS = 2.5
"""Intervals that a reading lasts: one attempt may fail before a pod counts as silent."""

CONCURRENT_REPORTS = 8
"""Statuses written at the same time."""


class Informed(InformedPods, Protocol):
    """What of the informed state is needed here."""

    def policy(self, namespace: str, name: str) -> Policy | None:
        """One policy; None if there is none."""

    def policies(self, namespace: str) -> Iterable[Policy]:
        """The policies of a namespace."""

    def verdict(self, policy: Policy) -> Verdict | None:
        """What reconciling found of this generation of the policy; None while it has not."""


@dataclass(frozen=True, slots=True)
class _Judged:
    uid: str
    fleet: Fleet


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
        self._rounds = Rounds(informed, scraper, metrics, interval=interval, on_news=self.wake_namespace)
        self._judged: dict[_Key, _Judged] = {}
        self._news: set[_Key] = set()
        self._has_news = asyncio.Event()
        self._busy: set[_Key] = set()
        self._news_meanwhile: set[_Key] = set()

    async def run(self) -> None:
        """Observe until cancelled. The informed state must be complete by now."""
        async with self._scraper, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._rounds.run())
            for _ in range(CONCURRENT_REPORTS):
                tasks.create_task(self._judge_news())

    def wake(self, namespace: str, name: str) -> None:
        """A policy has news: it was written, judged, deleted, or its status was."""
        self._news.add((namespace, name))
        self._has_news.set()

    def wake_namespace(self, namespace: str) -> None:
        """All policies of a namespace have news."""
        for policy in self._informed.policies(namespace):
            self.wake(policy.namespace, policy.name)

    async def _judge_news(self) -> None:
        while True:
            await self._has_news.wait()
            while self._news:
                await self._judge_alone(self._news.pop())
                await asyncio.sleep(0)  # thousands of quiet policies must not hold up everything else
            self._has_news.clear()

    async def _judge_alone(self, key: _Key) -> None:
        if key in self._busy:
            self._news_meanwhile.add(key)
            return
        self._busy.add(key)
        try:
            wait = await self._judge(key)
        except Exception:  # one policy's trouble is not the others'
            _log.exception("the status of %s/%s cannot be derived", *key)
            wait = None
        self._busy.discard(key)
        if key in self._news_meanwhile:
            self._news_meanwhile.discard(key)
            wait = 0.0
        if wait is not None:
            asyncio.get_running_loop().call_later(wait, self.wake, *key)

    async def _judge(self, key: _Key) -> float | None:
        policy = self._informed.policy(*key)
        known = self._judged.get(key)
        if known is not None and (policy is None or policy.uid != known.uid):
            self._reporter.forget(known.uid)
            del self._judged[key]
            known = None
        verdict = None if policy is None else self._informed.verdict(policy)
        if policy is None or verdict is None or not self._rounds.are_complete(policy.namespace):
            return None
        now = datetime.now(UTC)
        observations, skipped = self._rounds.observations(policy.namespace)
        previous = self._reporter.last_status(policy)
        fleet = aggregate(
            policy,
            observations,
            at=time.monotonic(),
            now=now,
            stale_after=self._stale_after,
            open_since=_open_since(known, previous),
            skipped=skipped,
        )
        self._judged[key] = _Judged(policy.uid, fleet)
        return await self._reporter.report(policy, derive(policy, verdict, fleet, previous, now))


def _open_since(known: _Judged | None, previous: PolicyStatus | None) -> dict[str, datetime]:
    """When instances were first seen open: by pod uid, or by name from the status after a restart."""
    if known is not None:
        return {each.uid: each.since for each in known.fleet.open_instances}
    listed = previous.open_instances if previous is not None else None
    return {each.pod: each.since for each in listed or () if each.since is not None}
