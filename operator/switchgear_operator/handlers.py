"""What kopf is told: how to log in, and whom to tell of policies. These handlers only wire.

Only `index` and `on.event` handlers: with those kopf writes nothing on the objects, neither annotations nor
finalizers. Each policy is learned by the index, which kopf completes before the first event is handled.
All are async: kopf would run plain functions in threads, beside the event loop that everything else lives on.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from typing import Any, Protocol

import kopf

from .connection import Connection
from .crd import GROUP, PLURAL, VERSION

__all__ = ["PolicyListener", "registry_for", "settings"]

WATCH_SECONDS = 240
"""A watch ends after about this long, so that one that hangs is noticed."""


class PolicyListener(Protocol):
    """Who wants to know of policies."""

    def policy_seen(self, body: Mapping[str, Any]) -> None:
        """A policy is there as `body` says; also for each one that is there at the start."""

    def policy_changed(self, namespace: str) -> None:
        """A policy that was seen there is new, or its spec, its metadata or its status has changed."""

    def policy_gone(self, namespace: str, name: str, uid: str) -> None:
        """A policy was deleted; news of one that has taken its name may have come before."""

    def stopping(self) -> None:
        """A signal came: whatever else runs on this event loop has to end, since kopf waits for it."""


def registry_for(listener: PolicyListener, connection: Connection) -> kopf.OperatorRegistry:
    """The handlers."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**_: object) -> kopf.ConnectionInfo:
        return await connection.login()

    @kopf.index(GROUP, VERSION, PLURAL, registry=registry)
    async def learn_policy(body: kopf.Body, **_: object) -> None:
        listener.policy_seen(body)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def follow_policy(
        type: str | None,  # noqa: A002  # kopf's word
        namespace: str | None,
        name: str | None,
        uid: str | None,
        **_: object,
    ) -> None:
        if type == "DELETED":
            listener.policy_gone(namespace or "", name or "", uid or "")
        else:
            listener.policy_changed(namespace or "")

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: object) -> None:
        listener.stopping()

    return registry


def settings() -> kopf.OperatorSettings:
    """Kopf as a watcher, and nothing else: no peering, no scanning for other kinds, no Events of its own."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    chosen.posting.enabled = False
    chosen.watching.server_timeout = WATCH_SECONDS
    chosen.watching.client_timeout = WATCH_SECONDS + 15
    chosen.watching.connect_timeout = 10
    chosen.networking.connect_timeout = 10
    chosen.networking.request_timeout = 60
    chosen.networking.error_backoffs = _Forever()
    return chosen


class _Forever:
    """Seconds between kopf's attempts at a request: kopf ends the operator when they run out, and they do not."""

    def __iter__(self) -> Iterator[float]:
        return chain((1, 2, 4, 8), repeat(10))
