"""The little of the Kubernetes API that a node needs: JSON in, JSON out, and a watch."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import yaml

__all__ = ["Api", "ApiError", "Informer", "JsonObject"]

type_of_json = Any  # what a JSON document holds is only known to whoever reads it
JsonObject = dict[str, type_of_json]


class ApiError(Exception):
    """A request that the API server refused: `status` is the HTTP status, the message the server's own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """A connection to one API server, as a kubeconfig describes it (certificate authority and bearer token)."""

    def __init__(self, kubeconfig: Path) -> None:
        self.server, self.authority, token = _read_kubeconfig(kubeconfig)
        self._client = httpx.AsyncClient(
            base_url=self.server,
            verify=ssl.create_default_context(cadata=self.authority),
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(10, pool=60),
            trust_env=False,
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the API server."""
        parts = urlsplit(self.server)
        return parts.hostname or "", parts.port or 443

    async def get(self, path: str, **parameters: str) -> JsonObject:
        """Read one object or list."""
        return await self._request("GET", path, params=parameters)

    async def create(self, path: str, body: JsonObject) -> JsonObject:
        """POST an object to its collection or subresource."""
        return await self._request("POST", path, json=body)

    async def merge(self, path: str, body: JsonObject) -> JsonObject:
        """Change an object by a JSON merge patch."""
        content = json.dumps(body)
        return await self._request(
            "PATCH", path, content=content, content_type="application/merge-patch+json"
        )

    async def delete(self, path: str, body: JsonObject | None = None) -> None:
        """Delete an object; `body` holds DeleteOptions. One that is gone already is fine."""
        try:
            await self._request("DELETE", path, json=body or {})
        except ApiError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise

    async def watch(self, path: str, version: str) -> AsyncIterator[tuple[str, JsonObject]]:
        """Events (type, object) after a resource version, until the server ends the stream. Raises `ApiError` (410: too old)."""
        parameters = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        timeout = httpx.Timeout(10, read=None)
        async with self._client.stream("GET", path, params=parameters, timeout=timeout) as response:
            if response.is_error:
                await response.aread()
                raise _error(response)
            async for line in response.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), event["object"].get("message", line))
                yield event["type"], event["object"]

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
        content: str | None = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        headers = {"Content-Type": content_type}
        response = await self._client.request(
            method, path, params=params, json=json, content=content, headers=headers
        )
        if response.is_error:
            raise _error(response)
        answer: JsonObject = response.json()
        return answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()


class Informer:
    """The newest state of every object of one kind, kept by list and watch.

    `items` is keyed by (namespace, name); `on_change(type, object)` is called after `items` changed, with ADDED, MODIFIED or DELETED.
    """

    def __init__(self, api: Api, path: str, on_change: Callable[[str, JsonObject], None]) -> None:
        self.items: dict[tuple[str, str], JsonObject] = {}
        self.synced = asyncio.Event()
        self._api = api
        self._path = path
        self._on_change = on_change

    async def run(self) -> None:
        """List and watch until cancelled; a broken connection is taken up again."""
        pause = 0.1
        while True:
            try:
                version = await self._list()
                pause = 0.1
                while True:
                    version = await self._follow(version)
            except (httpx.HTTPError, ApiError, json.JSONDecodeError):
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)

    async def _list(self) -> str:
        listing = await self._api.get(self._path)
        listed = {_key(item): item for item in listing["items"]}
        for key in self.items.keys() - listed.keys():
            self._apply("DELETED", self.items[key])
        for item in listed.values():
            self._apply("ADDED", item)
        self.synced.set()
        version: str = listing["metadata"]["resourceVersion"]
        return version

    async def _follow(self, version: str) -> str:
        async for kind, item in self._api.watch(self._path, version):
            version = item["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                self._apply(kind, item)
        return version

    def _apply(self, kind: str, item: JsonObject) -> None:
        if kind == "DELETED":
            self.items.pop(_key(item), None)
        else:
            self.items[_key(item)] = item
        self._on_change(kind, item)


def _key(item: JsonObject) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _error(response: httpx.Response) -> ApiError:
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text or response.reason_phrase
    return ApiError(response.status_code, message)


def _read_kubeconfig(path: Path) -> tuple[str, str, str]:
    """Server URL, certificate authority (PEM) and token of the current context."""
    config = yaml.safe_load(path.read_text())
    by_name = {
        section: {entry["name"]: entry for entry in config[section]}
        for section in ("contexts", "clusters", "users")
    }
    context = by_name["contexts"][config["current-context"]]["context"]
    cluster = by_name["clusters"][context["cluster"]]["cluster"]
    user = by_name["users"][context["user"]]["user"]
    if "token" not in user:
        raise ValueError(
            f"{path}: user {context['user']!r} has no token; the local node runs beside the embedded control plane only"
        )
    if data := cluster.get("certificate-authority-data"):
        return cluster["server"], base64.b64decode(data).decode(), user["token"]
    return cluster["server"], (path.parent / cluster["certificate-authority"]).read_text(), user["token"]
