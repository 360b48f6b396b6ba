"""The running operator: what is informed by whom, and who is told. Read `run` as its table of contents."""

import asyncio
import logging
import platform
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import kopf

from .cluster import CONFIG_MAP, ApiError, Cluster
from .connection import Connection
from .crd import GROUP, PLURAL, VERSION
from .handlers import registry_for, settings
from .health import serve_health
from .informed import Informed
from .informer import WATCH_SECONDS, Informer
from .metrics import Metrics
from .observe import Observer
from .options import Options
from .reconcile import Reconciler
from .report import Reporter
from .scrape import ScrapeLimits, Scraper
from .workqueue import SHORTEST_BACKOFF, WorkQueue

__all__ = ["Controller", "ResourceGoneError"]

_log = logging.getLogger(__name__)

POD_LABEL = "switchgear.dev/enabled=true"

GONE_SECONDS = 300.0
"""How often the policies are listed, to find those whose end was missed."""

GAP_SECONDS = 30.0
"""How long after a watch had a gap they are listed again: by then kopf's watch goes on too."""

KOPF_SECONDS = 2.0
"""How long kopf may take to end before it is cancelled: by itself it waits five seconds for whatever is left."""

LONGEST_PAUSE = 5.0
"""Seconds between two looks at the most, while kopf has not shown every policy yet."""

DEAF_SECONDS = WATCH_SECONDS + 120
"""Without a word from the API server for this long, a restart may help."""


class ResourceGoneError(Exception):
    """The CRD was deleted, and kopf does not look for a resource twice."""

    def __str__(self) -> str:
        return "the CircuitBreakerPolicy resource is gone: a restart waits until it is back"


