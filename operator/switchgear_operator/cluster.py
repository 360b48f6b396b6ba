"""The Kubernetes API as the operator uses it: a few verbs, over the official client. Nobody else talks to it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

from .connection import Connection, ConnectionFailedError
from .crd import GROUP, PLURAL, VERSION
from .objects import Policy

__all__ = ["CONFIG_MAP", "FIELD_MANAGER", "MANAGED_BY", "ApiError", "Cluster", "ConfigMap"]

FIELD_MANAGER = "switchgear-operator"
CONFIG_MAP = "switchgear-policies"
MANAGED_BY = {"app.kubernetes.io/managed-by": FIELD_MANAGER}

_POLICIES = f"/apis/{GROUP}/{VERSION}"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_REQUEST_SECONDS = 30.0
_RELOAD_SECONDS = 60.0

Json = dict[str, Any]  # an API object: what it holds is read at the edge, in `informed`


class ApiError(Exception):
    """The API server refused, or could not be reached (status 0).

    Attributes:
        status: The HTTP status, 0 for none.
        reason: The API's word for it, such as `Conflict`.
        retry_after: Seconds that the server asked to wait, or None.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{message} ({status} {reason})" if status else message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def is_refusal(self) -> bool:
        """The server understood and said no, as for want of a permission or by a quota; asking again is no remedy."""
        return 400 <= self.status < 500 and self.status not in {401, 404, 408, 409, 410, 429}

    @property
    def namespace_is_ending(self) -> bool:
        """The namespace is being deleted: nothing can be created in it, and nothing need be."""
        return self.status == 403 and "because it is being terminated" in str(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMap:
    """The namespace's `switchgear-policies` as it stands."""

    namespace: str
    uid: str
    resource_version: str
    data: Mapping[str, str]
    ours: bool
    """Whether the operator made it: it has, or once had, our label or the operator among its field managers."""
    labelled: bool
    """Whether it carries our label."""
    immutable: bool = False
    """Whether somebody sealed it, which cannot be taken back: only a new one can be written."""
    foreign_binary: tuple[str, ...] = ()
    """Keys of binary data, none of which is ours."""
    changed_by: str | None = None
    """The field manager other than ours that changed it last, if the object tells."""


class Cluster:
    """Typed verbs; use it as an async context manager.

    Raises:
        ApiError: From every verb.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: ApiClient | None = None
        self._trust: tuple[object, ...] = ()
        self._loaded_at = -inf
        self._loading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._connected()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]  # the client's close has no annotations

    # ── reading ──

    async def policies(self, namespace: str) -> list[Json]:
        """The policies of a namespace, from the server itself and not from a cache."""
        return _items(await self._request("GET", f"{_POLICIES}/namespaces/{namespace}/{PLURAL}"))

    async def list_all(self, path: str, selector: Mapping[str, str]) -> tuple[list[Json], str]:
        """The objects of a collection that a label or field selector leaves, and the list's resourceVersion."""
        answer = await self._request("GET", path, query=selector)
        return _items(answer), str(answer["metadata"]["resourceVersion"])

    async def watch(
        self, path: str, selector: Mapping[str, str], since: str, seconds: float
    ) -> AsyncIterator[tuple[str, Json]]:
        """Changes after the resourceVersion `since`, as (type, object), for about `seconds`; then it ends.

        The first is ("OPENED", {}): the server has agreed, whether or not there is anything to tell.
        """
        query = {
            **selector,
            "watch": "true",
            "resourceVersion": since,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(seconds)),
        }
        # The server ends the watch by itself; a connection that hung for longer than that is dead.
        timeout = aiohttp.ClientTimeout(total=seconds + 15, sock_connect=10)
        response = await self._open(_Call("GET", path, query, None, "application/json", timeout))
        try:
            yield "OPENED", {}
            async for line in _lines(response):
                event: Json = json.loads(line)
                yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ApiError(0, "Interrupted", f"the watch of {path} broke: {_said(error)}") from error
        finally:
            response.close()

    # ── writing ──

    async def apply_config_map(self, namespace: str, data: Mapping[str, str]) -> Json:
        """Server-side apply of exactly our fields; what others own beside them stays. Returns the object."""
        path = f"/api/v1/namespaces/{namespace}/configmaps/{CONFIG_MAP}"
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CONFIG_MAP, "namespace": namespace, "labels": MANAGED_BY},
            "data": dict(data),
        }
        return await self._request("PATCH", path, query=_applied(), body=body, content_type=_APPLY)

    async def drop_config_map_keys(self, namespace: str, data: list[str], binary: list[str]) -> Json:
        """Remove keys that others have put into our ConfigMap. Returns the object."""
        path = f"/api/v1/namespaces/{namespace}/configmaps/{CONFIG_MAP}"
        body = {"data": dict.fromkeys(data), "binaryData": dict.fromkeys(binary)}
        return await self._request(
            "PATCH", path, query={"fieldManager": FIELD_MANAGER}, body=body, content_type=_MERGE
        )

    async def delete_config_map(self, config_map: ConfigMap) -> None:
        """Delete it, if it is still as it was seen; gone already is fine too."""
        path = f"/api/v1/namespaces/{config_map.namespace}/configmaps/{CONFIG_MAP}"
        preconditions = {"uid": config_map.uid, "resourceVersion": config_map.resource_version}
        try:
            await self._request("DELETE", path, body={"preconditions": preconditions})
        except ApiError as error:
            if error.status != 404:
                raise

    async def write_status(self, policy: Policy, status: Json) -> bool:
        """Replace the status of exactly this policy; False if it is gone, or another one has its name by now.

        A JSON patch, since it alone can ask for the uid (the status subresource ignores one in a merge patch or an
        apply) and leaves nothing beside what it writes.
        """
        path = f"{_POLICIES}/namespaces/{policy.namespace}/{PLURAL}/{policy.name}/status"
        patch: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": policy.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        query = {"fieldManager": FIELD_MANAGER}
        try:
            await self._request("PATCH", path, query=query, body=patch, content_type=_JSON_PATCH)
        except ApiError as error:
            if error.status == 404 or (error.status == 422 and not await self._stands(policy)):
                return False
            raise
        return True

    async def _stands(self, policy: Policy) -> bool:
        """Whether this very policy is still there: a test that failed in a patch looks like any invalid one."""
        bodies = await self.policies(policy.namespace)
        return any(body["metadata"]["uid"] == policy.uid for body in bodies)

    async def create_event(self, event: Json, namespace: str) -> None:
        """Create an Event of events.k8s.io/v1; none where the namespace is ending, since nobody will read it."""
        try:
            await self._request("POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", body=event)
        except ApiError as error:
            if not error.namespace_is_ending:
                raise

    # ── the wire ──

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | list[Json] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        call = _Call(
            method, path, query or {}, body, content_type, aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        )
        response = await self._open(call)
        try:
            answer: Json = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ApiError(0, "Interrupted", f"{method} {path}: {_said(error)}") from error
        return answer

    async def _open(self, call: "_Call") -> aiohttp.ClientResponse:
        """Send a request; a refused token is read anew, once."""
        response = await self._send(call)
        if response.status == 401:
            response.close()
            self._loaded_at = -inf
            response = await self._send(call)
        if response.status >= 400:
            raise await _refusal(response, f"{call.method} {call.path}")
        return response

    async def _send(self, call: "_Call") -> aiohttp.ClientResponse:
        try:
            client = await self._connected()
            request = await client.param_serialize(
                call.method,
                call.path,
                query_params=list(call.query.items()),
                header_params={"Content-Type": call.content_type, "Accept": "application/json"},
                body=call.body,
                auth_settings=["BearerToken"],
            )
            answer = await client.call_api(*request, _request_timeout=call.timeout)
        except (aiohttp.ClientError, TimeoutError, OSError, ConnectionFailedError) as error:
            raise ApiError(0, "Unreachable", f"{call.method} {call.path}: {_said(error)}") from error
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _connected(self) -> ApiClient:
        """The client, brought up to date every minute, since tokens and certificates rotate in their files."""
        async with self._loading:
            if self._client is None or time.monotonic() - self._loaded_at > _RELOAD_SECONDS:
                configuration = await self._connection.load()
                await self._use(configuration)
                self._loaded_at = time.monotonic()
            assert self._client is not None
            return self._client

    async def _use(self, configuration: Configuration) -> None:
        trust = _trust(configuration)
        if self._client is not None and trust == self._trust:
            self._client.configuration.api_key = configuration.api_key
            return
        outdated, self._client, self._trust = self._client, ApiClient(configuration), trust
        if outdated is not None:  # its watches break, and go on with the new one
            await outdated.close()  # type: ignore[no-untyped-call]  # as above


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    query: Mapping[str, str]
    body: Json | list[Json] | None
    content_type: str
    timeout: aiohttp.ClientTimeout


def _trust(configuration: Configuration) -> tuple[object, ...]:
    """What a client is made for and cannot change later: the server, and the certificates' contents."""
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    contents = (Path(each).read_bytes() if each else None for each in files)
    return (configuration.host, configuration.proxy, configuration.verify_ssl, *contents)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


async def _refusal(response: aiohttp.ClientResponse, request: str) -> ApiError:
    status: Json = {}
    with suppress(aiohttp.ClientError, TimeoutError, ValueError):
        parsed = json.loads(await response.read())
        status = parsed if isinstance(parsed, dict) else {}
    response.close()
    wait = response.headers.get("Retry-After", "")
    return ApiError(
        response.status,
        str(status.get("reason") or response.reason),
        str(status.get("message") or request),
        float(wait) if wait.isdigit() else None,
    )


def _items(answer: Json) -> list[Json]:
    items: list[Json] = answer.get("items") or []
    return items


def _applied() -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER, "force": "true"}
