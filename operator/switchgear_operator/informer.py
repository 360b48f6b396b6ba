"""A collection of the API, followed: list, then watch, then list again whenever the watch cannot be trusted.

kopf watches policies; this follows ConfigMaps and pods. A selector on the server picks the few of them that matter out
of all that a cluster has, and a permission can be held to what is selected. And unlike kopf's, a list that follows a
gap also tells what has gone meanwhile.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

from .cluster import ApiError

__all__ = ["Informer", "Source"]

_log = logging.getLogger(__name__)

WATCH_SECONDS = 240.0
"""A watch ends after about this long, so that one that hangs is noticed; what it missed comes with the next."""

SHORTEST_WAIT = 0.2
"""Seconds between two watches: something on the way, as a proxy, may end every one at once."""

LONGEST_WAIT = 30.0
"""Seconds between two attempts at most, while the API server cannot be read."""

Json = dict[str, Any]


class Source(Protocol):
    """What of the cluster is needed here."""

    async def list_all(self, path: str, selector: Mapping[str, str]) -> tuple[list[Json], str]:
        """The objects and the list's resourceVersion."""

    def watch(
        self, path: str, selector: Mapping[str, str], since: str, seconds: float
    ) -> AsyncIterator[tuple[str, Json]]:
        """Changes after `since`, as (type, object); the first is ("OPENED", {})."""


class Informer:
    """Keeps `changed` informed of every object that `selector` leaves of the collection at `path`.

    Args:
        source: The API.
        path: The collection, such as /api/v1/pods.
        selector: Query parameters: `labelSelector` or `fieldSelector`.
        changed: Called with each new or changed object; also with every object of a list.
        gone: Called with the namespace and the name of each object that is there no more.
        listed: Called after each list: at the start, and after a gap in what was seen.
    """

    def __init__(
        self,
        source: Source,
        path: str,
        selector: Mapping[str, str],
        *,
        changed: Callable[[Json], None],
        gone: Callable[[str, str], None],
        listed: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._path = path
        self._selector = selector
        self._changed = changed
        self._gone = gone
        self._listed = listed
        self._known: set[tuple[str, str]] = set()
        self._version = ""
        self._failing = False
        self.synced = asyncio.Event()
        """Set once the first list is in."""
        self.heard_at = time.monotonic()
        """When the API server last answered, on the monotonic clock."""

    async def run(self) -> None:
        """Follow until cancelled. Errors are retried, ever more slowly, and logged once per outage."""
        wait = 0.0
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                wait = 0.0
                await asyncio.sleep(SHORTEST_WAIT)
            except ApiError as error:
                if error.status:
                    self._version = ""
                if error.status == 410:  # what the watch would start from is history
                    await asyncio.sleep(SHORTEST_WAIT)
                    continue
                wait = min(LONGEST_WAIT, max(SHORTEST_WAIT, 2 * wait))
                self._report(error, wait)
                await asyncio.sleep(max(error.retry_after or 0.0, wait * random.uniform(0.8, 1.2)))  # noqa: S311  # no secret

    async def _list(self) -> None:
        objects, version = await self._source.list_all(self._path, self._selector)
        self._alive()
        listed = {_key(each) for each in objects}
        for each in objects:
            self._changed(each)
        for namespace, name in self._known - listed:
            self._gone(namespace, name)
        self._known = listed
        self._version = version
        self.synced.set()
        self._listed()

    async def _watch(self) -> None:
        async for kind, each in self._source.watch(self._path, self._selector, self._version, WATCH_SECONDS):
            if kind == "ERROR":
                code = int(each.get("code") or 0)
                raise ApiError(
                    code, str(each.get("reason") or "Error"), str(each.get("message") or "watch error")
                )
            self._alive()
            if kind == "OPENED":
                continue
            self._version = each["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                continue
            key = _key(each)
            if kind == "DELETED":
                self._known.discard(key)
                self._gone(*key)
            else:
                self._known.add(key)
                self._changed(each)
        self._alive()

    def _alive(self) -> None:
        self.heard_at = time.monotonic()
        if self._failing:
            self._failing = False
            _log.info("%s can be read again", self._path)

    def _report(self, error: ApiError, wait: float) -> None:
        if not self._failing:
            self._failing = True
            _log.warning(
                "%s cannot be read: %s; what is known stays in force, next attempt in %.1f s",
                self._path,
                error,
                wait,
            )


def _key(each: Json) -> tuple[str, str]:
    metadata = each["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