class Controller:
    """Everything between the API server and the API server.

    Args:
        options: The checked options.
        cluster: The API, entered.
        connection: The same connection, for kopf.
    """

    def __init__(self, options: Options, cluster: Cluster, connection: Connection) -> None:
        self._options = options
        self._cluster = cluster
        self._connection = connection
        self._informed = Informed()
        self._gap = asyncio.Event()  # set when watches were interrupted
        self._queue = WorkQueue(self._reconcile, self._failed, workers=options.workers)
        self._metrics = Metrics(lambda: self._queue.depth, self._policies_by_state)
        self._reconciler = Reconciler(
            self._informed,
            cluster,
            judged=lambda namespace: self._observer.wake(namespace),  # noqa: PLW0108  # it is made below
            written=self._metrics.written,
        )
        limits = ScrapeLimits(
            seconds=options.scrape_timeout,
            connect_seconds=min(1.0, options.scrape_timeout),
            concurrency=options.scrape_concurrency,
            host_network=options.allow_host_network,
        )
        self._observer = Observer(
            self._informed,
            Scraper(limits),
            Reporter(cluster, self._metrics, instance=platform.node()),
            self._metrics,
            interval=options.scrape_interval,
        )
        self._informers = list(self._make_informers())
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting_for = "the CircuitBreakerPolicy resource"

    async def run(self) -> None:
        """Run until cancelled, or until kopf ends on a signal.

        Raises:
            OSError: The health server cannot listen.
            ResourceGoneError: The CRD was deleted.
            ApiError: The API server refuses to say whether the resource exists.
        """
        health = await serve_health(
            self._options.address,
            self._options.port,
            metrics=self._metrics,
            ailing=self._ailing,
            waiting_for=lambda: self._waiting_for,
        )
        try:
            await self._await_resource()
            await self._run_until_first_ends(
                self._watch_policies(),
                self._work_once_informed(),
                *(informer.run() for informer in self._informers),
            )
        finally:
            await health.cleanup()

    # ── what is heard ──

    def policy_seen(self, body: Mapping[str, Any]) -> None:
        """A policy is there as `body` says: reconcile its namespace if it is new, or has a new generation."""
        before = self._informed.policy(body["metadata"]["namespace"], body["metadata"]["name"])
        policy = self._informed.learn_policy(body)
        if before is None or (before.uid, before.generation) != (policy.uid, policy.generation):
            self._queue.add(policy.namespace)

    def policy_changed(self, namespace: str) -> None:
        """Judge its namespace anew: its status may have been changed by somebody else."""
        self._observer.wake(namespace)

    def policy_gone(self, namespace: str, name: str, uid: str) -> None:
        """Forget it, and reconcile its namespace."""
        self._informed.forget_policy(namespace, name, uid)
        self._queue.add(namespace)
        self._observer.wake(namespace)

    def stopping(self) -> None:
        """End everything but kopf, which is ending."""
        for task in self._tasks[1:]:
            task.cancel()

    def _config_map_changed(self, body: Mapping[str, Any]) -> None:
        self._queue.add(self._informed.learn_config_map(body))

    def _config_map_gone(self, namespace: str, _: str) -> None:
        self._informed.forget_config_map(namespace)
        self._queue.add(namespace)

    def _pod_changed(self, body: Mapping[str, Any]) -> None:
        self._observer.wake(self._informed.learn_pod(body))

    def _pod_gone(self, namespace: str, name: str) -> None:
        self._informed.forget_pod(namespace, name)
        self._observer.wake(namespace)

    # ── what is done ──

    async def _run_until_first_ends(self, *works: Coroutine[Any, Any, None]) -> None:
        """Run all until one ends; then end the others, and raise what it raised."""
        self._tasks = [asyncio.ensure_future(work) for work in works]
        try:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            if not any(task.cancelled() for task in done):
                self._tasks[0].cancel()
            await asyncio.wait(self._tasks[:1], timeout=KOPF_SECONDS)  # kopf ends in its own order
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in self._tasks:
            if not task.cancelled():
                task.result()

    async def _watch_policies(self) -> None:
        try:
            await kopf.operator(
                registry=registry_for(self, self._connection),
                settings=settings(),
                clusterwide=not self._options.namespaces,
                namespaces=self._options.namespaces,
            )
        except Exception as error:
            if await self._is_resource_missing():
                raise ResourceGoneError from error
            raise

    async def _work_once_informed(self) -> None:
        """Start working when everything is known that work depends on."""
        for informer in self._informers:
            self._waiting_for = "the first list of ConfigMaps and pods"
            await informer.synced.wait()
        self._waiting_for = "the first list of policies"
        await self._await_policies()
        self._waiting_for = ""
        _log.info("ready: %d namespaces with policies", len(self._informed.namespaces()))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run())
            tasks.create_task(self._observer.run())
            tasks.create_task(self._look_for_the_gone())

    async def _look_for_the_gone(self) -> None:
        """Forget policies whose end nobody told: kopf lists again after a gap, but misses what vanished in it."""
        pause = GONE_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):  # wait_for of Python 3.11 can lose a cancellation
                    await self._gap.wait()
            pause = GAP_SECONDS if self._gap.is_set() else GONE_SECONDS
            self._gap.clear()
            known = self._informed.policies()  # before the list, so that a newer one is not taken for gone
            try:
                standing = {uid for _, _, uid in await self._policy_keys()}
            except ApiError:
                continue  # while it cannot be read, nothing is withdrawn
            for policy in known:
                if policy.uid not in standing:
                    self.policy_gone(policy.namespace, policy.name, policy.uid)

    async def _reconcile(self, namespace: str) -> float | None:
        started = time.monotonic()
        result = "error"
        try:
            later = await self._reconciler.reconcile(namespace)
            result = "success"
            return later
        finally:
            self._metrics.reconciled(result, time.monotonic() - started)

    def _failed(self, namespace: str, error: Exception, delay: float) -> None:
        told = None if isinstance(error, ApiError) else error
        overtaken = isinstance(error, ApiError) and error.status == HTTPStatus.CONFLICT
        _log.log(
            logging.DEBUG if overtaken and delay <= SHORTEST_BACKOFF else logging.WARNING,
            "namespace %s cannot be reconciled: %s; nothing was withdrawn, next attempt in %.1f s",
            namespace,
            error,
            delay,
            exc_info=told,
        )

    # ── waiting ──

    async def _await_resource(self) -> None:
        """Kopf looks for the resource once: so it has to exist by then."""
        told = False
        while True:
            try:
                await self._policy_keys()
            except ApiError as error:
                missing = error.status == HTTPStatus.NOT_FOUND
                busy = error.status == HTTPStatus.TOO_MANY_REQUESTS  # also just after the CRD was created
                if not told and not busy:
                    remedy = "; install the CRD, or the chart, which has it" if missing else ""
                    _log.warning("the policies cannot be read yet: %s%s", error, remedy)
                    told = True
                await asyncio.sleep(error.retry_after or 1)
            else:
                return

    async def _is_resource_missing(self) -> bool:
        try:
            await self._policy_keys()
        except ApiError as error:
            return error.status == HTTPStatus.NOT_FOUND
        return False

    async def _await_policies(self) -> None:
        """Until kopf has shown every policy that there is, or that is still there after a while."""
        wait = 0.1
        while True:
            try:
                if all(self._informed.policy(*key) for *key, _ in await self._policy_keys()):
                    return
            except ApiError as error:
                _log.log(
                    logging.WARNING if wait >= LONGEST_PAUSE else logging.DEBUG,
                    "the policies cannot be listed: %s",
                    error,
                )
            await asyncio.sleep(wait)
            wait = min(LONGEST_PAUSE, 2 * wait)

    async def _policy_keys(self) -> list[tuple[str, str, str]]:
        """Namespace, name and uid of each policy that there is."""
        keys = []
        for path in self._paths(f"/apis/{GROUP}/{VERSION}", PLURAL):
            bodies, _ = await self._cluster.list_all(path, {})
            keys += [
                (each["namespace"], each["name"], each["uid"])
                for each in (body["metadata"] for body in bodies)
            ]
        return keys

    def _make_informers(self) -> Iterator[Informer]:
        for path in self._paths("/api/v1", "configmaps"):
            yield Informer(
                self._cluster,
                path,
                {"fieldSelector": f"metadata.name={CONFIG_MAP}"},
                changed=self._config_map_changed,
                gone=self._config_map_gone,
                listed=self._gap.set,
            )
        for path in self._paths("/api/v1", "pods"):
            yield Informer(
                self._cluster,
                path,
                {"labelSelector": POD_LABEL},
                changed=self._pod_changed,
                gone=self._pod_gone,
            )

    def _paths(self, group: str, plural: str) -> list[str]:
        """The collection over all namespaces, or one for each namespace that is served."""
        namespaces = self._options.namespaces
        return [f"{group}/namespaces/{name}/{plural}" for name in namespaces] or [f"{group}/{plural}"]

    def _ailing(self) -> str:
        silence = max((time.monotonic() - informer.heard_at for informer in self._informers), default=0.0)
        return f"no word from the API server for {silence:.0f} s" if silence > DEAF_SECONDS else ""

    def _policies_by_state(self) -> dict[str, int]:
        return Counter(str(policy.status.get("state", "Unknown")) for policy in self._informed.policies())
