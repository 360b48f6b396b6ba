"""The rounds: every interval each pod of a namespace with policies is asked, and the last answers are kept.

Rounds start scrapes and wait for none: a pod that hangs is left out of the next rounds until it is given up, and one
that timed out again and again is asked less often.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from switchgear.metrics import bounded

from .objects import Pod, Policy
from .observation import Observation
from .readings import ScrapeError
from .scrape import Scraper

__all__ = ["Rounds"]

SETTLE_SECONDS = 0.5
"""How long a namespace waits for its pods before what they said is news; later answers are news of their own."""

HELD_BACK_SECONDS = 2.0
"""How long newcomers, however many, keep their namespace from being judged; then they count as silent."""

MOST_ROUNDS_APART = 8
"""A pod that keeps timing out is asked in every second, fourth and at last every eighth round."""


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
        self._asked: set[str] = set()  # uids of the pods that had their first chance to answer
        self._met: set[str] = set()  # namespaces of which all pods had it
        self._wanted: set[str] = set()  # namespaces with pods that are to be asked before the next round
        self._is_wanted = asyncio.Event()
        self._held_since: dict[str, float] = {}  # by namespace, while newcomers keep it from being judged
        self._round = 0
        self._begun = time.monotonic()  # when the last round began

    async def run(self) -> None:
        """Make rounds until cancelled. A round that is late is not made up for."""
        async with asyncio.TaskGroup() as tasks:
            due = time.monotonic()
            while True:
                self._begun = time.monotonic()
                self._round += 1
                self._forget_the_gone()
                for namespace in self._namespaces():
                    tasks.create_task(self._look_at(namespace, tasks))
                due += self._interval
                if due <= (now := time.monotonic()):
                    due = now + self._interval
                await self._wait_until(due, tasks)

    def held_back(self, namespace: str) -> float | None:
        """Seconds after which to ask again whether the namespace can be judged; None if it can be now.

        It cannot before all of its pods had a chance to answer, nor for a moment while pods that joined later wait
        for theirs. They get it now, before the next round.
        """
        if all(pod.uid in self._asked for pod in self._expected(namespace)):
            self._held_since.pop(namespace, None)
            return None
        self._wanted.add(namespace)
        self._is_wanted.set()
        if namespace not in self._met:
            return HELD_BACK_SECONDS
        now = time.monotonic()
        left = self._held_since.setdefault(namespace, now) + HELD_BACK_SECONDS - now
        return left if left > 0 else None

    def observations(self, namespace: str) -> tuple[list[Observation], int]:
        """What is known of each pod that should report, and how many are left out for their host's network."""
        expected = self._expected(namespace)
        skipped = sum(pod.running and self._scraper.skips(pod) for pod in self._informed.pods(namespace))
        return [self._observation(pod) for pod in expected], skipped

    def now(self) -> float:
        """Now, on the monotonic clock; a round that is late stops it, so that a stall makes no reading old."""
        return min(time.monotonic(), self._begun + self._interval)

    def _expected(self, namespace: str) -> list[Pod]:
        pods = self._informed.pods(namespace)
        return [pod for pod in pods if pod.running and not self._scraper.skips(pod)]

    def _observation(self, pod: Pod) -> Observation:
        known = self._observations.get(pod.uid)
        return Observation(pod=pod) if known is None else replace(known, pod=pod)

    def _namespaces(self) -> set[str]:
        return {policy.namespace for policy in self._informed.policies()}

    async def _wait_until(self, due: float, tasks: asyncio.TaskGroup) -> None:
        while (left := due - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):  # wait_for of Python 3.11 can swallow a cancellation
                    await self._is_wanted.wait()
            except TimeoutError:
                return
            self._is_wanted.clear()
            wanted, self._wanted = self._wanted, set()
            for namespace in wanted:
                tasks.create_task(self._look_at(namespace, tasks, newcomers_only=True))

    async def _look_at(
        self, namespace: str, tasks: asyncio.TaskGroup, *, newcomers_only: bool = False
    ) -> None:
        expected = self._expected(namespace)
        pods = [pod for pod in expected if pod.uid not in self._under_way]
        if newcomers_only:
            pods = [pod for pod in pods if pod.uid not in self._asked]
        if not pods and (expected or newcomers_only):
            return  # they are being asked
        pods = [pod for pod in pods if self._is_due(pod)]
        # Those that failed last come last: a crowd of hanging pods cannot hold up the others' turn.
        pods.sort(key=lambda pod: self._observation(pod).error is not None)
        self._under_way.update(pod.uid for pod in pods)
        policies = frozenset(
            bounded(policy.key) for policy in self._informed.policies() if policy.namespace == namespace
        )
        looks = [tasks.create_task(self._ask(pod, policies)) for pod in pods]
        patience = SETTLE_SECONDS if namespace in self._met else None
        late = (await asyncio.wait(looks, timeout=patience))[1] if looks else ()
        self._asked.update(pod.uid for pod in pods)
        if all(pod.uid in self._asked for pod in expected):
            self._met.add(namespace)
        if not expected or any(pod.uid not in self._under_way for pod in expected):
            self._on_news(namespace)
        if late:
            await asyncio.wait(late)
            self._on_news(namespace)

    def _is_due(self, pod: Pod) -> bool:
        known = self._observations.get(pod.uid)
        if known is None or known.timeouts < 2 or known.pod.ip != pod.ip:
            return True
        apart = min(MOST_ROUNDS_APART, 1 << min(known.timeouts - 1, 10))
        return (self._round + hash(pod.uid)) % apart == 0  # not all of them in the same round

    async def _ask(self, pod: Pod, policies: frozenset[str]) -> None:
        try:
            started = time.monotonic()
            outcome = await self._scraper.scrape(pod, policies)
            ended = time.monotonic()
        finally:
            self._under_way.discard(pod.uid)
        self._observations[pod.uid] = self._observation(pod).after(outcome, ended)
        self._metrics.scraped(outcome.reason if isinstance(outcome, ScrapeError) else "ok", ended - started)

    def _forget_the_gone(self) -> None:
        namespaces = self._namespaces()
        self._met &= namespaces
        for namespace in self._held_since.keys() - namespaces:
            del self._held_since[namespace]
        alive = {pod.uid for namespace in namespaces for pod in self._informed.pods(namespace)}
        self._asked &= alive
        for uid in self._observations.keys() - alive:
            del self._observations[uid]
