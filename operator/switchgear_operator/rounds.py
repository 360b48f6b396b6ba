"""The rounds: every interval each pod of a namespace with policies is asked, and the last answers are kept.

Rounds start scrapes and wait for none: a pod that hangs is left out of the next rounds until it is given up.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from .objects import Pod, Policy
from .observation import Observation
from .readings import ScrapeError
from .scrape import Scraper

__all__ = ["Rounds"]

SETTLE_SECONDS = 0.5
"""How long a namespace waits for its pods before what they said is news; later answers are news of their own."""


class InformedPods(Protocol):
    """What of the informed state is needed here."""

    def policies(self) -> Iterable[Policy]:
        """All policies."""

    def pods(self, namespace: str) -> Iterable[Pod]:
        """The namespace's pods that asked to be observed."""


class ScrapeMetrics(Protocol):
    """What of the operator's metrics is counted here."""

    def scraped(self, outcome: str, seconds: float) -> None:
        """A pod was scraped: `ok` or the error's reason, and how long it took."""


class Rounds:
    """Asks the pods.

    Args:
        informed: Which policies and pods there are.
        scraper: How a pod is asked; entered by whoever built it.
        metrics: Where scrapes are counted.
        interval: Seconds between two rounds.
        on_news: Called with a namespace whose pods have answered.
    """

    def __init__(
        self,
        informed: InformedPods,
        scraper: Scraper,
        metrics: ScrapeMetrics,
        *,
        interval: float,
        on_news: Callable[[str], None],
    ) -> None:
        self._informed = informed
        self._scraper = scraper
        self._metrics = metrics
        self._interval = interval
        self._on_news = on_news
        self._observations: dict[str, Observation] = {}  # by pod uid
        self._under_way: set[str] = set()  # uids of the pods being asked
        self._complete: set[str] = set()  # namespaces of which each pod was asked once
        self._started: set[str] = set()  # namespaces of which that has begun
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Make rounds until cancelled. A round that is late is not made up for."""
        async with asyncio.TaskGroup() as tasks:
            due = time.monotonic()
            while True:
                self._forget_the_gone()
                for namespace in self._namespaces() - (self._started - self._complete):
                    self._start(namespace, tasks)
                due = max(due + self._interval, time.monotonic())
                await self._wait_until(due, tasks)

    def are_complete(self, namespace: str) -> bool:
        """Whether each pod of the namespace was asked once. If not, that is begun now and not with the next round."""
        if namespace in self._complete:
            return True
        self._wanted.set()
        return False

    def observations(self, namespace: str) -> tuple[list[Observation], int]:
        """What is known of each pod that should report, and how many are left out for their host's network."""
        running = [pod for pod in self._informed.pods(namespace) if pod.running]
        expected = [pod for pod in running if not self._scraper.skips(pod)]
        return [self._observation(pod) for pod in expected], len(running) - len(expected)

    def _observation(self, pod: Pod) -> Observation:
        known = self._observations.get(pod.uid)
        return Observation(pod=pod) if known is None else replace(known, pod=pod)

    def _namespaces(self) -> set[str]:
        return {policy.namespace for policy in self._informed.policies()}

    def _start(self, namespace: str, tasks: asyncio.TaskGroup) -> None:
        self._started.add(namespace)
        tasks.create_task(self._look_at(namespace, tasks))

    async def _wait_until(self, due: float, tasks: asyncio.TaskGroup) -> None:
        while (left := due - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(self._wanted.wait(), left)
            except TimeoutError:
                return
            self._wanted.clear()
            for namespace in self._namespaces() - self._started:
                self._start(namespace, tasks)

    async def _look_at(self, namespace: str, tasks: asyncio.TaskGroup) -> None:
        known, _ = self.observations(namespace)
        due = [each for each in known if each.pod.uid not in self._under_way]
        # Those that failed last come last: a crowd of hanging pods cannot hold up the others' turn.
        due.sort(key=lambda each: each.error is not None)
        self._under_way.update(each.pod.uid for each in due)
        asked = [tasks.create_task(self._ask(each.pod)) for each in due]
        late = (await asyncio.wait(asked, timeout=SETTLE_SECONDS))[1] if asked else ()
        if late and namespace in self._complete:
            self._on_news(namespace)
        if late:
            await asyncio.wait(late)
        self._complete.add(namespace)
        self._on_news(namespace)

    async def _ask(self, pod: Pod) -> None:
        try:
            started = time.monotonic()
            outcome = await self._scraper.scrape(pod)
            ended = time.monotonic()
        finally:
            self._under_way.discard(pod.uid)
        self._observations[pod.uid] = self._observation(pod).after(outcome, ended)
        self._metrics.scraped(outcome.reason if isinstance(outcome, ScrapeError) else "ok", ended - started)

    def _forget_the_gone(self) -> None:
        namespaces = self._namespaces()
        self._complete &= namespaces
        self._started &= namespaces
        alive = {pod.uid for namespace in namespaces for pod in self._informed.pods(namespace)}
        for uid in self._observations.keys() - alive:
            del self._observations[uid]
